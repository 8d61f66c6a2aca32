#!/usr/bin/env python3
"""Reads what pjdfstest printed, prints a table by system call and each failure; exit 1 unless everything passed."""
import argparse
import collections
import itertools
import re
import sys

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
RESULT = re.compile(r"^(\S+::\S+)\s+(ok|FAILED|skipped|PASSED UNEXPECTEDLY|failed as expected)$")
SUMMARY = re.compile(r"^Summary: (\d+) failed, (\d+) skipped, (\d+) passed, (\d+) expected failures, (\d+) total$", re.M)
# Why a test may be left out: FreeBSD's flags and ACLs do not exist on Linux, and glibc knows the link limit of a few
# file systems only (pathconf answers 127 for all others; the suite then has nothing to compare with).
LEFT_OUT = re.compile(r"requires features: (chflags|nfsv4_acls|stat_st_birthtime|chflags_sf_snapshot)(, \w+)*$"
                      r"|LINK_MAX: filesystem limit is unknown")
REMOUNT = re.compile(r"allow_remount")


def read_results(lines):
    """{test name: (result, the lines that explain it)}"""
    results = {}
    for number, line in enumerate(lines):
        match = RESULT.match(line.strip())
        if match:
            details = itertools.takewhile(lambda more: more.startswith("\t"), lines[number + 1:])
            results[match.group(1)] = (match.group(2), [more.strip() for more in details])
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outputs", nargs="+")
    parser.add_argument("--exit-status", type=int, required=True)
    parser.add_argument("--remount", action="store_true", help="the EROFS tests had to run")
    parser.add_argument("--table", help="write the table as Markdown here")
    args = parser.parse_args()

    rows = collections.defaultdict(collections.Counter)
    problems = []
    results = {}  # a later run of the same test counts instead of an earlier one
    for output in args.outputs:
        text = ESCAPES.sub("", open(output, errors="replace").read())
        found = read_results(text.splitlines())
        results.update(found)
        summary = SUMMARY.search(text)
        if not summary:
            problems.append("pjdfstest did not come to its end: " + " | ".join(text.splitlines()[-5:]))
        elif int(summary.group(5)) != len(found):
            problems.append(f"pjdfstest counted {summary.group(5)} tests, its output shows {len(found)}")
    for name, (result, details) in results.items():
        call = name.split("::")[0]
        remount = any(REMOUNT.search(d) for d in details)
        if result == "ok":
            rows[call]["passed"] += 1
        elif result == "skipped" and all(LEFT_OUT.search(d) or (REMOUNT.search(d) and not args.remount) for d in details):
            rows[call]["needs remount" if remount else "not on Linux"] += 1
        else:
            rows[call]["failed"] += 1
            problems.append(f"{name}: {result}: {' | '.join(details)[:400]}")

    columns = ["passed", "failed", "not on Linux", "needs remount"]
    total = collections.Counter()
    table = ["| system call | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for call in sorted(rows):
        total.update(rows[call])
        table.append(f"| {call} | " + " | ".join(str(rows[call][c]) for c in columns) + " |")
    table.append("| **all** | " + " | ".join(f"**{total[c]}**" for c in columns) + " |")
    print("\n".join(table))
    if args.table:
        open(args.table, "w").write("\n".join(table) + "\n")

    if args.exit_status != 0 and not problems:
        problems.append(f"pjdfstest or the removal of its files exited {args.exit_status}")
    for problem in problems:
        print("FAILED " + problem)
    print(f"{total['passed']} passed, {max(total['failed'], 1 if problems else 0)} failed")
    return 1 if problems or total["passed"] == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
