"""What two trees must have in common, and where they differ."""
import os
import stat

OURS = ("user.", "trusted.", "security.four", "system.posix_acl_")


class Clock:
    """Times that operations left lie in the run; times that the test set never do, and must be equal."""

    def __init__(self, started_ns):
        self.started_ns = started_ns - 2 * 10**9  # a local file system's clock may lag

    def comparable(self, ns):
        return "in this run" if self.started_ns <= ns < self.started_ns + 10**13 else ns


def attributes(info, clock):
    is_directory = stat.S_ISDIR(info.st_mode)
    return {"mode": oct(info.st_mode), "nlink": info.st_nlink, "uid": info.st_uid, "gid": info.st_gid,
            "size": None if is_directory else info.st_size, "rdev": info.st_rdev,
            "mtime": clock.comparable(info.st_mtime_ns)}


def xattrs(path):
    names = [name for name in os.listxattr(path, follow_symlinks=False) if name.startswith(OURS)]
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in sorted(names)}


def difference(path, one, other):
    """One line, or None. `one` is the mount's."""
    if one == other:
        return None
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(set(one) | set(other)):
            if one.get(key) != other.get(key):
                return difference(f"{path}: {key}", one.get(key), other.get(key))
    if isinstance(one, bytes) and isinstance(other, bytes):
        at = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
        return (f"{path}: {len(one)} bytes on the mount, {len(other)} on the local disk; first difference at {at}: "
                f"{one[at:at + 8].hex() or 'end'}, {other[at:at + 8].hex() or 'end'}")
    return f"{path}: {one!r} on the mount, {other!r} on the local disk"


def content(path, drop_pages):
    fd = os.open(path, os.O_RDONLY)
    try:
        if drop_pages:
            os.fdatasync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        parts = []
        while part := os.pread(fd, 1 << 20, sum(map(len, parts))):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def snapshot(root, clock, drop_pages):
    """path -> what is there. Inode numbers differ; which names share one must not: each inode is named by its first
    name."""
    found, first_names = {}, {}

    def look(path, name):
        info = os.lstat(path)
        here = attributes(info, clock)
        here["inode"] = first_names.setdefault(info.st_ino, name)
        here["xattrs"] = xattrs(path)
        if stat.S_ISLNK(info.st_mode):
            here["target"] = os.readlink(path)
        elif stat.S_ISREG(info.st_mode):
            here["bytes"] = content(path, drop_pages)
        elif stat.S_ISDIR(info.st_mode):
            here["names"] = sorted(os.listdir(path))
            for child in here["names"]:
                look(f"{path}/{child}", f"{name}/{child}")
        found[name] = here

    look(root, ".")
    return found
