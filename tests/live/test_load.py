# SPDX-License-Identifier: MIT
"""A guest in which processes are born, change and end all the time: no list shows one that never was."""
import collections
import os
import subprocess
import unittest

import compare
import worlds
from harness import FOLDER, Case, bytes_of, lab, run, text_of

RELIST = os.environ.get("SONDE_RELIST")
N_OPEN, N_RUNS, N_MAPS = 1000, 100, 20  # lists of one program that stays; runs of the tool
SECONDS = 900  # what it bounds is a hang
PARENTS = 2
WAYS = (",via=map", ",via=process")
BRIEF_UID = 40000

Row = collections.namedtuple("Row", "pid ppid uid torn name args")


def rows_of_tool(rows):
    return [Row(r["pid"], r["ppid"], r["uid"] or 0, bool(r["missing"]), bytes_of(r["name"] or ""),
                [bytes_of(a) for a in r["args"] or []]) for r in rows]


def unhex(text):
    return b"" if text == "-" else bytes.fromhex(text)


def row_of_line(words):
    pid, ppid, uid, missing, _, name, arguments = words
    return Row(int(pid), int(ppid), int(uid), missing != "0", unhex(name), unhex(arguments).split(b"\0")[:-1])


class LoadTest(Case):
    @classmethod
    def setUpClass(cls):
        cls.guest = worlds.busy()
        cls.truth = cls.guest.tell()
        lab.load(cls.guest.name, PARENTS, FOLDER)

    @classmethod
    def tearDownClass(cls):
        lab.load(cls.guest.name, 0, FOLDER)

    def faults(self, rows):
        """What cannot be: rows that are of two processes, and members of the zoo that are not as they always are."""
        whole = [r for r in rows if not r.torn]
        texts = [f"{r}: listed twice" for pid, n in collections.Counter(r.pid for r in whole).items() if n > 1
                 for r in whole if r.pid == pid]
        zoo = {pid: p for pid, p in compare.by_pid(self.truth).items() if not p["kthread"]}
        seen = {r.pid: r for r in whole}
        for pid, process in zoo.items():
            row = seen.get(pid)
            if row is None or (row.name, row.uid, row.ppid) != (bytes.fromhex(process["name_hex"]), process["uid"],
                                                                process["ppid"]):
                texts.append(f"{pid}: {row}, not as it has always been")
        return texts + [text for r in whole if r.pid not in zoo for text in self.faults_of_brief(r)]

    def faults_of_brief(self, row):
        own = str(row.pid).encode()
        uid = BRIEF_UID + row.pid % 1000
        if row.name == b"labproc" or row.args[1:]:  # the kernel gives the name first, and arguments a little later
            good = row.args[1:] in ([], [b"--role", b"brief", own]) and row.uid == uid
        elif row.name.startswith(b"brief-"):
            good = row.name == b"brief-" + own and row.uid == uid
        else:  # not yet named, a parent, or a thread of the kernel
            good = row.name in (b"load", b"init") and row.uid in (0, uid) or row.ppid in (0, 2)
        return [] if good else [f"{row}: of two processes"]

    def tell(self, counts):
        print(f"\n    {dict(counts)} ... ", end="")

    def test_every_run_of_the_tool_is_whole_or_says_what_is_not(self):
        counts = collections.Counter()
        for n in range(N_RUNS):
            result = run("ps", self.guest.target(WAYS[n % 2]), "--json")
            self.assertIn(result.code, (0, 3), str(result))
            rows = rows_of_tool(result.rows)
            self.assertEqual(self.faults(rows), [], str(result))
            torn = sum(r.torn for r in rows)
            self.assertEqual(bool(result.err), result.code == 3, str(result))
            self.assertFalse(torn and result.code == 0, str(result))
            counts.update(runs=1, rows=len(rows), torn=torn, brief=sum(r.uid >= BRIEF_UID for r in rows))
        self.tell(counts)
        self.assertGreater(counts["brief"], 0)

    def test_mappings_of_what_rests_are_whole_whatever_goes_on_around_them(self):
        wanted = {pid: [compare.mapping_of_truth(m) for m in p["maps"]] for pid, p in compare.by_pid(self.truth).items()
                  if pid != self.truth["teller"]}
        for n in range(N_MAPS):
            result = run("maps", self.guest.target(WAYS[n % 2]), "--all", "--json")
            self.assertIn(result.code, (0, 3), str(result))
            self.assertEqual(bool(result.err), result.code == 3, str(result))
            found = collections.defaultdict(list)
            for row in result.rows:
                self.assertTrue(row["error"] or int(row["start"], 16) < int(row["end"], 16), row)
                found[row["pid"]].append(compare.mapping_of_row(row) if row["pid"] in wanted else row)
            for pid, mappings in wanted.items():
                self.assertEqual(found[pid], mappings, pid)

    @unittest.skipUnless(RELIST, "the program that lists again and again is not built")
    def test_a_thousand_lists_of_a_program_that_stays_open(self):
        for extra in WAYS:
            with self.subTest(extra):
                done = subprocess.run([RELIST, self.guest.target(extra), str(N_OPEN)], capture_output=True,
                                      timeout=SECONDS, check=False)
                self.assertEqual((done.returncode, text_of(done.stderr)), (0, ""))
                self.look_at(text_of(done.stdout).splitlines())

    def look_at(self, lines):
        counts, rows = collections.Counter(), None
        self.assertEqual(lines[-1].strip(), "gone OK")
        for line in lines:
            words = line.split(" ")
            if words[0] == "row":
                rows.append(row_of_line(words[1:]))
                continue
            if rows is not None:
                self.assertEqual(self.faults(rows), [])
                counts.update(rows=len(rows), torn=sum(r.torn for r in rows),
                              brief=sum(r.uid >= BRIEF_UID for r in rows))
            if words[0] == "list":
                self.assertEqual(words[1], "OK", line)
                counts.update(lists=1, damaged=len(words) > 2 and words[2] != "")
                rows = []
        self.tell(counts)
        self.assertEqual(counts["lists"], N_OPEN)
        self.assertGreater(counts["brief"], 0)


if __name__ == "__main__":
    unittest.main()
