# SPDX-License-Identifier: MIT
"""The same comparison on other kernels: 6.12 with five levels of tables, 5.10 with old layouts."""
import os
import shutil
import unittest

import frames
import test_compare
import test_read
import worlds
from harness import FOLDER, Case, run


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


@unittest.skipUnless(shutil.which("makedumpfile"), "no makedumpfile")
class FiveLevelsFramesTest(Case):
    """makedumpfile 1.7.2 knows neither slabs nor hugetlbfs of this kernel, nor how many frames a compound page has."""

    def test_what_is_left_out_differs_from_makedumpfile_where_that_says_it(self):
        world, core = worlds.five_levels(), os.path.join(FOLDER, "five.elf")
        self.addCleanup(lambda: os.path.exists(core) and os.unlink(core))
        self.expect(run("convert", world.dump, "-o", core, "--format", "elf"), 0)
        ram = frames.ram_of(world.truths[0], 4096)
        _, ours, _ = frames.written(core, "--exclude", "all")
        _, theirs, _ = frames.filtered(core, 30)
        self.assertLess(len(ours & ram), len(ram) // 2)
        heads = frames.heads_of(world.views["dump"], (ours ^ theirs) & ram)
        unexplained = {}
        for frame, (head, kind) in heads.items():
            tail_of_one_left_out = head != frame and head not in theirs
            if not (kind == frames.SLAB if frame in ours else kind == frames.HUGETLB or tail_of_one_left_out):
                unexplained[frame] = (head, hex(kind))
        self.assertEqual(unexplained, {})
