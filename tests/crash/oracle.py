"""What a file may hold after a crash: its state after some prefix of its operations, at least up to the last close,
fsync, replace or unlink that was acknowledged."""
import json

from writer import pattern


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
        end = event["at"] + event["n"]
        body = bytearray(state.ljust(end, b"\0"))
        body[event["at"]:end] = pattern(event["seed"], event["n"])
        return bytes(body)
    if op == "truncate":
        return state[:event["size"]].ljust(event["size"], b"\0")
    return state


# After these an acknowledgement promises everything before them (open too: the name itself is in the engine's log).
PROMISES = {"close", "fsync", "replace", "unlink", "open", "truncate"}


def check_file(events, done, start, found):
    """`start`: the state before the log; `found`: the bytes there are, or None. Returns an error, or "" and the promise."""
    states = [start]
    floor = 0
    for event in events:
        states.append(apply(states[-1], event))
        if event["i"] in done and event["op"] in PROMISES:
            floor = len(states) - 1
    for state in states[floor:]:
        if state == found:
            return ""
    older = [i for i, state in enumerate(states[:floor]) if state == found]
    what = "nothing" if found is None else f"{len(found)} bytes"
    if older:
        return f"lost: it is as after operation {older[-1]}, {floor} was promised ({what})"
    return f"mixed: {what} that it never had; {len(events)} operations, {floor} promised"
