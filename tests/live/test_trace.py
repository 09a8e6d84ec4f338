# SPDX-License-Identifier: MIT
"""
trace: what a guest opens is told once for each time, by whom and with which name; and whatever becomes of the tool, the
guest goes on, with no breakpoint and no stub left.
"""
import contextlib
import functools
import glob
import json
import os
import re
import signal
import subprocess
import sys
import threading
import unittest

from harness import FOLDER, SONDE, Case, boot, lab, run, text_of
from monitor import Monitor
from test_gdb import free_port
from test_pause import wait_until

SECONDS = 120  # far above what anything here takes: what it bounds is a hang
OPEN = "do_sys_openat2"
FOLDERS = "/tmp/sonde-gdb-*"  # of stubs that were switched on


class Guest:
    """A guest that is traced, and what must be true of it afterwards."""

    def __init__(self, name, **options):
        self.guest = boot(name, **options)
        self.target = self.guest.target()
        self.rings = [(0x2000, 0xe000)] if "arch" not in options else self.device_trees()
        self.code = self.read_code()

    def device_trees(self):
        """Where rings of aarch64 lie: at the end of what QEMU gives 1 MiB to."""
        found = run("scan", self.target, "d00dfeed", "--json").rows
        return [(int(hit["addr"], 16), 1 << 20) for hit in found if int(hit["addr"], 16) % (2 << 20) == 0]

    def read_code(self):
        """The functions and what is around them; what may hold the code and the ring of probes."""
        places = [(OPEN, 4096), ("rest_init", 1024), ("kernel_init", 1024)]
        return ([run("read", self.target, at, n, "--raw").out for at, n in places] +
                [run("read", self.target, hex(at), n, "--raw", "--phys").out for at, n in self.rings])

    def opens(self, n):
        return lab.opens(self.guest.name, n, FOLDER)

    def clock(self):
        with lab.clock(self.guest.name, FOLDER) as clock:
            return clock()

    def monitor(self, line):
        with Monitor("trace", lab.Guest(self.guest.name, FOLDER).path("control.sock")) as monitor:
            return monitor.say(line)

    def is_running(self):
        with lab.control(lab.Guest(self.guest.name, FOLDER)) as control:
            return control.command("query-status")["running"]

    def has_stub(self):
        return "\ngdb:" in "\n" + self.monitor("info chardev")


@functools.lru_cache(maxsize=None)
def x86_64():
    return Guest("traced", smp=2)


@functools.lru_cache(maxsize=None)
def arm64():
    return Guest("traced-arm64", arch="arm64", smp=2)


@contextlib.contextmanager
def tracing(target, *args, functions=OPEN):
    """The tool when its breakpoints are set, in a session of its own."""
    words = [SONDE, "trace", target, functions, "-v", *args]
    tool = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            start_new_session=True)
    try:
        said = b""
        while b"breakpoints are set" not in said and b"probes are set" not in said:
            line = tool.stderr.readline()
            if not line:
                raise AssertionError(f"it has ended: {text_of(said)}")
            said += line
        yield tool
    finally:
        if tool.poll() is None:
            tool.kill()
        tool.communicate(timeout=SECONDS)


