#!/usr/bin/env python3
"""Random operations on few names from several processes over any number of folders, which are mounts of one volume; their
history is checked (tests/model/check_history.py). A single folder that is named several times must be accepted too.

    histories.py FOLDER... [--seconds 20] [--seed N] [--processes 3] [--rate 150] [--stale-ms 0] [--history DIR] [--plant FAULT]

--processes and --rate (operations a second) are of each folder and each process. Exit status as check_history.py's. With
--plant one process tells lies, so that the checker must reject: stale-stat, lost-rename, create-twice, old-data, mixed-data.
"""
import argparse
import ctypes
import os
import pathlib
import random
import shutil
import signal
import stat
import sys
import tempfile
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests/model"))
import check_history  # noqa: E402
from history import record  # noqa: E402

GROUPS = 3  # folders that share nothing: their histories are checked one by one
FILES = ["a", "b", "c"]
FOLDERS = ["d", "e"]  # never renamed: a path walk through a folder that moves is no single moment in Linux
LINE_BYTES = 32
IN_PLACE_BYTES = 4096 // 8  # one write, in one page
REPLACED_BYTES = 300_000  # several extents and pages; appears by rename
RENAME_NOREPLACE = 1
DEAD_PAUSE_SECONDS = 0.1  # between attempts on a mount that does not answer
libc = ctypes.CDLL(None, use_errno=True)


