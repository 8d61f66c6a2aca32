#!/usr/bin/env python3
"""The S3 server stands still, or dies, while a mount writes to it; then it comes back.

    s3_outage.py [WORD…]        only tests whose name contains one of the words

What docs/semantics.md and docs/operations.md promise: class local goes on until staging is full, class object waits,
reads wait and then answer EIO, nothing is lost, nothing needs a hand.
"""
import errno
import json
import mmap
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import e2e  # noqa: E402

MIB = 1 << 20
STAGING_MIB = 128
WAIT = 150  # seconds; only how long a failure takes

TESTS = []


def test(function):
    TESTS.append(function)
    return function


def pattern(seed, length):
    return random.Random(seed).randbytes(length)


class Work(threading.Thread):
    """Runs action() beside the test."""

    def __init__(self, action):
        super().__init__(daemon=True)
        self.action, self.result, self.error = action, None, None
        self.start()

    def run(self):
        try:
            self.result = self.action()
        except Exception as error:
            self.error = error

    def waits(self):
        return self.is_alive()

    def done(self, what):
        self.join(WAIT)
        if self.is_alive():
            raise e2e.E2eError(f"{what} still waits after {WAIT} s")
        if self.error:
            raise self.error
        return self.result


def soon(what, action):
    return Work(action).done(what)


