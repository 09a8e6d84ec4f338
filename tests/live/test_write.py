# SPDX-License-Identifier: MIT
"""Writing to a guest that runs; the guest itself says what it sees."""

import contextlib
import os
import random
import struct
import subprocess
import time

import compare
import worlds
from harness import FOLDER, SONDE, Case, lab, run
from images import KernelImage


class SharedMemoryTest(Case):
    via = "map"

    @classmethod
    def setUpClass(cls):
        cls.world = worlds.main()
        cls.guest = cls.world.guest
        cls.target = cls.world.views[cls.via].target

    def write(self, addr, data, *options):
        return run("write", self.target, addr, "--hex", data.hex(), *options)

    def read(self, addr, length, *options):
        return self.expect(run("read", self.target, addr, length, "--raw", *options), 0).out

    def test_nothing_is_written_unless_asked_for_by_name(self):
        pid = self.guest.role("pattern")
        va = self.guest.truth["pattern"]["pages"][0]["va"]
        before = self.read(va, 16, "--pid", pid)
        self.expect(self.write(va, b"x" * 16, "--pid", pid), 6, "--write", "--overlay")
        self.assertEqual(self.read(va, 16, "--pid", pid), before)

    def test_a_page_of_a_process_changes_in_the_guests_memory_and_back(self):
        pid, page = self.guest.role("pattern"), self.guest.truth["pattern"]["pages"][1]
        va, data = int(page["va"], 16) + 4090, bytes(range(200, 212))  # into the next page
        before = self.read(hex(va), len(data), "--pid", pid)
        self.assertNotEqual(before, data)
        try:
            rows = self.expect(self.write(hex(va), data, "--write", "--pid", pid, "--json"), 0).rows
            self.assertEqual((rows[0]["written"], rows[0]["error"]), (len(data), None))
            self.assertEqual(self.read(hex(va), len(data), "--pid", pid), data)
            with open(self.guest.memory_file, "rb") as memory:  # below 2 GiB as q35 maps it
                memory.seek(int(page["pa"], 16) + 4090)
                self.assertEqual(memory.read(6), data[:6])
        finally:
            self.expect(self.write(hex(va), before, "--write", "--pid", pid), 0)
        self.assertEqual(self.read(hex(va), len(data), "--pid", pid), before)

    def argument_of(self, pid):
        """Where the first argument of a process lies: mm_struct.arg_start of the process."""
        row = next(r for r in self.world.views["dump"].rows("ps") if r["pid"] == pid)
        at = int(row["addr"], 16) + self.member("struct task_struct", "mm")
        mm = struct.unpack("<Q", self.read(hex(at), 8))[0]
        at = mm + self.member("struct mm_struct", "arg_start")
        return hex(struct.unpack("<Q", self.read(hex(at), 8))[0])

    def member(self, kind, member):
        return self.expect(run("type", self.target, kind, member, "--json"), 0).rows[0]["offset"]

    def test_the_guest_sees_a_new_name_and_a_new_argument(self):
        pid = self.guest.role("uids")
        row = next(r for r in self.world.views["dump"].rows("ps") if r["pid"] == pid)
        name_at = hex(int(row["addr"], 16) + self.member("struct task_struct", "comm"))
        argument_at = self.argument_of(pid)
        old_name, old_argument = self.read(name_at, 16), b"/init"
        try:
            self.expect(self.write(name_at, b"probed\0", "--write"), 0)
            self.expect(self.write(argument_at, b"/seen", "--write", "--pid", pid), 0)
            told = compare.by_pid(self.guest.tell())[pid]
            self.assertEqual(told["name"], "probed")
            self.assertEqual(told["cmdline"], ["/seen"])
        finally:
            self.expect(self.write(name_at, old_name, "--write"), 0)
            self.expect(self.write(argument_at, old_argument, "--write", "--pid", pid), 0)

    def test_a_page_that_is_not_there_is_not_written(self):
        pid, page = self.guest.role("pattern"), [
            p for p in self.guest.truth["pattern"]["pages"] if p["kind"] == "small"][-1]
        va = int(page["va"], 16) + 4092
        before = self.read(hex(va), 4, "--pid", pid)
        try:
            result = self.write(hex(va), b"12345678", "--write", "--pid", pid, "--json")
            self.expect_partial(result)
            self.assertEqual([(row["addr"], row["written"], row["error"]) for row in result.rows],
                             [(hex(va), 4, None), (hex(va + 4), 0, "NOT_MAPPED")])
        finally:
            self.write(hex(va), before, "--write", "--pid", pid)


class ProcessMemoryTest(SharedMemoryTest):
    via = "process"


