"""The model: a few names and what each operation does to them, by POSIX and Linux.

A state is a sorted tuple of (path, node, kind, ino): every name with the node behind it (the number of the operation that
made it), "f" or "d", and the inode number once somebody has seen it. The first part of a path is a folder that is always
there and has no entry itself.
"""


def parent_of(path):
    return path.rsplit("/", 1)[0]


class Names:
    def __init__(self, state):
        self.names = {path: (node, kind, ino) for path, node, kind, ino in state}

    def state(self):
        return tuple(sorted((path, *entry) for path, entry in self.names.items()))

    def walk_error(self, path):
        """Why the folder of `path` cannot be reached, or None."""
        parts = path.split("/")
        for depth in range(2, len(parts)):
            entry = self.names.get("/".join(parts[:depth]))
            if entry is None:
                return "ENOENT"
            if entry[1] != "d":
                return "ENOTDIR"
        return None

    def below(self, path):
        return [name for name in self.names if name.startswith(path + "/")]

    def links(self, node):
        return sum(1 for entry in self.names.values() if entry[0] == node)

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

    # Each returns the set of errnos that it may fail with now; empty: it succeeds, and the names are changed.

    def make(self, operation, kind):
        path = operation.args[0]
        if error := self.walk_error(path):
            return {error}
        if path in self.names:
            return {"EEXIST"}
        self.names[path] = (operation.number, kind, None)
        return set()

    def create(self, operation):
        return self.make(operation, "f")

    def mkdir(self, operation):
        return self.make(operation, "d")

    def rmdir(self, operation):
        path = operation.args[0]
        if error := self.walk_error(path):
            return {error}
        if path not in self.names:
            return {"ENOENT"}
        if self.names[path][1] != "d":
            return {"ENOTDIR"}
        if self.below(path):
            return {"ENOTEMPTY", "EEXIST"}
        del self.names[path]
        return set()

    def unlink(self, operation):
        path = operation.args[0]
        if error := self.walk_error(path):
            return {error}
        if path not in self.names:
            return {"ENOENT"}
        if self.names[path][1] == "d":
            return {"EISDIR", "EPERM"}
        del self.names[path]
        return set()

    def link(self, operation):
        source, target = operation.args
        errors = {error for error in (self.walk_error(source), self.walk_error(target)) if error}
        if not self.walk_error(source) and source not in self.names:
            errors.add("ENOENT")
        if not self.walk_error(target) and target in self.names:
            errors.add("EEXIST")
        if source in self.names and self.names[source][1] == "d":
            errors.add("EPERM")
        if not errors:
            self.names[target] = self.names[source]
        return errors

    def rename(self, operation, replace=True):
        source, target = operation.args
        errors = {error for error in (self.walk_error(source), self.walk_error(target)) if error}
        if not self.walk_error(source) and source not in self.names:
            errors.add("ENOENT")
        if target.startswith(source + "/"):
            errors.add("EINVAL")
        old = self.names.get(target)
        if not replace and old is not None:
            errors.add("EEXIST")
        if errors:
            return errors
        new = self.names[source]
        if old is not None and old[0] == new[0]:
            return set()  # two names of one file: nothing happens
        if old is not None:
            if new[1] == "d" and old[1] != "d":
                return {"ENOTDIR"}
            if new[1] != "d" and old[1] == "d":
                # Where the source lies in the target, Linux looks at that first.
                return {"EISDIR", "ENOTEMPTY"}
            if self.below(target):
                return {"ENOTEMPTY", "EEXIST"}
        moved = [(name, self.names.pop(name)) for name in [source, *self.below(source)]]
        for name, entry in moved:
            self.names[target + name[len(source):]] = entry
        return set()

    def rename_noreplace(self, operation):
        return self.rename(operation, replace=False)

    def stat(self, operation):
        path = operation.args[0]
        if error := self.walk_error(path):
            return {error}
        return set() if path in self.names else {"ENOENT"}


def fits(names, operation):
    """Whether what a successful operation told is true of the names after it."""
    result = operation.result or {}
    path = operation.args[0]
    if operation.op == "stat":
        node, kind, _ = names.names[path]
        if result["kind"] != kind or kind == "f" and result["nlink"] != names.links(node):
            return False
    return "ino" not in result or names.bind(path, result["ino"])


def step(state, operation):
    """The state after `operation`, if it could happen in `state` with the result that was told; None otherwise. What is
    not known counts when it succeeds, for a failure changes nothing."""
    names = Names(state)
    errors = getattr(names, operation.op)(operation)
    if operation.errno is not None:
        return state if operation.errno in errors else None
    if errors or not fits(names, operation):
        return None
    return names.state()
