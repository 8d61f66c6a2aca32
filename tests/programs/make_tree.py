#!/usr/bin/env python3
"""Writes a source tree into a new folder: the same seed and count give the same bytes, modes and times.

    make_tree.py FOLDER COUNT [SEED]

COUNT regular files in directories up to six deep; sizes as in source trees (most under 8 KiB, some empty, a few of
a megabyte); besides, one symbolic link per 50 files and one hard link per 100; some executable, some read-only.
"""
import os
import random
import sys

WORDS = ("alpha beta gamma delta index buffer client server queue parser token stream cache table widget layout "
         "matrix vector signal thread socket option record cursor filter search module handler config report").split()


def size_of(rng):
    kind = rng.random()
    if kind < 0.02:
        return 0
    if kind < 0.995:
        return min(int(rng.lognormvariate(7.8, 1.3)), 200_000)
    return rng.randrange(500_000, 1_500_000)


def main():
    folder, count = sys.argv[1], int(sys.argv[2])
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    os.makedirs(folder)
    text = "".join(f"{rng.choice(WORDS)}_{rng.choice(WORDS)}({rng.randrange(1000)});\n" for _ in range(60_000)).encode()
    directories = [folder]
    files = []
    for number in range(count):
        if number % 25 == 0:
            parent = rng.choice(directories)
            if parent.count("/") - folder.count("/") < 6:
                path = f"{parent}/{rng.choice(WORDS)}{number}"
                os.mkdir(path)
                directories.append(path)
        path = f"{rng.choice(directories[-200:])}/{rng.choice(WORDS)}_{number}.{rng.choice(['c', 'h', 'py', 'md'])}"
        size = size_of(rng)
        start = rng.randrange(len(text) - 1000)
        with open(path, "wb") as file:
            while size > 0:
                piece = text[start:start + size]
                file.write(piece)
                size -= len(piece)
                start = 0
        os.chmod(path, rng.choice([0o644, 0o644, 0o644, 0o755, 0o600, 0o444]))
        os.utime(path, ns=(0, (1_500_000_000 + rng.randrange(200_000_000)) * 10**9 + rng.randrange(10**9)))
        files.append(path)
        if number % 50 == 49:
            os.symlink(os.path.relpath(rng.choice(files), os.path.dirname(path)), path + ".symlink")
        if number % 100 == 99:
            os.link(rng.choice(files), path + ".hardlink")


if __name__ == "__main__":
    main()
