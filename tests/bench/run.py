#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Run the benchmark on a small file in no time, and look at what it writes: python3 run.py BUILD

Nothing here depends on how fast anything was.
"""
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(sys.argv.pop())
PROGRAM = BUILD / "tools" / "bench" / "sonde-bench"
FIELDS = {"case": str, "ours": float, "unit": str, "reference": str, "theirs": float,
          "ratio": float}


def bench(folder, **variables):
    """make bench, in short: (exit code, stdout, stderr, rows)."""
    env = {"BENCH_FILE": str(folder / "file"), "BENCH_SIZE": "16M", "BENCH_QUICK": "1",
           "BENCH_JSON": str(folder / "rows.json"), "BENCH_SVG": str(folder / "chart.svg"),
           **variables}
    run = subprocess.run([sys.executable, ROOT / "tools" / "bench" / "bench.py", BUILD],
                         env={**os.environ, **env}, capture_output=True, text=True, timeout=280)
    path = folder / "rows.json"
    rows = json.loads(path.read_text()) if path.exists() else None
    return run.returncode, run.stdout, run.stderr, rows


def listed(*words):
    return set(subprocess.check_output([PROGRAM, "--list", *words], text=True).split())


class Bench(unittest.TestCase):
    def setUp(self):
        # Beside the build: a file in memory could not be read cold.
        self.temporary = tempfile.TemporaryDirectory(dir=BUILD)
        self.folder = pathlib.Path(self.temporary.name)

    def tearDown(self):
        self.temporary.cleanup()

    def check_row(self, row):
        for field, kind in FIELDS.items():
            value = float(row[field]) if kind is float else row[field]
            self.assertIsInstance(value, kind, row)
            self.assertTrue(kind is str or math.isfinite(value) and value >= 0, row)
        self.assertEqual(set(row), set(FIELDS))

    def test_every_case_comes_out_or_is_said_to_be_missing(self):
        code, out, err, rows = bench(self.folder)
        self.assertEqual(code, 0, err)
        for row in rows:
            self.check_row(row)
        cases = [row["case"] for row in rows]
        self.assertEqual(len(cases), len(set(cases)))
        absent = set(re.findall(r"^bench: no (\S+): .", err, re.MULTILINE))
        self.assertEqual(set(cases) | absent, listed())
        self.assertFalse(set(cases) & absent)
        for case in cases:
            self.assertRegex(out, rf"(?m)^{re.escape(case)} ")
        drawn = "".join(xml.parse(self.folder / "chart.svg").getroot().itertext())
        self.assertIn("sonde, auto", drawn)

    def test_every_target_has_its_case(self):
        sys.path.insert(0, str(ROOT / "tools" / "bench"))
        sys.dont_write_bytecode = True
        import table
        self.assertEqual(set(table.TARGETS) - listed(), set())

    def test_new_figures_replace_their_own_cases_and_no_others(self):
        other = {"case": "other.thing", "ours": 1, "unit": "ns", "reference": "x", "theirs": 2,
                 "ratio": 2}
        old = {"case": "ram.8.blocking", "ours": -1, "unit": "ns", "reference": "x", "theirs": 2,
               "ratio": 2}
        (self.folder / "rows.json").write_text(json.dumps([other, old]))
        code, _, err, rows = bench(self.folder, BENCH_CASES="ram.8.[bc]*")
        self.assertEqual(code, 0, err)
        self.assertEqual(rows[0], other)
        self.assertEqual(rows[1]["case"], "ram.8.blocking")
        self.assertEqual({row["case"] for row in rows[1:]}, listed("--cases", "ram.8.[bc]*"))
        for row in rows[1:]:
            self.check_row(row)

    def test_a_file_that_is_there_is_not_written(self):
        path = self.folder / "file"
        path.write_bytes(bytes(range(256)) * 1024)
        code, _, err, _ = bench(self.folder, BENCH_CASES="sync.rand.4096.qd1")
        self.assertEqual(code, 0, err)
        self.assertEqual(path.read_bytes(), bytes(range(256)) * 1024)

    def test_what_cannot_be_read_is_an_error(self):
        (self.folder / "file").mkdir()
        code, out, err, rows = bench(self.folder, BENCH_CASES="sync.rand.4096.qd1")
        self.assertNotEqual(code, 0)
        self.assertIn("file", err)
        self.assertIsNone(rows)

    def test_a_size_that_is_no_number_is_refused(self):
        code, _, err, _ = bench(self.folder, BENCH_SIZE="lots")
        self.assertNotEqual(code, 0)
        self.assertIn("BENCH_SIZE=lots", err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
