# SPDX-License-Identifier: MIT
"""aarch64: 6.1 with pages of 4 KiB, whose kallsyms names functions only, and 6.12 with pages of 16 KiB."""
import os

import frames
import narrow
import test_compare
import test_dirty
import test_read
import worlds
from harness import FOLDER, Case, boot, lab, run
from monitor import Monitor, registers


class DumpTest(test_compare.Comparison, Case):
    world_of = staticmethod(worlds.arm64)
    bits = 48  # of an address in either half

    def core_symbols(self):
        return [r for r in self.view().rows("sym", "--all") if r["module"] is None]

    def test_symbols_have_the_addresses_and_the_number_that_the_guest_says(self):
        """What the guest does not name comes on top: data, found in other ways."""
        wanted, rows = self.truths()[0]["symbols"], self.core_symbols()
        named = {(r["name"], r["addr"]): r["type"] for r in rows}
        self.assertNotIn("init_task", wanted["names"])
        self.assertGreater(len(rows), wanted["n_core"])
        self.assertEqual(self.view().info()["symbols"], wanted["n_core"])
        for name, address in wanted["names"].items():
            self.assertEqual(named.get((name, address)), wanted["types"][name], name)

    def test_data_that_kallsyms_does_not_name_is_found(self):
        types = {r["name"]: r["type"] for r in self.core_symbols()}
        for name in ("init_task", "init_pid_ns", "modules", "__per_cpu_offset", "tk_core",
                     "saved_command_line", "prb", "swapper_pg_dir", "vmcoreinfo_data"):
            self.assertIn(types.get(name), ("D", "R"), name)
        for name in ("linux_banner", "__start_BTF"):
            self.assertEqual(types.get(name), "R", name)

    def test_a_symbol_of_a_module_is_found_by_its_address(self):
        """But for those that say where code begins ($x): they name nothing."""
        some = [s for s in self.truths()[0]["symbols"]["module_symbols"] if s["name"][0] != "$"]
        self.assertGreater(len(some), 8)
        for one in some[:8]:
            row = self.view().rows("sym", one["address"])[0]
            self.assertEqual((row["addr"], row["offset"], row["module"]),
                             (one["address"], 0, one["module"]))

    def test_members_of_types_lie_where_the_kernel_has_them(self):
        members = {m: self.view().rows("type", "struct task_struct", m)[0] for m in ("comm", "pid")}
        task = next(r for r in self.view().rows("ps") if r["name"] == "sleep")
        at = int(task["addr"], 16)
        comm = run("read", self.view().target, hex(at + members["comm"]["offset"]), 16, "--kernel",
                   "--raw").out
        self.assertEqual(comm.partition(b"\0")[0], b"sleep")
        pid = run("read", self.view().target, hex(at + members["pid"]["offset"]), 4, "--raw").out
        self.assertEqual(int.from_bytes(pid, "little"), task["pid"])

    def test_the_table_of_a_walk_names_levels_and_bits(self):
        rows = self.view().rows("translate", "_stext", "--table")
        self.assertEqual([rows[0]["name"], rows[0]["bits"]], ["PGD", "V TABLE UXNTABLE"])
        self.assertLessEqual({"V", "RO", "AF", "UXN"}, set(rows[-1]["bits"].split()))
        self.assertFalse({"EL0", "DBM", "PXN", "TABLE"} & set(rows[-1]["bits"].split()))

    def test_low_addresses_are_none_of_the_kernels(self):
        """Its tables would map them, if they were taken for those of the other half."""
        there = self.view().rows("translate", "_stext")[0]
        low = int(there["va"], 16) & (1 << self.bits) - 1
        result = self.expect(run("read", self.view().target, hex(low), 16, "--kernel", "--json"), 1)
        self.assertEqual(result.rows[0]["error"], "NOT_MAPPED")


class SharedMemoryTest(DumpTest):
    name = "map"


class ProcessMemoryTest(DumpTest):
    name = "process"


class ProcessorTest(Case):
    def test_the_monitor_tells_general_registers_and_the_tool_who_tells_the_others(self):
        """Of a guest that stands still they are the stub's."""
        guest = worlds.arm64_16k().guest
        guest.pause()
        self.addCleanup(guest.resume)
        result = self.expect(run("cpus", guest.target(), "--json"), 3, "open a guest of QEMU as gdb:qemu:NAME")
        self.assertEqual([row["page_table"] for row in result.rows], [None, None])
        told = run("cpus", f"gdb:qemu:{guest.qmp}", "--json")
        self.assertEqual((told.code, told.err), (0, ""), str(told))
        for row, stub in zip(result.rows, told.rows):
            self.assertEqual(row["registers"], stub["registers"][:len(row["registers"])])
            self.assertEqual(len(row["registers"]), 34)
        self.assert_a_dump_has_them_too(guest, result.rows)
        self.assert_is_what_another_client_reads(told.rows[0])
        self.assert_roots(told.rows, run("info", guest.target(), "--json").rows[0])

    def assert_a_dump_has_them_too(self, guest, rows):
        path = os.path.join(FOLDER, "processors.elf")
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        self.expect(run("dump", guest.target(), "-o", path, "--format", "elf"), 0)
        self.assertEqual([row["registers"] for row in run("cpus", path, "--json").rows],
                         [row["registers"] for row in rows])

    def assert_is_what_another_client_reads(self, row):
        names = {"SCTLR": "sctlr_el1", "VBAR": "vbar_el1"} | {
            name: name.lower() for name in ("TTBR0_EL1", "TTBR1_EL1", "TCR_EL1", "MAIR_EL1")}
        with Monitor("stub", lab.Guest(worlds.arm64_16k().guest.name, FOLDER).path("control.sock")) as monitor:
            read = registers(monitor, *names)
        self.assertLessEqual({f"{names[name]}={value:#x}" for name, value in read.items()}, set(row["registers"]))

    def assert_roots(self, rows, info):
        """The kernel's own; or, in user code where tables are isolated, those two pages below."""
        own = int(info["page_table"], 16)
        for row in rows:
            registers = {k: int(v, 16) for k, v in (r.split("=") for r in row["registers"])}
            in_user_code = registers["pstate"] & 0xf == 0
            self.assertIn(int(row["page_table"], 16), {own, own - (2 << 14)} if in_user_code else {own})
            self.assertEqual(registers["tcr_el1"] >> 30 & 3, 1)  # 16 KiB
            self.assertEqual(row["vectors"], hex(registers["vbar_el1"]))


