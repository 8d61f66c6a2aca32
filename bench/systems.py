"""What `make bench` measures: Shoal, JuiceFS in two modes, and a folder of the local disk, each behind the same calls.

A System is one file system on one fresh volume:

    system.start(); ... system.folder ...; system.remount(cold=True); ...; system.stop()

All of them keep their objects in the one SeaweedFS server of the run (Store), each volume in a bucket of its own, so
that the server's own counters say who asked for what. Processes are found by their mount point, which lies in the
run's scratch folder: nothing else is ever signalled.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "lib"))
import e2e

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of a process and of its ended children that it waited for; None when it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return sum(int(fields[i]) for i in (11, 12)) / TICKS_PER_S


def resident_bytes(pid, field="VmRSS"):
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
    return int(found.group(1)) * 1024 if found else 0


def drop_kernel_caches():
    """What programs and other rows left dirty is written first: it must not burden the row to come."""
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3\n")


def pids_at(mountpoint, program):
    """The processes of `program` whose command line names `mountpoint`."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.path.realpath(entry / "exe") != os.path.realpath(program):
                continue
            words = re.split(rb"[\0 ]", (entry / "cmdline").read_bytes())  # JuiceFS joins its words with spaces
        except OSError:
            continue
        if os.fsencode(str(mountpoint)) in words:
            found.append(int(entry.name))
    return sorted(found)


class CpuWatch:
    """CPU of processes over a stretch in which they may end: sampled, so that at most 10 ms of each are missed."""

    def __init__(self, pids):
        self.before = {pid: cpu_seconds(pid) or 0.0 for pid in pids}
        self.last = dict(self.before)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="cpu-watch", daemon=True)
        self._thread.start()

    def _sample(self):
        while not self._done.wait(0.01):
            for pid in self.before:
                seconds = cpu_seconds(pid)
                if seconds is not None:
                    self.last[pid] = max(self.last[pid], seconds)

    def stop(self):
        """CPU seconds since the beginning."""
        self._done.set()
        self._thread.join()
        for pid in self.before:
            seconds = cpu_seconds(pid)
            if seconds is not None:
                self.last[pid] = max(self.last[pid], seconds)
        return sum(self.last[pid] - self.before[pid] for pid in self.before)


class Store:
    """The one S3 server. Its counters are the neutral ones: what each bucket was asked for."""

    def __init__(self, scratch):
        self.metrics_port = e2e.free_ports(1)[0]
        self.server = e2e.S3Server(scratch, f"-metricsPort={self.metrics_port}")

    @property
    def pid(self):
        return self.server.process.pid

    def requests(self, bucket):
        """{"PUT": n, "GET": n, ...} by the server's own names of what it did for that bucket."""
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=30).read().decode()
        counts = {}
        for line in text.splitlines():
            found = re.match(r"SeaweedFS_s3_request_total\{(.*)\} ([0-9.e+]+)$", line)
            if not found:
                continue
            labels = dict(re.findall(r'(\w+)="([^"]*)"', found.group(1)))
            if labels.get("bucket") == bucket:
                kind = labels.get("type", "?")
                counts[kind] = counts.get(kind, 0) + int(float(found.group(2)))
        return counts

    def remove_bucket(self, bucket):
        """Gives its disk space back: a run writes tens of gigabytes."""
        url = f"{self.server.filer}/buckets/{bucket}?recursive=true&ignoreRecursiveError=true"
        collection = f"http://127.0.0.1:{self.server.ports[0]}/col/delete?collection={bucket}"
        for request in (urllib.request.Request(url, method="DELETE"), urllib.request.Request(collection)):
            try:
                urllib.request.urlopen(request, timeout=120).read()
            except urllib.error.HTTPError as error:
                if error.code not in (400, 404):  # 400: no such collection
                    raise


