# SPDX-License-Identifier: MIT
"""Targets that end in the middle, are cut off, may not be read, or are not there."""
import contextlib
import os
import shutil
import subprocess
import time
import unittest

import compare
import worlds
from harness import FOLDER, HERE, SONDE, Case, boot, kill_whole, run, text_of
from images import PT_LOAD, Image

SECONDS = 90  # far above what a run takes: what it bounds is a hang


class KilledGuestTest(Case):
    """QEMU dies by SIGKILL while its own, private memory is read."""

    def setUp(self):
        self.guest = boot("killed", share=False)
        self.addCleanup(self.guest.stop)

    def kill(self):
        kill_whole(self.guest.pid)

    def test_a_list_and_a_read_under_way_end_with_a_message_and_later_ones_say_who_is_gone(self):
        rows = self.expect(run("ps", self.guest.target(), "--json"), 0).rows
        truths = [self.guest.truth, self.guest.tell()]
        self.assertEqual(compare.process_list_faults(rows, truths), [])
        # 20 ms a trip makes a list of seconds; the read fills its pipe and waits for the reader.
        words = ["ps", self.guest.target("|delay,ms=20"), "--json"], [
            "read", self.guest.target(), "0x100000", "400M", "--phys", "--raw"]
        runs = [subprocess.Popen([SONDE, *w], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE) for w in words]
        begun = runs[1].stdout.read(1 << 20)
        time.sleep(0.4)
        self.assertIsNone(runs[0].poll())
        self.assertIsNone(runs[1].poll())
        self.kill()
        outs = [r.communicate(timeout=SECONDS) for r in runs]
        errs = [text_of(e) for _, e in outs]
        self.assertIn(runs[0].returncode, (1, 3, 4, 5), errs[0])
        self.assertRegex(errs[0], r"\Asonde: ps: ", errs[0])
        self.assertEqual(runs[1].returncode, 3, errs[1])
        self.assertRegex(errs[1], r"went away|gone|ended", errs[1])
        self.assertRegex(errs[1], r"bytes could not be read", errs[1])
        self.assertEqual(len(begun + outs[1][0]), 400 << 20)  # zeros for what did not come
        for extra in ("", ",via=process"):
            with self.subTest(extra):
                result = run("ps", self.guest.target(extra), "--json", limit=SECONDS)
                self.expect(result, 4, self.guest.qmp)
                self.assertEqual(result.rows, [])


class NotThereTest(Case):
    """Names that mean nothing. One line of stderr, exit code 4, an empty array."""

    def expect_absent(self, target, *parts):
        for command in ("ps", "info"):
            with self.subTest(command):
                result = self.expect(run(command, target, "--json"), 4, *parts)
                self.assertEqual(result.rows, [])
                self.assertEqual(result.err.count("\n"), 1, str(result))

    def test_a_socket_that_is_not_there(self):
        path = os.path.join(FOLDER, "no-such-socket")
        self.expect_absent(f"qemu:{path}", path)

    def test_a_guest_that_nobody_runs(self):
        self.expect_absent("qemu:no-guest-of-this-name", "no-guest-of-this-name")

    def test_a_process_that_is_no_guest(self):
        self.expect_absent(f"qemu:pid={os.getpid()}", str(os.getpid()))

    def test_a_connector_that_is_not_installed(self):
        self.expect_absent("nosuchthing:x", "nosuchthing")

    def test_a_layer_that_is_not_installed(self):
        self.expect_absent(worlds.main().dump + "|nosuchlayer", "nosuchlayer")

    def test_a_socket_on_which_nobody_speaks_qmp(self):
        """Here: a file that is no socket at all."""
        self.expect_absent("qemu:" + os.path.join(HERE, "run.py"), "run.py")


