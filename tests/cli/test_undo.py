# SPDX-License-Identifier: MIT
"""Journals of writes: what is written can be taken back, whatever became of the tool in between."""
import ctypes
import fcntl
import json
import os
import random
import resource
import signal
import struct
import subprocess
import time

from harness import FOLDER, HOLED, SONDE, Case, make_file, run

MIB = 1 << 20


class Journaled(Case):
    """An image, and a journal that is not there yet."""

    before = bytes(range(256)) * 16

    def setUp(self):
        self.path, self.journal = make_file("undo.img", self.before), FOLDER + "/undo.journal"
        self.target = "flat:" + self.path
        self.addCleanup(lambda: os.path.exists(self.journal) and os.unlink(self.journal))

    def bytes_there(self):
        with open(self.path, "rb") as file:
            return file.read()

    def put(self, at, data):
        with open(self.path, "r+b") as file:
            file.seek(at)
            file.write(data)

    def write(self, at, data, code=0, target=None, *options):
        result = run("write", target or self.target, at, "--hex", data.hex(), "--write", "--journal", self.journal, *options)
        self.expect(result, code)
        return result

    def undo(self, *options, code=0, target=None):
        """The results of all ranges, as (address, length, result)."""
        result = run("undo", target or self.target, "--journal", self.journal, "--json", *options)
        self.expect(result, code)
        self.said = result.err
        return [(int(row["addr"], 16), row["len"], row["result"]) for row in json.loads(result.out)]

    def listed(self, code=0):
        result = run("undo", "--list", "--journal", self.journal, "--json")
        self.expect(result, code)
        self.said = result.err
        return json.loads(result.out)


