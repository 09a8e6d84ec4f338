# SPDX-License-Identifier: MIT
"""The qemu connector on bare QEMU machines (machines.py).

What the live tests do not reach: each way to name a guest and to reach its memory, a monitor that is
held by somebody else or not there, several tools at one guest, memory that is plugged in, a guest that moves to
another QEMU, and one that is killed between two reads.
"""
import contextlib
import os
import socket
import subprocess
import sys
import time

import library as lib
import machines
from machines import AT, PATTERN, PAUSED, PRIVATE, SHARED, SONDE, Case, read, run


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

    def test_a_socket_that_another_has_taken_is_the_others(self):
        other = bytes(reversed(PATTERN))
        old = self.guest("taken", *PAUSED, *PRIVATE, pattern=other)
        new = self.guest("taken", *PAUSED, *PRIVATE)
        self.expect_pattern("qemu:" + new.socket)
        self.assertIn(f"pid {new.pid},", lib.describe("qemu:" + new.socket)[1])
        self.assertEqual(read(f"qemu:{old.pid}")[0], other)
        self.assertIn(f"another QEMU, '{new.name}' (pid {new.pid}), listens there now",
                      lib.describe(f"qemu:{old.pid}")[1])

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

    def test_private_memory_is_written_in_the_process_and_given_back(self):
        guest, text, journal = self.guest("private", *PAUSED, *PRIVATE), "private words", self.folder + "/journal"
        target = "qemu:" + guest.name
        before, _ = read(target, AT, len(text))
        code, _, err = run("write", "--write", "--string", text, target, hex(AT), "--journal", journal)
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(read(target, AT, len(text))[0], text.encode())
        self.assertEqual(run("undo", target, "--journal", journal, "--write")[0], 0)
        self.assertEqual(read(target, AT, len(text))[0], before)

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


