"""What a file may hold after a crash: its state after some prefix of its operations, at least up to the last close,
fsync, replace or unlink that was acknowledged."""
import json

from writer import pattern

PAGE = 4096


def read_log(path):
    """Events in order; the last line may be torn by the kill of the writer itself."""
    events, done = [], set()
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                break
            if "done" in event:
                done.add(event["done"])
            else:
                events.append(event)
    return events, done


def apply(state, event):
    """The next state of a file; None: it does not exist."""
    op = event["op"]
    if op == "unlink":
        return None
    if op == "replace":
        return pattern(event["seed"], event["n"])
    if op == "open":
        return b"" if state is None else state
    if op == "write":
        data = pattern(event["seed"], event["n"])[:event.get("first")]
        end = event["at"] + len(data)
        body = bytearray(state.ljust(end, b"\0"))
        body[event["at"]:end] = data
        return bytes(body)
    if op == "truncate":
        return state[:event["size"]].ljust(event["size"], b"\0")
    return state


def requests_of(event):
    """The FUSE requests that one operation of a program becomes. One request is one operation of the volume; the kernel
    ends a request after the first page of a write that begins inside of a page it does not hold."""
    if event["op"] != "write":
        return [event]
    first = PAGE - event["at"] % PAGE
    if event["at"] % PAGE == 0 or first >= event["n"]:
        return [event]
    return [{**event, "first": first}, event]


def nearest(states, found):
    """Where `found` differs from the state that it resembles most: for the person who reads the failure."""
    best = None
    for number, state in enumerate(states):
        if state is None or found is None or len(state) != len(found):
            continue
        differing = [at for at in range(0, len(found), PAGE) if state[at:at + PAGE] != found[at:at + PAGE]]
        if best is None or len(differing) < len(best[1]):
            best = (number, differing)
    if best is None:
        return "no state has that length"
    return f"nearest is state {best[0]} of {len(states)}, other pages at {best[1][:8]}"


# After these an acknowledgement promises everything before them (open too: the name itself is in the engine's log).
PROMISES = {"close", "fsync", "replace", "unlink", "open", "truncate"}
# When the mount ended in order, everything that it answered is promised.
EVERYTHING = PROMISES | {"write"}


def check_large(events, done, start, found, promises):
    """As check_file, for a file that is only made, written on at its end and removed: a state is a length of what it
    would be at last. (Forty states of forty megabytes each would not fit.)"""
    whole = bytearray(start or b"")
    states = [(whole, None if start is None else len(start))]
    floor = 0
    for event in events:
        whole, length = states[-1]
        if event["op"] == "unlink":
            states.append((whole, None))
        elif event["op"] == "open":
            states.append((bytearray(), 0))
        elif event["op"] == "write":
            whole += pattern(event["seed"], event["n"])
            states += [(whole, length + request.get("first", event["n"])) for request in requests_of(event)]
        if event["i"] in done and event["op"] in promises:
            floor = len(states) - 1
    size = None if found is None else len(found)
    fits = [i for i, (whole, length) in enumerate(states)
            if length == size and (found is None or whole.startswith(found))]
    if fits and fits[-1] >= floor:
        return ""
    what = "nothing" if found is None else f"{size} bytes"
    if fits:
        return f"lost: it is as after request {fits[-1]}, {floor} was promised ({what})"
    return f"mixed: {what} that it never had; {len(states) - 1} requests, {floor} promised; last {states[-1][1]} bytes"


def check_file(events, done, start, found, promises):
    """`start`: the state before the log; `found`: the bytes there are, or None. Returns an error, or ""."""
    states = [start]
    floor = 0
    for event in events:
        before = states[-1]
        states += [apply(before, request) for request in requests_of(event)]
        if event["i"] in done and event["op"] in promises:
            floor = len(states) - 1
    for state in states[floor:]:
        if state == found:
            return ""
    older = [i for i, state in enumerate(states[:floor]) if state == found]
    what = "nothing" if found is None else f"{len(found)} bytes"
    if older:
        return f"lost: it is as after operation {older[-1]}, {floor} was promised ({what})"
    return f"mixed: {what} that it never had; {len(states) - 1} requests, {floor} promised; {nearest(states, found)}"
