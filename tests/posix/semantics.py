#!/usr/bin/env python3
"""Promises about a mounted file system that the public suites do not hold, each under its own name.

    semantics.py FOLDER [--local] [WORD…]     as root; only tests whose name contains one of the words

--local leaves out what an ordinary local file system does not promise either (see BEYOND_LOCAL), so that all the
rest can be proved on one.
"""
import ctypes
import errno
import fcntl
import mmap
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import e2e  # noqa: E402

TESTS, BEYOND_LOCAL = [], []
libc = ctypes.CDLL(None, use_errno=True)


def test(function):
    TESTS.append(function)
    return function


def beyond_local(function):
    BEYOND_LOCAL.append(function)
    return function


def make(path, data=b"", mode=0o644):
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_EXCL, mode)
    if data:
        os.write(fd, data)
    return fd


def touch(path, data=b"", mode=0o644):
    os.close(make(path, data, mode))
    os.chmod(path, mode)


def refused(code, call, *args):
    try:
        call(*args)
    except OSError as error:
        assert error.errno == code, f"{errno.errorcode[error.errno]} instead of {errno.errorcode[code]}"
        return
    raise AssertionError(f"worked, but {errno.errorcode[code]} was due")


def in_child(body):
    """Runs body() in a forked process; true when it returned without an exception."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            body()
            status = 0
        except BaseException:  # the child must never come back into the runner
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


class Statx:
    """statx(2): mode and birth time, by default from the kernel's cache (AT_STATX_DONT_SYNC)."""

    def __init__(self, path, flags=0x4000):
        buffer = ctypes.create_string_buffer(256)
        if libc.statx(-100, os.fsencode(path), flags | 0x100, 0xFFF, buffer) != 0:
            raise OSError(ctypes.get_errno(), path)
        self.mask, = struct.unpack_from("=I", buffer.raw, 0)
        self.mode, = struct.unpack_from("=H", buffer.raw, 28)
        self.birth = struct.unpack_from("=qI", buffer.raw, 80)


# ---- link counts, directories -----------------------------------------------------------------------------------

@test
def link_counts_of_the_other_names_are_current_at_once(d):
    touch(f"{d}/a")
    os.stat(f"{d}/a")
    os.link(f"{d}/a", f"{d}/b")
    assert os.stat(f"{d}/a").st_nlink == os.stat(f"{d}/b").st_nlink == 2
    os.link(f"{d}/b", f"{d}/c")
    assert os.stat(f"{d}/a").st_nlink == 3
    os.unlink(f"{d}/b")
    assert os.stat(f"{d}/a").st_nlink == os.stat(f"{d}/c").st_nlink == 2
    touch(f"{d}/other")
    os.rename(f"{d}/other", f"{d}/c")
    assert os.stat(f"{d}/a").st_nlink == 1


@test
def an_open_unlinked_file_has_no_links_and_keeps_its_bytes(d):
    fd = make(f"{d}/a", b"bytes")
    os.link(f"{d}/a", f"{d}/b")
    os.unlink(f"{d}/a")
    assert os.fstat(fd).st_nlink == 1
    os.unlink(f"{d}/b")
    assert os.fstat(fd).st_nlink == 0
    os.pwrite(fd, b"more", 5)
    assert os.pread(fd, 100, 0) == b"bytesmore"
    os.ftruncate(fd, 2)
    assert os.fstat(fd).st_size == 2
    os.close(fd)


