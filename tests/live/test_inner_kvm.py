# SPDX-License-Identifier: MIT
"""
A guest in a guest of the lab, run by its KVM: what is seen of it by the tables that AMD's processor walks for it, which hang on
control blocks in the outer guest's memory, and what it says itself. QEMU emulates that processor.
"""
import atexit
import functools
import os
import re
import unittest

import test_compare
import test_inner
import worlds
from harness import FOLDER, Case, boot, lab, run
from test_pause import wait_until

import nested  # of the lab

OUTER, INNER = f"host-{os.getpid()}", "guest"


@functools.lru_cache(maxsize=None)
def outer():
    guest = test_inner.boot_outer(OUTER, cpu="max")
    atexit.register(guest.stop)
    nested.load_kvm(OUTER, lab.fetch(), FOLDER)
    return guest


@functools.lru_cache(maxsize=None)
def world():
    """The inner guest: by the tables of its memory, live and in a dump of the outer one; and by its QEMU."""
    guest = boot(INNER, mem=test_inner.RAM, share=False, cpu="host", start=nested.start_in(outer().name, FOLDER, "kvm"),
                 timeout=test_inner.READY_LIMIT)
    return worlds.World(guest, {"tables": f"qemu:{OUTER}|vm:", "qemu": f"qemu:{OUTER}|qemu:{INNER}",
                                "dump": outer().dump("host.elf") + "|vm:"})


def setUpModule():
    """Here it fails once for all classes."""
    world()


class TablesTest(test_compare.Comparison, Case):
    world_of = staticmethod(world)
    name = "tables"


class DumpTest(TablesTest):
    name = "dump"


class QemuTest(TablesTest):
    name = "qemu"


class StepTest(Case):
    def info(self, target):
        return self.expect(run("info", target, "--json"), 0).rows[0]

    def test_its_tables_are_named_and_the_same_by_hand(self):
        found = self.info(f"qemu:{OUTER}|vm:")
        told = re.fullmatch(r"guest of a hypervisor, 1 processors, tables \((npt\d)\) at (0x\w+)", found["detail"])
        self.assertTrue(told, found["detail"])
        levels = self.info(f"qemu:{OUTER}")["page_levels"]
        self.assertEqual((told[1], found["connector"], found["cpus"], found["live"]), (f"npt{levels}", "vm", 0, True))
        for other in (f"qemu:{OUTER}|vm:{told[2]}", f"qemu:{OUTER}|paging,format={told[1]},root={told[2]}"):
            with self.subTest(other):
                for name in ("release", "kaslr_offset", "page_table", "command_line"):
                    self.assertEqual(self.info(other)[name], found[name], name)

    def test_a_process_in_it_is_a_target(self):
        self.assertEqual(self.info(f"qemu:{OUTER}|vm:|process:1")["detail"], "process 1 of a guest")

    def test_what_is_not_there(self):
        self.expect(run("info", f"qemu:{OUTER}|vm:0x1000"), 4, "no guest has its tables at '0x1000'; those that are here: 0x")
        self.expect(run("info", f"qemu:{OUTER}|vm:|vm:"), 4, "no control block (VMCB)")
        self.expect(run("info", worlds.plain().target() + "|vm:"), 4, "no control block (VMCB)")


class VanishedTest(Case):
    """The last of all: its control block stays where it was, in memory that is free."""

    def test_a_guest_that_has_ended_is_none(self):
        pid, = [row["pid"] for row in self.expect(run("ps", outer().target(), "--json"), 0).rows if INNER in row["args"]]
        self.assertEqual(lab.run(OUTER, ["/bin/busybox", "kill", "-9", str(pid)], dir=FOLDER).code, 0)
        wait_until("it is gone", lambda: run("info", f"qemu:{OUTER}|qemu:{INNER}").code == 4)
        self.expect(run("info", f"qemu:{OUTER}|vm:"), 4, "no control block (VMCB)")


if __name__ == "__main__":
    unittest.main()
