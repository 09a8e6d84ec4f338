# SPDX-License-Identifier: MIT
"""One moment of a guest in every format: by QEMU, or by a writer of ours from its raw memory."""
import atexit
import os
import shutil
import struct
import subprocess
import unittest

import compare
import proofs
import saved
from harness import FOLDER, SONDE, Case, View, boot, run
from images import Image

MEGABYTE = 1 << 20
PAGE, PIECE = 4096, MEGABYTE // 8
RAM = 256 * MEGABYTE
HOLE = (0xa0000, 0x100000)  # of a PC: no RAM there
RANGES = ((0, HOLE[0]), (HOLE[1], RAM - HOLE[1]))  # [(address, length)] of its RAM


class Moment:
    """The memory of a guest that stood still, and what it said of itself before and behind."""

    def __init__(self):
        self.guest = guest = boot("formats", mem=RAM // MEGABYTE)
        atexit.register(guest.stop)
        guest.pause()
        self.keep_memory("moment.raw")
        self.dumps = {kind: guest.dump("moment." + kind, kind) for kind in ("elf", "elf-paging", "kdump-zlib")}
        self.save()
        guest.resume()
        self.truths = [guest.truth, guest.tell()]

    def keep_memory(self, leaf):
        self.raw = os.path.join(FOLDER, leaf)
        subprocess.run(["cp", "--sparse=always", self.guest.memory_file, self.raw], check=True)

    def save(self):
        self.image = os.path.join(FOLDER, "moment.qcow2")
        self.stream = os.path.join(FOLDER, "moment.stream")
        if shutil.which("qemu-img"):
            saved.add_image(self.guest, self.image, "moment")
            saved.snapshot(self.guest, "moment", "first")
            saved.snapshot(self.guest, "moment", "second")
        saved.migrate(self.guest, self.stream)


class FormatCase(Case):
    """Both comparisons, and a place for the file."""

    @classmethod
    def setUpClass(cls):
        if not hasattr(FormatCase, "moment"):
            FormatCase.moment = Moment()

    def path(self, leaf):
        path = os.path.join(FOLDER, leaf)
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        return path

    def compare_bytes(self, target, address, length, lacks):
        """The exit code of reading a range, whose pages must be those of the moment; @lacks of them may be zeros instead."""
        words = [SONDE, "read", target, hex(address), hex(length), "--phys", "--raw"]
        with open(self.moment.raw, "rb") as raw, \
                subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE if lacks else None) as tool:
            raw.seek(address)
            for at in range(address, address + length, PIECE):
                got, want = tool.stdout.read(PIECE), raw.read(min(PIECE, address + length - at))
                if got == want:
                    continue
                self.assertEqual(len(got), len(want), f"{target}: {at:#x}")
                for page in range(0, PIECE, PAGE):
                    if got[page:page + PAGE] != want[page:page + PAGE]:
                        self.assertFalse(any(got[page:page + PAGE]), f"{target}: {at + page:#x}")
                        lacks -= 1
                self.assertGreaterEqual(lacks, 0, f"{target}: {at:#x}")
            if tool.stderr:
                tool.stderr.read()
        return tool.returncode

    def prove(self, format, writer, target, lacks=0):
        """The target holds the moment's memory, and sonde ps says what the guest said; and a word for the table."""
        codes = {self.compare_bytes(target, *each, lacks) for each in RANGES}
        self.assertLessEqual(codes, {0, 3} if lacks else {0}, target)
        proofs.proved(format, writer, "bytes")
        self.prove_ps(format, writer, target)

    def prove_ps(self, format, writer, target):
        self.assertEqual(compare.process_list_faults(View(target).rows("ps"), self.moment.truths), [], target)
        proofs.proved(format, writer, "ps")


# Of some all bytes, of the others what little sonde ps reads: small files of each are compared in tests/cli/test_packed.py.
BLOCKS, MEMORY = r" in \d+ blocks: ", ", unpacked into memory: "
PACKERS = (("xz, in blocks", "xz", ["-0", "-T2", "--block-size=1MiB"], BLOCKS, "bytes"), ("lz4", "lz4", ["-q"], BLOCKS, "ps"),
           ("BGZF", "bgzip", ["-@2", "-l1"], BLOCKS, "ps"), ("gzip", "gzip", ["-1"], MEMORY, "ps"))


