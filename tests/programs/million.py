#!/usr/bin/env python3
"""One directory with very many entries: made, listed, counted, looked up, listed by a fresh handle, removed.

    million.py FOLDER [ENTRIES]        (1,000,000 unless told; prints seconds for each step)
"""
import os
import random
import sys
import tempfile
import time


def step(name, started):
    print(f"{name}: {time.monotonic() - started:.1f} s", flush=True)


def main():
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    rng = random.Random(11)
    folder = tempfile.mkdtemp(prefix="million.", dir=sys.argv[1])
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    started = time.monotonic()
    for n in range(count):
        os.close(os.open(f"f{n:07}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, dir_fd=handle))
    step(f"make {count}", started)

    started = time.monotonic()
    seen = bytearray(count)
    with os.scandir(folder) as entries:
        for entry in entries:
            n = int(entry.name[1:])
            assert not seen[n], f"{entry.name} listed twice"
            seen[n] = 1
    assert sum(seen) == count, f"listed {sum(seen)} of {count}"
    step("list", started)

    started = time.monotonic()
    for n in rng.sample(range(count), min(count, 20_000)):
        os.stat(f"f{n:07}", dir_fd=handle)
    for n in range(1000):
        try:
            os.stat(f"absent{n}", dir_fd=handle)
            raise AssertionError("a name that was never made is there")
        except FileNotFoundError:
            pass
    step("look up 20,000", started)

    started = time.monotonic()
    for n in range(0, count, 2):
        os.unlink(f"f{n:07}", dir_fd=handle)
    step("remove every other", started)
    left = os.listdir(folder)
    assert sorted(left) == [f"f{n:07}" for n in range(1, count, 2)], f"{len(left)} names are left"

    started = time.monotonic()
    for name in left:
        os.unlink(name, dir_fd=handle)
    os.close(handle)
    os.rmdir(folder)
    step("remove the rest", started)


if __name__ == "__main__":
    main()
