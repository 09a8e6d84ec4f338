# SPDX-License-Identifier: MIT
"""
Dumps in which the kernel's data was changed: each shows its message and exit code, ends within
seconds, and what could be read still comes.

Exit codes are those of sonde(1): 1 nothing came, 3 something is missing, 5 no kernel was found.
"""
import struct

import worlds
from harness import Case, run
from images import KernelImage

SECONDS = 60  # of one run; hangs are what this bounds, so it is far above what a run takes
NOWHERE = 0x4141414141414141  # not canonical
BEYOND = 0xffffffffff600000  # canonical, of the kernel, and nothing is there that is RAM
# linux v6.6 lib/maple_tree.c: the type of a node is in bits 3 to 6 of a pointer to it
MAPLE_RANGE, MAPLE_ARANGE = 2, 3
PIVOTS = {1: 15, MAPLE_RANGE: 15, MAPLE_ARANGE: 9}


def setUpModule():
    global image, processes
    image = KernelImage(worlds.main().dump)
    processes = {r["name"]: r for r in worlds.main().views["dump"].rows("ps")}


class Damage(Case):
    def ask(self, command, *args):
        return run(command, image.path, *args, "--json", limit=SECONDS)

    def whole(self, *words):
        return worlds.main().views["dump"].rows(*words)

    def task(self, name):
        return int(processes[name]["addr"], 16)

    def memory_of(self, name):
        """Address of the mm_struct of a process."""
        return image.pointer(self.task(name) + image.member("struct task_struct", "mm"))

    def pids(self, result):
        return [r["pid"] for r in result.rows]


class ProcessListTest(Damage):
    def setUp(self):
        self.all = [r["pid"] for r in self.whole("ps")]
        self.tasks = image.member("struct task_struct", "tasks")
        self.root = image.va("init_pid_ns") + image.member("struct pid_namespace",
                                                            "idr.idr_rt.xa_head")
        self.node = image.pointer(self.root) & ~3
        self.slots = self.node + image.member("struct xa_node", "slots")

    def test_a_pid_tree_whose_node_points_to_itself_is_finished_by_the_task_list(self):
        with image.poke((self.slots + 8, self.node | 2)):
            result = self.expect_partial(self.ask("ps"), "PID tree", "task list was whole")
            self.assertEqual(self.pids(result), self.all)
            self.expect_partial(self.ask("threads"), "PID tree")

    def test_a_pid_tree_that_points_outside_memory_is_finished_by_the_task_list(self):
        for where in (NOWHERE & ~3 | 2, BEYOND | 2):
            with self.subTest(hex(where)), image.poke((self.slots + 8, where)):
                result = self.expect_partial(self.ask("ps"), "PID tree", "task list was whole")
                self.assertEqual(self.pids(result), self.all)

    def test_an_empty_pid_tree_is_replaced_by_the_task_list(self):
        with image.poke((self.root, 0)):
            result = self.expect_partial(self.ask("ps"), "PID tree is empty", "list was whole")
            self.assertEqual(self.pids(result), self.all)

    def test_a_cyclic_task_list_does_not_disturb_the_pid_tree(self):
        link = self.task("sleep") + self.tasks
        with image.poke((link, link)):
            self.assertEqual(self.pids(self.expect(self.ask("ps"), 0)), self.all)

    def test_a_tree_and_a_list_that_are_both_cyclic_give_what_they_hold_and_end(self):
        link = self.task("sleep") + self.tasks
        for back in (link, NOWHERE, BEYOND):
            with self.subTest(hex(back)), image.poke((self.slots + 8, self.node | 2), (link, back)):
                result = self.expect_partial(self.ask("ps"), "PID tree", "task list is broken")
                self.assertEqual(self.pids(result), self.all)  # backwards leads to the others

    def test_without_a_tree_and_with_a_list_that_is_cut_twice_both_ends_come(self):
        """Forwards up to the first cut, backwards down to the last; what is between is lost."""
        first, last = (self.task(n) + self.tasks for n in ("sleep", "httpd"))
        with image.poke((self.root, 0), (first, NOWHERE), (last + 8, BEYOND)):
            found = self.pids(self.expect_partial(self.ask("ps"), "may be missing"))
            lost = {p for p in self.all
                    if processes["sleep"]["pid"] < p < processes["httpd"]["pid"]}
            self.assertEqual(set(found), set(self.all) - lost)
            self.assertEqual(len(lost), 2)

    def test_a_process_whose_pointers_lie_lacks_those_fields_only(self):
        cases = (("real_cred", "cred", ("uid", "gid", "euid", "egid")),
                 ("mm", "memory", ("rss", "vsize", "page_table")))
        for member, missing, fields in cases:
            for value in (NOWHERE, BEYOND, 0x1000):
                at = self.task("sleep") + image.member("struct task_struct", member)
                with self.subTest(member=member, value=hex(value)), image.poke((at, value)):
                    result = self.expect_partial(self.ask("ps"), "1 of ", "lack fields")
                    self.assertEqual(self.pids(result), self.all)
                    rows = {r["pid"]: r for r in result.rows}
                    row = rows.pop(processes["sleep"]["pid"])
                    self.assertIn(missing, row["missing"])
                    self.assertEqual([row[f] for f in fields], [None] * len(fields))
                    self.assertEqual((row["name"], row["ppid"]), ("sleep", 1))
                    self.assertEqual([r["missing"] for r in rows.values()], [[]] * len(rows))

    def test_arguments_that_claim_terabytes_are_bounded(self):
        at = self.memory_of("sleep") + image.member("struct mm_struct", "arg_end")
        with image.poke((at, 0x7ffffffff000)):
            row = next(r for r in self.expect_partial(self.ask("ps")).rows
                       if r["name"] == "sleep")
            self.assertEqual((row["missing"], row["args"]), (["cmdline"], None))

    def test_a_name_without_an_end_stops_where_its_array_does(self):
        at = self.task("sleep") + image.member("struct task_struct", "comm")
        with image.poke((at, b"x" * 16)):
            rows = self.expect(self.ask("ps"), 0).rows
            self.assertIn("x" * 16, [r["name"] for r in rows])


