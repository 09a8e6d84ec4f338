# SPDX-License-Identifier: MIT
"""Domains of libvirt: guests of the lab that a libvirtd of our own runs, and machines without a guest."""
import contextlib
import functools
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
import unittest

import compare
import proofs
from domains import BareDomain, Domain, Libvirtd, daemon
from harness import FOLDER, HERE, SONDE, Case, View, kill_whole, run, text_of
from test_compare import Comparison
from test_kdump import digest
from worlds import World

sys.path.insert(0, os.path.join(HERE, "..", "connectors"))
import library as lib  # noqa: E402

SECONDS = 30  # far above what a run takes: what it bounds is a hang
BIOS = 0xF0000  # memory with something in it, before any guest runs


@functools.lru_cache(maxsize=None)
def shared():
    guest = Domain(daemon(), "shared")
    return World(guest, {"map": guest.target(), "qemu": guest.qemu_target(),
                         "api": guest.target(",api=on"),
                         "far": f"libvirt:{daemon().far_uri}!{guest.name}"})


@functools.lru_cache(maxsize=None)
def private():
    guest = Domain(daemon(), "private", share=False)
    return World(guest, {"process": guest.target(), "qemu": guest.qemu_target()})


class SharedDomainTest(Comparison, Case):
    """Its memory is a file that can be mapped."""

    world_of, name, way = staticmethod(shared), "map", "shared mapping of "

    def test_memory_is_reached_this_way(self):
        self.assertIn(self.way, self.view().info()["detail"])

    def test_the_qemu_connector_says_the_same_of_it(self):
        for words in (("ps",), ("modules",), ("maps", "--all")):
            mine, qemu = (self.world.views[v].rows(*words) for v in (self.name, "qemu"))
            self.assertGreater(len(mine), 3)
            self.assertEqual([self.lasting(r) for r in mine], [self.lasting(r) for r in qemu])

    @staticmethod
    def lasting(row):
        """Without what changes while the guest runs."""
        return {k: v for k, v in row.items() if k in ("pid", "tgid", "ppid", "uid", "addr", "start",
                                                      "end", "perms", "path", "base", "size")}


class PrivateDomainTest(SharedDomainTest):
    """Its memory is QEMU's own."""

    world_of, name, way = staticmethod(private), "process", "process_vm_readv"


class ThroughLibvirtTest(SharedDomainTest):
    """As a domain elsewhere is read: nothing but libvirt's own calls."""

    name, way = "api", "through libvirt"

    def test_many_pieces_of_a_page_are_few_calls_and_holes_fail_alone(self):
        target = self.world.guest.target(",api=on")
        last = (512 << 20) - 16
        result = run("read", target, hex(last), 32, "--phys", "--json")
        self.expect_partial(result, "16 of 32 bytes could not be read")
        self.assertEqual({r["error"] for r in result.rows}, {None, "NOT_MAPPED"})

    def test_a_long_read_is_what_the_shared_file_has(self):
        guest = self.world.guest
        self.addCleanup(guest.resume)
        guest.pause()
        data = [run("read", guest.target(extra), "0x180ff1", 5 << 20, "--phys", "--raw").out
                for extra in (",api=on", ",via=map", ",via=process")]
        self.assertEqual(len(data[0]), 5 << 20)
        self.assertGreater(len(set(data[0])), 100)
        self.assertTrue(data[0] == data[1] == data[2])

    def test_writing_is_refused(self):
        result = run("write", "--write", "--string", "x", self.world.guest.target(",api=on"),
                     "0x100000")
        self.assertEqual(result.code, 1, str(result))
        self.assertIn("cannot be written", result.err)


class FarDomainTest(SharedDomainTest):
    """By a URI with a host: its process is none of ours, even where the host is this machine."""

    name, way = "far", "through libvirt"


