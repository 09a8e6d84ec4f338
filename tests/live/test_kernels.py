# SPDX-License-Identifier: MIT
"""The same comparison on other kernels: 6.12 with five levels of tables, 5.10 with old layouts."""
import test_compare
import test_read
import worlds
from harness import Case


class FiveLevelsDumpTest(test_compare.Comparison, Case):
    world_of = staticmethod(worlds.five_levels)


class FiveLevelsProcessMemoryTest(FiveLevelsDumpTest):
    name = "process"


class OldDumpTest(FiveLevelsDumpTest):
    world_of = staticmethod(worlds.old)


class OldSharedMemoryTest(OldDumpTest):
    name = "map"


class FiveLevelsReadTest(test_read.DumpTest):
    world_of = staticmethod(worlds.five_levels)

    def test_the_highest_address_needs_five_levels(self):
        va, _ = self.pages("high")[0]
        self.assertGreater(va, 1 << 47)
        self.assertEqual(self.translate(va).rows[0]["levels"], 5)


class OldReadTest(test_read.DumpTest):
    world_of = staticmethod(worlds.old)
