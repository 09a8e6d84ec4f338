# SPDX-License-Identifier: MIT
"""The qemu connector on bare QEMU machines: no kernel, only RAM with a known pattern in it.

What the live tests do not reach: each way to name a guest and to reach its memory, a monitor that is
held by somebody else or not there, and a guest that is killed between two reads.
"""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import library as lib

QEMU = shutil.which("qemu-system-x86_64")
SONDE = sys.argv[1]
lib.PATH = sys.argv[2]
AT = 0x200000  # where the pattern lies
PATTERN = bytes((i * 7 + i // 256) & 0xFF for i in range(65536))
MACHINE = ("-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg", "-m", "64")
PRIVATE = ("-machine", "q35")
SHARED = ("-machine", "q35,memory-backend=m", "-object", "memory-backend-memfd,id=m,size=64M,share=on")
PAUSED = ("-S",)


def run(*args):
    """The tool's exit code, output and errors."""
    done = subprocess.run([SONDE, *args], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def read(target, addr=AT, length=len(PATTERN)):
    """Bytes of a target as they are, and what was said of them."""
    done = subprocess.run([SONDE, "read", "--raw", target, hex(addr), str(length)], capture_output=True,
                          timeout=60, check=False)
    return done.stdout, done.stderr.decode()


class Guest:
    """A QEMU with the pattern in its RAM, alive until the end of the block."""

    def __init__(self, folder, name, *args, qmp=True):
        self.name, self.folder = name, folder
        self.socket = os.path.join(folder, name + ".qmp")
        self.monitor = os.path.join(folder, f"{len(os.listdir(folder))}.hmp")  # twins share a name
        pattern = os.path.join(folder, "pattern")
        with open(pattern, "wb") as file:
            file.write(PATTERN)
        words = [QEMU, "-name", f"guest={name},debug-threads=on", *MACHINE, *args]
        words += ["-monitor", f"unix:{self.monitor},server=on,wait=off"]
        words += ["-device", f"loader,file={pattern},addr={AT},force-raw=on"]
        if qmp:
            words += ["-qmp", f"unix:{self.socket},server=on,wait=off"]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, cwd=folder)
        self.pid = self.process.pid
        self.await_ready()

    def await_ready(self):
        """Until the human monitor prompts: then the machine is made and its RAM is loaded."""
        until = time.monotonic() + 30
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect(self.monitor)
                heard = b""
                while b"(qemu)" not in heard:
                    more = client.recv(4096)
                    if not more:
                        break
                    heard += more
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.name}: QEMU did not come up")

    def ask(self, *commands):
        """Run QMP commands; the last answer."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(self.socket)
            lines = client.makefile("rw")
            lines.readline()
            for command in ("qmp_capabilities", *commands):
                lines.write(json.dumps({"execute": command}) + "\n")
                lines.flush()
                answer = json.loads(lines.readline())
                while "event" in answer:
                    answer = json.loads(lines.readline())
            return answer.get("return")

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sonde-qemu-")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def guest(self, name, *args, **options):
        guest = Guest(self.folder, f"{name}-{os.getpid()}", *args, **options)
        self.addCleanup(guest.end)
        return guest

    def expect_pattern(self, target):
        data, err = read(target)
        self.assertEqual(data, PATTERN, err)


class Naming(Case):
    def test_by_name_pid_and_socket(self):
        guest = self.guest("named", *PAUSED, *PRIVATE)
        for target in (guest.name, str(guest.pid), guest.socket, f"pid={guest.pid}", f"qmp={guest.socket}"):
            with self.subTest(target=target):
                self.expect_pattern("qemu:" + target)

    def test_a_monitor_on_a_chardev_with_a_relative_path(self):
        guest = self.guest("chardev", *PAUSED, *PRIVATE, "-chardev", "socket,id=c,path=rel.sock,server=on,wait=off",
                           "-mon", "chardev=c,mode=control", qmp=False)
        self.assertNotIn("guessed", lib.describe("qemu:" + guest.name)[1])
        self.expect_pattern("qemu:" + guest.name)

    def test_two_of_one_name_are_ambiguous_and_the_pid_tells_them_apart(self):
        one, two = self.guest("twin", *PAUSED, *PRIVATE), self.guest("twin", *PAUSED, *PRIVATE, qmp=False)
        code, _, err = run("info", "qemu:" + one.name)
        self.assertNotEqual(code, 0)
        self.assertIn("several guests have this name", err)
        self.assertIn(f"pid {one.pid}", err)
        self.assertIn(f"pid {two.pid}", err)
        self.expect_pattern(f"qemu:{two.pid}")

    def test_an_unknown_name_lists_the_guests_there_are(self):
        guest = self.guest("known", *PAUSED, *PRIVATE)
        code, _, err = run("info", "qemu:no-such-guest")
        self.assertNotEqual(code, 0)
        self.assertIn("'no-such-guest': no such guest; there are: ", err)
        self.assertIn(guest.name, err)


class Reaching(Case):
    def test_private_memory_by_the_process(self):
        guest = self.guest("private", *PAUSED, *PRIVATE)
        self.expect_pattern("qemu:" + guest.name)
        code, _, err = run("info", f"qemu:{guest.name},via=map")
        self.assertNotEqual(code, 0)
        self.assertIn("share=on", err)

    def test_shared_memory_by_its_file_and_by_the_process_alike(self):
        guest = self.guest("shared", *PAUSED, *SHARED)
        for via in ("auto", "map", "process"):
            with self.subTest(via=via):
                self.expect_pattern(f"qemu:{guest.name},via={via}")

    def test_what_is_written_one_way_is_read_the_other(self):
        guest = self.guest("written", *PAUSED, *SHARED)
        for there, back in (("map", "process"), ("process", "map")):
            text = f"by way of {there}"
            code, _, err = run("write", "--write", "--string", text, f"qemu:{guest.name},via={there}", hex(AT))
            self.assertEqual(code, 0, err)
            data, _ = read(f"qemu:{guest.name},via={back}", AT, len(text))
            self.assertEqual(data, text.encode())


class Monitors(Case):
    def test_a_monitor_held_by_another_leaves_a_guess_that_says_so(self):
        guest = self.guest("held", *PAUSED, *PRIVATE)
        with socket.socket(socket.AF_UNIX) as holder:
            holder.connect(guest.socket)
            holder.recv(4096)
            self.expect_pattern("qemu:" + guest.name)
            _, detail = lib.describe("qemu:" + guest.name)
            self.assertIn("map guessed from the command line", detail)
            self.assertIn("another client may hold it", detail)

    def test_without_a_monitor_the_map_is_guessed_where_the_machine_is_known(self):
        guest = self.guest("silent", *PAUSED, *PRIVATE, qmp=False)
        self.expect_pattern("qemu:" + guest.name)
        _, detail = lib.describe("qemu:" + guest.name)
        self.assertIn("its command line shows no QMP socket", detail)

    def test_without_a_monitor_an_unknown_machine_is_refused_with_the_remedy(self):
        guest = self.guest("strange", *PAUSED, "-machine", "microvm", qmp=False)
        code, _, err = run("info", "qemu:" + guest.name)
        self.assertNotEqual(code, 0)
        self.assertIn("its command line shows no QMP socket", err)
        self.assertIn("-qmp unix:PATH,server=on,wait=off", err)

    def test_a_missing_socket_is_named(self):
        code, _, err = run("info", f"qemu:{self.folder}/none.sock")
        self.assertNotEqual(code, 0)
        self.assertIn(f"qemu: QMP socket '{self.folder}/none.sock': No such file or directory", err)


class Living(Case):
    def test_processors_and_the_way_are_told(self):
        guest = self.guest("smp", *PAUSED, *SHARED, "-smp", "2")
        n_cpus, detail = lib.describe("qemu:" + guest.name)
        self.assertEqual(n_cpus, 2)
        self.assertIn(f"pid {guest.pid}, shared mapping of ", detail)
        self.assertIn("process_vm_readv", lib.describe(f"qemu:{guest.name},via=process")[1])

    def test_killed_between_two_reads_it_is_gone(self):
        guest = self.guest("mortal", *PAUSED, *PRIVATE)
        library = lib.Library()
        target = library.open("qemu:" + guest.name)
        self.assertEqual(library.get(target, AT, 16), (PATTERN[:16], "OK"))
        self.assertEqual(library.so.sonde_target_gone(target, library.err), 0)
        guest.end()
        with self.assertRaisesRegex(RuntimeError, f"qemu: '{guest.name}' .pid {guest.pid}.: has ended"):
            library.check(library.so.sonde_target_gone(target, library.err))
        self.assertEqual(library.get(target, AT, 16), (bytes(16), "GONE"))
        self.assertEqual(library.so.sonde_target_pause(target, library.err), -12)  # SONDE_E_GONE
        library.so.sonde_target_close(target)
        library.so.sonde_loop_destroy(library.loop)

    def test_pause_stops_it_and_close_lets_it_go_on(self):
        guest = self.guest("running", *PRIVATE)
        library = lib.Library()
        target = library.open("qemu:" + guest.name)
        library.check(library.so.sonde_target_pause(target, library.err))
        self.assertFalse(guest.ask("query-status")["running"])
        library.check(library.so.sonde_target_resume(target, library.err))
        self.assertTrue(guest.ask("query-status")["running"])
        library.check(library.so.sonde_target_pause(target, library.err))
        library.so.sonde_target_close(target)
        self.assertTrue(guest.ask("query-status")["running"])

        # Stopped by somebody else, it stays theirs.
        guest.ask("stop")
        target = library.open("qemu:" + guest.name)
        library.check(library.so.sonde_target_pause(target, library.err))
        library.so.sonde_target_close(target)
        self.assertFalse(guest.ask("query-status")["running"])
        library.so.sonde_loop_destroy(library.loop)


if __name__ == "__main__":
    if not QEMU:
        print("SKIP: no qemu-system-x86_64 on this machine")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
