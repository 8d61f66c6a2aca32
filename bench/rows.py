"""The rows of `make bench`: what each group does on a fresh volume, and what is asked of each row (design §11).

A group is a sequence of rows on one volume; run.py runs each group on every system in turn, so that the figures of
one row stand close together in time.
"""
import dataclasses
import io
import json
import os
import random
import subprocess
import tarfile
import time

import systems
from systems import cpu_seconds, drop_kernel_caches, resident_bytes


@dataclasses.dataclass
class Row:
    title: str
    unit: str
    # Least ratios that the design asks for, by peer; and what already the first release must reach.
    goals: dict = dataclasses.field(default_factory=dict)
    floors: dict = dataclasses.field(default_factory=dict)
    lower_is_better: bool = False


def peers(ratio, ratio_writeback=None):
    return {"juicefs": ratio, "juicefswb": ratio_writeback or ratio}


NOT_SLOWER, TWICE = peers(1), peers(2)

ROWS = {
    "create": Row("create + write 4 KiB + close, 8 threads", "files/s", {**peers(15, 10), "ext4": 0.25}, peers(10)),
    "stat": Row("stat after dropping the kernel's caches, 8 threads", "stats/s", peers(5), TWICE),
    "list_new": Row("readdir + stat, new mount", "entries/s", peers(5), TWICE),
    "list_again": Row("readdir + stat, again", "entries/s", {**peers(10), "ext4": 0.85}, TWICE),
    "read_cold": Row("read 4 KiB, cold, 8 threads", "files/s", peers(10), TWICE),
    "read_warm": Row("read 4 KiB, warm disk cache, 8 threads", "files/s", peers(5), TWICE),
    "read_hot": Row("read 4 KiB, hot, 8 threads", "files/s", peers(5), TWICE),
    "rename": Row("rename, 8 threads", "renames/s", peers(5), TWICE),
    "mkdir": Row("mkdir, 8 threads", "mkdirs/s", peers(5), TWICE),
    "unlink": Row("unlink, 8 threads", "unlinks/s", peers(5), TWICE),
    "epoch_write": Row("create files of 110 KiB, 8 threads", "files/s", {}, NOT_SLOWER),
    "epoch_cold": Row("shuffled epoch of 110 KiB files, cold, 8 threads", "MB/s", peers(4), TWICE),
    "epoch_warm": Row("shuffled epoch of 110 KiB files, warm, 8 threads", "MB/s", peers(2.2), TWICE),
    "seq_write": Row("sequential write incl. fsync", "MB/s", {"juicefs": 2, "juicefswb": 2, "ext4": 0.6}, TWICE),
    "seq_cold": Row("sequential read, cold from the store", "MB/s", peers(2), TWICE),
    "seq_local": Row("sequential read, local cache", "MB/s", {"ext4": 0.8}, NOT_SLOWER),
    "seq_hot": Row("sequential read, hot", "MB/s", {"ext4": 0.92}, NOT_SLOWER),
    "rand_1": Row("random read 4 KiB, local cache, 1 thread", "reads/s", {**peers(2.5), "ext4": 0.6}, TWICE),
    "rand_16": Row("random read 4 KiB, local cache, 16 threads", "reads/s", {**peers(5), "ext4": 0.6}, TWICE),
    "overwrite_sync": Row("4 KiB overwrite + fsync", "per s", {**peers(20, 4), "ext4": 0.6}, TWICE),
    "append_sync": Row("append 200 B + fsync", "per s", {**peers(10, 4), "ext4": 0.6}, TWICE),
    "rand_write": Row("random write 4 KiB, one fsync at the end", "writes/s", {}, NOT_SLOWER),
    "pieces_ordered": Row("32 MiB written by 4 KiB in order", "MB/s", {}, NOT_SLOWER),
    "pieces_direct": Row("32 MiB written in random 4 KiB pieces, O_DIRECT", "MB/s", {}, NOT_SLOWER),
    "pieces_mmap": Row("32 MiB written in random 4 KiB pieces, mmap", "MB/s", {}, NOT_SLOWER),
    "pieces_ordered_read": Row("… the one in order read back", "MB/s", {}, NOT_SLOWER),
    "pieces_direct_read": Row("… the O_DIRECT one read back", "MB/s", {}, NOT_SLOWER),
    "pieces_mmap_read": Row("… the mmap one read back", "MB/s", {}, NOT_SLOWER),
    "pieces_ordered_cold": Row("… the one in order read back, cold", "MB/s", {}, NOT_SLOWER),
    "pieces_direct_cold": Row("… the O_DIRECT one read back, cold", "MB/s", {}, NOT_SLOWER),
    "pieces_mmap_cold": Row("… the mmap one read back, cold", "MB/s", {}, NOT_SLOWER),
    "untar": Row("untar 5,000 files", "s", peers(8), TWICE, lower_is_better=True),
    "find": Row("find, new mount", "s", peers(4), TWICE, lower_is_better=True),
    "rm": Row("rm -rf", "s", peers(4), TWICE, lower_is_better=True),
}


