"""Close-to-open: an open sees what the last close before it left, or what is being written at the same time; whole.

`put` writes the whole contents of a file between its open and its close, with a tag of its own all over it; `get` opens,
reads all and closes, and tells the tags that it found. A put that failed or is not known may have happened at any time.
"""
import bisect
import math


def writes_by_name(operations):
    writes = {}
    for operation in operations:
        if operation.op == "put":
            name, tag = operation.args
            done = operation.returned if operation.result is not None else math.inf
            writes.setdefault(name, []).append((done, operation.called, tag))
    return {name: sorted(found) for name, found in writes.items()}


class LastClosed:
    """Of one file's writes."""

    def __init__(self, writes):
        self.returned = [done for done, _, _ in writes if done != math.inf]
        self.latest_call = []  # of the writes up to the same place in `returned`
        for _, called, _ in writes[:len(self.returned)]:
            self.latest_call.append(max([called, *self.latest_call[-1:]]))
        self.by_tag = {tag: (called, done) for done, called, tag in writes}

    def call_of_last(self, moment):
        """When the latest write that returned before `moment` was called; None: there is none."""
        before = bisect.bisect_left(self.returned, moment)
        return self.latest_call[before - 1] if before else None

    def trouble(self, get):
        last = self.call_of_last(get.called)
        if get.errno is not None:
            return None if get.errno == "ENOENT" and last is None else f"{get.errno}, though something was written before"
        tags = get.result["tags"]
        if len(tags) != 1:
            return f"a mix of {len(tags)} contents" if tags else "no content"
        if tags[0] not in self.by_tag:
            return f"{tags[0]}, which nobody wrote"
        called, returned = self.by_tag[tags[0]]
        if called > get.returned:
            return f"{tags[0]}, which was written later"
        if last is not None and returned < last:
            return f"{tags[0]}, closed at {returned}; a write called at {last} was closed before this open"
        return None


def check(operations):
    """What is wrong with the gets of a history, a text each."""
    files = {name: LastClosed(writes) for name, writes in writes_by_name(operations).items()}
    found = []
    for get in operations:
        if get.op != "get" or not get.known:
            continue
        if trouble := files.get(get.args[0], LastClosed([])).trouble(get):
            found.append(f"data of {get.args[0]}: {trouble}: {get}")
    return found