class JournalTest(Case):
    """Writes that are taken back; init of the guest says what it sees in a page of its own."""

    def setUp(self):
        self.world = worlds.main()
        self.guest = self.world.guest
        self.va, self.word, _ = self.page("map")
        self.journal = os.path.join(FOLDER, "write.journal")
        self.addCleanup(lambda: os.path.exists(self.journal) and os.unlink(self.journal))

    def page(self, action):
        return lab.page(self.guest.name, action, FOLDER)

    def seen(self):
        """The page's first word, as the guest reads it now."""
        return self.page("look")[1]

    def targets(self):
        return [self.world.views[via].target for via in ("map", "process")]

    def write(self, target, word, *options):
        return run("write", target, hex(self.va), "--pid", 1, "--hex", word.to_bytes(8, "little").hex(), "--json", *options)

    def undo(self, target, *options):
        result = run("undo", target, "--journal", self.journal, "--json", *options)
        return result.code, [row["result"] for row in result.rows]

    def test_the_guest_sees_the_write_and_its_undoing(self):
        for target in self.targets():
            with self.subTest(target=target):
                self.assertEqual(self.seen(), self.word)
                self.expect(self.write(target, 0x1122334455667788, "--write", "--journal", self.journal), 0)
                self.assertEqual(self.seen(), 0x1122334455667788)
                self.assertEqual(self.undo(target)[0], 6)
                self.assertEqual(self.seen(), 0x1122334455667788)
                self.assertEqual(self.undo(target, "--write"), (0, ["restored"]))
                self.assertEqual(self.seen(), self.word)
                self.assertEqual(self.undo(target, "--write"), (0, ["already"]))
                os.unlink(self.journal)

    def test_what_the_guest_wrote_since_is_kept(self):
        target = self.targets()[0]
        self.expect(self.write(target, 1, "--write", "--journal", self.journal), 0)
        _, word, _ = self.page("renew")  # by the guest itself, in a new page
        self.assertEqual(self.undo(target, "--write"), (1, ["conflict"]))
        self.assertEqual(self.seen(), word)
        self.assertEqual(self.undo(target, "--write", "--force"), (0, ["restored"]))
        self.assertEqual(self.seen(), self.word)

    def test_a_page_that_is_read_only_is_written_with_a_warning(self):
        target = self.targets()[0]
        self.assertNotIn("read-only", self.write(target, 7).err)
        self.page("seal")
        self.expect(self.write(target, 7), 6, "the page tables say read-only")
        result = self.write(target, 7, "--write", "--journal", self.journal)
        self.expect(result, 0, "the page tables say read-only")
        self.assertEqual(self.seen(), 7)
        self.assertEqual(self.undo(target, "--write"), (0, ["restored"]))
        self.assertEqual(self.seen(), self.word)
        self.page("open")
        same = run("read", target, "linux_banner", 5, "--hex").out.decode().strip()  # the kernel's own constants
        result = run("write", target, "linux_banner", "--hex", same, "--write", "--journal", self.journal, "--json")
        self.expect(result, 0, "kernel memory 0x", "the page tables say read-only")
        self.assertEqual([row["result"] for row in result.rows], ["written"])

    def test_an_overlay_changes_what_is_told_and_not_the_guest(self):
        target, kept = self.targets()[0], os.path.join(FOLDER, "what-if.overlay")
        self.addCleanup(lambda: os.path.exists(kept) and os.unlink(kept))
        pid = self.guest.role("uids")
        row = next(r for r in self.world.views["dump"].rows("ps") if r["pid"] == pid)
        at = hex(int(row["addr"], 16) + run("type", target, "struct task_struct", "comm", "--json").rows[0]["offset"])
        self.expect(run("write", target, at, "--hex", b"what-if\0".hex(), "--overlay", kept), 0)
        for name, options in (("what-if", ["--overlay", kept]), (row["name"], [])):
            told = run("ps", target, "--pid", pid, "--json", *options)
            self.expect(told, 0)
            self.assertEqual([r["name"] for r in told.rows], [name])
        self.assertEqual(compare.by_pid(self.guest.tell())[pid]["name"], row["name"])
        other = run("ps", self.world.dump, "--overlay", kept)
        self.expect(other, 4, "made over 'process ")

    def test_killed_at_any_moment_the_guest_gets_its_page_back(self):
        target = self.targets()[1]
        pa = run("translate", target, hex(self.va), "--pid", 1, "--json").rows[0]["pa"]
        before = run("read", target, pa, 4096, "--phys", "--raw").out
        data = os.path.join(FOLDER, "page.data")
        with open(data, "wb") as file:
            file.write(bytes(range(255, -1, -1)) * 16)
        words = [SONDE, "write", target + "|delay,ms=10", pa, "--phys", "--file", data, "--write", "--journal", self.journal]
        chance, n_changed, whole_run = random.Random(11), 0, None  # the first is not killed
        for _ in range(16):
            began = time.monotonic()
            with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(whole_run and chance.random() * whole_run)
                    whole_run = whole_run or time.monotonic() - began
                child.kill()
            n_changed += run("read", target, pa, 4096, "--phys", "--raw").out != before
            if os.path.exists(self.journal):
                self.assertEqual(self.undo(target, "--write")[0], 0)
            self.assertEqual(run("read", target, pa, 4096, "--phys", "--raw").out, before)
        self.assertGreater(n_changed, 1)
        self.assertEqual(self.seen(), self.word)


class DumpTest(Case):
    def test_a_dump_is_changed_only_when_asked_for(self):
        image = KernelImage(worlds.main().dump)
        va, pa = hex(image.va("linux_banner")), image.pa("linux_banner")
        before = image.read(pa, 8)
        self.expect(run("write", image.path, va, "--string", "sonde"), 6, "--write")
        self.assertEqual(image.read(pa, 8), before)
        with image.changed((pa, before)):  # which puts it back
            result = run("write", image.path, va, "--string", "sonde", "--write")
            self.expect(result, 0)
            self.assertEqual(image.read(pa, 8), b"sonde" + before[5:])
