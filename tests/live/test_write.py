# SPDX-License-Identifier: MIT
"""Writing to a guest that runs; the guest itself says what it sees."""

import struct

import compare
import worlds
from harness import Case, run
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