@test
def a_removed_directory_has_no_links_through_its_descriptor(d):
    os.mkdir(f"{d}/sub")
    fd = os.open(f"{d}/sub", os.O_RDONLY | os.O_DIRECTORY)
    assert os.fstat(fd).st_nlink == 2
    os.rmdir(f"{d}/sub")
    assert os.fstat(fd).st_nlink == 0
    assert os.listdir(fd) == []
    assert os.listxattr(fd) == []
    refused(errno.ENODATA, lambda: os.getxattr(fd, "user.x"))
    refused(errno.ENOENT, lambda: os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    os.mkdir(f"{d}/old")
    os.mkdir(f"{d}/new")
    fd = os.open(f"{d}/old", os.O_PATH | os.O_DIRECTORY)
    os.rename(f"{d}/new", f"{d}/old")
    assert os.fstat(fd).st_nlink == 0
    os.close(fd)


@test
def a_directory_counts_its_subdirectories(d):
    for name in "abc":
        os.mkdir(f"{d}/{name}")
    assert os.stat(d).st_nlink == 5
    os.rename(f"{d}/a", f"{d}/b/a")
    assert (os.stat(d).st_nlink, os.stat(f"{d}/b").st_nlink) == (4, 3)
    os.rmdir(f"{d}/c")
    assert os.stat(d).st_nlink == 3


@test
def a_directorys_times_change_with_every_entry(d):
    def times():
        info = os.stat(d)
        return info.st_mtime_ns, info.st_ctime_ns

    os.mkdir(f"{d}/elsewhere")
    steps = [
        ("create", lambda: touch(f"{d}/a")), ("mkdir", lambda: os.mkdir(f"{d}/m")),
        ("symlink", lambda: os.symlink("a", f"{d}/s")), ("mkfifo", lambda: os.mkfifo(f"{d}/p")),
        ("link", lambda: os.link(f"{d}/a", f"{d}/b")), ("rename inside", lambda: os.rename(f"{d}/a", f"{d}/c")),
        ("rename out", lambda: os.rename(f"{d}/c", f"{d}/elsewhere/c")),
        ("rename in", lambda: os.rename(f"{d}/elsewhere/c", f"{d}/c")), ("unlink", lambda: os.unlink(f"{d}/b")),
        ("rmdir", lambda: os.rmdir(f"{d}/m")),
    ]
    for name, action in steps:
        before = times()
        time.sleep(0.02)  # above the granularity of a local file system's clock
        action()
        after = times()
        assert after[0] > before[0] and after[1] > before[1], f"{name} left the directory's times alone"


# ---- times --------------------------------------------------------------------------------------------------------

@test
def times_before_1970_and_after_2038_are_kept_to_the_nanosecond(d):
    touch(f"{d}/a")
    for seconds in (-2_000_000_000, -1, 0, 2**31 - 1, 2**31, 7_000_000_000):
        want = (seconds * 10**9 + 123_456_789, seconds * 10**9 + 987_654_321)
        os.utime(f"{d}/a", ns=want)
        info = os.stat(f"{d}/a")
        assert (info.st_atime_ns, info.st_mtime_ns) == want, f"{seconds} s"


@test
def birth_time_is_there_and_never_changes(d):
    touch(f"{d}/a")
    first = Statx(f"{d}/a", flags=0)
    assert first.mask & 0x800, "statx gives no birth time"
    assert abs(first.birth[0] - time.time()) < 60
    os.utime(f"{d}/a", ns=(0, 0))
    os.rename(f"{d}/a", f"{d}/b")
    os.truncate(f"{d}/b", 100)
    assert Statx(f"{d}/b", flags=0).birth == first.birth


# ---- locks --------------------------------------------------------------------------------------------------------

@test
def a_deadlock_of_posix_locks_answers_edeadlk(d):
    fd = make(f"{d}/a", b"12")
    there_r, there_w = os.pipe()
    pid = os.fork()
    if pid == 0:
        mine = os.open(f"{d}/a", os.O_RDWR)
        fcntl.lockf(mine, fcntl.LOCK_EX, 1, 1)
        os.write(there_w, b"x")
        status = 0
        try:
            fcntl.lockf(mine, fcntl.LOCK_EX, 1, 0)  # waits for the parent
        except OSError as error:
            status = 7 if error.errno == errno.EDEADLK else 1
        os._exit(status)
    fcntl.lockf(fd, fcntl.LOCK_EX, 1, 0)
    os.read(there_r, 1)
    # Whoever comes second gets EDEADLK: the parent, unless the child was later.
    signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
    signal.alarm(20)
    mine = False
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX, 1, 1)
    except OSError as error:
        assert error.errno == errno.EDEADLK, error
        mine = True
    os.close(fd)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    signal.alarm(0)
    assert mine or status == 7, "nobody was told about the deadlock"
    assert status in (0, 7), f"the child ended with {status}"


