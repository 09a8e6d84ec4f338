# SPDX-License-Identifier: MIT
"""
A hundred times a bare QEMU machine (machines.py) is killed, reset, or moved to another QEMU at a random moment while the tool
reads it: each time all bytes are right, or zero and said to be missing and why; nothing hangs, nothing crashes; and what
stands under its name afterwards is read again.

SONDE_MOMENTS_SEED repeats a run: the seed is printed.
"""
import collections
import os
import random
import signal
import subprocess
import time

import machines
from machines import AT, PRIVATE, SHARED, SONDE, Case

SEED = int(os.environ.get("SONDE_MOMENTS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
N_TIMES = 100
SECONDS = 120  # far above what a read takes: what it bounds is a hang
PAGE = 4096
IMAGE = b"".join(i.to_bytes(8, "little") for i in range(16 << 17))  # 16 MiB, no two words alike
SLOW = "|delay,ms=1"  # a read of it takes a tenth of a second at least
READ_TAKES = 0.15
REASONS = r"went away|has ended|nobody listens|connection was closed|no such guest|no answer|is migrating|No such file"


class MomentsTest(Case):
    def begin(self, name, share, *args, loaded=True):
        return self.guest(name, *(SHARED if share else PRIVATE), *args, loaded=loaded, pattern=IMAGE)

    def reading(self, guest, via):
        words = [SONDE, "read", "--raw", "--phys", f"qemu:{guest.socket},via={via}{SLOW}", hex(AT), str(len(IMAGE))]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def judge(self, reader, at_once):
        """How a read ended; fails where it is neither right nor honest."""
        out, err = reader.communicate(timeout=SECONDS)
        err = err.decode()
        self.assertIn(reader.returncode, (0, 1, 3, 4), err)
        if reader.returncode == 0:
            self.assertTrue(out == IMAGE, f"wrong bytes and no word of it\n{err}")
            return "whole"
        self.assertRegex(err, REASONS)
        if reader.returncode == 4:
            self.assertEqual((out, err.count("\n")), (b"", 1))
            return "not opened"
        self.assertFalse(at_once, err)
        self.assertEqual(len(out), len(IMAGE))
        for first in range(0, len(IMAGE), PAGE):
            page = out[first:first + PAGE]
            if page != IMAGE[first:first + PAGE]:
                self.assertEqual(page.strip(b"\0"), b"", f"wrong bytes at {first:#x}\n{err}")
        return "cut"

    def expect_whole(self, guest, via):
        self.assertEqual(self.judge(self.reading(guest, via), at_once=True), "whole")

    def once(self, event, chance):
        share = chance.random() < 0.5
        via = chance.choice(("map", "process")) if share else "process"
        guest = after = self.begin(f"mortal-{event}", share)
        try:
            reader = self.reading(guest, via)
            time.sleep(chance.random() * READ_TAKES)
            after = getattr(self, "do_" + event)(guest, share)
            ended = self.judge(reader, at_once=False)
            if after:
                self.expect_whole(after, via)
            return ended
        finally:
            guest.end()
            if after:
                after.end()

    def do_kill(self, guest, share):
        guest.process.send_signal(signal.SIGKILL)
        guest.process.wait()
        return self.begin("mortal-kill", share)  # another one of its name, at its socket

    def do_quit(self, guest, _):
        guest.ask("quit")
        guest.process.wait()

    def do_reset(self, guest, _):
        guest.ask("system_reset")
        return guest

    def do_migrate(self, guest, share):
        path = os.path.join(self.folder, "wire")
        into = self.begin("mortal-into", share, "-incoming", "unix:" + path, loaded=False)
        early = self.reading(into, "process")
        guest.migrate(path)
        guest.ask("quit")
        self.judge(early, at_once=False)
        return into

    def test_each_of_a_hundred_ends_in_right_bytes_or_a_named_error(self):
        chance = random.Random(SEED)
        print(f"SONDE_MOMENTS_SEED={SEED} ", end="", flush=True)
        counts = collections.Counter()
        for n in range(N_TIMES):
            event = chance.choice(("kill", "kill", "quit", "reset", "reset", "migrate"))
            with self.subTest(seed=SEED, time=n, event=event):
                counts[event, self.once(event, chance)] += 1
        print(", ".join(f"{e} {how}: {k}" for (e, how), k in sorted(counts.items())), end=" ")
        self.assertIn("cut", {how for _, how in counts})


if __name__ == "__main__":
    machines.main()
