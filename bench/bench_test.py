#!/usr/bin/env python3
"""The benchmark's own test: what it counts and what it concludes."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import report
import rows
import run
import systems


def hexed(text):
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


FUSE, OTHER = hexed("/dev/fuse"), hexed("socket:[1]")
LOOKUP = r"\x30\x00\x00\x00\x01\x00\x00\x00"
CREATE = r"\x48\x00\x00\x00\x23\x00\x00\x00"


class CountingTest(unittest.TestCase):
    def test_only_requests_from_the_fuse_device_count(self):
        self.assertEqual(systems.count_opcodes([
            f'7 read(5<{FUSE}>, "{LOOKUP}"..., 135168) = 48',
            f'7 read(9<{OTHER}>, "{LOOKUP}"..., 4096) = 48',
            f'7 read(5<{FUSE}>, 0x7f00, 135168) = -1 EAGAIN (Resource temporarily unavailable)',
            f'7 readv(5<{FUSE}>, [{{iov_base="{CREATE}"..., iov_len=80}}], 1) = 72',
        ]), {"LOOKUP": 1, "CREATE": 1})

    def test_a_read_that_strace_splits_counts_once_for_its_thread(self):
        self.assertEqual(systems.count_opcodes([
            f"7 read(5<{FUSE}>,  <unfinished ...>",
            f"8 read(9<{OTHER}>,  <unfinished ...>",
            f'8 <... read resumed>"{CREATE}"..., 4096) = 48',
            f'7 <... read resumed>"{LOOKUP}"..., 135168) = 48',
        ]), {"LOOKUP": 1})

    def test_requests_of_a_row_are_what_was_added_meanwhile(self):
        self.assertEqual(rows.difference({"PUT": 5, "GET": 2, "LIST": 1}, {"PUT": 3, "GET": 2}), {"PUT": 2, "LIST": 1})


class ConclusionTest(unittest.TestCase):
    def test_shorter_times_are_better_where_the_value_is_a_time(self):
        self.assertEqual(report.ratio("untar", 2.0, 10.0), 5.0)
        self.assertEqual(report.ratio("create", 10.0, 2.0), 5.0)

    def test_what_was_not_measured_is_not_judged(self):
        self.assertIsNone(report.ratio("create", None, 2.0))
        self.assertEqual(report.verdict("create", {"juicefs": 20, "juicefswb": None}), "reached")

    def test_floor_and_goal_are_told_apart(self):
        self.assertEqual(report.verdict("create", {"juicefs": 12, "juicefswb": 12, "ext4": 1}), "missed: goal 15x JuiceFS")
        self.assertIn("floor 10x JuiceFS", report.verdict("create", {"juicefs": 9, "juicefswb": 12, "ext4": 1}))

    def test_medians_are_of_the_rounds(self):
        self.assertEqual(report.median([{"value": 1}, {"value": 9}, {"value": 2}]), 2)


class RowsTest(unittest.TestCase):
    def test_every_row_belongs_to_one_group(self):
        named = [row for _, own in rows.GROUPS.values() for row in own]
        self.assertEqual(sorted(named), sorted(rows.ROWS))

    def test_a_row_brings_its_group_once(self):
        self.assertEqual(run.wanted_groups("stat,create,packed"), (["small"], True))
        with self.assertRaises(SystemExit):
            run.wanted_groups("nonsense")

    def test_the_same_seed_makes_the_same_tree(self):
        with tempfile.TemporaryDirectory() as folder:
            archives = [pathlib.Path(folder) / name for name in ("a", "b", "c")]
            for archive, seed in zip(archives, (1, 1, 2)):
                rows.make_archive(archive, 50, seed)
            first, same, other = (archive.read_bytes() for archive in archives)
        self.assertEqual(first, same)
        self.assertNotEqual(first, other)


if __name__ == "__main__":
    unittest.main()