@test
def closing_any_descriptor_drops_the_processs_posix_locks(d):
    fd = make(f"{d}/a", b"x")
    fcntl.lockf(fd, fcntl.LOCK_EX)

    def is_locked():
        with open(f"{d}/a", "r+b") as other:
            fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB)

    assert not in_child(lambda: (sys.stderr.close(), is_locked())), "the lock does not hold"
    os.close(os.open(f"{d}/a", os.O_RDONLY))
    assert in_child(is_locked), "another descriptor was closed and the lock is still held"
    os.close(fd)


@test
def a_blocked_lock_wakes_as_soon_as_it_is_free(d):
    for kind in ("posix", "flock", "ofd"):
        path = f"{d}/{kind}"
        fd = make(path, b"x")
        lock(kind, fd, fcntl.F_WRLCK, wait=True)
        ready_r, ready_w = os.pipe()
        pid = os.fork()
        if pid == 0:
            other = os.open(path, os.O_RDWR)
            os.write(ready_w, b"x")
            lock(kind, other, fcntl.F_WRLCK, wait=True)
            os._exit(0)
        os.read(ready_r, 1)
        time.sleep(0.3)  # so that it really waits
        assert os.waitpid(pid, os.WNOHANG) == (0, 0), f"{kind}: the lock did not make the other wait"
        started = time.monotonic()
        lock(kind, fd, fcntl.F_UNLCK, wait=True)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert time.monotonic() - started < 5, f"{kind}: the waiter woke late"
        os.close(fd)


F_OFD_SETLK, F_OFD_SETLKW = 37, 38


def lock(kind, fd, what, wait):
    if kind == "flock":
        how = {fcntl.F_WRLCK: fcntl.LOCK_EX, fcntl.F_RDLCK: fcntl.LOCK_SH, fcntl.F_UNLCK: fcntl.LOCK_UN}[what]
        fcntl.flock(fd, how | (0 if wait else fcntl.LOCK_NB))
        return
    record = struct.pack("hhqqi4x", what, os.SEEK_SET, 0, 0, 0)
    if kind == "posix":
        fcntl.fcntl(fd, fcntl.F_SETLKW if wait else fcntl.F_SETLK, record)
    else:
        fcntl.fcntl(fd, F_OFD_SETLKW if wait else F_OFD_SETLK, record)


@test
def ofd_locks_belong_to_the_open_file_and_outlive_nothing(d):
    one = make(f"{d}/a", b"x")
    two = os.open(f"{d}/a", os.O_RDWR)
    lock("ofd", one, fcntl.F_WRLCK, wait=False)
    refused(errno.EAGAIN, lambda: lock("ofd", two, fcntl.F_WRLCK, wait=False))
    os.close(os.open(f"{d}/a", os.O_RDONLY))  # another descriptor's close does not drop it
    refused(errno.EAGAIN, lambda: lock("ofd", two, fcntl.F_WRLCK, wait=False))
    copy = os.dup(one)
    os.close(one)
    refused(errno.EAGAIN, lambda: lock("ofd", two, fcntl.F_WRLCK, wait=False))
    os.close(copy)
    lock("ofd", two, fcntl.F_WRLCK, wait=False)
    os.close(two)
    pid = os.fork()
    if pid == 0:
        lock("ofd", os.open(f"{d}/a", os.O_RDWR), fcntl.F_WRLCK, wait=False)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    three = os.open(f"{d}/a", os.O_RDWR)
    lock("ofd", three, fcntl.F_WRLCK, wait=False)  # a killed process's lock is gone
    os.close(three)


# ---- privileges, ACLs, flags ----------------------------------------------------------------------------------------

def as_user(body):
    def child():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        body()
    return in_child(child)


@test
def writes_and_truncates_of_others_clear_setuid_at_once(d):
    os.chmod(d, 0o777)
    actions = {
        "write": lambda path: os.write(os.open(path, os.O_WRONLY), b"x"),
        "truncate": lambda path: os.truncate(path, 1),
        "open with O_TRUNC": lambda path: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC)),
        "fallocate": lambda path: os.posix_fallocate(os.open(path, os.O_RDWR), 0, 8192),
    }
    for name, action in actions.items():
        path = f"{d}/{name.replace(' ', '-')}"
        touch(path, b"bytes", 0o6777)
        assert Statx(path, flags=0).mode & 0o6000 == 0o6000
        assert as_user(lambda: action(path)), name
        shown = Statx(path, flags=0x4000).mode  # from the kernel's cache: a long TTL must not show the old mode
        assert shown & 0o6000 == 0, f"{name}: mode {shown:o} is still setuid"
    path = f"{d}/root"
    touch(path, b"bytes", 0o6777)
    os.chown(path, 65534, 65534)
    assert Statx(path).mode & 0o6000 == 0, "chown left setuid"


