# SPDX-License-Identifier: MIT
"""
A guest that reboots, is reset and is killed while the tool lists its processes over and over: every list is of one kernel or
the other, or says what is wrong; afterwards the new one is seen. tests/connectors has a hundred more, without a kernel.
"""
import collections
import os
import random
import signal
import threading

import compare
from harness import FOLDER, Case, View, boot, bytes_of, lab, run

SEED = int(os.environ.get("SONDE_MOMENTS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
WAYS = (",via=map", ",via=process")


class RebootTest(Case):
    @classmethod
    def setUpClass(cls):
        cls.guest = boot("moments")
        cls.addClassCleanup(cls.guest.stop)

    def faults(self, rows, truths):
        """What no kernel of these has had. What it runs while it boots is init, in many names."""
        known = {(bytes.fromhex(p["name_hex"]), p["uid"]) for t in truths for p in t["processes"]}
        roles = {role.encode() for t in truths for role in t["zoo"]}  # which some are called at first
        names, uids = {n for n, _ in known} | {b"init", b"labproc"} | roles, {u for _, u in known}
        return [f"{r['pid']} '{r['name']}' uid {r['uid']} of {r['ppid']}" for r in rows
                if not r["missing"] and r["ppid"] not in (0, 2) and not
                (bytes_of(r["name"]) in names and r["uid"] in uids)]

    def faults_of(self, result, truths):
        """A list that says it is damaged may show what the next kernel has written over the last."""
        return [] if "the list is damaged" in result.err else self.faults(result.rows, truths)

    def judge(self, result):
        self.assertIn(result.code, (0, 1, 3, 4, 5), str(result))
        if result.code:
            self.assertNotEqual(result.err, "", str(result))
        for line in result.err.splitlines():
            self.assertRegex(line, r"\Asonde: ps: ", str(result))
        if result.code not in (0, 3):
            self.assertEqual(result.rows, [], str(result))

    def list_until(self, is_over):
        """Every list until then."""
        results = []
        while not is_over():
            results.append(run("ps", self.guest.target(WAYS[len(results) % 2]), "--json"))
            self.judge(results[-1])
        return results

    def reboot(self, how):
        truths = [self.guest.truth]
        rebooting = threading.Thread(target=lab.reboot, args=(self.guest.name, FOLDER, how))
        rebooting.start()
        try:
            results = self.list_until(lambda: not rebooting.is_alive())
        finally:
            rebooting.join()
        truths.append(self.guest.load())
        self.assertNotEqual(truths[0]["kernel"]["boot_id"], truths[1]["kernel"]["boot_id"])
        for result in results:
            self.assertEqual(self.faults_of(result, truths), [], str(result))
        print(f"\n    {how}: {dict(collections.Counter(r.code for r in results))} ... ", end="")
        self.guest.truths = [truths[1]]
        rows = [View(self.guest.target(way)).rows("ps") for way in WAYS]
        self.guest.tell()
        for way in rows:
            self.assertEqual(compare.process_list_faults(way, self.guest.truths), [])

    def test_a_guest_that_reboots_is_one_kernel_or_the_other(self):
        for how in ("reset", "guest"):
            with self.subTest(how):
                self.reboot(how)

    def test_one_that_is_killed_is_whole_or_gone(self):
        """By its name the last, because it leaves none: unittest goes by the alphabet."""
        chance = random.Random(SEED)
        print(f"SONDE_MOMENTS_SEED={SEED} ", end="")
        killing = threading.Timer(chance.random() * 2, os.kill, (self.guest.pid, signal.SIGKILL))
        killing.start()
        results = self.list_until(lambda: not killing.is_alive())
        results.append(run("ps", self.guest.target(), "--json"))
        self.assertEqual(self.expect(results[-1], 4, self.guest.qmp).rows, [])
        for result in results:
            self.assertEqual(self.faults_of(result, [self.guest.truth]), [], str(result))
