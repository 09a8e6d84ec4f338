# SPDX-License-Identifier: MIT
"""The examples that look into a guest, on the lab's dump. SONDE_EXAMPLES is the folder they are built in."""
import os
import subprocess
import unittest

import worlds
from harness import Case

FOLDER = os.environ.get("SONDE_EXAMPLES")


@unittest.skipUnless(FOLDER, "SONDE_EXAMPLES is not set")
class ExamplesTest(Case):
    def run_on_dump(self, name):
        done = subprocess.run([os.path.join(FOLDER, name), worlds.main().dump], capture_output=True,
                              text=True, errors="replace", timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_hello_lists_every_process_of_the_guest(self):
        text = self.run_on_dump("01-hello")
        for truth in worlds.main().truths[0]["processes"]:
            if not truth["kthread"]:
                self.assertRegex(text, rf"(?m)^ *{truth['pid']} ")

    def test_types_of_the_guest_are_printed(self):
        text = self.run_on_dump("08-symbols-and-types")
        self.assertIn("its name is 'swapper/0', its pid 0", text)
        self.assertIn("struct list_head {", text)

    def test_modules_and_mappings_are_listed(self):
        text = self.run_on_dump("09-modules-and-maps")
        for truth in worlds.main().truths[0]["modules"]:
            self.assertIn(truth["name"], text)

    def test_the_memory_of_a_process_is_read(self):
        self.assertTrue(self.run_on_dump("13-process-memory").strip())
