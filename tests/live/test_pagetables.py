# SPDX-License-Identifier: MIT
"""
Page tables of real guests, in every format, against QEMU's own view of them.

A guest is stopped at several moments, in user space and in its kernel. At each, what paging_translate,
paging_space and paging_visit say (pagetables.c) is compared with the monitor: gva2gpa of single
addresses, the bytes there, and where QEMU lists them, all pages with their attributes (info tlb) and
all ranges with their rights (info mem). SONDE_PAGETABLES is the program.
"""
import bisect
import collections
import os
import random
import re
import subprocess
import time
import unittest

import foreign
import monitor
import worlds
from harness import Case, FOLDER, lab, need_lab, run

PROGRAM = os.environ.get("SONDE_PAGETABLES")
READ, WRITE, EXEC, USER, GLOBAL, ACCESSED, DIRTY, PRESENT = 1, 2, 4, 256, 512, 1024, 2048, 4096
MEM = 256
PAGE = 4096
N_RANDOM, N_NEAR, N_EDGES, N_EDGES_FIRST, N_BYTES = 400, 200, 400, 4000, 150

Run = collections.namedtuple("Run", "va pa length page_size flags")
# format, low, high: pagetables.c's. user: in user space. readable: whether QEMU's debugger would read a page
# with these flags at this moment. values: what the registers hold.
Moment = collections.namedtuple("Moment", "format low high user readable values")


# ---- what the processor is about ---------------------------------------------------------------


def field(text, name):
    return int(re.search(rf"\b{name} *= *([0-9a-f]+)|\b{name} +([0-9a-f]+)", text).expand(r"\1\2"), 16)


def values_in(text):
    """Numbers that registers hold: whatever of them are addresses."""
    return {int(v, 16) for v in re.findall(r"\b[0-9a-f]{8,16}\b", text)}


def x86_moment(mon):
    text = mon.say("info registers")
    cr3, cr4, efer = (field(text, name) for name in ("CR3", "CR4", "EFER"))
    if efer >> 10 & 1:
        name = f"x86_64-{5 if cr4 >> 12 & 1 else 4}"
    else:
        name = "x86-pae" if cr4 >> 5 & 1 else "x86"
    values = values_in(text)
    if name.startswith("x86_64"):
        values |= {0x7fffffffffff, 0x800000000000, 0xffff7fffffffffff, 0xffff800000000000,
                   0xfeffffffffffffff, 0x8000000000000000}
    else:  # QEMU takes the lower half of an address that is too long
        values = {v & 0xffffffff for v in values}
    return Moment(name, cr3, 0, field(text, "CPL") == 3, lambda flags: bool(flags & PRESENT), values)


def arm64_moment(mon):
    text = mon.say("info registers")
    told = monitor.registers(mon, "TTBR0_EL1", "TTBR1_EL1", "TCR_EL1", "cpsr")
    tcr, pstate = told["TCR_EL1"], told["cpsr"]
    bits = 64 - (tcr >> 16 & 63)
    low = {0: 12, 1: 16, 2: 14}[tcr >> 14 & 3]
    high = {1: 14, 2: 12, 3: 16}[tcr >> 30 & 3]
    if low != high or tcr & 63 != tcr >> 16 & 63:
        return None  # while the kernel uses a map of its own for a moment
    name = f"arm64-{low}-{bits}" + ("-wide" if tcr >> 59 & 1 else "")
    user, pan = pstate & 15 == 0, pstate >> 22 & 1

    def readable(flags):
        return bool(flags & USER if user else not (flags & USER and pan))

    def untagged(va):
        """QEMU does as the processor: it ignores the top byte where TCR.TBI0 or TBI1 says so."""
        kernel = va >> 55 & 1
        return va & ~(255 << 56) | (255 << 56) * kernel if tcr >> (37 + kernel) & 1 else va
    return Moment(name, told["TTBR0_EL1"], told["TTBR1_EL1"], user, readable,
                  {untagged(va) for va in values_in(text)})


