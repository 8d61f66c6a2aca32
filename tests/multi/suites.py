#!/usr/bin/env python3
"""The suites of others, on a mount through a meta server on PostgreSQL: pjdfstest, the named promises, fsx, programs.

usage: suites.py [WORD...]     only the suites whose names contain a word
"""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import cluster
import e2e

TESTS = e2e.REPO / "tests"
SUITES = {
    "pjdfstest": [TESTS / "posix/run-pjdfstest.sh", "{at}"],
    "semantics": [TESTS / "posix/semantics.py", "{at}"],
    "fsx": [TESTS / "posix/run-fsx.sh", "{at}"],
    "programs": [TESTS / "programs/run-all.sh", "{at}"],
}


def on_a_mount(name, command):
    def run():
        with e2e.Scratch() as scratch:
            database = cluster.Postgres(scratch)
            volume = cluster.SharedVolume(scratch, "demo", f"file://{scratch.path}/bucket", database.url("demo"))
            mount = volume.mount("a")
            done = subprocess.run([str(word).format(at=mount.at) for word in command], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
            print("\n".join(f"  {line}" for line in done.stdout.strip().splitlines()[-4:]), flush=True)
            if done.returncode != 0:
                raise e2e.E2eError(f"{name}: exit {done.returncode}\n{done.stdout[-6000:]}")
            mount.unmount()
            volume.fsck()
    return name, run


if __name__ == "__main__":
    sys.exit(e2e.run_checks([on_a_mount(name, command) for name, command in SUITES.items()], sys.argv[1:]))