@unittest.skipUnless(os.getuid() == 0, "only root can become somebody else")
class NoPermissionTest(Case):
    def setUp(self):
        self.guest = worlds.main().guest

    def test_a_process_of_root_is_refused_to_others_with_the_reason(self):
        code, out, err = self.as_nobody("read", f"process:{os.getpid()}", "0x400000", 16)
        self.assertIn(code, (1, 4), err)
        self.assertEqual(out, "")
        self.assertRegex(err, r"\Asonde: read: .*(ermission|ptrace|root|access)", err)

    def test_a_guest_of_root_is_refused_to_others_with_the_reason(self):
        code, out, err = self.as_nobody("ps", f"qemu:pid={self.guest.pid}", "--json")
        self.assertEqual((code, out.strip().replace("\n", "")), (4, "[]"), err)
        self.assertRegex(err, r"\Asonde: ps: ", err)

    def test_a_dump_of_root_is_refused_to_others_with_the_reason(self):
        os.chmod(FOLDER, 0o755)
        try:
            code, _, err = self.as_nobody("ps", worlds.main().dump)
        finally:
            os.chmod(FOLDER, 0o700)
        self.assertEqual(code, 4, err)
        self.assertIn("ermission denied", err)


class FirstBytes:
    """The first @length bytes of a file, as a file."""

    def __init__(self, file, length):
        self.file, self.left = file, length

    def read(self, size):
        data = self.file.read(min(size, self.left))
        self.left -= len(data)
        return data


class CutDumpTest(Case):
    """The same dump, shorter and shorter."""

    @classmethod
    def setUpClass(cls):
        cls.world = worlds.main()
        cls.image = Image(cls.world.dump)
        cls.path = os.path.join(FOLDER, "cut.elf")

    @contextlib.contextmanager
    def cut(self, length):
        """The first @length bytes, as a file of their own."""
        with open(self.image.path, "rb") as whole, open(self.path, "wb") as part:
            shutil.copyfileobj(FirstBytes(whole, length), part, 1 << 22)
        try:
            yield self.path
        finally:
            os.unlink(self.path)

    def test_in_its_headers_the_dump_is_refused_or_read_as_far_as_it_goes(self):
        """At offsets all over the ELF header, the program headers and the notes."""
        first = min(h[2] for h in self.image.headers if h[1] == PT_LOAD)
        headers_end = max(h[0] for h in self.image.headers) + 56
        offsets = [0, 1, 3, 4, 5, 6, 16, 40, 52, 63, 64, *range(128, headers_end, 37),
                   headers_end - 1, headers_end, headers_end + 1, first - 1, first]
        for offset in offsets:
            with self.subTest(offset), self.cut(offset) as path:
                result = run("ps", path, "--json", limit=SECONDS)
                self.assertIn(result.code, (4, 5), str(result))
                self.assertEqual(result.rows, [])
                self.expect(result, result.code, os.path.basename(path) if result.code == 4
                            else "sonde: ps: ")
                info = run("info", path, "--json", limit=SECONDS)
                self.assertIn(info.code, (0, 3, 4), str(info))

    def test_in_its_memory_what_lies_before_the_cut_is_still_read(self):
        ram = max((h for h in self.image.headers if h[1] == PT_LOAD), key=lambda h: h[4])
        for share in (0.02, 0.3, 0.6, 0.9):
            length = ram[2] + int(ram[4] * share) & ~7
            last = ram[3] + length - ram[2]
            with self.subTest(share), self.cut(length) as path:
                result = run("read", path, hex(last - 4096), 8192, "--phys", "--json",
                             limit=SECONDS)
                self.expect_partial(result, "4096 of 8192 bytes")
                good = b"".join(bytes.fromhex(r["data"]) for r in result.rows if r["data"])
                self.assertEqual(good, self.image.read(last - 4096, 4096))
                self.assertIn("TRUNCATED", {r["error"] for r in result.rows})
                self.look_at_processes(path)

    def look_at_processes(self, path):
        result = run("ps", path, "--json", limit=SECONDS)
        self.assertIn(result.code, (1, 3, 5), str(result))
        self.assertRegex(result.err, r"\Asonde: ps: ")
        if result.code == 1:  # the kernel lies before the cut, all of its tasks behind it
            self.assertIn("neither the PID tree nor the task list can be read", result.err)
        known = {r["pid"]: r["name"] for r in self.world.views["dump"].rows("ps")}
        for row in result.rows:
            if "identity" not in row["missing"]:
                self.assertEqual(row["name"], known[row["pid"]])

    def test_behind_its_memory_nothing_is_missed(self):
        end = max(h[2] + h[4] for h in self.image.headers if h[1] == PT_LOAD)
        with self.cut(end) as path:
            rows = self.expect(run("ps", path, "--json"), 0).rows
            self.assertEqual(rows, self.world.views["dump"].rows("ps"))
