"""Is a history of operations on names linearizable: could each have happened at one moment between its call and its return?

The search goes through the calls and returns in time (Wing & Gong; Lowe, "Testing for linearizability", 2017) and holds
every configuration that is still possible: a state, and which of the operations under way have happened in it. At a return
only those survive in which the operation has happened; what else is under way may happen before it in any order.
Configurations are a set, so none is looked at twice.

Operations of unknown outcome stay under way for ever, and each doubles what is possible; so does what an operation may
have looked up before. So the first search lets them happen only where nothing else explains a return; what it accepts is
linearizable. What it rejects is searched again with all that is possible.

Histories on disjoint folders are checked one by one: linearizability is local (Herlihy & Wing).
"""
import dataclasses
import math

from history import names
from history.record import Operation

CONFIGURATIONS_MAX = 200_000


class TooMany(Exception):
    """More configurations than the search may hold: neither accepted nor rejected."""


def partitions(operations):
    """Groups that share no folder of the first level."""
    leader = {}

    def find(folder):
        leader.setdefault(folder, folder)
        while leader[folder] != folder:
            folder = leader[folder]
        return folder

    for operation in operations:
        folders = [path.split("/")[0] for path in operation.args]
        for folder in folders:
            leader[find(folder)] = find(folders[0])
    groups = {}
    for operation in operations:
        groups.setdefault(find(operation.args[0].split("/")[0]), []).append(operation)
    return groups


def events(operations):
    """(time, is a return, operation), in time. At one instant calls come first: they may have overlapped."""
    found = [(operation.called, 0, operation.number, operation) for operation in operations]
    found += [(operation.returned, 1, operation.number, operation) for operation in operations if operation.known]
    return [(kind == 1, operation) for _, kind, _, operation in sorted(found, key=lambda event: event[:3])]


def look_number(operation):
    return -1 - operation.number


def look_of(operation):
    """What an operation may have looked up before it happened (see names.py); a link has always. Its own return is that of
    the operation, which takes it along."""
    refused = operation.errno is not None
    if operation.op == "link" and (not refused or operation.errno == "ENOENT") or operation.op == "rename" and not refused:
        result = {"for": operation.number, "due": operation.op == "link" and operation.known and not refused}
        return Operation(look_number(operation), operation.process, "look", operation.args[:1], operation.called, math.inf, result,
                         None)
    return None


def without_look(state, operation):
    return tuple(entry for entry in state if entry[0] != names.remembered(operation.number))


def only_looks(operation):
    return operation.known and (operation.errno is not None or operation.op in ("stat", "nlink"))


class Search:
    def __init__(self, configurations_max, lazy):
        self.configurations_max = configurations_max
        self.lazy = lazy
        self.pending = {}  # number → operation: called, not returned
        self.configurations = {((), frozenset())}
        self._steps = {}

    def step(self, state, operation):
        key = (state, operation.number)
        if key not in self._steps:
            if len(self._steps) > 100_000:
                self._steps.clear()
            self._steps[key] = names.step(state, operation)
        return self._steps[key]

    def settle(self, state, happened):
        """What never changes anything happens as soon as it may: that forbids nothing later. (A rename of one name of a file
        to another changes nothing now; a moment later it might.)"""
        done = [number for number, operation in self.pending.items()
                if number not in happened and only_looks(operation) and self.step(state, operation) == state]
        return state, happened.union(done) if done else happened

    def call(self, operation):
        self.pending[operation.number] = operation
        if look := look_of(operation):
            self.pending[look.number] = look
        if only_looks(operation):
            self.configurations = {self.settle(*configuration) for configuration in self.configurations}

    def ret(self, operation):
        """False when in no configuration the operation can have happened."""
        likely = [other for other in self.pending.values() if other.known or other.op == "look" and other.result["due"]]
        kept = self.explore(operation, likely) if self.lazy else None
        if not kept:
            kept = self.explore(operation, list(self.pending.values()))
        own = {operation.number, look_number(operation)}
        for number in own:
            self.pending.pop(number, None)
        self.configurations = {(without_look(state, operation), happened - own) for state, happened in kept}
        return bool(kept)

    def explore(self, operation, candidates):
        """All configurations in which `operation` has happened, and before it any of the candidates in any order."""
        kept, seen, todo = set(), set(self.configurations), list(self.configurations)
        while todo:
            state, happened = todo.pop()
            if operation.number in happened:
                kept.add((state, happened))
                continue
            for other in candidates:
                if other.number in happened:
                    continue
                after = self.step(state, other)
                if after is None or after == state and not other.known and other.op != "look":
                    continue
                further = self.settle(after, happened | {other.number})
                if further not in seen:
                    seen.add(further)
                    todo.append(further)
            if len(seen) > self.configurations_max:
                raise TooMany(f"more than {self.configurations_max} configurations at: {operation}")
        return kept


