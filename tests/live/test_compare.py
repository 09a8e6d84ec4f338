# SPDX-License-Identifier: MIT
"""One guest with KASLR, seen in its dump, through its memory file and through its process."""
import calendar
import time

import compare
import worlds
from harness import Case


class Comparison:
    """What has to hold of each view of a guest; world_of and name say which."""

    world_of = staticmethod(worlds.main)
    name = "dump"

    @classmethod
    def setUpClass(cls):
        cls.world = cls.world_of()

    def view(self):
        return self.world.views[self.name]

    def truths(self):
        return self.world.truths

    def fail_with(self, texts):
        if texts:
            self.fail(f"{len(texts)} differences\n" + "\n".join(texts[:40]))

    def test_processes_are_those_of_the_guest_in_every_field(self):
        self.fail_with(compare.process_list_faults(self.view().rows("ps"), self.truths()))

    def test_threads_are_those_of_the_guest(self):
        self.fail_with(compare.thread_list_faults(self.view().rows("threads"), self.truths()))

    def test_modules_are_those_of_the_guest_in_its_order(self):
        rows = compare.modules_of_rows(self.view().rows("modules"))
        self.assertIn(rows, [compare.modules_of(t) for t in self.truths()])

    def test_mappings_of_every_process_are_those_of_proc_pid_maps(self):
        self.fail_with(compare.maps_faults(self.view().rows("maps", "--all"), self.truths()))

    def test_the_log_has_every_record_that_the_guest_had_when_asked(self):
        before, after = (compare.log_of(self.truths()[i]) for i in (0, -1))
        rows = compare.log_of_rows(self.view().rows("dmesg"))
        self.assertGreater(len(before), 100)
        self.assertEqual(rows[:len(before)], before)
        self.assertEqual(rows, after[:len(rows)])

    def test_the_kernel_is_identified(self):
        info, kernel = self.view().info(), self.truths()[0]["kernel"]
        self.assertEqual(info["os"], "linux")
        self.assertEqual(info["arch"], kernel["machine"])
        self.assertEqual(info["release"], kernel["release"])
        self.assertEqual(info["version"], kernel["version"])
        self.assertEqual(info["command_line"], kernel["cmdline"])
        self.assertEqual(info["hostname"], kernel["hostname"])
        self.assertEqual(info["page_levels"], kernel["page_table_levels"])
        self.assertEqual(info["online_cpus"], self.truths()[0]["cpus"])
        self.assertIsNone(info["no_os"])
        self.assertIn("BTF", info["types_from"])

    def test_the_random_offset_of_the_kernel_is_found(self):
        info, kernel = self.view().info(), self.truths()[0]["kernel"]
        self.assertNotIn("nokaslr", kernel["cmdline"])  # chance may say 0, once in five hundred boots
        self.assertEqual(info["kaslr_offset"], kernel["kaslr_offset"])

    def test_the_time_of_boot_is_within_two_seconds(self):
        info, kernel = self.view().info(), self.truths()[0]["kernel"]
        boot = calendar.timegm(time.strptime(info["boot_time"], "%Y-%m-%dT%H:%M:%SZ"))
        self.assertLessEqual(abs(boot - kernel["boot_time"]), 2)
        self.assertGreaterEqual(info["uptime"], int(kernel["uptime"]))

    def test_symbols_have_the_addresses_and_the_number_that_the_guest_says(self):
        rows = self.view().rows("sym", "--all")
        wanted = self.truths()[0]["symbols"]
        core = {(r["name"], r["addr"]): r["type"] for r in rows if r["module"] is None}
        self.assertEqual(sum(r["module"] is None for r in rows), wanted["n_core"])
        for name, address in wanted["names"].items():
            self.assertIn((name, hex(int(address, 16))), core)
            self.assertEqual(core[name, hex(int(address, 16))], wanted["types"][name], name)


class DumpTest(Comparison, Case):
    """The ELF dump, with its notes."""


class SharedMemoryTest(DumpTest):
    """The running guest, whose memory is a file that can be mapped."""

    name = "map"


class ProcessMemoryTest(DumpTest):
    """The running guest, read out of QEMU's own memory."""

    name = "process"