class PageTableTest(Damage):
    def setUp(self):
        self.pid = str(processes["sleep"]["pid"])
        self.root = int(processes["sleep"]["page_table"], 16)

    def expect_no_page(self, entry, *levels):
        entry = struct.pack("<Q", entry)
        with image.changed(*((self.root + 8 * i, entry) for i in (0, 255))):
            row = self.expect(self.ask("translate", "0x400000", "--pid", self.pid), 1).rows[0]
            self.assertEqual((row["pa"], row["error"]), (None, "NOT_MAPPED"))
            self.assertIn(row["levels"], levels)
            result = self.expect(self.ask("read", "0x400000", 64, "--pid", self.pid), 1, "0x400000")
            self.assertEqual([r["data"] for r in result.rows], [None])
            rows = self.expect_partial(self.ask("ps"), "1 of ").rows
            self.assertEqual(len(rows), len(self.whole("ps")))
            self.assertEqual(next(r for r in rows if r["name"] == "sleep")["missing"], ["cmdline"])

    def test_a_root_that_points_to_no_memory_maps_nothing(self):
        self.expect_no_page(0x000fffffff000067, 1, 2)

    def test_an_entry_that_is_not_present_maps_nothing(self):
        self.expect_no_page(0, 1)

    def test_a_table_that_points_to_itself_ends_after_the_levels_there_are(self):
        with image.changed((self.root, struct.pack("<Q", self.root | 0x67))):
            row = self.ask("translate", "0", "--pid", self.pid).rows[0]
            self.assertEqual((row["levels"], row["pa"]), (4, hex(self.root)))
            self.expect(self.ask("ps"), 0)

    def test_the_kernels_tables_may_loop_and_the_command_still_ends(self):
        """Without tables there is no kernel; the memory itself is still there to be read."""
        top = int(worlds.main().views["dump"].info()["page_table"], 16)
        loops = [(top + 8 * 511, struct.pack("<Q", top | 0x67))]
        loops += [(r + 8 * 511, struct.pack("<Q", r | 0x67)) for r in {
            int(p["page_table"], 16) for p in self.whole("ps") if p["page_table"]}]
        with image.changed(*loops):
            result = self.expect(self.ask("ps"), 5, "no kernel")
            self.assertEqual(result.rows, [])
            info = self.expect(self.ask("info"), 0).rows[0]
            self.assertIsNone(info["os"])
            self.assertIn("no kernel", info["no_os"])
            self.expect(self.ask("read", "0x100000", 4096, "--phys"), 0)


