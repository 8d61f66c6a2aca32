#!/usr/bin/env python3
"""Meta servers that take over from each other, on PostgreSQL: by SIGKILL, in good order, and with a paused owner that
comes back. Programs on a hard mount see a pause and no error; nothing that was acknowledged is lost.

usage: failover.py [WORD...]     only the tests whose names contain a word
"""
import os
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import cluster
import e2e


class Worker(threading.Thread):
    """Creates, renames, removes and writes in a folder of its own until told to stop; remembers what was acknowledged."""

    def __init__(self, folder, number):
        super().__init__(daemon=True)
        self.folder = folder / f"w{number}"
        self.folder.mkdir()
        self.stopping = threading.Event()
        self.errors, self.files, self.operations, self.longest = [], {}, 0, 0.0

    def run(self):
        count = 0
        while not self.stopping.is_set() and not self.errors:
            begun = time.monotonic()
            try:
                self.once(count)
            except OSError as error:
                self.errors.append(f"operation {count}: {error}")
            self.longest = max(self.longest, time.monotonic() - begun)
            count += 1

    def once(self, count):
        name = f"f{count}"
        with open(self.folder / name, "x", encoding="utf-8") as file:
            file.write(f"content of {name}\n")
        self.files[name] = f"content of {name}\n"
        if count % 3 == 1:
            os.rename(self.folder / name, self.folder / f"{name}r")
            self.files[f"{name}r"] = self.files.pop(name)
        if count % 5 == 2:
            os.mkdir(self.folder / f"d{count}")
            os.rmdir(self.folder / f"d{count}")
        if count % 7 == 3:
            victim = next(iter(self.files))
            os.unlink(self.folder / victim)
            del self.files[victim]
        self.operations += 1

    def check(self, folder):
        names = sorted(os.listdir(folder / self.folder.name))
        if names != sorted(self.files):
            lost = set(self.files) - set(names)
            more = set(names) - set(self.files)
            raise e2e.E2eError(f"{self.folder.name}: lost {sorted(lost)[:5]}, came back {sorted(more)[:5]}")
        for name, content in self.files.items():
            found = (folder / self.folder.name / name).read_text(encoding="utf-8")
            if found != content:
                raise e2e.E2eError(f"{self.folder.name}/{name}: {found!r} instead of {content!r}")


def with_workers(mount, action, count=3):
    workers = [Worker(mount.at, number) for number in range(count)]
    for worker in workers:
        worker.start()
    e2e.wait_until(lambda: all(worker.operations > 5 for worker in workers), 60, "the workers' first operations")
    try:
        action(workers)
        before = [worker.operations for worker in workers]
        e2e.wait_until(lambda: all(worker.operations > was + 5 or worker.errors
                                   for worker, was in zip(workers, before)), 60, "operations after the change")
    finally:
        for worker in workers:
            worker.stopping.set()
        for worker in workers:
            worker.join(60)
    errors = [error for worker in workers for error in worker.errors]
    if errors:
        raise e2e.E2eError(f"programs saw errors: {errors[:3]}")
    for worker in workers:
        worker.check(mount.at)
    return max(worker.longest for worker in workers)


def shared(scratch, servers=2):
    database = cluster.Postgres(scratch)
    return database, cluster.SharedVolume(scratch, "demo", f"file://{scratch.path}/bucket", database.url("demo"),
                                          servers=servers)


def owner_killed(scratch):
    """SIGKILL of the owner: the standby takes over; the longest pause of a program is printed."""
    _, volume = shared(scratch)
    mount = volume.mount("a")

    def kill(_):
        owner = volume.owner()
        owner.kill()
        e2e.wait_until(volume.owner, 30, "the standby to take over")

    longest = with_workers(mount, kill)
    print(f"  longest pause of a program: {longest:.1f} s")
    mount.unmount()
    print("  " + volume.fsck().strip().splitlines()[-1])


def owner_ends_in_good_order(scratch):
    """SIGTERM: the standby need not wait for the term."""
    _, volume = shared(scratch)
    mount = volume.mount("a")

    def stop(_):
        volume.owner().stop()
        e2e.wait_until(volume.owner, 30, "the standby to take over")

    longest = with_workers(mount, stop)
    print(f"  longest pause of a program: {longest:.1f} s")
    mount.unmount()
    volume.fsck()


def paused_owner_comes_back(scratch):
    """SIGSTOP past its term, SIGCONT: it is fenced; nothing it was asked to do before happens afterwards."""
    _, volume = shared(scratch)
    mount = volume.mount("a")

    def pause(workers):
        old = volume.owner()
        old.pause()
        other = next(server for server in volume.servers if server is not old)
        e2e.wait_until(other.owns, 30, "the standby to take over")
        before = [worker.operations for worker in workers]
        old.resume()
        e2e.wait_until(lambda: old.status()["state"] == "standby", 30, "the old owner to stand by")
        e2e.wait_until(lambda: all(worker.operations > was or worker.errors for worker, was in zip(workers, before)), 60,
                       "operations at the new owner")

    with_workers(mount, pause)
    mount.unmount()
    volume.fsck()


def database_killed(scratch):
    """SIGKILL of PostgreSQL and a new start: programs wait, nothing is lost."""
    database, volume = shared(scratch, servers=1)
    mount = volume.mount("a")

    def kill(_):
        database.kill()
        database.start()
        e2e.wait_until(volume.owner, 60, "the owner to go on")

    with_workers(mount, kill)
    mount.unmount()
    volume.fsck()


def server_and_engine_on_one_machine(scratch):
    """RocksDB: the server killed and started again goes on with the sessions that there were."""
    volume = cluster.SharedVolume(scratch, "demo", f"file://{scratch.path}/bucket", f"rocksdb://{scratch.path}/meta")
    mount = volume.mount("a")

    def kill(_):
        volume.servers[0].kill()
        volume.servers[0].start()
        e2e.wait_until(volume.owner, 30, "the server to own the volume again")

    with_workers(mount, kill)
    mount.unmount()
    volume.fsck()


CHECKS = [owner_killed, owner_ends_in_good_order, paused_owner_comes_back, database_killed,
          server_and_engine_on_one_machine]


def in_scratch(check):
    def run():
        with e2e.Scratch() as scratch:
            check(scratch)
    return check.__name__, run


if __name__ == "__main__":
    sys.exit(e2e.run_checks([in_scratch(check) for check in CHECKS], sys.argv[1:]))
