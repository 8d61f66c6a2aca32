#!/usr/bin/env python3
"""The stage runner's own test: what it promises about failures, limits and needs."""
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

RUNNER = pathlib.Path(__file__).resolve().parent / "test.py"


class RunnerTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def stage(self, name, body, header=""):
        path = pathlib.Path(self.folder.name) / name
        path.write_text(f"#!/bin/bash\n{header}\n{body}\n")
        path.chmod(0o755)

    def run_stages(self):
        done = subprocess.run([str(RUNNER), "--folder", self.folder.name], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout

    def last_line(self, out):
        return out.strip().splitlines()[-1]

    def test_counts_are_summed_and_a_silent_stage_counts_as_one(self):
        self.stage("10-a", "echo '5 passed, 0 failed'")
        self.stage("20-b", "true")
        code, out = self.run_stages()
        self.assertEqual((code, self.last_line(out)), (0, "6 passed, 0 failed"))

    def test_a_failing_stage_fails_the_run_and_shows_its_output(self):
        self.stage("10-a", "echo the reason; exit 3")
        self.stage("20-b", "true")
        code, out = self.run_stages()
        self.assertEqual((code, self.last_line(out)), (1, "1 passed, 1 failed"))
        self.assertIn("the reason", out)

    def test_counted_failures_fail_the_run_even_with_exit_0(self):
        self.stage("10-a", "echo '5 passed, 2 failed'")
        code, out = self.run_stages()
        self.assertEqual((code, self.last_line(out)), (1, "5 passed, 2 failed"))

    def test_a_stage_over_its_limit_is_killed_with_its_children(self):
        marker = pathlib.Path(self.folder.name) / "pid"
        self.stage("10-a", f"sleep 600 & echo $! > {marker}; wait", "# limit: 1")
        started = time.monotonic()
        code, out = self.run_stages()
        self.assertEqual((code, self.last_line(out)), (1, "0 passed, 1 failed"))
        self.assertLess(time.monotonic() - started, 30)
        state = pathlib.Path(f"/proc/{marker.read_text().strip()}/stat")
        self.assertTrue(not state.exists() or state.read_text().split()[2] == "Z")

    def test_unmet_needs_fail(self):
        self.stage("10-a", "true", "# needs: moon")
        code, out = self.run_stages()
        self.assertEqual((code, self.last_line(out)), (1, "0 passed, 1 failed"))
        self.assertIn("moon", out)

    def test_a_failed_build_fails_everything_after_it(self):
        self.stage("00-build-x", "false", "# cores: 2")
        self.stage("10-a", "echo ran > $(dirname $0)/ran")
        code, out = self.run_stages()
        self.assertEqual((code, self.last_line(out)), (1, "0 passed, 2 failed"))
        self.assertFalse(os.path.exists(self.folder.name + "/ran"))

    def test_a_stage_with_two_cores_runs_alone(self):
        self.stage("10-a", "touch $(dirname $0)/busy; sleep 0.5; rm $(dirname $0)/busy")
        self.stage("20-b", "! test -e $(dirname $0)/busy", "# cores: 2")
        code, out = self.run_stages()
        self.assertEqual(code, 0, out)


if __name__ == "__main__":
    unittest.main()