class Sharing(Case):
    """Several tools at one guest."""

    def test_tools_that_ask_one_monitor_at_the_same_time_take_turns(self):
        guest = self.guest("asked", *PAUSED, *PRIVATE)
        tools = [subprocess.Popen([SONDE, "info", "qemu:" + guest.name, "--json"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) for _ in range(8)]
        for tool in tools:
            out, err = tool.communicate(timeout=60)
            self.assertEqual((tool.returncode, err), (0, ""))
            self.assertNotIn("guessed", out)

    def test_readers_do_not_disturb_each_other(self):
        guest = self.guest("read", *PAUSED, *SHARED)
        for via in ("map", "process"):
            words = [SONDE, "read", "--raw", f"qemu:{guest.name},via={via}", hex(AT), str(len(PATTERN))]
            tools = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(6)]
            for tool in tools:
                self.assertEqual(tool.communicate(timeout=60), (PATTERN, b""))

    def test_a_guest_stands_still_until_the_last_of_two_lets_it_go(self):
        guest = self.guest("shared-pause", *PRIVATE)
        library = lib.Library()
        self.addCleanup(library.so.sonde_loop_destroy, library.loop)
        for how in ("resume", "close"):
            one, two = (library.open("qemu:" + guest.name) for _ in range(2))
            self.assertEqual(library.so.sonde_target_pause(one, library.err), 0)
            self.assertEqual(library.so.sonde_target_pause(two, library.err), 0)
            if how == "resume":
                library.check(library.so.sonde_target_resume(one, library.err))
            library.so.sonde_target_close(one)
            self.assertFalse(guest.ask("query-status")["running"], how)
            library.so.sonde_target_close(two)
            self.assertTrue(guest.ask("query-status")["running"], how)

    def test_a_guest_that_a_person_has_stopped_is_continued_by_neither_of_two(self):
        guest = self.guest("stopped", *PRIVATE)
        guest.ask("stop")
        library = lib.Library()
        self.addCleanup(library.so.sonde_loop_destroy, library.loop)
        both = [library.open("qemu:" + guest.name) for _ in range(2)]
        for target in both:
            self.assertEqual(library.so.sonde_target_pause(target, library.err), 1)
        for target in both:
            library.so.sonde_target_close(target)
        self.assertFalse(guest.ask("query-status")["running"])

    def test_one_that_is_killed_leaves_the_guest_to_the_other(self):
        guest = self.guest("left", *PRIVATE)
        pauser = ("import sys, library as lib; lib.PATH = sys.argv[1]; l = lib.Library(); t = l.open(sys.argv[2]); "
                  "l.check(l.so.sonde_target_pause(t, l.err)); print('stands', flush=True); sys.stdin.read()")
        words = [sys.executable, "-c", pauser, lib.PATH, "qemu:" + guest.name]
        with subprocess.Popen(words, cwd=os.path.dirname(__file__), stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as other:
            self.assertEqual(other.stdout.readline(), b"stands\n")
            library = lib.Library()
            self.addCleanup(library.so.sonde_loop_destroy, library.loop)
            target = library.open("qemu:" + guest.name)
            self.assertEqual(library.so.sonde_target_pause(target, library.err), 0)
            other.kill()
            other.wait()
        self.assertFalse(guest.ask("query-status")["running"])
        library.so.sonde_target_close(target)
        self.assertTrue(guest.ask("query-status")["running"])

    def test_a_stub_that_serves_another_is_named(self):
        path = os.path.join(self.folder, "stub")
        self.guest("stub", *PRIVATE, "-chardev", f"socket,id=g,path={path},server=on,wait=off", "-gdb", "chardev:g")
        with socket.socket(socket.AF_UNIX) as holder:
            holder.connect(path)
            code, _, err = run("info", f"gdb:unix:{path},timeout=500")
        self.assertNotEqual(code, 0)
        self.assertIn(path, err)
        self.assertIn("a stub serves one debugger at a time", err)


class Growing(Case):
    """Memory that is plugged in while a target is open."""

    DIMM = 4 << 30  # where the first one goes when there is less RAM than that
    SLOTS = ("-m", "64M,slots=2,maxmem=1G")

    def plug(self, guest):
        guest.ask(("object-add", {"qom-type": "memory-backend-memfd", "id": "d", "size": 128 << 20, "share": True}),
                  ("device_add", {"driver": "pc-dimm", "id": "dimm", "memdev": "d"}))

    def test_a_target_that_is_open_says_so_and_one_opened_afterwards_sees_it(self):
        for name, machine in (("private", PRIVATE), ("shared", SHARED)):
            with self.subTest(name):
                guest = self.guest("grows-" + name, *PAUSED, *machine, *self.SLOTS)
                library = lib.Library()
                self.addCleanup(library.so.sonde_loop_destroy, library.loop)
                target = library.open("qemu:" + guest.name)
                self.addCleanup(library.so.sonde_target_close, target)
                self.assertEqual(library.so.sonde_target_gone(target, library.err), 0)
                self.plug(guest)
                self.assertEqual(library.get(target, self.DIMM, 16), (bytes(16), "NOT_MAPPED"))
                self.assertEqual(library.get(target, AT, 16), (PATTERN[:16], "OK"))
                with self.assertRaisesRegex(RuntimeError, "128 MiB of its memory can be unplugged, 0 MiB when .*"
                                                          "open it again"):
                    library.check(library.so.sonde_target_gone(target, library.err))
                again = library.open("qemu:" + guest.name)
                self.assertEqual(library.get(again, self.DIMM, 16), (bytes(16), "OK"))
                self.assertEqual(library.so.sonde_target_gone(again, library.err), 0)
                library.so.sonde_target_close(again)

    def test_what_is_written_to_it_one_way_is_read_the_other(self):
        guest = self.guest("grown", *PAUSED, *SHARED, *self.SLOTS)
        self.plug(guest)
        for there, back in (("map", "process"), ("process", "map")):
            text = f"by way of {there}"
            code, _, err = run("write", "--write", "--string", text, f"qemu:{guest.name},via={there}", hex(self.DIMM))
            self.assertEqual(code, 0, err)
            self.assertEqual(read(f"qemu:{guest.name},via={back}", self.DIMM, len(text)), (text.encode(), ""))


class Moving(Case):
    """A guest that migrates to another QEMU of this machine."""

    def test_where_it_has_not_arrived_nothing_is_read_and_where_it_was_says_that_it_left(self):
        path = os.path.join(self.folder, "wire")
        source = self.guest("source", *SHARED)
        into = self.guest("into", *SHARED, "-incoming", f"unix:{path}", loaded=False)
        code, _, err = run("info", "qemu:" + into.name)
        self.assertEqual(code, 4)
        self.assertIn("a guest is migrating to it", err)
        library = lib.Library()
        self.addCleanup(library.so.sonde_loop_destroy, library.loop)
        target = library.open("qemu:" + source.name)
        self.addCleanup(library.so.sonde_target_close, target)
        source.migrate(path)
        with self.assertRaisesRegex(RuntimeError, "has migrated to another QEMU"):
            library.check(library.so.sonde_target_gone(target, library.err))
        self.assertEqual(library.get(target, AT, 16), (PATTERN[:16], "OK"))
        data, err = read("qemu:" + source.name)
        self.assertEqual(data, PATTERN)
        self.assertIn("meanwhile: ", err)
        self.assertEqual(read("qemu:" + into.name), (PATTERN, ""))


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

        # Also where it is stopped once more, which fails because somebody else has the monitor.
        target = library.open("qemu:" + guest.name)
        library.check(library.so.sonde_target_pause(target, library.err))
        with socket.socket(socket.AF_UNIX) as holder:
            holder.connect(guest.socket)
            holder.recv(4096)
            self.assertLess(library.so.sonde_target_pause(target, library.err), 0)
        library.so.sonde_target_close(target)
        self.assertTrue(guest.ask("query-status")["running"])

        # Stopped by somebody else, it stays theirs.
        guest.ask("stop")
        target = library.open("qemu:" + guest.name)
        library.check(library.so.sonde_target_pause(target, library.err))
        library.so.sonde_target_close(target)
        self.assertFalse(guest.ask("query-status")["running"])
        library.so.sonde_loop_destroy(library.loop)

    def test_what_stops_too_late_goes_on_as_well(self):
        guest = self.guest("late", *PRIVATE, "-blockdev", "driver=null-co,node-name=slow,latency-ns=3000000000",
                           "-blockdev", "driver=null-co,node-name=sink")
        library = lib.Library()
        target = library.open("qemu:" + guest.name)
        # A stop waits for what a disk has in work.
        guest.ask(("blockdev-backup", {"job-id": "copy", "device": "slow", "target": "sink", "sync": "full"}))
        time.sleep(0.2)
        self.assertEqual(library.so.sonde_target_pause(target, library.err), -11)  # SONDE_E_TIMED_OUT
        library.so.sonde_target_close(target)
        self.assertTrue(guest.ask("query-status")["running"])
        library.so.sonde_loop_destroy(library.loop)


if __name__ == "__main__":
    machines.main()
