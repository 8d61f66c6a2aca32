#!/usr/bin/env python3
"""Two and three mounts of one volume through a meta server, and two of an embedded one: what programs on them see of each
other, and what somebody without the token gets.

usage: shared.py [WORD...]     only the tests whose names contain a word
"""
import errno
import fcntl
import os
import pathlib
import random
import sqlite3
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import cluster
import e2e

REPO = e2e.REPO


def shared(scratch, *format_options):
    return cluster.SharedVolume(scratch, "demo", f"file://{scratch.path}/bucket", f"rocksdb://{scratch.path}/meta",
                                *format_options)


def unmount_sound(volume, *mounts):
    for mount in mounts:
        mount.unmount()
    volume.fsck()


def closed_on_one_is_read_on_the_other(scratch):
    """Close-to-open, 200 times, files of all sizes, both ways, through open handles' caches."""
    volume = shared(scratch)
    mounts = [volume.mount("a"), volume.mount("b")]
    rng = random.Random(7)
    for turn in range(200):
        writer, reader = mounts if turn % 2 else mounts[::-1]
        name = f"f{turn % 20}"
        content = rng.randbytes(rng.choice([0, 1, 100, 4096, 70_000, 300_000]))
        with open(writer.at / name, "wb") as file:
            file.write(content)
        if (reader.at / name).read_bytes() != content:
            raise e2e.E2eError(f"turn {turn}: {name} has other bytes on the other mount")
    unmount_sound(volume, *mounts)


