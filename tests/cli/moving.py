#!/usr/bin/env python3
"""A volume moves to another engine by dump and load, on real mounts. Needs root: it mounts.

    moving.py [WORD…]        only checks whose names contain one of the words
"""
import array
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import termios

from world import e2e, expect, says

TREE_FILES, TREE_SEED = 300, 7


class Copy(e2e.Volume):
    """Where a volume was loaded, on the same machine: its staging and cache folders are the same."""

    def __init__(self, of, name):  # pylint: disable=super-init-not-called
        self.scratch, self.name = of.scratch, name
        self.meta = f"rocksdb://{of.scratch.path}/meta-{name}"
        self.at = of.scratch.path / f"mnt-{name}"
        self.at.mkdir()
        self.state, self.cache = of.state, of.cache
        of.scratch.at_exit(self.end)


def shoal(*words, **options):
    return e2e.run(e2e.SHOAL, *words, **options)


def facts(*words):
    return json.loads(shoal("--json", *words).stdout)


def refused(command, *words):
    done = e2e.run(e2e.SHOAL, *command, check=False)
    expect(done.returncode == 1, f"exit {done.returncode}: {done.stdout}")
    says(done.stdout, *words)
    expect(done.stdout.count("\n") == 1, f"more than a sentence: {done.stdout}")


def refused_mount(volume, *words):
    refused(["mount", volume.meta, volume.at, "--background", "--state-dir", volume.state, "--cache-dir", volume.cache], *words)
    expect(not os.path.ismount(volume.at), "it is mounted")


def unread(pipe):
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def manifest(folder):
    return e2e.run(e2e.REPO / "tests/programs/manifest.py", folder).stdout


class Volume(e2e.Volume):
    """With a tree of every kind of file in it, unmounted."""

    def __init__(self, scratch, name):
        super().__init__(scratch, name, f"file://{scratch.path}/bucket-{name}")
        self.mount()
        e2e.run(e2e.REPO / "tests/programs/make_tree.py", self.at / "tree", TREE_FILES, TREE_SEED)
        (self.at / "one").write_bytes(b"1" * 5000)
        os.link(self.at / "one", self.at / "two")
        os.setxattr(self.at / "one", "user.big", b"x" * 4000)
        (self.at / "removed").write_bytes(b"in the trash")
        (self.at / "removed").unlink()
        self.tree = manifest(self.at)
        self.unmount()

    def log(self):
        path = self.scratch.path / f"mount-{self.name}.log"
        return path.read_text() if path.exists() else ""


def a_moved_volume_is_the_same_elsewhere_and_its_old_place_is_refused(scratch):
    old = Volume(scratch, "old")
    new = Copy(old, "new")
    file = scratch.path / "old.dump"
    told = facts("dump", "--move", old.meta, file)
    expect(told["moved_away"] and file.stat().st_size == told["bytes"], told)
    expect(not os.path.exists(f"{file}.partial"), "the partial file is left")
    refused(["dump", "--move", old.meta, file], "is there already; name another file")
    refused_mount(old, "was moved away from here by shoal dump --move", "with --take-over")
    refused(["fsck", old.meta], "was moved away")
    expect("moved_away" in facts("status", old.meta), "status does not tell")
    # Lost before it was loaded? Then once more.
    again = scratch.path / "again.dump"
    facts("dump", "--move", old.meta, again)

    loaded = facts("load", new.meta, again)
    expect(loaded["inodes"] == told["inodes"] and loaded["sha256"] == told["sha256"], f"{loaded} {told}")
    refused(["load", new.meta, again], "there is a volume already", "a place that holds nothing")
    new.mount()
    expect(manifest(new.at) == old.tree, "the tree is not what it was")
    expect(os.getxattr(new.at / "one", "user.big") == b"x" * 4000, "the big attribute is lost")
    expect(facts("trash", "list", new.meta)["entries"][0]["name"] == "removed", "the trash did not travel")
    (new.at / "later").write_text("written in its new place\n")
    new.unmount()
    new.fsck("--data")
    log = (scratch.path / "mount-new.log").read_text()
    expect("refused" not in log and "quarantine" not in log, f"the old staging folder is in the way: {log}")

    refused_mount(old, "was moved away")
    refused(["dump", "--move", old.meta, scratch.path / "third.dump"], "another or newer copy of this metadata")
    gone = facts("destroy", old.meta, "--uuid", told["uuid"])
    expect(gone["objects_removed"] == 0 and "another copy" in gone["kept"], gone)
    new.drop_cache()
    new.mount()
    expect((new.at / "later").read_text() == "written in its new place\n", "the new place lost its file")
    new.unmount()
    new.fsck("--data")


