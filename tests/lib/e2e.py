"""Helpers for end-to-end tests in Python: the same as common.sh and s3.sh give to shell.

    import sys, pathlib
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
    import e2e

    with e2e.Scratch() as scratch:
        s3 = e2e.S3Server(scratch)
        volume = e2e.Volume(scratch, "demo", s3.bucket_url("data", "prefix"))
        volume.mount()
        ...
        volume.kill()          # SIGKILL of the mount process; returns when it is gone
        volume.mount()         # over the dead mount
        volume.unmount()
        volume.fsck()

Leaving the `with` unmounts and removes everything, whatever happened. Failures are exceptions (E2eError, or
subprocess.CalledProcessError with the command's output in its text).
"""
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request

REPO = pathlib.Path(__file__).resolve().parents[2]
SHOAL = os.environ.get("SHOAL", str(REPO / "build" / "release" / "shoal"))


class E2eError(Exception):
    pass


def tools_folder():
    return subprocess.run([str(REPO / "tools/install-deps.sh"), "--where"], capture_output=True, text=True, check=True).stdout.strip()


def run(*command, timeout=120, env=None, check=True):
    """Runs a command to its end; its output is in the result, and in the error when it fails."""
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout,
                          env={**os.environ, **(env or {})})
    if check and done.returncode != 0:
        raise E2eError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout[-4000:]}")
    return done


