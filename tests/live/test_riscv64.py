# SPDX-License-Identifier: MIT
"""riscv64: 6.12 with five levels of tables."""
import test_compare
import test_read
import worlds
from harness import Case


class DumpTest(test_compare.Comparison, Case):
    world_of = staticmethod(worlds.riscv64)

    def test_the_random_offset_of_the_kernel_is_found(self):
        self.assertEqual(self.view().info()["kaslr_offset"], "0x0")
        self.assertEqual(self.truths()[0]["kernel"]["kaslr_offset"], "0x0")

    def test_the_table_of_a_walk_names_levels_and_bits(self):
        rows = self.view().rows("translate", "_stext", "--table")
        self.assertEqual([(r["name"], r["bits"]) for r in rows[:2]], [("PGD", "V"), ("P4D", "V")])
        self.assertEqual(rows[-1]["bits"], "V R X G A D")


class SharedMemoryTest(DumpTest):
    name = "map"

    def test_the_kernel_is_found_by_registers(self):
        self.assertRegex(self.view().info()["found_by"], r"^processor \d's page tables")


class ProcessMemoryTest(SharedMemoryTest):
    name = "process"


class ReadTest(test_read.DumpTest):
    world_of = staticmethod(worlds.riscv64)


class LiveReadTest(ReadTest):
    view_name = "map"
