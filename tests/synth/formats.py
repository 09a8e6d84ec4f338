# SPDX-License-Identifier: MIT
"""Dumps of formats that the tool reads and does not write, of memory that begins at 0. The sources of their layouts stand where
they are read: connectors/common/flattened.h and ram_stream.h, crashdmp/crash_format.h and mini_file.h, migration/save_image.h and qcow2.h."""
import struct

PAGE = 4096


def flattened(data, piece=20000):
    """As makedumpfile -F writes it: pieces, each with its place."""
    head = struct.pack(">16sQQ", b"makedumpfile", 1, 1).ljust(4096, b"\0")
    pieces = [struct.pack(">QQ", at, len(data[at:at + piece])) + data[at:at + piece] for at in range(0, len(data), piece)]
    return head + b"".join(pieces) + struct.pack(">qq", -1, -1)


def split(dump, n):
    """A kdump of 64 bits all of whose pages were saved, in n parts as makedumpfile --split writes them: each tells its pages alone."""
    sub_blocks, bitmap_blocks = struct.unpack_from("<II", dump, 432)
    n_pages, = struct.unpack_from("<Q", dump, PAGE + 96)
    descs, size = (1 + sub_blocks + bitmap_blocks) * PAGE, -(-n_pages // n)
    parts = []
    for first in range(0, n_pages, size):
        end = min(first + size, n_pages)
        part = bytearray(dump)
        struct.pack_into("<I", part, PAGE + 12, 1)
        struct.pack_into("<QQ", part, PAGE + 80, first, end)
        part[descs:descs + 24 * (end - first)] = dump[descs + 24 * first:descs + 24 * end]
        parts.append(bytes(part))
    return parts


def crash_dump(data):
    """A full one of 64 bits."""
    head = bytearray(b"PAGE" * 0x800)
    struct.pack_into("<8s", head, 0, b"PAGEDU64")
    struct.pack_into("<II", head, 0x30, 0x8664, 1)
    struct.pack_into("<IIQQQ", head, 0x88, 1, 0, len(data) // PAGE, 0, len(data) // PAGE)
    struct.pack_into("<I", head, 0xf98, 1)
    return bytes(head) + data


def minidump(data):
    """A system of 64 bits, and memory as Memory64List tells it."""
    system, memory = 32 + 2 * 12, 32 + 2 * 12 + 56
    head = struct.pack("<4sIIIIIQ", b"MDMP", 0xa793, 2, 32, 0, 0, 2)
    head += struct.pack("<III", 7, 56, system) + struct.pack("<III", 9, 32, memory)
    head += struct.pack("<H", 9).ljust(56, b"\0")
    return head + struct.pack("<QQQQ", 1, memory + 32, 0, len(data)) + data


def stream(data):
    """A migration stream: every third page before the others, and the first twice: what came last counts."""
    def name(text, length=1):
        return len(text).to_bytes(length, "big") + text

    def section(kind, *pages):
        return bytes([kind]) + struct.pack(">I", 2) + b"".join(pages) + struct.pack(">QBI", 0x10, 0x7e, 2)

    def page(at, content):
        return struct.pack(">Q", at | 8 | (0x20 if at else 0)) + (name(b"pc.ram") if not at else b"") + content

    places = [*range(0, len(data), 3 * PAGE), *(at for at in range(0, len(data), PAGE) if at // PAGE % 3)]
    pages = [page(0, bytes(PAGE))] + [page(at, data[at:at + PAGE]) for at in places]
    head = struct.pack(">IIB", 0x5145564d, 3, 7) + name(b"pc-q35-7.2", 4)
    start = b"\1" + struct.pack(">I", 2) + name(b"ram") + struct.pack(">II", 0, 4)
    start += struct.pack(">Q", len(data) | 4) + name(b"pc.ram") + struct.pack(">Q", len(data))
    start += struct.pack(">QBI", 0x10, 0x7e, 2)
    return head + start + section(3, *pages) + b"\0"


def save(data):
    """What virsh save makes of it."""
    xml = b"<domain/>\0"
    return struct.pack("<16sIIIII56x", b"LibvirtQemudSave", 2, len(xml), 1, 0, 0) + xml + stream(data)


def qcow2(data):
    """What savevm puts into an image: behind a disk of no bytes, in clusters that lie from the last to the first."""
    cluster = 1 << 16
    state = stream(data)
    n = -(-len(state) // cluster)
    entry = struct.pack(">QIHHIIQII", 2 * cluster, 1, 1, 4, 1600000000, 0, 0, 0, 16)
    entry += struct.pack(">QQ", len(state), 0) + b"1" + b"snap"
    head = struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, 16, 0, 0, 0, 0, 0, 0, 1, cluster, 0, 0, 0, 4, 104)
    table = b"".join(struct.pack(">Q", (4 + n - 1 - i) * cluster | 1 << 63) for i in range(n))
    parts = [head, entry, struct.pack(">Q", 3 * cluster | 1 << 63), table]
    parts += [state[i * cluster:][:cluster] for i in reversed(range(n))]
    return b"".join(part.ljust(cluster, b"\0") for part in parts)