class ModulesTest(Damage):
    def setUp(self):
        self.head = image.va("modules")
        self.first = image.pointer(self.head)
        self.names = [r["name"] for r in self.whole("modules")]

    def test_a_list_that_runs_in_a_circle_is_noticed(self):
        with image.poke((self.first, self.first)):
            result = self.expect_partial(self.ask("modules"), "runs in a circle")
            self.assertEqual(sorted(r["name"] for r in result.rows), sorted(self.names))

    def test_a_link_that_leads_nowhere_loses_no_module_that_is_known_elsewhere(self):
        for link in (NOWHERE, BEYOND, 0x4141):
            with self.subTest(hex(link)), image.poke((self.first, link)):
                result = self.expect_partial(self.ask("modules"), "damaged")
                self.assertLessEqual(set(self.names), {r["name"] for r in result.rows})

    def test_an_emptied_list_is_contradicted_by_the_tree_of_addresses(self):
        with image.poke((self.head, self.head)):
            result = self.expect_partial(self.ask("modules"), "not in its list")
            self.assertEqual(sorted(r["name"] for r in result.rows), sorted(self.names))


class MappingsTest(Damage):
    """The process with 600 mappings: its maple tree has more than one level."""

    def setUp(self):
        if "vm_next" in self.ask("type", "struct vm_area_struct").rows[0]["declaration"]:
            self.skipTest("this kernel keeps mappings in a list")
        self.pid = str(processes["manymaps"]["pid"])
        memory = self.memory_of("manymaps")
        self.root_at = memory + image.member("struct mm_struct", "mm_mt.ma_root")
        self.root = image.pointer(self.root_at)
        self.slot_at = self.slots(self.root)
        self.whole_rows = [r for r in self.whole("maps", "--all") if r["pid"] == int(self.pid)]

    def slots(self, entry):
        """Where the slots of a node begin: behind its parent and its pivots."""
        return (entry & ~0xff) + 8 + 8 * PIVOTS[entry >> 3 & 15]

    def leaf_slot(self):
        """The first slot of the first leaf that is no gap."""
        entry = self.root
        while entry >> 3 & 15 != 1:
            entry = image.pointer(self.slots(entry))
        at = self.slots(entry)
        while image.pointer(at) == 0:
            at += 8
        return at

    def maps(self):
        return self.ask("maps", "--pid", self.pid)

    def expect_some(self, result, at_least, *parts):
        rows = self.expect_partial(result, *parts).rows
        self.assertGreaterEqual(len(rows), at_least)
        known = {r["start"] for r in self.whole_rows}
        self.assertLessEqual({r["start"] for r in rows if r["error"] is None}, known)
        self.assertEqual(len(rows), len({r["start"] for r in rows}))

    def test_a_node_that_points_to_itself_is_not_followed_again(self):
        with image.poke((self.slot_at, self.root)):
            self.expect_some(self.maps(), 300, "could not be followed")

    def test_a_slot_that_leads_nowhere_loses_what_is_below_it_only(self):
        for entry in (NOWHERE, BEYOND | 0x0c, 2, 0xffffffffffffffff):
            with self.subTest(hex(entry)), image.poke((self.slot_at, entry)):
                self.expect_some(self.maps(), 300)

    def test_a_tree_without_a_root_is_noticed_by_the_kernels_own_count(self):
        for root in (0, NOWHERE, self.root & ~0x78):
            with self.subTest(hex(root)), image.poke((self.root_at, root)):
                result = self.expect_partial(self.maps(), "process " + self.pid, "damaged")
                self.assertEqual([r for r in result.rows if r["error"] is None], [])

    def test_a_mapping_that_is_not_in_memory_leaves_the_others(self):
        with image.poke((self.leaf_slot(), BEYOND)):
            self.expect_some(self.maps(), len(self.whole_rows) - 1)

    def test_a_mapping_that_ends_before_it_begins_leaves_the_others(self):
        record = image.pointer(self.leaf_slot())
        at = record + image.member("struct vm_area_struct", "vm_start")
        with image.poke((at, 0xffffffffffffffff)):
            self.expect_some(self.maps(), len(self.whole_rows) - 1)

    def test_a_file_that_is_not_there_costs_the_path_only(self):
        record = image.pointer(self.leaf_slot())
        at = record + image.member("struct vm_area_struct", "vm_file")
        with image.poke((at, BEYOND)):
            result = self.expect_partial(self.maps(), "could not be read whole")
            self.assertEqual([r["start"] for r in result.rows],
                             [r["start"] for r in self.whole_rows])
            self.assertEqual(sum(r["error"] is not None for r in result.rows), 1)


