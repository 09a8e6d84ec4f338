# SPDX-License-Identifier: MIT
"""Opening, reading and writing targets; and everything that is not one."""
import ctypes
import json
import os
import re
import stat
import subprocess
import sys
import unittest

from harness import FOLDER, IMAGE, SONDE, Case, make_file, run, run_as_another_user


class Layers(Case):
    def test_a_recorded_run_is_replayed_word_for_word(self):
        path = FOLDER + "/run.rec"
        for words in (("maps", "--phys"), ("read", "0x1000", "64", "--phys"), ("read", "16000", "1k", "--phys")):
            live = run(words[0], f"{IMAGE}|record,file={path}", *words[1:], "--json")
            self.assertEqual(live.code in (0, 3) and live.out != "[]\n", True, str(live))
            for target in ("replay:" + path, path):
                again = run(words[0], target, *words[1:], "--json")
                self.assertEqual((again.code, again.out), (live.code, live.out))
            os.unlink(path)

    def test_what_is_written_into_an_overlay_leaves_the_file_alone(self):
        path, kept = make_file("below.img", b"\xaa" * 8192), FOLDER + "/kept.ovl"
        os.chmod(path, 0o400)
        target = f"flat:{path}|overlay,file={kept}"
        self.expect(run("write", target, 0x10, "--hex", "0102", "--phys", "--write"), 0)
        self.expect(run("read", target, 0xf, 4, "--hex", "--phys"), 0, "aa0102aa\n")
        self.expect(run("read", f"flat:{path}", 0xf, 4, "--hex", "--overlay", kept), 0, "aa0102aa\n")
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"\xaa" * 8192)

    def test_a_layer_that_cannot_be_opened_says_why(self):
        self.expect_error(run("maps", IMAGE + "|cache,mb=0"), 4, "cache: mb=0: 1 to 1048576")
        self.expect_error(run("maps", IMAGE + "|cash"), 4, "no layer 'cash': there are cache, ")
        self.expect_error(run("maps", IMAGE + "|fault,open=EMFILE"), 4, "Too many open files")


class Evidence(Case):
    def test_what_is_examined_keeps_the_time_of_its_last_access(self):
        path = make_file("evidence.img", bytes(64 << 10))
        os.utime(path, (1000, 2000))
        with open(path, "rb") as file:
            file.read()
        if os.stat(path).st_atime == 1000:
            self.skipTest("this file system notes no accesses")
        for engine in ("auto", "sync", "direct", "threads"):
            os.utime(path, (1000, 2000))
            self.expect(run("read", "flat:" + path, 4096, 8, "--hex", "--engine", engine), 0, "00" * 8 + "\n")
            self.assertEqual(os.stat(path).st_atime, 1000, engine)
        run("info", path)  # every format looks at it
        self.assertEqual(os.stat(path).st_atime, 1000)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_and_who_may_not_ask_for_that_reads_it_all_the_same(self):
        path = make_file("of-root.img", b"\x07" * 4096)
        os.chmod(path, 0o644)
        self.expect(run_as_another_user("read", "flat:" + path, 0, 2, "--hex"), 0, "0707\n")


