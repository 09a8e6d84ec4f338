# SPDX-License-Identifier: MIT
"""Guests that libvirt saved packed: what the error says to run makes a file that opens."""
import os
import re
import shutil
import struct
import subprocess

from harness import SOURCE, Case, make_file, run

PACKINGS = {"gzip": 1, "bzip2": 2, "xz": 3, "lzop": 4, "zstd": 5}  # libvirt 11.2 src/qemu/qemu_saveimage.h
XML = b"<domain/>\0"


def stream():
    """A small migration stream."""
    with open(os.path.join(SOURCE, "tests", "fuzz", "corpus", "migration", "whole"), "rb") as file:
        return file.read()


class PackedSaves(Case):
    def unpack_as_told(self, packer):
        packed = subprocess.run([packer, "-c"], input=stream(), capture_output=True, check=True).stdout
        head = struct.pack("<16s4I60x", b"LibvirtQemudSave", 2, len(XML), 1, PACKINGS[packer])
        path = make_file("save." + packer, head + XML + packed)
        result = run("info", path)
        if "no connector here reads" in result.err:
            self.skipTest("built without the connector migration")
        self.expect_error(result, 4, "packed by " + packer)
        command = re.search(r"open that: (tail .*) > FILE", result.err).group(1)
        return subprocess.run(["sh", "-c", command], capture_output=True, check=True).stdout

    def test_what_the_error_says_unpacks_them(self):
        for packer in PACKINGS:
            with self.subTest(packer):
                if not shutil.which(packer):
                    continue
                unpacked = self.unpack_as_told(packer)
                self.assertEqual(unpacked, stream())
                result = run("info", make_file("unpacked", unpacked))
                self.expect(result, 0)
                self.assertIn("migration stream of QEMU", result.out)
