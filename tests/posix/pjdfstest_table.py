#!/usr/bin/env python3
"""Reads what pjdfstest printed, prints a table by system call and each failure; exit 1 unless everything passed."""
import argparse
import collections
import re
import sys

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
RESULT = re.compile(r"^(\S+::\S+)\s+(ok|FAILED|skipped|PASSED UNEXPECTEDLY|failed as expected)$")
SUMMARY = re.compile(r"^Summary: (\d+) failed, (\d+) skipped, (\d+) passed, (\d+) expected failures, (\d+) total$", re.M)
# Why a test may be left out: none of these exists on Linux.
LEFT_OUT = re.compile(r"requires features: (chflags|nfsv4_acls|stat_st_birthtime|chflags_sf_snapshot)(, \w+)*$"
                      r"|file flags|flags? .*not (available|supported|configured)", re.I)
REMOUNT = re.compile(r"allow_remount")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output")
    parser.add_argument("--exit-status", type=int, required=True)
    parser.add_argument("--remount", action="store_true", help="the EROFS tests had to run")
    parser.add_argument("--table", help="write the table as Markdown here")
    args = parser.parse_args()

    text = ESCAPES.sub("", open(args.output, errors="replace").read())
    rows = collections.defaultdict(collections.Counter)
    problems = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        match = RESULT.match(line.strip())
        if not match:
            continue
        name, result = match.groups()
        details = []
        for more in lines[number + 1:]:
            if not more.startswith("\t"):
                break
            details.append(more.strip())
        call = name.split("::")[0]
        if result == "ok":
            rows[call]["passed"] += 1
        elif result == "skipped" and all(LEFT_OUT.search(d) or (REMOUNT.search(d) and not args.remount) for d in details):
            rows[call]["not on Linux" if not any(REMOUNT.search(d) for d in details) else "needs remount"] += 1
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

    summary = SUMMARY.search(text)
    if not summary:
        problems.append("pjdfstest did not come to its end: " + " | ".join(lines[-5:]))
    elif int(summary.group(5)) != sum(total.values()):
        problems.append(f"pjdfstest counted {summary.group(5)} tests, its output shows {sum(total.values())}")
    if args.exit_status != 0 and not problems:
        problems.append(f"pjdfstest or the removal of its files exited {args.exit_status}")
    for problem in problems:
        print("FAILED " + problem)
    print(f"{total['passed']} passed, {max(total['failed'], 1 if problems else 0)} failed")
    return 1 if problems or total["passed"] == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
