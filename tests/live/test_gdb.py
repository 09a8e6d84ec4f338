# SPDX-License-Identifier: MIT
"""
Guests and a process through stubs of GDB's remote protocol: the lists are the guest's own, the bytes those of the memory
file and of /proc/PID/mem, and what was stopped for it goes on.
"""
import atexit
import contextlib
import functools
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import unittest

import compare
import test_compare
from harness import FOLDER, Case, View, boot, free_port, lab, run
from monitor import Monitor
from worlds import LISTS

GDBSERVER = shutil.which("gdbserver")


class Stub:
    """A guest whose stub is asked for the lists: switched on for it, at a port, and while the guest runs."""

    def __init__(self, name, lists=LISTS + (("sym", "--all"),), **options):
        self.guest = boot(name, **options)
        atexit.register(self.guest.stop)
        self.views = {"switched": View(self.switched())}
        self.ask(lists)
        with self.listening() as target:
            self.views |= {"port": View(target), "brief": View(target + ",stop=brief")}
            self.ask(lists)
            self.status = self.monitor("info status")
        self.guest.tell()

    def ask(self, lists):
        for view in self.views.values():
            for words in lists:
                view.ask(*words)

    def switched(self, extra=""):
        return f"gdb:qemu:{self.guest.qmp}{extra}"

    def monitor(self, line):
        with Monitor("stub", lab.Guest(self.guest.name, FOLDER).path("control.sock")) as monitor:
            return monitor.say(line)

    @contextlib.contextmanager
    def listening(self):
        port = free_port()
        self.monitor(f"gdbserver tcp:127.0.0.1:{port}")
        try:
            yield f"gdb:127.0.0.1:{port}"
        finally:
            self.monitor("gdbserver none")

    @property
    def truths(self):
        return self.guest.truths[:2]


@functools.lru_cache(maxsize=None)
def x86_64():
    return Stub("stub", smp=2)


@functools.lru_cache(maxsize=None)
def arm64():
    return Stub("stub-arm64", lists=(("ps",), ("modules",), ("info",)), arch="arm64", share=False)


class SwitchedOnTest(test_compare.Comparison, Case):
    world_of = staticmethod(x86_64)
    name = "switched"

    def test_the_kernel_is_found_by_registers(self):
        self.assertRegex(self.view().info()["found_by"], r"^processor \d's page tables")

    def test_it_goes_on_and_is_as_it_was(self):
        stub = self.world
        self.assertIn("VM status: running", stub.status)
        self.assertNotIn("\ngdb:", stub.monitor("info chardev"))
        before = stub.guest.truth["kernel"]["uptime"]
        self.assertGreater(stub.guest.tell()["kernel"]["uptime"], before)

    def test_one_that_had_stopped_stays_so_and_its_bytes_are_those_of_its_file(self):
        guest = self.world.guest
        guest.pause()
        try:
            got = run("read", self.world.switched(), "0x1000000", 8 << 20, "--raw").out
            with open(guest.memory_file, "rb") as file:
                file.seek(0x1000000)
                self.assertEqual(got, file.read(8 << 20))
            found = [run("info", t, "--json").rows[0]["found_by"]
                     for t in (self.world.switched(), guest.target())]
            self.assertEqual(*found)
            self.assertIn("VM status: paused", self.world.monitor("info status"))
        finally:
            guest.resume()

    def test_a_stub_of_somebody_elses_is_left_alone(self):
        with self.world.listening() as target:
            self.expect(run("info", self.world.switched()), 4, "it has a stub already", "open that with gdb:")
            self.assertEqual(run("info", target).code, 0)
            with socket.create_connection(("127.0.0.1", int(target.rpartition(":")[2]))):
                self.expect(run("info", target + ",timeout=300"), 4, "serves one debugger at a time")

    def test_what_is_written_is_there(self):
        with self.world.listening() as target:
            zeros = run("read", target, "0x100", 64, "--raw").out
            journal = os.path.join(FOLDER, "gdb.journal")
            result = run("write", "--write", "--string", "by the stub", target, "0x100", "--journal", journal)
            self.assertEqual(result.code, 0, str(result))
            with open(self.world.guest.memory_file, "rb", buffering=0) as file:
                file.seek(0x100)
                self.assertEqual(file.read(64), b"by the stub" + zeros[11:])
                self.assertEqual(run("undo", target, "--journal", journal, "--write").code, 0)
                file.seek(0x100)
                self.assertEqual(file.read(64), zeros)

    def test_what_is_no_memory_is_not_asked_for(self):
        result = self.expect(run("read", self.world.switched(), "0xfee00000", 16, "--json"), 1)
        self.assertEqual(result.rows[0]["error"], "NOT_MAPPED")


