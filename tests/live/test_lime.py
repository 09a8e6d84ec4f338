# SPDX-License-Identifier: MIT
"""A guest's memory as an image of LiME: its ranges, and nothing that says what they are."""
import os
import shutil
import struct

import compare
import worlds
from harness import FOLDER, Case, View
from images import PT_LOAD, Image, Part


class LimeTest(Case):
    def test_the_kernel_is_found_in_memory_alone(self):
        image = Image(worlds.main().dump)
        path = os.path.join(FOLDER, "image.lime")
        self.addCleanup(os.unlink, path)
        with open(image.path, "rb") as core, open(path, "wb") as lime:
            for _, kind, offset, paddr, filesz in image.headers:
                if kind == PT_LOAD:
                    lime.write(struct.pack("<4sIQQ8x", b"EMiL", 1, paddr, paddr + filesz - 1))
                    core.seek(offset)
                    shutil.copyfileobj(Part(core, filesz), lime, 1 << 20)
        view = View(path)
        self.assertEqual(compare.process_list_faults(view.rows("ps"), worlds.main().truths), [])
        self.assertEqual(view.rows("modules"), worlds.main().views["dump"].rows("modules"))
        self.assertEqual(view.info()["connector"], "lime")
        self.assertEqual(view.info()["cpus"], 0)