def rename_noreplace(folder, source, target):
    if libc.renameat2(folder, os.fsencode(source), folder, os.fsencode(target), RENAME_NOREPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def content(tag, size):
    line = tag.encode().ljust(LINE_BYTES - 1) + b"\n"
    return line * (size // LINE_BYTES)


def tags_in(data):
    return sorted({line.decode(errors="replace").strip() for line in set(data.split(b"\n")) if line.strip()})


def wait_for(folder, seconds=60):
    deadline = time.monotonic() + seconds
    while not is_folder(folder):
        if time.monotonic() > deadline:
            raise SystemExit(f"histories.py: {folder} does not appear: are the folders mounts of one volume, and alive?")
        time.sleep(0.05)


def is_folder(path):
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError:
        return False


class Worker:
    """One process on one folder. It holds the folder open: when the mount dies, what it asks for has no answer, and nothing
    reaches what lies below the mount point; then it opens the folder of the next mount."""

    def __init__(self, root, number, seed, history, plant):
        self.root, self.number, self.plant = pathlib.Path(root), number, plant
        self.random = random.Random(f"{seed}-{number}")
        self.recorder = record.Recorder(f"{history}/{number}.history", number)
        self.at = -1
        self.written = 0
        self.seen = {}  # what a planted fault goes on telling

    # ---- names ------------------------------------------------------------------------------------------------

    def name(self, group):
        if self.random.random() < 0.3:
            return f"{group}/{self.random.choice(FOLDERS)}/{self.random.choice(FILES[:2])}"
        return f"{group}/{self.random.choice(FILES)}"

    def folder(self, group):
        return f"{group}/{self.random.choice(FOLDERS if self.random.random() < 0.7 else FILES)}"

    def create(self, path):
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644, dir_fd=self.at)
        try:
            found = {"ino": os.fstat(fd).st_ino}
        finally:
            os.close(fd)
        return found

    def stat(self, path):
        found = os.stat(path, dir_fd=self.at, follow_symlinks=False)
        return {"kind": "d" if stat.S_ISDIR(found.st_mode) else "f", "ino": found.st_ino, "nlink": found.st_nlink}

    def readdir(self, path):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY, dir_fd=self.at)
        try:
            return {"names": sorted(os.listdir(fd))}
        finally:
            os.close(fd)

    def call(self, op, *paths):
        at = {"dir_fd": self.at}
        both = {"src_dir_fd": self.at, "dst_dir_fd": self.at}
        return {"create": lambda: self.create(*paths), "stat": lambda: self.stat(*paths), "readdir": lambda: self.readdir(*paths),
                "mkdir": lambda: os.mkdir(*paths, **at), "rmdir": lambda: os.rmdir(*paths, **at),
                "unlink": lambda: os.unlink(*paths, **at), "link": lambda: os.link(*paths, **both, follow_symlinks=False),
                "rename": lambda: os.rename(*paths, **both),
                "rename_noreplace": lambda: rename_noreplace(self.at, *paths)}[op]() or {}

    def on_names(self):
        group = f"g{self.random.randrange(GROUPS)}"
        op = self.random.choices(["create", "mkdir", "rmdir", "unlink", "rename", "rename_noreplace", "link", "stat", "readdir"],
                                 [16, 8, 7, 14, 14, 6, 6, 24, 5])[0]
        if op == "readdir":
            paths = [group]
        elif op in ("mkdir", "rmdir"):
            paths = [self.folder(group)]
        elif op in ("rename", "rename_noreplace", "link"):
            paths = [self.name(group), self.name(group)]
        else:
            paths = [self.name(group)]
        self.recorder.run(op, paths, self.lying(op, paths, lambda: self.call(op, *paths)))

    # ---- data -------------------------------------------------------------------------------------------------

    def open(self, path, flags):
        return os.fdopen(os.open(path, flags, 0o644, dir_fd=self.at), "rb" if flags == os.O_RDONLY else "wb", buffering=0)

    def put(self, path, tag):
        if path.startswith("data/p"):
            with self.open(path, os.O_WRONLY) as file:
                file.write(content(tag, IN_PLACE_BYTES))
            return {}
        temporary = f"data/.{tag}"
        with self.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as file:
            file.write(content(tag, REPLACED_BYTES))
        os.rename(temporary, path, src_dir_fd=self.at, dst_dir_fd=self.at)
        return {}

    def get(self, path):
        with self.open(path, os.O_RDONLY) as file:
            data = file.readall()
        due = IN_PLACE_BYTES if path.startswith("data/p") else REPLACED_BYTES
        return {"tags": tags_in(data) if len(data) == due // LINE_BYTES * LINE_BYTES else []}

    def on_data(self):
        path = f"data/{self.random.choice('pr')}{self.random.randrange(2)}"
        if self.random.random() < 0.4:
            self.write(path)
        else:
            self.recorder.run("get", [path], self.lying("get", [path], lambda: self.get(path)))

    def write(self, path):
        self.written += 1
        tag = f"{self.number}-{self.written}"
        # A put that fails half way may have written: nobody knows.
        self.recorder.run("put", [path, tag], lambda: self.put(path, tag), known=lambda error: False)

    # ---- faults of our own ------------------------------------------------------------------------------------

    def lying(self, op, paths, action):
        if not self.plant or self.random.random() > 0.3:
            return action
        key = op, paths[0]

        def old():
            self.seen.setdefault(key, None)
            self.seen[key] = self.seen[key] or action()
            return self.seen[key]

        def twice():
            action()
            return action()
        if (self.plant, op) in (("stale-stat", "stat"), ("old-data", "get")):
            return old
        if (self.plant, op) == ("lost-rename", "rename"):
            return lambda: self.call("stat", paths[0]) and {}
        if (self.plant, op) == ("create-twice", "create"):
            return twice
        if (self.plant, op) == ("mixed-data", "get"):
            return lambda: {"tags": sorted({*action()["tags"], "1-1"} | {"1-2"})}
        return action

    def open_root(self):
        """The folder as it is mounted now. (A dead mount may still be there, and answer from the kernel's memory.)"""
        wait_for(self.root / "data")
        try:
            fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return
        if self.at >= 0:
            os.close(self.at)
        self.at = fd

    def run(self, until, rate):
        self.open_root()
        while time.monotonic() < until:
            (self.on_names if self.random.random() < 0.8 else self.on_data)()
            if self.recorder.lost:
                time.sleep(DEAD_PAUSE_SECONDS)
                self.open_root()
            time.sleep(self.random.random() * 2 / rate)


def prepare(root, history):
    """The folders that are always there, and the data files with their first contents."""
    for name in [*(f"g{group}" for group in range(GROUPS)), "data"]:
        (root / name).mkdir(parents=True)
    worker = Worker(root, 0, 0, history, None)
    worker.open_root()
    for number in range(2):
        path = f"data/p{number}"
        worker.recorder.run("put", [path, f"first-{number}"],
                            lambda: (root / path).write_bytes(content(f"first-{number}", IN_PLACE_BYTES)) and {})
        worker.write(f"data/r{number}")


def start(work):
    """Runs `work` in a process of its own; its pid."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            work()
            status = 0
        finally:
            sys.stdout.flush()
            os._exit(status)
    return pid


def record_history(folders, arguments, history):
    """Runs the processes and returns the files that they wrote; how many processes failed is told."""
    name = f"histories-{arguments.seed}-{os.getpid()}"
    prepare(pathlib.Path(folders[0]) / name, history)
    workers = []
    for number in range(arguments.processes * len(folders)):
        root = pathlib.Path(folders[number % len(folders)]) / name
        wait_for(root / "data")
        workers.append(Worker(root, number + 1, arguments.seed, history, arguments.plant if number == 0 else None))
    until = time.monotonic() + arguments.seconds
    running = [start(lambda worker=worker: worker.run(until, arguments.rate)) for worker in workers]
    failed = sum(1 for pid in running if os.waitpid(pid, 0)[1] != 0)
    if failed:
        print(f"{failed} processes failed", flush=True)
    shutil.rmtree(pathlib.Path(folders[0]) / name, ignore_errors=True)
    return sorted(pathlib.Path(history).glob("*.history")), failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--rate", type=float, default=150)
    parser.add_argument("--stale-ms", type=float, default=0)
    parser.add_argument("--history", help="keep the history in this folder")
    parser.add_argument("--plant", choices=["stale-stat", "lost-rename", "create-twice", "old-data", "mixed-data"])
    arguments = parser.parse_args()
    if arguments.seed is None:
        arguments.seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {arguments.seed}, {len(arguments.folders)} folders, {arguments.seconds} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="h.") as temporary:
        history = arguments.history or temporary
        os.makedirs(history, exist_ok=True)
        files, failed = record_history(arguments.folders, arguments, history)
        status = check_history.judge(record.load(files), int(arguments.stale_ms * 1e6))
    return status or (1 if failed else 0)


if __name__ == "__main__":
    sys.exit(main())
