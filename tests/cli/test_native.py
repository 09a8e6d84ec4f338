# SPDX-License-Identifier: MIT
"""This machine and its processes, compared with /proc; and a /proc that lies."""
import ctypes
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import unittest

from harness import HOLED, Case, run, run_as_another_user

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "synth"))
import prompt  # noqa: E402


def rows(*args):
    result = run(*args, "--json")
    return result.code, json.loads(result.out or "[]"), result.err


def proc(pid, name):
    with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


class Known(Case):
    """A process whose memory and threads are known."""

    def setUp(self):
        self.child = subprocess.Popen([HOLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end)
        self.it = json.loads(self.child.stdout.readline())
        self.target = f"process:{self.it['pid']}"
        if run("maps", self.target).code == 4:
            self.skipTest("this machine lets no process read another")

    def end(self):
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()


class Processes(Known):
    def test_ps_of_the_machine_has_the_process_with_all_its_fields(self):
        code, listed, err = rows("ps", "native", "--pid", self.it["pid"])
        self.assertEqual((code, err, len(listed)), (0, "", 1))
        row, stat = listed[0], proc(self.it["pid"], "stat").rsplit(")", 1)[1].split()
        self.assertEqual((row["pid"], row["tgid"], row["ppid"]), (self.it["pid"], self.it["pid"], os.getpid()))
        self.assertEqual((row["uid"], row["euid"], row["gid"], row["egid"]),
                         (os.getuid(), os.geteuid(), os.getgid(), os.getegid()))
        self.assertEqual((row["threads"], row["vsize"]), (2, int(stat[20])))
        self.assertEqual(row["start_ns"], int(stat[19]) * 10**9 // os.sysconf("SC_CLK_TCK"))
        self.assertEqual((row["args"], row["exe"]), ([HOLED], os.path.realpath(HOLED)))
        self.assertEqual((row["kernel_thread"], row["addr"], row["missing"]), (False, None, []))

    def test_ps_of_the_machine_lists_what_proc_does(self):
        before = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        code, listed, _ = rows("ps", "native", "--fields", "pid,name,kernel_thread")
        after = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        found = [row["pid"] for row in listed]
        self.assertEqual((code, found), (0, sorted(found)))
        self.assertEqual(before & after - set(found), set())

    def test_ps_of_a_process_is_that_one(self):
        code, listed, _ = rows("ps", self.target)
        self.assertEqual((code, [row["pid"] for row in listed]), (0, [self.it["pid"]]))

    def test_another_process_is_not_part_of_one(self):
        self.expect_error(run("ps", self.target, "--pid", os.getpid()), 1, "alone", "native")

    def test_no_such_process(self):
        self.expect_error(run("ps", "native", "--pid", 2147483646), 1, "no process has pid")

    def test_threads_have_their_names(self):
        for words in ((self.target,), ("native", "--pid", self.it["pid"])):
            code, listed, _ = rows("threads", *words)
            self.assertEqual(code, 0)
            self.assertEqual({row["tid"]: row["name"] for row in listed},
                             {int(tid): proc(f"{self.it['pid']}/task/{tid}", "comm")[:-1]
                              for tid in os.listdir(f"/proc/{self.it['pid']}/task")})
            self.assertIn("worker", [row["name"] for row in listed])


class Registers(Known):
    def registers(self, code, *options):
        result = run("threads", self.target, "--registers", "--json", *options)
        self.assertEqual(result.code, code, str(result))
        return {row["tid"]: row for row in json.loads(result.out)}, result.err

    def status(self, tid, key):
        return re.search(rf"(?m)^{key}:\t(.*)$", proc(f"{self.it['pid']}/task/{tid}", "status"))[1]

    def test_a_thread_is_read_and_goes_on(self):
        if os.uname().machine not in ("x86_64", "aarch64"):
            self.skipTest("which register holds the number is not known here")
        threads, _ = self.registers(0)
        self.assertEqual(set(threads), {self.it["pid"], self.it["worker"]})
        names = dict(word.split("=") for word in threads[self.it["worker"]]["registers"])
        magic = names["r15" if os.uname().machine == "x86_64" else "x19"]
        self.assertEqual(int(magic, 16), self.it["magic"])
        self.assertEqual(threads[self.it["worker"]]["pc"], names.get("rip", names.get("pc")))
        stack = [row for row in json.loads(run("maps", self.target, "--json").out) if row["path"] == "[stack]"][0]
        self.assertTrue(int(stack["start"], 16) <= int(threads[self.it["pid"]]["sp"], 16) < int(stack["end"], 16))
        for tid in threads:
            self.assertEqual((self.status(tid, "TracerPid"), self.status(tid, "State")[0]), ("0", "S"))
        self.child.stdin.close()
        self.assertEqual(self.child.wait(20), 0)

    def test_what_was_stopped_stays_stopped(self):
        os.kill(self.it["pid"], signal.SIGSTOP)
        os.waitpid(self.it["pid"], os.WUNTRACED)
        threads, _ = self.registers(0)
        self.assertEqual(len(threads[self.it["worker"]]["registers"]) > 16, True)
        for tid in threads:
            self.assertEqual((self.status(tid, "TracerPid"), self.status(tid, "State")[0]), ("0", "T"))
        os.kill(self.it["pid"], signal.SIGCONT)
        self.child.stdin.close()
        self.assertEqual(self.child.wait(20), 0)

    def test_a_traced_thread_names_who_traces_it(self):
        libc = ctypes.CDLL(None, use_errno=True)
        seize, interrupt, detach, wall, worker = 0x4206, 0x4207, 17, 0x40000000, self.it["worker"]
        if libc.ptrace(seize, worker, None, None) < 0:
            self.skipTest(f"ptrace: {os.strerror(ctypes.get_errno())}")
        try:
            threads, err = self.registers(3)
        finally:
            libc.ptrace(interrupt, worker, None, None)
            os.waitpid(worker, wall)
            libc.ptrace(detach, worker, None, None)
        self.assertIn(f"thread {worker} is traced already, by process {os.getpid()} (", err)
        self.assertEqual((threads[worker]["error"], threads[worker]["registers"]), ("BUSY", None))
        self.assertEqual(threads[self.it["pid"]]["error"], None)

    def test_without_asking_there_are_none(self):
        _, listed, _ = rows("threads", self.target)
        self.assertEqual({(row["pc"], row["sp"], row["registers"]) for row in listed}, {(None, None, None)})

    def test_threads_of_a_whole_machine_are_not_stopped(self):
        self.expect_error(run("threads", "native", "--registers"), 2, "of which process?")

    def test_somebody_else_is_told_what_would_allow_it(self):
        if os.geteuid() != 0:
            self.skipTest("not root: cannot become somebody else")
        result = run_as_another_user("threads", "native", "--pid", self.it["pid"], "--registers")
        self.assertEqual(result.code, 3, str(result))
        self.assertIn("CAP_SYS_PTRACE", result.err)
        self.assertIn("ptrace_scope is", result.err)


class Memory(Known):
    def truth(self):
        return [(hex(int(start, 16)), hex(int(end, 16)), perms, int(offset, 16), dev, int(inode), path)
                for start, end, perms, offset, dev, inode, path in re.findall(
                    r"(?m)^(\w+)-(\w+) (\S+) (\S+) (\S+) (\S+) *(.*)$", proc(self.it["pid"], "maps"))]

    def test_maps_are_those_of_proc_column_by_column(self):
        for words in ((self.target,), ("native", "--pid", self.it["pid"])):
            code, listed, err = rows("maps", *words)
            self.assertEqual((code, err), (0, ""))
            self.assertEqual([(row["start"], row["end"], row["perms"], row["offset"], row["dev"],
                               row["inode"], row["path"]) for row in listed], self.truth())

    def test_bytes_of_a_process_of_the_machine(self):
        at = self.it["pages"] + 3 * self.it["page"]
        result = run("read", "native", "--pid", self.it["pid"], hex(at), 4, "--hex")
        self.expect(result, 0, "04040404\n")

    def test_a_process_behind_a_bar_is_the_one_of_that_number(self):
        pid = self.it["pid"]
        for number, code in ((pid, 0), (pid + (1 << 32), 4), (pid + (1 << 64), 4)):
            result = run("maps", f"native|process:{number}", "--phys", "--json")
            self.assertEqual(result.code, code, str(result))

    def test_pages_say_what_is_there(self):
        code, listed, _ = rows("pages", self.target)
        self.assertEqual(code, 0)
        page, at = self.it["page"], self.it["pages"]
        seen = {}
        for row in listed:
            for va in range(int(row["start"], 16), int(row["end"], 16), page):
                seen[va] = row
        told = [seen.get(at + i * page) for i in range(8)]
        self.assertEqual([row is not None for row in told], [True, True, False, True, True, True, False, False])
        self.assertEqual([row["perms"] for row in told if row], ["rw-", "rw-", "rw-", "---", "r--"])
        for row in filter(None, told):
            self.assertEqual([mark for mark in row["attrs"].split() if mark != "soft-dirty"],
                             ["present", "exclusive"])
        shared = seen[self.it["shared"]]
        self.assertIn("file", shared["attrs"].split())
        self.assertEqual(shared["name"], "/memfd:known (deleted)")

    def test_physical_addresses_are_those_of_pagemap(self):
        if os.geteuid() != 0:
            self.skipTest("not root: pagemap has no page numbers")
        with open(f"/proc/{self.it['pid']}/pagemap", "rb") as file:
            file.seek(self.it["pages"] // self.it["page"] * 8)
            entry, = struct.unpack("<Q", file.read(8))
        _, listed, _ = rows("pages", self.target)
        row = next(row for row in listed if int(row["start"], 16) == self.it["pages"])
        self.assertEqual(int(row["pa"], 16), (entry & (1 << 55) - 1) * self.it["page"])
        result = run("translate", self.target, hex(self.it["pages"] + 5), "--json")
        self.assertEqual(int(json.loads(result.out)[0]["pa"], 16), int(row["pa"], 16) + 5)

    def test_modules_are_the_mapped_images_with_their_build_ids(self):
        code, listed, err = rows("modules", self.target)
        self.assertEqual((code, err), (0, ""))
        images = {row["path"]: row for row in listed}
        own = images[os.path.realpath(HOLED)]
        first = next(row for row in self.truth() if row[6] == own["path"])
        last = [row for row in self.truth() if row[6] == own["path"]][-1]
        self.assertEqual(own["base"], first[0])
        self.assertLessEqual(int(last[1], 16), int(own["base"], 16) + own["size"])
        self.assertEqual(own["name"], os.path.basename(HOLED))
        self.assertTrue([path for path in images if "libc.so" in path])
        self.assertIn("[vdso]", images)
        if shutil.which("readelf"):
            for path in (own["path"], next(path for path in images if "libc.so" in path)):
                notes = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, check=True).stdout
                wanted = re.search(r"Build ID: (\w+)", notes)
                self.assertEqual(images[path]["build_id"], wanted[1] if wanted else None)


class Wine(Case):
    """A program of Windows: its PE modules stand beside the ELF images of Wine itself."""

    @classmethod
    def setUpClass(cls):
        cls.wine = next((path for path in ("/usr/lib/wine/wine64", shutil.which("wine64")) if path and os.path.exists(path)), None)
        if not cls.wine:
            raise unittest.SkipTest("wine64 is not installed")
        cls.prefix = tempfile.mkdtemp(prefix="sonde-wine-")
        cls.addClassCleanup(shutil.rmtree, cls.prefix, True)
        cls.env = {**os.environ, "WINEPREFIX": cls.prefix, "WINEDEBUG": "-all", "DISPLAY": ""}
        cls.env.pop("WAYLAND_DISPLAY", None)
        cls.addClassCleanup(cls.end_server)
        cls.child = cls.start("cmd", "/q")
        cls.addClassCleanup(cls.end, cls.child)
        prompt.wait_for_it(cls.child)
        cls.target = f"process:{cls.child.pid}"

    @classmethod
    def start(cls, *words):
        return subprocess.Popen([cls.wine, *words], env=cls.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True)

    @staticmethod
    def end(child):
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()

    @classmethod
    def end_server(cls):
        for server in ("/usr/lib/wine/wineserver", shutil.which("wineserver")):
            if server and os.path.exists(server):
                subprocess.run([server, "-k", "-w"], env=cls.env, timeout=60, check=False)
                return

    def test_modules_are_where_their_files_are_mapped(self):
        code, listed, err = rows("modules", self.target)
        self.assertEqual((code, err), (0, ""))
        self.assertEqual([int(row["base"], 16) for row in listed], sorted(int(row["base"], 16) for row in listed))
        modules = {row["name"].lower(): row for row in listed}
        maps = proc(self.child.pid, "maps")
        program = proc(self.child.pid, "comm").strip()  # start.exe, where it starts cmd.exe
        for name in (program, "ntdll.dll", "kernel32.dll", "kernelbase.dll"):
            row = modules[name]
            self.assertEqual(row["path"].lower(), "c:\\windows\\system32\\" + name)
            at = re.search(rf"(?m)^0*(\w+)-\w+ \S+ 00000000 .*/{re.escape(name)}$", maps)
            self.assertEqual(row["base"], "0x" + at[1])
            text = next(words.split() for words in row["sections"] if words.startswith(".text "))
            start, last = (int(word, 16) for word in text[1].split("-"))
            self.assertEqual(text[2], "r-x")
            self.assertTrue(int(row["base"], 16) < start < last <= int(row["base"], 16) + row["size"])
        self.assertIn("ntdll.so", modules)

    def test_exports_are_symbols(self):
        result = run("sym", self.target, "NtReadFile", "--json")
        self.assertEqual(result.code, 0, str(result))
        symbol = json.loads(result.out)[0]
        self.assertEqual((symbol["module"], symbol["type"]), ("ntdll.dll", "T"))
        self.expect(run("read", self.target, "NtReadFile", 4, "--hex"), 0,
                    run("read", self.target, symbol["addr"], 4, "--hex").out)

    def dumps(self):
        """A program that has written minidumps of itself: they, its numbers, and its modules while it lives."""
        compiler = shutil.which("x86_64-w64-mingw32-gcc")
        if not compiler:
            self.skipTest("x86_64-w64-mingw32-gcc is not installed")
        program, full, small = (os.path.join(self.prefix, name) for name in ("dump_itself.exe", "full.dmp", "small.dmp"))
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "dump_itself.c")
        subprocess.run([compiler, "-o", program, source, "-ldbghelp"], check=True, timeout=120)
        child = self.start(program, "Z:" + full, "Z:" + small)
        self.addCleanup(self.end, child)
        words = child.stdout.readline().split()
        self.assertEqual(len(words), 2, "no minidump was made")
        live = [row for row in rows("modules", f"process:{child.pid}")[1] if row["sections"]]
        return full, small, [int(word) for word in words], live, f"process:{child.pid}"

    def test_minidumps_that_wine_writes_are_the_process(self):
        full, small, (pid, tid), live, target = self.dumps()
        for dump in (full, small):
            code, listed, err = rows("modules", dump)
            self.assertEqual((code, err), (0, ""))
            # Writing it has loaded what was not there when it began.
            self.assertLessEqual({(row["name"], row["base"], row["size"]) for row in listed},
                                 {(row["name"], row["base"], row["size"]) for row in live})
            self.assertLessEqual({"dump_itself.exe", "ntdll.dll", "kernel32.dll"}, {row["name"] for row in listed})
            self.assertEqual([row["pid"] for row in rows("ps", dump)[1]], [pid])
            self.assertIn(tid, [row["tid"] for row in rows("threads", dump)[1]])
        known = {row["name"]: row["sections"] for row in live}
        for row in rows("modules", full)[1]:
            self.assertEqual(row["sections"], known[row["name"]])
        ntdll = next(row for row in live if row["name"] == "ntdll.dll")
        self.assertEqual(run("read", full, ntdll["base"], 4096, "--hex").out, run("read", target, ntdll["base"], 4096, "--hex").out)
        self.assertEqual(run("sym", full, "NtReadFile", "--json").out, run("sym", target, "NtReadFile", "--json").out)
        registers = next(row["registers"] for row in rows("threads", full, "--registers")[1] if row["tid"] == tid)
        self.assertTrue([word for word in registers if word.startswith("rip=")])


class Rights(Known):
    def test_somebody_else_is_told_what_would_allow_it(self):
        if os.geteuid() != 0:
            self.skipTest("not root: cannot become somebody else")
        for command in ("maps", "modules", "pages"):
            result = run_as_another_user(command, self.target)
            self.expect_error(result, 4, "CAP_SYS_PTRACE", "/proc/sys/kernel/yama/ptrace_scope")
        for command in ("maps", "pages"):
            result = run_as_another_user(command, "native", "--pid", self.it["pid"])
            self.expect_error(result, 1, "CAP_SYS_PTRACE")

    def test_somebody_else_sees_processes_but_not_their_programs(self):
        if os.geteuid() != 0:
            self.skipTest("not root: cannot become somebody else")
        result = run_as_another_user("ps", "native", "--pid", self.it["pid"], "--json")
        self.assertEqual(result.code, 3, str(result))
        row = json.loads(result.out)[0]
        self.assertEqual((row["exe"], row["missing"], row["error"]), (None, ["exe"], "NO_ACCESS"))
        self.assertEqual((row["args"], row["uid"]), ([HOLED], os.getuid()))


class Machine(Case):
    def test_info_is_of_this_kernel(self):
        code, listed, _ = rows("info", "native")
        row = listed[0]
        self.assertEqual((code, row["os"], row["release"], row["hostname"]),
                         (0, "linux", os.uname().release, os.uname().nodename))
        self.assertEqual(row["version"], proc("", "version").strip())

    def test_modules_are_those_of_proc(self):
        code, listed, err = rows("modules", "native")
        truth = proc("", "modules").splitlines() if os.path.exists("/proc/modules") else []
        self.assertIn(code, (0, 3))
        self.assertEqual([(row["name"], row["size"], row["refs"]) for row in listed],
                         [(words[0], int(words[1]), int(words[2])) for words in map(str.split, truth)], err)

    def test_symbols_are_those_of_kallsyms(self):
        listed = re.search(r"(?m)^([1-9a-f]\w+) [Tt] (schedule)$", proc("", "kallsyms"))
        if not listed:
            self.skipTest("addresses of the kernel are not shown here")
        result = run("sym", "native", "schedule", "--json")
        self.assertEqual(int(json.loads(result.out)[0]["addr"], 16), int(listed[1], 16))

    def test_it_has_no_memory_of_its_own(self):
        self.expect(run("read", "native", 0, 4, "--hex"), 1, "--------\n")
        self.expect_error(run("maps", "native"), 2, "which process?")
        self.expect_error(run("pages", "native"), 1, "name a process")
        self.expect_error(run("dmesg", "native"), 1, "dmesg(1)")


class Lies(Case):
    """A folder given for /proc: what is damaged in it is told, and the rest comes."""

    STAT = ("{pid} ({name}) S 1 7 7 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 3 0 500 8192 2 "
            "18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n")
    STATUS = "Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n"

    def setUp(self):
        self.proc = tempfile.mkdtemp(prefix="sonde-proc-")
        self.addCleanup(shutil.rmtree, self.proc)
        self.target = f"native:{self.proc}"

    def put(self, name, text):
        path = os.path.join(self.proc, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())

    def process(self, pid, name="x", flags=0, **files):
        self.put(f"{pid}/stat", self.STAT.format(pid=pid, name=name, flags=flags))
        self.put(f"{pid}/status", self.STATUS)
        self.put(f"{pid}/cmdline", b"a\0b c\0")
        for file, text in files.items():
            self.put(f"{pid}/{file}", text)

    def test_names_hold_what_they_like(self):
        self.process(9, name="a) S 1 (b\n) c")
        self.process(10, name="k", flags=0x200000)
        code, listed, _ = rows("ps", self.target)
        self.assertEqual(code, 0)
        self.assertEqual([(row["pid"], row["name"], row["kernel_thread"]) for row in listed],
                         [(9, "a) S 1 (b\n) c", False), (10, "k", True)])
        row = listed[0]
        self.assertEqual((row["uid"], row["euid"], row["gid"], row["egid"]), (1, 2, 5, 6))
        self.assertEqual((row["threads"], row["vsize"], row["args"]), (3, 8192, ["a", "b c"]))

    def test_a_damaged_process_is_listed_beside_the_others(self):
        self.process(1)
        self.process(2)
        self.put("2/stat", "2 (no end")
        self.process(3)
        self.put("3/status", "Uid:\tx\n")
        self.put("notes", "")
        self.put("4x/stat", "no process")
        code, listed, err = rows("ps", self.target)
        self.assertEqual(code, 3, err)
        self.assertEqual([(row["pid"], row["missing"], row["error"]) for row in listed],
                         [(1, [], None), (2, ["identity", "times", "memory"], "CORRUPT"), (3, ["cred"], "CORRUPT")])

    def test_pipes_in_the_place_of_files_are_not_waited_for(self):
        self.process(5, maps="00001000-00009000 rw-p 00000000 00:00 0 \n")
        os.mkfifo(os.path.join(self.proc, "5", "pagemap"))
        os.mkdir(os.path.join(self.proc, "6"))
        for name in ("uptime", "6/stat", "6/maps"):
            os.mkfifo(os.path.join(self.proc, name))
        self.assertEqual([row["pid"] for row in rows("ps", self.target)[1]], [5, 6])
        self.assertEqual(run("pages", self.target, "--pid", 5).code, 1)
        self.assertEqual(run("maps", self.target, "--pid", 6).code, 1)

    def test_lines_of_maps_that_are_none_are_named(self):
        self.process(5, maps="00001000-00003000 rw-p 00000000 00:00 0 \nrubbish\n00002000-00001000 rw-p 0 0:0 0\n"
                             "7f0000000000-7f0000001000 r-xp 00001000 fe:01 77   /a\\012b\n")
        code, listed, err = rows("maps", self.target, "--pid", 5)
        self.assertEqual(code, 3)
        self.assertIn("'rubbish' is no line of it", err)
        self.assertEqual([(row["start"], row["end"], row["path"]) for row in listed],
                         [("0x1000", "0x3000", ""), ("0x7f0000000000", "0x7f0000001000", "/a\nb")])

    def test_pages_in_swap_and_those_that_nobody_may_place(self):
        present, swapped, shared = 1 << 63, 1 << 62, 1 << 61
        entries = [present | 0x100, present | 0x101, present | 0x55, 0, swapped | 3 | 7 << 5, swapped | 3 | 8 << 5,
                   swapped | 4 | 9 << 5, present | shared, present | shared]
        self.process(5, maps="00001000-0000a000 rw-p 00000000 00:00 0 \n",
                     pagemap=bytes(8) + struct.pack("<9Q", *entries))
        code, listed, err = rows("pages", self.target, "--pid", 5)
        self.assertEqual((code, err), (0, ""))
        self.assertEqual([(row["start"], row["end"], row["pa"], row["swap_type"], row["swap_offset"], row["attrs"])
                          for row in listed], [
            ("0x1000", "0x3000", "0x100000", None, None, "present"),
            ("0x3000", "0x4000", "0x55000", None, None, "present"),
            ("0x5000", "0x7000", None, 3, "0x7", "swapped"),
            ("0x7000", "0x8000", None, 4, "0x9", "swapped"),
            ("0x8000", "0xa000", None, None, None, "present file")])
        self.assertIn("swap 3:0x7", run("pages", self.target, "--pid", 5).out)

    def test_a_pagemap_that_ends_early_has_no_more_pages(self):
        self.process(5, maps="00001000-00009000 rw-p 00000000 00:00 0 \n",
                     pagemap=bytes(8) + struct.pack("<2Q", 1 << 63 | 1, 1 << 63 | 2))
        code, listed, _ = rows("pages", self.target, "--pid", 5)
        self.assertEqual((code, [row["end"] for row in listed]), (0, ["0x3000"]))

    def test_modules_of_another_proc(self):
        self.put("modules", "virtio_net 61440 2 a,b, Live 0xffffffffc0000000 (E)\nhalf 1 0 - Loading 0x0\n"
                            "x\nold 4096 0 - Unloading 0xffffffffc0100000\n")
        code, listed, err = rows("modules", self.target)
        self.assertEqual(code, 3)
        self.assertIn("'x' is no line of it", err)
        self.assertEqual([(row["name"], row["base"], row["size"], row["refs"], row["state"], row["error"])
                          for row in listed], [
            ("virtio_net", "0xffffffffc0000000", 61440, 2, "live", None),
            ("half", "0x0", 1, 0, "coming", "NO_ACCESS"),
            ("old", "0xffffffffc0100000", 4096, 0, "going", None)])

    def test_numbers_of_another_proc_are_not_those_of_processes_here(self):
        self.process(os.getpid())
        self.expect_error(run("read", self.target, "--pid", os.getpid(), "0x1000", 4), 1, "another /proc")

    def test_no_such_folder(self):
        self.expect_error(run("ps", "native:/nowhere/at/all"), 4, "/nowhere/at/all")

    def test_a_folder_that_is_no_proc_is_empty(self):
        code, listed, _ = rows("ps", self.target)
        self.assertEqual((code, listed), (0, []))
