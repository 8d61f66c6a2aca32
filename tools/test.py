#!/usr/bin/env python3
"""Runs test stages and says what passed.

    tools/test.py                        every stage of tests/stages
    tools/test.py --long                 every stage of tests/stages-long
    tools/test.py --list                 what there is
    tools/test.py unit tidy              only the stages whose name contains one of these words

A stage is an executable file tests/stages/NN-name. Comment lines at its top say what the runner must know:

    # stage: one line for people
    # limit: 300        seconds after which its process group is killed and it has failed (default 300)
    # needs: root fuse  what the machine must have; a stage whose needs are not met FAILS, it is never skipped
    # cores: 2          1 (default): may run beside another stage; 2: runs alone

Stages start in the order of their names; one with `cores: 2` waits for all before it and holds back all after it.
If a stage's name starts with "build" and it fails, the rest does not run and counts as failed.
A stage that prints "N passed, N failed" as a line of its own adds these to the total (the last such line counts);
one that prints no such line counts as one. It gets an empty folder in SHOAL_SCRATCH, removed afterwards (mounts in
it are detached first). Its output goes to build/test-logs/NAME.log and is shown when it fails.
The run ends with the line "N passed, N failed" and exits 1 unless all passed.
"""
import argparse
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

REPO = pathlib.Path(__file__).resolve().parent.parent
COUNTS = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)
SHOWN_LINES = 80


@dataclasses.dataclass
class Stage:
    path: pathlib.Path
    about: str = ""
    limit_s: int = 300
    needs: tuple = ()
    cores: int = 1

    @property
    def name(self):
        return self.path.name.split("-", 1)[1]


@dataclasses.dataclass
class Running:
    stage: Stage
    process: subprocess.Popen
    started: float
    log: pathlib.Path
    scratch: str


def read_stage(path):
    stage = Stage(path)
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        key, _, value = line[1:].strip().partition(":")
        value = value.strip()
        if key == "stage":
            stage.about = value
        elif key == "limit":
            stage.limit_s = int(value)
        elif key == "needs":
            stage.needs = tuple(value.split())
        elif key == "cores":
            stage.cores = int(value)
    return stage


def find_stages(folder):
    paths = sorted(p for p in folder.iterdir() if re.match(r"\d\d-", p.name))
    for path in paths:
        if not os.access(path, os.X_OK):
            sys.exit(f"test.py: {path.relative_to(REPO)} is not executable (chmod +x)")
    return [read_stage(path) for path in paths]


def unmet(need):
    """Why `need` is not there, or None."""
    if need == "root":
        return None if os.geteuid() == 0 else "it must run as root"
    if need == "fuse":
        if not os.path.exists("/dev/fuse"):
            return "/dev/fuse is not there (modprobe fuse, or give the container --device /dev/fuse --cap-add SYS_ADMIN)"
        if not shutil.which("fusermount3"):
            return "fusermount3 is missing (tools/install-deps.sh)"
        return None
    return f"its '# needs:' names '{need}', which the runner does not know"


def mounts_under(folder):
    mounts = []
    for line in open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape"):
        at = line.split()[4].replace("\\040", " ")
        if (at + "/").startswith(folder + "/"):
            mounts.append(at)
    return sorted(mounts, reverse=True)


def remove_scratch(folder):
    for mount in mounts_under(folder):
        subprocess.run(["umount", "-l", mount], check=False, stderr=subprocess.DEVNULL)
    if not mounts_under(folder):
        shutil.rmtree(folder, ignore_errors=True)


