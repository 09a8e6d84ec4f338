# SPDX-License-Identifier: MIT
"""Memory of a process: pages of every size, pages that are elsewhere, addresses that are none."""
import os
import struct

import worlds
from harness import FOLDER, Case, run


class DumpTest(Case):
    """The lab's process 'pattern': at each address v of its pages lies the word magic ^ v."""

    world_of = staticmethod(worlds.main)
    view_name = "dump"

    @classmethod
    def setUpClass(cls):
        cls.world = cls.world_of()
        cls.truth = cls.world.truths[0]
        cls.pid = cls.world.guest.role("pattern")
        cls.page = cls.truth["page_size"]
        cls.huge = cls.page // 8 * cls.page  # what one table of 8-byte entries maps
        cls.magic = int(cls.truth["pattern"]["magic"], 16)
        cls.target = cls.world.views[cls.view_name].target

    def pages(self, *kinds):
        found = [p for p in self.truth["pattern"]["pages"] if p["kind"] in kinds]
        self.assertNotEqual(found, [], "the guest has no such page")
        return [(int(p["va"], 16), p) for p in found]

    def words(self, va, n_bytes):
        return b"".join(struct.pack("<Q", self.magic ^ a) for a in range(va, va + n_bytes, 8))

    def read(self, va, length, *options):
        return run("read", self.target, hex(va), str(length), "--pid", self.pid, *options)

    def translate(self, va):
        return run("translate", self.target, hex(va), "--pid", self.pid, "--json")

    def test_pages_of_every_kind_hold_what_the_process_wrote(self):
        for kind in ("small", "hugetlb", "thp", "prot-none", "high"):
            for va, _ in self.pages(kind):
                with self.subTest(kind=kind, va=hex(va)):
                    result = self.expect(self.read(va, self.page, "--raw"), 0)
                    self.assertEqual(result.out, self.words(va, self.page))

    def test_a_whole_huge_page_is_read_in_one_go(self):
        for kind in ("hugetlb", "thp"):
            va, _ = self.pages(kind)[0]
            result = self.expect(self.read(va, self.huge, "--raw"), 0)
            self.assertEqual(result.out[::self.page], self.words(va, self.huge)[::self.page], kind)

    def test_unaligned_reads_across_pages_are_stitched_together(self):
        va, _ = self.pages("small")[0]
        first, length = self.page - 5, self.page + 11
        result = self.expect(self.read(va + first, length, "--raw"), 0)
        self.assertEqual(result.out, self.words(va, 3 * self.page)[first:first + length])

    def check_marks(self, kind, row):
        """The process has written all of its pages, and then closed some to itself."""
        kept = kind == "prot-none"
        marks = row["attrs"].split()
        self.assertEqual("present" in marks, not kept)
        self.assertEqual("user" in marks, not kept)
        self.assertTrue(kept or ("accessed" in marks and "dirty" in marks))
        self.assertEqual(row["perms"][:2], "--" if kept else "rw")

    def test_physical_addresses_and_page_sizes_are_those_of_pagemap(self):
        sizes = {"hugetlb": self.huge, "thp": self.huge}
        for va, page in self.pages("small", "hugetlb", "thp", "prot-none", "high"):
            with self.subTest(page=page):
                row = self.expect(self.translate(va), 0).rows[0]
                self.assertEqual(row["pa"], page["pa"])
                self.assertEqual(row["page_size"], sizes.get(page["kind"], self.page))
                self.check_marks(page["kind"], row)
                self.assertEqual(row["pid"], self.pid)
                self.assertEqual(len(row["entries"]), row["levels"])
                self.assertIsNone(row["error"])

    def test_the_dump_of_the_tables_has_every_page_once_and_says_what_translate_says(self):
        rows = self.expect(run("pages", self.target, "--pid", self.pid, "--json"), 0).rows
        spans = [(int(r["start"], 16), int(r["end"], 16)) for r in rows]
        self.assertEqual(spans, sorted(spans))
        self.assertTrue(all(a[1] <= b[0] for a, b in zip(spans, spans[1:])))
        for va, page in self.pages("small", "hugetlb", "thp", "prot-none", "high"):
            with self.subTest(page=page):
                [row] = [r for r, (start, end) in zip(rows, spans) if start <= va < end]
                there = self.translate(va).rows[0]
                marks = row["attrs"].removesuffix(" same")
                behind = 0 if marks != row["attrs"] else va - int(row["start"], 16)
                self.assertEqual(int(row["pa"], 16) + behind, int(page["pa"], 16))
                self.assertEqual([row["page_size"], row["perms"], marks],
                                 [there["page_size"], there["perms"], there["attrs"]])

    def test_a_physical_page_leads_back_to_its_processes(self):
        pages = list(self.pages("small", "hugetlb", "thp", "prot-none", "high"))
        rows = self.expect(run("translate", self.target, "--reverse", *[page["pa"] for _, page in pages],
                               "--json"), 0).rows
        for va, page in pages:
            with self.subTest(page=page):
                mine = [row for row in rows if row["pid"] == int(self.pid) and
                        int(row["va"], 16) <= va < int(row["va"], 16) + row["pages"] * row["page_size"] and
                        int(row["pa"], 16) == int(page["pa"], 16)]
                self.assertEqual(len(mine), 1)
                # The kernel maps all memory once more.
                self.assertTrue(any(row["pid"] is None and int(row["pa"], 16) == int(page["pa"], 16)
                                    for row in rows))

    def test_the_dump_of_the_kernels_tables_has_its_text(self):
        rows = self.expect(run("pages", self.target, "--json"), 0).rows
        there = self.expect(run("translate", self.target, "_stext", "--json"), 0).rows[0]
        va = int(there["va"], 16)
        [row] = [r for r in rows if int(r["start"], 16) <= va < int(r["end"], 16)]
        self.assertEqual(int(row["pa"], 16) + va - int(row["start"], 16), int(there["pa"], 16))
        self.assertEqual((row["pid"], row["perms"], row["attrs"]), (None, there["perms"], there["attrs"]))

    def test_the_same_bytes_lie_at_the_physical_address(self):
        for va, page in self.pages("small", "thp"):
            result = run("read", self.target, page["pa"], self.page, "--phys", "--raw")
            self.assertEqual(self.expect(result, 0).out, self.words(va, self.page))

    def test_a_page_in_swap_is_reported_as_such_and_not_as_zeros(self):
        for va, _ in self.pages("swapped"):
            result = self.expect(self.read(va, self.page, "--json"), 1)
            self.assertEqual([(r["data"], r["error"]) for r in result.rows], [(None, "PAGED_OUT")])
            self.expect(self.translate(va), 1)
            row = self.translate(va).rows[0]
            self.assertEqual((row["error"], row["kind"], row["swap_type"]), ("PAGED_OUT", "in swap", 0))

    def test_around_a_hole_and_a_page_in_swap_the_rest_is_read(self):
        va, _ = self.pages("small")[-1]
        result = self.expect_partial(self.read(va, 2 * self.page, "--json"), hex(va + self.page)[2:])
        good = b"".join(bytes.fromhex(r["data"]) for r in result.rows if r["data"])
        self.assertEqual(good, self.words(va, self.page))
        self.assertEqual({r["error"] for r in result.rows}, {None, "NOT_MAPPED"})

    def test_what_cannot_be_read_is_zero_in_raw_output(self):
        va, _ = self.pages("small")[-1]
        path = os.path.join(FOLDER, "page")
        result = self.expect_partial(self.read(va, 2 * self.page, "-o", path))
        self.assertEqual(result.out, b"")
        with open(path, "rb") as file:
            self.assertEqual(file.read(), self.words(va, self.page) + bytes(self.page))

    def test_addresses_that_are_none_are_refused_one_by_one(self):
        for va in (0, 0x0100000000000000, 0xfeffffffffffffff, 0xffffffffffffffff):
            with self.subTest(va=hex(va)):
                result = self.expect(self.read(va, 1, "--json"), 1)
                self.assertEqual(result.rows[0]["error"], "NOT_MAPPED")

    def test_a_process_that_is_not_there_is_named(self):
        result = run("read", self.target, "0x1000", 16, "--pid", 32000)
        self.expect(result, 1, "32000")
        self.assertEqual(result.out, b"")

    def test_a_kernel_thread_has_no_memory_of_its_own(self):
        result = run("read", self.target, "0x1000", 16, "--pid", 2)
        self.expect(result, 1, "2")

    def test_the_kernels_own_memory_is_read_by_symbol(self):
        banner = self.truth["kernel"]["version"].encode()
        result = self.expect(run("read", self.target, "linux_banner", len(banner), "--raw"), 0)
        self.assertEqual(result.out, banner)
        rows = self.expect(run("translate", self.target, "linux_banner", "--json"), 0).rows
        self.assertIsNone(rows[0]["pid"])
        result = run("read", self.target, rows[0]["pa"], len(banner), "--phys", "--raw")
        self.assertEqual(self.expect(result, 0).out, banner)


class SharedMemoryTest(DumpTest):
    view_name = "map"


class ProcessMemoryTest(DumpTest):
    view_name = "process"