@test
def a_chown_by_somebody_else_leaves_setuid(d):
    path = f"{d}/program"
    touch(path, b"bytes", 0o6755)
    os.chmod(d, 0o755)

    def change_nothing():
        try:
            os.chown(path, -1, -1)
        except PermissionError:
            pass

    assert as_user(change_nothing)
    assert Statx(path, flags=0).mode & 0o6000 == 0o6000
    os.chown(path, -1, -1)
    assert Statx(path, flags=0).mode & 0o6000 == 0, "chown by root left setuid"
    os.chmod(d, 0o2755)
    os.chown(d, -1, -1)
    assert Statx(d, flags=0).mode & 0o2000, "a directory lost its setgid bit"


@test
def a_running_program_is_neither_opened_for_writing_nor_truncated(d):
    path = f"{d}/program"
    shutil.copy("/usr/bin/sleep", path)
    with open(path, "rb") as file:
        body = file.read()
    program = subprocess.Popen([path, "1000"])
    try:
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC, os.O_WRONLY | os.O_TRUNC):
            refused(errno.ETXTBSY, os.open, path, flags)
            assert program.poll() is None, f"open with flags {flags:o} ended the program: {program.returncode}"
        refused(errno.ETXTBSY, os.truncate, path, 0)
        with open(path, "rb") as file:
            assert file.read() == body, "the program's file has changed"
        program.terminate()
        assert program.wait(30) == -signal.SIGTERM  # a program that lost its pages ends with SIGBUS
    finally:
        program.kill()
        program.wait()


@test
def a_setgid_directory_gives_its_group_and_bit(d):
    os.mkdir(f"{d}/g")
    os.chown(f"{d}/g", 0, 1234)
    os.chmod(f"{d}/g", 0o2777)
    touch(f"{d}/g/f")
    os.mkdir(f"{d}/g/sub")
    assert os.stat(f"{d}/g/f").st_gid == os.stat(f"{d}/g/sub").st_gid == 1234
    assert os.stat(f"{d}/g/sub").st_mode & 0o2000


@test
def default_acls_are_inherited_and_the_umask_does_not_count(d):
    for umask in (0o000, 0o022, 0o027, 0o077):
        old = os.umask(umask)
        try:
            with_acl, without = f"{d}/acl{umask:o}", f"{d}/plain{umask:o}"
            os.mkdir(with_acl)
            os.mkdir(without)
            run("setfacl", "-d", "-m", "u:nobody:rwx,g::r-x,m::rwx,o::---", with_acl)
            os.close(os.open(f"{with_acl}/file", os.O_CREAT | os.O_WRONLY, 0o666))
            os.close(os.open(f"{without}/file", os.O_CREAT | os.O_WRONLY, 0o666))
            os.mkdir(f"{with_acl}/sub", 0o777)
        finally:
            os.umask(old)
        file_acl = run("getfacl", "-cpn", f"{with_acl}/file").split()
        assert "user:65534:rwx" in file_acl[1] and "mask::rw-" in file_acl, file_acl
        assert os.stat(f"{with_acl}/file").st_mode & 0o777 == 0o660
        assert os.stat(f"{without}/file").st_mode & 0o777 == 0o666 & ~umask
        sub = run("getfacl", "-cpn", f"{with_acl}/sub").split()
        assert "default:user:65534:rwx" in sub and "user:65534:rwx" in sub, sub
        assert os.stat(f"{with_acl}/sub").st_mode & 0o777 == 0o770


