# SPDX-License-Identifier: MIT
"""
A process of 32 bits under a kernel of 64: a program of a few instructions, which forks and waits for a signal.

start()   it runs in a guest; its pid
"""
import struct

from harness import FOLDER, lab

BASE = 0x10000
NAME = "narrow"
# By architecture: e_machine, the code. Its first instructions mean something else to a processor in its 64-bit state.
PROGRAMS = {
    "amd64": (3, bytes.fromhex("40 48"                 # inc eax; dec eax
                               "b802000000 cd80"       # fork
                               "85c0 7509"             # the parent leaves
                               "b81d000000 cd80 ebf7"  # pause, again and again
                               "b801000000 31db cd80")),
    "arm64": (40, struct.pack("<12I", 0xe59f0000, 0xe51f000c,                        # ldr r0, [pc]; ldr r0, [pc, #-12]
                              0xe3a07002, 0xef000000,                        # fork
                              0xe3500000, 0x1a000002,                        # the parent leaves
                              0xe3a0701d, 0xef000000, 0xeafffffc,            # pause, again and again
                              0xe3a07001, 0xe3a00000, 0xef000000)),
}
HEAD = 52 + 32  # the ELF header and one program header, of 32 bits
ENTRY = BASE + HEAD


def program(arch):
    """System V gABI 4.1, chapters 4 and 5: ET_EXEC with one PT_LOAD that can be read and run."""
    machine, code = PROGRAMS[arch]
    flags = 0x05000000 if machine == 40 else 0  # EF_ARM_EABI_VER5
    size = HEAD + len(code)
    return (b"\x7fELF\1\1\1" + bytes(9) +
            struct.pack("<HHIIIIIHHHHHH", 2, machine, 1, ENTRY, 52, 0, flags, 52, 32, 1, 0, 0, 0) +
            struct.pack("<8I", 1, 0, BASE, BASE, size, size, 5, 4096) + code)


def start(guest, arch):
    text = "".join(f"\\x{byte:02x}" for byte in program(arch))
    script = f"cd /tmp && printf '{text}' > {NAME} && chmod +x {NAME} && ./{NAME}"
    done = lab.run(guest.name, ["/bin/busybox", "sh", "-c", script], dir=FOLDER)
    if done.code:
        raise AssertionError(f"{NAME}: exit {done.code}: {done.err}")
    found = [p["pid"] for p in guest.tell()["processes"] if p["name"] == NAME]
    if len(found) != 1:
        raise AssertionError(f"{NAME}: {found}")
    return found[0]
