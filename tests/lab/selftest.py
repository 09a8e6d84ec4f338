#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Test of the lab itself: is what the guest tells true, and do the lab's own errors say enough?

The parsers are tested without a guest; everything else on one guest of the default kind (and one
that panics). Exits 77 with the reason where a guest cannot run. `selftest.py -k PATTERN` chooses.
"""

import json
import mmap
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock
import zlib

import lab

NAME = "selftest-%d" % os.getpid()
PAGE = 4096


def by_pid(truth):
    return {p["pid"]: p for p in truth["processes"]}


def member(truth, role):
    return by_pid(truth)[truth["zoo"][role]]


def map_ram(path):
    with open(path, "rb") as handle:
        return mmap.mmap(handle.fileno(), 0, prot=mmap.PROT_READ)


class ElfRam:
    """Guest-physical memory in a 64-bit little-endian ELF dump (elf(5))."""

    def __init__(self, path):
        self.data = map_ram(path)
        phoff, = struct.unpack_from("<Q", self.data, 32)
        phentsize, phnum = struct.unpack_from("<HH", self.data, 54)
        self.loads = []
        for i in range(phnum):
            kind, _, offset, _, pa, size = struct.unpack_from(
                "<IIQQQQ", self.data, phoff + i * phentsize)
            if kind == 1:
                self.loads.append((pa, size, offset))

    def page(self, pa):
        for start, size, offset in self.loads:
            if start <= pa and pa + PAGE <= start + size:
                return self.data[offset + pa - start:offset + pa - start + PAGE]
        raise AssertionError("no PT_LOAD has physical address %#x" % pa)


def bad_pattern_pages(truth, page_at):
    """Pages of the pattern process whose words are not MAGIC ^ address."""
    bad = []
    magic = int(truth["pattern"]["magic"], 16)
    for page in truth["pattern"]["pages"]:
        if not page["present"]:
            continue
        va = int(page["va"], 16)
        want = struct.pack("<512Q", *(magic ^ (va + 8 * i) for i in range(512)))
        if page_at(int(page["pa"], 16)) != want:
            bad.append(page)
    return bad


def vmcoreinfo_pages(ram):
    """Physical addresses of pages that begin like the vmcoreinfo text."""
    return [pa for pa in range(0, len(ram), PAGE) if ram[pa:pa + 10] == b"OSRELEASE="]


class ParserTest(unittest.TestCase):
    def test_a_name_with_parentheses_is_taken_whole(self):
        comm, fields = lab.split_stat(b"7 (a) (b\n) S 1 2 3")
        self.assertEqual(comm, b"a) (b\n")
        self.assertEqual(fields, [b"S", b"1", b"2", b"3"])

    def test_empty_arguments_are_kept(self):
        self.assertEqual(lab.parse_cmdline(b"a\0\0b\n\0\0"), ["a", "", "b\n", ""])
        self.assertEqual(lab.parse_cmdline(b""), [])

    def test_a_mapping_path_may_hold_spaces(self):
        maps = lab.parse_maps(b"1000-2000 rw-p 00000010 00:01 12    /a b (deleted)\n"
                              b"3000-4000 ---p 00000000 00:00 0 \n")
        self.assertEqual([m["path"] for m in maps], ["/a b (deleted)", ""])
        self.assertEqual(maps[0]["start"], "0x1000")

    def test_escapes_of_the_log_are_undone(self):
        record = lab.parse_kmsg(b"12,5,99,-;tab\\x09end\n SUBSYSTEM=net\n")
        self.assertEqual((record["level"], record["facility"], record["seq"]), (4, 1, 5))
        self.assertEqual((record["text"], record["dict"]), ("tab\tend", {"SUBSYSTEM": "net"}))

    def test_a_record_with_a_wrong_length_is_refused(self):
        self.assertEqual(list(lab.parse_records(b"x 1 3\na\nb\n")), [("x", 1, b"a\nb")])
        with self.assertRaises(ValueError):
            list(lab.parse_records(b"x 1 2\na\nb\n"))


class FakeGuest(lab.Guest):
    """The other end of a channel: sends what the test says, as often as it says. The first @n_lost lines do not come here."""

    def __init__(self, folder, n_lost=0):
        super().__init__("fake", folder)
        self.n_lost = n_lost
        os.makedirs(self.dir)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path("serial.sock"))
        self.listener.listen(1)
        self.heard = []

    @staticmethod
    def frame(tag, seq, payload, spoil=lambda sent: sent):
        head = "\n@@LAB %s %d %d %08x\n" % (tag, seq, len(payload), zlib.crc32(payload))
        return spoil(head.encode() + payload)

    @staticmethod
    def line(lines):
        text = b"\n"
        while text == b"\n":
            text = lines.readline()
        return text.decode().strip()

    def serve(self, sends):
        """Each of @sends is (seq, payload, spoil); after each a line is heard, and at the end the rest."""
        conn, _ = self.listener.accept()
        with conn, conn.makefile("rb") as lines:
            for _ in range(self.n_lost):
                self.line(lines)
            tag = self.line(lines).split()[0]
            for seq, payload, *spoil in sends:
                conn.sendall(self.frame(tag, seq, payload, *spoil))
                self.heard.append(self.line(lines))
            self.heard += [text.decode().strip() for text in lines if text.strip()]


class ChannelTest(unittest.TestCase):
    def ask(self, *sends, n_lost=0):
        """(the answer, what the guest heard)"""
        with tempfile.TemporaryDirectory() as folder:
            guest = FakeGuest(folder, n_lost)
            thread = threading.Thread(target=guest.serve, args=(sends,))
            thread.start()
            try:
                with lab.Channel(guest) as channel:
                    answer = channel.ask("anything", 5.0)
            finally:
                thread.join()
                guest.listener.close()
            return answer, guest.heard

    def test_a_kernel_message_inside_a_frame_is_noticed_and_the_frame_sent_again(self):
        answer, heard = self.ask((0, b"ok one ", lambda sent: sent[:-3] + b"[ 1.0] oops\n" + sent[-3:]),
                                 (0, b"ok one "), (1, b"two\n"), (2, b""))
        self.assertEqual(answer, b"ok one two\n")
        self.assertEqual(heard, ["-0", "+0", "+1", "+2"])

    def test_a_frame_that_came_before_is_acknowledged_and_dropped(self):
        answer, heard = self.ask((0, b"ok one "), (0, b"ok one "), (1, b""))
        self.assertEqual(answer, b"ok one ")
        self.assertEqual(heard, ["+0", "+0", "+1"])

    def test_lost_bytes_do_not_take_the_next_frame_with_them(self):
        payload = b"ok " + bytes(range(48, 112))
        short = b"\n@@LAB x 0 40 00000000\n"
        answer, heard = self.ask((0, payload, lambda sent: sent.replace(b"3456", b"") + sent), (1, b""))
        self.assertEqual(answer, payload)
        self.assertEqual(heard, ["-0", "+0", "+1"])
        answer, heard = self.ask((0, payload, lambda sent: short + sent), (1, b""))
        self.assertEqual(answer, payload)
        self.assertEqual(heard, ["+0", "+1"])

    def test_a_command_that_was_lost_is_said_again(self):
        with unittest.mock.patch.object(lab.Channel, "AGAIN", 0.1):
            answer, heard = self.ask((0, b"ok one "), (1, b""), n_lost=2)
        self.assertEqual(answer, b"ok one ")
        self.assertEqual([h for h in heard if "anything" not in h], ["+0", "+1"])

    def test_a_line_that_falls_silent_is_nudged_and_given_up_early(self):
        with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.object(lab.Channel, "NUDGE", 0.05):
            guest = FakeGuest(folder)
            with lab.Channel(guest) as channel, self.assertRaises(lab.Silent):
                channel.ask("anything", 60.0, 0.3)
            conn, _ = guest.listener.accept()
            self.assertGreater(conn.makefile("rb").read().count(b"\n\n"), 3)
            conn.close()
            guest.listener.close()

    def test_a_guest_that_falls_silent_is_booted_once_more(self):
        for options, outcomes, calls in (({}, [lab.Silent("x"), "up"], 2), ({"keep_mem": True}, [lab.Silent("x")], 1),
                                         ({}, [lab.LabError("x")], 1), ({}, [lab.Silent("x")] * 2, 2)):
            with unittest.mock.patch.object(lab, "boot_once", side_effect=outcomes) as once:
                try:
                    self.assertEqual(lab.boot("x", **options), outcomes[-1])
                except lab.LabError as err:
                    self.assertIs(err, outcomes[-1])
            self.assertEqual(once.call_count, calls)

    def test_a_line_that_stays_silent_is_an_error(self):
        with tempfile.TemporaryDirectory() as folder:
            guest = FakeGuest(folder)
            with lab.Channel(guest) as channel, self.assertRaisesRegex(lab.LabError, "no answer to 'anything'"):
                channel.ask("anything", 0.1)
            guest.listener.close()


class RefusalTest(unittest.TestCase):
    def refused(self, *argv, env=None):
        done = subprocess.run([sys.executable, os.path.join(lab.HERE, "lab.py"), *argv],
                              env=dict(os.environ, **(env or {})), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr.startswith("lab: '"), done.stderr)
        return done.returncode, done.stderr

    def test_names_that_leave_the_folder_are_refused(self):
        code, text = self.refused("boot", "../x")
        self.assertEqual(code, 1)
        self.assertIn("not a name", text)

    def test_a_socket_path_too_long_for_the_kernel_is_refused_before_anything_starts(self):
        code, text = self.refused("boot", "n" * 60, "--dir", "/tmp/" + "d" * 60)
        self.assertEqual(code, 1)
        self.assertIn("107 are possible", text)

    def test_kaslr_cannot_be_switched_off(self):
        code, text = self.refused("boot", "x", "--append", "nokaslr")
        self.assertEqual(code, 1)
        self.assertIn("KASLR", text)

    def test_a_missing_network_is_said(self):
        with tempfile.TemporaryDirectory() as cache:
            code, text = self.refused("fetch", env={
                "SONDE_LAB_CACHE": cache, "http_proxy": "http://127.0.0.1:9", "https_proxy": ""})
            self.assertEqual(code, 1)
            self.assertIn("check the network", text)
            self.assertEqual([n for n in os.listdir(cache + "/sonde-lab") if n[0] != "."], [])

    def test_a_missing_qemu_is_a_skip(self):
        code, text = self.refused("boot", "x", env={"PATH": "/nowhere"})
        self.assertEqual(code, 77)
        self.assertIn("qemu-system-x86", text)

    def test_a_guest_that_does_not_run_is_said(self):
        for words in (["truth"], ["pause"], ["stop"], ["spawn"]):
            argv = words + ["no-such-guest"] + (["1"] if words == ["spawn"] else [])
            code, text = self.refused(*argv)
            self.assertEqual(code, 1)
            self.assertIn("no such guest", text)

    def test_memory_that_was_never_kept_is_said(self):
        with tempfile.TemporaryDirectory() as folder:
            code, text = self.refused("boot", "x", "--keep-mem", "--dir", folder)
            self.assertEqual(code, 1)
            self.assertIn("no memory of an earlier run", text)

    def test_a_panic_ends_the_wait_and_shows_the_log(self):
        with tempfile.TemporaryDirectory() as folder:
            code, text = self.refused("boot", "x", "--dir", folder, "--append", "rdinit=/none")
            self.assertEqual(code, 1)
            self.assertIn("Unable to mount root fs", text)
            self.assertEqual(lab.guests(folder)[0]["running"], False)


class GuestTest(unittest.TestCase):
    """Tests that share one guest; each leaves it running and unpaused."""

    @classmethod
    def setUpClass(cls):
        cls.summary = lab.boot(NAME)
        cls.truth = lab.load_truth(NAME)

    @classmethod
    def tearDownClass(cls):
        if lab.Guest(NAME).running():
            lab.stop(NAME)

    def test_the_summary_names_what_exists(self):
        for key in ("dir", "qmp", "serial", "log", "mem_file", "truth"):
            self.assertTrue(os.path.exists(self.summary[key]), key)
        self.assertEqual(os.stat(self.summary["dir"]).st_mode & 0o777, 0o700)
        self.assertEqual(os.path.getsize(self.summary["mem_file"]), 512 << 20)
        with open("/proc/%d/cmdline" % self.summary["pid"], "rb") as handle:
            self.assertIn(NAME.encode(), handle.read().split(b"\0"))

    def test_the_kernel_is_told(self):
        kernel = self.truth["kernel"]
        self.assertIn(kernel["release"], kernel["version"])
        self.assertIn("sonde.lab=" + NAME, kernel["cmdline"].split())
        self.assertNotIn("nokaslr", kernel["cmdline"])
        self.assertLess(abs(kernel["boot_time"] - time.time()), 86400)
        self.assertEqual(int(kernel["kaslr_offset"], 16) % (2 << 20), 0)
        self.assertEqual((self.truth["cpus"], kernel["page_table_levels"]), (1, 4))

    def test_every_member_of_the_zoo_is_listed(self):
        listed = by_pid(self.truth)
        self.assertGreaterEqual(len(self.truth["zoo"]), 30)
        for role, pid in self.truth["zoo"].items():
            self.assertIn(pid, listed, role)

    def test_processes_form_a_tree_below_init_and_kthreadd(self):
        listed = by_pid(self.truth)
        for process in listed.values():
            self.assertTrue(process["ppid"] in listed or process["ppid"] == 0, process["name"])
            self.assertEqual(process["pid"], process["tgid"])
        self.assertEqual(listed[1]["name"], "init")
        self.assertTrue(all(p["ppid"] in (0, 2) for p in listed.values() if p["kthread"]))

    def test_kernel_threads_have_the_name_of_the_task_not_of_its_work(self):
        threads = [p for p in self.truth["processes"] if p["kthread"]]
        self.assertGreater(len(threads), 20)
        for process in threads:
            self.assertLessEqual(len(bytes.fromhex(process["name_hex"])), 15)
            self.assertEqual((process["maps"], process["exe"]), ([], None))
            self.assertEqual(len(process["threads_list"]), 1)
        plain = [p["name"] for p in threads if re.fullmatch(r"kworker/\d+:\d+H?", p["name"])]
        self.assertTrue(plain)

    def test_states_are_as_the_zoo_meant(self):
        for role, state in (("zombie", "Z"), ("stopped", "T"), ("traced", "t"), ("vfork", "D"),
                            ("deadleader", "Z"), ("sleep", "S")):
            self.assertEqual(member(self.truth, role)["state"], state, role)
        busy = [p for p in self.truth["processes"]
                if p["state"] == "R" and not p["kthread"] and p["pid"] != self.truth["teller"]]
        self.assertEqual(busy, [])

    def test_ids_are_the_real_ones_of_the_first_namespace(self):
        uids = member(self.truth, "uids")
        self.assertEqual([uids[k] for k in ("uid", "euid", "gid", "egid")],
                         [1000, 1001, 2000, 2001])
        self.assertEqual(uids["groups"], ["4", "24", "2001"])
        self.assertEqual(member(self.truth, "userns")["uid"], 1234)
        self.assertEqual(member(self.truth, "httpd")["uid"], 33)

    def test_names_keep_their_odd_characters(self):
        self.assertEqual(member(self.truth, "oddname")["name"], "a b) (c\n\t%\\\"'x")
        raw = bytes.fromhex(member(self.truth, "utf8name")["name_hex"])
        self.assertEqual(raw, "é".encode() * 7 + b"\xc3")

    def test_command_lines_are_exact(self):
        raw = bytes.fromhex(member(self.truth, "args")["cmdline_raw_hex"])
        self.assertEqual(raw.split(b"\0")[3:], [
            b"", b"line1\nline2", b"tab\there", b"", "ünï".encode(), b"\xff\xfe", b"quote\"'\\",
            b"", b""])
        long = member(self.truth, "longargs")["cmdline"]
        self.assertEqual([len(a) for a in long[3:]], [6000, 9000, 3])
        self.assertEqual(member(self.truth, "retitle")["cmdline"][0], "new title")
        self.assertEqual(member(self.truth, "proctitle")["cmdline"],
                         ["proctitle: runs over the end of the arguments"])

    def test_threads_are_counted_and_named(self):
        threaded = member(self.truth, "threads")
        self.assertEqual(threaded["threads"], 9)
        self.assertEqual([t["name"] for t in threaded["threads_list"]],
                         ["threaded"] + ["worker-%d" % i for i in range(8)])
        leader = member(self.truth, "deadleader")
        self.assertEqual([t["state"] for t in leader["threads_list"]], ["Z", "S", "S", "S"])

    def test_executables_and_paths(self):
        self.assertEqual(member(self.truth, "deleted-exe")["exe"], "/tmp/gone (deleted)")
        self.assertEqual(member(self.truth, "memfd-exe")["exe"], "/memfd:lab-program (deleted)")
        deep = member(self.truth, "deep")
        self.assertGreater(len(deep["exe"]), 400)
        self.assertGreater(deep["exe"].count("/"), 20)
        self.assertTrue(deep["exe"].startswith("/mnt/bind/component-00"))
        jail = member(self.truth, "jail")
        self.assertEqual((jail["root"], jail["cwd"]), ("/mnt/jail", "/mnt/jail/work"))
        self.assertNotEqual(jail["ns_mnt"], member(self.truth, "sleep")["ns_mnt"])

    def test_pid_namespaces_nest(self):
        depths = [len(p["nspid"]) for p in self.truth["processes"]
                  if p["name"].startswith("pidns")]
        self.assertEqual(sorted(depths), [1, 2, 2, 3, 3])

    def test_mappings_of_every_kind(self):
        maps = member(self.truth, "maps")["maps"]
        paths = {m["path"] for m in maps}
        for want in ("/tmp/map-deleted (deleted)", "/tmp/map-shared", "/dev/zero (deleted)",
                     "/memfd:lab-memory (deleted)", "/mnt/a/map ro\\012odd", "[stack]"):
            self.assertIn(want, paths)
        self.assertTrue(any(m["perms"] == "---p" for m in maps))
        self.assertTrue(any(m["perms"] == "rw-s" and m["path"].startswith("/SYSV") for m in maps))
        self.assertGreater(len(member(self.truth, "manymaps")["maps"]), 600)
        for process in self.truth["processes"]:
            ends = [(int(m["start"], 16), int(m["end"], 16)) for m in process["maps"]]
            self.assertEqual(ends, sorted(ends))
            self.assertTrue(all(a < b for a, b in ends))

    def test_sizes(self):
        big = member(self.truth, "bigrss")
        self.assertGreaterEqual(big["rss_anon_kb"], 8 << 10)
        self.assertLess(big["rss_kb"], 10 << 10)

    def test_open_files_and_sockets(self):
        links = [f["link"] for f in member(self.truth, "files")["fds"]]
        self.assertIn("/tmp/open-deleted (deleted)", links)
        for kind in ("pipe:[", "anon_inode:[eventfd]", "anon_inode:[eventpoll]"):
            self.assertTrue(any(l.startswith(kind) for l in links), kind)
        self.assertGreaterEqual(len(member(self.truth, "manyfds")["fds"]), 300)
        tcp = self.truth["sockets"]["tcp"]
        self.assertIn("0100007F:1E61 00000000:0000 0A", tcp)
        self.assertRegex(tcp, r"0100007F:1E61 0100007F:[0-9A-F]{4} 01")
        self.assertIn("@lab-abstract", self.truth["sockets"]["unix"])

    def test_modules_and_who_uses_them(self):
        modules = {m["name"]: m for m in self.truth["modules"]}
        self.assertGreater(len(modules), 10)
        self.assertIn("qemu_fw_cfg", modules)
        self.assertIn("bridge", modules["stp"]["used_by"])
        self.assertIn("vfat", modules["fat"]["used_by"])
        for module in modules.values():
            self.assertEqual(module["state"], "Live")
            self.assertGreater(int(module["base"], 16), 1 << 63)

    def test_symbols(self):
        symbols = self.truth["symbols"]
        self.assertGreater(symbols["n_core"], 50000)
        self.assertGreater(symbols["n_total"], symbols["n_core"])
        for name in ("_stext", "init_task", "init_pid_ns", "modules", "__start_BTF", "__stop_BTF",
                     "linux_banner", "vmcoreinfo_data", "prb", "init_top_pgt"):
            self.assertGreater(int(symbols["names"][name], 16), 1 << 63, name)
        bases = {m["name"]: (int(m["base"], 16), m["size"]) for m in self.truth["modules"]}
        self.assertTrue(symbols["module_symbols"])
        for symbol in symbols["module_symbols"]:
            base, size = bases[symbol["module"]]
            self.assertTrue(base <= int(symbol["address"], 16) < base + size, symbol)

    def test_the_log_is_whole(self):
        log = self.truth["dmesg"]
        self.assertEqual([r["seq"] for r in log], list(range(len(log))))
        self.assertTrue(log[0]["text"].startswith("Linux version "))
        self.assertTrue(log[-1]["text"].startswith("lab: ready"))

    def test_a_line_put_into_the_log_comes_back(self):
        text = "selftest: %d  with spaces, ünï and \\x41" % os.getpid()
        lab.kmsg(NAME, text)
        lab.truth(NAME)
        self.assertEqual(lab.load_truth(NAME)["dmesg"][-1]["text"], text)

    def test_a_program_is_run_and_its_end_told(self):
        done = lab.run(NAME, ["/bin/busybox", "sh", "-c", "echo \"a%20b\"; id -u >&2; exit 3"], uid=7)
        self.assertEqual((done.code, done.out, done.err), (3, b"a%20b\n", b"7\n"))
        self.assertEqual(lab.run(NAME, ["/nowhere"]).code, 127)
        self.assertEqual(lab.run(NAME, ["/bin/busybox", "sh", "-c", "kill -9 $$"]).code, 137)

    def test_told_pages_lie_where_the_guest_says(self):
        kinds = {p["kind"] for p in self.truth["pattern"]["pages"]}
        self.assertEqual(kinds, {"small", "hugetlb", "thp", "prot-none", "swapped", "high"})
        ram = map_ram(self.summary["mem_file"])
        self.assertEqual(bad_pattern_pages(self.truth, lambda pa: ram[pa:pa + PAGE]), [])
        huge = [p for p in self.truth["pattern"]["pages"] if p["kind"] == "hugetlb"]
        self.assertEqual([int(p["pa"], 16) % (2 << 20) for p in huge], [0])
        swapped = [p for p in self.truth["pattern"]["pages"] if p["kind"] == "swapped"]
        self.assertTrue(swapped and all(p["swapped"] and p["pa"] is None for p in swapped))

    def test_told_vmcoreinfo_page_is_vmcoreinfo(self):
        pa = int(self.truth["kernel"]["vmcoreinfo"].split()[0], 16)
        note = map_ram(self.summary["mem_file"])[pa:pa + PAGE]
        self.assertIn(b"OSRELEASE=" + self.truth["kernel"]["release"].encode(), note)
        offset = re.search(rb"KERNELOFFSET=([0-9a-f]+)", note).group(1)
        self.assertEqual(int(offset, 16), int(self.truth["kernel"]["kaslr_offset"], 16))

    def test_dumps_of_every_format(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "dump")
            for kind in ("kdump-zlib", "raw", "elf"):
                result = lab.dump(NAME, path, kind)
                self.assertEqual(result["size"], os.path.getsize(path))
            self.assertEqual(bad_pattern_pages(self.truth, ElfRam(path).page), [])
            with open(path, "rb") as handle:
                self.assertIn(b"VMCOREINFO\0", handle.read(1 << 16))

    def test_a_second_boot_of_the_same_name_is_refused(self):
        with self.assertRaisesRegex(lab.LabError, "already running with pid"):
            lab.boot(NAME)

    def test_a_paused_guest_is_not_asked(self):
        lab.pause(NAME)
        try:
            with self.assertRaisesRegex(lab.LabError, r"resume it with"):
                lab.truth(NAME)
        finally:
            lab.resume(NAME)
        lab.truth(NAME)

    def test_an_attached_monitor_does_not_block_the_lab(self):
        with lab.Qmp(NAME, self.summary["qmp"]):
            lab.truth(NAME, short=True)

    def test_spawned_processes_are_told_long_and_short(self):
        before = len(lab_truth_names(NAME, "spawn-"))
        lab.spawn(NAME, 200)
        for short in (False, True):
            lab.truth(NAME, short=short)
            truth = lab.load_truth(NAME)
            spawned = [p for p in truth["processes"] if p["name"].startswith("spawn-")]
            self.assertEqual(len(spawned), before + 200)
            self.assertEqual({p["state"] for p in spawned}, {"S"})
            self.assertTrue(all(20000 <= p["uid"] < 20007 for p in spawned))


def lab_truth_names(name, prefix):
    lab.truth(name, short=True)
    return [p["name"] for p in lab.load_truth(name)["processes"] if p["name"].startswith(prefix)]


class LifeTest(unittest.TestCase):
    """One guest through its life: dirty reboots, memory kept over runs, a killed QEMU."""

    def test_reboots_leave_remnants_and_a_killed_qemu_is_cleaned_up(self):
        name = NAME + "-life"
        first = lab.boot(name, procs=20)
        try:
            self.reboot_twice(name, first)
            self.keep_memory(name)
            self.kill_and_boot_again(name)
            self.leave_a_stale_kernel(name)
        finally:
            if lab.Guest(name).running():
                lab.stop(name)

    def reboot_twice(self, name, first):
        truths = [lab.load_truth(name)]
        banners = map_ram(first["mem_file"])[:].count(b"Linux version ")
        self.assertEqual(len(lab_truth_names(name, "spawn-")), 20)
        for how in ("guest", "reset"):
            with open(lab.reboot(name, how=how), encoding="utf-8") as handle:
                truths.append(json.load(handle))
        self.assertEqual(len({t["kernel"]["boot_id"] for t in truths}), 3)
        self.assertGreater(len({t["kernel"]["kaslr_offset"] for t in truths}), 1)
        self.assertEqual([p for p in truths[2]["processes"] if p["name"].startswith("spawn")], [])
        self.assertTrue(lab.is_same_process(first["pid"], lab.process_start(first["pid"])))
        ram = map_ram(first["mem_file"])
        self.assertEqual(bad_pattern_pages(truths[2], lambda pa: ram[pa:pa + PAGE]), [])
        self.assertGreater(ram[:].count(b"Linux version "), banners, "no remnants in dirty RAM")

    def keep_memory(self, name):
        """What one run wrote where the next one does not reach is still there."""
        lab.stop(name, keep_mem=True)
        mem = lab.Guest(name).path("mem")
        with open(mem, "r+b") as handle:
            handle.seek(400 << 20)
            handle.write(b"remnant")
        with self.assertRaisesRegex(lab.LabError, "give the same --mem"):
            lab.boot(name, keep_mem=True, mem=256)
        lab.boot(name, keep_mem=True, append="mem=384M")
        self.assertEqual(map_ram(mem)[400 << 20:][:7], b"remnant")

    def kill_and_boot_again(self, name):
        state = lab.Guest(name).running()
        os.kill(state["pid"], signal.SIGKILL)
        self.assertTrue(lab.wait_gone(state, 10.0))
        with self.assertRaisesRegex(lab.LabError, "no such guest is running"):
            lab.truth(name)
        self.assertFalse([g for g in lab.guests() if g["name"] == name][0]["running"])
        summary = lab.boot(name, share=False, vmcoreinfo=False)
        self.assertIsNone(summary["mem_file"])
        self.assertFalse(os.path.exists(lab.Guest(name).path("mem")))
        self.assertTrue(lab.stop(name))
        self.assertFalse(lab.stop(name))
        self.assertIsNone(lab.process_start(summary["pid"]))

    def leave_a_stale_kernel(self, name):
        summary = lab.boot(name, dirty="below")
        ram = map_ram(summary["mem_file"])
        found = vmcoreinfo_pages(ram)
        self.assertEqual([pa < 256 << 20 for pa in found], [True, False])
        live = re.search(rb"KERNELOFFSET=([0-9a-f]+)", ram[found[1]:found[1] + PAGE]).group(1)
        truth = lab.load_truth(name)
        self.assertEqual(int(live, 16), int(truth["kernel"]["kaslr_offset"], 16))
        self.assertEqual(bad_pattern_pages(truth, lambda pa: ram[pa:pa + PAGE]), [])
        self.assertGreater(ram[:256 << 20].count(b"spawn-"), 20)
        lab.stop(name)


def main():
    try:
        lab.qemu_program(lab.DEFAULT_ARCH)
        lab.initramfs(lab.fetch())
    except lab.Skip as err:
        print(err, file=sys.stderr)
        return 77
    except lab.LabError as err:
        print(err, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="sonde-lab-test-") as folder:
        os.environ["SONDE_LAB_DIR"] = folder
        good = unittest.main(exit=False).result.wasSuccessful()
        lab.stop_all()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
