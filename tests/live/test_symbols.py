# SPDX-License-Identifier: MIT
"""A kernel without types of its own, and files that supply them."""
import os
import struct

import worlds
from harness import FOLDER, Case, run
from images import KernelImage

SHT_PROGBITS, SHT_STRTAB, SHT_NOTE, NT_GNU_BUILD_ID = 1, 3, 7, 3


def vmlinux(sections):
    """An ELF-64 file of nothing but these (name, type, bytes)."""
    names, body, table = b"\0", b"", bytes(64)
    sections = [*sections, (".shstrtab", SHT_STRTAB, None)]
    for name, _, _ in sections:
        names += name.encode() + b"\0"
    for name, kind, data in sections:
        data = names if data is None else data
        at = 64 + len(body)
        table += struct.pack("<IIQQQQIIQQ", names.index(b"\0" + name.encode() + b"\0") + 1, kind, 0,
                             0, at, len(data), 0, 0, 4, 0)
        body += data + bytes(-len(data) % 8)
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, 0, 0, 64 + len(body),
                       0, 64, 56, 0, 64, len(sections) + 1, len(sections))
    return head + body + table


def build_id_note(build_id):
    return struct.pack("<III", 4, len(build_id), NT_GNU_BUILD_ID) + b"GNU\0" + build_id


class SymbolsFileTest(Case):
    @classmethod
    def setUpClass(cls):
        cls.view = worlds.main().views["dump"]
        cls.image = KernelImage(worlds.main().dump)
        start, stop = cls.image.va("__start_BTF"), cls.image.va("__stop_BTF")
        read = run("read", cls.image.path, hex(start), stop - start, "--kernel", "--raw")
        cls.btf = read.out
        cls.build_id = bytes.fromhex(cls.image.vmcoreinfo("BUILD-ID"))
        cls.hidden = cls.name_of_symbol("__start_BTF")

    @classmethod
    def name_of_symbol(cls, wanted):
        """(address, bytes) of a symbol's compressed name; linux v6.6 kernel/kallsyms.c."""
        at = {k: cls.image.noted_symbol("kallsyms_" + k)
              for k in ("names", "num_syms", "token_table", "token_index")}
        index = struct.unpack("<256H", cls.image.read(cls.image.pa(at["token_index"]), 512))
        table = cls.image.read(cls.image.pa(at["token_table"]), at["token_index"]
                               - at["token_table"])
        tokens = [table[i:table.index(b"\0", i)] for i in index]
        names = cls.image.read(cls.image.pa(at["names"]), at["token_table"] - at["names"])
        place = 0
        for _ in range(struct.unpack("<I", cls.image.read(cls.image.pa(at["num_syms"]), 4))[0]):
            size, place = names[place], place + 1
            if size & 0x80:
                size, place = size & 0x7f | names[place] << 7, place + 1
            if b"".join(tokens[b] for b in names[place:place + size])[1:] == wanted.encode():
                return at["names"] + place, names[place:place + size]
            place += size
        raise AssertionError(f"no symbol {wanted}")

    def without_types(self):
        """For a while, the symbol that says where the types are has another name."""
        address, name = self.hidden
        return self.image.poke((address, name[:1] + name[:0:-1]))

    def file(self, leaf, data):
        path = os.path.join(FOLDER, leaf)
        with open(path, "wb") as out:
            out.write(data)
        self.addCleanup(os.unlink, path)
        return path

    def good_file(self):
        return self.file("vmlinux", vmlinux([
            (".note.gnu.build-id", SHT_NOTE, build_id_note(self.build_id)),
            (".BTF", SHT_PROGBITS, self.btf)]))

    def ps(self, *options):
        return run("ps", self.image.path, "--json", *options)

    def test_what_is_missing_and_the_option_that_supplies_it_are_said(self):
        with self.without_types():
            for command in ("ps", "modules", "dmesg", "threads"):
                result = run(command, self.image.path, "--json")
                self.expect(result, 5, "BTF", "CONFIG_DEBUG_INFO_BTF", "--symbols",
                            self.view.info()["release"])
                self.assertEqual(result.rows, [])
            info = self.expect(run("info", self.image.path, "--json"), 0).rows[0]
            self.assertIn("--symbols", info["no_os"])

    def test_types_from_a_vmlinux_give_the_same_lists(self):
        path = self.good_file()
        with self.without_types():
            self.assertEqual(self.expect(self.ps("--symbols", path), 0).rows, self.view.rows("ps"))
            for words in (("modules",), ("maps", "--all"), ("dmesg",)):
                result = run(words[0], self.image.path, *words[1:], "--json", "--symbols", path)
                self.assertEqual(self.expect(result, 0).rows, self.view.rows(*words))
            info = run("info", self.image.path, "--json", "--symbols", path).rows[0]
            self.assertIn(path, info["types_from"])

    def test_types_from_a_bare_btf_file_give_the_same_list(self):
        path = self.file("btf", self.btf)
        with self.without_types():
            self.assertEqual(self.expect(self.ps("--symbols", path), 0).rows, self.view.rows("ps"))

    def test_damaged_types_are_replaced_as_well(self):
        with self.image.poke((self.image.va("__start_BTF"), b"\0" * 64)):
            result = self.ps("--symbols", self.good_file())
            self.assertEqual(self.expect(result, 0).rows, self.view.rows("ps"))

    def test_a_vmlinux_of_another_build_is_refused_with_the_build_that_is_needed(self):
        path = self.file("other", vmlinux([
            (".note.gnu.build-id", SHT_NOTE, build_id_note(bytes(20))),
            (".BTF", SHT_PROGBITS, self.btf)]))
        result = self.ps("--symbols", path)
        self.assertIn(result.code, (1, 5), str(result))
        self.assertEqual(result.rows, [])
        self.expect(result, result.code, path, "another build", self.build_id.hex())

    def test_files_that_supply_nothing_are_named(self):
        empty = self.file("empty", vmlinux([(".text", SHT_PROGBITS, b"\xc3" * 16)]))
        text = self.file("text", b"no object file\n" * 100)
        cut = self.file("cut", self.btf[:5000])
        for path in (empty, text, cut, os.path.join(FOLDER, "not-there")):
            with self.subTest(path):
                result = self.ps("--symbols", path)
                self.assertIn(result.code, (1, 4, 5), str(result))
                self.assertEqual(result.rows, [])
                self.expect(result, result.code, path)
