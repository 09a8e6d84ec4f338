# SPDX-License-Identifier: MIT
"""
Every way to give a guest its memory: one node or two, QEMU's own or shared, with the hole of a PC, plugged in. One node that is
shared is what most tests have; one that is QEMU's own have those of five levels (test_kernels) and of aarch64 in test_gdb.
"""
import functools
import os
import subprocess
import time
import unittest

import compare
import saved
import worlds
from harness import FOLDER, SONDE, Case, View, lab, run, text_of

LISTS = (("ps",), ("modules",), ("maps", "--all"))
SECONDS = 120  # far above what anything here takes: what it bounds is a hang
DIMM = 4 << 30  # where the first one goes in a guest with less memory than that; one a node follows
DIMM_MIB = 128
MIB = 1 << 20  # what a PC has below is cut by firmware


class Backend:
    """The lists in all views are the guest's own, and its memory is where its machine has it."""

    options, views, way = {}, ("dump", "process", "gdb"), "process_vm_readv"
    ram = ()  # where its memory is, [start, end)

    @classmethod
    @functools.lru_cache(maxsize=None)
    def world(cls):
        return worlds.LabWorld(cls.__name__.lower(), views=cls.views, lists=LISTS, **cls.options)

    @classmethod
    def tearDownClass(cls):
        cls.world().guest.stop()

    def test_lists_are_the_guests_own_in_every_view(self):
        world = self.world()
        for name, view in world.views.items():
            with self.subTest(name):
                self.assertEqual(compare.process_list_faults(view.rows("ps"), world.truths), [])
                self.assertIn(compare.modules_of_rows(view.rows("modules")),
                              [compare.modules_of(t) for t in world.truths])
                self.assertEqual(compare.maps_faults(view.rows("maps", "--all"), world.truths), [])

    def test_a_saved_guest_has_its_memory_in_the_same_places(self):
        guest = self.world().guest
        path = os.path.join(FOLDER, guest.name + ".stream")
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        truths = [guest.tell()]
        saved.migrate(guest, path)
        guest.resume()
        truths.append(guest.tell())
        self.expect_memory(path)
        self.assertEqual(compare.process_list_faults(View(path).rows("ps"), truths), [])

    def test_memory_is_where_the_machine_has_it_and_is_reached_as_is_said(self):
        target = self.world().guest.target()
        self.assertIn(self.way, View(target).info()["detail"])
        self.expect_memory(target)

    def expect_memory(self, target):
        rows = run("maps", target, "--phys", "--json").rows
        found = []
        for row in rows:
            start, end = max(int(row["start"], 16), MIB), int(row["end"], 16)
            if row["kind"] != "ram" or end <= MIB:
                continue
            if found and found[-1][1] == start:
                found[-1][1] = end
            else:
                found.append([start, end])
        self.assertEqual([tuple(f) for f in found], list(self.ram))


class SharedNodesTest(Backend, Case):
    options = {"numa": 2, "smp": 2, "backend": "memfd"}
    views, way = ("dump", "map", "process", "gdb"), "shared mapping of "
    ram = ((MIB, 512 << 20),)


class FileNodesTest(SharedNodesTest):
    """Of aarch64, and of a file each. What a stub makes of it, test_gdb shows."""

    views = ("dump", "map", "process")
    options = {"arch": "arm64", "numa": 2, "smp": 2, "backend": "file"}
    ram = ((1 << 30, (1 << 30) + (512 << 20)),)


class PrivateArm64NodesTest(Backend, Case):
    options = {"arch": "arm64", "share": False, "numa": 2, "smp": 2}
    views = ("dump", "process")
    ram = ((1 << 30, (1 << 30) + (512 << 20)),)


class SplitTest(Backend, Case):
    """q35 cuts at 2 GiB what is 2.75 GiB or more."""

    options = {"mem": 2816, "backend": "memfd"}
    views, way = ("map", "process", "gdb"), "shared mapping of "
    ram = ((MIB, 2 << 30), (4 << 30, (4 << 30) + (768 << 20)))


class SplitPcTest(SplitTest):
    """An i440fx cuts at 3 GiB what is 3.5 GiB or more."""

    options = {"machine": "pc", "mem": 3584, "backend": "memfd"}
    ram = ((MIB, 3 << 30), (4 << 30, (4 << 30) + (512 << 20)))


class PluggedTest(Backend, Case):
    """Two nodes of QEMU's own, and memory that is plugged in while the tool looks."""

    options = {"share": False, "numa": 2, "smp": 2, "slots": True, "append": "memhp_default_state=online"}
    ram = ((MIB, 512 << 20),)

    def plug(self):
        guest = self.world().guest
        with lab.control(lab.Guest(guest.name, FOLDER)) as control:
            for node in range(2):
                control.command("object-add", **{"qom-type": "memory-backend-ram", "id": f"more{node}",
                                                 "size": DIMM_MIB << 20})
                control.command("device_add", driver="pc-dimm", id=f"dimm{node}", memdev=f"more{node}", node=node)
        until = time.monotonic() + SECONDS
        while not is_taken(guest.tell()["iomem"]):
            if time.monotonic() > until:
                self.fail("the guest does not take what was plugged in\n" + guest.truth["iomem"])

    def test_memory_that_is_plugged_in_is_noticed_and_seen(self):
        guest = self.world().guest
        words = [SONDE, "read", guest.target(), "0x100000", "200M", "--phys", "--raw"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader:
            begun = reader.stdout.read(1 << 20)  # it fills its pipe and waits
            self.plug()
            out, err = reader.communicate(timeout=SECONDS)
        self.assertEqual((reader.returncode, len(begun + out)), (0, 200 << 20), text_of(err))
        self.assertIn(f"meanwhile: qemu: 'pluggedtest': {2 * DIMM_MIB} MiB of its memory", text_of(err))
        self.assertIn("open it again", text_of(err))
        # What is new lies in the highest zone, which the kernel takes from first.
        before = guest.truth
        lab.spawn(guest.name, 100, FOLDER)
        truths = [guest.tell()]
        self.assertGreater(len(truths[0]["processes"]), len(before["processes"]) + 99)
        path = guest.dump("plugged.elf")
        views = {"process": View(guest.target()), "gdb": View(f"gdb:qemu:{guest.qmp}"), "dump": View(path)}
        for view in views.values():
            for words in LISTS:
                view.ask(*words)
        truths.append(guest.tell())
        for name, view in views.items():
            with self.subTest(name):
                self.assertEqual(compare.process_list_faults(view.rows("ps"), truths), [])
                self.assertEqual(compare.maps_faults(view.rows("maps", "--all"), truths), [])
        tables = [int(r["page_table"], 16) for r in views["process"].rows("ps") if r["page_table"]]
        self.assertGreater(sum(DIMM <= at < DIMM + (2 * DIMM_MIB << 20) for at in tables), 50)


def is_taken(iomem):
    """Whether the guest uses all that was plugged in."""
    ram = [[int(end, 16) for end in line.split()[0].split("-")] for line in iomem.splitlines() if "System RAM" in line]
    return sum(last + 1 - first for first, last in ram if first >= DIMM) == 2 * DIMM_MIB << 20


if __name__ == "__main__":
    unittest.main()