class NarrowProcessTest(Case):
    def test_a_process_of_32_bits_is_taken_for_one(self):
        guest = boot("arm64-narrow", arch="arm64")
        self.addCleanup(guest.stop)
        pid = narrow.start(guest, "arm64")
        step = f"{guest.target()}|process:{narrow.NAME}"
        self.assertEqual(self.expect(run("info", step, "--json"), 0).rows[0]["arch"], "arm")
        for words in ((step, hex(narrow.ENTRY)), (guest.target(), hex(narrow.ENTRY), "--pid", pid)):
            with self.subTest(words):
                rows = self.expect(run("disas", *words, "--json", "--count", 6), 0).rows
                self.assertEqual([(row["mnemonic"], row["target"]) for row in rows],
                                 [("ldr", hex(narrow.ENTRY + 8)), ("ldr", hex(narrow.ENTRY)), ("mov", None),
                                  ("svc", None), ("cmp", None), ("bne", hex(narrow.ENTRY + 0x24))])


class HostProcessorTest(Case):
    def test_a_kernel_at_el2_is_found_by_its_own_registers(self):
        guest = worlds.arm64_el2()
        guest.pause()
        self.addCleanup(guest.resume)
        stub = f"gdb:qemu:{guest.qmp}"
        info = run("info", guest.target(), "--json").rows[0]
        found = run("info", stub, "--json").rows[0]
        self.assertRegex(found["found_by"], r"^processor \d's page tables")
        for name in ("page_table", "kaslr_offset", "phys_base", "release"):
            self.assertEqual(found[name], info[name])
        told = run("cpus", stub, "--json")
        self.assertEqual((told.code, told.err), (0, ""), str(told))
        ProcessorTest.assert_roots(self, told.rows, info)
        levels = [int(dict(r.split("=") for r in row["registers"])["pstate"], 16) >> 2 & 3 for row in told.rows]
        self.assertLessEqual(set(levels), {0, 2})
        self.assertEqual([row["registers"][:34] for row in told.rows],
                         [row["registers"] for row in run("cpus", guest.target(), "--json").rows])


class ReadTest(test_read.DumpTest):
    world_of = staticmethod(worlds.arm64)


class LiveReadTest(ReadTest):
    view_name = "map"


class WidePagesDumpTest(DumpTest):
    world_of = staticmethod(worlds.arm64_16k)
    bits = 52

    def test_symbols_have_the_addresses_and_the_number_that_the_guest_says(self):
        test_compare.Comparison.test_symbols_have_the_addresses_and_the_number_that_the_guest_says(
            self)

    def test_data_that_kallsyms_does_not_name_is_found(self):
        """It names all: nothing is added."""
        self.assertEqual(len(self.core_symbols()), self.truths()[0]["symbols"]["n_core"])


class WidePagesSharedMemoryTest(WidePagesDumpTest):
    name = "map"


class WidePagesReadTest(test_read.DumpTest):
    world_of = staticmethod(worlds.arm64_16k)

    def test_the_highest_address_needs_52_bits(self):
        va, _ = self.pages("high")[0]
        self.assertGreater(va, 1 << 48)
        self.assertEqual(self.translate(va).rows[0]["levels"], 4)


class WidePagesLiveReadTest(WidePagesReadTest):
    view_name = "map"


class RebootTest(test_dirty.RebootTest):
    """No processor tells where its tables are: of all that earlier kernels left the running one is found by search."""

    options = {"arch": "arm64"}
    base = 1 << 30


class FramesTest(Case):
    """Of pages of 4 KiB, by the kernel's own words (/proc/kpageflags)."""

    def test_no_page_is_left_out_that_is_something_else(self):
        guest = worlds.arm64().guest
        wrong, kept, steady = frames.held_against(guest, guest.target(",via=map"))
        self.assertEqual(wrong, set())
        self.assertGreater(len(steady), 100000)
        self.assertLess(len(kept), len(steady) // 100)  # those of who reads it, and free ones that a processor has at hand
