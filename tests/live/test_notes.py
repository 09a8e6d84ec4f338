# SPDX-License-Identifier: MIT
"""Dumps that say less: no processors, no notes at all, no format."""
import os

import compare
import worlds
from harness import FOLDER, Case, View
from images import KernelImage


class NotesTest(Case):
    @classmethod
    def setUpClass(cls):
        cls.world = worlds.main()
        cls.image = KernelImage(cls.world.dump)

    def expect_all_processes(self, view):
        texts = compare.process_list_faults(view.rows("ps"), self.world.truths)
        self.assertEqual(texts, [])

    def test_without_processors_the_kernel_is_found_by_the_vmcoreinfo_note(self):
        with self.image.without_cpu_notes():
            view = View(self.image.path)
            self.expect_all_processes(view)
            self.assertEqual(view.info()["cpus"], 0)
            self.assertIn("note", view.info()["found_by"])

    def test_without_any_note_the_kernel_is_found_in_memory(self):
        with self.image.without_notes():
            view = View(self.image.path)
            self.expect_all_processes(view)
            self.assertEqual(view.info()["cpus"], 0)
            self.assertNotIn("note", view.info()["found_by"])

    def test_with_a_processor_and_no_vmcoreinfo_note_the_processor_leads_to_the_kernel(self):
        place = next(h for h in self.image.headers if h[1] == 4)
        notes = b"".join(data for owner, _, data in self.image.notes() if owner != b"VMCOREINFO")
        size = len(notes).to_bytes(8, "little") * 2
        with self.image.changed_at([(place[2], notes), (place[0] + 32, size)]):
            view = View(self.image.path)
            self.expect_all_processes(view)
            self.assertIn("processor 0", view.info()["found_by"])

    def test_raw_memory_is_refused_until_it_is_called_flat(self):
        path = os.path.join(FOLDER, "raw.img")
        low = next(h for h in self.image.headers if h[1] == 1 and h[3] == 0)
        high = next(h for h in self.image.headers if h[1] == 1 and 0 < h[3] <= 1 << 20)
        with open(self.image.path, "rb") as dump, open(path, "wb") as raw:
            for _, _, offset, paddr, filesz in (low, high):
                dump.seek(offset)
                raw.seek(paddr)
                for at in range(0, filesz, 1 << 22):
                    raw.write(dump.read(min(1 << 22, filesz - at)))
        try:
            view = View(path)
            self.expect(view.ask("ps"), 4, path, "flat:")
            self.expect_all_processes(View("flat:" + path))
        finally:
            os.unlink(path)
