#!/usr/bin/env python3
"""Prints one line for every name under a folder: type, mode, owner, links, size, mtime and SHA-256 of what it holds.

    manifest.py FOLDER [--skip NAME]

Two trees are the same when their manifests are. Directories: sizes and times are left out (they are the file
system's own).
"""
import hashlib
import os
import stat
import sys


def line_of(path, name):
    info = os.lstat(path)
    common = f"{stat.filemode(info.st_mode)} {info.st_uid}:{info.st_gid} {name!r}"
    if stat.S_ISDIR(info.st_mode):
        return common
    if stat.S_ISLNK(info.st_mode):
        return f"{common} -> {os.readlink(path)!r}"
    if stat.S_ISREG(info.st_mode):
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        return f"{common} links {info.st_nlink} size {info.st_size} mtime {info.st_mtime_ns} {digest.hexdigest()}"
    return f"{common} rdev {info.st_rdev}"


def main():
    top = sys.argv[1]
    skip = sys.argv[3] if len(sys.argv) > 3 else None
    for folder, directories, files in os.walk(top):
        directories[:] = sorted(d for d in directories if d != skip)
        for name in sorted(directories + files):
            path = os.path.join(folder, name)
            print(line_of(path, os.path.relpath(path, top)))


if __name__ == "__main__":
    main()
