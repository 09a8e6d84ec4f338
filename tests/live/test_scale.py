# SPDX-License-Identifier: MIT
"""Five thousand processes: all of them, in about as many round trips as for a hundred."""
import re

import compare
import worlds
from harness import SONDE, Case, run, stats

SLOW = "|delay,ms=2"


class Scale:
    """Counts are asserted, times are printed."""

    @classmethod
    def setUpClass(cls):
        cls.few, cls.many = worlds.main(), worlds.crowded()

    def test_all_processes_are_listed_as_the_guest_lists_them(self):
        rows = self.view(self.many).rows("ps")
        self.assertGreater(len(rows), 5000)
        self.assertEqual(compare.process_list_faults(rows, self.many.truths, short=True), [])

    def ask_slowly(self, world):
        result = run("ps", self.view(world).target + SLOW, "--stats", "--json")
        self.assertEqual(result.code, 0, str(result))
        faults = compare.process_list_faults(result.rows, world.truths, world is self.many)
        self.assertEqual(faults, [])
        return len(result.rows), stats(result, "target memory")["trips"], result

    def test_the_number_of_round_trips_hardly_grows_with_that_of_processes(self):
        n_few, trips_few, _ = self.ask_slowly(self.few)
        n_many, trips_many, result = self.ask_slowly(self.many)
        time = re.search(r"stats: time: (.*)", result.err)[1]
        print(f"\n    {n_few} processes: {trips_few} round trips; {n_many} processes: "
              f"{trips_many}, {time} at 2 ms each ... ", end="")
        self.assertGreater(n_many, 40 * n_few)
        self.assertLess(trips_many, 2 * trips_few + 50)
        self.assertLess(trips_many, 500)  # which is a second


class DumpTest(Scale, Case):
    def view(self, world):
        return world.views["dump"]

    def test_a_list_out_of_a_warm_dump_needs_less_than_64_mib(self):
        with open(SONDE, "rb") as program:
            if b"__asan_" in program.read():
                self.skipTest("a sanitizer's own memory counts too")
        runs = [run("ps", self.few.dump, "--stats") for _ in range(5)]
        said = [re.search(r"stats: time: (\S+) ms[\s\S]*peak memory: ([\d.]+)M", r.err)
                for r in runs]
        self.assertNotIn(None, said, str(runs[0]))
        peak = max(float(m[2]) for m in said)
        print(f"\n    {min(float(m[1]) for m in said)} ms, {peak} MiB ... ", end="")
        self.assertLess(peak, 64)

    def test_the_tasks_of_all_processes_leave_their_stacks_nearly_empty(self):
        result = run("maps", self.few.dump, "--all", "--stats")
        said = re.search(r"stats: tasks: \d+ stacks of 64K, the fullest was used to ([\d.]+)K",
                         result.err)
        self.assertIsNotNone(said, str(result))
        self.assertLess(float(said[1]), 32)


class SharedMemoryTest(Scale, Case):
    def view(self, world):
        return world.views["map"]


class ProcessMemoryTest(Scale, Case):
    def view(self, world):
        return world.views["process"]
