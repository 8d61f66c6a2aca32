"""What went wrong outside of Shoal: each state is made, one command meets it, and what it says and leaves is checked."""
import errno
import os
import re
import shutil

from world import BODY, Copy, e2e, expect, read, says

STATES = []


def state(function):
    STATES.append(function)
    return function


def refused(world, command, *words, status=1, env=None):
    """One sentence on stderr that says the words; the mount point stays free."""
    done = world.shoal(command, env)
    expect(done.returncode == status, f"exit {done.returncode}, {status} was due: {done.stderr}")
    says_one_sentence(done.stderr, *words)


def says_one_sentence(text, *words):
    expect(text.startswith("shoal: ") and text.count("\n") == 1, f"not one line that begins with 'shoal: ': {text!r}")
    expect(not re.search(r"\(src/|std::|0x[0-9a-f]{8}", text), f"not for people: {text!r}")
    for word in words:
        expect(word in text, f"{word!r} is not in: {text!r}")


def damage(path, at, length=64):
    with open(path, "r+b") as file:
        file.seek(at)
        bad = bytes(byte ^ 0x5A for byte in file.read(length))
        file.seek(at)
        file.write(bad)


def unreadable(path):
    found = read(path)
    expect(found == os.strerror(errno.EIO), f"{path} reads as {found[:40]!r}, EIO was due")


def fsck(world, *words, options="", problems=True):
    done = world.shoal("fsck {meta} " + options)
    expect(done.returncode == int(problems), f"fsck: exit {done.returncode}: {done.stdout}{done.stderr}")
    says(done.stdout, *words)


# ---- the mount point, the places -------------------------------------------------------------------------------

@state
def a_mount_point_in_use(world):
    e2e.run("mount", "-t", "tmpfs", "other", world.volume.at)
    try:
        refused(world, "{mount}", "is in use: other (tmpfs) is mounted there", "choose another directory")
        refused(world, "umount {mnt}", "is a mount of other (tmpfs), not of Shoal", "umount(8)", status=2)
        expect(world.is_mounted(), "shoal umount took somebody else's mount away")
    finally:
        e2e.run("umount", world.volume.at)


@state
def a_mount_point_that_is_a_file(world):
    (world.path / "plain").write_text("a file\n")
    refused(world, f"mount {{meta}} {world.path}/plain {world.mount_options()}", "/plain is not a directory")


@state
def a_volume_that_is_mounted_already(world):
    world.volume.mount()
    at = str(world.volume.at)
    refused(world, "{mount}", f"{at} is a mount of volume 'one' already", "shoal umount")
    refused(world, "format {meta} one --bucket {bucket}", f"is mounted at {at}", f"shoal umount {at}")
    refused(world, "destroy {meta} --uuid x", f"is mounted at {at}", f"shoal umount {at}")
    refused(world, "fsck {meta} --repair", f"is mounted at {at}", "unmount it before --repair")
    refused(world, "trash restore {meta} 99", "inode 99 is not in the trash")
    refused(world, "set {mnt}/file --durability object", f"{at}/file: not a directory")
    refused(world, "set {mnt} --durability always", "'always' is not a durability class", "use local or object", status=2)
    refused(world, "info {mnt}/none", f"{at}/none: No such file")
    with open(world.volume.at / "file", "rb"):
        done = world.shoal("umount {mnt}")
        expect(done.returncode == 1, done.stderr)
        says(done.stderr, "files below it are open; close them, or use --force")
    expect(read(world.volume.at / "file") == BODY, "the refused commands hurt the mount")
    world.volume.unmount()
    refused(world, "umount {mnt}", "is not on a Shoal mount")


@state
def a_state_folder_that_cannot_be_made(world):
    refused(world, f"mount {{meta}} {{mnt}} {world.mount_options(state_dir=world.path / 'plain')}",
            "/plain exists and is not a directory", "name another folder")
    read_only = world.path / "read-only"
    read_only.mkdir()
    e2e.run("mount", "-t", "tmpfs", "-o", "ro", "none", read_only)
    refused(world, f"mount {{meta}} {{mnt}} {world.mount_options(state_dir=read_only / 'state')}",
            "/read-only/state: Read-only file system")
    expect(not world.is_mounted(), "it is mounted")


