# SPDX-License-Identifier: MIT
"""Memory that an earlier kernel was in: the list must be that of the kernel that runs."""
import os

import compare
from harness import Case, View, boot
from images import KernelImage


class Dirty(Case):
    """A guest and the ways to look at it; each must show the running kernel's processes."""

    options = {}  # of the guest
    base = 0  # of its RAM

    def expect_the_running_kernel(self, view):
        kernel = self.guest.truth["kernel"]
        info = view.info()
        self.assertEqual(info["kaslr_offset"], kernel["kaslr_offset"], info["found_by"])
        self.assertEqual(info["command_line"], kernel["cmdline"])
        texts = compare.process_list_faults(view.rows("ps"), self.guest.truths)
        self.assertEqual(texts, [], info["found_by"])

    def look_from_everywhere(self):
        path = self.guest.dump("dirty.elf")
        self.guest.tell()
        image = KernelImage(path)
        try:
            with self.subTest("live"):
                self.expect_the_running_kernel(View(self.guest.target()))
            with self.subTest("dump"):
                self.expect_the_running_kernel(View(path))
            with self.subTest("dump without processors"), image.without_cpu_notes():
                self.expect_the_running_kernel(View(path))
            with self.subTest("dump without notes"), image.without_notes():
                self.expect_the_running_kernel(View(path))
            self.look_at_raw_memory()
        finally:
            os.unlink(path)

    def look_at_raw_memory(self):
        self.guest.pause()
        try:
            with self.subTest("raw memory of the paused guest"):
                self.expect_the_running_kernel(View(f"flat:{self.guest.memory_file},base={self.base:#x}"))
        finally:
            self.guest.resume()


class StaleKernelTest(Dirty):
    """A whole other kernel, its processes included, in the half that the running one leaves."""

    def check(self, where):
        self.guest = boot("dirty", dirty=where)
        self.addCleanup(self.guest.stop)
        self.look_from_everywhere()

    def test_a_stale_kernel_below_the_running_one_misleads_nobody(self):
        self.check("below")

    def test_a_stale_kernel_above_the_running_one_misleads_nobody(self):
        self.check("above")


class RebootTest(Dirty):
    def test_after_each_of_several_reboots_into_the_same_memory_the_last_kernel_is_seen(self):
        self.guest = boot("reboots", **self.options)
        self.addCleanup(self.guest.stop)
        for n in range(3):
            self.guest.reboot()
            with self.subTest(reboot=n + 1):
                if n == 2:
                    self.look_from_everywhere()
                else:
                    self.expect_the_running_kernel(View(self.guest.target()))
                    self.look_at_raw_memory()
