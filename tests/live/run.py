#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Run the tests on live guests: python3 run.py SONDE [TEST...]

SONDE is the tool; plugins are found through SONDE_PLUGIN_PATH. A TEST is a module, a class or a
method in a class, as in "test_compare.DumpTest". Prints each test and its time, at the end how many
passed, failed and were skipped. Exits with 1 when one failed, with 77 where no guest can be booted
or all were skipped.
"""
import os
import signal
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


class Report(unittest.TextTestResult):
    n_passed = 0

    def addSuccess(self, test):
        self.n_passed += 1
        super().addSuccess(test)

    def startTest(self, test):
        self.began = time.monotonic()
        super().startTest(test)

    def getDescription(self, test):
        if hasattr(test, "test_case"):
            return f"  {test._subDescription()}"
        if not hasattr(test, "_testMethodName"):  # what sets up a class, and all of its tests with it
            return str(test)
        return f"{type(test).__name__}: {test._testMethodName[5:].replace('_', ' ')}"

    def stopTest(self, test):
        super().stopTest(test)
        seconds = time.monotonic() - self.began
        if seconds > 2:
            self.stream.writeln(f"    {seconds:.1f} s")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # what nohup ignores its children would, too
    os.environ["SONDE_EXE"] = os.path.abspath(sys.argv[1])
    sys.path.insert(0, HERE)
    sys.dont_write_bytecode = True
    import harness
    try:
        harness.need_lab()
    except unittest.SkipTest as reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    names = sys.argv[2:] or sorted(f[:-3] for f in os.listdir(HERE) if f.startswith("test_"))
    suite = unittest.TestLoader().loadTestsFromNames(names)
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Report)
    result = runner.run(suite)
    failed = len({getattr(test, "test_case", test) for test, _ in result.failures + result.errors})
    skipped = len(result.skipped)
    passed = result.n_passed
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    if failed or not (passed or skipped):
        sys.exit(1)
    sys.exit(0 if passed else 77)


main()