def store_client_mb_per_s(store, scratch, total_bytes):
    """What the store gives to curl on 4 connections, by objects of the size of segments: a bound for cold reads."""
    bucket, object_bytes = "storeclient", min(64 << 20, total_bytes)
    store.server.make_bucket(bucket)
    body = scratch.path / "store-client.body"
    body.write_bytes(os.urandom(object_bytes))
    keys = store.server.KEYS
    sign = ["curl", "-fsS", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user",
            f"{keys['AWS_ACCESS_KEY_ID']}:{keys['AWS_SECRET_ACCESS_KEY']}"]
    urls = [f"{store.server.endpoint}/{bucket}/object{i}" for i in range(max(1, total_bytes // object_bytes))]
    try:
        for url in urls:
            e2e.run(*sign, "-T", body, url)
        drop_kernel_caches()
        begun = time.monotonic()
        e2e.run(*sign, "-Z", "--parallel-max", "4", *(word for url in urls for word in ("-o", "/dev/null", url)))
        return len(urls) * object_bytes / 1e6 / (time.monotonic() - begun)
    finally:
        body.unlink()
        store.remove_bucket(bucket)


class Redis:
    """JuiceFS' metadata engine, on loopback, with its append-only file on as JuiceFS' manual advises (everysec)."""

    def __init__(self, scratch):
        self.folder = scratch.path / "redis"
        self.folder.mkdir()
        self.port = e2e.free_ports(1)[0]
        self._databases = 0
        scratch.at_exit(self.stop)
        with open(scratch.path / "redis.log", "ab") as log:
            self.process = subprocess.Popen(
                ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
                 "--save", "", "--appendonly", "yes", "--databases", "1000", "--daemonize", "no"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        e2e.wait_until(lambda: "PONG" in self.call("ping"), 30, "redis-server")

    @property
    def pid(self):
        return self.process.pid

    def call(self, *words):
        return e2e.run("redis-cli", "-p", self.port, *words, check=False).stdout

    def new_database(self):
        self._databases += 1
        return self._databases

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class System:
    """One file system; see the module. `key` names it in results, `title` in tables."""
    key = title = program = None

    def __init__(self, scratch, store):
        self.scratch, self.store = scratch, store
        self.at = scratch.path / f"mnt-{self.key}"
        self.at.mkdir()
        self.cache = scratch.path / f"cache-{self.key}"
        self.bucket = None
        self.volumes = 0
        scratch.at_exit(self.kill)

    @property
    def folder(self):
        return self.at

    def new_bucket(self):
        self.volumes += 1
        self.bucket = f"{self.key}{self.volumes}"
        self.store.server.make_bucket(self.bucket)

    def pids(self):
        return pids_at(self.at, self.program)

    def server_pids(self):
        return [self.store.pid]

    def requests(self):
        return self.store.requests(self.bucket)

    def end_process(self):
        """Unmounts, which waits until everything is in the store. Returns the CPU seconds that this took the mount."""
        watch = CpuWatch(self.pids())
        self.unmount()
        return watch.stop()

    def begin_process(self, cold):
        """Mounts; with an empty cache if `cold`."""
        if cold:
            shutil.rmtree(self.cache, ignore_errors=True)
        self.mount()
        drop_kernel_caches()

    def remount(self, cold):
        self.unmount()
        self.begin_process(cold)

    def stop(self):
        """Unmounts and removes the volume."""
        if os.path.ismount(self.at):
            self.unmount()
        self.remove()

    def abandon(self):
        """After a failed row: whatever state it is in, it goes."""
        self.abort()
        subprocess.run(["umount", "-l", str(self.at)], stderr=subprocess.DEVNULL, check=False)
        self.kill()
        self.remove()

    def abort(self):
        """Ends every request that is under way on the mount, so that nobody waits for a server that hangs."""
        with open("/proc/self/mountinfo", encoding="utf-8") as lines:
            for line in lines:
                words = line.split()
                if words[4] == str(self.at):
                    connection = pathlib.Path("/sys/fs/fuse/connections") / words[2].split(":")[1] / "abort"
                    if connection.exists():
                        connection.write_text("1")

    def kill(self):
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        e2e.wait_until(lambda: not self.pids(), 30, f"the end of {self.key}'s processes")


class Shoal(System):
    key, title, program = "shoal", "Shoal", e2e.SHOAL

    def __init__(self, scratch, store):
        super().__init__(scratch, store)
        self.meta = scratch.path / "shoal-meta"
        self.state = scratch.path / "shoal-state"
        self.log = scratch.path / "shoal.log"

    def start(self):
        self.new_bucket()
        url = f"s3://{self.bucket}/v?endpoint={self.store.server.endpoint}&region=us-east-1"
        e2e.run(e2e.SHOAL, "format", f"rocksdb://{self.meta}", self.bucket, "--bucket", url)
        self.mount()

    def mount(self):
        e2e.run(e2e.SHOAL, "mount", f"rocksdb://{self.meta}", self.at, "--background", "--state-dir", self.state,
                "--cache-dir", self.cache, "--log", self.log)

    def unmount(self):
        e2e.run(e2e.SHOAL, "umount", self.at, timeout=600)
        e2e.wait_until(lambda: not self.pids(), 60, "the end of the mount process")

    def remove(self):
        for folder in (self.meta, self.state, self.cache):
            shutil.rmtree(folder, ignore_errors=True)
        self.store.remove_bucket(self.bucket)

    def stats(self):
        return json.loads(e2e.run(e2e.SHOAL, "stats", self.at, "--json").stdout)


class JuiceFs(System):
    key, title = "juicefs", "JuiceFS"
    options = ()

    def __init__(self, scratch, store, redis):
        self.program = os.path.join(e2e.tools_folder(), "bin", "juicefs")
        if not os.access(self.program, os.X_OK):
            raise e2e.E2eError("juicefs is missing: run tools/install-deps.sh --bench")
        super().__init__(scratch, store)
        self.redis = redis
        self.url = None

    def start(self):
        self.new_bucket()
        self.url = f"redis://127.0.0.1:{self.redis.port}/{self.redis.new_database()}"
        e2e.run(self.program, "format", "--storage", "s3", "--bucket", f"{self.store.server.endpoint}/{self.bucket}",
                "--access-key", e2e.S3Server.KEYS["AWS_ACCESS_KEY_ID"],
                "--secret-key", e2e.S3Server.KEYS["AWS_SECRET_ACCESS_KEY"], self.url, self.bucket)
        self.mount()

    def mount(self):
        e2e.run(self.program, "mount", "-d", "--no-usage-report", "--cache-dir", self.cache, "--log",
                self.scratch.path / f"{self.key}.log", *self.options, self.url, self.at)
        if not os.path.ismount(self.at):
            raise e2e.E2eError(f"{self.at} is not mounted")

    def unmount(self):
        e2e.run(self.program, "umount", "--flush", self.at, timeout=600)
        e2e.wait_until(lambda: not self.pids(), 60, "the end of the mount process")

    def server_pids(self):
        return [self.store.pid, self.redis.pid]

    def remove(self):
        shutil.rmtree(self.cache, ignore_errors=True)
        self.redis.call("-n", self.url.rsplit("/", 1)[1], "flushdb")
        self.store.remove_bucket(self.bucket)


class JuiceFsWriteback(JuiceFs):
    key, title = "juicefswb", "JuiceFS --writeback"
    options = ("--writeback",)


class LocalDisk(System):
    """A folder of the disk on which everything else lies, too."""
    key, title, program = "ext4", "ext4", "/nonexistent"

    def start(self):
        shutil.rmtree(self.at)
        self.at.mkdir()

    def mount(self):
        pass

    def unmount(self):
        pass

    def requests(self):
        return {}

    def server_pids(self):
        return []

    def abort(self):
        pass

    def remove(self):
        shutil.rmtree(self.at, ignore_errors=True)
        self.at.mkdir(exist_ok=True)


def fuse_requests(pids, action, scratch):
    """Runs `action` while strace watches what `pids` read from /dev/fuse; returns {opcode: requests}.

    Neutral (the kernel's requests, not what a daemon says of itself) and exact; far too slow to time anything.
    """
    log = scratch.path / "fuse.strace"
    command = ["strace", "-f", "-y", "-xx", "-s", "8", "-e", "trace=read,readv", "-e", "signal=none", "-o", str(log)]
    for pid in pids:
        command += ["-p", str(pid)]
    tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        e2e.wait_until(lambda: all(e2e.is_traced(pid) for pid in pids), 30, "strace to attach")
        action()
        time.sleep(1)  # RELEASE comes after close(2) returned
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
    return count_opcodes(log.read_text(errors="replace").splitlines())


# <linux/fuse.h>, enum fuse_opcode
OPCODES = {1: "LOOKUP", 2: "FORGET", 3: "GETATTR", 4: "SETATTR", 5: "READLINK", 8: "MKNOD", 9: "MKDIR", 10: "UNLINK",
           11: "RMDIR", 12: "RENAME", 13: "LINK", 14: "OPEN", 15: "READ", 16: "WRITE", 17: "STATFS", 18: "RELEASE", 20: "FSYNC",
           21: "SETXATTR", 22: "GETXATTR", 25: "FLUSH", 27: "OPENDIR", 28: "READDIR", 29: "RELEASEDIR", 34: "ACCESS",
           35: "CREATE", 36: "INTERRUPT", 39: "IOCTL", 40: "POLL", 42: "BATCH_FORGET", 44: "READDIRPLUS", 45: "RENAME2"}


def count_opcodes(lines):
    """Opcodes of the requests in strace's output: bytes 4 to 7 of what a read of /dev/fuse gave."""
    counts, reading = {}, {}
    for line in lines:
        thread, _, call = line.partition(" ")
        call = call.strip()
        if call.startswith(("read(", "readv(")):
            if "/dev/fuse" not in decoded(call):
                continue
            if "<unfinished" in call:
                reading[thread] = True
                continue
        elif not (call.startswith("<... read") and reading.pop(thread, False)):
            continue
        data = re.search(r'"((?:\\x[0-9a-f]{2}){8})', call)
        if data and not re.search(r"= -1 ", call):
            head = bytes.fromhex(data.group(1).replace("\\x", ""))
            opcode = int.from_bytes(head[4:8], sys.byteorder)
            name = OPCODES.get(opcode, str(opcode))
            counts[name] = counts.get(name, 0) + 1
    return counts


def decoded(call):
    """strace -xx prints paths in hex, too."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found.group(1), 16)), call)