@state
def a_missing_state_folder_that_held_nothing(world):
    with Copy(world):
        shutil.rmtree(world.volume.state)
        world.volume.mount()
        expect(read(world.volume.at / "file") == BODY, "the file is not what it was")
        world.volume.unmount()
        fsck(world, problems=False)


# ---- the metadata ----------------------------------------------------------------------------------------------

@state
def a_metadata_folder_that_is_something_else(world):
    other = world.path / "something-else"
    other.mkdir()
    (other / "letter.txt").write_text("not a database\n")
    refused(world, f"format rocksdb://{other} new --bucket file://{world.path}/new-bucket", f"{other} holds files but no volume", "choose another folder")
    refused(world, f"status rocksdb://{other}", str(other))
    expect(os.listdir(other) == ["letter.txt"], f"the folder was changed: {os.listdir(other)}")
    refused(world, f"format rocksdb://{world.path}/plain new --bucket file://{world.path}/new-bucket", "/plain",
            "not a directory")


@state
def a_volume_record_of_a_newer_version(world):
    with Copy(world):
        value = e2e.run("ldb", f"--db={world.meta_folder}", "get", "--hex", "0x46").stdout.strip()
        newer = value[:2 + 16] + "02" + value[2 + 18:]  # after the stamp of 8 bytes
        e2e.run("ldb", f"--db={world.meta_folder}", "put", "--hex", "0x46", newer)
        for command in ("{mount}", "status {meta}", "fsck {meta}", "format {meta} one --bucket {bucket}"):
            refused(world, command, "volume record of format 2", "newer shoal; use that one")


@state
def a_database_of_a_newer_version(world):
    with Copy(world):
        (world.meta_folder / "FORMAT").write_text("shoal-rocksdb 2\n")
        refused(world, "{mount}", f"{world.meta_folder} was written by another version of Shoal", "use that version")


@state
def a_database_that_is_older_than_the_bucket_says(world):
    with Copy(world):
        shutil.copytree(world.meta_folder, world.path / "older")
        world.volume.mount()
        (world.volume.at / "later").write_text("written later\n")
        world.volume.unmount()
        newer = world.path / "newer"
        os.rename(world.meta_folder, newer)
        os.rename(world.path / "older", world.meta_folder)
        for command in ("{mount}", "fsck {meta}", "gc {meta} --delete", "config {meta} --trash-days 3"):
            refused(world, command, "another or newer copy of this metadata", "--take-over")
        world.volume.mount("--take-over")
        expect(sorted(os.listdir(world.volume.at)) == ["file", "small"], "the older names are due")
        expect(read(world.volume.at / "file") == BODY, "the older bytes are due")
        world.volume.unmount()
        world.volume.mount()  # for good
        world.volume.unmount()
        fsck(world, options="--data", problems=False)
        shutil.rmtree(world.meta_folder)
        os.rename(newer, world.meta_folder)
        refused(world, "{mount}", "another or newer copy of this metadata", "--take-over")


def nothing_staged(world):
    """A mount that was refused late may have left a segment that it had begun."""
    world.volume.mount()
    world.volume.unmount()


@state
def a_place_where_no_dump_can_be(world):
    nothing_staged(world)
    before = world.facts()
    refused(world, f"dump {{meta}} {world.path}/new/dump", "making", "/new/dump: No such file or directory")
    refused(world, f"dump --move {{meta}} {world.bucket}", "/bucket is there already", "name another file")
    expect(world.facts() == before, "the volume has changed")


