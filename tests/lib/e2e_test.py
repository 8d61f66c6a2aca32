#!/usr/bin/env python3
"""The end-to-end helpers' own test: a scratch folder leaves nothing behind; the S3 server stores, stops and starts."""
import os
import unittest
import urllib.error
import urllib.request

import e2e


class HelpersTest(unittest.TestCase):
    def test_scratch_unmounts_and_removes_when_the_test_fails(self):
        with self.assertRaises(ValueError), e2e.Scratch() as scratch:
            (scratch.path / "mnt").mkdir()
            e2e.run("mount", "-t", "tmpfs", "test", scratch.path / "mnt")
            raise ValueError("a failing test")
        self.assertFalse(scratch.path.exists())
        self.assertEqual(e2e.mounts_under(scratch.path), [])

    def test_a_failing_command_raises_with_its_output(self):
        with self.assertRaisesRegex(e2e.E2eError, "the reason"):
            e2e.run("sh", "-c", "echo the reason; exit 1")

    def test_wait_until_is_bounded(self):
        with self.assertRaisesRegex(e2e.E2eError, "waited 0.2 s for: rain"):
            e2e.wait_until(lambda: False, 0.2, "rain")

    def test_s3_server_keeps_objects_over_a_restart(self):
        with e2e.Scratch() as scratch:
            s3 = e2e.S3Server(scratch)
            self.assertRegex(s3.bucket_url("data", "x"), r"^s3://data/x\?endpoint=http://127\.0\.0\.1:\d+&region=us-east-1$")
            self.put(s3, b"kept")
            s3.stop()
            with self.assertRaises(urllib.error.URLError):
                urllib.request.urlopen(s3.endpoint + "/healthz", timeout=2)
            s3.start()
            self.assertEqual(self.request(s3), b"kept")
            with self.assertRaises(urllib.error.HTTPError):
                urllib.request.urlopen(s3.endpoint + "/data/object", timeout=10)  # unsigned

    def request(self, s3, *options):
        user = f"{os.environ['AWS_ACCESS_KEY_ID']}:{os.environ['AWS_SECRET_ACCESS_KEY']}"
        return e2e.run("curl", "-fsS", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", user, *options,
                       s3.endpoint + "/data/object").stdout.encode()

    def put(self, s3, data):
        body = s3.scratch.path / "body"
        body.write_bytes(data)
        self.request(s3, "-T", body)


if __name__ == "__main__":
    unittest.main()
