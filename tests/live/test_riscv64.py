# SPDX-License-Identifier: MIT
"""riscv64: 6.12 with five levels of tables."""
import contextlib

import test_compare
import test_read
import worlds
from harness import FOLDER, Case, lab, run
from monitor import Monitor


class DumpTest(test_compare.Comparison, Case):
    world_of = staticmethod(worlds.riscv64)

    def test_the_random_offset_of_the_kernel_is_found(self):
        self.assertEqual(self.view().info()["kaslr_offset"], "0x0")
        self.assertEqual(self.truths()[0]["kernel"]["kaslr_offset"], "0x0")

    def test_the_table_of_a_walk_names_levels_and_bits(self):
        rows = self.view().rows("translate", "_stext", "--table")
        self.assertEqual([(r["name"], r["bits"]) for r in rows[:2]], [("PGD", "V"), ("P4D", "V")])
        self.assertEqual(rows[-1]["bits"], "V R X G A D")


class SharedMemoryTest(DumpTest):
    name = "map"

    def test_the_kernel_is_found_by_registers(self):
        self.assertRegex(self.view().info()["found_by"], r"^processor \d's page tables")


class ProcessMemoryTest(SharedMemoryTest):
    name = "process"


class ProcessorTest(Case):
    def setUp(self):
        self.guest = worlds.riscv64().guest
        self.guest.pause()
        self.addCleanup(self.guest.resume)
        self.rows = self.of(self.guest.target())

    def of(self, target):
        result = run("cpus", target, "--json")
        self.assertEqual((result.code, result.err), (0, ""), str(result))
        return result.rows

    def test_registers_are_those_that_the_stub_tells(self):
        self.assertEqual(len(self.rows), 2)
        self.assertEqual(self.rows, self.of(f"gdb:qemu:{self.guest.qmp}"))

    def test_satp_has_the_mode_and_the_table_of_the_kernel_or_of_a_process(self):
        known = {r["page_table"] for r in run("ps", self.guest.target(), "--json").rows}
        known.add(run("info", self.guest.target(), "--json").rows[0]["page_table"])
        for row in self.rows:
            registers = dict(r.split("=") for r in row["registers"])
            satp = int(registers["satp"], 16)
            self.assertEqual(satp >> 60, 10)  # Sv57
            self.assertEqual(row["page_table"], hex((satp & (1 << 44) - 1) << 12))
            self.assertIn(row["page_table"], known)

    @contextlib.contextmanager
    def satp(self, value):
        """In all processors, put there by the stub; afterwards each has its own again."""
        with Monitor("liar", lab.Guest(self.guest.name, FOLDER).path("control.sock")) as monitor:
            own = self.exchange(monitor, [value] * 2)
            try:
                yield
            finally:
                self.exchange(monitor, own)

    def exchange(self, monitor, values):
        own = []
        with monitor.gdb() as gdb:
            number = gdb.numbers()["satp"]
            for thread, value in enumerate(values, 1):
                self.assertEqual(gdb.ask(f"Hgp1.{thread}"), b"OK")
                own.append(gdb.register(number))
                self.assertEqual(gdb.ask(f"P{number:x}={value.to_bytes(8, 'little').hex()}"), b"OK")
        return own

    def test_a_root_that_leads_nowhere_does_not_win(self):
        """The firmware's code is no table, and what is beyond all RAM neither."""
        honest = run("info", self.guest.target(), "--json").rows[0]
        self.assertRegex(honest["found_by"], r"^processor 0's page tables")
        for place in (0x80000000, 0xfffffffffff000):
            with self.subTest(hex(place)), self.satp(10 << 60 | place >> 12):
                self.assertEqual({row["page_table"] for row in self.of(self.guest.target())}, {hex(place)})
                info = run("info", self.guest.target(), "--json").rows[0]
                self.assertRegex(info["found_by"], r"^vmcoreinfo at 0x\w+, found in RAM")
                for key in ("release", "page_table", "symbols", "kaslr_offset"):
                    self.assertEqual(info[key], honest[key])

    def test_exceptions_go_where_the_guest_has_their_handler(self):
        for row in self.rows:
            there = run("sym", self.guest.target(), row["vectors"], "--json").rows[0]
            self.assertEqual((there["name"], there["offset"]), ("handle_exception", 0))


class ReadTest(test_read.DumpTest):
    world_of = staticmethod(worlds.riscv64)


class LiveReadTest(ReadTest):
    view_name = "map"
