# SPDX-License-Identifier: MIT
"""--pause: the target stands still while it is read, and goes on whatever becomes of the tool."""
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time
import unittest

import compare
import worlds
from harness import FOLDER, SONDE, Case, lab, run, text_of

SECONDS = 90  # far above what anything here takes: what it bounds is a hang


def wait_until(what, condition):
    limit = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError(f"not within {SECONDS} s: {what}")
        time.sleep(0.01)


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


@contextlib.contextmanager
def reading(target, *args):
    """The tool in the middle of a read: its pipe is full, and nobody empties it. In a session of its own."""
    words = [SONDE, "read", target, *args, "--raw", "--pause"]
    tool = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, start_new_session=True,
                            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
    try:
        yield tool
    finally:
        if tool.poll() is None:
            tool.kill()
        tool.communicate(timeout=SECONDS)


def has_ended(pid):
    """Also one that nobody has waited for."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def end_with_guardian(tool):
    """Kill it, and wait until what looks after its target has done so."""
    guardians = children_of(tool.pid)
    tool.kill()
    tool.wait(SECONDS)
    for pid in guardians:
        wait_until("the guardian has ended", lambda pid=pid: has_ended(pid))


def behind(clock):
    """How far a guest's clock is behind ours, and its answer's way here: the shortest of some."""
    def once():
        theirs = clock()
        return time.monotonic() - theirs
    return min(once() for _ in range(30))


class PausedGuestTest(Case):
    @classmethod
    def setUpClass(cls):
        cls.guest = worlds.plain()

    def is_running(self):
        with lab.control(lab.Guest(self.guest.name, FOLDER)) as control:
            return control.command("query-status")["running"]

    def reading(self):
        return reading(self.guest.target(), "0x100000", "200M", "--phys")

    def wait_for_stop(self):
        wait_until("the guest stands still", lambda: not self.is_running())

    def wait_for_go(self):
        wait_until("the guest runs again", self.is_running)

    def test_lists_are_those_of_a_guest_that_runs(self):
        truths = [self.guest.tell()]
        rows = self.expect(run("ps", self.guest.target(), "--pause", "--json"), 0).rows
        truths.append(self.guest.tell())
        self.assertEqual(compare.process_list_faults(rows, truths), [])
        for words in (("info",), ("dmesg",), ("maps", "--phys"), ("threads",), ("sym", "linux_banner"),
                      ("translate", "linux_banner"), ("disas", "schedule"), ("pages",)):
            with self.subTest(words):
                result = run(words[0], self.guest.target(), *words[1:], "--pause", "--stats", "--json")
                self.assertEqual(result.code, 0, str(result))
                self.assertRegex(result.err, r"stood still for \d+\.\d{3} ms")
                self.assertTrue(self.is_running())

    def test_a_tool_that_is_killed_in_the_middle_leaves_it_running(self):
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGABRT):
            with self.subTest(number.name), self.reading() as tool:
                self.wait_for_stop()
                os.killpg(tool.pid, number)
                self.assertEqual(tool.wait(SECONDS), -number)
                self.wait_for_go()

    def test_a_reader_that_leaves_early_leaves_it_running(self):
        with self.reading() as tool:
            self.wait_for_stop()
            tool.stdout.close()
            tool.stdout = None
            self.assertEqual(tool.wait(SECONDS), -signal.SIGPIPE)
            self.wait_for_go()

    def test_a_guardian_that_is_killed_is_stood_in_for(self):
        with self.reading() as tool:
            self.wait_for_stop()
            (guardian,) = children_of(tool.pid)
            os.kill(guardian, signal.SIGKILL)
            out, err = tool.communicate(timeout=SECONDS)
            self.assertEqual((tool.returncode, text_of(err)), (0, ""))
            self.assertEqual(len(out), 200 << 20)
            self.assertTrue(self.is_running())

    def test_a_guest_that_somebody_else_has_stopped_stays_stopped(self):
        self.guest.pause()
        try:
            result = self.expect(run("ps", self.guest.target(), "--pause", "--json"), 0)
            self.assertGreater(len(result.rows), 10)
            with self.reading() as tool:
                tool.stdout.read(1 << 20)
                tool.kill()
            self.assertFalse(self.is_running())
        finally:
            self.guest.resume()

    def test_it_stands_still_until_the_last_of_two_tools_ends(self):
        with self.reading() as one, self.reading() as two:
            for tool in (one, two):
                tool.stdout.read(1)
            end_with_guardian(one)
            self.assertFalse(self.is_running())
            end_with_guardian(two)
        self.wait_for_go()

    def test_a_dump_stands_still_anyway(self):
        dump = self.guest.dump("paused.elf")
        self.expect(run("ps", dump, "--pause", "--json"), 0)
        os.unlink(dump)

    def test_how_long_it_stands_still_by_its_own_clock(self):
        """Figures are printed, not judged: they go with the machine."""
        stops, told = [], []
        with lab.clock(self.guest.name, FOLDER) as clock:
            for _ in range(7):
                before = behind(clock)
                result = run("ps", self.guest.target(), "--pause", "--stats", "--json")
                stops.append(behind(clock) - before)
                told.append(float(result.err.split("stood still for ")[1].split()[0]))
        print(f"    sonde ps --pause: the guest's clock lost {statistics.median(stops) * 1e3:.1f} ms; the tool "
              f"says {statistics.median(told):.1f} ms ", end="", file=sys.stderr)
        self.assertGreater(min(told), 0)


class PausedProcessTest(Case):
    def setUp(self):
        self.child = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(self.child.wait)
        self.addCleanup(self.child.kill)

    def state(self):
        with open(f"/proc/{self.child.pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0]

    def test_a_process_goes_on_when_the_tool_is_killed(self):
        target = f"process:{self.child.pid}"
        regions = self.expect(run("maps", target, "--pause", "--json"), 0).rows
        self.assertNotEqual(self.state(), "T")
        with reading(target, regions[0]["start"], "64M") as tool:
            wait_until("the process stands still", lambda: self.state() == "T")
            tool.kill()
            wait_until("the process goes on", lambda: self.state() != "T")

    def test_a_process_stands_still_until_the_last_of_two_tools_ends(self):
        target = f"process:{self.child.pid}"
        start = self.expect(run("maps", target, "--json"), 0).rows[0]["start"]
        with reading(target, start, "64M") as one, reading(target, start, "64M") as two:
            for tool in (one, two):
                tool.stdout.read(1)
            end_with_guardian(one)
            self.assertEqual(self.state(), "T")
            end_with_guardian(two)
            wait_until("the process goes on", lambda: self.state() != "T")

    def test_one_that_is_gone_is_an_error_that_says_so(self):
        self.child.kill()
        self.child.wait()
        self.expect(run("maps", f"process:{self.child.pid}", "--pause"), 4, str(self.child.pid))


if __name__ == "__main__":
    unittest.main()