def wait_until(condition, seconds, what):
    """Polls `condition` until it is true; an exception of it counts as false."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise E2eError(f"waited {seconds} s for: {what}")
        time.sleep(0.05)


def free_ports(count):
    """Loopback ports that nobody listens on, below the range that the kernel gives to clients."""
    held = []
    while len(held) < count:
        probe = socket.socket()
        try:
            probe.bind(("127.0.0.1", random.SystemRandom().randrange(10240, 32000)))
            held.append(probe)
        except OSError:
            probe.close()
    ports = [probe.getsockname()[1] for probe in held]
    for probe in held:
        probe.close()
    return ports


def mounts_under(folder):
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            at = line.split()[4].replace("\\040", " ")
            if (at + "/").startswith(f"{folder}/"):
                found.append(at)
    return sorted(found, reverse=True)


def mount_pid(mountpoint):
    """The process of ours that serves `mountpoint`, by its command line."""
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.path.realpath(entry / "exe") != os.path.realpath(SHOAL):
                continue
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(str(mountpoint)) in words:
            return int(entry.name)
    raise E2eError(f"no shoal process serves {mountpoint}")


def is_traced(pid):
    """All threads of the process, by strace or a debugger."""
    return all(not re.search(r"^TracerPid:\s+0$", status.read_text(), re.MULTILINE)
               for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"))


def run_checks(checks, words=(), quiet=()):
    """Runs the (name, action) pairs whose names contain one of the words (all without any), prints what became of each and
    the line that tools/test.py counts; returns the exit status. Failures of the classes `quiet` need no traceback."""
    chosen = [check for check in checks if not words or any(word in check[0] for word in words)]
    failed = 0
    for name, action in chosen:
        try:
            action()
            print(f"ok     {name}", flush=True)
        except Exception as error:
            failed += 1
            print(f"FAILED {name}: {error or type(error).__name__}", flush=True)
            if not isinstance(error, quiet):
                traceback.print_exc(file=sys.stdout)
    print(f"{len(chosen) - failed} passed, {failed} failed", flush=True)
    return 1 if failed or not chosen else 0


class Scratch:
    """A folder for one test, with everything that must end when the test does."""

    def __init__(self):
        self.path = None
        self._at_exit = []

    def __enter__(self):
        parent = os.environ.get("SHOAL_SCRATCH") or os.environ.get("TMPDIR") or "/tmp"
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="t.", dir=parent))
        self.path.chmod(0o755)  # tests become other users
        # A stage over its limit gets SIGTERM: end by an exception, so that the mounts go away.
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(SystemExit(143)))
        return self

    def at_exit(self, action):
        self._at_exit.append(action)

    def __exit__(self, kind, *_):
        for mount in mounts_under(self.path):
            subprocess.run(["umount", "-l", mount], stderr=subprocess.DEVNULL, check=False)
        for action in reversed(self._at_exit):
            action()
        if kind is not None:
            for log in sorted(self.path.glob("*.log")):
                print(f"---- last lines of {log.name}")
                print("\n".join(log.read_text(errors="replace").splitlines()[-20:]))
        if kind is None or not os.environ.get("KEEP"):
            if not mounts_under(self.path):
                shutil.rmtree(self.path, ignore_errors=True)


class S3Server:
    """SeaweedFS on loopback; exports its keys to this process's environment. Data and ports survive stop and start."""

    KEYS = {"AWS_ACCESS_KEY_ID": "shoaltest", "AWS_SECRET_ACCESS_KEY": "shoaltestsecret", "AWS_REGION": "us-east-1"}

    def __init__(self, scratch, *weed_options):
        self.scratch = scratch
        self.weed_options = weed_options
        self.data = scratch.path / "s3"
        self.data.mkdir()
        self.ports = free_ports(8)
        self.endpoint = f"http://127.0.0.1:{self.ports[6]}"
        self.filer = f"http://127.0.0.1:{self.ports[4]}"
        self.process = None
        os.environ.update(self.KEYS)
        self.config = scratch.path / "s3.json"
        self.config.write_text(json.dumps({"identities": [{
            "name": "test", "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            "credentials": [{"accessKey": self.KEYS["AWS_ACCESS_KEY_ID"],
                             "secretKey": self.KEYS["AWS_SECRET_ACCESS_KEY"]}]}]}))
        scratch.at_exit(self.kill)
        self.start()

    def start(self):
        p = self.ports
        weed = os.path.join(tools_folder(), "bin", "weed")
        if not os.access(weed, os.X_OK):
            raise E2eError("weed is missing: run tools/install-deps.sh --tests")
        command = [
            weed, "-logtostderr", "server", f"-dir={self.data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            f"-master.port={p[0]}", f"-master.port.grpc={p[1]}", "-master.telemetry=false", "-master.electionTimeout=1s",
            "-master.volumeSizeLimitMB=1024", f"-volume.port={p[2]}", f"-volume.port.grpc={p[3]}", "-volume.max=200",
            "-volume.preStopSeconds=1", "-filer", f"-filer.port={p[4]}", f"-filer.port.grpc={p[5]}",
            f"-filer.localSocket={self.scratch.path}/weed-filer.sock", "-s3", f"-s3.port={p[6]}", f"-s3.port.grpc={p[7]}",
            "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.localSocket={self.scratch.path}/weed-s3.sock",
            f"-s3.config={self.config}", *self.weed_options]
        with open(self.scratch.path / "weed.log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._ready, 90, f"SeaweedFS at {self.endpoint}")

    def _ready(self):
        """It takes a byte and gives it back: the S3 port opens long before there is a volume to write to."""
        if self.process.poll() is not None:
            raise E2eError("SeaweedFS ended; see weed.log")
        urllib.request.urlopen(self.endpoint + "/healthz", timeout=5).read()
        request = urllib.request.Request(self.filer + "/ready/probe", data=b"ready", method="PUT")
        urllib.request.urlopen(request, timeout=5).read()
        return urllib.request.urlopen(self.filer + "/ready/probe", timeout=5).read() == b"ready"

    def make_bucket(self, name):
        urllib.request.urlopen(urllib.request.Request(f"{self.filer}/buckets/{name}/", method="POST"), timeout=30).read()

    def bucket_url(self, bucket, prefix=""):
        """Makes the bucket and returns the URL for `shoal format --bucket`."""
        self.make_bucket(bucket)
        path = f"{bucket}/{prefix}" if prefix else bucket
        return f"s3://{path}?endpoint={self.endpoint}&region=us-east-1"

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


class Volume:
    """A formatted volume and its one mount. State and cache live in the scratch folder."""

    def __init__(self, scratch, name, bucket_url, *format_options):
        self.scratch, self.name = scratch, name
        self.meta = f"rocksdb://{scratch.path}/meta-{name}"
        self.at = scratch.path / f"mnt-{name}"
        self.at.mkdir()
        self.state = scratch.path / f"state-{name}"
        self.cache = scratch.path / f"cache-{name}"
        if not os.access(SHOAL, os.X_OK):
            raise E2eError(f"{SHOAL} is not built: run make build")
        scratch.at_exit(self.end)
        if bucket_url.startswith("file://"):
            os.makedirs(bucket_url[len("file://"):], exist_ok=True)
        run(SHOAL, "format", self.meta, name, "--bucket", bucket_url, *format_options)

    def mount(self, *options, env=None):
        run(SHOAL, "mount", self.meta, self.at, "--background", "--state-dir", self.state, "--cache-dir", self.cache,
            "--log", self.scratch.path / f"mount-{self.name}.log", *options, env=env)
        if not os.path.ismount(self.at):
            raise E2eError(f"{self.at} is not mounted after shoal mount --background returned")

    def unmount(self, *options):
        run(SHOAL, "umount", self.at, *options, timeout=300)

    def pid(self):
        return mount_pid(self.at)

    def kill(self):
        """SIGKILL; returns when the process and all its descriptors are gone."""
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not os.path.exists(f"/proc/{pid}/fd/0"), 30, f"the end of process {pid}")

    def end(self):
        """At the end of the test: what waits for a mount that a failing test left must not wait for ever."""
        try:
            os.kill(self.pid(), signal.SIGKILL)
        except (E2eError, ProcessLookupError):
            pass

    def drop_cache(self):
        """Removes the block cache (not the staging). Not while it is mounted."""
        shutil.rmtree(self.cache, ignore_errors=True)

    def fsck(self, *options):
        return run(SHOAL, "fsck", self.meta, *options, timeout=600).stdout
