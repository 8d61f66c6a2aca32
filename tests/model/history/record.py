"""A history: what programs asked of a file system and what they were told, one JSON line per operation.

    {"p": 3, "op": "rename", "args": ["g0/a", "g0/b"], "t0": 17, "t1": 29, "ok": {}}
    {"p": 3, "op": "create", "args": ["g0/a"], "t0": 31, "t1": 40, "errno": "EEXIST"}
    {"p": 4, "op": "unlink", "args": ["g0/a"], "t0": 35, "t1": 99, "unknown": "ETIMEDOUT"}
    {"p": 5, "op": "mkdir", "args": ["g0/d"], "t0": 36,

`p` is the process: it does one thing after the other. `t0` and `t1` are CLOCK_MONOTONIC in ns before the call and after
its return; all processes of a history are on one machine. The outcome is the result, an errno, or not known: an error
after which nobody can tell (a timeout, a mount that died). A line that ends in the middle is the last one of a process
that was killed in the call: its outcome is not known either. What is not known may have happened at any time from `t0`
on, or not at all.

Operations: create (O_CREAT | O_EXCL), mkdir, rmdir, unlink, rename, rename_noreplace, link, stat, readdir on names; put and
get of whole contents of data files. Paths are relative, their first part is a folder that is always there.
"""
import dataclasses
import errno
import json
import math
import os
import re
import time

# After these nobody knows what became of the operation.
UNKNOWN = {errno.EIO, errno.ENOTCONN, errno.ETIMEDOUT, errno.ECONNABORTED, errno.ECONNRESET, errno.EINTR, errno.EREMOTEIO,
           errno.EHOSTDOWN, errno.ESHUTDOWN}


BEGUN = re.compile(r'(\{"p": .*"t0": \d+),')  # the half that is written before the call


@dataclasses.dataclass(frozen=True)
class Operation:
    number: int  # unique in the history
    process: int
    op: str
    args: tuple
    called: int
    returned: float  # math.inf: not known
    result: dict | None  # of a success
    errno: str | None

    @property
    def known(self):
        return self.returned != math.inf

    def __str__(self):
        told = "not known" if not self.known else self.errno or (self.result or "ok")
        return f"process {self.process}: {self.op}({', '.join(map(str, self.args))}) = {told}  [{self.called}, {self.returned}]"


class Recorder:
    """Writes the history of one process. The first half of a line is in the file before the call begins."""

    def __init__(self, path, process):
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._process = process
        self.lost = False  # the outcome of the last operation is not known

    def run(self, op, args, action, known=lambda error: error.errno not in UNKNOWN):
        """Calls `action`; its dict is the result. Returns the result, or None when it failed."""
        head = {"p": self._process, "op": op, "args": list(args), "t0": time.monotonic_ns()}
        os.write(self._fd, (json.dumps(head)[:-1] + ",").encode())
        result, tail = None, {}
        try:
            result = action()
            tail = {"ok": result}
        except OSError as error:
            name = errno.errorcode.get(error.errno, str(error.errno))
            tail = {"errno": name} if known(error) else {"unknown": name}
        self.lost = "unknown" in tail
        tail = {"t1": time.monotonic_ns(), **tail}
        os.write(self._fd, (" " + json.dumps(tail)[1:] + "\n").encode())
        return result


def parse(line, number):
    """None: nothing was called yet when its process was killed."""
    begun = BEGUN.match(line)
    if not begun:
        return None
    try:
        words = json.loads(line)
    except ValueError:
        words = json.loads(begun[1] + "}")
    told = "ok" in words or "errno" in words
    return Operation(number, words["p"], words["op"], tuple(words["args"]), words["t0"], words["t1"] if told else math.inf,
                     words.get("ok"), words.get("errno"))


def load(paths):
    """The operations of all files, by the time they were called."""
    found = []
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                if operation := parse(line, len(found)):
                    found.append(operation)
    return sorted(found, key=lambda operation: operation.called)
