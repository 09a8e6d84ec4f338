# SPDX-License-Identifier: MIT
"""A run on a guest that goes on living, written down and repeated without it: bit for bit."""
import os

import worlds
from harness import FOLDER, Case, run


class ReplayTest(Case):
    @classmethod
    def setUpClass(cls):
        cls.world = worlds.main()
        cls.path = os.path.join(FOLDER, "run.rec")

    def record(self, via, *words):
        if os.path.exists(self.path):
            os.unlink(self.path)
        target = f"{self.world.guest.target(via)}|record,file={self.path}"
        return self.expect(run(words[0], target, *words[1:], "--json"), 0)

    def test_each_list_comes_out_as_it_was(self):
        for via in (",via=map", ",via=process"):
            for words in (("ps",), ("threads",), ("modules",), ("maps", "--all"), ("dmesg",)):
                with self.subTest(via=via, words=words):
                    live = self.record(via, *words)
                    again = run(words[0], f"replay:{self.path}", *words[1:], "--json")
                    self.expect(again, 0)
                    self.assertTrue(live.rows)
                    self.assertEqual(again.out, live.out)

    def test_what_is_said_of_the_target_is_what_was_said_of_the_guest(self):
        live, again = self.record(",via=process", "info"), run("info", self.path, "--json")
        rows = [dict(result.rows[0]) for result in (live, again)]
        self.assertEqual(rows[1].pop("connector"), "replay")
        for row in rows:
            row.pop("target")
            row.pop("connector", None)
        self.assertEqual(rows[1], rows[0])

    def test_the_engine_does_not_matter(self):
        live = self.record(",via=map", "ps", "--engine", "io_uring")
        for engine in ("sync", "threads"):
            again = run("ps", self.path, "--json", "--engine", engine)
            self.assertEqual(again.out, live.out)

    def test_a_recording_that_was_cut_off_says_so_and_goes_as_far_as_it_can(self):
        self.record(",via=process", "ps")
        os.truncate(self.path, os.path.getsize(self.path) - 100)
        (row,) = self.expect(run("info", self.path, "--json"), 0).rows
        self.assertIn("cut off", row["detail"])
        self.assertIn(run("ps", self.path).code, (0, 3, 5))