def appends_of_two_mounts_are_all_there(scratch):
    volume = shared(scratch)
    mounts = [volume.mount("a"), volume.mount("b")]
    lines = 200

    def append(mount, who):
        with open(mount.at / "log", "ab", buffering=0) as log:
            for number in range(lines):
                log.write(f"{who} {number}\n".encode())

    threads = [threading.Thread(target=append, args=(mount, who)) for who, mount in enumerate(mounts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for mount in mounts:
        found = (mount.at / "log").read_text(encoding="utf-8").splitlines()
        for who in range(2):
            own = [int(line.split()[1]) for line in found if line.startswith(f"{who} ")]
            if own != list(range(lines)):
                raise e2e.E2eError(f"of mount {who} there are {len(own)} lines of {lines}, or in another order")
    unmount_sound(volume, *mounts)


def a_lock_orders_what_it_guards(scratch):
    """A counter in a file, under flock and under POSIX locks, from four processes on two mounts."""
    volume = shared(scratch)
    mounts = [volume.mount("a"), volume.mount("b")]
    script = """
import fcntl, os, sys
path, kind = sys.argv[1], sys.argv[2]
lock = fcntl.flock if kind == "flock" else fcntl.lockf
for _ in range(50):
    with open(path, "r+") as file:
        lock(file, fcntl.LOCK_EX)
        count = int(file.read() or 0)
        file.seek(0)
        file.write(str(count + 1))
        file.flush()
        lock(file, fcntl.LOCK_UN)
"""
    for kind in ("flock", "posix"):
        (mounts[0].at / kind).write_text("0", encoding="utf-8")
        running = [subprocess.Popen([sys.executable, "-c", script, str(mounts[i % 2].at / kind), kind]) for i in range(4)]
        for process in running:
            if process.wait(120) != 0:
                raise e2e.E2eError(f"a process under {kind} failed")
        count = int((mounts[1].at / kind).read_text(encoding="utf-8"))
        if count != 200:
            raise e2e.E2eError(f"{kind}: the counter is {count}, not 200")
    unmount_sound(volume, *mounts)


def posix_locks_between_mounts(scratch):
    """Ranges split, conflict and merge; close of any descriptor releases all; deadlocks are told."""
    volume = shared(scratch)
    mounts = [volume.mount("a"), volume.mount("b")]
    path_a, path_b = mounts[0].at / "f", mounts[1].at / "f"
    path_a.write_bytes(b"x" * 100)
    other = """
import fcntl, sys
with open(sys.argv[1], "r+") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, int(sys.argv[3]), int(sys.argv[2]))
        print("free")
    except OSError as error:
        print(error.errno)
"""

    def state(start, length):
        told = subprocess.run([sys.executable, "-c", other, str(path_b), str(start), str(length)], capture_output=True,
                              text=True, check=True).stdout.strip()
        return "held" if told in (str(errno.EAGAIN), str(errno.EACCES)) else told

    with open(path_a, "r+", encoding="utf-8") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 100, 0)
        fcntl.lockf(file, fcntl.LOCK_UN, 20, 40)  # splits it
        expected = {(0, 10): "held", (40, 20): "free", (39, 1): "held", (60, 1): "held"}
        for (start, length), wanted in expected.items():
            if state(start, length) != wanted:
                raise e2e.E2eError(f"[{start}, +{length}) is {state(start, length)}, should be {wanted}")
        with open(path_a, "rb"):
            pass  # closing any descriptor drops the process's locks
        if state(0, 100) != "free":
            raise e2e.E2eError("closing another descriptor did not drop the locks")
    deadlock = """
import errno, fcntl, os, sys
mine, theirs, ready, go = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
with open(sys.argv[1], "r+") as file:
    fcntl.lockf(file, fcntl.LOCK_EX, 1, mine)
    open(ready, "w").close()
    while not os.path.exists(go):
        pass
    try:
        fcntl.lockf(file, fcntl.LOCK_EX, 1, theirs)
        print("granted")
    except OSError as error:
        print(error.errno == errno.EDEADLK and "deadlock" or error)
"""
    marks = [scratch.path / "ready0", scratch.path / "ready1"]
    go = scratch.path / "go"
    running = [subprocess.Popen([sys.executable, "-c", deadlock, str(path), str(i), str(1 - i), str(marks[i]), str(go)],
                                stdout=subprocess.PIPE, text=True) for i, path in enumerate((path_a, path_b))]
    e2e.wait_until(lambda: all(mark.exists() for mark in marks), 30, "both locks")
    go.touch()
    told = sorted(process.communicate(timeout=60)[0].strip() for process in running)
    if told != ["deadlock", "granted"]:
        raise e2e.E2eError(f"two processes that wait for each other were told {told}")
    for mount in mounts:
        mount.unmount()


def a_database_is_written_from_two_mounts(scratch):
    volume = shared(scratch)
    mounts = [volume.mount("a"), volume.mount("b")]
    database = sqlite3.connect(mounts[0].at / "db", timeout=60)
    database.execute("create table t (who integer, number integer)")
    database.commit()
    database.close()
    errors = []

    def insert(mount, who):
        try:
            database = sqlite3.connect(mount.at / "db", timeout=120)
            for number in range(40):
                with database:
                    database.execute("insert into t values (?, ?)", (who, number))
            database.close()
        except sqlite3.Error as error:
            errors.append(f"mount {who}: {error}")

    threads = [threading.Thread(target=insert, args=(mount, who)) for who, mount in enumerate(mounts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise e2e.E2eError("; ".join(errors))
    database = sqlite3.connect(mounts[1].at / "db")
    found = database.execute("select count(*) from t").fetchone()[0]
    verdict = database.execute("pragma integrity_check").fetchone()[0]
    database.close()
    if (found, verdict) != (80, "ok"):
        raise e2e.E2eError(f"{found} rows of 80, integrity_check says {verdict}")
    unmount_sound(volume, *mounts)


def git_pushes_and_fetches_between_mounts(scratch):
    volume = shared(scratch)
    a, b = volume.mount("a"), volume.mount("b")
    env = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "n", "GIT_AUTHOR_EMAIL": "e@x", "GIT_COMMITTER_NAME": "n",
           "GIT_COMMITTER_EMAIL": "e@x", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
           "GIT_CONFIG_VALUE_0": "*"}

    def git(*words):
        return e2e.run("git", *words, env=env).stdout

    git("init", "-q", "--bare", a.at / "bare")
    git("clone", "-q", a.at / "bare", a.at / "one")
    for turn in range(5):
        (a.at / "one" / f"file{turn}").write_text(f"content {turn}\n" * 1000, encoding="utf-8")
        git("-C", a.at / "one", "add", ".")
        git("-C", a.at / "one", "commit", "-qm", f"turn {turn}")
        git("-C", a.at / "one", "push", "-q", "origin", "HEAD:main")
        if turn == 0:
            git("clone", "-q", "-b", "main", b.at / "bare", b.at / "two")
        git("-C", b.at / "two", "pull", "-q", "origin", "main")
        if not (b.at / "two" / f"file{turn}").exists():
            raise e2e.E2eError(f"turn {turn} did not arrive")
    for repository in (b.at / "bare", a.at / "two"):
        git("-C", repository, "fsck", "--full")
    unmount_sound(volume, a, b)


def three_mounts_are_linearizable(scratch):
    """Names, with no time to believe in; data close-to-open."""
    volume = shared(scratch)
    mounts = [volume.mount(name, "-o", "attr_timeout=0,entry_timeout=0") for name in "abc"]
    told = e2e.run(REPO / "tests/multi/histories.py", *[mount.at for mount in mounts], "--seconds", 20, "--processes", 2,
                   "--rate", 100, "--seed", random.randrange(1 << 30), timeout=300).stdout
    print("  " + told.strip().splitlines()[-1])
    unmount_sound(volume, *mounts)


def a_second_mount_of_an_embedded_volume_connects_to_the_first(scratch):
    volume = e2e.Volume(scratch, "demo", f"file://{scratch.path}/bucket")
    volume.mount()
    second = scratch.path / "second"
    second.mkdir()
    (volume.at / "before").write_text("before", encoding="utf-8")
    os.stat(volume.at / "before")
    e2e.run(e2e.SHOAL, "mount", volume.meta, second, "--background", "--state-dir", volume.state, "--cache-dir",
            scratch.path / "cache-second", "--log", scratch.path / "second.log")
    if (second / "before").read_text(encoding="utf-8") != "before":
        raise e2e.E2eError("what was closed before the second mount is not there")
    os.rename(second / "before", second / "after")
    e2e.wait_until(lambda: os.listdir(volume.at) == ["after"], 5, "the rename of the second mount at the first")
    for turn in range(20):
        one, two = (volume.at, second) if turn % 2 else (second, volume.at)
        (one / "turns").write_text(f"turn {turn}", encoding="utf-8")
        if (two / "turns").read_text(encoding="utf-8") != f"turn {turn}":
            raise e2e.E2eError(f"turn {turn} is not seen by the other mount")
    e2e.run(e2e.SHOAL, "umount", second)
    volume.unmount()
    volume.fsck()


def an_evicted_session_is_followed_by_a_new_one(scratch):
    """Its locks are free, the handle that held one answers EIO until it is closed; everything else goes on."""
    volume = shared(scratch)
    a, b = volume.mount("a"), volume.mount("b")
    (a.at / "f").write_text("content", encoding="utf-8")
    (a.at / "g").write_text("other", encoding="utf-8")
    listen = volume.servers[0].address
    locked = os.open(a.at / "f", os.O_RDWR)
    with open(a.at / "g", encoding="utf-8") as clean:
        fcntl.flock(locked, fcntl.LOCK_EX)
        sessions = e2e.run(e2e.SHOAL, "session", "list", "demo", "--listen", listen).stdout
        number = next(line.split()[0] for line in sessions.splitlines() if str(a.at) in line)
        e2e.run(e2e.SHOAL, "session", "evict", "demo", number, "--listen", listen)
        with open(b.at / "f", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        e2e.wait_until(lambda: (a.at / "g").read_text(encoding="utf-8") == "other", 30, "the mount to go on")
        if clean.read() != "other":
            raise e2e.E2eError("a clean handle did not go on")
    for what, action in {"write": lambda: os.pwrite(locked, b"x", 0), "fsync": lambda: os.fsync(locked),
                         "close": lambda: os.close(locked)}.items():
        try:
            action()
            raise e2e.E2eError(f"{what} of the handle that held a lock succeeds as if nothing had happened")
        except OSError as error:
            if error.errno != errno.EIO:
                raise
    (a.at / "h").write_text("new", encoding="utf-8")
    unmount_sound(volume, a, b)


def who_has_no_token_gets_nothing(scratch):
    volume = shared(scratch)
    other = cluster.SharedVolume(scratch, "other", f"file://{scratch.path}/bucket2", f"rocksdb://{scratch.path}/meta2")
    wrong = {"a wrong token": "0123456789abcdef0123456789abcdef", "a short one": "abc",
             "that of another volume": other.token_file.read_text(encoding="utf-8").strip()}
    (scratch.path / "m").mkdir()
    for what, token in wrong.items():
        for command in (["status", volume.url()], ["fsck", volume.url()], ["mount", volume.url(), scratch.path / "m"]):
            done = e2e.run(e2e.SHOAL, *command, check=False, env={"SHOAL_TOKEN": token, "SHOAL_TOKEN_FILE": ""})
            if done.returncode == 0 or "bucket" in done.stdout or done.stdout.count("\n") != 1:
                raise e2e.E2eError(f"{what}: shoal {command[0]} answered {done.returncode}: {done.stdout}")
    unknown = f"shoal://{volume.servers[0].address}/nothing"
    told = [e2e.run(e2e.SHOAL, "status", url, check=False, env={"SHOAL_TOKEN": "0" * 32, "SHOAL_TOKEN_FILE": ""})
            .stdout.replace(url, "URL").replace("'demo'", "'X'").replace("'nothing'", "'X'")
            for url in (volume.url(), unknown)]
    if told[0] != told[1]:
        raise e2e.E2eError(f"a volume that there is not and a wrong token are told apart: {told}")


def jobs_run_through_the_meta_server(scratch):
    volume = shared(scratch, "--trash-days", "0")
    mount = volume.mount("a")
    for number in range(100):
        (mount.at / f"f{number}").write_bytes(os.urandom(20_000))
    e2e.run(e2e.SHOAL, "flush", mount.at)
    for number in range(95):
        (mount.at / f"f{number}").unlink()
    e2e.run(e2e.SHOAL, "flush", mount.at)
    for command in (["repack"], ["gc", "--delete"], ["fsck", "--data"], ["config", "--trash-days", "3"], ["status"],
                    ["trash", "list"]):
        verb, options = command[:1], command[1:]
        if command[0] == "trash":
            verb, options = command, []
        e2e.run(e2e.SHOAL, *verb, volume.url(), *options, env=volume.env)
    for number in range(95, 100):
        if len((mount.at / f"f{number}").read_bytes()) != 20_000:
            raise e2e.E2eError(f"f{number} is short after repack and gc")
    mount.unmount()
    volume.fsck("--data")


CHECKS = [closed_on_one_is_read_on_the_other, appends_of_two_mounts_are_all_there, a_lock_orders_what_it_guards,
          posix_locks_between_mounts, a_database_is_written_from_two_mounts, git_pushes_and_fetches_between_mounts,
          three_mounts_are_linearizable, a_second_mount_of_an_embedded_volume_connects_to_the_first,
          an_evicted_session_is_followed_by_a_new_one, who_has_no_token_gets_nothing, jobs_run_through_the_meta_server]


def in_scratch(check):
    def run():
        begun = time.monotonic()
        with e2e.Scratch() as scratch:
            check(scratch)
        print(f"  {time.monotonic() - begun:.0f} s", flush=True)
    return check.__name__, run


if __name__ == "__main__":
    sys.exit(e2e.run_checks([in_scratch(check) for check in CHECKS], sys.argv[1:]))
