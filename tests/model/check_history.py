#!/usr/bin/env python3
"""Checks a history that programs recorded on one or more mounts (history/record.py tells its form).

    check_history.py FILE... [--stale-ms N]

Exit status 0: names are linearizable and data is close-to-open; 1: they are not; 3: not decided, the search grew too large.
"""
import argparse
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from history import data, linear, record  # noqa: E402

SHOWN = 5


def check(operations, stale_ns=0):
    """What is wrong, a text each. Raises linear.TooMany."""
    return (linear.check(operations, stale_ns=stale_ns) + linear.check_listings(operations, stale_ns=stale_ns)
            + data.check(operations))


def judge(operations, stale_ns=0):
    """Prints the verdict and returns the exit status."""
    begun = time.monotonic()
    unknown = sum(1 for operation in operations if not operation.known)
    try:
        found = check(operations, stale_ns)
    except linear.TooMany as error:
        print(f"not decided: {error}", flush=True)
        return 3
    for text in found[:SHOWN]:
        print(text)
    verdict = f"rejected: {len(found)} faults" if found else "accepted"
    print(f"{verdict}: {len(operations)} operations, {unknown} of unknown outcome, checked in {time.monotonic() - begun:.1f} s",
          flush=True)
    return 1 if found else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--stale-ms", type=float, default=0,
                        help="how old may be what a kernel tells of names without asking (its entry and attribute timeout)")
    arguments = parser.parse_args()
    return judge(record.load(arguments.files), int(arguments.stale_ms * 1e6))


if __name__ == "__main__":
    sys.exit(main())
