#!/usr/bin/env python3
"""Bad input through the command line: for each row of the tables, what the command says, how it ends, and that nothing
has changed. Needs root: it mounts.

    bad_input.py [WORD…]        only rows that contain one of the words
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import bad_state  # noqa: E402
import bad_words  # noqa: E402
from world import World, Wrong, e2e, expect, tree_hash  # noqa: E402


def check_words(world, command, status, words):
    before = world.facts(), tree_hash(world.bucket)
    done = world.shoal(command)
    expect(done.returncode == status, f"exit {done.returncode}, {status} was due: {done.stdout}{done.stderr}")
    bad_state.says_one_sentence(done.stderr, *words)
    after = world.facts(), tree_hash(world.bucket)
    if command.startswith("trash restore") or "--subdir" in command:  # owns the volume to look, which is an epoch
        for facts, _ in (before, after):
            facts.pop("epoch")
        before, after = before[0], after[0]
    expect(before == after, f"the volume has changed: {before} {after}")
    for folder in ("new", "none", "other/seg"):
        expect(not (world.path / folder).exists(), f"{folder} was made")
    expect(not world.is_mounted(), "it is mounted")


def rows():
    for command, status, words in bad_words.WORDS:
        yield f"shoal {command}", lambda world, row=(command, status, words): check_words(world, *row)
    for function in bad_state.STATES:
        yield function.__name__.replace("_", " "), function


def in_world(world, run):
    try:
        run(world)
    finally:
        if world.is_mounted():
            e2e.run("umount", "-l", world.volume.at)


def main():
    with e2e.Scratch() as scratch:
        world = World(scratch)
        checks = [(name, lambda run=run: in_world(world, run)) for name, run in rows()]
        return e2e.run_checks(checks, sys.argv[1:], quiet=Wrong)


if __name__ == "__main__":
    sys.exit(main())
