#!/usr/bin/env python3
"""Runs ctest in build/PRESET and counts single tests, not programs: ends with "N passed, N failed".

    tools/ctest.py dev -L unit
"""
import pathlib
import re
import subprocess
import sys

REPO = pathlib.Path(__file__).resolve().parent.parent


def main():
    build = REPO / "build" / sys.argv[1]
    log = build / "Testing" / "Temporary" / "LastTest.log"
    log.unlink(missing_ok=True)
    done = subprocess.run(["ctest", "--test-dir", str(build), "-j2", "--output-on-failure", "--no-tests=error", *sys.argv[2:]])
    passed = failed = skipped = 0
    text = log.read_text(errors="replace") if log.exists() else ""
    for program in re.split(r"^(?=\d+/\d+ Testing: )", text, flags=re.M):
        if not re.search(r"^Test (Passed|Failed)", program, re.M):
            continue
        ok = "\nTest Passed." in program
        good = re.search(r"^\[  PASSED  \] (\d+) test", program, re.M)
        bad = re.search(r"^ ?(\d+) FAILED TESTS?$", program, re.M)
        skip = re.search(r"^\[  SKIPPED \] (\d+) test", program, re.M)
        passed += int(good.group(1)) if good else (1 if ok else 0)
        failed += int(bad.group(1)) if bad else (0 if ok else 1)
        skipped += int(skip.group(1)) if skip else 0
    if skipped:
        print(f"{skipped} tests were skipped: a test that cannot run must fail")
        failed += skipped
    if done.returncode != 0 and failed == 0:
        failed = 1
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