class LogTest(Damage):
    def setUp(self):
        self.ring = image.pointer(image.va("prb"))
        ring, desc, data = ("struct printk_ringbuffer", "struct prb_desc_ring",
                            "struct prb_data_ring")
        descs, texts = image.member(ring, "desc_ring"), image.member(ring, "text_data_ring")
        self.at = {m: self.ring + descs + image.member(desc, m)
                   for m in ("count_bits", "head_id", "tail_id", "descs", "infos")}
        self.at.update({m: self.ring + texts + image.member(data, m)
                        for m in ("size_bits", "data")})

    def test_counts_that_no_ring_has_are_refused_with_its_address(self):
        for member, value in (("count_bits", 0x7fffffff), ("count_bits", 0), ("count_bits", 64),
                              ("size_bits", 0x7fffffff), ("size_bits", 63)):
            with self.subTest(member=member, value=value), \
                    image.poke((self.at[member], struct.pack("<I", value))):
                self.assertEqual(self.expect(self.ask("dmesg"), 1, "ring at 0x").rows, [])

    def test_ids_that_contradict_each_other_are_refused(self):
        for member in ("head_id", "tail_id"):
            with self.subTest(member), image.poke((self.at[member], 0x3fffffffffffffff)):
                self.assertEqual(self.expect(self.ask("dmesg"), 1, "contradicts").rows, [])

    def test_a_text_ring_that_says_it_is_smaller_loses_records_and_says_so(self):
        with image.poke((self.at["size_bits"], struct.pack("<I", 12))):
            result = self.expect_partial(self.ask("dmesg"), "no text where")
            self.assertLess(len(result.rows), len(self.whole("dmesg")))

    def test_arrays_that_are_not_there_are_named_as_missing(self):
        for member in ("descs", "infos", "data"):
            for value in (NOWHERE, BEYOND):
                with self.subTest(member=member, value=hex(value)), \
                        image.poke((self.at[member], value)):
                    result = self.ask("dmesg")
                    self.assertIn(result.code, (1, 3), str(result))
                    self.assertRegex(result.err, "log", str(result))

    def test_a_pointer_to_no_ring_is_refused(self):
        for value in (NOWHERE, BEYOND, 0):
            with self.subTest(hex(value)), image.poke((image.va("prb"), value)):
                self.assertEqual(self.expect(self.ask("dmesg"), 1, "log").rows, [])


class KernelTest(Damage):
    """What a kernel says of itself: without it there is none, and the memory remains."""

    def expect_no_kernel(self, *parts):
        result = self.expect(self.ask("ps"), 5, *parts)
        self.assertEqual(result.rows, [])
        info = self.expect(self.ask("info"), 0).rows[0]
        self.assertEqual((info["os"], info["memory"]), (None, self.whole("info")[0]["memory"]))
        for part in parts:
            self.assertIn(part, info["no_os"])
        self.expect(self.ask("read", "0x100000", 64, "--phys"), 0)

    def test_a_symbol_table_that_lies_about_its_number_is_refused(self):
        at = image.noted_symbol("kallsyms_num_syms")
        for value in (0xffffffff, 0x7fffffff, 16, 0):
            with self.subTest(value), image.poke((at, struct.pack("<I", value))):
                self.expect_no_kernel("kallsyms")

    def test_a_symbol_table_whose_tokens_lie_is_refused(self):
        for name in ("kallsyms_token_index", "kallsyms_token_table", "kallsyms_names"):
            with self.subTest(name), image.poke((image.noted_symbol(name), b"\xff" * 512)):
                self.expect_no_kernel("kallsyms")

    def test_types_that_lie_about_their_lengths_are_refused_with_the_way_out(self):
        start = image.va("__start_BTF")
        # struct btf_header of linux v6.6 include/uapi/linux/btf.h: hdr_len, type_off, type_len,
        # str_off, str_len are the words from byte 4 on
        for offset in (4, 8, 12, 16, 20):
            for value in (0xffffffff, 0x7fffffff):
                with self.subTest(offset=offset, value=hex(value)), \
                        image.poke((start + offset, struct.pack("<I", value))):
                    self.expect_no_kernel("BTF", "--symbols")

    def test_types_that_are_overwritten_are_refused_with_the_way_out(self):
        start = image.va("__start_BTF")
        for offset, data in ((0, b"\0\0"), (24 + 64, b"\xff" * 2048)):
            with self.subTest(offset), image.poke((start + offset, data)):
                self.expect_no_kernel("BTF", "--symbols")

    def test_an_init_task_that_is_not_on_its_own_list_hides_nobody(self):
        at = image.va("init_task") + image.member("struct task_struct", "tasks")
        with image.poke((at, NOWHERE)):
            self.assertEqual(self.expect(self.ask("ps"), 0).rows, self.whole("ps"))