def of_two_copies_the_first_that_is_mounted_goes_on(scratch):
    old = Volume(scratch, "pipe")
    copy = Copy(old, "copy")
    e2e.run("sh", "-c", f"'{e2e.SHOAL}' dump '{old.meta}' - | '{e2e.SHOAL}' load '{copy.meta}' -")
    copy.mount()
    expect(manifest(copy.at) == old.tree, "the tree is not what it was")
    copy.unmount()
    refused_mount(old, "another or newer copy of this metadata", "--take-over")
    copy.fsck("--data")

    late = Copy(old, "late")
    e2e.run("sh", "-c", f"'{e2e.SHOAL}' dump '{copy.meta}' - | '{e2e.SHOAL}' load '{late.meta}' -")
    copy.mount()
    copy.unmount()
    refused_mount(late, "another or newer copy of this metadata", "--take-over")
    # The copy that lost goes without the data of the one that goes on.
    gone = facts("destroy", late.meta, "--uuid", facts("status", copy.meta)["uuid"])
    expect(gone["objects_removed"] == 0, gone)
    copy.fsck("--data")


def a_moved_volume_is_taken_back(scratch):
    old = Volume(scratch, "back")
    new = Copy(old, "elsewhere")
    file = scratch.path / "back.dump"
    shoal("dump", "--move", old.meta, file)
    shoal("load", new.meta, file)
    old.mount("--take-over")
    expect(manifest(old.at) == old.tree, "the tree is not what it was")
    expect("moved_away" not in facts("status", old.meta), "it is still marked")
    old.unmount()
    refused_mount(new, "another or newer copy of this metadata")
    old.fsck("--data")


def an_interrupted_load_is_no_volume_and_goes_on(scratch):
    old = Volume(scratch, "half")
    new = Copy(old, "whole")
    file = scratch.path / "half.dump"
    shoal("dump", "--move", old.meta, file)
    with subprocess.Popen([e2e.SHOAL, "load", new.meta, "-"], stdin=subprocess.PIPE) as load:
        load.stdin.write(file.read_bytes()[:-100])
        load.stdin.flush()
        e2e.wait_until(lambda: unread(load.stdin) == 0, 30, "the load to have read all it can get")
        load.send_signal(signal.SIGKILL)
    with tempfile.NamedTemporaryFile(dir=scratch.path) as bad:
        bad.write(file.read_bytes()[:-100])
        bad.flush()
        refused(["load", new.meta, bad.name], "the dump ends in the middle", "copy the dump again")
    refused_mount(new, "is not finished here; run shoal load with that dump again to go on")
    refused(["format", new.meta, "other", "--bucket", f"file://{scratch.path}/other"], "is not finished here")
    shoal("load", new.meta, file)
    new.mount()
    expect(manifest(new.at) == old.tree, "the tree is not what it was")
    new.unmount()
    new.fsck("--data")


def what_is_only_staged_is_not_left_behind(scratch):
    old = Volume(scratch, "staged")
    file = scratch.path / "staged.dump"
    old.mount()
    refused(["dump", old.meta, file], "is mounted at", "unmount it first")
    (old.at / "late").write_bytes(b"only in staging")
    old.kill()
    epoch = facts("status", old.meta)["epoch"]
    refused(["dump", old.meta, file], "not whole in the bucket yet", f"{old.state}", "shoal umount, which stores them")
    expect(not file.exists() and facts("status", old.meta)["epoch"] == epoch, "the refused dump changed something")
    old.mount()
    old.unmount()
    shoal("dump", old.meta, file)


CHECKS = [a_moved_volume_is_the_same_elsewhere_and_its_old_place_is_refused, of_two_copies_the_first_that_is_mounted_goes_on,
          a_moved_volume_is_taken_back, an_interrupted_load_is_no_volume_and_goes_on, what_is_only_staged_is_not_left_behind]


def main():
    with e2e.Scratch() as scratch:
        return e2e.run_checks([(check.__name__.replace("_", " "), lambda check=check: check(scratch)) for check in CHECKS],
                              sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