@dataclasses.dataclass
class Sizes:
    files: int = 10_000
    epoch_files: int = 2_000
    big_bytes: int = 1 << 30
    operations: int = 100_000
    synced_operations: int = 3_000
    synced_bytes: int = 64 << 20
    seconds_max: float = 5
    pieces_bytes: int = 32 << 20
    tree_files: int = 5_000
    puts_files: int = 524_288      # of 4 KiB: 2 GiB
    million_files: int = 1_000_000

    @classmethod
    def small(cls):
        return cls(files=400, epoch_files=48, big_bytes=48 << 20, operations=2_000, synced_operations=50,
                   synced_bytes=4 << 20, seconds_max=2, pieces_bytes=4 << 20, tree_files=200, puts_files=4_096,
                   million_files=10_000)


class Bench:
    """Runs rows on one system and keeps what was measured: results[row] = {...}."""

    def __init__(self, workload, system, sizes, seed, timeout_s):
        self.workload, self.system, self.sizes, self.seed, self.timeout_s = workload, system, sizes, seed, timeout_s
        self.results = {}

    def run(self, row, work, *options, cwd=None):
        """One row by the workload program."""
        command = [self.workload, work, "--folder", str(self.system.folder), "--seed", str(self.seed),
                   *(str(option) for option in options)]
        return self.measured(row, lambda: json.loads(self.finish(command, cwd)))

    def run_program(self, row, *command):
        """One row by somebody else's program: its value is the seconds it took.

        The program itself is read from its own disk before, for that is nobody's file system here."""
        self.finish([str(command[0]), "--version"], None)

        def action():
            begun = time.monotonic()
            self.finish([str(word) for word in command], None)
            seconds = time.monotonic() - begun
            return {"value": seconds, "unit": "s", "seconds": seconds, "operations": self.sizes.tree_files}
        return self.measured(row, action)

    def finish(self, command, cwd):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, errors="replace", cwd=cwd)
        try:
            out, err = process.communicate(timeout=self.timeout_s)
        except subprocess.TimeoutExpired:
            self.system.abort()
            process.kill()
            process.communicate()
            raise systems.e2e.E2eError(f"{' '.join(command)}: not done after {self.timeout_s} s") from None
        except BaseException:
            self.system.abort()
            process.kill()
            raise
        if process.returncode != 0:
            raise systems.e2e.E2eError(f"{' '.join(command)}: exit {process.returncode}\n{err[-2000:]}")
        return out

    def measured(self, row, action):
        daemon, servers = cpu_of(self.system.pids()), cpu_of(self.system.server_pids())
        requests = self.system.requests()
        sample = action()
        sample["daemon_cpu_s"] = used_since(daemon)
        sample["servers_cpu_s"] = used_since(servers)
        sample["requests"] = difference(self.system.requests(), requests)
        sample["resident_bytes"] = sum(resident_bytes(pid) for pid in self.system.pids())
        sample["peak_bytes"] = sum(resident_bytes(pid, "VmHWM") for pid in self.system.pids())
        self.results[row] = sample
        return sample