def check_group(operations, configurations_max):
    """None, or why the history is not linearizable."""
    if search_through(operations, Search(configurations_max, lazy=True)) is None:
        return None
    return search_through(operations, Search(configurations_max, lazy=False))


def search_through(operations, search):
    for is_return, operation in events(operations):
        if not is_return:
            search.call(operation)
            continue
        before = search.configurations
        under_way = [other for other in search.pending.values() if other.number != operation.number]
        if not search.ret(operation):
            lines = [f"cannot have happened: {operation}"]
            lines += [f"  under way: {other}" for other in under_way if other.op not in ("nlink", "look")]
            for state, happened in sorted(before, key=str)[:5]:
                shown = " ".join(f"{path}={kind}{node}" for path, node, kind, _ in state)
                lines.append(f"  possible before: {shown or '(no names)'}; happened already: {sorted(happened)}")
            earlier = [other for other in operations if other.returned <= operation.returned and other is not operation
                       and other.op != "nlink"]
            lines += [f"  earlier: {other}" for other in earlier[-12:]]
            return "\n".join(lines)
    return None


def stale(operation, allowed_ns):
    """Allows what only looked, or failed, to be older than its call: a kernel that may keep names for some time."""
    if allowed_ns == 0 or operation.op != "stat" and operation.errno is None or not operation.known:
        return operation
    return dataclasses.replace(operation, called=operation.called - allowed_ns)


def nlink_of(stat, number):
    """Linux looks a name up and then asks the inode: two moments."""
    return Operation(number, stat.process, "nlink", stat.args, stat.called, stat.returned, stat.result, None)


NAME_OPERATIONS = {"create", "mkdir", "rmdir", "unlink", "rename", "rename_noreplace", "link", "stat"}


def check(operations, configurations_max=CONFIGURATIONS_MAX, stale_ns=0):
    """Why the operations on names are not linearizable, a text for each group of folders; [] when they are."""
    chosen = [stale(operation, stale_ns) for operation in operations
              if operation.op in NAME_OPERATIONS and (operation.known or operation.op != "stat")]
    chosen += [nlink_of(operation, len(operations) + operation.number) for operation in chosen
               if operation.op == "stat" and operation.result and operation.result["kind"] == "f"]
    found = []
    for folder, group in sorted(partitions(chosen).items()):
        if trouble := check_group(group, configurations_max):
            found.append(f"names of {folder}: {trouble}")
    return found


def changes(operation):
    """The paths whose presence a successful (or unknown) operation may change: path → present afterwards."""
    if operation.errno is not None:
        return {}
    first, last = operation.args[0], operation.args[-1]
    return {"create": {first: True}, "mkdir": {first: True}, "rmdir": {first: False}, "unlink": {first: False},
            "link": {last: True}, "rename": {first: False, last: True},
            "rename_noreplace": {first: False, last: True}}.get(operation.op, {})


def check_listings(operations, stale_ns=0):
    """readdir is no single moment: what was there all the time must be listed, what was never there must not. Of folders of
    the first level only, which are always there."""
    touched = {}  # path → operations that may change whether it is there
    for operation in operations:
        for path, present in changes(operation).items():
            touched.setdefault(path, []).append((operation, present))
    found = []
    for listing in operations:
        if listing.op != "readdir" or listing.result is None or "/" in listing.args[0]:
            continue
        begin = listing.called - stale_ns
        listed = set(listing.result["names"])
        paths = {path for path in touched if names.parent_of(path) == listing.args[0]}
        for path in paths | {f"{listing.args[0]}/{name}" for name in listed}:
            known = settled(touched.get(path, []), begin, listing.returned)
            if known is not None and known != (path.split("/")[-1] in listed):
                what = "is missing in" if known else "is only in"
                found.append(f"{path} {what} the listing of {listing}")
    return found


def settled(history, begin, end):
    """Whether the name was there from `begin` to `end`; None when that cannot be said."""
    if any(operation.called <= end and operation.returned >= begin for operation, _ in history):
        return None
    before = [(operation, present) for operation, present in history if operation.returned < begin]
    if not before:
        return False
    last_call = max(operation.called for operation, _ in before)
    # Those that overlap the last one may have come after it. A rename onto another name of the same file does nothing.
    last = [(operation, present) for operation, present in before if operation.returned >= last_call]
    if any(operation.op.startswith("rename") for operation, _ in last):
        return None
    answers = {present for _, present in last}
    return answers.pop() if len(answers) == 1 else None
