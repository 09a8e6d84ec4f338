# SPDX-License-Identifier: MIT
"""Dumps that are packed as a whole, by the tools that people pack with: told by content, read like what was packed."""
import json
import os
import shutil
import struct
import subprocess
import sys
import unittest

from harness import FOLDER, Case, make_file, run

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "synth"))
from server import Server  # noqa: E402

MEGABYTE = 1 << 20
BASE = 0x1000
BYTES = b"".join(bytes(4096) if i % 3 == 0 else bytes((i * 7 + k * k) & 0xff for k in range(4096)) for i in range(768))
IMAGE = b"EMiL" + struct.pack("<IQQQ", 1, BASE, BASE + len(BYTES) - 1, 0) + BYTES
ENVIRONMENT = dict(os.environ, no_proxy="*", SONDE_UNPACK_MAX="4")

# What each makes is read in blocks, or unpacked into memory.
IN_BLOCKS = (["xz", "-0", "-T1", "--block-size=1MiB"], ["xz", "-0"], ["zstd", "-q", f"--stream-size={len(IMAGE)}"], ["lz4", "-q"],
             ["lz4", "-q", "-BX", "-B4"], ["bgzip", "-c"], ["lzop", "-1"])
IN_MEMORY = (["gzip", "-1"], ["zstd", "-q"], ["lz4", "-q", "-BD", "-B4"], ["pzstd", "-q"], ["bzip2", "-1"])


def ask(*args):
    return run(*args, env=ENVIRONMENT)


def pack(words, data=IMAGE):
    tool = shutil.which(words[0])
    if not tool:
        return None
    return subprocess.run([tool, *words[1:]], input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout


# The only way to ask whether this build unpacks is to try.
NONE = run("info", make_file("packed-probe", b"\x1f\x8b\x08\0" + bytes(32)))


@unittest.skipIf("unpack it first" in NONE.err, "built without what unpacks")
class Packed(Case):
    def expect_like_it(self, words, how):
        with self.subTest(" ".join(words)):
            data = pack(words)
            if data is None:
                self.skipTest(f"{words[0]} is not installed")
            path = make_file("packed-image", data)
            result = ask("read", path, BASE, len(BYTES), "--phys", "--raw", "--stats")
            self.assertEqual((result.code, result.out == self.whole), (0, True), result.err[-500:])
            self.assertRegex(result.err, how)
            self.assertEqual(self.info(path), self.info(self.plain))

    def info(self, path):
        row = json.loads(ask("info", path, "--json").out)[0]
        return {key: value for key, value in row.items() if key != "target"}

    def test_each_tool_makes_what_is_read_like_the_plain_file(self):
        self.plain = make_file("plain-image", IMAGE)
        self.whole = ask("read", self.plain, BASE, len(BYTES), "--phys", "--raw").out
        for words in IN_BLOCKS:
            self.expect_like_it(words, r"stats: image: (xz|zstd|lz4|gzip|lzop) in \d+ blocks: \d+ unpacked, ")
        for words in IN_MEMORY:
            self.expect_like_it(words, r"stats: image: (gzip|zstd|lz4|bzip2), unpacked into memory: ")

    def test_a_little_of_it_unpacks_a_little(self):
        data = pack(["xz", "-0", "-T1", "--block-size=256KiB"])
        if data is None:
            self.skipTest("xz is not installed")
        result = ask("read", make_file("packed-image", data), BASE + 2 * MEGABYTE, 64, "--phys", "--stats", "--hex")
        self.expect(result, 0, BYTES[2 * MEGABYTE:][:64].hex() + "\n")
        self.assertRegex(result.err, r"xz in 13 blocks: 2 unpacked, ")  # one for the format

    def test_a_connector_and_layers_may_be_named(self):
        data = pack(["gzip", "-1"])
        path = make_file("packed-image", data)
        self.expect(ask("read", f"flat:{path}", 0, 4, "--phys", "--hex"), 0, b"EMiL".hex() + "\n")
        self.expect(ask("read", f"lime:{path}|cache", BASE + 4096, 4, "--phys", "--hex"), 0, BYTES[4096:4100].hex() + "\n")

    def test_what_is_too_large_in_one_piece_says_what_to_run(self):
        path = make_file("large.lime.gz", pack(["gzip", "-1"], IMAGE + bytes(2 * MEGABYTE)))
        result = ask("info", path)
        self.assertEqual(result.code, 4, result.err)
        self.assertIn("is gzip of more than 5 MiB, not in blocks of up to 64 MiB", result.err)
        self.assertIn(f"gzip -dc '{path}' > FILE", result.err)
        self.assertIn(f"gzip -dc '{path}' | xz -T0 --block-size=1MiB > FILE.xz", result.err)
        self.expect(run("read", path, BASE + 4096, 4, "--phys", "--hex"), 0, BYTES[4096:4100].hex() + "\n")

    def test_a_stream_that_is_cut_off_has_what_stands_before(self):
        data = pack(["gzip", "-1"])
        path = make_file("cut.lime.gz", data[:len(data) // 2])
        result = ask("read", path, BASE + 4096, 4, "--phys", "--hex")
        self.assertEqual(result.out, BYTES[4096:4100].hex() + "\n")
        self.assertIn("meanwhile: ", result.err)
        self.assertIn("the gzip stream ends too early", result.err)

    def test_it_is_not_written(self):
        path = make_file("packed-image", pack(["gzip", "-1"]))
        result = ask("write", path, BASE, "--hex", "00", "--phys", "--write")
        self.assertNotEqual(result.code, 0)
        self.assertIn("is packed (gzip) and cannot be written: put an overlay in front", result.err)

    def test_it_may_be_behind_a_url(self):
        data = pack(["xz", "-0", "-T1", "--block-size=256KiB"])
        if data is None:
            self.skipTest("xz is not installed")
        make_file("served.lime.xz", data)
        with Server(FOLDER) as server:
            result = ask("read", server.url("served.lime.xz"), BASE + 2 * MEGABYTE, 64, "--phys", "--stats", "--hex")
            if "reads no URLs" in result.err or "libcurl" in result.err:
                self.skipTest("built without libcurl")
            self.expect(result, 0, BYTES[2 * MEGABYTE:][:64].hex() + "\n")
            self.assertRegex(result.err, r"image: HTTP ranges: \d+ requests, ")
            self.assertRegex(result.err, r"image: xz in 13 blocks: 2 unpacked")
            self.assertLess(server.requests, 8)