class TraceTest(Case):
    world_of = staticmethod(x86_64)
    n_opens = 60

    @classmethod
    def setUpClass(cls):
        cls.world = cls.world_of()

    def is_as_it_was(self):
        """Runs, has no breakpoint: what it opens it opens at once, and its code is its code."""
        wait_until("the guest runs again", self.world.is_running)
        wait_until("its stub is off", lambda: not self.world.has_stub())
        wait_until("nothing of a probe is left", lambda: self.world.read_code() == self.world.code)
        before = self.world.clock()
        self.world.opens(5)
        self.assertGreater(self.world.clock(), before)
        self.assertTrue(self.world.is_running())
        self.assertEqual(self.world.read_code(), self.world.code)

    def calls_of(self, target, n, *options):
        """Process, rows, what it said; exit code 3, some are missing, only where probes may lose some."""
        with tracing(target, "--args", "--json", "--stats", *options) as tool:
            taken = {}
            reader = threading.Thread(target=lambda: taken.update(out=tool.stdout.read()))
            reader.start()
            pid = self.world.opens(n)
            os.kill(tool.pid, signal.SIGINT)
            reader.join(SECONDS)
            err = text_of(tool.stderr.read())
            self.assertIn(tool.wait(SECONDS), (0, 3) if options else (0,), err)
        return pid, json.loads(taken["out"]), err

    def check_calls(self, pid, rows, n):
        mine = [row for row in rows if row["name"] == "opener"]
        self.assertEqual({(row["pid"], row["tid"]) for row in mine}, {(pid, pid)})
        self.assertEqual([row["args"][:2] for row in mine],
                         [["dfd=-100", f'filename="/opened/{i:06}"'] for i in range(n)])
        for row in mine:
            self.assertRegex(row["args"][2], "^how=0x[0-9a-f]{16}$")
            self.assertEqual((row["function"], row["error"]), (OPEN, None))
            self.assertLess(row["cpu"], self.cpus)
        times = [row["time_ns"] for row in rows]
        self.assertEqual(times, sorted(times))

    cpus = 2

    def test_each_open_is_told_once_with_its_arguments(self):
        pid, rows, err = self.calls_of(self.world.target, self.n_opens)
        self.check_calls(pid, rows, self.n_opens)
        self.assertRegex(err, rf"stats: {len(rows)} events, 0 lost, in \d+\.\d{{3}} s: \d+ a second")
        self.is_as_it_was()

    def test_a_tool_that_is_ended_leaves_the_guest_as_it_was(self):
        self.check_ends(((signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGKILL, -9), (signal.SIGABRT, -6)))

    def check_ends(self, ends, *options):
        for number, code in ends:
            with self.subTest(number.name), tracing(self.world.target, *options) as tool:
                opener = threading.Thread(target=self.world.opens, args=(self.n_opens,))
                opener.start()
                tool.stdout.readline()
                os.killpg(tool.pid, number)
                tool.stdout.read()
                self.assertIn(tool.wait(SECONDS), (code, 3) if options else (code,))
                opener.join(SECONDS)
                self.assertFalse(opener.is_alive())
                self.is_as_it_was()
        wait_until("no folder is left", lambda: not glob.glob(FOLDERS))


