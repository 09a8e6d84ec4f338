# SPDX-License-Identifier: MIT
"""What crash(8) says of a guest's dump, with the kernel's debug symbols: its modules, and how thousands of addresses are walked to."""
import os
import random
import re
import shutil
import subprocess
import unittest

import worlds
from harness import FOLDER, Case, lab, run, text_of

import debug  # of the lab

N_RANDOM = 3000
FLAGS = {"RW": "w", "USER": "user", "GLOBAL": "global", "ACCESSED": "accessed", "DIRTY": "dirty"}


class CrashTest(Case):
    """Of processes it finds one only in such dumps (8.0.2), so they, and their address spaces, are left to the guest's own word."""

    @classmethod
    def setUpClass(cls):
        if not shutil.which("crash"):
            raise unittest.SkipTest("no crash(8)")
        cls.world = worlds.main()
        try:
            cls.vmlinux = debug.vmlinux(lab.fetch())
        except lab.LabError as err:  # the kernel in the cache may be older than the symbols that the mirror has
            raise unittest.SkipTest(str(err)) from err

    def crash(self, lines):
        commands = os.path.join(FOLDER, "crash.in")
        with open(commands, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\nquit\n")
        done = subprocess.run(["crash", "-s", "-i", commands, self.vmlinux, self.world.dump], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)
        return text_of(done.stdout)

    def test_it_lists_the_same_modules(self):
        found = re.findall(r"^[0-9a-f]{16}\s+(\S+)\s+([0-9a-f]+)\s+(\d+)", self.crash(["mod"]), re.M)
        rows = self.world.views["dump"].rows("modules")
        self.assertEqual(sorted((n, int(b, 16), int(s)) for n, b, s in found),
                         sorted((r["name"], int(r["base"], 16), r["size"]) for r in rows))

    def addresses(self):
        """Of each run of pages that the kernel has mapped the first byte and the last, and those beside it; and any between."""
        runs = [(int(r["start"], 16), int(r["end"], 16)) for r in self.expect(run("pages", self.world.dump, "--json"), 0).rows]
        chance = random.Random(4096)
        found = {at for start, end in runs for at in (start - 1, start, end - 1, end % (1 << 64))}
        found |= {chance.randrange(start, end) for start, end in chance.choices(runs, k=N_RANDOM)}
        return sorted(at for at in found if runs[0][0] <= at < 1 << 64)  # it calls none below its map of all memory the kernel's

    def theirs(self, addresses):
        """By address: the entry of each level, the page's address, its flags; the two only where it is mapped."""
        said = self.crash([f"vtop {at:x}" for at in addresses])
        found = {}
        for part in re.split(r"^VIRTUAL +PHYSICAL *$", said, flags=re.M)[1:]:
            at = int(re.match(r"\s*([0-9a-f]+)", part)[1], 16)
            entries = re.findall(r"^PAGE DIRECTORY: ([0-9a-f]+)|^ *(?:P4D|PUD|PMD|PTE): [0-9a-f]+ => ([0-9a-f]+)", part, re.M)
            page = re.search(r"^ *PTE +PHYSICAL +FLAGS\n *[0-9a-f]+ +([0-9a-f]+) +\((.*)\)", part, re.M)
            found[at] = ([int(a or b, 16) for a, b in entries],
                         (int(page[1], 16), frozenset(page[2].split("|"))) if page else None)
        return found

    def test_it_walks_to_the_same_entries_and_pages(self):
        addresses = self.addresses()
        theirs = self.theirs(addresses)
        ours = []
        for i in range(0, len(addresses), 1000):
            result = run("translate", self.world.dump, *(hex(at) for at in addresses[i:i + 1000]), "--json")
            self.assertIn(result.code, (0, 3), result.err)
            ours += result.rows
        self.assertEqual([int(row["va"], 16) for row in ours], addresses)
        self.assertEqual(set(theirs), set(addresses))
        n_mapped = 0
        for row in ours:
            entries, page = theirs[int(row["va"], 16)]
            with self.subTest(row["va"]):
                self.assertEqual([int(entry, 16) for entry in row["entries"]], entries)
                self.assertEqual(row["kind"] == "mapped", page is not None and "PRESENT" in page[1])
                if row["kind"] == "mapped":
                    n_mapped += 1
                    self.check_page(row, *page)
        self.assertGreater(n_mapped, N_RANDOM)
        self.assertGreater(len(addresses) - n_mapped, 50)
        print(f"  {len(addresses)} addresses, {n_mapped} of them mapped")

    def check_page(self, row, pa, flags):
        self.assertEqual(int(row["pa"], 16) & -row["page_size"], pa & -row["page_size"])
        words = set(row["attrs"].split()) | set(row["perms"])
        for theirs, word in FLAGS.items():
            self.assertEqual(word in words, theirs in flags, theirs)
        self.assertEqual("x" in words, "NX" not in flags)
        self.assertEqual(row["page_size"] > 4096, "PSE" in flags)


if __name__ == "__main__":
    unittest.main()
