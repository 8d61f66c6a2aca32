#!/usr/bin/env python3
"""One writer of the crash test: does random operations below a folder and notes each, before and after, in a log that
lies outside the mount. Ends at the first error: the mount is gone.

    writer.py FOLDER LOG SEED

FOLDER exists: made here, it could come to be below the mount.

The log has a line of JSON per event: {"i": n, "op": ..., "file": ..., ...} before an operation, {"done": n} after it.
"""
import json
import os
import random
import sys

FILES = 12
FILE_BYTES_MAX = 200_000
MIB = 1 << 20
LARGE_BYTES = (8 * MIB, 40 * MIB)


def pattern(seed, length):
    return random.Random(seed).randbytes(length)


class Writer:
    def __init__(self, folder, log, seed):
        self.folder, self.random = folder, random.Random(seed)
        self.log = open(log, "a", buffering=1, encoding="utf-8")
        self.n = 0
        self.open = {}

    def step(self, op, file, action, **facts):
        self.n += 1
        self.log.write(json.dumps({"i": self.n, "op": op, "file": file, **facts}) + "\n")
        result = action()
        self.log.write(json.dumps({"done": self.n}) + "\n")
        return result

    def path(self, file):
        return os.path.join(self.folder, file)

    def one(self):
        if self.random.random() < 0.03:
            return self.large("g0")
        file = f"f{self.random.randrange(FILES)}"
        path = self.path(file)
        if file not in self.open:
            roll = self.random.random()
            if roll < 0.12:
                if os.path.exists(path):
                    self.step("unlink", file, lambda: os.unlink(path))
                return
            if roll < 0.3:
                return self.replace(file)
            self.open[file] = self.step("open", file, lambda: os.open(path, os.O_RDWR | os.O_CREAT, 0o644))
            return
        fd = self.open[file]
        roll = self.random.random()
        if roll < 0.6:
            offset = self.random.randrange(FILE_BYTES_MAX)
            length = min(self.random.choice([1, 100, 4096, 10_000, 65_536, 131_072]), FILE_BYTES_MAX * 2)
            seed = self.random.getrandbits(32)
            self.step("write", file, lambda: os.pwrite(fd, pattern(seed, length), offset), at=offset, n=length, seed=seed)
        elif roll < 0.7:
            size = self.random.randrange(FILE_BYTES_MAX)
            self.step("truncate", file, lambda: os.ftruncate(fd, size), size=size)
        elif roll < 0.8:
            self.step("fsync", file, lambda: os.fsync(fd))
        else:
            del self.open[file]
            self.step("close", file, lambda: os.close(fd))

    def replace(self, file):
        """The way programs save: a new file, written, closed, renamed over the old one."""
        temporary = self.path(file + ".tmp")
        seed, length = self.random.getrandbits(32), self.random.randrange(1, 50_000)

        def save():
            with open(temporary, "wb") as out:
                out.write(pattern(seed, length))
            os.rename(temporary, self.path(file))

        self.step("replace", file, save, seed=seed, n=length)


    def large(self, file):
        """A file written from its beginning to its end, in pieces of one size."""
        path = self.path(file)
        if os.path.exists(path):
            self.step("unlink", file, lambda: os.unlink(path))
        fd = self.step("open", file, lambda: os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644))
        length = self.random.choice([MIB, MIB, MIB // 4, 100_000])
        at, size = 0, self.random.randrange(*LARGE_BYTES)
        while at < size:
            seed = self.random.getrandbits(32)
            self.step("write", file, lambda: os.write(fd, pattern(seed, length)), at=at, n=length, seed=seed)
            at += length
            if self.random.random() < 0.1:
                self.step("fsync", file, lambda: os.fsync(fd))
        self.step("close", file, lambda: os.close(fd))


def main():
    writer = Writer(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    try:
        while True:
            writer.one()
    except OSError as error:
        print(f"ended: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
