#!/usr/bin/env python3
"""Data between nodes: what one mount has closed and not uploaded is read by another one; a node that dies, for a while or
with its disks, takes what nobody else has and nothing more, and it is known what that is.

usage: nodes.py [WORD...] [--count N] [--seed N]     only the tests whose names contain a word; N lives of the node in checkpoints (20)
"""
import argparse
import contextlib
import itertools
import json
import os
import pathlib
import random
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import cluster
import e2e

COUNT, SEED = 20, None


def shared(scratch, *format_options):
    """On RocksDB: what is tested here lies between the mounts."""
    return cluster.SharedVolume(scratch, "demo", f"file://{scratch.path}/bucket", f"rocksdb://{scratch.path}/meta",
                                *format_options)


def stored_segments(scratch):
    return [path for path in (scratch.path / "bucket").rglob("*") if path.is_file() and "/seg/" in str(path)]


def content(seed, length):
    return random.Random(seed).randbytes(length)


def write(path, content_of):
    with open(path, "wb") as file:
        file.write(content_of)


def check(path, wanted):
    found = path.read_bytes()
    if found != wanted:
        at = next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b), min(len(found), len(wanted)))
        raise e2e.E2eError(f"{path}: {len(found)} bytes instead of {len(wanted)}, other ones from {at} on")


def write_some(folder):
    """Small packed files, a large sequential one, one with overwritten ranges, one with a hole: name → bytes."""
    files = {f"small{i}": content(i, 1 + 977 * i) for i in range(60)}
    files["large"] = content(1000, 7_500_000)
    for name, wanted in files.items():
        write(folder / name, wanted)
    patched = bytearray(content(2000, 900_000))
    write(folder / "patched", patched)
    with open(folder / "patched", "r+b") as file:
        for at, length in ((0, 5000), (100_000, 70_000), (300_001, 3), (880_000, 40_000)):
            piece = content(at, length)
            file.seek(at)
            file.write(piece)
            patched[at:at + length] = piece
    files["patched"] = bytes(patched)
    with open(folder / "holes", "wb") as file:
        file.seek(200_000)
        file.write(content(3000, 100_000))
    files["holes"] = bytes(200_000) + content(3000, 100_000)
    return files


def read_before_the_bucket_has_it(scratch):
    """What A closed B reads at once, from A: the bucket has nothing yet."""
    volume = shared(scratch)
    a, b = volume.mount("a"), volume.mount("b")
    files = write_some(a.at)
    for name, wanted in files.items():
        check(b.at / name, wanted)
    if stored_segments(scratch):
        raise e2e.E2eError("the bucket has segments already: nothing was proved")
    stats = json.loads(e2e.run(e2e.SHOAL, "stats", b.at, "--json").stdout)
    if stats["read"]["holder_bytes"] < sum(map(len, files.values())) - 200_000:
        raise e2e.E2eError(f"bytes came from elsewhere: {stats['read']}")
    if stats["cache"]["fills"] != 0:
        raise e2e.E2eError(f"bytes of a segment that is not whole went to the disk cache: {stats['cache']}")
    # And the other way, and again when the bucket has it all.
    write(b.at / "back", content(7, 100_000))
    check(a.at / "back", content(7, 100_000))
    a.unmount()
    for name, wanted in files.items():
        check(b.at / name, wanted)
    b.unmount()
    volume.fsck()


def second_mount_of_an_embedded_volume(scratch):
    """Both ways, between the mount that owns the volume and one that connected to it."""
    volume = e2e.Volume(scratch, "demo", f"file://{scratch.path}/bucket")
    volume.mount()
    second = scratch.path / "second"
    second.mkdir()
    e2e.run(e2e.SHOAL, "mount", volume.meta, second, "--background", "--state-dir", scratch.path / "s2", "--cache-dir",
            scratch.path / "c2", "--log", scratch.path / "second.log")
    for here, there in ((volume.at, second), (second, volume.at)):
        write(here / f"from-{here.name}", content(1, 300_000))
        check(there / f"from-{here.name}", content(1, 300_000))
    if stored_segments(scratch):
        raise e2e.E2eError("the bucket has segments already: nothing was proved")
    e2e.run(e2e.SHOAL, "umount", second)
    check(volume.at / "from-second", content(1, 300_000))
    volume.unmount()
    volume.fsck()


def holder_is_killed_and_comes_back(scratch):
    """SIGKILL of A: B waits for its bytes, and gets them when A is mounted again."""
    volume = shared(scratch)
    a, b = volume.mount("a"), volume.mount("b", "-o", "holder_timeout=60")
    files = write_some(a.at)
    check(b.at / "small1", files["small1"])
    a.kill()
    found = []
    reader = threading.Thread(target=lambda: found.append((b.at / "small50").read_bytes()), daemon=True)
    reader.start()
    reader.join(1)
    if not reader.is_alive():
        raise e2e.E2eError("B read what only A has while A was dead")
    a.mount()
    reader.join(60)
    if found != [files["small50"]]:
        raise e2e.E2eError(f"B did not get the bytes when A was back: {[len(each) for each in found]}")
    for name, wanted in files.items():
        check(b.at / name, wanted)
    a.unmount()
    b.unmount()
    volume.fsck()