def cpu_of(pids):
    return {pid: cpu_seconds(pid) or 0.0 for pid in pids}


def used_since(before):
    """CPU seconds of the same processes since cpu_of; one that ended meanwhile is a failure of the row."""
    now = {pid: cpu_seconds(pid) for pid in before}
    gone = [str(pid) for pid, seconds in now.items() if seconds is None]
    if gone:
        raise systems.e2e.E2eError(f"process {', '.join(gone)} ended during the row")
    return sum(now[pid] - before[pid] for pid in before)


def difference(after, before):
    counts = {kind: after[kind] - before.get(kind, 0) for kind in after}
    return {kind: count for kind, count in counts.items() if count}


def small_files(bench, first_round, scratch):
    files = ("--files", bench.sizes.files)
    system = bench.system
    before = system.requests()
    create = bench.run("create", "create", *files)
    drop_kernel_caches()
    bench.run("stat", "stat", *files)
    create["daemon_cpu_until_stored_s"] = create["daemon_cpu_s"] + system.end_process()
    create["requests_until_stored"] = difference(system.requests(), before)
    system.begin_process(cold=False)
    bench.run("list_new", "list", *files)
    bench.run("list_again", "list", *files)
    system.remount(cold=True)
    bench.run("read_cold", "read", *files)
    system.remount(cold=False)
    bench.run("read_warm", "read", *files)
    bench.run("read_hot", "read", *files)
    bench.run("rename", "rename", *files)
    bench.run("mkdir", "mkdir", *files)
    bench.run("unlink", "unlink", *files, "--prefix", "r")
    if first_round and system.pids():
        count = 200
        opcodes = systems.fuse_requests(
            system.pids(), lambda: bench.finish([bench.workload, "create", "--folder", str(system.folder), "--set",
                                                 "traced", "--files", str(count)], None), scratch)
        create["fuse_requests"] = {name: round(number / count, 2) for name, number in opcodes.items()}


def epoch(bench, first_round, scratch):
    del first_round, scratch
    options = ("--files", bench.sizes.epoch_files, "--size-bytes", 110 * 1024, "--set", "epoch")
    bench.run("epoch_write", "create", *options)
    bench.system.remount(cold=True)
    bench.run("epoch_cold", "read-mb", *options)
    bench.system.remount(cold=False)
    bench.run("epoch_warm", "read-mb", *options)


def big_file(bench, first_round, scratch):
    del first_round, scratch
    big = ("--bytes", bench.sizes.big_bytes)
    bench.run("seq_write", "sequential-write", *big)
    bench.system.remount(cold=True)
    bench.run("seq_cold", "sequential-read", *big)
    bench.system.remount(cold=False)
    bench.run("seq_local", "sequential-read", *big)
    bench.run("seq_hot", "sequential-read", *big)
    limits = ("--operations", bench.sizes.operations, "--seconds-max", bench.sizes.seconds_max)
    for row, threads in (("rand_1", 1), ("rand_16", 16)):
        drop_kernel_caches()
        bench.run(row, "random-read", *big, *limits, "--threads", threads)


def synced(bench, first_round, scratch):
    del first_round, scratch
    limits = ("--operations", bench.sizes.synced_operations, "--seconds-max", bench.sizes.seconds_max)
    size = ("--bytes", bench.sizes.synced_bytes)
    bench.run("overwrite_sync", "overwrite-sync", *size, *limits, "--file", "overwritten.dat")
    bench.run("append_sync", "append-sync", *limits, "--file", "appended.log")
    bench.run("rand_write", "random-write", *size, "--operations", bench.sizes.operations // 5, "--seconds-max",
              bench.sizes.seconds_max, "--file", "random.dat")


