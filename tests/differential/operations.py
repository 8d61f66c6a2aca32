"""The random operations of the differential test: what each one draws, and what it does on one side.

An operation is drawn without looking at the file systems, so that leaving some out does not change the others. Whatever
it returns must be equal on both sides, and so must be the errno of its failure.
"""
import ctypes
import os
import mmap
import random
import stat
import struct

libc = ctypes.CDLL(None, use_errno=True)

NAMES = "abcd"
HANDLES = 6
BASES = 3           # directories held open; slot 0 is the root of the tree and never changes
BYTES_MAX = 96 << 10
FAR = 6 << 20       # now and then something lies out here, in another block of the cache
XATTRS = ("user.one", "user.two", "trusted.three", "security.four")
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
SEEK_DATA, SEEK_HOLE = 3, 4
AT_FDCWD, AT_SYMLINK_FOLLOW = -100, 0x400
NOISE = random.Random(4711).randbytes(1 << 20)


def called(result):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


class Side:
    """One of the two trees: its root, the directories and the files held open in it."""

    def __init__(self, root, drops_pages):
        self.root, self.drops_pages = root, drops_pages
        self.bases, self.handles = [], []

    def open(self):
        self.bases = [os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)] + [None] * (BASES - 1)
        self.handles = [None] * HANDLES

    def base(self, slot):
        fd = self.bases[slot % BASES]
        return self.bases[0] if fd is None else fd

    def handle(self, number):
        held = [fd for fd in self.handles if fd is not None]
        return held[number % len(held)] if held else None

    def drop_pages(self, fd):
        """The next read asks the file system and not the page cache."""
        if self.drops_pages:
            os.fdatasync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def close_all(self):
        os.chdir("/")
        for fd in self.handles + self.bases:
            if fd is not None:
                try:
                    os.close(fd)
                except OSError:  # of a mount that was killed
                    pass
        self.bases, self.handles = [], []


class Draw:
    """What operations are made of."""

    def __init__(self, rng):
        self.rng = rng

    def path(self):
        depth = self.rng.choices((1, 2, 3), (6, 5, 2))[0]
        return "/".join(self.rng.choice(NAMES) for _ in range(depth))

    def base(self):
        return self.rng.choice((0, 0, 0, 1, 2))

    def number(self):
        return self.rng.randrange(1 << 16)

    def mode(self):
        return self.rng.choice((0o644, 0o666, 0o600, 0o755, 0o777, 0o4755))

    def changed_mode(self):
        """S_ISGID always with the group's execution: writes clear it only there (docs/semantics.md)."""
        return self.rng.choice((0o644, 0o666, 0o600, 0o755, 0o777, 0o4755, 0o2755, 0o6711))

    def directory_mode(self):
        return self.rng.choice((0o777, 0o777, 0o755, 0o700, 0o1777, 0o2777, 0o2755))

    def offset(self):
        if self.rng.random() < 0.02:
            return FAR + self.rng.randrange(BYTES_MAX)
        at = self.rng.randrange(BYTES_MAX)
        return at & ~4095 if self.rng.random() < 0.3 else at

    def length(self):
        return self.rng.choice((0, 1, 100, 511, 4095, 4096, 4097, 8192, 20_000, 65_536, 140_000))

    def owner(self):
        return self.rng.choice((-1, 0, 1000, 1001))

    def ns(self):
        """Far from now, so that a time that was set is never taken for one that an operation left."""
        seconds = self.rng.choice((self.rng.randrange(-10**9, 10**9), self.rng.randrange(2_500_000_000, 7_000_000_000)))
        return seconds * 10**9 + self.rng.randrange(10**9)

    def noise(self, length):
        at = self.rng.randrange(len(NOISE) - 140_000)
        return at, length


TABLE = []


def operation(weight, *draws):
    """`draws` name the methods of Draw that make its arguments."""
    def add(function):
        TABLE.append((function.__name__, weight, draws, function))
        return function
    return add


# ---- names ------------------------------------------------------------------------------------------------------