@state
def a_damaged_dump(world):
    nothing_staged(world)
    whole, bad = world.path / "whole.dump", world.path / "bad.dump"
    place = f"rocksdb://{world.path}/loaded"
    with Copy(world):
        e2e.run(e2e.SHOAL, "dump", world.volume.meta, whole)
        body = whole.read_bytes()
        for at, kind in ((len(body) // 2, "is damaged"), (len(body) - 5, "is damaged"), (12, "made by a newer shoal")):
            bad.write_bytes(body)
            damage(bad, at, 1)
            refused(world, f"load {place} {bad}", f"{bad}: ", kind)
        for end, what in ((len(body) // 2, "ends in the middle"), (len(body) - 1, "ends in the middle"), (4, "is no dump")):
            bad.write_bytes(body[:end])
            refused(world, f"load {place} {bad}", f"{bad}: ", what)
        bad.write_bytes(body + b"more")
        refused(world, f"load {place} {bad}", "something follows the end of the dump", "copy the dump again")
        for command in (f"status {place}", f"mount {place} {{mnt}}", f"format {place} new --bucket {{bucket}}-new", f"dump {place} -"):
            refused(world, command, "the load of volume 'one'", "is not finished here; run shoal load with that dump again")
        e2e.run(e2e.SHOAL, "dump", world.volume.meta, world.path / "other.dump")
        refused(world, f"load {place} {world.path}/other.dump", "from another dump", "go on with that one, or give it up with --start-over")
        refused(world, f"load {place}-none {whole} --start-over", "no volume at")
        refused(world, f"load {{meta}} {whole} --start-over", "there is no unfinished load at", status=2)
        e2e.run(e2e.SHOAL, "load", place, world.path / "other.dump", "--start-over")
        shutil.rmtree(world.path / "loaded")
        e2e.run(e2e.SHOAL, "load", place, whole)
        refused(world, f"load {place} {whole}", "there is a volume already ('one'", "into a place that holds nothing")
        refused(world, f"load {{meta}} {whole}", "there is a volume already ('one'", "into a place that holds nothing")
    shutil.rmtree(world.path / "loaded")


# ---- staging ----------------------------------------------------------------------------------------------------

@state
def staging_that_is_gone(world):
    with Copy(world):
        world.volume.mount()
        staged = world.volume.at / "staged"
        staged.write_bytes(b"staged only")
        e2e.wait_until(lambda: world.stats()["uncommitted_operations"] == 0, 20, "the commit of the file")
        world.volume.kill()
        os.rename(world.volume.state, world.path / "away")
        stores = str(world.volume.state / "stores")
        refused(world, "{mount}", f"staging folder {stores}/", "not yet in the bucket", "bring it back",
                "--accept-lost-staging")
        fsck(world, f"staging folder {stores}/.* is gone", r"/staged \(inode \d+\): 11 bytes cannot be read")
        world.new_log()
        world.volume.mount("--accept-lost-staging")
        says(world.new_log(), "are lost, with 11 bytes of files", "fsck .* names the files")
        unreadable(staged)
        expect(read(world.volume.at / "file") == BODY, "what is in the bucket can be read")
        (world.volume.at / "new").write_bytes(b"new")
        world.volume.unmount()
        world.volume.mount()  # it was accepted for good
        unreadable(staged)
        expect(read(world.volume.at / "new") == b"new", "what was written since can be read")
        fsck(world, r"/staged \(inode \d+\): 11 bytes cannot be read")
        world.volume.unmount()
        os.rename(world.volume.state, world.path / "state-since")
        os.rename(world.path / "away", world.volume.state)  # somebody found it
        world.volume.mount()
        expect(read(staged) == b"staged only", "what was found again can be read")
        world.volume.unmount()
        fsck(world, options="--data", problems=False)
        shutil.rmtree(world.path / "state-since")


@state
def staging_given_up_and_its_files_removed(world):
    with Copy(world):
        world.volume.mount()
        (world.volume.at / "staged").write_bytes(b"staged only")
        e2e.wait_until(lambda: world.stats()["uncommitted_operations"] == 0, 20, "the commit of the file")
        world.volume.kill()
        shutil.rmtree(world.volume.state)
        world.volume.mount("--accept-lost-staging")
        os.unlink(world.volume.at / "staged")
        e2e.run(e2e.SHOAL, "trash", "empty", world.volume.meta)
        world.volume.unmount()
        fsck(world, problems=False)
        world.volume.mount()
        world.volume.unmount()
        fsck(world, problems=False)


@state
def a_full_disk_below_staging(world):
    with Copy(world):
        disk = world.path / "disk"
        disk.mkdir()
        e2e.run("mount", "-t", "tmpfs", "-o", "size=160M", "none", disk)
        filler = disk / "filler"
        filler.write_bytes(bytes(150 << 20))
        e2e.run(e2e.SHOAL, *f"mount {world.volume.meta} {world.volume.at} {world.mount_options(state_dir=disk / 's')}".split())
        fd = os.open(world.volume.at / "big", os.O_CREAT | os.O_WRONLY)
        code = 0
        try:
            for _ in range(64):
                os.write(fd, bytes(1 << 20))
            os.fsync(fd)
        except OSError as error:
            code = error.errno
        expect(code == errno.ENOSPC, f"{os.strerror(code)}; no space left was due")
        says(world.new_log(), "No space left on device", "free space there")
        expect(read(world.volume.at / "file") == BODY, "what is stored can be read")
        filler.unlink()
        try:
            os.fsync(fd)  # hears of the failure, once
        except OSError:
            pass
        os.ftruncate(fd, 0)
        os.pwrite(fd, BODY, 0)
        os.fsync(fd)
        os.close(fd)
        world.volume.unmount()
        world.volume.mount()
        expect(read(world.volume.at / "big") == BODY, "after there was room the file is not what was written")
        world.volume.unmount()
        e2e.run("umount", disk)
        fsck(world, options="--data", problems=False)


# ---- the bucket -------------------------------------------------------------------------------------------------

@state
def a_bucket_that_is_gone_or_empty(world):
    with Copy(world):
        away = world.path / "bucket-away"
        os.rename(world.bucket, away)
        refused(world, "{mount}", f"bucket folder {world.bucket} is not there", "mount what it lies on")
        world.bucket.mkdir()
        refused(world, "{mount}", "does not hold volume 'one'", "was it emptied or is it another bucket", "--take-over")
        shutil.rmtree(world.bucket)
        os.rename(away, world.bucket)
        world.volume.mount()
        world.volume.unmount()


@state
def a_damaged_segment(world):
    with Copy(world):
        damage(world.segment(), 500_000)
        fsck(world, problems=False)
        fsck(world, r"segment \w+: 4096 bytes from \d+ are damaged", r"/file \(inode \d+\): 4096 bytes cannot be read",
             options="--data")
        shutil.rmtree(world.volume.cache, ignore_errors=True)
        world.new_log()
        world.volume.mount()
        unreadable(world.volume.at / "file")
        says(world.new_log(), r"segment \w+: .*CRC mismatch", r"inode \d+ bytes .* cannot be read")
        expect(read(world.volume.at / "small") == b"small", "the undamaged file can be read")
        fsck(world, r"/file \(inode \d+\): 4096 bytes cannot be read", options="--data")
        world.volume.unmount()


@state
def a_segment_that_is_too_short_or_gone(world):
    with Copy(world):
        segment = world.segment()
        os.truncate(segment, 300_000)
        fsck(world, r"segment \w+ has 300000 bytes in the bucket", r"/file \(inode \d+\): \d+ bytes cannot be read")
        shutil.rmtree(world.volume.cache, ignore_errors=True)
        world.volume.mount()
        unreadable(world.volume.at / "file")
        world.volume.unmount()
        segment.unlink()
        fsck(world, r"segment \w+ is stored by its record but not in the bucket",
             r"/file \(inode \d+\): 1048576 bytes cannot be read")
        shutil.rmtree(world.volume.cache, ignore_errors=True)
        world.volume.mount()
        unreadable(world.volume.at / "file")
        world.volume.unmount()


# ---- the cache: never an error ----------------------------------------------------------------------------------

def filled_cache(world):
    shutil.rmtree(world.volume.cache, ignore_errors=True)
    world.volume.mount()
    read(world.volume.at / "file")
    world.volume.unmount()
    world.new_log()


def mounted_with(world, said, **wanted):
    world.volume.mount()
    expect(read(world.volume.at / "file") == BODY, "the file is not what it was")
    stats = world.stats()
    world.volume.unmount()
    log = world.new_log()
    if said:
        says(log, said)
    expect(" error " not in log, f"an error was logged: {log}")
    for name, least in wanted.items():
        found = stats["read"].get(name, stats["cache"].get(name))
        expect(found >= least, f"{name} is {found}, at least {least} was due")
    return stats


@state
def a_damaged_cache_index(world):
    filled_cache(world)
    damage(world.volume.cache / "index", 64, 10_000)
    mounted_with(world, "index records are broken", store_bytes=len(BODY))
    filled_cache(world)
    damage(world.volume.cache / "index", 0, 16)
    mounted_with(world, "not an index of a Shoal cache; it is begun anew", store_bytes=len(BODY))
    mounted_with(world, None, disk_bytes=1)


@state
def a_damaged_cache_slab(world):
    filled_cache(world)
    damage(world.volume.cache / "slab", 0, len(BODY) + (64 << 10))
    mounted_with(world, None, crc_errors=1, store_bytes=len(BODY))
    mounted_with(world, None, disk_bytes=1)


@state
def a_read_only_cache_folder(world):
    filled_cache(world)
    e2e.run("mount", "--bind", world.volume.cache, world.volume.cache)
    e2e.run("mount", "-o", "remount,ro,bind", world.volume.cache)
    try:
        stats = mounted_with(world, "Read-only file system.*goes on without a disk cache", store_bytes=len(BODY))
        expect(stats["cache"]["capacity_bytes"] == 0, "it says that it has a cache")
    finally:
        e2e.run("umount", world.volume.cache)


@state
def a_cache_folder_that_is_a_file(world):
    shutil.rmtree(world.volume.cache, ignore_errors=True)
    world.volume.cache.write_text("a file\n")
    mounted_with(world, "not a directory.*goes on without a disk cache", store_bytes=len(BODY))
    world.volume.cache.unlink()


# ---- a real S3 server -------------------------------------------------------------------------------------------

@state
def an_s3_bucket_with_wrong_credentials_or_none(world):
    server = e2e.S3Server(world.scratch)
    url = server.bucket_url("data", "prefix")
    new = f"format rocksdb://{world.path}/s3-meta s3 --bucket '{url}'"
    check = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    refused(world, new, "bucket s3://data/prefix", "InvalidAccessKeyId", check, env={"AWS_ACCESS_KEY_ID": "nobody"})
    refused(world, new, "bucket s3://data/prefix", "SignatureDoesNotMatch", check, env={"AWS_SECRET_ACCESS_KEY": "wrong"})
    refused(world, new, "no S3 credentials found", "set AWS_ACCESS_KEY_ID", env={
        "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "HOME": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true"})
    refused(world, new.replace("data", "absent"), "bucket s3://absent", "does not exist", "make the bucket, or correct its name")
    closed = e2e.free_ports(1)[0]
    refused(world, new.replace(str(server.ports[6]), str(closed)), f"127.0.0.1:{closed}", "Couldn't connect",
            "is the server running")
    expect(not (world.path / "s3-meta").exists(), "a refused format left metadata")
    done = world.shoal(new)
    expect(done.returncode == 0, done.stderr)
    mount = f"mount rocksdb://{world.path}/s3-meta {{mnt}} {world.mount_options(state_dir=world.path / 's3-state')}"
    for command in (mount, f"fsck rocksdb://{world.path}/s3-meta", f"gc rocksdb://{world.path}/s3-meta"):
        refused(world, command, "bucket s3://data/prefix", "SignatureDoesNotMatch", check,
                env={"AWS_SECRET_ACCESS_KEY": "wrong"})
    server.kill()
    refused(world, mount, server.endpoint, "Couldn't connect", "is the server running")
    expect(not world.is_mounted(), "it is mounted")