def pieces(bench, first_round, scratch):
    del first_round, scratch
    hows = ("ordered", "direct", "mmap")
    size = ("--bytes", bench.sizes.pieces_bytes)
    for how in hows:
        bench.run(f"pieces_{how}", "write-pieces", *size, "--how", how, "--file", f"{how}.dat")
    drop_kernel_caches()
    for how in hows:
        bench.run(f"pieces_{how}_read", "sequential-read", *size, "--check-all", 1, "--file", f"{how}.dat")
    bench.system.remount(cold=True)
    for how in hows:
        bench.run(f"pieces_{how}_cold", "sequential-read", *size, "--check-all", 1, "--file", f"{how}.dat")


def tree(bench, first_round, scratch):
    del first_round
    archive = scratch.path / "tree.tar"
    if not archive.exists():
        make_archive(archive, bench.sizes.tree_files, bench.seed)
    at = bench.system.folder / "tree"
    at.mkdir()
    bench.run_program("untar", "tar", "-xf", archive, "-C", at)
    bench.system.remount(cold=False)
    bench.run_program("find", "find", at, "-newermt", "2000-01-01")
    bench.finish(["tar", "-df", str(archive), "-C", str(at)], None)  # what was unpacked is what was packed
    bench.run_program("rm", "rm", "-rf", at)
    if at.exists():
        raise systems.e2e.E2eError(f"{at} is still there after rm -rf")


GROUPS = {
    "small": (small_files, ["create", "stat", "list_new", "list_again", "read_cold", "read_warm", "read_hot", "rename",
                            "mkdir", "unlink"]),
    "epoch": (epoch, ["epoch_write", "epoch_cold", "epoch_warm"]),
    "big": (big_file, ["seq_write", "seq_cold", "seq_local", "seq_hot", "rand_1", "rand_16"]),
    "synced": (synced, ["overwrite_sync", "append_sync", "rand_write"]),
    "pieces": (pieces, [row for row in ROWS if row.startswith("pieces_")]),
    "tree": (tree, ["untar", "find", "rm"]),
}


def make_archive(path, files, seed):
    """A tree as sources are: 20 files a folder, most of a few KiB, some larger."""
    rng = random.Random(seed)
    with tarfile.open(path, "w") as archive:
        for number in range(files):
            member = tarfile.TarInfo(f"src/m{number // 400}/d{number // 20}/file{number}.c")
            body = rng.randbytes(min(int(rng.lognormvariate(8.0, 1.2)), 256 << 10))
            member.size, member.mtime, member.mode = len(body), 1_600_000_000 + number, 0o644
            archive.addfile(member, io.BytesIO(body))


def packed_puts(bench, files):
    """PUTs for many small files against the design's formula, and the memory they leave behind; Shoal only."""
    system = bench.system
    before = system.requests()
    create = bench.run("packed", "create", "--files", files)
    resident = create["resident_bytes"]
    cpu = create["daemon_cpu_s"] + system.end_process()
    requests = difference(system.requests(), before)
    system.begin_process(cold=False)
    puts = sum(count for kind, count in requests.items() if kind in PUT_KINDS)
    size = files * 4096
    bound = size / (64 << 20) + 2 * create["seconds"] / 5 + 2
    return {"files": files, "bytes": size, "seconds": create["seconds"], "files_per_s": create["value"], "puts": puts,
            "puts_bound": bound, "requests": requests, "daemon_cpu_us_per_file": cpu / files * 1e6,
            "resident_bytes": resident, "peak_bytes": create["peak_bytes"],
            "resident_after_remount_bytes": sum(resident_bytes(pid) for pid in system.pids()),
            "load": os.getloadavg()[0]}


# SeaweedFS' names for requests that store something.
PUT_KINDS = ("PUT", "POST", "PutObject", "PutObjectPart", "NewMultipartUpload", "CompleteMultipartUpload", "COPY")