class NotATarget(Case):
    def test_no_such_file(self):
        self.expect_error(run("ps", FOLDER + "/none.elf"), 4, "none.elf", "No such file or directory")

    def test_a_file_of_unknown_format_is_never_taken_for_raw(self):
        path = make_file("random.bin", bytes(range(1, 256)) * 64)
        result = run("ps", path)
        self.expect_error(result, 4, path, "flat:")

    def test_an_empty_file(self):
        self.expect_error(run("ps", make_file("empty", b"")), 4, "is empty")

    def test_a_folder(self):
        self.expect_error(run("ps", FOLDER), 4, "is a folder")

    def test_a_fifo_does_not_hang(self):
        path = FOLDER + "/fifo"
        os.mkfifo(path)
        self.expect_error(run("ps", path), 4, path)
        self.expect_error(run("ps", "flat:" + path), 4, path)

    def test_an_unknown_connector(self):
        self.expect_error(run("ps", "nosuch:thing"), 4, "nosuch")

    def test_names_that_cannot_be_read(self):
        for name in ("", ":", "|", "ram:4k|", "ram:4k|nolayer", "ram:4k,size", "flat:", "ram:x"):
            with self.subTest(name=name):
                self.expect_error(run("ps", name), 4)

    def test_a_name_that_holds_terminal_commands_does_not_reach_the_terminal(self):
        for word in ("ps", "nosuch"):
            result = run(word, FOLDER + "/\x1b[2J", "\x1b[2J")
            self.assertIn(result.code, (2, 4))
            self.assertNotIn("\x1b", result.err)

    def test_no_permission(self):
        path = make_file("secret.img", b"\0" * 4096)
        os.chmod(path, 0)
        ask = run_as_another_user if os.geteuid() == 0 else run
        result = ask("ps", "flat:" + path)
        self.expect_error(result, 4, "secret.img", "Permission denied")

    def test_json_of_a_target_that_is_none_is_an_empty_array(self):
        self.expect(run("ps", "--json", FOLDER + "/none.elf"), 4, "[]\n")

    def test_no_system_in_a_raw_image(self):
        result = run("ps", IMAGE)
        self.expect_error(result, 5)

    def test_info_of_a_raw_image_says_what_it_is_and_why_there_is_no_system(self):
        result = run("info", IMAGE, "--json")
        self.expect(result, 0, err="")
        (row,) = json.loads(result.out)
        self.assertEqual((row["connector"], row["memory"], row["regions"], row["os"]),
                         ("flat", 16384, 1, None))
        self.assertTrue(row["no_os"])

    def test_a_missing_qmp_socket(self):
        if "qemu" not in run("plugins", "--fields", "name").out:
            self.skipTest("built without the qemu connector")
        self.expect_error(run("ps", f"qemu:{FOLDER}/none.sock"), 4, "none.sock")
        self.expect_error(run("ps", "qemu:no-such-guest-anywhere"), 4, "no-such-guest-anywhere")

    def test_no_such_process(self):
        self.expect_error(run("maps", "process:2147483646"), 4, "2147483646")
        self.expect_error(run("maps", "process:x"), 4)

    def test_a_process_of_someone_else(self):
        if os.geteuid() == 0:
            result = run_as_another_user("maps", "process:1")
        elif os.stat("/proc/1").st_uid == os.geteuid():
            self.skipTest("process 1 is ours here")
        else:
            result = run("maps", "process:1")
        self.expect_error(result, 4, "process")


