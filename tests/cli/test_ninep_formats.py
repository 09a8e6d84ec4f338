# SPDX-License-Identifier: MIT
"""Dumps on a server of 9P: what is read and told of them is what the file gives."""
import json
import os
import re
import signal
import subprocess
import time

from harness import FOLDER, Case, make_file, run
from test_http_formats import BYTES, PART, SIZE, make
from test_nbd import Server, need

DIOD = "/usr/sbin/diod"


class Diod:
    """Somebody else's server, of the same folder."""

    def __enter__(self):
        need(DIOD)
        socket = FOLDER + "/diod.sock"
        self.child = subprocess.Popen([DIOD, "-f", "-n", "-N", "-L", "/dev/null", "-c", "/dev/null", "-l", socket, "-e", FOLDER])
        while not os.path.exists(socket) and self.child.poll() is None:
            time.sleep(0.01)
        return f"9p://[unix:{socket}]{FOLDER}/"

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()


class NinepCase(Case):
    @classmethod
    def setUpClass(cls):
        cls.targets = make()
        make_file("none.lime", b"")
        server = Server("--9p", FOLDER)
        server.__enter__()
        cls.addClassCleanup(server.__exit__)
        cls.server = f"9p://{server.uri}/"

    def read(self, target, addr, n, *options):
        space = () if "mini" in target else ("--phys",)
        return run("read", target, addr, n, *space, "--raw", *options, text=False)

    def expect_same(self, prefix, formats):
        for format in sorted(formats & set(self.targets)):
            with self.subTest(format):
                result = self.read(self.targets[format].format(prefix), 0, SIZE)
                self.assertEqual(result.code, 0, result.err)
                self.assertTrue(result.out == BYTES)
                rows = [json.loads(run("info", self.targets[format].format(where), "--json").out)[0]
                        for where in (FOLDER + "/", prefix)]
                for key in ("connector", "detail", "arch", "cpus", "writable"):
                    self.assertEqual(rows[0].get(key), rows[1].get(key), key)


class Reads(NinepCase):
    def test_formats_are_what_they_are_as_files(self):
        self.expect_same(self.server, {"parts", "stream", "elf", "kdump-zlib", "split"})

    def test_what_others_serve_is_read_from_the_folder_they_export(self):
        with Diod() as server:
            self.expect_same(server, {"parts", "elf"})

    def test_a_socket_of_this_machine_stands_in_brackets(self):
        with Server("--9p", FOLDER, "--listen", f"unix:{FOLDER}/own.sock"):
            result = self.read(f"flat:9p://[unix:{FOLDER}/own.sock]/dump.raw", 4096, 8192)
            self.assertEqual(result.out, BYTES[4096:][:8192], result.err)

    def test_a_little_takes_a_little_and_is_told(self):
        result = self.read(f"flat:{self.server}dump.raw", 2 * PART, 4096, "--stats")
        self.assertEqual(result.out, BYTES[2 * PART:][:4096], result.err)
        found = re.search(rb"image: 9P reads: (\d+) requests, (\d+) of (\d+) bytes fetched", result.err)
        self.assertEqual([int(n) for n in found.groups()], [2, (64 << 10) + 4096, SIZE])


class Faults(NinepCase):
    def test_what_is_no_dump_says_what_it_is(self):
        for path, part in (("nowhere.lime", "no such"), ("", "9p://HOST:PORT/FILE"), ("none.lime", "is empty"),
                           ("dump.raw/x", "not a directory")):
            self.expect_error(run("info", self.server + path), 4, self.server + path, part)
        os.makedirs(FOLDER + "/folder", exist_ok=True)
        self.expect_error(run("info", self.server + "folder"), 4, "folder", "no regular file")

    def test_a_name_that_is_none(self):
        for name in ("9p://", "9p://127.0.0.1:1", "9p:///x", "9p://[unix:/x/y", "9p://[unix:]x"):
            self.expect_error(run("info", name), 4, name, "9p://[unix:SOCKET]/FILE")
        self.expect_error(run("info", "9p://127.0.0.1:1/x"), 4, "127.0.0.1:1")
        self.expect_error(run("info", f"9p://[unix:{FOLDER}/no.sock]/x"), 4, "no.sock")

    def test_it_is_not_written(self):
        target = f"flat:{self.server}dump.raw"
        self.expect_error(run("write", target, 0, "--hex", "00", "--phys", "--write"), 4, "cannot be written", "overlay")
        self.expect(run("write", target + "|overlay", 0, "--hex", "00", "--phys", "--write"), 0)
