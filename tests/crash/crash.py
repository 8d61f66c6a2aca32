#!/usr/bin/env python3
"""Crash test: the end of the mount under load, again and again, on a bucket in a real S3 server.

    crash.py --ends 12 --seed 1 [--by kill|umount] [--durability local|object] [--writers 4]

After each SIGKILL the volume is mounted again with an empty cache and no manual step; every file must be in the state
after some prefix of its operations, at least up to what was acknowledged; then fsck must be clean. A round in which
nothing was promised does not count.

`--by umount`: the mount is taken away from under the programs that use it (umount -l, shoal umount --force) and mounted
again at once, while the one before still answers those that have files open. Whatever it answered must be there then.
"""
import argparse
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "lib"))
import e2e  # noqa: E402
import oracle  # noqa: E402


def contents(folder):
    found = {}
    for path in folder.glob("[fg]*"):
        if not path.name.endswith(".tmp"):
            found[path.name] = path.read_bytes()
    return found


def check_writer(folder, log, before, promises):
    """Returns (errors, promises kept)."""
    events, done = oracle.read_log(log)
    found = contents(folder) if folder.exists() else {}
    errors, promised = [], 0
    for file in sorted({event["file"] for event in events} | set(before)):
        mine = [event for event in events if event["file"] == file]
        promised += sum(1 for event in mine if event["i"] in done and event["op"] in promises)
        check = oracle.check_large if file.startswith("g") else oracle.check_file
        error = check(mine, done, before.get(file), found.get(file), promises)
        if error:
            errors.append(f"{folder.name}/{file}: {error}")
    return errors, promised, found


def one_round(volume, scratch, arguments, chance, before):
    logs, writers = [], []
    for number in range(arguments.writers):
        log = scratch.path / f"writer-{number}.log"
        log.unlink(missing_ok=True)
        folder = volume.at / f"w{number}"
        logs.append((folder, log))
        writers.append(subprocess.Popen([sys.executable, HERE / "writer.py", folder, log, str(chance.getrandbits(32))],
                                        stderr=subprocess.DEVNULL))
    time.sleep(chance.uniform(0.3, 2.5))  # when the kill comes is what is random here
    if arguments.by == "kill":
        volume.kill()
        for writer in writers:
            writer.wait(60)
        volume.drop_cache()
    elif chance.random() < 0.5:
        e2e.run("umount", "-l", volume.at)
    else:
        volume.unmount("--force")
    volume.mount()
    for writer in writers:
        writer.terminate()  # one that asked for nothing while there was no mount has not noticed
        writer.wait(60)
    errors, promised = [], 0
    for folder, log in logs:
        if not log.exists():
            continue
        promises = oracle.PROMISES if arguments.by == "kill" else oracle.EVERYTHING
        wrong, kept, found = check_writer(folder, log, before.get(folder.name, {}), promises)
        errors += wrong
        promised += kept
        before[folder.name] = found
    return errors, promised


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ends", type=int, default=12)
    parser.add_argument("--by", default="kill", choices=["kill", "umount"])
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--durability", default="local", choices=["local", "object"])
    parser.add_argument("--writers", type=int, default=4)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    print(f"seed {arguments.seed}, {arguments.ends} ends by {arguments.by}, class {arguments.durability}", flush=True)
    counted, failures, tries = 0, 0, 0
    with e2e.Scratch() as scratch:
        server = e2e.S3Server(scratch)
        volume = e2e.Volume(scratch, "crash", server.bucket_url("crash", "p"), "--durability", arguments.durability)
        volume.mount()
        for number in range(arguments.writers):
            (volume.at / f"w{number}").mkdir()
        before = {}
        while counted < arguments.ends and tries < arguments.ends * 3:
            tries += 1
            errors, promised = one_round(volume, scratch, arguments, chance, before)
            counted += 1 if promised else 0
            for error in errors:
                print(f"end {tries}: {error}", flush=True)
            failures += len(errors)
            print(f"end {tries}: {promised} promises, {len(errors)} broken", flush=True)
            volume.fsck()
            if errors:
                if os.environ.get("KEEP"):
                    shutil.copytree(scratch.path, "/tmp/crash-kept", dirs_exist_ok=True, ignore=shutil.ignore_patterns("mnt-*"))
                break
        volume.unmount()
        volume.fsck()
    if counted < arguments.ends and not failures:
        print(f"only {counted} rounds promised anything")
        failures += 1
    print(f"{counted} ends by {arguments.by}, {failures} files wrong (seed {arguments.seed})")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