class Scan(Case):
    def found(self, target, *args):
        result = run("scan", target, *args, "--json")
        return result.code, [(int(row["addr"], 16), row["index"]) for row in json.loads(result.out)]

    def test_text_and_bytes_with_wildcards(self):
        self.expect(run("scan", IMAGE, '"hello"', "48 8B??e5", "e? 07"), 0, err="", out=(
            'ADDR   PATTERN\n0x1004 e? 07\n0x2000 "hello"\n'))
        self.assertEqual(self.found(IMAGE, "90", "--align", "2"), (0, [
            (at, 0) for at in range(0x100c, 0x1020, 2) if at < 0x1010 or at > 0x1018]))

    def test_utf16(self):
        path = make_file("wide.img", b"\0" * 4096 + "z\u00fc\U0001f600!".encode("utf-16-le") + b"\0" * 99)
        self.assertEqual(self.found("flat:" + path, '"z\u00fc\U0001f600!"', "--utf16"), (0, [(4096, 0)]))
        self.assertEqual(self.found("flat:" + path, '"z\u00fc\U0001f600!"'), (0, []))

    def test_all_of_a_large_image_by_any_number_of_threads(self):
        path = FOLDER + "/large.img"
        places = [0, (2 << 20) - 3, (2 << 20) + 9, (5 << 20) - 1, (9 << 20) - 6]
        with open(path, "wb") as file:
            file.truncate(9 << 20)
            for at in places:
                file.seek(at)
                file.write(b"needle")
        for engine in ("auto", "io_uring", "sync"):
            for threads in (1, 2, 7):
                self.assertEqual(self.found("flat:" + path, '"needle"', "--threads", threads, "--engine", engine),
                                 (0, [(at, 0) for at in places]))
        self.assertEqual(self.found("flat:" + path, '"needle"', "--range", "1..0x500000"),
                         (0, [(at, 0) for at in places[1:3]]))
        os.unlink(path)

    def test_more_hits_than_asked_for(self):
        result = run("scan", "ram:64k", "01", "--max", 3)
        self.expect(result, 3, "ADDR PATTERN\n0x10 01\n0x11 01\n0x12 01\n",
                    "sonde: scan: there are more than 3\n")

    def test_a_process(self):
        with subprocess.Popen([sys.executable, "-c", "s = b'a needle in' + b' a haystack'; print(flush=True); input()"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            code, hits = self.found(f"process:{child.pid}", '"needle in a haystack"', "--max", 1)
            child.communicate(b"\n")
        self.assertIn((code, len(hits)), ((0, 1), (3, 1)))

    def test_patterns_that_are_none(self):
        for pattern, words in (("4", "no pair of hex digits"), ("zz", "no pair"), ("", "empty"), ('"x', "double quotes"),
                               ('""', "double quotes"), ("?? ??", "wildcards only"), ("00" * 5000, "more than 4096")):
            with self.subTest(pattern=pattern[:9]):
                self.expect_error(run("scan", IMAGE, pattern), 2, words)
        self.expect_error(run("scan", IMAGE, "00", "--align", 3), 2, "no power of two")
        self.expect_error(run("scan", IMAGE, "00", "--range", "5..4"), 2, "ends before")
        self.expect_error(run("scan", IMAGE, "00", "--range", "5"), 2, "FIRST..LAST")
        self.expect_error(run("scan", IMAGE, "00", "--range", "0..0"), 2, "the byte at 0 alone cannot be searched")

    def test_progress_is_said_on_a_terminal_only(self):
        self.expect(run("scan", "ram:64k|delay,ms=700", "ff ff ff ff ff"), 0, err="")


class Read(Case):
    def test_a_hex_dump(self):
        self.expect(run("read", IMAGE, "0x2000", 13), 0, err="", out=(
            "0000000000002000  68 65 6c 6c 6f 2c 20 1b  5b 32 4a ff 21           |hello, .[2J.!|\n"))

    def test_repeated_lines_become_a_star_and_the_last_is_shown(self):
        self.expect(run("read", IMAGE, "0x3000", 64), 0, err="", out=(
            "0000000000003000  " + "00 " * 8 + " " + "00 " * 8 + " |" + "." * 16 + "|\n*\n"
            "0000000000003030  " + "00 " * 8 + " " + "00 " * 8 + " |" + "." * 16 + "|\n"))

    def test_bytes_behind_the_end_are_shown_as_missing_and_exit_with_3(self):
        self.expect(run("read", IMAGE, "0x3ffc", 8), 3,
                    "0000000000003ffc  00 00 00 00 -- -- -- --" + " " * 27 + "|....----|\n",
                    "sonde: read: physical memory 0x4000-0x4003: no memory at this address\n"
                    "sonde: read: 4 of 8 bytes could not be read\n")

    def test_a_hole_hides_nothing_behind_it(self):
        result = run("read", "ram:4096,hole=0x10+8", "0x0c", 16, "--hex")
        self.expect(result, 3, "00000000" + "--" * 8 + "01010101\n",
                    "sonde: read: physical memory 0x10-0x17: no memory at this address\n"
                    "sonde: read: 8 of 16 bytes could not be read\n")

    def test_nothing_readable_is_a_failure(self):
        self.expect(run("read", IMAGE, "0x10000", 4, "--hex"), 1, "--------\n")

    def test_json_tells_stretches(self):
        result = run("read", "ram:4096,hole=0x10+8", "0x0e", 12, "--json")
        self.assertEqual(result.code, 3)
        self.assertEqual(json.loads(result.out), [
            {"addr": "0xe", "len": 2, "data": "0000", "error": None},
            {"addr": "0x10", "len": 8, "data": None, "error": "NOT_MAPPED"},
            {"addr": "0x18", "len": 2, "data": "0101", "error": None}])

    def test_raw_bytes_to_a_pipe(self):
        result = run("read", IMAGE, "0x2000", 13, "--raw", text=False)
        self.assertEqual((result.code, result.out), (0, b"hello, \x1b[2J\xff!"))

    def test_into_a_file_that_only_the_owner_can_read(self):
        path = FOLDER + "/out.bin"
        self.expect(run("read", IMAGE, "0x3ff0", 32, "-o", path), 3, "")
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"\0" * 32)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)

    def test_more_than_a_chunk(self):
        path = FOLDER + "/large.bin"
        self.expect(run("read", "ram:5M", 3, "5000000", "-o", path), 0, "", "")
        with open(path, "rb") as file:
            data = file.read()
        whole = b"".join(bytes([i & 255]) * 16 for i in range(5 * 65536))
        self.assertTrue(data == whole[3:5000003])

    def test_a_file_that_cannot_be_written(self):
        self.expect_error(run("read", IMAGE, 0, 4, "-o", FOLDER + "/no/file"), 1, "No such file")
        self.expect_error(run("read", IMAGE, 0, 4, "-o", "/dev/full"), 1, "'/dev/full': No space left")

    def test_disas_of_a_physical_address_names_no_symbols(self):
        result = run("disas", IMAGE, "0x1000", "--phys")
        if "without Capstone" in result.err:
            self.skipTest("built without Capstone")
        self.assertIn(result.code, (1, 5))  # a raw image does not say what machine it is of


