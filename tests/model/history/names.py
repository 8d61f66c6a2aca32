"""The model: a few names and what each operation does to them, by POSIX and Linux.

A state is a sorted tuple of (path, node, kind, ino): every name with the node behind it (the number of the operation that
made it), "f" or "d", and the inode number once somebody has seen it. The first part of a path is a folder that is always
there and has no entry itself.

Operations that succeed happen at one moment, but for what Linux itself looks up before:
- link looks its source up, and later links that inode. Between the two its name may move to another inode.
- rename looks both names up, and when they are one file it does nothing. Before a file system that others change, too, it
  may have seen the source before and the target after somebody else's rename of the one to the other.
- A folder that another machine moved is found by Linux at its new place only with the lock of all renames; when it cannot
  have it, the operation is refused with ESTALE. Nothing has happened then.
- A refused operation on two paths may have looked at them one after the other: each of its reasons is judged alone.
So an operation may be preceded by a `look`, which remembers the inode of its first path under a name nobody else has.
"""

REMEMBERED = "\0"


def parent_of(path):
    return path.rsplit("/", 1)[0]


class Names:
    def __init__(self, state):
        self.names = {path: (node, kind, ino) for path, node, kind, ino in state}

    def state(self):
        return tuple(sorted((path, *entry) for path, entry in self.names.items()))

    def kind(self, path):
        entry = self.names.get(path)
        return entry and entry[1]

    def walk_error(self, path):
        """The set of why the folder of `path` cannot be reached."""
        parts = path.split("/")
        for depth in range(2, len(parts)):
            kind = self.kind("/".join(parts[:depth]))
            if kind != "d":
                return {"ENOTDIR"} if kind else {"ENOENT"}
        return set()

    def absent(self, path):
        return self.walk_error(path) or (set() if path in self.names else {"ENOENT"})

    def has_name(self, node):
        return any(entry[0] == node for path, entry in self.names.items() if path[0] != REMEMBERED)

    def below(self, path):
        return [name for name in self.names if name.startswith(path + "/")]

    def bind(self, path, ino):
        """True when the name's inode may have this number; remembers it."""
        node, kind, known = self.names[path]
        if known == ino:
            return True
        # Two that live have different numbers; one that died may leave its number to another.
        if known is not None or any(entry[2] == ino for entry in self.names.values()):
            return False
        for name, entry in self.names.items():
            if entry[0] == node:
                self.names[name] = (node, kind, ino)
        return True

    # refusals(): every errno that the operation may be refused with now; empty: it succeeds. apply(): it does.

    def refusals(self, op, args):
        path = args[0]
        if op in ("create", "mkdir"):
            return self.walk_error(path) or ({"EEXIST"} if path in self.names else set())
        if op == "link":
            reasons = self.absent(path) | self.walk_error(args[1])
            reasons |= {"EEXIST"} if args[1] in self.names else set()
            return reasons | ({"EPERM"} if self.kind(path) == "d" else set())
        if op in ("rename", "rename_noreplace"):
            return self.rename_refusals(path, args[1], op == "rename")
        reasons = self.absent(path)
        if reasons:
            return reasons
        if op == "rmdir":
            if self.kind(path) != "d":
                return {"ENOTDIR"}
            return {"ENOTEMPTY", "EEXIST"} if self.below(path) else set()
        if op == "unlink":
            return {"EISDIR", "EPERM"} if self.kind(path) == "d" else set()
        assert op == "stat", op
        return set()

    def rename_refusals(self, source, target, replace):
        reasons = self.absent(source) | self.walk_error(target)
        if target.startswith(source + "/"):
            reasons.add("EINVAL")
        if target not in self.names:
            return reasons
        if not replace:
            return reasons | {"EEXIST"}
        if source in self.names and self.names[source][0] == self.names[target][0]:
            return reasons  # two names of one file: nothing happens
        if self.below(target):
            reasons |= {"ENOTEMPTY", "EEXIST"}
        if self.kind(target) == "d" and self.kind(source) != "d":
            reasons.add("EISDIR")
        if self.kind(source) == "d" and self.kind(target) != "d":
            reasons.add("ENOTDIR")
        return reasons

    def apply(self, number, op, args):
        if op in ("create", "mkdir"):
            self.names[args[0]] = (number, "f" if op == "create" else "d", None)
        elif op in ("rmdir", "unlink"):
            del self.names[args[0]]
        elif op in ("rename", "rename_noreplace"):
            source, target = args
            if target in self.names and self.names[target][0] == self.names[source][0]:
                return
            for name, entry in [(name, self.names.pop(name)) for name in [source, *self.below(source)]]:
                self.names[target + name[len(source):]] = entry


# What EISDIR and ENOTDIR of a rename say of one path, whatever the other one was at that moment.
def refused_by_one_path(names, operation):
    source, target = operation.args
    return {"EISDIR": names.kind(target) == "d", "ENOTDIR": names.kind(source) == "d"}.get(operation.errno, False)


def remembered(number):
    return f"{REMEMBERED}{number}"


def after_look(names, operation, seen):
    """Whether the operation could happen with the inode that it had seen; changes the names."""
    if operation.op == "link" and operation.errno == "ENOENT":
        return not names.has_name(seen[0])
    target = operation.args[1]
    if operation.op == "link":
        if seen[1] == "d" or not names.has_name(seen[0]) or names.walk_error(target) or target in names.names:
            return False
        names.names[target] = seen
        return True
    return target in names.names and names.names[target][0] == seen[0]  # a rename that did nothing


def step(state, operation):
    """The state after `operation`, if it could happen in `state` with the result that was told; None otherwise. What is
    not known counts when it succeeds, for a failure changes nothing."""
    names = Names(state)
    if operation.op == "nlink":  # of the inode that a stat found, a moment later: its names may have changed since
        links = sum(1 for path, entry in names.names.items() if entry[2] == operation.result["ino"] and path[0] != REMEMBERED)
        return state if links == operation.result["nlink"] else None
    if operation.op == "look":
        if names.absent(operation.args[0]):
            return None
        names.names[remembered(operation.result["for"])] = names.names[operation.args[0]]
        return names.state()
    if seen := names.names.pop(remembered(operation.number), None):
        return names.state() if after_look(names, operation, seen) else None
    if operation.op == "link" and operation.errno is None:
        return None  # not before it has looked
    if operation.errno == "ESTALE":
        return state
    reasons = names.refusals(operation.op, operation.args)
    if operation.errno is not None:
        refused = operation.errno in reasons or operation.op == "rename" and refused_by_one_path(names, operation)
        return state if refused else None
    if reasons:
        return None
    names.apply(operation.number, operation.op, operation.args)
    result = operation.result or {}
    if operation.op == "stat" and result["kind"] != names.kind(operation.args[0]):
        return None
    if "ino" in result and not names.bind(operation.args[0], result["ino"]):
        return None
    return names.state()