class PortTest(test_compare.Comparison, Case):
    world_of = staticmethod(x86_64)
    name = "port"


class RunningTest(test_compare.Comparison, Case):
    """It runs on between the questions."""
    world_of = staticmethod(x86_64)
    name = "brief"


class Arm64Test(Case):
    def test_ttbr1_is_the_kernels_own_table(self):
        """As vmcoreinfo has it; in user code, where tables are isolated, it is two pages below."""
        stub = arm64()
        own = int(run("info", stub.guest.target(), "--json").rows[0]["page_table"], 16)
        rows = run("cpus", stub.switched(), "--json").rows
        self.assertEqual(len(rows), 1)
        for row in rows:
            registers = {k: int(v, 16) for k, v in (r.split("=") for r in row["registers"])}
            self.assertIn(int(row["page_table"], 16), {own, own - 0x2000} if not registers["pstate"] & 0xf else {own})
            self.assertEqual(registers["ttbr1_el1"] & 0xfffffffff000, int(row["page_table"], 16))
            self.assertEqual(registers["sctlr_el1"] & 1, 1)
            self.assertEqual(row["vectors"], hex(registers["vbar_el1"]))

    def test_the_kernel_is_found_by_registers(self):
        for name, view in arm64().views.items():
            with self.subTest(name):
                self.assertRegex(view.info()["found_by"], r"^processor \d's page tables")

    def test_processes_and_modules_are_those_of_the_guest(self):
        stub = arm64()
        for name in stub.views:
            with self.subTest(name):
                view = stub.views[name]
                self.assertEqual(compare.process_list_faults(view.rows("ps"), stub.truths), [])
                self.assertIn(compare.modules_of_rows(view.rows("modules")),
                              [compare.modules_of(t) for t in stub.truths])


@unittest.skipUnless(GDBSERVER, "there is no gdbserver")
class ProcessTest(Case):
    """A child that counts, under gdbserver."""

    def setUp(self):
        counting = "import itertools, sys\nfor i in itertools.count(): sys.stdout.write('.'); sys.stdout.flush()"
        self.child = subprocess.Popen([sys.executable, "-c", counting], stdout=subprocess.PIPE)
        self.addCleanup(self.end, self.child)
        self.child.stdout.read(1)

    @staticmethod
    def end(process):
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()

    def target(self, extra=""):
        """Of a gdbserver that serves once."""
        port = free_port()
        server = subprocess.Popen([GDBSERVER, "--once", "--attach", f"127.0.0.1:{port}", str(self.child.pid)],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(self.end, server)
        for line in server.stderr:
            if b"Listening" in line:
                return f"gdb:127.0.0.1:{port}{extra}"
        raise unittest.SkipTest("gdbserver may not attach here")

    def assert_goes_on(self):
        for _ in range(1 << 17):  # more than a pipe holds
            self.assertEqual(self.child.stdout.read(1), b".")

    def test_its_mappings_are_those_of_proc_pid_maps(self):
        rows = run("maps", self.target(), "--json").rows
        with open(f"/proc/{self.child.pid}/maps") as file:
            wanted = [[int(end, 16) for end in line.split()[0].split("-")] for line in file]
        self.assertEqual([[int(r["start"], 16), int(r["end"], 16)] for r in rows], wanted)
        self.assert_goes_on()

    def test_its_bytes_are_those_of_proc_pid_mem(self):
        with open(f"/proc/{self.child.pid}/maps") as file:
            lines = [re.match(r"(\w+)-(\w+) r..p .*(\.so|\[stack\]|\[heap\])", line) for line in file]
        ranges = [(int(m[1], 16), int(m[2], 16)) for m in lines if m][:12]
        self.assertGreater(len(ranges), 4)
        os.kill(self.child.pid, 19)
        time.sleep(0.1)
        for start, end in ranges:
            length = min(end - start, 1 << 20)
            with open(f"/proc/{self.child.pid}/mem", "rb") as file:
                file.seek(start)
                wanted = file.read(length)
            self.assertEqual(run("read", self.target(), hex(start), length, "--raw").out, wanted)
        os.kill(self.child.pid, 18)
        self.assert_goes_on()

    def test_it_may_run_all_the_time(self):
        with open(f"/proc/{self.child.pid}/maps") as file:
            start = int(file.readline().split("-")[0], 16)
        got = run("read", self.target(",stop=off"), hex(start), 4, "--raw")
        self.assertEqual(got.out, b"\x7fELF", str(got))
        self.assert_goes_on()
