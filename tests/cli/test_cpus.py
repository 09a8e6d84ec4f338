# SPDX-License-Identifier: MIT
"""Processors, as dumps of several machines tell of them."""
import json
import os
import struct

from harness import FOLDER, IMAGE, Case, make_file, run

X86_64, AARCH64, RISCV = 62, 183, 243  # e_machine


def note(name, kind, data):
    name = name + b"\0"
    return (struct.pack("<3I", len(name), len(data), kind) + name.ljust(8, b"\0")
            + data.ljust((len(data) + 3) & ~3, b"\0"))


def core(machine, notes):
    """An ELF core of 64 bits: its notes, and 16 bytes of memory."""
    body = b"".join(notes)
    at = 64 + 2 * 56
    head = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 4, machine, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    head += struct.pack("<IIQQQQQQ", 4, 0, at, 0, 0, len(body), len(body), 0)
    head += struct.pack("<IIQQQQQQ", 1, 7, at + len(body), 0, 0x1000, 16, 16, 0)
    return make_file(f"cpus-{machine}.elf", head + body + bytes(16))


def qemu_state(cr0, cr3):
    """qemu 7.2 target/i386/arch_dump.c, QEMUCPUState: register i holds i, but for the control registers."""
    segments = b"".join(struct.pack("<4IQ", 0, 0, 0, 0, 0x5000 + i) for i in range(10))
    state = struct.pack("<16Q", *range(16)) + struct.pack("<2Q", 0x1234, 0x246) + segments
    return struct.pack("<2I", 1, 440) + state + struct.pack("<6Q", cr0, 0, 0x77, cr3, 0x6b0, 0xffff800000000000)


def prstatus(words):
    return bytes(112) + struct.pack(f"<{len(words)}Q", *words) + bytes(8)


class Processors(Case):
    def rows(self, path):
        result = run("cpus", path, "--json")
        self.expect(result, 0, err="")
        return json.loads(result.out)

    def test_x86_64_has_its_control_registers_and_the_root_of_its_tables(self):
        rows = self.rows(core(X86_64, [note(b"QEMU", 0, qemu_state(0x80050033, 0x800000001ff48005)),
                                       note(b"QEMU", 0, qemu_state(0x10, 0))]))
        self.assertEqual([row["cpu"] for row in rows], [0, 1])
        self.assertEqual([row["page_table"] for row in rows], ["0x1ff48000", None])  # the other one does not page
        names = "rax rbx rcx rdx rsi rdi rsp rbp r8 r9 r10 r11 r12 r13 r14 r15".split()
        self.assertEqual(rows[0]["registers"], [f"{n}={i:#x}" for i, n in enumerate(names)] + [
            "rip=0x1234", "rflags=0x246", "cr0=0x80050033", "cr2=0x77", "cr3=0x800000001ff48005", "cr4=0x6b0",
            "gdt_base=0x5008", "idt_base=0x5009", "gs_base=0x5004", "kernel_gs_base=0xffff800000000000"])
        self.assertEqual([rows[0][k] for k in ("arch", "pc", "sp", "vectors", "error")],
                         ["x86_64", "0x1234", "0x6", "0x5009", None])

    def test_aarch64_has_what_its_dump_tells_and_no_more(self):
        row, = self.rows(core(AARCH64, [note(b"CORE", 1, prstatus(range(100, 134)))]))
        self.assertEqual(row["registers"], [f"x{i}={100 + i:#x}" for i in range(31)]
                         + ["sp=0x83", "pc=0x84", "pstate=0x85"])
        self.assertEqual([row[k] for k in ("arch", "pc", "sp", "page_table", "vectors", "error")],
                         ["aarch64", "0x84", "0x83", None, None, None])

    def test_riscv64_has_all_of_its_own(self):
        row, = self.rows(core(RISCV, [note(b"CORE", 1, prstatus(range(100, 132)))]))
        names = "ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6".split()
        self.assertEqual(row["registers"], ["zero=0x0"] + [f"{n}={101 + i:#x}" for i, n in enumerate(names)]
                         + ["pc=0x64"])

    def test_a_dump_and_a_recording_tell_the_same_of_all(self):
        for machine, words in ((AARCH64, range(100, 134)), (RISCV, range(100, 132))):
            source = core(machine, [note(b"CORE", 1, prstatus(words)), note(b"CORE", 1, prstatus(words[::-1]))])
            made = {kind: os.path.join(FOLDER, f"cpus-{machine}.{kind}") for kind in ("elf", "kdump-zlib", "record")}
            rows = self.rows(source)
            self.assertEqual(len(rows), 2)
            for kind in ("elf", "kdump-zlib"):
                self.expect(run("convert", source, "-o", made[kind] + "2", "--format", kind), 0)
                self.assertEqual(self.rows(made[kind] + "2"), rows)
            self.assertEqual(self.rows(f"elfcore:{source}|record,file={made['record']}"), rows)
            self.assertEqual(self.rows(f"replay:{made['record']}"), rows)

    def test_of_more_than_a_dump_has_room_for_none_are_written(self):
        for n, kept in ((4096, 4096), (4097, 0)):
            source = core(X86_64, [note(b"CORE", 1, bytes(336))] * n)
            path = os.path.join(FOLDER, f"cpus-{n}.elf")
            result = run("dump", source, "-o", path, "--format", "elf")
            self.assertEqual("4097 processors: a dump is written with those of 4096 at most" in result.err, kept == 0)
            self.assertEqual(json.loads(run("info", path, "--json").out)[0]["cpus"], kept)
            os.unlink(path)

    def test_a_target_without_processors_says_so(self):
        self.expect_error(run("cpus", IMAGE), 1, "tells no registers of processors")
