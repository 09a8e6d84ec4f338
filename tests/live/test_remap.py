# SPDX-License-Identifier: MIT
"""
Page tables that change while they are looked at: a page of the running guest is exchanged for another,
closed, unmapped, in a rhythm that the serial line sets. Spaces over the tables are kept open all the
time: one may use a translation for an hour, so that only sonde_space_invalidate makes it look again, one
for some milliseconds. Over memory that is read with system calls translations of pages are kept; over
mapped memory it is those of tables.
"""
import os
import subprocess
import time
import unittest

import worlds
from harness import Case, FOLDER, lab, run

PROGRAM = os.environ.get("SONDE_PAGETABLES")
MEM = 512 << 20
READ, WRITE, PRESENT = 1, 2, 4096
HOUR_MS, SOME_MS = 3600 * 1000, 25
ROUNDS = 12


def word_bytes(word):
    return word.to_bytes(8, "little").hex()


class Session:
    """pagetables.c with one space, kept."""

    def __init__(self, words, engine, tlb_ms):
        self.process = subprocess.Popen([PROGRAM, f"{engine}={tlb_ms}", *words], text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, line):
        self.process.stdin.write(line + "\n")
        return self.process.stdout.readline().split()

    def read(self, va):
        """8 bytes in hex, or the error's name."""
        return self.say(f"{va:x}")[-1]

    def invalidate(self):
        if self.say("invalidate") != ["ok"]:
            raise AssertionError("the session ended")

    def end(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


@unittest.skipUnless(PROGRAM, "SONDE_PAGETABLES is not set")
class ReadPagesTest(Case):
    engine, mapping = "sync", "map"

    @classmethod
    def setUpClass(cls):
        cls.guest = worlds.plain()
        cls.va, *_ = cls.page(cls.mapping)
        row = run("translate", cls.guest.target(), hex(cls.va), "--pid", 1, "--json").rows[0]
        root = int(row["entry_addrs"][0], 16) & ~4095
        cls.words = [f"x86_64-{row['levels']}", f"{root:x}", "0", cls.guest.memory_file, f"0:{MEM:x}:0"]

    @classmethod
    def page(cls, action):
        return lab.page(cls.guest.name, action, FOLDER)

    def session(self, tlb_ms):
        session = Session(self.words, self.engine, tlb_ms)
        self.addCleanup(session.end)
        return session

    def know(self, session, word):
        """Read until the translation is in the store, which is made by the second batch of reads."""
        for _ in range(4):
            self.assertEqual(session.read(self.va), word_bytes(word))

    def flags(self):
        """What the tables say of the page now."""
        done = subprocess.run([PROGRAM, "translate", *self.words], input=f"{self.va:x}\n", text=True,
                              stdout=subprocess.PIPE, check=True)
        fields = done.stdout.split()
        return None if fields[1] == "!" else int(fields[3], 16)

    def setUp(self):
        self.page("renew")

    def check_before_invalidation(self, session, old, _):
        """The old page is in the guest's other place now. The space need not know: it has an hour."""
        self.assertEqual(session.read(self.va), word_bytes(old))

    def test_a_page_put_in_the_place_of_another_is_seen_after_an_invalidation(self):
        session = self.session(HOUR_MS)
        for _ in range(ROUNDS):
            _, old, new = self.page("open")
            self.know(session, old)
            self.assertEqual(self.page("swap"), (self.va, new, old))
            self.check_before_invalidation(session, old, new)
            session.invalidate()
            self.assertEqual(session.read(self.va), word_bytes(new))

    def test_a_page_put_in_the_place_of_another_is_seen_when_the_time_is_over(self):
        session = self.session(SOME_MS)
        for _ in range(ROUNDS):
            _, old, new = self.page("open")
            self.know(session, old)
            self.assertEqual(self.page("swap"), (self.va, new, old))
            time.sleep(2 * SOME_MS / 1000)
            self.assertEqual(session.read(self.va), word_bytes(new))

    def test_a_page_that_is_gone_and_comes_back_is_gone_and_comes_back(self):
        lasting, short = self.session(HOUR_MS), self.session(SOME_MS)
        for _ in range(ROUNDS):
            _, old, _ = self.page("open")
            lasting.invalidate()
            self.know(lasting, old)
            self.know(short, old)
            self.page("unmap")
            lasting.invalidate()
            time.sleep(2 * SOME_MS / 1000)
            for session in (lasting, short):
                self.assertEqual(session.read(self.va), "NOT_MAPPED")
            _, new, _ = self.page("renew")
            self.assertNotEqual(old, new)
            lasting.invalidate()
            time.sleep(2 * SOME_MS / 1000)
            for session in (lasting, short):
                self.assertEqual(session.read(self.va), word_bytes(new))

    def test_what_a_process_may_do_with_its_page_changes_with_mprotect(self):
        session = self.session(HOUR_MS)
        for _ in range(ROUNDS):
            for action, want in (("open", READ | PRESENT), ("seal", READ | PRESENT), ("close", 0)):
                _, word, _ = self.page(action)
                flags = self.flags()
                self.assertEqual(flags & (READ | PRESENT) if want else flags & PRESENT, want, action)
                if action != "open":  # writing may be forbidden until the first write
                    self.assertFalse(flags & WRITE, action)
                session.invalidate()
                # Closed to the process, but still there: the kernel keeps its address in the entry.
                self.assertEqual(session.read(self.va), word_bytes(word), action)

    def test_while_two_pages_change_places_all_the_time_one_of_both_is_read(self):
        session = self.session(1)
        _, one, other = self.page("open")
        allowed = {word_bytes(one), word_bytes(other), "NOT_MAPPED"}
        seen = {}
        with lab.in_background(self.guest.name, "page flip", 30, FOLDER):
            begin = time.monotonic()
            while time.monotonic() < begin + 2 or (len(seen) < 2 and time.monotonic() < begin + 20):
                got = session.read(self.va)
                seen[got] = seen.get(got, 0) + 1
        self.assertLessEqual(set(seen), allowed, seen)
        for word in (one, other):
            self.assertIn(word_bytes(word), seen)
        print(f"    {seen}")


class MappedPagesTest(ReadPagesTest):
    engine = "direct"

    def check_before_invalidation(self, session, _, new):
        """Of mapped tables every entry on the way is looked at each time, however long they may be believed."""
        self.assertEqual(session.read(self.va), word_bytes(new))


class MappedTablesTest(MappedPagesTest):
    """What changes place is a whole table: mremap of a table's worth moves its entry in the level above."""

    mapping = "map-table"
