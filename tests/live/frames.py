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

# What page_type of linux v6.12 says (include/linux/page-flags.h: enum pagetype).
HUGETLB, SLAB = 0xf4000000, 0xf5000000


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


def heads_of(view, frames):
    """The head of each frame, which is itself unless it is a tail, and the head's page_type. x86-64, struct page of 64 bytes."""
    base = int.from_bytes(view.run("read", view.target, "vmemmap_base", 8, "--raw").out, "little")
    first, end = min(frames) & -512, max(frames) + 1  # no page begins further in front
    array = view.run("read", view.target, hex(base + 64 * first), 64 * (end - first), "--kernel", "--raw").out

    def word(frame, at, size):
        return int.from_bytes(array[64 * (frame - first) + at:][:size], "little")

    heads = {frame: (word(frame, 8, 8) - base) // 64 if word(frame, 8, 8) & 1 else frame for frame in frames}
    return {frame: (head, word(head, 48, 4)) for frame, head in heads.items()}


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


def held_against(guest, target):
    """
    The frames that were told the same before and after dumps of them: those that were left out as something else than the
    guest says, those that were kept though they could have been left out, and all.
    """
    page_size = guest.truth["page_size"]
    ram = ram_of(guest.truth, page_size)
    first, n = min(ram), max(ram) + 1 - min(ram)
    before = told(guest, first, n)
    guest.pause()
    out = {}
    for word in USES:
        memory, held, _ = written(target, "--exclude", word, command="dump")
        out[word] = memory - held
    guest.resume()
    steady = {first + i: use_told(flags) for i, (flags, again) in enumerate(zip(before, told(guest, first, n))) if flags == again}
    wrong = {frame for word in USES for frame in out[word] if frame in steady and steady[frame] != word}
    kept = {frame for frame, use in steady.items() if use and frame not in out[use]}
    return wrong, kept, steady