class X86Test(TraceTest):
    def test_a_reader_that_leaves_early_leaves_the_guest_as_it_was(self):
        with tracing(self.world.target) as tool:
            tool.stdout.close()
            tool.stdout = None
            self.assertIn(tool.wait(SECONDS), (0, -signal.SIGPIPE)) # SIGPIPE: there was something to say
            self.is_as_it_was()

    def test_a_stub_of_somebody_elses_stays_on(self):
        port = free_port()
        self.world.monitor(f"gdbserver tcp:127.0.0.1:{port}")
        try:
            self.expect(run("trace", self.world.target, OPEN, "--time", 1), 4, "it has a stub already")
            pid, rows, _ = self.calls_of(f"gdb:127.0.0.1:{port}", 20)
            self.check_calls(pid, rows, 20)
            self.assertTrue(self.world.has_stub())
            with tracing(f"gdb:127.0.0.1:{port}") as tool:
                tool.kill()
                tool.wait(SECONDS)
            wait_until("the guest runs again", self.world.is_running)
            self.world.opens(5)
        finally:
            self.world.monitor("gdbserver none")
        self.is_as_it_was()

    def test_it_ends_by_itself(self):
        with tracing(self.world.target, "-n", "7", "--csv", "--no-header") as tool:
            opener = threading.Thread(target=self.world.opens, args=(20,))
            opener.start()
            self.assertEqual(len(tool.stdout.read().splitlines()), 7)
            self.assertEqual(tool.wait(SECONDS), 0)
            opener.join(SECONDS)
        done = self.expect(run("trace", self.world.target, "do_coredump", "--time", 1, "--json"), 0)
        self.assertEqual(done.rows, [])
        self.is_as_it_was()

    def test_several_functions_and_registers_without_a_prototype(self):
        with tracing(self.world.target + ",via=process", "--args", "-n", "2", "--no-header",
                     "--fields", "name,call") as tool:
            self.world.opens(2)
            out = text_of(tool.stdout.read())
        self.assertRegex(out, rf'(?m)^opener +{OPEN}\(dfd=-100, filename="/opened/000000", how=0x')
        result = run("trace", self.world.target, f"{OPEN}+0,kernel_clone,{OPEN}", "--args", "--time", 1, "--json")
        self.assertEqual(result.code, 0, str(result))

    def test_a_guest_that_somebody_stops_stays_so(self):
        with tracing(self.world.target) as tool:
            # It stands still while the breakpoints are set: who stops it then is not told from the tool.
            wait_until("the guest runs with its breakpoints", self.world.is_running)
            self.world.guest.pause()
            try:
                self.assertEqual(tool.wait(SECONDS), 3)
                self.assertIn("somebody else has stopped the guest", text_of(tool.stderr.read()))
                self.assertFalse(self.world.is_running())
            finally:
                self.world.guest.resume()
        self.is_as_it_was()

    def test_what_cannot_be_traced_is_told(self):
        self.expect(run("trace", self.world.target, "no_such_function"), 1, "no such symbol")
        self.expect(run("trace", self.world.target, f"{OPEN},"), 2, "names between commas")
        self.expect(run("trace", self.world.target, OPEN, "--pause"), 2, "makes no calls")
        self.expect(run("trace", self.world.guest.dump("traced.elf"), OPEN), 1, "gdb:qemu:NAME")
        self.is_as_it_was()

    def test_the_example(self):
        folder = os.environ.get("SONDE_EXAMPLES")
        if not folder:
            self.skipTest("SONDE_EXAMPLES is not set")
        example = subprocess.Popen([os.path.join(folder, "21-events"), f"gdb:{self.world.target}"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until("the stub is on", self.world.has_stub)
        while example.poll() is None:
            self.world.opens(2)
        out, err = example.communicate(timeout=SECONDS)
        self.assertEqual((example.returncode, err), (0, ""))
        self.assertEqual(len(re.findall(r"(?m)^processor [01], process \d+: \S+$", out)), 5)
        self.is_as_it_was()


class ProbesTest(TraceTest):
    n_opens = 1000
    entry = "entry_SYSCALL_64"  # not traced by the kernel itself

    def test_each_open_is_told_once_with_its_arguments(self):
        """On a machine that does nothing else. On others what came is right, and what did not is counted."""
        pid, rows, err = self.calls_of(self.world.target, self.n_opens, "--write")
        found = re.search(r"stats: (\d+) events, (\d+) lost", err)
        self.assertEqual(int(found[1]), len(rows))
        if found[2] == "0":
            self.check_calls(pid, rows, self.n_opens)
        mine = [int(row["args"][1][-7:-1]) for row in rows if row["name"] == "opener"]
        self.assertEqual(mine, sorted(set(mine)))
        self.assertGreaterEqual(len(mine) + int(found[2]), self.n_opens)
        self.assertGreater(len(mine), self.n_opens // 10)
        self.is_as_it_was()

    def test_a_tool_that_is_ended_leaves_the_guest_as_it_was(self):
        self.check_ends(((signal.SIGINT, 0), (signal.SIGKILL, -9)), "--write")

    def test_what_the_probe_calls_itself_may_be_traced(self):
        functions = f"strncpy_from_user_nofault,do_filp_open,{OPEN}"
        with tracing(self.world.target, "--write", "--args", "--json", functions=functions) as tool:
            taken = {}
            reader = threading.Thread(target=lambda: taken.update(out=tool.stdout.read()))
            reader.start()
            self.world.opens(200)
            os.kill(tool.pid, signal.SIGINT)
            reader.join(SECONDS)
            self.assertIn(tool.wait(SECONDS), (0, 3))
        mine = [row for row in json.loads(taken["out"]) if row["name"] == "opener"]
        self.assertGreater(len(mine), 50)
        self.assertEqual({row["function"] for row in mine}, {"strncpy_from_user_nofault", "do_filp_open", OPEN})
        named = [row for row in mine if row["function"] == OPEN and '/opened/' in row["args"][1]]
        self.assertGreater(len(named), 20)
        self.is_as_it_was()

    def test_what_gets_no_probe_is_told(self):
        self.expect(run("trace", self.world.target, self.entry, "--write"), 1, "does not begin with room for a probe")
        self.expect(run("trace", self.world.guest.dump("probes.elf"), OPEN, "--write"), 2, "TARGET must be qemu:NAME")
        self.is_as_it_was()

    def test_who_traces_already_is_not_disturbed(self):
        with tracing(self.world.target, "--write", "--args", "--json", "-n", "40") as tool:
            for function in (OPEN, "do_filp_open"):
                self.expect(run("trace", self.world.target, function, "--write"), 1, "there are probes in this kernel already")
            self.world.opens(50)
            rows = json.loads(tool.stdout.read())
            self.assertIn(tool.wait(SECONDS), (0, 3))
        self.assertEqual(len(rows), 40)
        self.is_as_it_was()


class X86EndTest(Case):
    def test_a_guest_that_ends_is_told(self):
        world = Guest("ending")
        with tracing(world.target) as tool:
            os.kill(world.guest.pid, signal.SIGKILL)
            self.assertEqual(tool.wait(SECONDS), 1)
            self.assertIn("the guest has ended", text_of(tool.stderr.read()))
        world.guest.stop()


class Arm64Test(TraceTest):
    world_of = staticmethod(arm64)
    n_opens = 30


class Arm64ProbesTest(ProbesTest):
    world_of = staticmethod(arm64)
    entry = "ret_from_fork"


del TraceTest

if __name__ == "__main__":
    unittest.main(argv=sys.argv)
