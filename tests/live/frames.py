# SPDX-License-Identifier: MIT
"""What page frames are used for: by dumps that leave them out, by makedumpfile, by what the guest says itself (/proc/kpageflags)."""
import gzip
import os
import struct
import subprocess

from harness import FOLDER, lab, run

# Bits of /proc/kpageflags: linux include/uapi/linux/kernel-page-flags.h.
KPF = {"slab": 7, "buddy": 10, "anon": 12, "swapcache": 13, "huge": 17, "nopage": 20, "lru": 5, "offline": 23}
USES = ("free", "cache-private", "user")


def bits_of(data):
    return {8 * at + bit for at, byte in enumerate(data) if byte for bit in range(8) if byte >> bit & 1}


def bitmaps(path):
    """The frames that a kdump says are memory, those that it holds, and its dump_level (makedumpfile diskdump_mod.h)."""
    with open(path, "rb") as file:
        head = file.read(464)
        size, sub_blocks, bitmap_blocks = struct.unpack_from("<III", head, 428)
        file.seek(size)
        level = struct.unpack("<8xi", file.read(12))[0]
        file.seek((1 + sub_blocks) * size)
        both = file.read(bitmap_blocks * size)
    half = len(both) // 2
    return bits_of(both[:half]), bits_of(both[half:]), level


def written(target, *options, format="kdump-lzo", command="convert"):
    """What `sonde dump` writes of it, read by its bitmaps."""
    path = os.path.join(FOLDER, "frames.out")
    result = run(command, target, "-o", path, "--format", format, "--json", *options)
    if result.code or result.err:
        raise AssertionError(str(result))
    found = bitmaps(path)
    os.unlink(path)
    return found


def filtered(core, level):
    """What makedumpfile leaves of it."""
    path = os.path.join(FOLDER, "filtered.out")
    subprocess.run(["makedumpfile", "-f", "-l", "-d", str(level), core, path], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    found = bitmaps(path)
    os.unlink(path)
    return found


def ram_of(truth, page_size):
    """The frames of the guest's RAM, by its own account."""
    lines = [line.split()[0].split("-") for line in truth["iomem"].splitlines() if "System RAM" in line]
    return {frame for first, last in lines for frame in range(int(first, 16) // page_size, (int(last, 16) + 1) // page_size)}


class Pages:
    """The kernel's array of struct page in a target, by its own symbols: what a frame's says now. x86-64."""

    def __init__(self, view):
        self.view = view
        base = view.run("sym", view.target, "vmemmap_base", "--json").rows[0]["addr"]
        self.base = int.from_bytes(self.read(base, 8), "little")

    def read(self, addr, length):
        return self.view.run("read", self.view.target, addr, length, "--kernel", "--raw").out

    def type_of(self, frame):
        """page_type, or the type of the page whose tail it is."""
        page = self.read(hex(self.base + 64 * frame), 64)
        head = int.from_bytes(page[8:16], "little")
        return int.from_bytes((self.read(hex(head - 1), 64) if head & 1 else page)[48:52], "little")


def told(guest, first, n):
    """/proc/kpageflags of n frames."""
    words = ["/bin/busybox", "sh", "-c", f"dd if=/proc/kpageflags bs=4096 skip={first // 512} 2>/dev/null | gzip -c"]
    data = gzip.decompress(lab.run(guest.name, words, dir=FOLDER).out)
    return [frozenset(name for name, bit in KPF.items() if word >> bit & 1)
            for word in struct.unpack(f"<{len(data) // 8}Q", data)][:n]


def use_told(flags):
    """makedumpfile's kinds by the kernel's own words."""
    if "buddy" in flags:
        return "free"
    if ("anon" in flags and "slab" not in flags) or "huge" in flags:
        return "user"
    return "cache-private" if "lru" in flags or "swapcache" in flags else None
