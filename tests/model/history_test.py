#!/usr/bin/env python3
"""The checker of histories: hand-written histories that are possible are accepted, those that are not are rejected."""
import itertools
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check_history  # noqa: E402
from history import linear, record  # noqa: E402
from history.record import Operation  # noqa: E402

INF = float("inf")


def history(*rows):
    """Rows of (process, called, returned, op, args, outcome): a dict is a result, a string an errno, None not known."""
    operations = []
    for number, (process, called, returned, op, args, outcome) in enumerate(rows):
        operations.append(Operation(number, process, op, tuple(args.split()), called, INF if outcome is None else returned,
                                    outcome if isinstance(outcome, dict) else None,
                                    outcome if isinstance(outcome, str) else None))
    return sorted(operations, key=lambda operation: operation.called)


OK = {}


def file(ino, nlink=1):
    return {"kind": "f", "ino": ino, "nlink": nlink}


class HistoryTest(unittest.TestCase):
    def accepted(self, *rows, **options):
        self.assertEqual(check_history.check(history(*rows), **options), [])

    def rejected(self, *rows, says=None, **options):
        found = check_history.check(history(*rows), **options)
        self.assertNotEqual(found, [])
        if says:
            self.assertRegex("\n".join(found), says)

    # ---- names, one after the other ---------------------------------------------------------------------------

    def test_what_one_program_sees_is_accepted(self):
        self.accepted(
            (1, 0, 1, "create", "g/a", {"ino": 7}), (1, 2, 3, "create", "g/a", "EEXIST"), (1, 4, 5, "stat", "g/a", file(7)),
            (1, 6, 7, "link", "g/a g/b", OK), (1, 8, 9, "stat", "g/b", file(7, 2)), (1, 10, 11, "rename", "g/a g/b", OK),
            (1, 12, 13, "stat", "g/a", file(7, 2)), (1, 14, 15, "unlink", "g/a", OK), (1, 16, 17, "unlink", "g/a", "ENOENT"),
            (1, 18, 19, "rename_noreplace", "g/b g/c", OK), (1, 20, 21, "mkdir", "g/d", OK),
            (1, 22, 23, "rename_noreplace", "g/c g/d", "EEXIST"), (1, 24, 25, "rename", "g/c g/d", "EISDIR"),
            (1, 26, 27, "rename", "g/d g/c", "ENOTDIR"), (1, 28, 29, "rename", "g/c g/d/x", OK),
            (1, 30, 31, "rmdir", "g/d", "ENOTEMPTY"), (1, 32, 33, "unlink", "g/d", "EISDIR"),
            (1, 34, 35, "rename", "g/d g/d/x/y", "EINVAL"), (1, 36, 37, "stat", "g/d/x", file(7)),
            (1, 38, 39, "unlink", "g/d/x", OK), (1, 40, 41, "rmdir", "g/d", OK), (1, 42, 43, "create", "g/d/x", "ENOENT"),
            (1, 44, 45, "create", "g/e", {"ino": 7}), (1, 46, 47, "rmdir", "g/e", "ENOTDIR"),
            (1, 48, 49, "mkdir", "g/e/x", "ENOTDIR"))

    def test_a_renamed_folder_takes_its_names_along(self):
        self.accepted((1, 0, 1, "mkdir", "g/d", OK), (1, 2, 3, "create", "g/d/x", {"ino": 4}),
                      (1, 4, 5, "rename", "g/d g/e", OK), (1, 6, 7, "stat", "g/e/x", file(4)), (1, 8, 9, "stat", "g/d/x", "ENOENT"))

    def test_a_rename_between_two_names_of_a_file_may_do_something_a_moment_later(self):
        rows = [(1, 0, 1, "create", "g/a", {"ino": 7}), (1, 2, 3, "link", "g/a g/b", OK), (1, 4, 5, "create", "g/e", {"ino": 8}),
                (2, 10, 20, "rename", "g/e g/a", OK), (3, 12, 22, "rename", "g/a g/b", OK)]
        self.accepted(*rows, (1, 30, 31, "stat", "g/a", "ENOENT"), (1, 32, 33, "stat", "g/b", file(8)))
        self.accepted(*rows, (1, 30, 31, "stat", "g/a", file(8)), (1, 32, 33, "stat", "g/b", file(7)))
        self.rejected(*rows, (1, 30, 31, "stat", "g/a", file(8)), (1, 32, 33, "stat", "g/b", file(8)))

    def test_each_wrong_answer_is_rejected(self):
        made = (1, 0, 1, "create", "g/a", {"ino": 7})
        for row in [("create", "g/a", {"ino": 8}), ("create", "g/b", "EEXIST"), ("mkdir", "g/a", OK), ("rmdir", "g/a", OK),
                    ("rmdir", "g/a", "ENOTEMPTY"), ("unlink", "g/a", "ENOENT"), ("unlink", "g/b", OK), ("stat", "g/a", "ENOENT"),
                    ("stat", "g/a", file(8)), ("stat", "g/a", file(7, 2)), ("stat", "g/a", {"kind": "d", "ino": 7}),
                    ("stat", "g/b", file(8)), ("link", "g/a g/b", "EEXIST"), ("link", "g/b g/c", OK), ("rename", "g/b g/a", OK),
                    ("rename", "g/a g/b", "EISDIR"), ("rename_noreplace", "g/a g/b", "EEXIST"), ("rename", "g/a g/b", "ENOENT"),
                    ("create", "g/a/x", {"ino": 9}), ("create", "g/a/x", "ENOENT"), ("create", "g/b/x", "ENOTDIR")]:
            with self.subTest(row=row):
                self.rejected(made, (2, 2, 3, *row), says="cannot have happened")

    # ---- names, at once ---------------------------------------------------------------------------------------

    def test_of_two_exclusive_creates_one_wins(self):
        for one, two in itertools.permutations([{"ino": 7}, "EEXIST"]):
            self.accepted((1, 0, 9, "create", "g/a", one), (2, 1, 8, "create", "g/a", two))

    def test_an_exclusive_create_won_twice_is_rejected(self):
        self.rejected((1, 0, 9, "create", "g/a", {"ino": 7}), (2, 1, 8, "create", "g/a", {"ino": 8}))

    def test_an_exclusive_create_that_nobody_won_is_rejected(self):
        self.rejected((1, 0, 9, "create", "g/a", "EEXIST"), (2, 1, 8, "create", "g/a", "EEXIST"))

    def test_a_create_applied_twice_by_a_retry_is_rejected(self):
        self.rejected((1, 0, 5, "create", "g/a", "EEXIST"), (2, 6, 7, "stat", "g/a", file(7)))

    def test_an_unlink_applied_twice_by_a_retry_is_rejected(self):
        self.rejected((1, 0, 1, "create", "g/a", {"ino": 7}), (1, 2, 5, "unlink", "g/a", "ENOENT"))

    def test_an_unlink_repeated_over_a_newer_file_is_rejected(self):
        self.rejected((1, 0, 1, "create", "g/a", {"ino": 7}), (1, 2, 3, "unlink", "g/a", OK),
                      (2, 4, 5, "create", "g/a", {"ino": 8}), (2, 6, 7, "stat", "g/a", "ENOENT"))

    def test_a_stale_stat_is_rejected_and_accepted_when_it_may_be_that_old(self):
        rows = [(1, 0, 1, "create", "g/a", {"ino": 7}), (1, 2, 3, "unlink", "g/a", OK), (2, 5, 6, "stat", "g/a", file(7))]
        self.rejected(*rows)
        self.accepted(*rows, stale_ns=3)

    def test_a_stale_change_is_rejected_whatever_may_be_old(self):
        self.rejected((1, 0, 1, "create", "g/a", {"ino": 7}), (1, 2, 3, "unlink", "g/a", OK),
                      (2, 5, 6, "rename", "g/a g/b", OK), stale_ns=100)

    def test_two_programs_see_changes_in_one_order(self):
        # 3 saw a before b, 4 saw b before a.
        self.rejected((1, 0, 9, "create", "g/a", {"ino": 7}), (2, 0, 9, "create", "g/b", {"ino": 8}),
                      (3, 1, 2, "stat", "g/a", file(7)), (3, 3, 4, "stat", "g/b", "ENOENT"),
                      (4, 1, 2, "stat", "g/b", file(8)), (4, 3, 4, "stat", "g/a", "ENOENT"))

    def test_a_lost_rename_is_rejected(self):
        self.rejected((1, 0, 1, "create", "g/a", {"ino": 7}), (2, 2, 3, "rename", "g/a g/b", OK),
                      (3, 4, 5, "stat", "g/a", file(7)))
        self.rejected((1, 0, 1, "create", "g/a", {"ino": 7}), (2, 2, 3, "rename", "g/a g/b", OK),
                      (3, 4, 5, "stat", "g/b", "ENOENT"))

    def test_a_file_renamed_to_two_places_is_rejected(self):
        self.rejected((1, 0, 1, "create", "g/a", {"ino": 7}), (2, 2, 9, "rename", "g/a g/b", OK),
                      (3, 2, 9, "rename", "g/a g/c", OK))

    def test_a_replaced_target_with_noreplace_is_rejected(self):
        self.rejected((1, 0, 1, "create", "g/a", {"ino": 7}), (1, 2, 3, "create", "g/b", {"ino": 8}),
                      (2, 4, 5, "rename_noreplace", "g/a g/b", OK))

    def test_rename_across_folders_joins_their_histories(self):
        self.rejected((1, 0, 1, "create", "g/a", {"ino": 7}), (1, 2, 3, "rename", "g/a h/a", OK),
                      (2, 4, 5, "stat", "h/a", "ENOENT"))
        self.assertEqual(len(linear.partitions(history((1, 0, 1, "create", "g/a", OK), (1, 2, 3, "create", "h/a", OK)))), 2)

    def test_two_living_files_with_one_inode_number_are_rejected(self):
        self.rejected((1, 0, 1, "create", "g/a", {"ino": 7}), (1, 2, 3, "create", "g/b", {"ino": 7}))

    def test_a_name_that_changed_its_file_is_rejected(self):
        self.rejected((1, 0, 1, "mkdir", "g/a", OK), (1, 2, 3, "stat", "g/a", {"kind": "d", "ino": 7}),
                      (1, 4, 5, "stat", "g/a", {"kind": "d", "ino": 8}))

    def test_a_refused_rename_may_have_looked_at_its_paths_one_after_the_other(self):
        # When b became a folder, a was gone.
        self.accepted((1, 0, 1, "create", "g/a", {"ino": 7}), (2, 2, 19, "rename", "g/a g/b", "EISDIR"),
                      (1, 4, 5, "unlink", "g/a", OK), (1, 6, 7, "mkdir", "g/b", OK))
        self.rejected((1, 0, 1, "create", "g/a", {"ino": 7}), (2, 2, 3, "rename", "g/a g/b", "EISDIR"))

    def test_a_stale_handle_is_a_refusal_after_which_nothing_has_happened(self):
        self.accepted((1, 0, 1, "create", "g/a", {"ino": 7}), (2, 2, 3, "rename", "g/a g/b", "ESTALE"),
                      (1, 4, 5, "stat", "g/a", file(7)))
        self.rejected((1, 0, 1, "create", "g/a", {"ino": 7}), (2, 2, 3, "rename", "g/a g/b", "ESTALE"),
                      (1, 4, 5, "stat", "g/b", file(7)))

    def test_a_link_may_have_looked_its_source_up_before(self):
        rows = [(1, 0, 1, "create", "g/a", {"ino": 7}), (1, 2, 3, "create", "g/b", {"ino": 8})]
        # a had left when b became free.
        self.accepted(*rows, (2, 4, 19, "link", "g/a g/b", OK), (1, 5, 6, "rename", "g/a g/c", OK), (1, 7, 8, "unlink", "g/b", OK),
                      (1, 20, 21, "stat", "g/b", file(7, 2)))
        self.rejected(*rows, (2, 4, 19, "link", "g/a g/b", OK), (1, 5, 6, "unlink", "g/a", OK), (1, 7, 8, "unlink", "g/b", OK))
        # The inode that a was has no name any more; another one has the name.
        self.accepted(*rows, (2, 4, 19, "link", "g/a g/b", "ENOENT"), (1, 5, 6, "rename", "g/b g/a", OK))
        self.rejected(*rows, (1, 4, 5, "rename", "g/b g/a", OK), (2, 6, 7, "link", "g/a g/b", "ENOENT"))
        self.rejected(*rows, (1, 4, 5, "rename", "g/a g/c", OK), (2, 6, 7, "link", "g/a g/d", OK))

    def test_a_rename_may_have_seen_that_somebody_else_did_the_same(self):
        made = (1, 0, 1, "create", "g/a", {"ino": 7})
        self.accepted(made, (1, 2, 9, "rename", "g/a g/b", OK), (2, 3, 8, "rename", "g/a g/b", OK), (1, 10, 11, "stat", "g/b", file(7)))
        self.rejected(made, (1, 2, 3, "rename", "g/a g/b", OK), (2, 4, 8, "rename", "g/a g/b", OK))
        self.rejected(made, (1, 2, 9, "rename", "g/a g/b", OK), (2, 3, 8, "rename", "g/a g/c", OK))

    def test_the_link_count_of_a_stat_may_be_of_a_moment_later(self):
        self.accepted((1, 0, 1, "create", "g/a", {"ino": 7}), (2, 2, 9, "stat", "g/a", file(7, 0)), (1, 3, 4, "unlink", "g/a", OK))
        self.rejected((1, 0, 1, "create", "g/a", {"ino": 7}), (2, 2, 3, "stat", "g/a", file(7, 0)), (1, 4, 5, "unlink", "g/a", OK))

    # ---- what is not known ------------------------------------------------------------------------------------

    def test_what_is_not_known_may_happen_never_or_late(self):
        made = (1, 0, 1, "create", "g/a", {"ino": 7})
        lost = (2, 2, 3, "unlink", "g/a", None)
        self.accepted(made, lost, (1, 50, 51, "stat", "g/a", file(7)))
        self.accepted(made, (2, 2, 3, "stat", "g/a", None), (2, 4, 5, "readdir", "g", None), (2, 6, 7, "get", "g/p", None))
        self.accepted(made, lost, (1, 50, 51, "stat", "g/a", file(7)), (1, 52, 53, "stat", "g/a", "ENOENT"))

    def test_what_is_not_known_happens_once_and_not_before_its_call(self):
        made = (1, 0, 1, "create", "g/a", {"ino": 7})
        lost = (2, 10, 11, "unlink", "g/a", None)
        self.rejected(made, lost, (1, 2, 3, "stat", "g/a", "ENOENT"))
        self.rejected(made, lost, (1, 12, 13, "stat", "g/a", "ENOENT"), (1, 14, 15, "create", "g/a", {"ino": 8}),
                      (1, 16, 17, "stat", "g/a", "ENOENT"))

    def test_the_second_search_finds_what_the_first_one_left_out(self):
        # The return of b → c needs nothing unknown, but only a → b before it explains the inode in c.
        self.accepted((1, 0, 1, "create", "g/a", {"ino": 7}), (1, 2, 3, "create", "g/b", {"ino": 8}),
                      (2, 4, 5, "rename", "g/a g/b", None), (1, 6, 7, "rename", "g/b g/c", OK),
                      (1, 8, 9, "stat", "g/c", file(7)))

    def test_a_search_that_grows_too_large_is_no_verdict(self):
        rows = [(process, 0, 99, "create", f"g/{process}", {"ino": process}) for process in range(1, 15)]
        with self.assertRaises(linear.TooMany):
            linear.check(history(*rows), configurations_max=100)

    # ---- listings ---------------------------------------------------------------------------------------------

    def test_a_listing_has_what_was_there_all_the_time(self):
        made = (1, 0, 1, "create", "g/a", {"ino": 7})
        self.accepted(made, (2, 2, 5, "readdir", "g", {"names": ["a"]}))
        self.rejected(made, (2, 2, 5, "readdir", "g", {"names": []}), says="is missing")
        self.rejected(made, (2, 2, 5, "readdir", "g", {"names": ["a", "b"]}), says="is only in")
        gone = (1, 3, 4, "unlink", "g/a", OK)
        self.accepted(made, gone, (2, 2, 5, "readdir", "g", {"names": ["a"]}))
        self.accepted(made, gone, (2, 2, 5, "readdir", "g", {"names": []}))
        self.rejected(made, gone, (2, 6, 7, "readdir", "g", {"names": ["a"]}))
        self.accepted(made, gone, (2, 6, 7, "readdir", "g", {"names": ["a"]}), stale_ns=3)
        self.accepted(made, (3, 2, 3, "unlink", "g/a", None), (2, 60, 70, "readdir", "g", {"names": []}))

    # ---- data -------------------------------------------------------------------------------------------------

    def test_an_open_sees_the_last_close_or_a_write_at_the_same_time(self):
        one, two = (1, 0, 10, "put", "d/p one", OK), (2, 20, 30, "put", "d/p two", OK)
        self.accepted(one, two, (3, 11, 12, "get", "d/p", {"tags": ["one"]}))
        self.accepted(one, two, (3, 25, 26, "get", "d/p", {"tags": ["one"]}))
        self.accepted(one, two, (3, 25, 26, "get", "d/p", {"tags": ["two"]}))
        self.accepted(one, two, (3, 31, 32, "get", "d/p", {"tags": ["two"]}))
        self.accepted((3, 0, 1, "get", "d/p", "ENOENT"), (1, 2, 3, "put", "d/p one", OK))
        self.rejected(one, two, (3, 31, 32, "get", "d/p", {"tags": ["one"]}), says="a write called at 20 was closed")
        self.rejected(one, two, (3, 11, 12, "get", "d/p", {"tags": ["two"]}), says="written later")
        self.rejected(one, two, (3, 25, 26, "get", "d/p", {"tags": ["one", "two"]}), says="a mix of 2")
        self.rejected(one, two, (3, 31, 32, "get", "d/p", {"tags": []}), says="no content")
        self.rejected(one, (3, 31, 32, "get", "d/p", {"tags": ["three"]}), says="nobody wrote")
        self.rejected(one, (3, 31, 32, "get", "d/p", "ENOENT"), says="something was written")

    def test_of_writes_at_the_same_time_either_may_be_the_last(self):
        for tag in ("one", "two"):
            self.accepted((1, 0, 10, "put", "d/p one", OK), (2, 5, 20, "put", "d/p two", OK),
                          (3, 30, 31, "get", "d/p", {"tags": [tag]}))

    def test_a_write_that_is_not_known_may_appear_late(self):
        lost = (1, 0, 1, "put", "d/p one", None)
        self.accepted(lost, (2, 5, 9, "put", "d/p two", OK), (3, 10, 11, "get", "d/p", {"tags": ["two"]}),
                      (3, 30, 31, "get", "d/p", {"tags": ["one"]}))

    # ---- the file ---------------------------------------------------------------------------------------------

    def test_a_recorded_history_comes_back_with_the_call_that_was_cut_off(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "1.history"
            recorder = record.Recorder(path, 1)
            recorder.run("mkdir", ["g/d"], lambda: {})

            def fail(number):
                raise OSError(number, "injected")
            recorder.run("create", ["g/a"], lambda: fail(17))
            recorder.run("create", ["g/b"], lambda: fail(5))
            with self.assertRaises(KeyboardInterrupt):
                recorder.run("unlink", ["g/b"], self.interrupt)
            text = path.read_text()
            self.assertEqual(text.count("\n"), 3)
            loaded = record.load([path])
            self.assertEqual([operation.op for operation in loaded], ["mkdir", "create", "create", "unlink"])
            self.assertEqual([operation.known for operation in loaded], [True, True, False, False])
            self.assertEqual(loaded[1].errno, "EEXIST")
            self.assertEqual(loaded[3].args, ("g/b",))
            # Cut anywhere, it is either a call of unknown outcome or none.
            whole = text.splitlines()[0]
            for end in range(1, len(whole)):
                path.write_text(whole[:end])
                for operation in record.load([path]):
                    self.assertEqual((operation.op, operation.known), ("mkdir", False))

    @staticmethod
    def interrupt():
        raise KeyboardInterrupt


if __name__ == "__main__":
    unittest.main()
