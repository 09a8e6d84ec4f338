# SPDX-License-Identifier: MIT
"""sonde targets: what it lists can be opened by the name it gives. Guests here are programs that only look like QEMU."""
import contextlib
import json
import os
import subprocess
import sys

from harness import Case, run

WAIT = "import sys; print(flush=True); sys.stdin.read()"


@contextlib.contextmanager
def process(*words):
    """A process with this command line, behind what makes it wait."""
    argv = [words[0], "-c", WAIT, *words[1:]]
    with subprocess.Popen(argv, executable=sys.executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        try:
            yield child.pid
        finally:
            child.stdin.close()


def guest(*options):
    return process("qemu-system-x86_64", *options)


def listed(*args):
    result = run("targets", *args, "--json")
    return {row["pid"]: row for row in json.loads(result.out)}, result


class Guests(Case):
    def test_a_guest_is_listed_by_its_name(self):
        with guest("-name", "sonde-cli-vm,debug-threads=on", "-machine", "q35,accel=tcg", "-m", "size=2G") as pid:
            for args in (("qemu",), ()):
                rows, result = listed(*args)
                self.expect(result, 0, err="")
                self.assertEqual(rows[pid], {
                    "target": "qemu:sonde-cli-vm", "connector": "qemu", "name": "sonde-cli-vm", "pid": pid,
                    "state": None, "detail": "qemu-system-x86_64, q35, 2048 MiB"})
        self.assertNotIn(pid, listed("qemu")[0])

    def test_guests_of_one_name_are_listed_by_their_processes(self):
        with guest("-name", "twin") as one, guest("-name", "twin") as other, guest("-m", "64") as nameless:
            rows, _ = listed("qemu")
            self.assertEqual([rows[pid]["target"] for pid in (one, other, nameless)],
                             [f"qemu:{pid}" for pid in (one, other, nameless)])
            self.assertEqual(rows[one]["name"], "twin")

    def test_whatever_a_guest_is_called_the_name_given_opens_it(self):
        """None has memory that could be read: the refusal tells which guest it was."""
        for name, in_options in (("a b", "a b"), ("bar|cache", "bar|cache"), ("comma,x=1", "comma,,x=1"),
                                 ("back\\slash", "back\\slash"), ("pid=1", "guest=pid=1"), ("qmp=a", "guest=qmp=a"),
                                 ("/tmp/x", "/tmp/x")):
            with self.subTest(name), guest("-name", in_options) as pid:
                target = listed("qemu")[0][pid]["target"]
                self.expect_error(run("info", target), 4, f"(pid {pid})")

    def test_text_and_csv(self):
        with guest("-name", "sonde-cli-vm") as pid:
            lines = run("targets", "qemu").out.splitlines()
            self.assertEqual(lines[0].split(), ["TARGET", "NAME", "PID", "STATE", "DETAIL"])
            self.assertIn(["qemu:sonde-cli-vm", "sonde-cli-vm", str(pid), "-", "qemu-system-x86_64"],
                          [line.split() for line in lines])
            self.assertIn(f"qemu:sonde-cli-vm,{pid}\n", run("targets", "--csv", "-f", "target,pid").out)


class Processes(Case):
    def test_a_process_is_listed_where_processes_are_asked_for(self):
        with process("sonde-cli-process", "word") as pid:
            rows, result = listed("process")
            self.expect(result, 0, err="")
            self.assertEqual((rows[pid]["target"], rows[pid]["pid"]), (f"process:{pid}", pid))
            self.assertEqual(rows[pid]["state"], "sleeping")
            self.assertTrue(rows[pid]["detail"].startswith("sonde-cli-process -c"))
            self.assertNotIn(pid, listed()[0])
            self.expect(run("info", rows[pid]["target"]), 0)

    def test_what_has_no_memory_is_not_listed(self):
        rows, _ = listed("process")
        kernel = [int(p) for p in os.listdir("/proc") if p.isdigit() and self.is_kernel_thread(p)]
        self.assertFalse(set(rows) & set(kernel))
        with subprocess.Popen(["true"], stdin=subprocess.PIPE) as child:
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            self.assertNotIn(child.pid, listed("process")[0])

    @staticmethod
    def is_kernel_thread(pid):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as stat:
            return int(stat.read().rpartition(b")")[2].split()[6]) & 0x200000
        return False


class Refusals(Case):
    def test_a_connector_that_is_none_or_cannot_tell(self):
        self.expect_error(run("targets", "nonsense"), 4, "no connector 'nonsense'")
        self.expect_error(run("targets", "flat"), 1, "flat: cannot tell what it could open")
        self.expect_error(run("targets", "cache"), 1, "'cache' is a layer")
        self.expect(run("targets", "flat", "--json"), 1, out="[]\n")

    def test_what_keeps_libvirt_from_telling_is_said_where_it_is_asked_for(self):
        environment = dict(os.environ, LIBVIRT_DEFAULT_URI="qemu+unix:///system?socket=/nowhere/libvirt-sock")
        asked = run("targets", "libvirt", env=environment)
        if "no connector" in asked.err:
            self.skipTest("built without libvirt")
        self.assertIn(asked.code, (1, 4))
        self.assertIn("libvirt: ", asked.err)
        self.expect(run("targets", env=environment), 0, err="")
        self.assertIn("libvirt: ", run("targets", "-v", env=environment).err)
