# SPDX-License-Identifier: MIT
"""
One moment of a domain that stands still: through QEMU, through libvirt, through its stub and of a dump the lists are the same,
row for row, and the guest's own. Of x86-64 and aarch64, memory that is shared and QEMU's own, one node and two.
"""
import atexit
import functools
import os
import unittest

import compare
from domains import Domain, Libvirtd
from harness import Case, View, lab

LISTS = (("ps",), ("threads",), ("modules",), ("maps", "--all"))
ARCHES = ("amd64", "arm64")


@functools.lru_cache(maxsize=None)
def daemon():
    libvirtd = Libvirtd("libvirt-both", arches=ARCHES)
    atexit.register(libvirtd.stop)
    return libvirtd


def start(name, **options):
    """As lab.boot does of its own: one that falls silent before it has told its truth is started once more."""
    try:
        return Domain(daemon(), name, **options)
    except lab.Silent:
        daemon().virsh("destroy", name, check=False)
        daemon().virsh("undefine", name, check=False)
        return Domain(daemon(), name, **options)


class ViewsTest(Case):
    def check(self, arch, share, numa):
        name = f"{arch}-{'shared' if share else 'own'}-{numa or 1}"
        domain = start(name, arch=arch, share=share, numa=numa, smp=numa or 1)
        self.addCleanup(domain.stop)
        truths = [domain.tell()]
        domain.pause()
        dump = os.path.join(daemon().folder, "cache", name)
        domain.virsh("dump", dump, "--memory-only")  # libvirtd 9.0 does not survive one that it has not asked for
        self.addCleanup(os.unlink, dump)
        views = {way: View(target) for way, target in (
            ("qemu", domain.qemu_target()), ("libvirt", domain.target()), ("gdb", f"gdb:qemu:{domain.qmp}"), ("dump", dump))}
        self.assertIn("shared mapping of " if share else "process_vm_readv", views["qemu"].info()["detail"])
        for words in LISTS:
            rows = {way: view.rows(*words) for way, view in views.items()}
            self.assertGreater(len(rows["dump"]), 3)
            for way in views:
                self.assertEqual(rows[way], rows["dump"], f"{name}: {words[0]}: {way}")
        domain.resume()
        truths.append(domain.tell())  # workers of the kernel come and go in between
        self.assertEqual(compare.process_list_faults(views["dump"].rows("ps"), truths), [])
        self.assertIn(compare.modules_of_rows(views["dump"].rows("modules")), [compare.modules_of(t) for t in truths])
        self.assertEqual(compare.maps_faults(views["dump"].rows("maps", "--all"), truths), [])

    def check_all(self, arch):
        for share in (True, False):
            for numa in (0, 2):
                with self.subTest(arch, share=share, numa=numa):
                    self.check(arch, share, numa)
                    self.doCleanups()

    def test_all_ways_say_the_same_of_one_moment_of_x86_64(self):
        self.check_all("amd64")

    def test_all_ways_say_the_same_of_one_moment_of_aarch64(self):
        self.check_all("arm64")


if __name__ == "__main__":
    unittest.main()
