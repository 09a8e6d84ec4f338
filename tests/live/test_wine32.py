# SPDX-License-Identifier: MIT
"""A program of Windows for i386, under Wine: as a process and as a minidump of it."""
import os
import re
import sys
import unittest

from harness import HERE, Case, lab, need_lab, run

import wine32  # of the lab

sys.path.insert(0, os.path.join(HERE, "..", "synth"))
import prompt  # noqa: E402

PROGRAM = r"c:\windows\system32\cmd.exe"
MODULES = ("cmd.exe", "ntdll.dll", "kernel32.dll", "kernelbase.dll")


class Wine32Test(Case):
    @classmethod
    def setUpClass(cls):
        need_lab()
        try:
            cls.prefix = wine32.Prefix()
        except lab.LabError as err:
            raise unittest.SkipTest(str(err)) from err
        cls.addClassCleanup(cls.prefix.end)
        cls.prefix.run("wineboot", "-i")
        cls.child = cls.enterClassContext(cls.prefix.program(PROGRAM, "/q"))
        prompt.wait_for_it(cls.child)
        cls.target = f"process:{cls.child.pid}"

    def rows(self, *words):
        return self.expect(run(*words, "--json"), 0).rows

    def pe_modules(self, target):
        return {row["name"].lower(): (row["base"], row["size"]) for row in self.rows("modules", target)
                if row["path"].lower().startswith("c:")}

    def test_modules_are_where_their_files_are_mapped(self):
        with open(f"/proc/{self.child.pid}/maps", encoding="utf-8") as file:
            maps = file.read()
        listed = self.pe_modules(self.target)
        for name in MODULES:
            at = re.search(rf"(?m)^0*(\w+)-\w+ \S+ 00000000 .*/{re.escape(name)}$", maps)
            self.assertEqual(listed[name][0], "0x" + at[1], name)
        self.assertIn("ntdll.so", [row["name"] for row in self.rows("modules", self.target)])

    def test_its_code_is_that_of_i386(self):
        self.assertEqual(self.rows("info", self.target)[0]["arch"], "i386")
        symbol = self.rows("sym", self.target, "NtReadFile")[0]
        self.assertEqual((symbol["module"], symbol["type"]), ("ntdll.dll", "T"))
        code = self.rows("disas", self.target, "NtReadFile", "--count", 2)
        self.assertEqual([row["operands"].split(",")[0] for row in code], ["eax", "edx"])  # number of the call, its gate

    def minidump(self):
        listed = self.prefix.run("winedbg", "--command", "info process")
        pid = re.search(r"(?m)^\W*(\w+) .*'cmd\.exe'$", listed)
        self.assertTrue(pid, listed)
        said = self.prefix.run("winedbg", "--command", r'minidump "c:\\small.dmp"', "0x" + pid[1])
        path = os.path.join(self.prefix.path, "drive_c/small.dmp")
        self.assertTrue(os.path.exists(path), said)
        return path, int(pid[1], 16)

    def test_a_minidump_of_it_is_the_process(self):
        path, pid = self.minidump()
        self.assertEqual(self.rows("info", path)[0]["arch"], "i386")
        self.assertEqual(self.pe_modules(path), self.pe_modules(self.target))
        process = self.expect(run("ps", path, "--json"), 3).rows[0]  # its arguments are not in it
        self.assertEqual((process["pid"], process["name"]), (pid, "cmd.exe"))
        threads = self.expect(run("threads", path, "--registers", "--json"), 3).rows  # nor times and users
        first = min(threads, key=lambda row: row["tid"])
        registers = dict(word.split("=") for word in first["registers"])
        self.assertEqual((registers["eip"], registers["esp"]), (first["pc"], first["sp"]))
        self.assertEqual(self.rows("sym", self.target, first["pc"])[0]["name"], "NtReadFile")  # it waits for input
        at = int(first["sp"], 16)
        end = next(int(row["end"], 16) for row in self.rows("maps", path)
                   if int(row["start"], 16) <= at < int(row["end"], 16))
        words = (hex(at), str(end - at), "--raw")
        self.assertEqual(self.expect(run("read", path, *words), 0).out, self.expect(run("read", self.target, *words), 0).out)


if __name__ == "__main__":
    unittest.main()