class Run:
    def __init__(self, stages, jobs, logs):
        self.stages, self.jobs, self.logs = stages, jobs, logs
        self.passed = self.failed = 0
        self.broken = []   # names of failed stages
        self.running = []
        self.ci = bool(os.environ.get("CI"))
        self.last_news = time.monotonic()

    def news(self, line):
        self.last_news = time.monotonic()
        print(line, flush=True)

    def start(self, stage):
        missing = [why for why in map(unmet, stage.needs) if why]
        if missing:
            self.finish(stage, 0.0, "; ".join(missing), "")
            return
        # A short name, because Unix sockets deep inside must stay under 108 bytes; open, because tests become other users.
        scratch = tempfile.mkdtemp(prefix="st.")
        os.chmod(scratch, 0o755)
        log = self.logs / f"{stage.path.name}.log"
        env = dict(os.environ, SHOAL_SCRATCH=scratch, PYTHONUNBUFFERED="1")
        with open(log, "wb") as out:
            process = subprocess.Popen([str(stage.path)], cwd=REPO, env=env, stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.STDOUT, start_new_session=True)
        self.running.append(Running(stage, process, time.monotonic(), log, scratch))

    def poll(self):
        for run in list(self.running):
            seconds = time.monotonic() - run.started
            late = seconds > run.stage.limit_s
            if run.process.poll() is None and not late:
                continue
            why = None
            if late and run.process.poll() is None:
                self.kill(run)
                why = f"ran longer than its limit of {run.stage.limit_s} s and was killed"
            elif run.process.returncode != 0:
                why = f"exit {run.process.returncode}"
            self.kill(run)  # what it may have left in its process group
            self.running.remove(run)
            remove_scratch(run.scratch)
            self.finish(run.stage, seconds, why, run.log.read_text(errors="replace"))

    @staticmethod
    def kill(run):
        for sig, wait_s in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
            try:
                os.killpg(run.process.pid, sig)
            except ProcessLookupError:
                break
            if run.process.returncode is not None:
                continue  # its leader is gone already: no need to be patient with the rest
            try:
                run.process.wait(wait_s)
                break
            except subprocess.TimeoutExpired:
                pass

    def finish(self, stage, seconds, why, output):
        counts = COUNTS.findall(output)
        passed, failed = map(int, counts[-1]) if counts else (0 if why else 1, 0)
        if not why and failed:
            why = "it counted failures but exited 0"
        if why and not failed:
            failed = 1
        self.passed += passed
        self.failed += failed
        tally = f"{passed} passed" + (f", {failed} failed" if failed else "")
        self.news(f"{'FAILED' if why else 'ok    '} {stage.name:<22} {seconds:7.1f} s   {tally}" + (f"   {why}" if why else ""))
        if why:
            self.broken.append(stage.name)
            for line in output.splitlines()[-SHOWN_LINES:]:
                print("    " + line)
            sys.stdout.flush()

    def all(self):
        waiting = list(self.stages)
        while waiting or self.running:
            self.poll()
            stopped = any(name.startswith("build") for name in self.broken)
            if stopped and waiting and not self.running:
                for stage in waiting:
                    self.finish(stage, 0.0, "not run: the build failed", "")
                return
            while waiting and not stopped and self.fits(waiting[0]):
                self.start(waiting.pop(0))
            if self.running:
                if time.monotonic() - self.last_news > 120:
                    names = ", ".join(f"{r.stage.name} {time.monotonic() - r.started:.0f} s" for r in self.running)
                    self.news(f"...    running: {names}")
                time.sleep(0.1)

    def fits(self, stage):
        used = sum(min(r.stage.cores, self.jobs) for r in self.running)
        return used + min(stage.cores, self.jobs) <= self.jobs

    def abort(self):
        for run in self.running:
            self.kill(run)
            remove_scratch(run.scratch)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only stages whose name contains one of these")
    parser.add_argument("--long", action="store_true", help="tests/stages-long instead of tests/stages")
    parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)  # for the runner's own test
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=2, help="cores to use (default 2)")
    args = parser.parse_args()

    folder = args.folder or REPO / "tests" / ("stages-long" if args.long else "stages")
    stages = [s for s in find_stages(folder) if not args.words or any(w in s.path.name for w in args.words)]
    if args.list:
        for stage in stages:
            print(f"{stage.name:<22} {stage.about}  (limit {stage.limit_s} s, cores {stage.cores}"
                  + (f", needs {' '.join(stage.needs)}" if stage.needs else "") + ")")
        return 0
    if not stages:
        print(f"test.py: no stage matches {' '.join(args.words)}: see --list", file=sys.stderr)
        return 2

    logs = (args.folder or REPO / "build") / "test-logs"
    logs.mkdir(parents=True, exist_ok=True)
    run = Run(stages, args.jobs, logs)
    started = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run.all()
    finally:
        run.abort()
    print(f"total {time.monotonic() - started:.0f} s, logs in {logs}")
    if run.broken:
        print("failed stages: " + " ".join(run.broken))
    print(f"{run.passed} passed, {run.failed} failed", flush=True)
    return 0 if run.failed == 0 and run.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