@test
def chmod_changes_the_mask_of_an_acl_and_setfacl_the_mode(d):
    touch(f"{d}/a", mode=0o640)
    run("setfacl", "-m", "u:nobody:rwx", f"{d}/a")
    assert os.stat(f"{d}/a").st_mode & 0o777 == 0o670
    os.chmod(f"{d}/a", 0o600)
    acl = run("getfacl", "-cpn", f"{d}/a")
    assert "mask::---" in acl and "user:65534:rwx" in acl, acl
    assert not as_user(lambda: (sys.stderr.close(), open(f"{d}/a").close())), "the mask does not bind"
    run("setfacl", "-b", f"{d}/a")
    assert not any("acl" in name for name in os.listxattr(f"{d}/a"))


FS_IOC_GETFLAGS, FS_IOC_SETFLAGS = 0x80086601, 0x40086602
APPEND, IMMUTABLE = 0x20, 0x10


def set_flags(path, flags):
    """Sets exactly these of the two flags and leaves what else the file system has."""
    fd = os.open(path, os.O_RDONLY)
    others = struct.unpack("i", fcntl.ioctl(fd, FS_IOC_GETFLAGS, struct.pack("i", 0)))[0] & ~(APPEND | IMMUTABLE)
    fcntl.ioctl(fd, FS_IOC_SETFLAGS, struct.pack("i", others | flags))
    os.close(fd)


@test
def immutable_and_append_only_hold_for_everything(d):
    touch(f"{d}/a", b"bytes")
    os.setxattr(f"{d}/a", "user.x", b"1")
    set_flags(f"{d}/a", IMMUTABLE)
    try:
        for name, call in {
            "open for writing": lambda: os.open(f"{d}/a", os.O_WRONLY), "truncate": lambda: os.truncate(f"{d}/a", 0),
            "chmod": lambda: os.chmod(f"{d}/a", 0o600), "chown": lambda: os.chown(f"{d}/a", 1, 1),
            "utime": lambda: os.utime(f"{d}/a", ns=(1, 1)), "unlink": lambda: os.unlink(f"{d}/a"),
            "rename": lambda: os.rename(f"{d}/a", f"{d}/b"), "link": lambda: os.link(f"{d}/a", f"{d}/b"),
            "setxattr": lambda: os.setxattr(f"{d}/a", "user.x", b"2"),
            "removexattr": lambda: os.removexattr(f"{d}/a", "user.x"),
        }.items():
            try:
                call()
            except OSError as error:
                assert error.errno == errno.EPERM, f"{name}: {errno.errorcode[error.errno]}"
            else:
                raise AssertionError(f"{name} works on an immutable file")
    finally:
        set_flags(f"{d}/a", 0)
    touch(f"{d}/log", b"1")
    set_flags(f"{d}/log", APPEND)
    try:
        refused(errno.EPERM, lambda: os.open(f"{d}/log", os.O_WRONLY))
        refused(errno.EPERM, lambda: os.truncate(f"{d}/log", 0))
        refused(errno.EPERM, lambda: os.unlink(f"{d}/log"))
        refused(errno.EPERM, lambda: os.setxattr(f"{d}/log", "user.x", b"2"))
        fd = os.open(f"{d}/log", os.O_WRONLY | os.O_APPEND)
        os.write(fd, b"2")
        os.close(fd)
        assert open(f"{d}/log").read() == "12"
    finally:
        set_flags(f"{d}/log", 0)


# ---- bytes ----------------------------------------------------------------------------------------------------------

@test
def holes_cost_no_blocks_and_seek_hole_finds_them(d):
    fd = make(f"{d}/a")
    os.pwrite(fd, b"a" * 65536, 0)
    os.pwrite(fd, b"b" * 65536, 100 << 20)
    os.ftruncate(fd, 1 << 30)
    os.fsync(fd)
    assert os.fstat(fd).st_blocks * 512 <= 1 << 20, f"{os.fstat(fd).st_blocks} blocks"
    assert os.lseek(fd, 0, os.SEEK_HOLE) == 65536
    assert os.lseek(fd, 65536, os.SEEK_DATA) == 100 << 20
    assert os.lseek(fd, 100 << 20, os.SEEK_HOLE) == (100 << 20) + 65536
    refused(errno.ENXIO, lambda: os.lseek(fd, 200 << 20, os.SEEK_DATA))
    assert os.pread(fd, 10, 50 << 20) == bytes(10)
    keep_size, punch = 1, 2
    assert libc.fallocate(fd, keep_size | punch, ctypes.c_long(100 << 20), ctypes.c_long(65536)) == 0
    os.fsync(fd)
    assert os.lseek(fd, 0, os.SEEK_HOLE) == 65536
    refused(errno.ENXIO, lambda: os.lseek(fd, 65536, os.SEEK_DATA))
    os.close(fd)


