#!/usr/bin/env python3
"""What a mount does before it answers fsync, seen by strace: every byte that went to a journal of its staging is synced
(fdatasync returned 0) before the reply to FSYNC is written to /dev/fuse, and at the first fsync of a new file every record
that its engine's log had when FSYNC was read: the file's name is among them.

    fsync_trace.py [ROUNDS]

Needs root, /dev/fuse and strace. The program that writes runs alone: what is appended meanwhile is its own.
"""
import os
import pathlib
import re
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import e2e  # noqa: E402

FSYNC = 20  # <linux/fuse.h>, enum fuse_opcode
CALLS = "read,write,writev,pwrite64,pwritev,pwritev2,fdatasync,fsync"
WRITES = ("write", "pwrite64", "pwritev", "pwritev2")


def unhex(text):
    return bytes(int(byte, 16) for byte in re.findall(r"\\x([0-9a-f]{2})", text))


class Trace:
    """Checks the lines of `strace -f -y -xx` in their order. A call that another thread's event cuts in two has a line for
    its beginning and one for its end."""

    def __init__(self, is_journal, is_engine_log):
        self.is_journal, self.is_engine_log = is_journal, is_engine_log
        self.begun = {}      # thread -> (call, path) of a call that has not returned
        self.written = {}    # path -> appends so far
        self.synced = {}     # path -> of these, covered by a sync that returned
        self.syncing = {}    # thread -> (path, appends when its sync began)
        self.asked = {}      # unique -> line of the FSYNC request, appends to engine logs by then
        self.names_synced = False
        self.answered, self.errors = 0, []

    def line(self, number, line):
        thread, _, text = line.partition(" ")
        text = text.strip()
        whole = re.match(r"(\w+)\(\d+<([^>]*)>(.*)", text)
        if whole:
            call, path = whole.group(1), unhex(whole.group(2)).decode(errors="replace")
            self.begin(number, thread, call, path, whole.group(3))
            if "<unfinished" in text:
                self.begun[thread] = (call, path)
            else:
                self.end(number, thread, call, path, text)
        elif text.startswith("<... ") and thread in self.begun:
            self.end(number, thread, *self.begun.pop(thread), text)

    def begin(self, number, thread, call, path, rest):
        if path == "/dev/fuse" and call == "writev":
            self.reply(number, unhex(rest.split('"')[1]))
        elif self.is_journal(path) or self.is_engine_log(path):
            if call in WRITES:
                self.written[path] = self.written.get(path, 0) + 1
            elif call in ("fdatasync", "fsync"):
                self.syncing[thread] = (path, self.written.get(path, 0))

    def end(self, number, thread, call, path, text):
        if call in ("fdatasync", "fsync") and thread in self.syncing:
            path, covered = self.syncing.pop(thread)
            if text.endswith("= 0"):
                self.synced[path] = max(self.synced.get(path, 0), covered)
        elif path == "/dev/fuse" and call == "read" and '"' in text:
            head = unhex(text.split('"')[1])
            if int.from_bytes(head[4:8], sys.byteorder) == FSYNC:
                logs = {path: n for path, n in self.written.items() if self.is_engine_log(path)}
                self.asked[head[8:16]] = number, logs

    def reply(self, number, head):
        if head[8:16] not in self.asked:
            return
        asked, logs = self.asked.pop(head[8:16])
        self.answered += 1
        due = {path: n for path, n in self.written.items() if self.is_journal(path)}
        if not self.names_synced:  # what the log got since FSYNC was read stands behind the name
            due.update(logs)
            self.names_synced = True
        for path, appends in due.items():
            left = appends - self.synced.get(path, 0)
            if left > 0:
                self.errors.append(f"line {number} answers the fsync of line {asked} with {left} appends to {path} not synced")


def write_and_fsync(folder, rounds):
    with open(folder / "file", "wb", buffering=0) as file:
        for number in range(rounds):
            file.write(bytes([number % 251]) * (5000 + 1000 * number))
            os.fsync(file.fileno())
    with open(folder / "large", "wb", buffering=0) as file:  # a large writer: its bytes and their record in two files
        for number in range(16):
            file.write(bytes([number]) * (1 << 20))
            if number % 4 == 3:
                os.fsync(file.fileno())


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    with e2e.Scratch() as scratch:
        volume = e2e.Volume(scratch, "traced", f"file://{scratch.path}/bucket")
        volume.mount()
        pid, log = volume.pid(), scratch.path / "strace"
        tracer = subprocess.Popen(["strace", "-f", "-y", "-xx", "-s", "16", "-e", f"trace={CALLS}", "-e", "signal=none",
                                   "-o", log, "-p", str(pid)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        e2e.wait_until(lambda: e2e.is_traced(pid), 30, "strace to attach")
        write_and_fsync(volume.at, rounds)
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        meta = volume.meta.removeprefix("rocksdb://")
        trace = Trace(lambda path: path.startswith(f"{volume.state}/") and "/free-" not in path,  # those are being made
                      lambda path: path.startswith(f"{meta}/") and path.endswith(".log"))
        for number, line in enumerate(log.read_text(errors="replace").splitlines(), 1):
            trace.line(number, line)
        volume.unmount()
        volume.fsck()
    journals = [path for path in trace.written if trace.is_journal(path)]
    for error in trace.errors[:10]:
        print(error)
    print(f"{trace.answered} replies to fsync, {len(trace.errors)} too early; "
          f"appended meanwhile: {len(journals)} journals, {len(trace.written) - len(journals)} engine logs")
    whole = trace.answered == rounds + 4 and len(journals) >= 2 and len(trace.written) > len(journals)
    return 0 if whole and not trace.errors else 1


if __name__ == "__main__":
    sys.exit(main())
