# SPDX-License-Identifier: MIT
"""Images behind URLs: of a server that does as it should, and of many that do not."""
import json
import os
import re
import struct
import sys
import unittest

from harness import FOLDER, Case, make_file, run

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "synth"))
from server import Server  # noqa: E402

BYTES = bytes((i * 7 + (i >> 8) * 13) & 0xff for i in range(1 << 20))
SECRET = "t0pS3cret"
# Loopback is asked directly, whatever proxy the user has.
ENVIRONMENT = dict(os.environ, no_proxy="*", SONDE_HTTP_STALL="1")
# The only way to ask whether this build has libcurl is to try.
NONE = run("info", "http://127.0.0.1:1/x", env=ENVIRONMENT)


def vmware_state():
    """A .vmss that says: page i of the memory is page i + 1 of the guest's."""
    tags = b""
    for name, value in ((b"regionsCount", 1), (b"regionPPN", 1), (b"regionPageNum", 0), (b"regionSize", len(BYTES) // 4096)):
        index = b"" if name == b"regionsCount" else bytes(4)
        tags += struct.pack("<BB", len(index) << 4 | 4, len(name)) + name + index + struct.pack("<I", value)
    return struct.pack("<III64sQQ", 0xbed2bed2, 8, 1, b"memory", 92, len(tags)) + tags + bytes(2)


def ask(*args):
    return run(*args, env=ENVIRONMENT)


@unittest.skipIf("reads no URLs" in NONE.err or "libcurl" in NONE.err, "built without libcurl")
class HttpCase(Case):
    @classmethod
    def setUpClass(cls):
        head = b"EMiL" + struct.pack("<IQQQ", 1, 0x1000, 0x1000 + len(BYTES) - 1, 0)
        make_file("image.lime", head + BYTES)
        make_file("vm.vmss", vmware_state())
        make_file("vm.vmem", BYTES)
        make_file("nothing", b"")
        make_file("noise", bytes(range(1, 256)) * 64)
        cls.server = Server(FOLDER)
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__)

    def setUp(self):
        self.server.forget()


class Reads(HttpCase):
    def test_the_bytes_are_those_of_the_file(self):
        for addr, n in ((0x1000, 64), (0x1fff, 4098), (0x1000 + (1 << 20) - 5, 5)):
            result = ask("read", self.server.url("image.lime"), addr, n, "--phys", "--hex")
            self.expect(result, 0, BYTES[addr - 0x1000:][:n].hex() + "\n")

    def test_a_connector_may_be_named(self):
        url = self.server.url("image.lime")
        self.expect(ask("read", "lime:" + url, 0x1000, 4, "--phys", "--hex"), 0, BYTES[:4].hex() + "\n")

    def test_a_state_of_vmware_and_its_memory_find_each_other(self):
        for url in (self.server.url("vm.vmss"), "vmware:" + self.server.url("vm.vmem")):
            self.expect(ask("read", url, 0x1fff, 4098, "--phys", "--hex"), 0, BYTES[0xfff:][:4098].hex() + "\n")

    def test_a_little_is_fetched_once(self):
        result = ask("read", self.server.url("image.lime"), 0x81000, 64, "--phys", "--stats")
        self.expect(result, 0)
        self.assertLess(self.server.bytes, 80 << 10)
        found = re.search(r"image: HTTP ranges: (\d+) requests, (\d+) of (\d+) bytes fetched", result.err)
        self.assertEqual([int(n) for n in found.groups()], [self.server.requests, self.server.bytes, len(BYTES) + 32])
        self.assertEqual(self.server.requests, 2)

    def test_all_of_it_comes_in_ranges_of_many_blocks(self):
        result = ask("read", self.server.url("image.lime"), 0x1000, len(BYTES), "--phys", "--hex")
        self.expect(result, 0, BYTES.hex() + "\n")
        self.assertLess(self.server.requests, 24)
        self.assertLessEqual(self.server.bytes, len(BYTES) + (96 << 10))

    def test_info_tells_what_it_took(self):
        row = json.loads(ask("info", self.server.url("image.lime"), "--json").out)[0]
        self.assertEqual((row["connector"], row["requests"], row["fetched"]),
                         ("lime", self.server.requests, self.server.bytes))
        row = json.loads(ask("info", FOLDER + "/image.lime", "--json").out)[0]
        self.assertEqual((row["requests"], row["fetched"]), (None, None))

    def test_later_requests_say_which_version_they_are_about(self):
        ask("read", self.server.url("image.lime"), 0x81000, 64, "--phys")
        self.assertNotIn("If-Range", self.server.headers[0])
        self.assertEqual(self.server.headers[1]["If-Range"], '"one"')

    def test_redirects_are_followed_with_their_query(self):
        url = self.server.url("redirect/image.lime?sig=" + SECRET)
        result = ask("read", url, 0x1000, 4, "--phys", "--hex")
        self.expect(result, 0, BYTES[:4].hex() + "\n")
        self.assertTrue(self.server.paths[1].endswith("/moved/image.lime?sig=" + SECRET))

    def test_a_server_that_is_busy_now_and_then_is_asked_again(self):
        result = ask("read", self.server.url("once/image.lime"), 0x1000, len(BYTES), "--phys", "--hex")
        self.expect(result, 0, BYTES.hex() + "\n")

    def test_an_overlay_takes_what_is_written(self):
        url = self.server.url("image.lime")
        result = ask("write", url, 0x1000, "--hex", "00", "--phys", "--write")
        self.expect_error(result, 4, "cannot be written", "overlay")
        self.expect(ask("write", url + "|overlay", 0x1000, "--hex", "00", "--phys", "--write"), 0)


class Secrets(HttpCase):
    def test_nothing_that_gives_access_is_ever_shown(self):
        user = "me:" + SECRET + "@"
        for path in ("image.lime", "noise", "forbidden/image.lime", "later-gone/image.lime"):
            for url in (self.server.url(path + "?sig=" + SECRET), self.server.url(path, user=user)):
                odd = url + "," + SECRET if "?" in url else url
                for words in (("info", odd), ("info", "lime:" + url), ("read", url, 0x81000, 64, "--phys", "--stats"),
                              ("maps", url + "|cash", "--phys")):
                    result = ask(*words)
                    self.assertNotIn(SECRET, result.out + result.err)
        result = ask("info", self.server.url("image.lime?sig=" + SECRET), "--json")
        self.assertEqual(json.loads(result.out)[0]["target"], self.server.url("image.lime?..."))

    def test_they_reach_the_server(self):
        ask("info", self.server.url("image.lime", user="me:secret@"))
        self.assertEqual(self.server.headers[0]["Authorization"], "Basic bWU6c2VjcmV0")


class Faults(HttpCase):
    def expect_refusal(self, fault, *texts, leaf="image.lime"):
        with self.subTest(fault):
            self.server.forget()
            path = fault + "/" + leaf if fault else leaf
            self.expect_error(ask("info", self.server.url(path)), 4, self.server.url(path), *texts)

    def test_opening_says_what_the_server_did(self):
        for fault, text in (("whole", "no ranges"), ("forbidden", "403"), ("unauthorized", "401"), ("broken", "500"),
                            ("teapot", "418"), ("no-range", "Content-Range is missing"),
                            ("other-range", "Content-Range says"), ("wide-range", "Content-Range says"),
                            ("mad-range", "makes no sense"), ("no-size", "file's size"), ("long", "more bytes"),
                            ("short", "fewer bytes"), ("packed", "Content-Encoding"), ("loop", "redirects"),
                            ("elsewhere", "rotocol")):
            self.expect_refusal(fault, text)
        self.expect_refusal("", "no such file (404)", leaf="none")
        self.expect_refusal("", "is empty", leaf="nothing")
        self.expect_refusal("", "unknown format", leaf="noise")

    def test_a_server_that_stalls(self):
        self.expect_refusal("stall", "too slow")

    def test_nobody_listens(self):
        self.expect_error(ask("info", "http://127.0.0.1:1/x"), 4, "127.0.0.1")

    def test_what_fails_later_is_said_and_not_asked_again(self):
        for fault, text in (("changed", "has changed"), ("resized", "has changed"), ("later-broken", "500"),
                            ("later-gone", "404"), ("later-stall", "too slow")):
            with self.subTest(fault):
                self.server.forget()
                url = self.server.url(fault + "/image.lime")
                result = run("read", url, 0x1000, len(BYTES), "--phys", "--raw", env=ENVIRONMENT,
                             text=False)
                said = result.err.decode()
                self.assertEqual(result.code, 3, said)
                self.assertIn("meanwhile: ", said)
                self.assertIn(text, said)
                self.assertEqual(result.out[:60 << 10], BYTES[:60 << 10])
                self.assertLess(self.server.requests, 64)
