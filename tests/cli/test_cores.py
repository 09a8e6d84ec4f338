# SPDX-License-Identifier: MIT
"""Cores of a process, of gcore and of the kernel, against the same process while it lives."""
import json
import os
import resource
import shutil
import signal
import subprocess
import tempfile

from harness import HOLED, SONDE, Case, run


def rows(*args):
    result = run(*args, "--json")
    return result.code, json.loads(result.out or "[]"), result.err


def no_limit():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class Cores(Case):
    """A process whose memory and threads are known, what is told of it while it lives, and its core."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sonde-core-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.child = subprocess.Popen([HOLED, "an", "argument"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      cwd=self.folder, preexec_fn=no_limit)
        self.addCleanup(self.end)
        self.it = json.loads(self.child.stdout.readline())
        self.live = f"process:{self.it['pid']}"
        if run("maps", self.live).code == 4:
            self.skipTest("this machine lets no process read another")
        self.maps, self.modules = rows("maps", self.live)[1], rows("modules", self.live)[1]
        if sum(int(row["end"], 16) - int(row["start"], 16) for row in self.maps) > 1 << 40:
            self.skipTest("a sanitizer's shadow is in the process: its core would have terabytes")
        self.live_code = {row["path"]: self.bytes_of(self.live, row).out for row in self.code()}
        self.page = run("read", self.live, hex(self.it["pages"]), str(self.it["page"]), "--raw").out

    def end(self):
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()

    def gcore(self):
        if not shutil.which("gcore"):
            self.skipTest("gcore is not installed")
        made = subprocess.run(["gcore", "-o", os.path.join(self.folder, "core"), str(self.it["pid"])], capture_output=True,
                              text=True, timeout=120, check=False)
        path = os.path.join(self.folder, f"core.{self.it['pid']}")
        if not os.path.exists(path):
            self.skipTest("gcore makes no core here: " + made.stderr[-200:])
        return path

    def kernels(self):
        with open("/proc/sys/kernel/core_pattern", encoding="ascii") as file:
            if file.read().strip() != "core":
                self.skipTest("the kernel's cores go elsewhere: /proc/sys/kernel/core_pattern is not 'core'")
        os.kill(self.it["pid"], signal.SIGABRT)
        self.child.wait(60)
        names = [name for name in os.listdir(self.folder) if name.startswith("core")]
        if not names:
            self.skipTest("the kernel writes no cores here")
        return os.path.join(self.folder, names[0])

    def check(self, core):
        code, listed, err = rows("info", core)
        self.assertEqual((code, err, listed[0]["connector"], listed[0]["os"], listed[0]["no_os"]), (0, "", "elfcore", "linux", None))
        self.check_mappings(core)
        code, listed, err = rows("modules", core)
        self.assertEqual((code, err, listed), (0, "", self.modules))
        self.check_process(core)
        self.check_threads(core)
        self.assertEqual(run("read", core, hex(self.it["pages"]), str(self.it["page"]), "--raw").out, self.page)
        return listed

    def check_mappings(self, core):
        """Names of memory that is no file no core has, nor what is shared; of what was not saved gcore tells no rights."""
        code, listed, err = rows("maps", core)
        self.assertEqual((code, err), (0, ""))
        known = {(row["start"], row["end"]): row for row in listed}
        starts = [int(row["start"], 16) for row in listed]
        self.assertEqual(starts, sorted(starts))
        for row in self.maps:
            if not row["path"].startswith("/"):
                continue
            found = known[row["start"], row["end"]]
            self.assertEqual((found["path"], found["offset"]), (row["path"], row["offset"]))
            self.assertIn(found["perms"], (row["perms"][:3] + "p", "---p"))
        stack = next(row for row in self.maps if row["path"] == "[stack]")
        self.assertEqual(known[stack["start"], stack["end"]]["path"], "[stack]")

    def check_process(self, core):
        code, listed, _ = rows("ps", core)
        row = listed[0]
        self.assertEqual((code, len(listed)), (3, 1))
        self.assertEqual((row["pid"], row["ppid"], row["uid"], row["gid"]), (self.it["pid"], os.getpid(), os.getuid(), os.getgid()))
        # A core has 79 bytes of arguments, and gcore the program's name alone.
        said = " ".join(row["args"])
        self.assertTrue(said and f"{HOLED} an argument".startswith(said), said)
        self.assertEqual(row["exe"], os.path.realpath(HOLED))
        self.assertEqual((row["name"], row["missing"]), (os.path.basename(HOLED)[:15], ["times", "memory"]))
        self.expect_error(run("ps", core, "--pid", "1"), 1, "alone")

    def check_threads(self, core):
        _, listed, _ = rows("threads", core, "--registers")
        self.assertEqual({row["tid"] for row in listed}, {self.it["pid"], self.it["worker"]})
        worker = next(row for row in listed if row["tid"] == self.it["worker"])
        names = dict(word.split("=") for word in worker["registers"])
        if os.uname().machine in ("x86_64", "aarch64"):
            magic = names["r15" if os.uname().machine == "x86_64" else "x19"]
            self.assertEqual(int(magic, 16), self.it["magic"])
        self.assertEqual(worker["pc"], names.get("rip", names.get("pc")))

    def code(self):
        """Of the program and its libraries: left out, for nobody changes it. gcore's debugger does, in the loader."""
        return [row for row in self.maps if row["path"].startswith("/") and row["perms"].startswith("r-x")
                and not os.path.basename(row["path"]).startswith("ld")]

    def bytes_of(self, target, row, *options):
        size = int(row["end"], 16) - int(row["start"], 16)
        return run("read", target, row["start"], str(size), "--raw", *options, text=False)

    def check_files(self, core, *options):
        rows_of_code = self.code()
        self.assertGreater(len(rows_of_code), 1)
        for row in rows_of_code:
            with self.subTest(row["path"]):
                self.assertEqual(self.bytes_of(core, row).code, 1)
                with_files = self.bytes_of(core + ",files=/", row, *options)
                self.assertEqual((with_files.code, with_files.err), (0, b""))
                self.assertTrue(with_files.out == self.live_code[row["path"]])

    def test_code_that_a_core_left_out_is_that_of_its_files(self):
        core = self.gcore()
        self.check_files(core)
        self.check(core + ",files=/")
        self.check_files_of_others(core)
        self.check_files(self.kernels())

    def check_files_of_others(self, core):
        """A folder in which one file is another build, and the rest is not there."""
        other, absent = self.code()[0]["path"], self.code()[1]["path"]
        root = os.path.join(self.folder, "root")
        os.makedirs(os.path.dirname(root + other))
        shutil.copy(SONDE, root + other)
        code, listed, err = rows("info", f"{core},files={root}")
        self.assertEqual((code, err), (0, ""))
        self.assertIn(f"file_refused=another build ID: {other}", listed[0]["facts"])
        self.assertIn(f"file_refused=not there: {absent}", listed[0]["facts"])
        self.assertIn(", 0 of ", listed[0]["detail"])
        self.assertEqual(self.bytes_of(f"{core},files={root}", self.code()[0]).code, 1)

    def test_a_core_of_gcore_is_the_process(self):
        self.check(self.gcore())

    def test_a_core_may_be_packed_as_systemd_packs_it(self):
        """In one frame that does not tell its size, or whose blocks lean on each other."""
        core = self.gcore()
        for words in (["zstd", "-q", "-c"], ["lz4", "-q", "-c", "-BD", "-B5"]):
            if not shutil.which(words[0]):
                continue
            with self.subTest(words[0]), open(core, "rb") as plain, open(core + ".packed", "wb") as packed:
                subprocess.run(words, stdin=plain, stdout=packed, check=True)
                if "unpack it first" in run("info", packed.name).err:
                    self.skipTest("built without what unpacks")
                self.check(packed.name)
                self.check_files(packed.name)
                self.check_files(packed.name, "--engine", "sync")

    def test_a_core_of_the_kernel_is_the_process(self):
        core = self.kernels()
        self.check(core)
        self.assertEqual(" ".join(rows("ps", core)[1][0]["args"]), f"{HOLED} an argument"[:79].rstrip())
        facts = rows("info", core)[1][0]["facts"]
        self.assertEqual(facts[0], f"signal={int(signal.SIGABRT)}")

    def test_what_an_image_has_not_is_said(self):
        core = self.gcore()
        self.expect_error(run("dmesg", core), 1, "no kernel's log")
        result = run("translate", core, hex(self.it["pages"]))
        self.assertEqual(result.code, 1)
        self.assertIn("without page tables", result.err)
        hole = hex(self.it["pages"] + 2 * self.it["page"])
        self.assertEqual(run("read", core, hole, "16").code, 1)