@operation(30, "path", "directory_mode")
def mkdir(side, path, mode):
    os.mkdir(path, mode)


@operation(4, "path", "mode")
def mkfifo(side, path, mode):
    os.mkfifo(path, mode)


@operation(4, "path", "mode")
def mknod(side, path, mode):
    os.mknod(path, stat.S_IFREG | mode)


@operation(14, "path", "path", "number")
def symlink(side, path, target, number):
    if number % 4 == 0:
        target = "/".join((target,) * (1 + number % 60))  # up to 300 bytes, mostly dangling
    os.symlink(target, path)


@operation(40, "path", "base", "path")
def link(side, path, base, to):
    os.link(path, to, dst_dir_fd=side.base(base), follow_symlinks=False)


@operation(12, "number", "path")
def link_handle(side, number, path):
    fd = side.handle(number)
    if fd is not None:
        called(libc.linkat(AT_FDCWD, b"/proc/self/fd/%d" % fd, AT_FDCWD, path.encode(), AT_SYMLINK_FOLLOW))


@operation(50, "path")
def unlink(side, path):
    os.unlink(path)


@operation(25, "path")
def rmdir(side, path):
    os.rmdir(path)


@operation(110, "path", "base", "path", "number")
def rename(side, path, base, to, number):
    flags = (RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_EXCHANGE, 0, 0, 0, 0)[number % 7]
    called(libc.renameat2(AT_FDCWD, path.encode(), side.base(base), to.encode(), flags))


@operation(10, "path", "number")
def hold_directory(side, path, number):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    slot = 1 + number % (BASES - 1)
    if side.bases[slot] is not None:
        os.close(side.bases[slot])
    side.bases[slot] = fd


@operation(20, "path")
def listing(side, path):
    """Names and types; what the directory says about inodes is what they say about themselves."""
    found = {}
    with os.scandir(path) as entries:
        for entry in entries:
            info = entry.stat(follow_symlinks=False)
            assert entry.inode() == info.st_ino, f"{path}/{entry.name} is listed as inode {entry.inode()}, is {info.st_ino}"
            found[entry.name] = stat.S_IFMT(info.st_mode), entry.is_dir(follow_symlinks=False)
    return found


@operation(10, "path")
def readlink(side, path):
    return os.readlink(path)


@operation(10, "path", "number")
def access(side, path, number):
    return os.access(path, number % 8, effective_ids=True)


# ---- files ------------------------------------------------------------------------------------------------------

FLAGS = (os.O_CREAT, os.O_CREAT, os.O_CREAT | os.O_EXCL, os.O_CREAT | os.O_TRUNC, os.O_CREAT | os.O_APPEND,
         os.O_APPEND, 0, 0, os.O_TRUNC, os.O_CREAT | os.O_NOFOLLOW)


def keep(side, fd, number):
    """Files go into a slot; what else was opened is closed."""
    kind = stat.S_IFMT(os.fstat(fd).st_mode)
    if kind != stat.S_IFREG:
        os.close(fd)
        return kind
    slot = number % HANDLES
    before, side.handles[slot] = side.handles[slot], fd
    if before is not None:
        os.close(before)
    return kind


