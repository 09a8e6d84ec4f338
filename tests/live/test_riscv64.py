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


class SharedMemoryTest(DumpTest):
    name = "map"


class ProcessMemoryTest(DumpTest):
    name = "process"


class ReadTest(test_read.DumpTest):
    world_of = staticmethod(worlds.riscv64)


class LiveReadTest(ReadTest):
    view_name = "map"
