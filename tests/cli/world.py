"""What the table of bad input works on: a volume with a little data, its bucket, and looks at both."""
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import e2e  # noqa: E402

BODY = bytes(range(256)) * 4096  # 1 MiB: a slice of many frames


class Wrong(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Wrong(what)


class World:
    """One scratch folder, one volume `one` that is unmounted between rows."""

    def __init__(self, scratch):
        self.scratch, self.path = scratch, scratch.path
        self.volume = e2e.Volume(scratch, "one", f"file://{self.path}/bucket")
        self.bucket = self.path / "bucket"
        self.meta_folder = pathlib.Path(self.volume.meta.removeprefix("rocksdb://"))
        self.log = self.path / "mount-one.log"
        self.words = {"shoal": e2e.SHOAL, "S": self.path, "meta": self.volume.meta, "mnt": self.volume.at,
                      "bucket": f"file://{self.bucket}", "bucket_folder": self.bucket,
                      "mount": f"mount {self.volume.meta} {self.volume.at} {self.mount_options()}"}
        self.volume.mount()
        (self.volume.at / "file").write_bytes(BODY)
        (self.volume.at / "small").write_bytes(b"small")
        self.volume.unmount()

    def mount_options(self, **folders):
        options = {"state-dir": self.volume.state, "cache-dir": self.volume.cache, "log": self.path / "mount-one.log",
                   **{name.replace("_", "-"): value for name, value in folders.items()}}
        return " ".join(["--background"] + [f"--{name} {value}" for name, value in options.items()])

    def shoal(self, command, env=None):
        """`command` in the shell's words, with {placeholders}; returns the finished process."""
        words = shlex.split(command.format_map(self.words))
        environment = {**os.environ, **(env or {})}
        return subprocess.run([e2e.SHOAL, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                              env={name: value for name, value in environment.items() if value is not None})

    def facts(self):
        """What the metadata says of itself, whoever looks."""
        status = json.loads(e2e.run(e2e.SHOAL, "--json", "status", self.volume.meta).stdout)
        return {name: status[name] for name in ("uuid", "bucket", "durability", "trash_days", "epoch", "used_bytes", "inodes",
                                                "capacity_bytes", "inodes_max")}

    def is_mounted(self):
        return os.path.ismount(self.volume.at)

    def segment(self):
        """The one object that holds the bytes of `file`."""
        found = [path for path in self.bucket.rglob("*.obj") if path.stat().st_size > len(BODY)]
        expect(len(found) == 1, f"{len(found)} segments hold the file")
        return found[0]

    def new_log(self):
        """What the mount logged since the last call."""
        text = self.log.read_text() if self.log.exists() else ""
        self.log.write_text("")
        return text

    def stats(self):
        return json.loads(e2e.run(e2e.SHOAL, "--json", "stats", self.volume.at).stdout)


def tree_hash(folder):
    """Names and bytes of everything below."""
    found = hashlib.sha256()
    for path in sorted(pathlib.Path(folder).rglob("*")):
        found.update(f"{path.relative_to(folder)} {path.lstat().st_mode:o}\n".encode())
        if path.is_file():
            found.update(path.read_bytes())
    return found.hexdigest()


class Copy:
    """The volume's folders as they were, put back at the end."""

    def __init__(self, world):
        self.folders = [world.meta_folder, world.bucket, world.volume.state]
        self.cache = world.volume.cache

    def __enter__(self):
        for folder in self.folders:
            shutil.copytree(folder, f"{folder}.kept", symlinks=True)
        return self

    def __exit__(self, *_):
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)
            os.rename(f"{folder}.kept", folder)
        shutil.rmtree(self.cache, ignore_errors=True)


def read(path):
    """Bytes, or the name of the errno. Not what the kernel may have kept."""
    try:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            parts = []
            while part := os.read(fd, 1 << 20):
                parts.append(part)
            return b"".join(parts)
        finally:
            os.close(fd)
    except OSError as error:
        return os.strerror(error.errno)


def says(text, *patterns):
    for pattern in patterns:
        expect(re.search(pattern, text), f"no /{pattern}/ in: {text.strip()[-600:]}")
