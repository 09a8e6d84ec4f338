#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Run the black-box tests of the tool: python3 run.py SONDE SONDE-CANNED SONDE-HOLED [TEST...]

SONDE is the tool, SONDE-CANNED the same with an operating system of constants in it, SONDE-HOLED a process to look
into. Plugins are
found through SONDE_PLUGIN_PATH. Prints each test's name and the number of tests; exits with 1 when
one failed or when there was none.
"""
import os
import sys
import unittest


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    here = os.path.dirname(os.path.abspath(__file__))
    for name, path in zip(("SONDE_EXE", "SONDE_CANNED_EXE", "SONDE_HOLED_EXE"), sys.argv[1:4]):
        os.environ[name] = os.path.abspath(path)
    os.environ.setdefault("SONDE_SOURCE", os.path.join(here, "..", ".."))
    sys.path.insert(0, here)
    sys.dont_write_bytecode = True
    loader = unittest.TestLoader()
    if len(sys.argv) > 4:
        suite = loader.loadTestsFromNames(sys.argv[4:])
    else:
        suite = loader.discover(here, pattern="test_*.py", top_level_dir=here)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    print(f"{result.testsRun} tests, {len(result.skipped)} skipped, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() and result.testsRun > 0 else 1)


main()