def riscv64_moment(mon):
    text = mon.say("info registers")
    told = monitor.registers(mon, "satp", "priv")
    satp = told["satp"]
    if told["priv"] == 3 or satp >> 60 not in (8, 9, 10):
        return None  # in the firmware, which has no page tables
    user = told["priv"] == 0

    def readable(flags):
        return bool((flags & USER or not user) and flags & READ)
    return Moment(f"riscv64-{ {8: 39, 9: 48, 10: 57}[satp >> 60]}", satp, 0, user, readable, values_in(text))


# ---- a guest and its moments ---------------------------------------------------------------------


class Guest:
    def __init__(self, kind, moment_of):
        self.kind, self.moment_of, self.name = foreign.KINDS[kind], moment_of, "pages-" + kind
        need_lab(self.kind.suite, self.kind.arch, self.kind.flavour)
        try:
            self.state = foreign.boot(self.name, kind, dir=FOLDER, mem=MEM)
        except lab.Skip as err:
            raise unittest.SkipTest(str(err)) from err
        self.monitor = monitor.Monitor(kind, self.state["qmp"])
        self.random = random.Random(kind)

    def end(self):
        self.monitor.sock.close()
        lab.stop(self.name, FOLDER)

    def moments(self, n_user, n_kernel):
        """Stop it here and there; the guest stays stopped while each is looked at."""
        left = {True: n_user, False: n_kernel}
        for _ in range(400):
            self.monitor.stop()
            moment = self.moment_of(self.monitor)
            if moment and left[moment.user]:
                left[moment.user] -= 1
                yield moment
            if not any(left.values()):
                return
            self.monitor.resume()
            time.sleep(self.random.uniform(0.005, 0.06))
        raise AssertionError(f"the processor was never met in {left}")

    def stretches(self):
        """Where its memory lies in the file; what a PC has of video memory and ROM below 1 MiB does not."""
        if self.kind.machine != "q35":
            return [(self.kind.ram, MEM << 20, 0)]
        return [(0, 0xa0000, 0), (1 << 20, (MEM - 1) << 20, 1 << 20)]

    def in_ram(self, pa):
        return any(start <= pa < start + length for start, length, _ in self.stretches())

    def ask(self, mode, moment, addresses=()):
        words = [PROGRAM, mode, moment.format, hex(moment.low), hex(moment.high), self.state["mem_file"]]
        words += [":".join(f"{v:x}" for v in s) for s in self.stretches()]
        done = subprocess.run(words, input="".join(f"{v:x}\n" for v in addresses), text=True, timeout=120,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if done.returncode or done.stderr:
            raise AssertionError(f"{' '.join(words)}\nexit {done.returncode}\n{done.stderr}")
        return [line.split() for line in done.stdout.splitlines()]

    def runs(self, moment):
        return [Run(*(int(word, 16) for word in line)) for line in self.ask("visit", moment)]


def pages_of(runs):
    """{first address of a page: (its physical address, size, flags)}"""
    return {run.va + at: (run.pa + at, run.page_size, run.flags)
            for run in runs for at in range(0, run.length, run.page_size)}


def ranges_of(pieces):
    """Pieces (start, end, what), by rising address, with neighbours of the same kind made one."""
    joined = []
    for start, end, what in pieces:
        if joined and joined[-1][1] == start and joined[-1][2] == what:
            joined[-1] = (joined[-1][0], end, what)
        else:
            joined.append((start, end, what))
    return joined


class Comparison:
    """Mixed into a test: one guest, compared at all its moments."""

    kind = moment_of = None
    formats = ()

    @classmethod
    def setUpClass(cls):
        if not PROGRAM:
            raise unittest.SkipTest("SONDE_PAGETABLES is not set")
        cls.guest = Guest(cls.kind, cls.moment_of)
        cls.counts = collections.Counter()
        cls.addClassCleanup(cls.guest.end)
        cls.addClassCleanup(cls.tell)

    @classmethod
    def tell(cls):
        counted = ", ".join(f"{n} {what}" for what, n in cls.counts.items())
        print(f"    {cls.kind}: booted in {cls.guest.state['boot_seconds']} s; {counted}")

    def test_every_page_is_where_qemu_finds_it(self):
        for number, moment in enumerate(self.guest.moments(2, 2)):
            with self.subTest(moment=number, format=moment.format, user=moment.user):
                self.assertIn(moment.format, self.formats)
                self.counts["moments in user space" if moment.user else "moments in the kernel"] += 1
                runs = self.guest.runs(moment)
                # A program has text, data and a stack; with them arm64 maps next to nothing of its kernel.
                self.assertGreater(len(runs), 2 if moment.user else 10)
                self.counts["runs"] += len(runs)
                self.check_lists(moment, runs)  # first: to ask QEMU for an address may mark a page accessed
                self.check_addresses(moment, runs, N_EDGES_FIRST if number == 0 else N_EDGES)
                self.check_bytes(moment, runs)

    def check_lists(self, moment, runs):
        """What the monitor lists of all pages, where it does."""

    # ---- single addresses ----

    def addresses(self, moment, runs, n_edges):
        """
        Of every run the first byte, the last, and those beside it; random ones within, and near by: what the
        visit left out; the registers.
        """
        rng = self.guest.random
        edges = [edge + by for run in runs for edge in (run.va, run.va + run.length) for by in (-1, 0)]
        if len(edges) > n_edges:
            edges = rng.sample(edges, n_edges)
        inside = [run.va + rng.randrange(run.length) for run in rng.choices(runs, k=N_RANDOM)]
        near = [run.va + run.length + rng.randrange(1 << rng.randrange(12, 31))
                for run in rng.choices(runs, k=N_NEAR)]
        end = 1 << (32 if moment.format in ("x86", "x86-pae") else 64)
        return sorted({va for va in (*edges, *inside, *near, *moment.values) if 0 <= va < end})

    def check_addresses(self, moment, runs, n_edges):
        addresses = self.addresses(moment, runs, n_edges)
        theirs = self.guest.monitor.say_all(f"gva2gpa {va:#x}" for va in addresses)
        ours = self.guest.ask("translate", moment, addresses)
        self.assertEqual(len(ours), len(addresses))
        wrong = []
        for va, line, text in zip(addresses, ours, theirs):
            want = None if "Unmapped" in text else int(text.split()[1], 16)
            got = None
            if line[1] != "!" and moment.readable(int(line[3], 16)):
                got = int(line[1], 16)
            self.counts["addresses mapped" if want is not None else "addresses not mapped"] += 1
            if int(line[0], 16) != va or got != want:
                wrong.append(f"{' '.join(line)}: QEMU has {text.strip()}")
        self.assertEqual(wrong[:20], [], f"{len(wrong)} of {len(addresses)}; {moment[:4]}")

    # ---- bytes ----

    def check_bytes(self, moment, runs):
        """8 bytes at random places, and across ends of runs. Of RAM only: devices may mind."""
        rng, chosen = self.guest.random, set()
        behind = {run.va: run for run in runs}
        while len(chosen) < N_BYTES:
            run = rng.choice(runs)
            at = rng.choice((rng.randrange(run.length - 7), run.length - 4))
            touched = [run.pa + at, run.pa + min(at + 7, run.length - 1)]
            if at + 8 > run.length and run.va + run.length in behind:
                touched.append(behind[run.va + run.length].pa)
            if all(map(self.guest.in_ram, touched)):
                chosen.add(run.va + at)
        addresses = sorted(va for va in chosen if va + 8 < 1 << 64)
        theirs = self.guest.monitor.say_all(f"x /8bx {va:#x}" for va in addresses)
        ours = self.guest.ask("read", moment, addresses)
        readable = {int(line[0], 16): line for line in ours}
        flags = self.flags_at(runs)
        wrong = []
        for va, text in zip(addresses, theirs):
            line = readable[va]
            want = "".join(re.findall(r"0x([0-9a-f]{2})\b", text)) if "Cannot" not in text else None
            got = line[1] if line[1] != "!" else None
            if not all(moment.readable(f) for f in (flags(va), flags(va + 7))):
                got = None
            self.counts["places read" if want is not None else "places not readable"] += 1
            if got != want:
                wrong.append(f"{' '.join(line)}: QEMU has {text!r}")
        self.assertEqual(wrong[:20], [], f"{len(wrong)} of {len(addresses)}; {moment[:4]}")

    @staticmethod
    def flags_at(runs):
        starts = [run.va for run in runs]

        def flags(va):
            at = bisect.bisect_right(starts, va) - 1
            run = runs[at] if at >= 0 else None
            return run.flags if run and va < run.va + run.length else 0
        return flags


# ---- x86 -----------------------------------------------------------------------------------------


class X86(Comparison):
    moment_of = staticmethod(x86_moment)

    def check_lists(self, moment, runs):
        self.check_tlb(runs)
        self.check_mem(moment, runs)

    def check_tlb(self, runs):
        """Every page, with what its own entry says; tables above may take rights away: check_mem."""
        theirs = {}
        for line in self.guest.monitor.say("info tlb").splitlines():
            va, pa, marks = re.fullmatch(r"([0-9a-f]+): ([0-9a-f]+) ([-A-Z]+)", line).groups()
            # X is NX here; P is a large page. The address of PAE's has NX in it.
            theirs[int(va, 16)] = (int(pa, 16) & (1 << 52) - 1, "P" in marks, marks)
        ours = {va: page for va, page in pages_of(runs).items() if page[2] & PRESENT}
        self.assertEqual(sorted(set(ours) ^ set(theirs))[:20], [], "pages that only one of both has")
        wrong = []
        for va, (pa, size, flags) in ours.items():
            their_pa, large, marks = theirs[va]
            same = (pa == their_pa and (size > PAGE) == large and
                    all(bool(flags & flag) == (mark in marks)
                        for flag, mark in ((GLOBAL, "G"), (DIRTY, "D"), (ACCESSED, "A"))) and
                    all(not flags & flag or mark in marks for flag, mark in ((WRITE, "W"), (USER, "U"))) and
                    not (flags & EXEC and "X" in marks))
            if not same:
                wrong.append(f"{va:x}: {pa:x} {size:x} {flags:x}, QEMU has {their_pa:x} {marks}")
        self.assertEqual(wrong[:20], [], f"{len(wrong)} of {len(ours)}")
        self.counts["pages of info tlb"] += len(ours)

    def check_mem(self, moment, runs):
        """Ranges of the same rights, all levels taken together."""
        theirs = []
        for line in self.guest.monitor.say("info mem").splitlines():
            span, _, rights = line.split()
            start, end = span.split("-")
            theirs.append((int(start, 16), int(end, 16), rights))
        ours = ranges_of((run.va, (run.va + run.length) % (1 << 64),
                          ("u" if run.flags & USER else "-") + "r" + ("w" if run.flags & WRITE else "-"))
                         for run in runs if run.flags & PRESENT)
        self.assertEqual(ours, theirs)
        self.counts["ranges of info mem"] += len(ours)


class Amd64Test(X86, Case):
    kind, formats = "amd64", ("x86_64-4",)


class FiveLevelsTest(X86, Case):
    kind, formats = "amd64-la57", ("x86_64-5",)

    def check_mem(self, moment, runs):
        """
        Not with this many levels: QEMU 7.2 takes entries that are present for absent there, and the other
        way about, so that it walks through physical page 0 for a minute.
        """


class I386Test(X86, Case):
    kind, formats = "i386", ("x86",)


class PaeTest(X86, Case):
    kind, formats = "i386-pae", ("x86-pae",)


# ---- arm64 ---------------------------------------------------------------------------------------


class Arm64Test(Comparison, Case):
    kind, formats = "arm64", ("arm64-12-48",)
    moment_of = staticmethod(arm64_moment)


class Arm64With16KTest(Arm64Test):
    kind, formats = "arm64-16k", ("arm64-14-47", "arm64-14-52-wide")


# ---- riscv64 -------------------------------------------------------------------------------------


class Sv39Test(Comparison, Case):
    kind, formats = "riscv64-sv39", ("riscv64-39",)
    moment_of = staticmethod(riscv64_moment)

    def check_lists(self, moment, runs):
        """All pages, with all bits of their own entries. QEMU begins a new range with each table."""
        theirs = []
        for line in self.guest.monitor.say("info mem").splitlines()[2:]:
            va, pa, length, marks = line.split()
            va = int(va, 16)
            theirs.append((va, va + int(length, 16), (int(pa, 16) - va, marks)))
        names = tuple(zip((READ, WRITE, EXEC, USER, GLOBAL, ACCESSED, DIRTY), "rwxugad"))
        ours = ranges_of((run.va, run.va + run.length,
                          (run.pa - run.va, "".join(c if run.flags & flag else "-" for flag, c in names)))
                         for run in runs)
        theirs = ranges_of(theirs)
        self.assertEqual(ours, theirs)
        self.counts["ranges of info mem"] += len(ours)


class Sv48Test(Sv39Test):
    kind, formats = "riscv64-sv48", ("riscv64-48",)


class Sv57Test(Sv39Test):
    kind, formats = "riscv64-sv57", ("riscv64-57",)


# ---- the tool ------------------------------------------------------------------------------------


class ToolTest(Case):
    """sonde translate and sonde pages of a guest's init, which computes in user space all the while."""

    @classmethod
    def setUpClass(cls):
        cls.guest = worlds.plain()

    def rows(self, *words):
        result = run(words[0], self.guest.target(), *words[1:], "--json")
        self.assertIn(result.code, (0, 1, 3), str(result))  # some addresses are mapped, some are not
        return result.rows

    def translate(self, addresses, *options):
        return [row for at in range(0, len(addresses), 200)
                for row in self.rows("translate", *map(hex, addresses[at:at + 200]), *options)]

    def stop_in_user_space(self):
        for _ in range(200):
            with lab.control(lab.Guest(self.guest.name, FOLDER)) as qmp:
                qmp.command("stop")
                text = qmp.command("human-monitor-command", **{"command-line": "info registers"})
                if field(text, "CPL") == 3:
                    return field(text, "CR3")
                qmp.command("cont")
            time.sleep(0.02)
        raise AssertionError("the processor was never met in user space")

    def test_translate_and_pages_agree_with_gva2gpa(self):
        with lab.in_background(self.guest.name, "spin", 60, FOLDER):
            cr3 = self.stop_in_user_space()
            try:
                self.check(cr3)
            finally:
                self.guest.resume()

    def check(self, cr3):
        rng, counts = random.Random(1), []
        for pid in ((), ("--pid", 1)):
            spans = [(int(r["start"], 16), int(r["end"], 16) or 1 << 64, int(r["pa"], 16), r["attrs"])
                     for r in self.rows("pages", *pid)]
            edges = {edge + by for start, end, *_ in spans for edge in (start, end) for by in (-1, 0)}
            edges = {edge for edge in edges if 0 <= edge < 1 << 64}
            addresses = sorted(rng.sample(sorted(edges), min(500, len(edges))))
            addresses += [start + rng.randrange(end - start) for start, end, *_ in rng.choices(spans, k=300)]
            rows = self.translate(addresses, *pid)
            self.assertEqual([int(r["va"], 16) for r in rows], addresses)
            roots = {int(r["entry_addrs"][0], 16) & ~4095 for r in rows if r["entry_addrs"]}
            if pid:
                self.assertEqual(roots, {cr3 & ~4095})
            with monitor.Monitor("tool", lab.Guest(self.guest.name, FOLDER).path("control.sock")) as mon:
                theirs = mon.say_all(f"gva2gpa {va:#x}" for va in addresses)
            self.check_rows(rows, theirs, spans)
            counts.append(len(rows))
        print("    sonde translate and pages: %d addresses of the kernel, %d of init" % tuple(counts))

    def check_rows(self, rows, theirs, spans):
        starts = [span[0] for span in spans]
        for row, text in zip(rows, theirs):
            va = int(row["va"], 16)
            want = None if "Unmapped" in text else int(text.split()[1], 16)
            got = int(row["pa"], 16) if row["pa"] and "present" in row["attrs"] else None
            self.assertEqual(got, want, row)
            start, end, pa, attrs = spans[max(bisect.bisect_right(starts, va) - 1, 0)]
            listed = pa + va - start if start <= va < end and "present" in attrs else None
            self.assertEqual(listed, want, row)