def lost_files(volume, expect_code):
    told = e2e.run(e2e.SHOAL, "lost", volume.url(), "--json", env=volume.env, check=False)
    if told.returncode != expect_code:
        raise e2e.E2eError(f"shoal lost ended with {told.returncode}: {told.stdout}")
    return json.loads(told.stdout[told.stdout.index("{"):told.stdout.rindex("}") + 1])


def node_is_lost_with_its_disks(scratch):
    """B gets EIO within holder_timeout, never zeros; `shoal lost` names the files, and no other ones."""
    volume = shared(scratch)
    a, b = volume.mount("a"), volume.mount("b", "-o", "holder_timeout=3")
    write(a.at / "safe", content(1, 300_000))
    e2e.run(e2e.SHOAL, "flush", a.at)
    os.mkdir(a.at / "dir")
    write(a.at / "dir" / "gone", content(2, 200_000))
    write(a.at / "half", content(3, 100_000))
    e2e.run(e2e.SHOAL, "flush", a.at)
    with open(a.at / "half", "r+b") as file:
        file.seek(50_000)
        file.write(content(4, 10_000))
    write(a.at / "dir" / "gone", content(5, 70_000))
    if lost_files(volume, 0)["files"]:
        raise e2e.E2eError("files are lost while their holder lives")
    a.lose_node()
    begun = time.monotonic()
    for name in ("dir/gone", "half"):
        try:
            (b.at / name).read_bytes()
            raise e2e.E2eError(f"{name} was read, though its bytes are gone")
        except OSError as error:
            if error.errno != 5:
                raise
    if time.monotonic() - begun > 30:
        raise e2e.E2eError(f"EIO took {time.monotonic() - begun:.1f} s")
    check(b.at / "safe", content(1, 300_000))
    with open(b.at / "half", "rb", buffering=0) as file:  # the other bytes of it are there
        file.seek(60_000)
        if os.pread(file.fileno(), 30_000, 64_000) != content(3, 100_000)[64_000:94_000]:
            raise e2e.E2eError("bytes of half that were stored are others")
    lost = lost_files(volume, 1)
    found = {each["path"]: each["bytes"] for each in lost["files"]}
    if found != {"/dir/gone": 70_000, "/half": 10_000}:
        raise e2e.E2eError(f"shoal lost tells {lost}")
    # The operator gives up what is lost: the node's successor may be mounted.
    a.mount("--accept-lost-staging")
    if {each["path"] for each in lost_files(volume, 1)["files"]} != set(found):
        raise e2e.E2eError("what was given up is forgotten")
    os.unlink(b.at / "half")
    os.unlink(b.at / "dir" / "gone")
    e2e.run(e2e.SHOAL, "trash", "empty", volume.url(), "--all", env=volume.env, check=False)
    a.unmount()
    b.unmount()


def returning_node_never_overtakes(scratch):
    """A comes back with records that nobody has seen, of files that B wrote meanwhile: B's bytes stay, the report says
    what was not applied. What nobody touched comes back with it."""
    volume = shared(scratch)
    a, b = volume.mount("a"), volume.mount("b")

    def reported():
        return any("not applied" in path.read_text() for path in a.state.rglob("report-*.txt"))

    # What A sent before it died may be committed all the same, before B writes: then there is nothing to refuse.
    for turn in range(20):
        die_with_unseen_records(volume, a, b, f"contested{turn}", f"quiet{turn}")
        if reported():
            break
    else:
        raise e2e.E2eError("in 20 lives of A no report told what was not applied")
    a.unmount()
    b.unmount()
    volume.fsck()


def die_with_unseen_records(volume, a, b, contested, quiet):
    for name in (contested, quiet):
        write(a.at / name, content(name, 20_000))
    handles = {name: os.open(a.at / name, os.O_RDWR) for name in (contested, quiet)}
    for name, handle in handles.items():
        os.pwrite(handle, content(name, 20_000), 0)
        os.fsync(handle)
    volume.servers[0].pause()  # what A writes now is journaled and not committed

    def write_again(name, handle):
        with contextlib.suppress(OSError):  # A is killed
            os.pwrite(handle, content(name + "2", 20_000), 0)

    writers = [threading.Thread(target=write_again, args=each, daemon=True) for each in handles.items()]
    for writer in writers:
        writer.start()

    def journaled():
        return sum(content(name + "2", 20_000)[:1000] in path.read_bytes()
                   for path in a.state.rglob("*") if path.is_file() for name in handles) == 2

    e2e.wait_until(journaled, 30, "A's journal to have both writes")
    a.kill()
    volume.servers[0].resume()
    for writer in writers:
        writer.join(30)
    for handle in handles.values():
        with contextlib.suppress(OSError):
            os.close(handle)
    write(b.at / contested, content("newer", 25_000))
    a.mount()
    check(b.at / contested, content("newer", 25_000))
    check(a.at / contested, content("newer", 25_000))
    for mount in (a, b):
        check(mount.at / quiet, content(quiet + "2", 20_000))


