#!/usr/bin/env python3
"""Differential test: random operations on a real mount and on a local directory; errno, results, attributes, names and
bytes must be the same. Unmounting, SIGKILL, gc and repack are operations too. Ends with fsck.

    differential.py [--operations 20000] [--seed N] [--trash-days 1] [--verbose]

The same seed runs the same operations. The local directory lies in the scratch folder ($SHOAL_SCRATCH, $TMPDIR, /tmp): on
ext4, xfs or btrfs.
"""
import argparse
import collections
import os
import pathlib
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "lib"))
import e2e  # noqa: E402
import operations  # noqa: E402
import tree  # noqa: E402

# Where the mount and a local file system may leave different modification times: both are set after these.
OWN_MTIME = {"fallocate", "write_mapped"}


class Mismatch(Exception):
    pass


class Differential:
    def __init__(self, scratch, arguments):
        bucket = f"file://{scratch.path}/bucket"
        self.volume = e2e.Volume(scratch, "diff", bucket, "--trash-days", str(arguments.trash_days))
        self.clock = tree.Clock(time.time_ns())
        self.counts, self.log = collections.Counter(), collections.deque(maxlen=40)
        self.mounts = 0
        self.volume.mount()
        local = scratch.path / "local" / "tree"
        (self.volume.at / "tree").mkdir()
        local.mkdir(parents=True)
        self.sides = [operations.Side(str(self.volume.at / "tree"), True), operations.Side(str(local), False)]
        for side in self.sides:
            os.chmod(side.root, 0o777)
            side.open()

    # ---- one operation ------------------------------------------------------------------------------------------

    def step(self, number, operation):
        name, function, arguments, base, user, umask = operation
        self.counts[name] += 1
        if function is None:
            self.log.append(f"{number} {name}")
            getattr(self, name)()
            return
        words = f"{number} {name} {arguments} base {base} user {user} umask {umask:o}"
        try:
            mount, local = [operations.perform(side, function, arguments, base, user, umask) for side in self.sides]
        except AssertionError as error:
            self.log.append(words)
            raise Mismatch(str(error)) from error
        shown = mount[1] if mount[0] == "failed" else mount[0]
        self.log.append(f"{words}: {shown}")
        if mount[0] == "done":
            self.counts["went well"] += 1
        if mount[0] != local[0]:
            raise Mismatch(f"{mount!r:.200} on the mount, {local!r:.200} on the local disk")
        self.same("result", mount[1], local[1])
        if name in OWN_MTIME:
            for side in self.sides:
                fd = side.handle(arguments[0])
                if fd is not None:
                    os.utime(fd, ns=(10**9, number))
        self.compare_touched(arguments, base)

    def same(self, what, mount, local):
        found = tree.difference(what, mount, local)
        if found:
            raise Mismatch(found)

    def compare_touched(self, arguments, base):
        """The paths that were named, their directories, and every file held open."""
        for path in [a for a in arguments if isinstance(a, str)]:
            for each in {path, os.path.dirname(path) or "."}:
                self.same(f"lstat {each}", *[self.lstat(side, base, each) for side in self.sides])
        for slot in range(operations.HANDLES):
            fds = [side.handles[slot] for side in self.sides]
            if fds[0] is not None:
                self.same(f"handle {slot}", *[tree.attributes(os.fstat(fd), self.clock) for fd in fds])

    def lstat(self, side, base, path):
        try:
            return tree.attributes(os.stat(path, dir_fd=side.base(base), follow_symlinks=False), self.clock)
        except OSError as error:
            return os.strerror(error.errno)

    # ---- the whole mount ----------------------------------------------------------------------------------------

    def compare(self):
        drop = self.counts["compare"] % 2 == 0
        trees = [tree.snapshot(side.root, self.clock, drop and side.drops_pages) for side in self.sides]
        self.same("tree", *trees)
        for slot in range(operations.HANDLES):
            fds = [side.handles[slot] for side in self.sides]
            if fds[0] is not None:
                self.same(f"bytes of handle {slot}", *[self.body(fd) for fd in fds])

    def body(self, fd):
        try:
            return tree.content(f"/proc/self/fd/{fd}", False)
        except OSError as error:
            return os.strerror(error.errno)

    def mount_again(self):
        """With and without what the kernel keeps: both must show the same."""
        self.mounts += 1
        options = ("-o", "attr_timeout=0,entry_timeout=0") if self.mounts % 2 else ()
        self.volume.mount(*options)
        for side in self.sides:
            side.open()
        self.compare()

    def remount(self):
        for side in self.sides:
            side.close_all()
        self.volume.unmount()
        self.mount_again()

    def kill(self):
        """What was closed survives, and every name."""
        for side in self.sides:
            side.close_all()
        self.volume.kill()
        if self.counts["kill"] % 2:
            self.volume.drop_cache()
        self.mount_again()

    def flush(self):
        e2e.run(e2e.SHOAL, "flush", self.volume.at)

    def gc(self):
        e2e.run(e2e.SHOAL, "gc", self.volume.meta, "--delete")

    def repack(self):
        e2e.run(e2e.SHOAL, "repack", self.volume.meta)

    def empty_trash(self):
        e2e.run(e2e.SHOAL, "trash", "empty", self.volume.meta)

    def finish(self):
        self.compare()
        self.remount()
        for side in self.sides:
            side.close_all()
        self.volume.unmount()
        self.volume.fsck()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--trash-days", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="print each operation")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, {arguments.operations} operations, trash {arguments.trash_days} days", flush=True)
    os.setgroups([])
    with e2e.Scratch() as scratch:
        test = Differential(scratch, arguments)
        number = 0
        try:
            for number, operation in enumerate(operations.draw_all(arguments.seed, arguments.operations), 1):
                test.step(number, operation)
                if arguments.verbose:
                    print(test.log[-1])
            test.finish()
        except Exception as error:
            print("\n".join(test.log))
            print(f"operation {number}: {'' if isinstance(error, Mismatch) else type(error).__name__ + ' '}{error}")
            if not isinstance(error, Mismatch):
                traceback.print_exc()
            print(f"again: {pathlib.Path(__file__).name} --seed {arguments.seed} --trash-days {arguments.trash_days} "
                  f"--operations {number}")
            return 1
    counts = test.counts
    print(f"{number} operations, {counts['went well']} went well; "
          f"{counts['remount']} remounts, {counts['kill']} kills, {counts['compare']} comparisons (seed {arguments.seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