class NamesTest(Case):
    @classmethod
    def setUpClass(cls):
        cls.domain = BareDomain(daemon(), "database-7")
        cls.addClassCleanup(cls.domain.stop)

    def expect_domain(self, target, env=None):
        row = self.expect(run("info", target, "--json", env=env), 0).rows[0]
        self.assertIn("domain 'database-7'", row["detail"])

    def test_by_name_uuid_and_id(self):
        for name in ("database-7", self.domain.uuid, self.domain.virsh("domid").strip()):
            with self.subTest(name):
                self.expect_domain(f"libvirt:{daemon().uri}!{name}")

    def test_the_default_is_what_the_environment_says(self):
        self.expect_domain("libvirt:database-7", env={"LIBVIRT_DEFAULT_URI": daemon().uri})

    def refuse(self, target, *parts):
        result = self.expect(run("ps", target, "--json"), 4, *parts)
        self.assertEqual(result.rows, [])
        self.assertEqual(result.err.count("\n"), 1, str(result))

    def test_a_name_that_is_none_is_answered_with_near_ones(self):
        self.refuse(f"libvirt:{daemon().uri}!databse-7", "'databse-7': no such domain",
                    "did you mean 'database-7'?")
        self.refuse(f"libvirt:{daemon().uri}!elephant", "there are ", "'database-7'")

    def test_a_domain_that_does_not_run_says_why(self):
        domain = BareDomain(daemon(), "asleep")
        self.addCleanup(domain.stop)
        domain.virsh("destroy")
        self.refuse(domain.target(), "domain 'asleep' does not run", "was shut off (destroyed)",
                    "virsh start asleep")

    def test_domains_are_listed_with_their_states(self):
        domain = BareDomain(daemon(), "asleep!")
        self.addCleanup(domain.stop)
        domain.virsh("destroy")
        rows = {r["name"]: r for r in self.expect(
            run("targets", "libvirt", "--json", env={"LIBVIRT_DEFAULT_URI": daemon().uri}), 0).rows}
        mine = rows["database-7"]
        self.assertEqual((mine["target"], mine["state"]), ("libvirt:database-7", "running"))
        self.assertIn(self.domain.uuid, mine["detail"])
        guests = {r["pid"]: r for r in run("targets", "qemu", "--json").rows}
        self.assertIn("database-7", guests[mine["pid"]]["name"])
        self.assertEqual([rows["asleep!"][k] for k in ("target", "pid", "state")],
                         [f"libvirt:{domain.uuid}", None, "shut off"])

    def test_no_name_at_all(self):
        self.refuse("libvirt:", "which domain?", "libvirt:URI!NAME")
        self.refuse(f"libvirt:{daemon().uri}!", "which domain?")

    def test_options_that_are_none(self):
        for extra, part in ((",api=maybe", "api 'maybe'"), (",via=wire", "via 'wire'"),
                            (",api=on,via=map", "exclude each other")):
            self.refuse(self.domain.target(extra), part)

    def test_another_driver_than_qemus(self):
        self.refuse("libvirt:test:///default!test", "its driver is 'TEST'")

    def test_no_libvirtd_on_the_socket(self):
        path = os.path.join(FOLDER, "nobody-here")
        self.refuse(f"libvirt:qemu+unix:///system?socket={path}!x", f"no libvirtd listens on '{path}'",
                    "systemctl start libvirtd")

    @unittest.skipUnless(os.getuid() == 0, "only root can become somebody else")
    def test_a_socket_of_a_group_is_refused_to_others_with_its_name(self):
        path = os.path.join(FOLDER, "libvirt-sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            os.chmod(path, 0o660)
            os.chown(path, 0, 12)  # man, in every Debian
            code, _, err = self.as_nobody("ps", f"libvirt:qemu+unix:///system?socket={path}!x")
        os.unlink(path)
        self.assertEqual(code, 4, err)
        for part in (path, "user root and group man", "usermod -aG man"):
            self.assertIn(part, err)

    @unittest.skipUnless(os.getuid() == 0, "only root can hide processes")
    def test_a_process_that_cannot_be_seen_leaves_the_api_and_says_so(self):
        for extra, code, part in (("", 0, ""), (",via=process", 4, "no QEMU process of this machine")):
            words = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", SONDE, "info",
                     self.domain.target(extra), "--json"]
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=SECONDS, check=False)
            if done.stderr.startswith("unshare: "):
                self.skipTest(done.stderr.strip())
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(part, done.stderr)
            if code == 0:
                self.assertIn("through libvirt (libvirt: domain 'database-7': no QEMU process",
                              done.stdout)