def rename_over_waits_for_the_holder(scratch):
    """Class object: B renames what A has only staged over a file; the bucket has it before the rename is done. With A
    dead nothing is renamed."""
    volume = shared(scratch, "--durability", "object")
    a, b = volume.mount("a"), volume.mount("b", "-o", "holder_timeout=4")
    write(a.at / "old", b"old")
    write(a.at / "fresh", content(1, 100_000))
    os.rename(b.at / "fresh", b.at / "old")
    if not stored_segments(scratch):
        raise e2e.E2eError("renamed over a file before the bucket had it")
    write(a.at / "second", content(2, 100_000))
    a.kill()
    try:
        os.rename(b.at / "second", b.at / "old")
        raise e2e.E2eError("renamed over a file though nobody can store the bytes")
    except OSError as error:
        if error.errno != 5:
            raise
    check(b.at / "old", content(1, 100_000))
    a.mount()
    os.rename(b.at / "second", b.at / "old")
    a.lose_node()
    check(b.at / "old", content(2, 100_000))
    b.unmount()


def checkpoints(scratch):
    """Class object: checkpoints written by rename-over on A, which is lost with its disks 0 to 6 s after each; on B each
    file is the old one or the new one, never EIO, never mixed."""
    seed = SEED if SEED is not None else random.SystemRandom().randrange(1 << 32)
    print(f"  --seed {seed} --count {COUNT}", flush=True)
    draw = random.Random(seed)
    volume = shared(scratch, "--durability", "object")
    b = volume.mount("b", "-o", "entry_timeout=0,attr_timeout=0")  # its kernel must not take the old name for the new one
    a = cluster.SharedMount(volume, "a")
    names = [f"checkpoint{i}" for i in range(3)]
    current = {}

    def save(folder, number):
        name = names[number % len(names)]
        sizes = random.Random(f"{seed} {number}")
        # Few large ones: a node writes thousands, and the bucket keeps them all.
        body = sizes.randbytes(5_500_000 if number % 40 == 7 else sizes.choice((100, 3_000, 40_000, 300_000)))
        pending[name] = body
        file = os.open(f"{name}.tmp", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, dir_fd=folder)
        try:
            rest = memoryview(body)
            while rest:
                rest = rest[os.write(file, rest):]
            os.fsync(file)
        finally:
            os.close(file)
        os.rename(f"{name}.tmp", name, src_dir_fd=folder, dst_dir_fd=folder)
        current[name] = pending.pop(name)

    def work(folder, numbers, done):
        with contextlib.suppress(OSError):  # the node is gone
            for number in numbers:
                save(folder, number)
                done.append(number)
        with contextlib.suppress(OSError):
            os.close(folder)

    written = 0
    for life in range(COUNT):
        a.mount("--accept-lost-staging")
        done, pending = [], {}
        folder = os.open(a.at, os.O_RDONLY)  # held open: nothing reaches what lies below a mount that died
        worker = threading.Thread(target=work, args=(folder, itertools.count(written), done), daemon=True)
        worker.start()
        e2e.wait_until(lambda: done or not worker.is_alive(), 60, "a checkpoint")
        worker.join(draw.uniform(0, 6))
        a.lose_node()
        worker.join(60)
        if worker.is_alive():
            raise e2e.E2eError("the program on the lost node does not end")
        if not done:
            raise e2e.E2eError("no checkpoint was written")
        written += len(done) + 1
        for name in names:
            allowed = [body for body in (current.get(name), pending.get(name)) if body is not None]
            if not allowed:
                continue
            try:
                found = (b.at / name).read_bytes()
            except FileNotFoundError:
                if name in current:
                    raise
                continue
            if found not in allowed:
                raise e2e.E2eError(f"{name} in life {life}: {len(found)} bytes, neither the old nor the new ones")
            current[name] = found
    print(f"  {written} checkpoints in {COUNT} lives of the node")
    b.unmount()


CHECKS = [read_before_the_bucket_has_it, second_mount_of_an_embedded_volume, holder_is_killed_and_comes_back, node_is_lost_with_its_disks,
          returning_node_never_overtakes, rename_over_waits_for_the_holder, checkpoints]


def in_scratch(action):
    def run():
        with e2e.Scratch() as scratch:
            action(scratch)
    return action.__name__, run


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    COUNT, SEED = arguments.count, arguments.seed
    sys.exit(e2e.run_checks([in_scratch(each) for each in CHECKS], arguments.words))
