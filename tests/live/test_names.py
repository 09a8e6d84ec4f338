# SPDX-License-Identifier: MIT
"""Symbols, types and code of a guest, against what it says of itself."""
import unittest

import worlds
from harness import Case, run


class NamesTest(Case):
    @classmethod
    def setUpClass(cls):
        cls.world = worlds.main()
        cls.truth = cls.world.truths[0]
        cls.view = cls.world.views["dump"]
        cls.path = cls.world.dump

    def rows(self, *words):
        return self.expect(run(*words, "--json"), 0).rows

    def test_an_address_is_named_by_its_symbol_and_offset(self):
        for name in ("schedule", "do_exit", "init_task", "linux_banner"):
            address = int(self.truth["symbols"]["names"][name], 16)
            row = self.rows("sym", self.path, hex(address + 5))[0]
            self.assertEqual((row["name"], row["addr"], row["offset"]), (name, hex(address), 5))

    def test_symbols_of_modules_are_found_by_name_and_by_address(self):
        for one in self.truth["symbols"]["module_symbols"][:8]:
            address = int(one["address"], 16)
            with self.subTest(one):
                found = {(r["addr"], r["module"], r["type"])
                         for r in self.rows("sym", self.path, "--match", one["name"])}
                self.assertIn((hex(address), one["module"], one["type"]), found)
                row = self.rows("sym", self.path, hex(address))[0]
                self.assertEqual((row["addr"], row["offset"], row["module"]),
                                 (hex(address), 0, one["module"]))

    def test_names_that_are_none_are_refused(self):
        result = run("sym", self.path, "no_such_symbol_anywhere", "--json")
        self.assertEqual(self.expect(result, 1, "no_such_symbol_anywhere").rows, [])
        result = run("type", self.path, "struct no_such_type", "--json")
        self.assertEqual(self.expect(result, 1, "no_such_type").rows, [])

    def test_the_layout_of_a_type_is_the_one_the_guest_uses(self):
        """By its own memory: the member at that offset of init_task holds what it must."""
        members = {r["member"]: r for r in (self.rows("type", self.path, "struct task_struct", m)[0]
                                            for m in ("comm", "pid", "tasks"))}
        self.assertEqual((members["comm"]["size"], members["pid"]["size"]), (16, 4))
        for name, task in (("sleep", None), ("init", None)):
            task = next(r for r in self.view.rows("ps") if r["name"] == name)
            at = int(task["addr"], 16)
            comm = run("read", self.path, hex(at + members["comm"]["offset"]), 16, "--raw").out
            self.assertEqual(comm.partition(b"\0")[0], name.encode())
            pid = run("read", self.path, hex(at + members["pid"]["offset"]), 4, "--raw").out
            self.assertEqual(int.from_bytes(pid, "little"), task["pid"])

    def test_a_declaration_names_members_with_their_types(self):
        row = self.rows("type", self.path, "struct list_head")[0]
        self.assertEqual(row["size"], 16)
        self.assertRegex(row["declaration"], r"struct list_head\s*\*\s*next;")

    def test_a_function_is_disassembled_to_its_end_with_names(self):
        result = run("disas", self.path, "schedule", "--json")
        if result.code == 1 and "Capstone" in result.err:
            self.skipTest("built without Capstone")
        rows = self.expect(result, 0).rows
        symbol = self.rows("sym", self.path, "schedule")[0]
        start = int(symbol["addr"], 16)
        code = run("read", self.path, "schedule", symbol["size"], "--raw").out
        self.assertEqual(b"".join(bytes.fromhex(r["bytes"]) for r in rows), code[:sum(
            len(r["bytes"]) // 2 for r in rows)])
        at = start
        for row in rows:
            self.assertEqual(int(row["addr"], 16), at)
            at += len(row["bytes"]) // 2
        self.assertEqual(rows[0]["symbol"].split("+")[0], "schedule")
        self.assertTrue(any(r["mnemonic"].startswith("call") and r["target_symbol"] for r in rows))