class DumpedDomainTest(Case):
    """What virsh dump writes, whole and as an ELF core, of one moment."""

    def dump(self, domain, leaf, *words):
        path = os.path.join(daemon().folder, "cache", leaf)
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        domain.virsh("dump", path, *words)
        return path

    def test_a_dump_is_the_guest_and_the_same_as_its_core(self):
        domain = private().guest
        truths = [domain.tell()]
        domain.virsh("suspend")
        try:
            whole = self.dump(domain, "whole")
            core = self.dump(domain, "core", "--memory-only")
        finally:
            domain.virsh("resume")
        truths.append(domain.tell())
        info = View(whole).info()
        self.assertEqual((info["connector"], info["cpus"]), ("migration", 1))
        self.assertEqual(compare.process_list_faults(View(whole).rows("ps"), truths), [])
        self.assertEqual(digest(whole), digest(core))
        proofs.proved("migration stream", "virsh dump", "bytes", "ps")


class PackedSaveTest(Case):
    """What virsh save writes through each program that it packs with, of a domain that stands still."""

    def whole(self, target):
        result = run("read", target, "0x100000", "63M", "--phys", "--raw")
        self.assertEqual((result.code, len(result.out)), (0, 63 << 20), result.err)
        return hashlib.sha256(result.out).hexdigest()

    def check(self, packer):
        libvirtd = Libvirtd("packs-" + packer, saves=packer)
        self.addCleanup(libvirtd.stop)
        domain = BareDomain(libvirtd, "packed")
        self.addCleanup(domain.stop)
        domain.virsh("suspend")
        before = self.whole(domain.target())
        path = os.path.join(libvirtd.folder, "cache", "saved")
        domain.virsh("save", path)
        self.assertIn(f"saved by libvirt while it was paused, packed by {packer}; migration stream", View(path).info()["detail"])
        self.assertEqual(self.whole(path), before)
        proofs.proved("migration stream, packed by " + packer, "virsh save", "bytes")

    def test_each_is_the_memory_of_the_domain(self):
        for packer in ("gzip", "bzip2", "xz", "lzop"):
            with self.subTest(packer):
                if not shutil.which(packer):
                    self.skipTest(f"no {packer}")
                self.check(packer)