def write_file(path, body, sync=False):
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
    try:
        os.write(fd, body)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def read_file(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)  # from the file system, not from the page cache
        parts = []
        while part := os.read(fd, MIB):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def read_direct(path):
    """One page in one request; near the end, where nothing lies in a block of another file that was read."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        page = mmap.mmap(-1, 4096)
        os.preadv(fd, [page], 5 * MIB)
        return page[:]
    finally:
        os.close(fd)


def staging(volume):
    return json.loads(e2e.run(e2e.SHOAL, "--json", "stats", volume.at).stdout)["staging"]


def all_stored(volume):
    soon("the flush", lambda: e2e.run(e2e.SHOAL, "flush", volume.at, timeout=WAIT))
    left = staging(volume)
    assert left["segments_waiting"] == 0 and not left["upload_error"], left


def cold(volume, *options):
    """Unmounted, and mounted with nothing cached."""
    volume.unmount()
    volume.drop_cache()
    volume.mount(*options)


class Filler:
    """A process that writes a file by the MiB; `written` tells how far it is. Not a thread: whatever this process starts
    would close a copy of the descriptor first, and that waits for room too."""

    def __init__(self, path, total):
        self.path, self.total = path, total
        self.progress = multiprocessing.Value("i", 0)
        self.process = multiprocessing.get_context("fork").Process(target=self.fill, daemon=True)
        self.process.start()

    def fill(self):
        fd = os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o644)
        for n in range(self.total):
            os.write(fd, pattern(1000 + n, MIB))
            self.progress.value = n + 1
        os.fsync(fd)
        os.close(fd)

    @property
    def written(self):
        return self.progress.value

    def waits(self):
        return self.process.is_alive()

    def stands_still(self, least=STAGING_MIB // 4):
        before = self.written
        for _ in range(20):
            if not self.waits() or self.written != before or before < least:
                return False
            threading.Event().wait(0.1)
        return True

    def check(self):
        self.process.join(WAIT)
        assert self.process.exitcode == 0, f"the writer: exit {self.process.exitcode}"
        with open(self.path, "rb") as file:
            for n in range(self.total):
                assert file.read(MIB) == pattern(1000 + n, MIB), f"{self.path.name}: MiB {n} is not what was written"
            assert not file.read(1)


def class_local_goes_on(scratch, server, stop, go_on, cold_read_fails):
    volume = e2e.Volume(scratch, "local", server.bucket_url("local", stop.__name__))
    size = ("--staging-size", f"{STAGING_MIB}M")
    volume.mount(*size)
    for name in ("warm", "cold"):
        write_file(volume.at / name, pattern(name, 6 * MIB))
    all_stored(volume)
    cold(volume, *size)
    assert read_file(volume.at / "warm") == pattern("warm", 6 * MIB)
    fd = os.open(volume.at / "warm", os.O_RDONLY)
    stop()
    for n in range(20):
        soon("a write with fsync", lambda n=n: write_file(volume.at / f"staged-{n}", pattern(n, MIB // 4), sync=True))
    for n in range(20):
        assert soon("a read of staging", lambda n=n: read_file(volume.at / f"staged-{n}")) == pattern(n, MIB // 4)
    assert soon("a read of the cache", lambda: read_file(volume.at / "warm")) == pattern("warm", 6 * MIB)
    soon("rename and unlink", lambda: (os.rename(volume.at / "staged-0", volume.at / "renamed"), os.unlink(volume.at / "staged-1")))
    reader = Work(lambda: read_direct(volume.at / "cold") if cold_read_fails else read_file(volume.at / "cold"))
    filler = Filler(volume.at / "big", 3 * STAGING_MIB)
    e2e.wait_until(filler.stands_still, WAIT, "the writer to wait for room in staging")
    assert filler.written <= STAGING_MIB + 64, f"{filler.written} MiB were taken, {STAGING_MIB} may be staged"
    e2e.wait_until(lambda: staging(volume)["upload_error"], WAIT, "the cause in shoal stats")
    if cold_read_fails:
        try:
            reader.done("a read of the bucket")
            raise AssertionError("bytes that only the bucket has were read without it")
        except OSError as error:
            assert error.errno == errno.EIO, error
        reader = Work(lambda: read_file(volume.at / "cold"))
    assert filler.waits(), "the writer did not wait for the bucket"
    go_on()
    assert reader.done("the read of the bucket") == pattern("cold", 6 * MIB)
    os.close(fd)
    filler.check()
    all_stored(volume)
    cold(volume)
    filler.check()
    for name in ("warm", "cold"):
        assert read_file(volume.at / name) == pattern(name, 6 * MIB)
    for n in range(2, 20):
        assert read_file(volume.at / f"staged-{n}") == pattern(n, MIB // 4)
    assert read_file(volume.at / "renamed") == pattern(0, MIB // 4)
    volume.unmount()
    volume.fsck("--data")


@test
def class_local_while_the_server_stands_still(scratch, server):
    def stand_still():
        os.kill(server.process.pid, signal.SIGSTOP)

    def go_on():
        os.kill(server.process.pid, signal.SIGCONT)

    class_local_goes_on(scratch, server, stand_still, go_on, cold_read_fails=False)


@test
def class_local_while_the_server_is_dead(scratch, server):
    class_local_goes_on(scratch, server, server.kill, server.start, cold_read_fails=True)


@test
def class_object_waits_and_survives_the_loss_of_staging(scratch, server):
    volume = e2e.Volume(scratch, "object", server.bucket_url("object"), "--durability", "object")
    volume.mount()
    server.kill()
    soon("write and close", lambda: write_file(volume.at / "closed", b"closed"))
    fsync = Work(lambda: write_file(volume.at / "synced", pattern(1, 3 * MIB), sync=True))
    e2e.wait_until(lambda: staging(volume)["upload_error"], WAIT, "the cause in shoal stats")
    assert fsync.waits(), "fsync returned and the bucket has nothing"
    server.start()
    fsync.done("fsync")
    volume.kill()
    shutil.rmtree(volume.state)
    volume.mount("--accept-lost-staging")
    assert read_file(volume.at / "synced") == pattern(1, 3 * MIB), "fsync returned before the bucket had the bytes"
    volume.unmount()
    volume.fsck("--data")


@test
def a_writer_that_waits_for_staging_can_be_killed(scratch, server):
    volume = e2e.Volume(scratch, "killed", server.bucket_url("killed"))
    volume.mount("--staging-size", f"{STAGING_MIB}M")
    server.kill()
    fillers = [Filler(volume.at / f"big-{n}", 3 * STAGING_MIB) for n in range(2)]
    e2e.wait_until(lambda: all(filler.stands_still(1) for filler in fillers), WAIT, "the writers to wait for room in staging")
    for filler in fillers:
        filler.process.kill()
        filler.process.join(WAIT)
        assert filler.process.exitcode == -signal.SIGKILL, f"the writer: exit {filler.process.exitcode}"
    os.stat(volume.at / "big-0")
    server.start()
    all_stored(volume)
    for filler in fillers:
        with open(filler.path, "rb") as file:  # what write(2) acknowledged is there, and at most one more
            for n in range(filler.written):
                assert file.read(MIB) == pattern(1000 + n, MIB), f"{filler.path.name}: MiB {n} is not what was written"
            assert len(file.read()) in (0, MIB)
    volume.unmount()
    volume.fsck("--data")


@test
def store_timeout_turns_waiting_into_eio(scratch, server):
    volume = e2e.Volume(scratch, "timeout", server.bucket_url("timeout"), "--durability", "object")
    volume.mount("-o", "store_timeout=3")
    server.kill()
    fd = os.open(volume.at / "file", os.O_CREAT | os.O_WRONLY, 0o644)
    os.write(fd, b"bytes")
    try:
        soon("fsync", lambda: os.fsync(fd))
        raise AssertionError("fsync returned and the bucket has nothing")
    except OSError as error:
        assert error.errno == errno.EIO, error
    server.start()
    all_stored(volume)
    soon("fsync", lambda: os.fsync(fd))
    os.close(fd)
    cold(volume)
    assert read_file(volume.at / "file") == b"bytes"
    volume.unmount()
    volume.fsck("--data")


@test
def forced_unmount_leaves_the_rest_to_the_next_mount(scratch, server):
    volume = e2e.Volume(scratch, "forced", server.bucket_url("forced"))
    volume.mount()
    server.kill()
    write_file(volume.at / "file", pattern(2, MIB), sync=True)
    soon("umount --force", lambda: volume.unmount("--force"))
    assert not os.path.ismount(volume.at)
    server.start()
    volume.mount()
    assert read_file(volume.at / "file") == pattern(2, MIB)
    all_stored(volume)
    cold(volume)
    assert read_file(volume.at / "file") == pattern(2, MIB)
    volume.unmount()
    volume.fsck("--data")


def with_server(action):
    with e2e.Scratch() as scratch:
        action(scratch, e2e.S3Server(scratch))


def main():
    checks = [(each.__name__, lambda each=each: with_server(each)) for each in TESTS]
    os._exit(e2e.run_checks(checks, sys.argv[1:]))  # a thread may still wait for the bucket


if __name__ == "__main__":
    main()
