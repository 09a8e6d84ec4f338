# SPDX-License-Identifier: MIT
"""--snapshot: all that is printed is of one moment, the guest goes on, and its QEMU is as it was, whatever becomes of the tool."""
import os
import signal
import statistics
import struct
import subprocess
import sys
import time
import unittest

import compare
import worlds
from harness import FOLDER, SONDE, Case, lab, run, text_of
from test_pause import behind, children_of, wait_until

SECONDS = 90  # far above what anything here takes: what it bounds is a hang
PAGE = 4096
ROW = 1024 * PAGE  # bytes of the guest's row of pages
CAPABILITY = "background-snapshot"
STREAMLESS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "streamless.py")


def spread(data):
    """How far apart the counters of a row are: 0 or 1 at any one moment."""
    counts = [struct.unpack_from("<Q", data, at)[0] for at in range(0, ROW, PAGE)]
    return max(counts) - min(counts)


class Snapshots:
    """What holds of each way to a snapshot; @way is its name to the connector, @told what the tool says of it."""

    way = told = None

    def setUp(self):
        self.target = self.guest.target(f",snapshot={self.way}")

    def ask(self, command):
        with lab.control(lab.Guest(self.guest.name, FOLDER)) as control:
            return control.command(command)

    def is_running(self):
        return self.ask("query-status")["running"]

    def is_migrating(self):
        return self.ask("query-migrate").get("status") in ("setup", "active", "cancelling")

    def is_as_before(self):
        return (self.is_running() and not self.is_migrating() and
                not any(c["state"] for c in self.ask("query-migrate-capabilities")))

    def test_its_lists_are_those_of_the_guest(self):
        truths = [self.guest.tell()]
        result = self.expect(run("ps", self.target, "--snapshot", "--json", "--stats"), 0, self.told)
        truths.append(self.guest.tell())
        self.assertEqual(compare.process_list_faults(result.rows, truths), [])
        self.assertTrue(self.is_as_before())

    def test_a_row_of_pages_is_of_one_moment(self):
        """In memory that is read while it changes it is not, which shows that the guest does change it."""
        at, _, _ = lab.page(self.guest.name, "map-row", FOLDER)
        words = ("read", self.target, hex(at), str(ROW), "--pid", 1, "--raw")

        def is_torn():
            return spread(self.expect(run(*words), 0).out) > 1

        with lab.in_background(self.guest.name, "page count", SECONDS, FOLDER):
            for n in range(2):
                wait_until("it changes while it is read", is_torn)
                with self.subTest(snapshot=n):
                    self.assertLessEqual(spread(self.expect(run(*words, "--snapshot"), 0).out), 1)
            wait_until("it still changes", is_torn)
        self.assertTrue(self.is_as_before())

    def tool(self):
        words = [SONDE, "ps", self.target, "--snapshot", "--json"]
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, start_new_session=True)

    def in_the_middle(self):
        """A tool that has begun and was stopped before it ended."""
        for _ in range(10):
            tool = self.tool()
            self.addCleanup(tool.communicate, timeout=SECONDS)
            while tool.poll() is None:
                if self.is_changed():
                    os.kill(tool.pid, signal.SIGSTOP)
                    return tool
        raise AssertionError("it was never met in the middle")

    def test_a_tool_that_is_killed_in_the_middle_leaves_all_as_it_was(self):
        for number in (signal.SIGKILL, signal.SIGTERM):
            with self.subTest(number.name):
                tool = self.in_the_middle()
                os.killpg(tool.pid, number)
                os.killpg(tool.pid, signal.SIGCONT)
                tool.wait(SECONDS)
                wait_until("all is as it was", self.is_as_before)

    def test_a_keeper_that_is_killed_is_stood_in_for(self):
        tool = self.in_the_middle()
        for keeper in children_of(tool.pid):
            os.kill(keeper, signal.SIGKILL)
        os.kill(tool.pid, signal.SIGCONT)
        tool.wait(SECONDS)
        wait_until("all is as it was", self.is_as_before)

    @unittest.skipUnless(os.environ.get("SONDE_LIBRARY"), "the library of this build cannot be loaded")
    def test_a_program_without_standard_streams_gets_one(self):
        words = [sys.executable, STREAMLESS, self.target]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, b""))
        self.assertTrue(self.is_as_before())

    def test_how_long_it_stands_still_by_its_own_clock(self):
        """Figures are printed, not judged: they go with the machine."""
        stops, told, took = [], [], []
        with lab.clock(self.guest.name, FOLDER) as clock:
            for _ in range(3):
                before, began = behind(clock), time.monotonic()
                result = self.expect(run("ps", self.target, "--snapshot", "--stats", "--json"), 0)
                took.append(time.monotonic() - began)
                stops.append(behind(clock) - before)
                told.append(float(result.err.split("it stood still for ")[1].split()[0]))
        print(f"    sonde ps --snapshot ({self.way}): the guest's clock lost {statistics.median(stops) * 1e3:.1f} ms; the "
              f"tool says {statistics.median(told):.1f} ms; all took {statistics.median(took) * 1e3:.0f} ms ",
              end="", file=sys.stderr)