class LifeTest(Case):
    """What is told when a domain stops while it is read."""

    def setUp(self):
        self.domain = BareDomain(daemon(), "mortal")
        self.addCleanup(self.domain.stop)

    def read_across(self, extra, end):
        """Exit code and stderr of a read that @end comes into the middle of."""
        with subprocess.Popen([SONDE, "read", self.domain.target(extra), "0x100000", "40M", "--phys",
                               "--raw"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as reader:
            begun = reader.stdout.read(1 << 20)  # it fills its pipe and waits
            end()
            out, err = reader.communicate(timeout=SECONDS)
        self.assertEqual(len(begun + out), 40 << 20)
        return reader.returncode, text_of(err)

    def expect_story(self, extra, end, story):
        code, err = self.read_across(extra, end)
        self.assertEqual(code, 3, err)
        self.assertIn("the target went away", err)
        self.assertIn("bytes could not be read", err)
        self.assertIn(f"libvirt: domain 'mortal' {story}", err)

    def test_destroyed_while_its_process_is_read(self):
        self.expect_story("", lambda: self.domain.virsh("destroy"), "was shut off (destroyed)")

    def test_destroyed_while_it_is_read_through_libvirt(self):
        self.expect_story(",api=on", lambda: self.domain.virsh("destroy"),
                          "was shut off (destroyed)")

    def test_saved(self):
        path = os.path.join(daemon().folder, "cache", "saved")
        self.expect_story("", lambda: self.domain.virsh("save", path),
                          "was shut off (saved to a file)")
        self.assertIn("saved by libvirt while it ran", View(path).info()["detail"])

    def test_its_qemu_is_killed(self):
        self.expect_story("", lambda: kill_whole(self.domain.pid),
                          "was shut off (it or its QEMU crashed)")

    def test_reset_while_it_is_read(self):
        self.expect_story("", lambda: self.domain.virsh("reset"), "was rebooted")

    def test_shared_memory_stays_as_it_was_and_the_end_is_told_all_the_same(self):
        self.domain.stop()
        self.domain = BareDomain(daemon(), "mortal", share=True)
        code, err = self.read_across("", lambda: self.domain.virsh("destroy"))
        self.assertEqual(code, 0, err)
        self.assertIn("meanwhile: libvirt: domain 'mortal' was shut off (destroyed)", err)


@unittest.skipUnless(os.environ.get("SONDE_LIBRARY"), "the library of this build cannot be loaded")
class LibraryTest(Case):
    def setUp(self):
        lib.PATH = os.environ["SONDE_LIBRARY"]
        self.library = lib.Library()
        self.addCleanup(self.library.so.sonde_loop_destroy, self.library.loop)
        self.domain = BareDomain(daemon(), "again")
        self.addCleanup(self.domain.stop)

    @contextlib.contextmanager
    def opened(self, extra=""):
        target = self.library.open(self.domain.target(extra))
        yield target
        self.library.so.sonde_target_close(target)

    def get(self, target):
        return self.library.get(target, BIOS, 4096)

    def get_until(self, target, outcome):
        """Read until it ends so; the bytes. Before that everything is GONE."""
        until = time.monotonic() + SECONDS
        data, name = self.get(target)
        while name != outcome and time.monotonic() < until:
            self.assertEqual(name, "GONE")
            time.sleep(0.05)
            data, name = self.get(target)
        self.assertEqual(name, outcome)
        return data

    def test_a_domain_that_is_started_again_fails_once_and_then_is_the_new_one(self):
        for extra in ("", ",api=on"):
            with self.subTest(extra), self.opened(extra) as target:
                before, name = self.get(target)
                self.assertEqual(name, "OK")
                self.assertGreater(len(set(before)), 50)
                self.domain.virsh("destroy")
                self.assertEqual(self.get(target), (bytes(4096), "GONE"))
                self.domain.virsh("start")
                self.assertEqual(self.get_until(target, "OK"), before)
                with self.assertRaisesRegex(RuntimeError, "destroyed. and started again"):
                    self.library.check(self.library.so.sonde_target_gone(target, self.library.err))

    def test_started_again_between_two_reads_it_still_fails_once(self):
        for extra in ("", ",api=on"):
            with self.subTest(extra), self.opened(extra) as target:
                self.assertEqual(self.get(target)[1], "OK")
                self.domain.virsh("destroy")
                self.domain.virsh("start")
                self.assertEqual(self.get(target)[1], "GONE")
                self.get_until(target, "OK")

    def test_pause_stops_it_and_close_lets_it_go_on(self):
        with self.opened() as target:
            self.library.check(self.library.so.sonde_target_pause(target, self.library.err))
            self.assertEqual(self.domain.virsh("domstate").strip(), "paused")
            self.library.check(self.library.so.sonde_target_resume(target, self.library.err))
            self.assertEqual(self.domain.virsh("domstate").strip(), "running")
            self.library.check(self.library.so.sonde_target_pause(target, self.library.err))
        self.assertEqual(self.domain.virsh("domstate").strip(), "running")
        # Stopped by somebody else, it stays theirs.
        self.domain.virsh("suspend")
        with self.opened() as target:
            self.assertEqual(self.library.so.sonde_target_pause(target, self.library.err), 1)
        self.assertEqual(self.domain.virsh("domstate").strip(), "paused")
        self.domain.virsh("resume")
        with self.opened() as last:
            with self.opened() as first:
                for target in (first, last):
                    self.assertEqual(self.library.so.sonde_target_pause(target, self.library.err), 0)
            self.assertEqual(self.domain.virsh("domstate").strip(), "paused")
        self.assertEqual(self.domain.virsh("domstate").strip(), "running")

    def test_nothing_has_happened_to_one_that_runs(self):
        with self.opened() as target, self.opened(",api=on") as other:
            for one in (target, other):
                self.assertEqual(self.library.so.sonde_target_gone(one, self.library.err), 0)
