# SPDX-License-Identifier: MIT
"""A dump on a server: the same rows as of the file, for a small part of its bytes."""
import os
import re
import sys
import unittest

import worlds
from harness import FOLDER, Case, View, run

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "synth"))
from server import Server  # noqa: E402

LISTS = (("ps",), ("modules",), ("maps", "--all"), ("dmesg",))
SHARE = 0.02  # of a dump of 512 MiB, at most, for a list of processes


class DirectView(View):
    """Loopback is asked directly, whatever proxy the user has."""

    def run(self, *args):
        return run(*args, env={"no_proxy": "*"})


class RemoteTest(Case):
    @classmethod
    def setUpClass(cls):
        cls.path = worlds.plain().dump("remote.elf")
        cls.server = Server(FOLDER)
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        url = cls.server.url("delay-5/remote.elf")
        cls.local, cls.remote = View(cls.path), DirectView(url)
        if "reads no URLs" in cls.remote.ask("info").err:
            raise unittest.SkipTest("built without libcurl")

    def test_rows_are_those_of_the_file(self):
        for words in LISTS:
            self.assertEqual(self.remote.rows(*words), self.local.rows(*words), words)

    def test_a_flattened_kdump_has_the_same_processes_there(self):
        path = worlds.plain().dump("remote.kdump", "kdump-zlib")
        self.server.forget()
        remote = DirectView(self.server.url("delay-5/remote.kdump"))
        self.assertEqual(remote.rows("ps"), View(path).rows("ps"))
        self.assertLess(self.server.requests, 2000)

    def test_processes_take_a_small_part_of_the_bytes(self):
        self.server.forget()
        result = self.remote.run("ps", self.remote.target, "--stats")
        self.expect(result, 0)
        self.assertLessEqual(self.server.bytes, SHARE * os.path.getsize(self.path))
        found = re.search(r"image: HTTP ranges: (\d+) requests, (\d+) of", result.err)
        self.assertEqual([int(n) for n in found.groups()], [self.server.requests, self.server.bytes])

    def test_a_scan_on_all_processors_finds_the_same(self):
        words = ('"Linux version "', "--phys", "--range", "0x1000000..0x3000000")
        self.assertEqual(self.remote.run("scan", self.remote.target, *words).out,
                         run("scan", self.path, *words).out)