@operation(95, "path", "number", "mode", "number")
def open_file(side, path, flags, mode, number):
    access_mode = (os.O_RDWR, os.O_RDWR, os.O_RDWR, os.O_WRONLY, os.O_RDONLY)[number // HANDLES % 5]
    fd = os.open(path, access_mode | FLAGS[flags % len(FLAGS)] | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    return keep(side, fd, number)


@operation(8, "path", "mode", "number")
def open_unnamed(side, path, mode, number):
    return keep(side, os.open(path, os.O_RDWR | os.O_TMPFILE, mode), number)


@operation(40, "path", "noise_length", "mode")
def save(side, path, noise, mode):
    """The way that most small files are written: opened, written and closed at once."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, mode)
    try:
        return os.write(fd, NOISE[noise[0]:noise[0] + noise[1]])
    finally:
        os.close(fd)


@operation(25, "number")
def close(side, number):
    fd = side.handle(number)
    if fd is not None:
        side.handles[side.handles.index(fd)] = None
        os.close(fd)


@operation(120, "number", "offset", "noise_length")
def write(side, number, offset, noise):
    fd = side.handle(number)
    return fd and os.pwrite(fd, NOISE[noise[0]:noise[0] + noise[1]], offset)


@operation(40, "number", "offset", "noise_length")
def write_on(side, number, offset, noise):
    """At the file's own offset, or its end when it was opened to append, in two pieces."""
    fd = side.handle(number)
    if fd is None:
        return None
    if offset % 3 == 0:
        os.lseek(fd, offset, os.SEEK_SET)
    data = NOISE[noise[0]:noise[0] + noise[1]]
    return os.writev(fd, [data[:len(data) // 3], data[len(data) // 3:]]), os.lseek(fd, 0, os.SEEK_CUR)


@operation(80, "number", "offset", "length")
def read(side, number, offset, length):
    fd = side.handle(number)
    if fd is None:
        return None
    if offset % 2:
        side.drop_pages(fd)
    return os.pread(fd, length, offset)


@operation(40, "number", "offset")
def ftruncate(side, number, offset):
    fd = side.handle(number)
    return fd and os.ftruncate(fd, offset)


@operation(25, "path", "offset")
def truncate(side, path, offset):
    os.truncate(path, offset)


@operation(50, "number", "number", "offset", "length")
def fallocate(side, number, how, offset, length):
    fd = side.handle(number)
    mode = (0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE,
            ZERO_RANGE | KEEP_SIZE)[how % 7]
    return fd and called(libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)))


@operation(30, "number", "offset", "number", "offset", "length")
def copy_range(side, source, source_at, target, target_at, length):
    source, target = side.handle(source), side.handle(target)
    return source and os.copy_file_range(source, target, length, source_at, target_at)


@operation(20, "number", "offset")
def holes(side, number, offset):
    """A local file system knows holes by its block only: the same answers where there is one answer, and the truth."""
    fd = side.handle(number)
    if fd is None:
        return None
    size = os.fstat(fd).st_size
    at = 0
    try:
        body = os.pread(fd, size, 0) if size <= BYTES_MAX * 4 else None
    except OSError:  # not open for reading
        body = None
    while body and at < size:
        try:
            data = os.lseek(fd, at, SEEK_DATA)
        except OSError:
            data = size
        assert at <= data <= size and not body[at:data].strip(b"\0"), f"no hole from {at} to {data} of {size}"
        at = os.lseek(fd, data, SEEK_HOLE) if data < size else size
        assert data < at <= size or at == size, f"the data at {data} has no end: {at} of {size}"
    results = []
    for whence in (SEEK_DATA, SEEK_HOLE):
        for where in (size, size + offset):
            try:
                results.append(os.lseek(fd, where, whence))
            except OSError as error:
                results.append(error.errno)
    os.lseek(fd, offset, os.SEEK_SET)
    return results


@operation(10, "number", "offset", "noise_length")
def write_mapped(side, number, offset, noise):
    fd = side.handle(number)
    size = fd and os.fstat(fd).st_size
    if not size or offset >= size:
        return
    data = NOISE[noise[0]:noise[0] + noise[1]][:size - offset]
    with mmap.mmap(fd, size) as mapped:
        mapped[offset:offset + len(data)] = data
        mapped.flush()


@operation(15, "number", "number")
def sync(side, number, what):
    fd = side.handle(number)
    if what % 4 == 0:
        os.fsync(side.base(what // 4))
    elif fd is not None:
        os.fsync(fd) if what % 2 else os.fdatasync(fd)


# ---- attributes -------------------------------------------------------------------------------------------------

@operation(25, "path", "changed_mode")
def chmod(side, path, mode):
    os.chmod(path, mode)


@operation(10, "number", "changed_mode")
def fchmod(side, number, mode):
    fd = side.handle(number)
    return fd and os.fchmod(fd, mode)


@operation(25, "path", "owner", "owner", "number")
def chown(side, path, uid, gid, number):
    if uid == gid == -1 and os.geteuid() != 0:
        return  # a deviation (docs/semantics.md)
    os.chown(path, uid, gid, follow_symlinks=bool(number % 2))


@operation(40, "path", "ns", "number")
def set_times(side, path, ns, number):
    """Returns the access time too: it stays until somebody reads."""
    now, omit = (1 << 30) - 1, (1 << 30) - 2
    mtime = (ns // 10**9, ns % 10**9) if number % 5 else (0, now)
    atime = (ns // 10**9 - 1000, ns % 10**9) if number % 3 else (0, omit)
    follow = number % 2
    times = struct.pack("4q", *atime, *mtime)
    called(libc.utimensat(AT_FDCWD, path.encode(), times, 0 if follow else 0x100))
    return os.stat(path, follow_symlinks=bool(follow)).st_atime_ns if number % 3 else None


@operation(30, "path", "number", "noise_length", "number")
def set_xattr(side, path, name, noise, number):
    value = NOISE[noise[0]:noise[0] + noise[1] % 300]  # all of them fit into a block of ext4
    os.setxattr(path, XATTRS[name % len(XATTRS)], value, (0, 0, os.XATTR_CREATE, os.XATTR_REPLACE)[number % 4],
                follow_symlinks=bool(number // 4 % 2))


@operation(12, "path", "number")
def remove_xattr(side, path, number):
    os.removexattr(path, XATTRS[number % len(XATTRS)], follow_symlinks=bool(number // 4 % 2))


@operation(12, "path", "number")
def get_xattr(side, path, number):
    return os.getxattr(path, XATTRS[number % len(XATTRS)], follow_symlinks=bool(number // 4 % 2))


@operation(12, "path", "number")
def set_acl(side, path, number):
    """u::rwx, u:1001:…, g::…, m::…, o::…; also as the default of a directory."""
    entry = struct.Struct("<HHI")
    acl = struct.pack("<I", 2) + b"".join((
        entry.pack(1, 7, 0xFFFFFFFF), entry.pack(2, number % 8, 1001), entry.pack(4, number // 8 % 8, 0xFFFFFFFF),
        entry.pack(16, number // 64 % 8 | 1, 0xFFFFFFFF), entry.pack(32, number // 512 % 8, 0xFFFFFFFF)))
    name = "system.posix_acl_" + ("access", "default")[number // 4096 % 2]
    if number // 8192 % 4:
        os.setxattr(path, name, acl)
    else:
        os.removexattr(path, name)


# ---- the whole mount: the test itself does these --------------------------------------------------------------

WHOLE = (("compare", 8), ("remount", 3), ("kill", 3), ("flush", 3), ("gc", 2), ("repack", 2), ("empty_trash", 2))


def draw_all(seed, count):
    """The operations of a seed: (name, function or None, arguments, base, user, umask)."""
    rng = random.Random(seed)
    draw = Draw(rng)
    kinds = TABLE + [(name, weight, (), None) for name, weight in WHOLE]
    weights = [weight for _, weight, _, _ in kinds]
    for _ in range(count):
        name, _, draws, function = rng.choices(kinds, weights)[0]
        arguments = [draw.noise(draw.length()) if kind == "noise_length" else getattr(draw, kind)() for kind in draws]
        user = 1000 if rng.random() < 0.2 else 0
        yield name, function, arguments, draw.base(), user, rng.choice((0o022, 0o022, 0, 0o027, 0o077))


def perform(side, function, arguments, base, user, umask):
    """("done", result) or ("failed", name of the errno)."""
    os.umask(umask)
    try:
        os.fchdir(side.base(base))
        if user:
            os.setegid(user)
            os.seteuid(user)
        return "done", function(side, *arguments)
    except OSError as error:
        return "failed", os.strerror(error.errno)
    finally:
        os.seteuid(0)
        os.setegid(0)
