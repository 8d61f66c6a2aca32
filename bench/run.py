#!/usr/bin/env python3
"""Measures Shoal, JuiceFS (default and --writeback) and the local disk in one run on one S3 server.

    bench/run.py                            every row, 5 interleaved rounds
    bench/run.py --small                    every row once with little data: does it work? (no figures to quote)
    bench/run.py --rows small,seq_write     groups or rows (a row runs its whole group); see --list
    bench/run.py --million                  only: 1,000,000 files of 4 KiB, PUTs and memory

Prints a markdown report; --out keeps it, --json keeps every sample. Needs root (drop_caches, mounts), /dev/fuse,
build/release/shoal (or $SHOAL) and the workload program (bench/run.sh builds both). Everything it starts lies below
one scratch folder ($SHOAL_SCRATCH, $TMPDIR or /tmp) and ends with it.
"""
import argparse
import datetime
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import report
import rows
import systems
from systems import e2e

WORKLOAD = os.environ.get("BENCH_WORKLOAD", str(e2e.REPO / "build" / "release" / "bench" / "bench_workload"))
QUIET_LOAD = 1.0  # above it, before a round, somebody else is using the machine


def say(text):
    print(f"[{datetime.datetime.now():%H:%M:%S}] {text}", file=sys.stderr, flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="all", help="groups and rows, comma-separated; packed = the PUT formula")
    parser.add_argument("--systems", default="shoal,juicefs,juicefswb,ext4")
    parser.add_argument("--rounds", type=int, default=None, help="default 5; with --small 1")
    parser.add_argument("--small", action="store_true", help="little data: a smoke test")
    parser.add_argument("--million", action="store_true", help="1,000,000 files of 4 KiB instead of the rows")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=600, help="seconds until a row counts as hung")
    parser.add_argument("--out", type=pathlib.Path, help="write the report there, too")
    parser.add_argument("--json", type=pathlib.Path, help="write every sample there")
    parser.add_argument("--list", action="store_true", help="say which groups and rows there are")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.small else 5)
    arguments.systems = arguments.systems.split(",")
    return arguments


def wanted_groups(text):
    """Names of groups, and whether the PUT formula is to be checked."""
    if text == "all":
        return list(rows.GROUPS), True
    groups, packed = [], False
    for word in text.split(","):
        found = [name for name, (_, own) in rows.GROUPS.items() if word == name or word in own]
        if word == "packed":
            packed = True
        elif not found:
            sys.exit(f"bench: no row {word} (see --list)")
        groups += [name for name in found if name not in groups]
    return groups, packed


class Run:
    def __init__(self, arguments, scratch):
        self.arguments, self.scratch = arguments, scratch
        self.sizes = rows.Sizes.small() if arguments.small else rows.Sizes()
        self.loads, self.failures, self.results, self.packed, self.store_client = [], [], {}, [], []
        self.store = store = systems.Store(scratch)
        kinds = {"shoal": systems.Shoal, "ext4": systems.LocalDisk, "juicefs": systems.JuiceFs,
                 "juicefswb": systems.JuiceFsWriteback}
        unknown = set(arguments.systems) - set(kinds)
        if unknown:
            sys.exit(f"bench: no system {', '.join(sorted(unknown))}; there are {', '.join(kinds)}")
        redis = systems.Redis(scratch) if any(key.startswith("juicefs") for key in arguments.systems) else None
        self.systems = [kinds[key](scratch, store, *([redis] if key.startswith("juicefs") else []))
                        for key in arguments.systems]

    def attempt(self, system, what, action):
        """Runs action(bench) on a fresh volume; a failure is noted and costs only itself."""
        bench = rows.Bench(WORKLOAD, system, self.sizes, self.arguments.seed, self.arguments.timeout)
        try:
            system.start()
            action(bench)
            system.stop()
        except (e2e.E2eError, subprocess.TimeoutExpired, OSError) as error:
            done = ", ".join(bench.results) or "nothing"
            self.failures.append(f"{system.title}, {what}, after {done}: {error}")
            say(f"FAILED {self.failures[-1]}")
            system.abandon()
        return bench.results

    def round(self, number, groups):
        self.loads.append(os.getloadavg()[0])
        for name in groups:
            group, _ = rows.GROUPS[name]
            turn = number % len(self.systems)
            for system in self.systems[turn:] + self.systems[:turn]:
                say(f"round {number + 1}: {name} on {system.title}")
                results = self.attempt(system, name, lambda bench: group(bench, number == 0, self.scratch))
                for row, sample in results.items():
                    self.results.setdefault(system.key, {}).setdefault(row, []).append(sample)
            if name == "big":
                self.store_client.append(systems.store_client_mb_per_s(self.store, self.scratch, self.sizes.big_bytes))

    def run_packed(self, files):
        for system in self.systems:
            if system.key == "shoal":
                self.loads.append(os.getloadavg()[0])
                say(f"{files:,} files of 4 KiB on {system.title}")
                self.attempt(system, f"{files} files",
                             lambda bench: self.packed.append(rows.packed_puts(bench, files)))

    def document(self):
        arguments = self.arguments
        warnings = []
        if arguments.small:
            warnings.append("--small: a smoke test; the figures mean nothing.")
        if max(self.loads) > QUIET_LOAD + 0.5:
            warnings.append("The machine was not quiet; the figures are not to be quoted unless the load is this run's own.")
        disk = subprocess.run(["findmnt", "-no", "FSTYPE", "-T", str(self.scratch.path)], capture_output=True, text=True,
                              check=False).stdout.strip()
        return {"command": shlex.join(["bench/run.py", *sys.argv[1:]]), "commit": report.commit(e2e.REPO),
                "date": f"{datetime.datetime.now():%Y-%m-%d %H:%M}", "rounds": arguments.rounds, "seed": arguments.seed,
                "machine": report.machine(), "disk": disk, "versions": versions(self.systems), "loads": self.loads,
                "warnings": warnings, "systems": arguments.systems, "results": self.results, "packed": self.packed,
                "store_client": self.store_client,
                "failures": self.failures}


def versions(used):
    found = ["SeaweedFS " + first_line(os.path.join(e2e.tools_folder(), "bin", "weed"), "version")]
    for system in used:
        if system.key == "juicefs":
            found += [first_line(system.program, "version"), first_line("redis-server", "--version")]
    return "; ".join(found)


def first_line(*command):
    return e2e.run(*command, check=False).stdout.strip().split("\n")[0]


def main():
    arguments = parse()
    if arguments.list:
        for name, (_, own) in rows.GROUPS.items():
            print(f"{name}: {' '.join(own)}")
        print("packed: the PUT formula (Shoal only)")
        return 0
    groups, packed = wanted_groups(arguments.rows)
    if os.geteuid() != 0:
        sys.exit("bench: needs root, to drop the kernel's caches and to mount")
    for program in (e2e.SHOAL, WORKLOAD):
        if not os.access(program, os.X_OK):
            sys.exit(f"bench: {program} is not built: run bench/run.sh")
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    with e2e.Scratch() as scratch:
        run = Run(arguments, scratch)
        if arguments.million:
            run.run_packed(run.sizes.million_files)
        else:
            for number in range(arguments.rounds):
                if groups:
                    run.round(number, groups)
            if packed:
                run.run_packed(run.sizes.puts_files)
        document = run.document()
    text = report.markdown(document)
    print(text)
    if arguments.out:
        arguments.out.write_text(text)
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=1))
    return 1 if document["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