class PackedTest(FormatCase):
    """An ELF core that is packed as a whole: by its blocks, or unpacked into memory."""

    def prove_packed(self, name, writer, path, how, what="bytes"):
        with self.subTest(name):
            self.assertRegex(run("info", path, "--stats").err, "stats: image: [a-z0-9]+" + how)
            prove = self.prove if what == "bytes" else self.prove_ps
            prove("ELF64 core, packed by " + name, writer, path)

    def test_by_tools(self):
        for name, tool, words, how, what in PACKERS:
            if shutil.which(tool):
                path = self.path("moment.packed")
                with open(self.moment.dumps["elf"], "rb") as dump, open(path, "wb") as out:
                    subprocess.run([tool, *words, "-c"], stdin=dump, stdout=out, check=True)
                self.prove_packed(name, tool, path, how, what)

    @unittest.skipUnless(os.environ.get("SONDE_PACK_IMAGE"), "built without what packs")
    def test_by_own_writer(self):
        path = self.path("moment.packed")
        subprocess.run([os.environ["SONDE_PACK_IMAGE"], "zstd-table", self.moment.dumps["elf"], path], check=True)
        self.prove_packed("zstd, seekable", "own writer", path, BLOCKS)


class QemuTest(FormatCase):
    def test_an_elf_core(self):
        self.prove("ELF64 core", "QEMU dump-guest-memory", self.moment.dumps["elf"])

    def test_an_elf_core_by_virtual_addresses(self):
        """Of pages that no page table of the kernel maps it has none: those of ACPI, for instance."""
        self.prove("ELF64 core, by virtual addresses", "QEMU dump-guest-memory -p", self.moment.dumps["elf-paging"], lacks=256)

    def test_a_flattened_kdump(self):
        self.prove("kdump-compressed, zlib, flattened", "QEMU dump-guest-memory -z", self.moment.dumps["kdump-zlib"])


class SavedTest(FormatCase):
    def test_a_migration_stream(self):
        self.prove("migration stream", "QEMU migrate", self.moment.stream)

    @unittest.skipUnless(shutil.which("qemu-img"), "no qemu-img (Debian package qemu-utils)")
    def test_a_snapshot_in_a_qcow2_image(self):
        self.prove("internal snapshot in qcow2", "QEMU snapshot-save", self.moment.image)

    def test_a_stream_of_packed_pages(self):
        """Of another moment of the same guest."""
        first, guest = self.moment.raw, self.moment.guest
        self.addCleanup(setattr, self.moment, "raw", first)
        stream = self.path("packed.stream")
        guest.pause()
        saved.migrate(guest, stream, "compress")
        self.moment.keep_memory("packed.raw")
        self.addCleanup(os.unlink, self.moment.raw)
        guest.resume()
        self.assertLess(os.path.getsize(stream), os.path.getsize(self.moment.stream))
        for each in RANGES:
            self.assertEqual(self.compare_bytes(stream, *each, 0), 0)
        proofs.proved("migration stream, compress", "QEMU migrate", "bytes")

    @unittest.skipUnless(shutil.which("qemu-img"), "no qemu-img (Debian package qemu-utils)")
    def test_the_youngest_snapshot_is_taken_unless_another_is_named(self):
        image = self.moment.image
        detail = View(image).info()["detail"]
        self.assertIn("snapshot 'second' of", detail)
        self.assertIn("'first', 'second'", detail)
        chosen = f"migration:{image},snapshot=first"
        self.assertIn("snapshot 'first' of", View(chosen).info()["detail"])
        self.assertEqual(self.compare_bytes(chosen, *RANGES[0], 0), 0)
        self.expect(View(f"migration:{image},snapshot=third").ask("ps"), 4, "holds none of that name")


def copy_range(raw, out, address, length):
    raw.seek(address)
    while length:
        data = raw.read(min(length, MEGABYTE))
        out.write(data)
        length -= len(data)


