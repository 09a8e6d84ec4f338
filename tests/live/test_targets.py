# SPDX-License-Identifier: MIT
"""The list of what could be opened, with guests that run."""
import worlds
from harness import Case, run


class GuestsTest(Case):
    def row(self, guest):
        rows = [r for r in run("targets", "qemu", "--json").rows if r["pid"] == guest.pid]
        self.assertEqual(len(rows), 1)
        return rows[0]

    def test_a_guest_is_listed_with_its_state_and_opens_by_the_name_given(self):
        guest = worlds.plain()
        row = self.row(guest)
        self.assertEqual((row["name"], row["state"]), (guest.name, "running"))
        self.assertIn("512 MiB", row["detail"])
        self.assertIn(f"pid {guest.pid}", run("info", row["target"], "--json").rows[0]["detail"])

    def test_a_guest_that_stands_still_is_paused(self):
        guest = worlds.plain()
        self.addCleanup(guest.resume)
        guest.pause()
        self.assertEqual(self.row(guest)["state"], "paused")