class Undo(Journaled):
    def test_the_last_write_is_taken_back_first(self):
        self.write(0x10, b"first write")
        self.write(0x14, b"second")
        self.write(0x100, b"elsewhere")
        after = self.bytes_there()
        rows = [(0x100, 9, "would-restore"), (0x14, 6, "would-restore"), (0x10, 11, "would-restore")]
        self.assertEqual(self.undo(code=6), rows)
        self.assertIn("nothing was restored: --write", self.said)
        self.assertEqual(self.bytes_there(), after)
        self.assertEqual(self.undo("--write"), [(at, n, "restored") for at, n, _ in rows])
        self.assertEqual(self.bytes_there(), self.before)
        for options in (["--write"], []):
            self.assertEqual(self.undo(*options), [(at, n, "already") for at, n, _ in rows])
        self.assertEqual(self.bytes_there(), self.before)

    def test_the_journal_is_listed(self):
        self.write(0x10, b"\x01\x02")
        self.undo("--write")
        self.write(0x20, b"\x03" * 100)
        rows = self.listed()
        self.assertEqual([(row["index"], row["space"], row["pid"], row["addr"], row["len"], row["undone"], row["old"])
                          for row in rows],
                         [(0, "memory", None, "0x10", 2, True, "1011"),
                          (1, "memory", None, "0x20", 100, False, bytes(range(0x20, 0x60)).hex())])
        self.assertEqual([row["new"] for row in rows], ["0102", "03" * 64])
        self.assertRegex(rows[0]["time"], r"\A20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")

    def test_what_something_else_wrote_since_is_left_alone_by_words(self):
        self.write(0x40, b"\xee" * 64)
        self.put(0x53, b"\x77")  # in the word 0x50..0x57
        want = [(0x40, 16, "restored"), (0x50, 8, "conflict"), (0x58, 40, "restored")]
        self.assertEqual(self.undo("--write", code=3), want)
        self.assertIn("0x50-0x57: holds eeeeee77eeeeeeee, neither", self.said)
        kept = self.before[:0x50] + b"\xee" * 3 + b"\x77" + b"\xee" * 4 + self.before[0x58:]
        self.assertEqual(self.bytes_there(), kept)
        self.assertFalse(self.listed()[0]["undone"])
        self.assertEqual(self.undo("--write", code=3), [(at, n, "already" if r == "restored" else r) for at, n, r in want])
        self.assertEqual(self.undo("--force", code=6), [(0x40, 16, "already"), (0x50, 8, "would-restore"), (0x58, 40, "already")])
        self.assertEqual(self.undo("--write", "--force"), [(0x40, 16, "already"), (0x50, 8, "restored"), (0x58, 40, "already")])
        self.assertEqual(self.bytes_there(), self.before)
        self.assertTrue(self.listed()[0]["undone"])

    def test_a_write_that_failed_in_part_is_undone_in_part(self):
        target = self.target + "|fault,error=READ_ONLY,op=write,at=0x1008+8"
        self.put(0, self.before)
        self.write(0xff8, b"\xaa" * 32, 3)  # the image ends at 0x1000
        self.assertEqual([(row["addr"], row["len"]) for row in self.listed()], [("0xff8", 8)])
        self.assertEqual(self.undo("--write"), [(0xff8, 8, "restored")])
        target = self.target + "|fault,error=READ_ONLY,op=write,at=0x18+8"
        self.write(0x10, b"\xaa" * 32, 3, target)
        self.assertEqual(self.undo("--write"), [(0x10, 8, "restored"), (0x18, 8, "already"), (0x20, 16, "restored"),
                                                (0xff8, 8, "already")])
        self.assertEqual(self.bytes_there(), self.before)

    def test_what_cannot_be_restored_is_tried_again_later(self):
        self.write(0x10, b"\xaa" * 32)
        stuck = self.target + "|fault,error=READ_ONLY,op=write,at=0x18+8"
        self.assertEqual(self.undo("--write", code=3, target=stuck),
                         [(0x10, 8, "restored"), (0x18, 8, "failed"), (0x20, 16, "restored")])
        self.assertEqual(self.undo("--write"), [(0x10, 8, "already"), (0x18, 8, "restored"), (0x20, 16, "already")])
        self.assertEqual(self.bytes_there(), self.before)

    def test_what_was_restored_is_read_again(self):
        self.write(0x10, b"\xaa" * 8)
        liar = self.target + "|fault,drop=yes,op=read,at=0x10+1,after=1"
        self.assertEqual(self.undo("--write", code=1, target=liar), [(0x10, 8, "unread")])
        self.assertFalse(self.listed()[0]["undone"])

    def test_another_target_is_refused(self):
        self.write(0x10, b"\xaa")
        other = "flat:" + make_file("other.img", bytes(100))
        for words in (["undo", other], ["write", other, 0, "--hex", "01", "--write"]):
            self.expect_error(run(*words, "--journal", self.journal), 1, "of another target", self.path, "raw image, 100 bytes")
        self.assertEqual(self.undo("--write", "--force", target=other), [(0x10, 1, "restored")])

    def test_nothing_is_written_that_cannot_be_journaled(self):
        folder = FOLDER + "/no-such-folder/x"
        for journal, why in ((folder, "No such file"), ("/dev/full", "is no file"), (self.path, "is no journal")):
            self.expect_error(run("write", self.target, 0, "--hex", "ff", "--write", "--journal", journal), 1, why)
        result = run("write", self.target, 0, "--hex", "ff" * 4096, "--write", "--journal", self.journal,
                     preexec_fn=lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
                                         resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))))
        self.expect(result, 1)
        self.assertIn("File too large", result.err)
        self.assertEqual(self.bytes_there(), self.before)
        self.assertEqual(self.undo(), [])  # and what stands in it does no harm

    def test_one_program_at_a_time(self):
        self.write(0x10, b"\xaa")
        with open(self.journal, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            for words in (["undo", self.target], ["write", self.target, 0, "--hex", "ff"]):
                self.expect_error(run(*words, "--write", "--journal", self.journal), 1, "another program")
            self.assertEqual(self.undo(code=6), [(0x10, 1, "would-restore")])

    def test_the_command_line(self):
        self.expect_error(run("undo", self.target), 2, "--journal FILE is needed")
        self.expect_error(run("undo", "--journal", "x"), 2, "TARGET")
        self.expect_error(run("undo", self.target, "--journal", "x", "--overlay", "y"), 2, "--overlay")
        self.expect_error(run("undo", self.target, "--journal", FOLDER + "/none"), 1, "No such file")
        self.expect_error(run("write", self.target, 0, "--hex", "00", "--journal", "x"), 2, "--journal is of what --write")


class Damage(Journaled):
    def setUp(self):
        super().setUp()
        for at in (0x10, 0x20, 0x30):
            self.write(at, b"\xaa" * 16)
        with open(self.journal, "rb") as file:
            self.whole = file.read()

    def cut(self, data):
        with open(self.journal, "wb") as file:
            file.write(data)

    def test_a_torn_end_was_never_written_and_is_cut_off(self):
        last = len(self.whole) - (16 + 24 + 32 + 8)
        for size in (last + 1, last + 16, last + 60, len(self.whole) - 1):
            self.cut(self.whole[:size])
            self.assertEqual(len(self.listed()), 2)
            self.assertEqual(self.said, "")
        self.write(0x40, b"\xbb")
        self.assertEqual([row["addr"] for row in self.listed()], ["0x10", "0x20", "0x40"])
        self.assertEqual(len(self.undo("--write")), 3)

    def test_damage_is_told_and_what_stands_before_it_is_undone(self):
        at = self.whole.index(b"\xaa" * 16, 16) + 80  # in the second write
        data = bytearray(self.whole)
        data[at] ^= 1
        self.cut(data)
        self.assertEqual(len(self.listed(3)), 1)
        self.assertIn("is damaged behind its first 1 writes", self.said)
        self.expect_error(run("write", self.target, 0, "--hex", "01", "--write", "--journal", self.journal), 1, "is damaged")
        self.assertEqual(self.undo("--write", code=3), [(0x10, 16, "restored")])
        self.assertEqual(self.bytes_there()[0x10:0x20], self.before[0x10:0x20])
        with open(self.journal, "rb") as file:
            self.assertEqual(file.read(), bytes(data))

    def test_what_is_no_journal(self):
        for data in (b"SONDEREC", b"x" * 100, struct.pack("<8sII", b"SONDEREC", 1, 2), struct.pack("<8sII", b"SONDEREC", 2, 3)):
            self.cut(data)
            self.expect_error(run("undo", self.target, "--journal", self.journal), 1, "is no journal of version 1")
        self.cut(b"")
        self.assertEqual(self.listed(), [])


class Killed(Journaled):
    """Killed at any moment the tool leaves bytes as they were, or a journal that brings them back."""

    def killed(self, *words):
        """Run, and kill at a random moment of the time that a whole run takes. Was it in time?"""
        began = time.monotonic()
        with subprocess.Popen([SONDE, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            try:
                child.wait(self.chance.random() * self.whole_run)
            except subprocess.TimeoutExpired:
                child.kill()
            code = child.wait()
        if code != -signal.SIGKILL:
            self.whole_run = max(0.9 * self.whole_run, time.monotonic() - began)
        return code == -signal.SIGKILL

    def test_at_random_moments(self):
        self.chance, self.whole_run = random.Random(5), 0.3
        before = self.chance.randbytes(2 * MIB)
        data = make_file("killed.data", self.chance.randbytes(2 * MIB - 5000))
        make_file("undo.img", before)
        slow = self.target + "|delay,ms=1"  # so that some of the moments lie between two writes
        n_killed = n_torn = 0
        for _ in range(40):
            n_killed += self.killed("write", slow, 1234, "--file", data, "--write", "--journal", self.journal)
            if not os.path.exists(self.journal):
                self.assertEqual(self.bytes_there(), before)
                continue
            n_torn += self.bytes_there() != before
            n_killed += self.killed("undo", slow, "--write", "--journal", self.journal)
            self.undo("--write")
            self.assertTrue(self.bytes_there() == before)
            if self.chance.random() < 0.5:  # else the next goes on in the same one
                os.unlink(self.journal)
        self.assertGreater(n_killed, 0)
        self.assertGreater(n_torn, 0)


class Process(Case):
    """Processes of this machine: this one, and one with holes and pages of every kind."""

    def setUp(self):
        self.journal = FOLDER + "/process.journal"
        self.addCleanup(lambda: os.path.exists(self.journal) and os.unlink(self.journal))
        self.target = f"process:{os.getpid()}"
        if run("maps", self.target).code == 4:
            self.skipTest("this machine lets no process read another")

    def test_memory_is_written_and_given_back(self):
        place = ctypes.create_string_buffer(b"before")
        at = hex(ctypes.addressof(place))
        result = run("write", self.target, at, "--string", "AFTER", "--write")
        self.expect(result, 0)
        self.assertIn("no journal is kept", result.err)
        place.value = b"before"
        self.expect(run("write", self.target, at, "--string", "AFTER", "--write", "--journal", self.journal), 0, err="")
        self.assertEqual(place.value, b"AFTERe")
        self.expect(run("undo", self.target, "--journal", self.journal, "--write"), 0, err="")
        self.assertEqual(place.value, b"before")

    def test_holes_and_pages_that_cannot_be_written_are_told_each(self):
        with subprocess.Popen([HOLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            known = json.loads(child.stdout.readline())
            page, at, target = known["page"], known["pages"], f"process:{child.pid}"
            data = make_file("pages.data", b"\xcd" * (6 * page))
            result = run("write", target, hex(at), "--file", data, "--write", "--journal", self.journal, "--json")
            self.assertEqual(result.code, 3)
            rows = [(int(row["addr"], 16) - at, row["len"], row["result"]) for row in json.loads(result.out)]
            self.assertEqual(rows[0], (0, 2 * page, "written"))
            self.assertIn((2 * page, page, "failed"), rows)
            with open(f"/proc/{child.pid}/mem", "rb") as memory:
                memory.seek(at + 3 * page)
                self.assertEqual(memory.read(page), b"\xcd" * page)  # behind the hole
                result = run("undo", target, "--journal", self.journal, "--write")
                self.assertEqual(result.code, 0, str(result))
                for i in (0, 1, 3, 5):
                    memory.seek(at + i * page)
                    self.assertEqual(memory.read(page), bytes([i + 1]) * page)
            child.communicate(b"\n")

    def test_a_process_that_took_its_number_is_another(self):
        with subprocess.Popen(["sleep", "60"]) as one, subprocess.Popen(["sleep", "60"]) as two:
            with open(f"/proc/{one.pid}/maps", encoding="ascii") as maps:
                stack = next(line for line in maps if "[stack]" in line).split("-")[0]
            self.expect(run("write", f"process:{one.pid}", "0x" + stack, "--hex", "00", "--write", "--journal", self.journal), 0)
            self.expect_error(run("undo", f"process:{two.pid}", "--journal", self.journal), 1, "of another target",
                              f"process {one.pid}, started at tick ", f"process {two.pid}, started at tick ")
            one.kill()
            two.kill()