def note(name, kind, desc, name_size=None):
    """A note of an ELF file, padded to four bytes."""
    size = len(name) + 1 if name_size is None else name_size
    name = name + b"\0" * (-(-(len(name) + 1) // 4) * 4 - len(name))
    return struct.pack("<III", size, len(desc), kind) + name + desc + b"\0" * (-len(desc) % 4)


class OwnWritersTest(FormatCase):
    def registers(self):
        """(general, rip, rflags, [cr0 .. cr4], gs, gdt, idt, kernel gs) of the note of QEMU: target/i386/arch_dump.c."""
        data = next(data for owner, _, data in Image(self.moment.dumps["elf"]).notes() if owner == b"QEMU")[20:]
        base = lambda segment: struct.unpack_from("<Q", data, 152 + 24 * segment + 16)[0]
        return (struct.unpack_from("<16Q", data, 8), *struct.unpack_from("<QQ", data, 136), struct.unpack_from("<5Q", data, 392),
                base(4), base(8), base(9), struct.unpack_from("<Q", data, 432)[0])

    def elf_head(self, **fields):
        """ELF64, ET_CORE, EM_X86_64: System V gABI, "ELF Header"."""
        values = dict(version=1, phoff=0, shoff=0, phnum=0, shnum=0, shstrndx=0)
        values.update(fields)
        return struct.pack("<4sBBB9xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, values["version"], 4, 62, 1, 0, values["phoff"],
                           values["shoff"], 0, 64, 56, values["phnum"], 64, values["shnum"], values["shstrndx"])

    def test_virtualbox(self):
        """VirtualBox 7.0 DBGFCoreWrite.cpp and dbgfcorefmt.h; e_ident says no version."""
        general, rip, rflags, cr, gs, gdt, idt, kernel_gs = self.registers()
        rsp, rbp = general[6:8]
        cpu = struct.pack("<18Q", *general[:6], *general[8:], rip, rsp, rbp, rflags)
        cpu += bytes(4 * 24) + struct.pack("<QIIHHI", gs, 0, 0, 0, 0, 0) + bytes(24)
        cpu += struct.pack("<4Q", cr[0], cr[2], cr[3], cr[4]) + bytes(64) + struct.pack("<QIIQII", gdt, 0, 0, idt, 0, 0)
        cpu = (cpu + bytes(536 - len(cpu)) + struct.pack("<Q", kernel_gs)).ljust(8768, b"\0")
        core = struct.pack("<6I", 0xc01ac0de, 0x00010006, 24, 7 << 24 | 14, 161095, 1)
        notes = note(b"VBCORE", 0xb00, core, 6) + note(b"VBCPU", 0xb01, cpu, 5)
        path, at = self.path("moment.vbox"), 0x4000
        headers = struct.pack("<IIQQQQQQ", 4, 4, 64 + 56 * 3, 0, 0, len(notes), 0, 0)
        for address, length in RANGES:
            headers += struct.pack("<IIQQQQQQ", 1, 7, at, 0, address, length, length, 0)
            at += length
        with open(self.moment.raw, "rb") as raw, open(path, "wb") as out:
            out.write((self.elf_head(version=0, phoff=64, phnum=3) + headers + notes).ljust(0x4000, b"\0"))
            for each in RANGES:
                copy_range(raw, out, *each)
        self.assertIn("VirtualBox 7.0.14, 1 CPU", View(path).info()["detail"])
        self.prove("ELF64 core of VirtualBox", "own writer", path)

    def test_xen(self):
        """xen docs/misc/dump-core-format.txt; a domain whose memory is its own, its pages not in order."""
        general, rip, rflags, cr, *_ = self.registers()
        regs = [general[i] for i in (15, 14, 13, 12, 7, 1, 11, 10, 9, 8, 0, 2, 3, 4, 5)]
        regs = struct.pack("<15QQQQQQ", *regs, 0, rip, 0, rflags, general[6])
        cpu = (bytes(520) + regs).ljust(4984, b"\0") + struct.pack("<5Q", *cr)
        pieces = [(address + at, min(length - at, 32 * MEGABYTE)) for address, length in RANGES
                  for at in range(0, length, 32 * MEGABYTE)][::-1]
        pages = [page for address, length in pieces for page in range(address // PAGE, (address + length) // PAGE)]
        notes = note(b"Xen", 0x2000001, struct.pack("<4Q", 0xf00febee, 1, len(pages), PAGE))
        notes += note(b"Xen", 0x2000002, struct.pack("<QQ", 4, 17) + bytes(1260))
        names = b"\0.shstrtab\0.note.Xen\0.xen_prstatus\0.xen_pfn\0.xen_pages\0"
        parts = [(b".shstrtab", names), (b".note.Xen", notes), (b".xen_prstatus", cpu.ljust(5168, b"\0")),
                 (b".xen_pfn", struct.pack(f"<{len(pages)}Q", *pages))]
        headers, body, at = bytes(64), b"", 64 * 7
        for name, data in parts:
            headers += struct.pack("<IIQQQQIIQQ", names.index(name + b"\0"), 1, 0, 0, at, len(data), 0, 0, 8, 0)
            body, at = body + data, at + len(data)
        start = -(-at // PAGE) * PAGE
        headers += struct.pack("<IIQQQQIIQQ", names.index(b".xen_pages"), 1, 0, 0, start, len(pages) * PAGE, 0, 0, PAGE, 0)
        path = self.path("moment.xen")
        with open(self.moment.raw, "rb") as raw, open(path, "wb") as out:
            out.write((self.elf_head(shoff=64, shnum=6, shstrndx=1) + headers + body).ljust(start, b"\0"))
            for each in pieces:
                copy_range(raw, out, *each)
        self.assertIn("Xen 4.17, 1 CPU", View(path).info()["detail"])
        self.prove("ELF64 core of Xen, .xen_pfn", "own writer", path)

    @unittest.skipUnless(os.environ.get("SONDE_PACK_AVML"), "built without snappy")
    def test_avml(self):
        path = self.path("moment.avml")
        ranges = [str(number) for each in RANGES for number in each]
        subprocess.run([os.environ["SONDE_PACK_AVML"], self.moment.raw, path, *ranges], check=True)
        self.prove("AVML version 2, snappy", "own writer", path)

    def test_lime_padded_and_raw(self):
        self.prove("LiME, padded", "own writer", "flat:" + self.moment.raw)
        path = self.path("moment.lime-raw")
        with open(self.moment.raw, "rb") as raw, open(path, "wb") as out:
            for each in RANGES:
                copy_range(raw, out, *each)
        regions = ";".join(f"{address:#x}+{length:#x}" for address, length in RANGES)
        self.prove("LiME, raw, with a list of regions", "own writer", f"flat:{path},regions={regions}")

    def test_raw_parts(self):
        first = self.path("moment.001")
        with open(self.moment.raw, "rb") as raw:
            for at in range(0, RAM, 100 * MEGABYTE):
                with open(self.path(f"moment.{at // (100 * MEGABYTE) + 1:03}"), "wb") as out:
                    copy_range(raw, out, at, min(100 * MEGABYTE, RAM - at))
        self.prove("raw image in parts", "own writer", f"flat:{first},parts=all")

    def test_lime(self):
        path = self.path("moment.lime")
        with open(self.moment.raw, "rb") as raw, open(path, "wb") as out:
            for address, length in RANGES:
                out.write(struct.pack("<4sIQQ8x", b"EMiL", 1, address, address + length - 1))
                copy_range(raw, out, address, length)
        self.prove("LiME", "own writer", path)

    def vmware_state(self, memory):
        """A .vmss, whose tag Memory is a block at the file's end: Volatility 2.6 vmware.py, crash 8 vmware_vmss.c."""
        def tag(name, data, *index, size=None):
            head = struct.pack("<BB", len(index) << 6 | (len(data) if size is None else size), len(name)) + name
            return head + struct.pack(f"<{len(index)}I", *index) + data

        general, rip, rflags, cr, _, gdt, idt, _ = self.registers()
        names = (b"rax", b"rbx", b"rcx", b"rdx", b"rsi", b"rdi", b"rsp", b"rbp", *(b"r%d" % i for i in range(8, 16)), b"rip")
        cpu = tag(b"cpu:numVCPUs", struct.pack("<I", 1)) + tag(b"eflags", struct.pack("<I", rflags), 0)
        cpu += b"".join(tag(name, struct.pack("<Q", value), 0) for name, value in zip(names, (*general, rip)))
        cpu += b"".join(tag(b"CR64", struct.pack("<Q", value), 0, i) for i, value in enumerate(cr))
        for name, base in ((b"GDTR", gdt), (b"IDTR", idt)):
            cpu += tag(name, struct.pack("<I", base & 0xffffffff), 0, 1) + tag(name, struct.pack("<I", base >> 32), 0, 2)
        told, at = tag(b"align_mask", struct.pack("<I", 0xffff)) + tag(b"regionsCount", struct.pack("<I", len(RANGES))), 0
        for i, (address, length) in enumerate(RANGES):
            for name, page in ((b"regionPageNum", at // PAGE), (b"regionPPN", address // PAGE), (b"regionSize", length // PAGE)):
                told += tag(name, struct.pack("<I", page), i)
            at += length
        groups, start = ((b"cpu", cpu + bytes(2)), (b"memory", told if memory else told + bytes(2))), 12 + 2 * 80
        head = struct.pack("<III", 0xbed2bed2, 8, len(groups))
        for name, data in groups:
            head += struct.pack("<64sQQ", name, start, len(data))
            start += len(data)
        head += b"".join(data for _, data in groups)
        if memory:
            head += tag(b"Memory", struct.pack("<QQH", at, at, -(len(head) + 34) % PAGE), 0, 0, size=63)
        return head.ljust(-(-len(head) // PAGE) * PAGE, b"\0") if memory else head

    def write_vmware(self, path, head, tail=b""):
        with open(self.moment.raw, "rb") as raw, open(path, "wb") as out:
            out.write(head)
            for each in RANGES:
                copy_range(raw, out, *each)
            out.write(tail)

    def test_vmware_state_and_memory(self):
        state, memory = self.path("moment.vmsn"), self.path("moment.vmem")
        with open(state, "wb") as out:
            out.write(self.vmware_state(memory=False))
        self.write_vmware(memory, b"")
        self.assertIn("state and memory, 2 regions, 1 CPU", View(state).info()["detail"])
        self.prove("VMware .vmsn and .vmem", "own writer", "vmware:" + memory)

    def test_vmware_state_that_holds_the_memory(self):
        path = self.path("moment.vmss")
        self.write_vmware(path, self.vmware_state(memory=True), bytes(2))
        self.prove("VMware .vmss with the memory in it", "own writer", path)

    def processor_state(self, context):
        """KPROCESSOR_STATE of 64 bits, its CONTEXT at that offset: connectors/hiberfil/processor.c has the sources."""
        general, rip, rflags, cr, gs, gdt, idt, kernel_gs = self.registers()
        page = bytearray(PAGE)
        struct.pack_into("<4Q", page, 0, cr[0], *cr[2:])
        struct.pack_into("<2Q", page, 0xa8, gs, kernel_gs)
        for at, value in ((0x58, gdt), (0x68, idt), (context + 0xf8, rip)):
            struct.pack_into("<Q", page, at, value)
        struct.pack_into("<I", page, context + 0x30, 0x10001f)
        struct.pack_into("<I", page, context + 0x44, rflags)
        order = (0x78, 0x90, 0x80, 0x88, 0xa8, 0xb0, 0x98, 0xa0, 0xb8, 0xc0, 0xc8, 0xd0, 0xd8, 0xe0, 0xe8, 0xf0)
        for at, value in zip(order, general):
            struct.pack_into("<Q", page, context + at, value)
        return page

    @unittest.skipUnless(os.environ.get("SONDE_PACK_HIBERFIL"), "built without the libraries of packed dumps")
    def test_a_hibernation_file(self):
        for windows, context in (("7", 0xe0), ("10", 0xf0)):
            path, processor = self.path("hiberfil-" + windows), self.path("processor-" + windows)
            with open(processor, "wb") as out:
                out.write(self.processor_state(context))
            ranges = [str(number // PAGE) for each in RANGES for number in each]
            subprocess.run([os.environ["SONDE_PACK_HIBERFIL"], self.moment.raw, path, windows, processor, *ranges], check=True)
            self.assertIn(f"of Windows {windows}", View(path).info()["detail"])
            self.assertEqual(View(path).info()["cpus"], 1)
            self.prove(f"Windows hibernation file, Windows {windows}", "own writer", path)

    def crash_header(self, kind):
        """DUMP_HEADER64 of a dump of that type, of which nobody has set the rest; its runs stand in it as well."""
        head = bytearray(b"PAGE" * (0x2000 // 4))
        struct.pack_into("<4s4s2IQ", head, 0, b"PAGE", b"DU64", 15, 19041, 0x1ad000)
        struct.pack_into("<2I", head, 0x30, 0x8664, 1)
        struct.pack_into("<IIQ", head, 0x88, len(RANGES), 0, sum(length for _, length in RANGES) // PAGE)
        for i, (address, length) in enumerate(RANGES):
            struct.pack_into("<2Q", head, 0x98 + 16 * i, address // PAGE, length // PAGE)
        struct.pack_into("<I", head, 0xf98, kind)
        return head

    def write_crash_dump(self, path, head):
        with open(self.moment.raw, "rb") as raw, open(path, "wb") as out:
            out.write(head)
            for each in RANGES:
                copy_range(raw, out, *each)

    def test_a_crash_dump_of_windows_of_all_memory(self):
        path = self.path("moment.dmp")
        self.write_crash_dump(path, self.crash_header(1))
        self.prove("Windows crash dump, all memory", "own writer", path)

    def test_a_crash_dump_of_windows_with_a_bitmap(self):
        path = self.path("moment-bitmap.dmp")
        bits = sum(((1 << length // PAGE) - 1) << address // PAGE for address, length in RANGES).to_bytes(RAM // PAGE // 8, "little")
        bitmap = struct.pack("<4s4s24xQQQ", b"FDMP", b"DUMP", 0x5000, sum(length for _, length in RANGES) // PAGE, RAM // PAGE) + bits
        self.write_crash_dump(path, self.crash_header(5) + bitmap.ljust(0x3000, b"\0"))
        self.prove("Windows crash dump, a bitmap", "own writer", path)