class Write(Case):
    def setUp(self):
        self.path = make_file("writable.img", bytes(64))

    def bytes_there(self):
        with open(self.path, "rb") as file:
            return file.read()

    def test_nothing_is_written_without_being_asked_twice(self):
        result = run("write", "flat:" + self.path, 0, "--hex", "90 00")
        self.expect(result, 6, out="Address Bytes Result       Because Wanted There\n"
                                   "0x0         2 would-change -       9000   0000\n")
        self.assertRegex(result.err, r"\Asonde: write: nothing was written: --write [^\n]* --overlay FILE [^\n]*\n\Z")
        self.assertEqual(self.bytes_there(), bytes(64))
        self.expect(run("write", "flat:" + self.path, 0, "--hex", "00 00"), 0, err="")  # they are there
        self.expect(run("write", "flat:" + self.path, 100, "--hex", "00"), 1)

    def test_with_an_overlay_every_command_sees_what_was_written_and_the_file_is_left_alone(self):
        kept = FOLDER + "/what,if|.ovl"
        os.chmod(self.path, 0o400)
        for at, text in ((4, "hello"), (6, "LL")):
            self.expect(run("write", "flat:" + self.path, at, "--string", text, "--overlay", kept), 0, err="")
        self.expect(run("read", "flat:" + self.path, 3, 8, "--hex", "--overlay", kept), 0, "0068654c4c6f0000\n", "")
        self.expect(run("scan", "flat:" + self.path, '"heLLo"', "--overlay", kept), 0, "ADDR PATTERN\n0x4  \"heLLo\"\n")
        self.expect(run("read", "flat:" + self.path, 3, 8, "--hex"), 0, "00" * 8 + "\n")
        self.assertEqual(self.bytes_there(), bytes(64))
        self.assertEqual(stat.S_IMODE(os.stat(kept).st_mode), 0o600)
        other = "flat:" + make_file("other.img", bytes(100))
        self.expect_error(run("read", other, 3, 8, "--overlay", kept), 4, "made over 'raw image, 64 bytes at 0x0'",
                          "this is 'raw image, 100 bytes", "other=yes")
        name = kept.replace(",", "\\,").replace("|", "\\|")
        self.expect(run("read", f"{other}|overlay,other=yes,file={name}", 3, 8, "--hex"), 0, "0068654c4c6f0000\n", "")
        os.unlink(kept)
        self.expect_error(run("read", "flat:" + self.path, 3, 8, "--overlay", kept), 4, "what,if|.ovl': No such file")

    def test_where_to_is_said_once(self):
        self.expect_error(run("write", "flat:" + self.path, 0, "--hex", "01", "--write", "--overlay", FOLDER + "/x"), 2,
                          "which of them")
        self.expect_error(run("write", "flat:" + self.path, 0, "--hex", "01", "--no-verify"), 2, "--no-verify")
        self.assertFalse(os.path.exists(FOLDER + "/x"))

    def test_a_hole_hides_nothing_behind_it(self):
        result = run("write", "ram:4096,hole=0x10+8", "0x0c", "--hex", "ab" * 16, "--write", "--json")
        self.assertEqual(result.code, 3)
        self.assertEqual([(row["addr"], row["len"], row["result"], row["written"], row["error"])
                          for row in json.loads(result.out)],
                         [("0xc", 4, "written", 4, None), ("0x10", 8, "failed", 0, "NOT_MAPPED"),
                          ("0x18", 4, "written", 4, None)])
        self.assertEqual(result.err, "sonde: write: physical memory 0x10-0x17: no memory at this address\n"
                                     "sonde: write: 8 of 16 bytes are not as they were to be\n")

    def test_what_was_written_is_read_again(self):
        target = "flat:" + self.path + "|fault,flip=1,op=read,at=0x12+1"
        result = run("write", target, 0x10, "--hex", "00 11 22 33 44", "--write", "--json")
        self.assertEqual(result.code, 3, str(result))
        rows = json.loads(result.out)
        self.assertEqual([(row["addr"], row["len"], row["result"], row["written"]) for row in rows],
                         [("0x10", 2, "written", 2), ("0x12", 1, "differs", 1), ("0x13", 2, "written", 2)])
        self.assertEqual(rows[1]["wanted"], "22")
        self.assertNotEqual(rows[1]["got"], "22")
        self.assertIn(f"0x12-0x12: wrote 22, read {rows[1]['got']}: ", result.err)
        self.expect(run("write", target, 0x10, "--hex", "5566778899", "--write", "--no-verify", "--fields",
                        "addr,len,result", "--csv"), 0, "addr,len,result\n0x10,5,unverified\n", "")
        self.assertEqual(self.bytes_there()[16:21], b"\x55\x66\x77\x88\x99")

    def test_what_cannot_be_read_again_is_told(self):
        result = run("write", "flat:" + self.path + "|fault,error=GONE,op=read,at=1+1", 0, "--hex", "010203", "--write", "--json")
        self.assertEqual((result.code, [row["result"] for row in json.loads(result.out)]),
                         (3, ["written", "unread", "written"]))
        self.assertIn("cannot be read again", result.err)

    def test_bytes_of_all_three_kinds(self):
        data = make_file("data", b"\x00\xff")
        for at, words in ((0, ["--hex", "90 c3"]), (8, ["--string", "hi"]), (16, ["--file", data])):
            result = run("write", "flat:" + self.path, at, *words, "--write")
            self.expect(result, 0, "Address Bytes Result  Because Wanted There\n"
                                   f"{at:<#7x}     2 written -       -      -\n", "")
        self.assertEqual(self.bytes_there()[:18], b"\x90\xc3" + bytes(6) + b"hi" + bytes(6) + b"\x00\xff")

    def test_bytes_that_are_none(self):
        for words, why in ((["--hex", "9"], "pairs of hex digits"), (["--hex", "zz"], "'zz' is none"),
                           (["--hex", ""], "no bytes"), ([], "one of --hex, --file, --string"),
                           (["--hex", "90", "--string", "x"], "one of --hex, --file, --string")):
            self.expect_error(run("write", "flat:" + self.path, 0, *words, "--write"), 2, why)
        self.expect_error(run("write", "flat:" + self.path, 0, "--file", FOLDER + "/none", "--write"), 1,
                          "No such file")

    def test_what_does_not_fit_is_told(self):
        result = run("write", "flat:" + self.path, 62, "--hex", "01020304", "--write", "--json")
        self.assertEqual(result.code, 3, str(result))
        self.assertEqual([(row["addr"], row["len"], row["written"], row["error_addr"]) for row in json.loads(result.out)],
                         [("0x3e", 2, 2, None), ("0x40", 2, 0, "0x40")])
        self.assertEqual(self.bytes_there()[62:], b"\x01\x02")
        self.assertEqual(run("write", "flat:" + self.path, 1000, "--hex", "01", "--write").code, 1)


