# SPDX-License-Identifier: MIT
"""A guest in a guest of the lab, TCG in TCG: what is seen of it from this machine, and what it says itself."""
import atexit
import functools
import os
import struct
import unittest

import compare
import test_compare
import test_read
import worlds
from harness import FOLDER, Case, boot, lab, need_lab, run

import nested  # of the lab

OUTER = f"outer-{os.getpid()}"  # a name that opens: no guest of somebody else's has it
RAM = 192  # MiB of the inner guest
READY_LIMIT = 400  # seconds until the inner guest answers, generous for a busy machine
PAGE = 4096


def boot_outer(name, **options):
    need_lab()
    archive = os.path.join(FOLDER, "nested.cpio")
    try:
        nested.write_archive(lab.fetch(), archive)
    except lab.Skip as err:
        raise unittest.SkipTest(str(err)) from err
    return boot(name, mem=768, extra=archive, start=nested.start_outer, **options)


@functools.lru_cache(maxsize=None)
def outer():
    guest = boot_outer(OUTER)
    atexit.register(guest.stop)
    return guest


@functools.lru_cache(maxsize=None)
def world():
    """The inner guest: by names; by its QEMU as a process in a process of this machine; in a dump of the outer one."""
    guest = boot("inner", mem=RAM, share=False, start=nested.start_in(outer().name, FOLDER), timeout=READY_LIMIT)
    return worlds.World(guest, {"names": f"qemu:{OUTER}|qemu:inner", "processes": f"native|qemu:{outer().pid}|qemu:",
                                "dump": outer().dump("outer.elf") + "|qemu:inner"})


def setUpModule():
    """Here it fails once for all classes."""
    world()


class NamesTest(test_compare.Comparison, Case):
    world_of = staticmethod(world)
    name = "names"


class ProcessesTest(NamesTest):
    name = "processes"


class DumpTest(NamesTest):
    name = "dump"


class ReadTest(test_read.DumpTest):
    world_of = staticmethod(world)
    view_name = "names"


class InnerTest(Case):
    @classmethod
    def setUpClass(cls):
        cls.guest = world().guest
        cls.target = world().views["names"].target

    def test_its_qemu_is_a_process_of_the_outer_guest_which_names_it_too(self):
        rows = self.expect(run("ps", outer().target(), "--json"), 0).rows
        pid, = [row["pid"] for row in rows if "inner" in row["args"]]
        detail = f"guest 'inner' of process {pid} of a guest, map guessed from its command line"
        for name in ("inner", pid, ""):
            with self.subTest(name):
                info = self.expect(run("info", f"{outer().target()}|qemu:{name}", "--json"), 0).rows[0]
                self.assertEqual((info["connector"], info["detail"], info["live"], info["cpus"]), ("qemu", detail, True, 0))
                self.assertEqual(info["memory"], RAM << 20)
                self.assertIn("sonde.lab=inner", info["command_line"].split())

    def test_each_of_its_processes_is_a_target(self):
        for role in ("httpd", "manymaps"):
            pid = self.guest.role(role)
            wanted = compare.by_pid(self.guest.truth)[pid]
            with self.subTest(role):
                target = f"{self.target}|process:{pid}"
                found = [compare.mapping_of_row(row) for row in self.expect(run("maps", target, "--json"), 0).rows]
                self.assertEqual([(m[0], m[1], m[6]) for m in found],
                                 [(m[0], m[1], m[6]) for m in map(compare.mapping_of_truth, wanted["maps"])])
                info = self.expect(run("info", target, "--json"), 0).rows[0]
                self.assertEqual((info["connector"], info["detail"]), ("process", f"process {pid} of a guest"))

    def test_it_sees_what_is_written_into_a_page_of_its_process(self):
        at, word, _ = lab.page("inner", "map", FOLDER)
        target = f"{self.target}|process:1"
        data = self.expect(run("read", target, hex(at), PAGE, "--raw"), 0).out
        self.assertEqual(set(struct.unpack(f"<{PAGE // 8}Q", data)), {word})
        new = 0x1122334455667788
        self.expect(run("write", target, hex(at), "--hex", struct.pack("<Q", new).hex(), "--write"), 0)
        self.assertEqual(lab.page("inner", "look", FOLDER)[:2], (at, new))

    def test_all_of_its_memory_is_there_though_its_qemu_has_not_touched_all_of_it(self):
        path = os.path.join(FOLDER, "inner.elf")
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        row = self.expect(run("dump", self.target, "-o", path, "--json"), 0).rows[0]
        self.assertEqual((row["memory"], row["missing"]), (RAM << 20, 0))
        self.assertEqual([p["pid"] for p in self.expect(run("ps", path, "--json"), 0).rows if not p["kernel_thread"]],
                         [p["pid"] for p in self.guest.truth["processes"] if not p["kthread"]])

    def test_a_moment_of_the_outer_guest_is_one_of_the_inner(self):
        target = f"qemu:{outer().qmp},snapshot=copy|qemu:inner"
        truths = [self.guest.truth]
        rows = self.expect(run("ps", target, "--snapshot", "--json"), 0).rows
        lab.truth("inner", FOLDER, short=True)
        truths.append(self.guest.load())
        self.assertEqual(compare.process_list_faults(rows, truths, short=True), [])


if __name__ == "__main__":
    unittest.main()
