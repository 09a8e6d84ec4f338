# SPDX-License-Identifier: MIT
"""A guest and its dump served by NBD: the same rows as where they are, in few round trips, however far away."""
import json
import os
import re
import signal
import subprocess
import unittest

import worlds
from harness import FOLDER, Case, View, run

LISTS = (("ps",), ("modules",))
PLUGINS = {row["name"] for row in json.loads(run("plugins", "--json").out)}


@unittest.skipUnless("nbd" in PLUGINS, "built without libnbd")
class ServeTest(Case):
    def serve(self, target, leaf):
        """What @target is called when it is served."""
        path = os.path.join(FOLDER, leaf)
        child = subprocess.Popen([os.environ["SONDE_EXE"], "serve", target, "--listen", "unix:" + path, "--csv",
                                  "--no-header", "--fields", "target"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(child.wait)
        self.addCleanup(child.send_signal, signal.SIGTERM)
        self.addCleanup(child.stdout.close)
        return child.stdout.readline().strip()

    def processes(self, view):
        """Kernel threads change their names."""
        rows = view.rows("ps", "--fields", "pid,name,kernel_thread")
        return {(row["pid"], row["name"]) for row in rows if not row["kernel_thread"]}

    def test_processes_of_a_running_guest(self):
        target = worlds.plain().target(",via=map")
        here, there = (self.processes(View(target)) for target in (target, self.serve(target, "guest.sock")))
        self.assertEqual(there, here)
        self.assertGreater(len(there), 1)

    def requests(self, target):
        """Of a list of processes. How many of them a round trip takes is a matter of when each is answered."""
        result = run("ps", f"{target}|trace,file={os.path.join(FOLDER, 'requests')}", "--stats")
        self.expect(result, 0)
        return int(re.search(r"layer trace: .*, (\d+) requests, 0 requests unseen", result.err)[1])

    def test_rows_of_a_dump_take_as_many_requests_there_as_here(self):
        """But for a sweep of its pages: notes are not served."""
        dump = worlds.plain().dump("served.elf")
        served = self.serve(dump, "dump.sock")
        here, there = View(dump), View(served)
        for words in LISTS:
            self.assertEqual(there.rows(*words), here.rows(*words), words)
        here, there = self.requests(dump), self.requests(served)
        self.assertLess(there, here + 32, (there, here))
        self.assertGreater(here, 32)