class Process(Case):
    """This very process is the target: what Sonde reads can be compared with what is there."""

    def setUp(self):
        if "process" not in run("plugins", "--fields", "name").out:
            self.skipTest("the process connector is not built here")
        self.target = f"process:{os.getpid()}"
        if run("maps", self.target).code == 4:
            self.skipTest("this machine lets no process read another")

    def test_memory_of_a_process_is_read(self):
        secret = ctypes.create_string_buffer(b"sonde was here")
        result = run("read", self.target, hex(ctypes.addressof(secret)), 14, "--raw", text=False)
        self.assertEqual((result.code, result.out), (0, b"sonde was here"))

    def test_memory_of_a_process_is_written_when_asked_twice(self):
        place = ctypes.create_string_buffer(b"before")
        at = hex(ctypes.addressof(place))
        self.expect(run("write", self.target, at, "--string", "AFTER", "--write"), 0)
        self.assertEqual(place.value, b"AFTERe")

    def test_the_zero_page_is_a_hole(self):
        result = run("read", self.target, 0, 16, "--hex")
        self.expect(result, 1, "--" * 16 + "\n")
        self.assertIn("process memory 0x0-0xf: ", result.err)

    def test_maps_are_those_of_proc(self):
        child = subprocess.Popen(["sh", "-c", "echo; read x"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE)
        try:
            child.stdout.readline()  # from here on it only waits
            with open(f"/proc/{child.pid}/maps", encoding="utf-8") as file:
                truth = set()
                for start, end, perms, path in re.findall(
                        r"(?m)^(\w+)-(\w+) (\S+) \S+ \S+ \S+ *(.*)$", file.read()):
                    truth.add((hex(int(start, 16)), hex(int(end, 16)), perms, path))
            rows = json.loads(run("maps", f"process:{child.pid}", "--json").out)
            ours = {(row["start"], row["end"], row["perms"], row["path"]) for row in rows}
            self.assertEqual(ours - truth, set())
            self.assertEqual({line for line in truth - ours if not line[3].startswith("[v")}, set())
        finally:
            child.communicate()

    def test_disas_reads_code_of_a_process(self):
        with open("/proc/self/maps", encoding="utf-8") as file:
            text = next(line for line in file if "r-xp" in line and "/" in line)
        result = run("disas", self.target, "0x" + text.split("-")[0], "-n", 3)
        if "without Capstone" in result.err or "architecture" in result.err:
            self.skipTest(result.err)
        self.expect(result, 0, err="")
        self.assertEqual(result.out.count("\n"), 3)



class Plugins(Case):
    def test_what_was_found_is_listed(self):
        rows = json.loads(run("plugins", "--json").out)
        found = {row["name"]: row for row in rows}
        for name in ("ram", "flat"):
            self.assertEqual((found[name]["kind"], found[name]["status"]), ("connector", "ok"))
            self.assertTrue(found[name]["path"].endswith(".so"))

    def test_what_is_no_plugin_is_listed_with_the_reason(self):
        folder = FOLDER + "/plugins"
        os.mkdir(folder)
        make_file("plugins/broken.so", b"no ELF at all")
        make_file("plugins/open.so", b"writable by all")
        os.chmod(folder + "/broken.so", 0o644)
        os.chmod(folder + "/open.so", 0o666)
        result = run("plugins", "--json", env={**os.environ, "SONDE_PLUGIN_PATH": folder})
        self.assertEqual(result.code, 0)
        rows = {os.path.basename(row["path"]): row for row in json.loads(result.out)}
        for name in ("broken.so", "open.so"):
            self.assertEqual(rows[name]["status"], "refused")
            self.assertTrue(rows[name]["refused"])
        result = run("plugins", env={**os.environ, "SONDE_PLUGIN_PATH": folder})
        self.assertIn(f"sonde: plugins: refused '{folder}/open.so': ", result.err)


if __name__ == "__main__":
    sys.exit("run these through run.py")
