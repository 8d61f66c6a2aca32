#!/usr/bin/env python3
"""Listings and their positions: two handles on one directory across drop_caches, and seekdir after removals.

    two_handles.py FOLDER        (as root: it drops the kernel's caches)

Uses readdir, telldir and seekdir of the C library, because Python hides positions.
"""
import ctypes
import os
import random
import sys
import tempfile

libc = ctypes.CDLL(None, use_errno=True)
libc.opendir.restype = ctypes.c_void_p
libc.opendir.argtypes = [ctypes.c_char_p]
libc.telldir.restype = ctypes.c_long
for name in ("telldir", "closedir", "rewinddir"):
    getattr(libc, name).argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]


class Entry(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("reclen", ctypes.c_uint16),
                ("type", ctypes.c_uint8), ("name", ctypes.c_char * 256)]


libc.readdir.restype = ctypes.POINTER(Entry)
libc.readdir.argtypes = [ctypes.c_void_p]


class Listing:
    def __init__(self, folder):
        self.handle = libc.opendir(os.fsencode(folder))
        assert self.handle, os.strerror(ctypes.get_errno())

    def next(self):
        ctypes.set_errno(0)
        entry = libc.readdir(self.handle)
        assert entry or ctypes.get_errno() == 0, os.strerror(ctypes.get_errno())
        return entry.contents.name.decode() if entry else None

    def take(self, count):
        return [name for name in (self.next() for _ in range(count)) if name is not None]

    def rest(self):
        names = []
        while (name := self.next()) is not None:
            names.append(name)
        return names

    def tell(self):
        return libc.telldir(self.handle)

    def seek(self, position):
        libc.seekdir(self.handle, position)

    def close(self):
        libc.closedir(self.handle)


def fill(folder, count):
    names = [f"entry-{n:05}-{'x' * (n % 40)}" for n in range(count)]
    for name in names:
        os.close(os.open(os.path.join(folder, name), os.O_CREAT | os.O_EXCL))
    return sorted(names + [".", ".."])


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")


def two_handles_list_one_directory_across_drop_caches(folder):
    want = fill(folder, 5000)
    first, second = Listing(folder), Listing(folder)
    seen_first, seen_second = first.take(700), second.take(2900)
    drop_caches()
    seen_first += first.take(1500)
    drop_caches()
    seen_second += second.rest()
    seen_first += first.rest()
    first.close()
    second.close()
    assert sorted(seen_first) == want, "the first handle lost or repeated names"
    assert sorted(seen_second) == want, "the second handle lost or repeated names"


def seekdir_finds_the_place_again_through_another_handle_age(folder):
    want = fill(folder, 3000)
    listing = Listing(folder)
    positions, names = [], []
    while True:
        positions.append(listing.tell())
        name = listing.next()
        if name is None:
            break
        names.append(name)
    assert sorted(names) == want
    drop_caches()
    for at in (2500, 17, 1400, 0, 2999):
        listing.seek(positions[at])
        assert listing.next() == names[at], f"seekdir to entry {at} leads elsewhere"
    listing.close()


def seekdir_after_earlier_names_were_removed_loses_nobody(folder):
    fill(folder, 3000)
    rng = random.Random(5)
    listing = Listing(folder)
    seen = listing.take(1000)
    position = listing.tell()
    later = listing.rest()
    removed = [name for name in seen if name not in (".", "..") and rng.random() < 0.7]
    for name in removed:
        os.unlink(os.path.join(folder, name))
    drop_caches()
    listing.seek(position)
    assert listing.rest() == later, "names after the position were lost or repeated"
    listing.close()


def removing_while_listing_ends_with_an_empty_directory(folder):
    fill(folder, 4000)
    listing = Listing(folder)
    while (name := listing.next()) is not None:
        if name not in (".", ".."):
            os.unlink(os.path.join(folder, name))
    listing.close()
    assert os.listdir(folder) == []


def main():
    tests = [two_handles_list_one_directory_across_drop_caches, seekdir_finds_the_place_again_through_another_handle_age,
             seekdir_after_earlier_names_were_removed_loses_nobody, removing_while_listing_ends_with_an_empty_directory]
    failed = 0
    for test in tests:
        with tempfile.TemporaryDirectory(dir=sys.argv[1]) as folder:
            try:
                test(folder)
                print(f"ok     {test.__name__}")
            except (AssertionError, OSError) as error:
                failed += 1
                print(f"FAILED {test.__name__}: {error}")
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