@test
def mmap_and_write_see_each_other_on_one_machine(d):
    fd = make(f"{d}/a", bytes(1 << 20))
    with mmap.mmap(fd, 1 << 20) as mapped:
        os.pwrite(fd, b"written", 5000)
        assert mapped[5000:5007] == b"written"
        mapped[9000:9006] = b"mapped"
        assert os.pread(fd, 6, 9000) == b"mapped"
        mapped.flush()
    os.close(fd)
    with open(f"{d}/a", "rb") as again:
        data = again.read()
    assert data[5000:5007] == b"written" and data[9000:9006] == b"mapped" and len(data) == 1 << 20


@test
def appends_of_many_processes_lose_nothing(d):
    touch(f"{d}/log")

    def appender(number):
        fd = os.open(f"{d}/log", os.O_WRONLY | os.O_APPEND)
        for n in range(300):
            os.write(fd, f"{number} {n}\n".encode())
        os._exit(0)

    pids = []
    for number in range(4):
        pid = os.fork()
        if pid == 0:
            appender(number)
        pids.append(pid)
    assert all(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 for pid in pids)
    lines = open(f"{d}/log").read().splitlines()
    assert sorted(lines) == sorted(f"{k} {n}" for k in range(4) for n in range(300))


@beyond_local
def a_read_during_an_overwrite_sees_old_or_new_bytes_never_both(d):
    """With O_DIRECT, where the file system answers. Through the page cache the kernel copies pages in and out without a
    lock of its own and may tear them (seen once in about 40,000 reads)."""
    make(f"{d}/a", b"\0" * 4096)
    fd = os.open(f"{d}/a", os.O_RDWR | os.O_DIRECT)
    stop = threading.Event()
    torn = []

    def reader():
        mine = os.open(f"{d}/a", os.O_RDONLY | os.O_DIRECT)
        page = mmap.mmap(-1, 4096)
        while not stop.is_set():
            length = os.preadv(mine, [page], 0)
            if length != 4096 or len(set(page[:])) != 1:
                torn.append(page[:])
        os.close(mine)

    threads = [threading.Thread(target=reader) for _ in range(3)]
    for thread in threads:
        thread.start()
    page = mmap.mmap(-1, 4096)
    for n in range(4000):
        page[:] = bytes([n % 251]) * 4096
        os.pwritev(fd, [page], 0)
    stop.set()
    for thread in threads:
        thread.join()
    os.close(fd)
    assert not torn, f"{len(torn)} torn reads"


@test
def a_file_written_in_random_pieces_reads_back_as_written(d):
    rng = random.Random(9)
    pieces = list(range(2048))
    rng.shuffle(pieces)
    for how in ("direct", "mmap"):
        path = f"{d}/{how}"
        if how == "direct":
            buffer = mmap.mmap(-1, 4096)
            fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_DIRECT, 0o644)
            for n in pieces:
                buffer[:] = struct.pack("<I", n) * 1024
                assert os.pwrite(fd, buffer, n * 4096) == 4096
        else:
            fd = make(path)
            os.ftruncate(fd, len(pieces) * 4096)
            with mmap.mmap(fd, len(pieces) * 4096) as mapped:
                for n in pieces:
                    mapped[n * 4096:(n + 1) * 4096] = struct.pack("<I", n) * 1024
                mapped.flush()
        os.close(fd)
        with open(path, "rb") as file:
            data = file.read()
        assert data == b"".join(struct.pack("<I", n) * 1024 for n in range(len(pieces))), how


def in_folder(test):
    with tempfile.TemporaryDirectory(dir=sys.argv[1], prefix="s.") as folder:
        test(folder)


def main():
    words = [word for word in sys.argv[2:] if not word.startswith("--")]
    tests = TESTS + ([] if "--local" in sys.argv else BEYOND_LOCAL)
    return e2e.run_checks([(test.__name__, lambda test=test: in_folder(test)) for test in tests], words)


if __name__ == "__main__":
    sys.exit(main())
