#!/usr/bin/env python3
"""The driver of histories on a local folder that is named three times: an honest history is accepted, each lie is rejected."""
import pathlib
import subprocess
import tempfile
import unittest

DRIVER = pathlib.Path(__file__).with_name("histories.py")
LIES = ["stale-stat", "lost-rename", "create-twice", "old-data", "mixed-data"]


class DriverTest(unittest.TestCase):
    def drive(self, *options):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([DRIVER, folder, folder, folder, *options], capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual(list(pathlib.Path(folder).iterdir()), [], "something was left")
        return done

    def test_a_local_folder_is_accepted(self):
        done = self.drive("--seconds", "5", "--rate", "500")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"seed \d+.*\naccepted: \d{4,} operations")

    def test_each_lie_is_rejected(self):
        for lie in LIES:
            with self.subTest(lie=lie):
                for _ in range(5):  # on a busy machine nothing may come to lie about in 2 s
                    done = self.drive("--seconds", "2", "--plant", lie)
                    if done.returncode != 0:
                        break
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertRegex(done.stdout, r"rejected: \d+ faults")


if __name__ == "__main__":
    unittest.main()