class StreamTest(Snapshots, Case):
    """RAM that is QEMU's own: QEMU writes it down while the guest runs on."""

    way, told = "stream", "while it ran on"

    @classmethod
    def setUpClass(cls):
        cls.guest = worlds.private()

    def is_changed(self):
        return self.is_migrating()


class CopyTest(Snapshots, Case):
    """RAM that is a file."""

    way, told = "copy", "was copied"

    @classmethod
    def setUpClass(cls):
        cls.guest = worlds.plain()

    def is_changed(self):
        return not self.is_running()

    def test_a_guest_that_somebody_else_has_stopped_stays_stopped(self):
        self.guest.pause()
        try:
            result = self.expect(run("ps", self.guest.target(), "--snapshot", "--json", "--stats"), 0,
                                 "still for 0.000 ms")
            self.assertGreater(len(result.rows), 10)
            self.assertFalse(self.is_running())
        finally:
            self.guest.resume()

    def test_left_to_choose_it_takes_the_stream_where_there_is_one_and_else_says_why(self):
        """The kernel decides: of files in memory it can tell QEMU what is written to, of those on a disk it cannot."""
        stream = run("info", self.guest.target(",snapshot=stream"), "--snapshot", "--stats")
        if stream.code == 0:
            parts = (StreamTest.told,)
        else:
            self.expect(stream, 4, "not compatible")
            parts = (self.told, "not compatible with guest memory configuration")
        self.expect(run("ps", self.guest.target(), "--snapshot", "--json", "--stats"), 0, *parts)
        self.assertTrue(self.is_as_before())

    def test_each_command_takes_one(self):
        for words in (("info",), ("dmesg",), ("maps", "--phys"), ("threads",), ("sym", "linux_banner"),
                      ("translate", "linux_banner"), ("disas", "schedule"), ("pages",), ("modules",)):
            with self.subTest(words):
                result = run(words[0], self.guest.target(), *words[1:], "--snapshot", "--json")
                self.assertEqual((result.code, result.err), (0, ""), str(result))

    def test_what_cannot_be_snapshot_says_why(self):
        dump = self.guest.dump("snapshot.elf")
        self.expect(run("ps", dump, "--snapshot", "--json"), 0)
        os.unlink(dump)
        self.expect(run("maps", f"process:{os.getpid()}", "--snapshot"), 4, "pause it instead")
        self.expect(run("write", self.guest.target(), "0x1000", "--hex", "00", "--write", "--snapshot"), 4,
                    "a snapshot cannot be written")
        self.expect(run("info", self.guest.target(",snapshot=polaroid"), "--snapshot"), 4, "there are auto, stream, clone and copy")


if __name__ == "__main__":
    unittest.main()
