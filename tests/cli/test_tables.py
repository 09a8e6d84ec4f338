# SPDX-License-Identifier: MIT
"""What is printed about an operating system, whose every value canned_os.c has made up."""
import csv
import io
import json
import time

from harness import IMAGE, Case, canned


class Text(Case):
    def test_ps_aligns_columns_and_escapes_what_a_guest_chose(self):
        self.expect(canned("ps", IMAGE), 0, err="", out=(
            "PID PPID  UID STATE  RSS START                NAME         COMMAND\n"
            "  1    0    0 S     1.5M 2023-11-14T22:13:21Z init         /sbin/init --flag two words\n"
            "  2    0    0 I        0 2023-11-14T22:13:21Z kthreadd     [kthreadd]\n"
            " 37    1 1000 R     4.0K 2023-11-14T22:13:22Z evil\\x1b[31m "
            'e\\x1b[2J \\xffé\\x0a "q",\\x5cx41 \\xe2\\x80\\xae\n'
            " 41   37    0 Z        0 2023-11-14T22:13:22Z gone         [gone] <defunct>\n"))

    def test_args_are_shown_as_an_array_on_demand(self):
        result = canned("ps", IMAGE, "--args", "--fields", "command", "-p", 1)
        self.expect(result, 0, 'COMMAND\n["/sbin/init","--flag","two words"]\n', "")

    def test_fields_choose_and_order_columns(self):
        result = canned("ps", IMAGE, "--fields", "name,pid,page_table", "--no-header")
        self.expect(result, 0, "init          1 0x5000\nkthreadd      2 -\n"
                               "evil\\x1b[31m 37 -\ngone         41 -\n", "")

    def test_one_process_by_pid(self):
        self.expect(canned("ps", IMAGE, "--pid", 2, "-f", "pid,name"), 0, "PID NAME\n  2 kthreadd\n")

    def test_threads(self):
        result = canned("threads", IMAGE, "-p", 37, "--fields", "pid,tid,state,name")
        self.expect(result, 0, "PID TID STATE NAME\n 37  37 R     evil\\x1b[31m\n", "")

    def test_modules(self):
        self.expect(canned("modules", IMAGE), 0, err="", out=(
            "NAME        BASE                SIZE REFS STATE\n"
            "virtio_net  0xffffffffc0000000 60.0K    2 live\n"
            'half,"made" 0xffffffffc0010000     0    0 coming\n'))

    def test_mappings_of_a_process_look_as_in_proc(self):
        self.expect(canned("maps", IMAGE, "-p", 1), 0, err="", out=(
            "ADDRESS                   PERM OFFSET   DEV   INODE PATH\n"
            "00400000-00401000         r-xp 00000000 fe:01 1234  /bin/with space\n"
            "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0     [stack]\n"
            "7ffc00030000-7ffc00031000 r--s 00001000 00:01 9     \n"))

    def test_mappings_of_all_leave_out_who_has_none(self):
        result = canned("maps", IMAGE, "--all", "--fields", "pid,start", "--no-header")
        self.expect(result, 0, "".join(f"{pid:2d} {at}\n" for pid in (1, 37)
                                       for at in ("0x400000", "0x7ffc00000000", "0x7ffc00030000")))

    def test_regions_of_the_target_itself(self):
        self.expect(canned("maps", IMAGE, "--phys"), 0,
                    "ADDRESS           PERM KIND PATH\n00000000-00004000 r--p ram  \n", "")

    def test_dmesg_indents_further_lines_of_a_record(self):
        self.expect(canned("dmesg", IMAGE), 0, err="", out=(
            "[    0.000000] Linux version\n"
            "[    1.234567] first line\n"
            "               second line\n"
            "[100000.000000] a\\x1b[mb\n"))

    def test_info_is_a_line_a_fact(self):
        result = canned("info", IMAGE, "--fields", "connector,release,version,kaslr_offset,uptime")
        self.expect(result, 0, "Connector     flat\nRelease       6.1.0-canned\n"
                               "Version       Linux version 6.1.0-canned \\x1b]0;title\\x07\n"
                               "KASLR offset  0x1000000\nUp, seconds   12.345678\n", "")

    def test_translate_shows_every_level(self):
        self.expect(canned("translate", IMAGE, "first_function"), 0, err="", out=(
            "0x0000000000001000\n"
            "  level 4   0x0000000000003067  at 0x2000\n"
            "  level 3   0x0000000000004067  at 0x3000\n"
            "  level 2   0x00000000004000e3  at 0x4000\n"
            "  physical  0x0000000000401000  r-x, page of 2.0M, present accessed\n"))

    def test_translate_says_where_the_walk_ended(self):
        self.expect(canned("translate", IMAGE, "0x300000"), 1,
                    "0x0000000000300000\n  level 4   0x0000000000000000  at 0x2000\n"
                    "  nothing   empty\n",
                    "sonde: translate: canned: 0x300000: not mapped\n")

    def test_translate_tells_what_the_system_noted(self):
        result = canned("translate", IMAGE, "0x1ff000")
        self.assertIn("  nothing   in swap: file 1, page 0x47a\n", result.out)
        [row] = json.loads(canned("translate", IMAGE, "0x1ff000", "--json").out)
        self.assertEqual((row["kind"], row["swap_type"], row["swap_offset"], row["error"]),
                         ("in swap", 1, "0x47a", "PAGED_OUT"))

    def test_translate_takes_addresses_from_standard_input(self):
        result = canned("translate", IMAGE, "0x1000", "-", "--fields", "pa", input="0x2000\n\n  12288 # a word\n")
        self.assertEqual(result.out.split(), ["Physical", "0x401000", "Physical", "0x402000", "Physical", "0x403000"])

    def test_translate_table_names_levels_and_bits(self):
        self.expect(canned("translate", IMAGE, "0x1000", "--table", "--fields", "level,name,entry,bits,kind"), 0,
                    err="", out=("LEVEL NAME ENTRY    BITS        KIND\n"
                                 "    4 PGD  0x3067   P RW US A   table\n"
                                 "    3 PUD  0x4067   P RW US A   table\n"
                                 "    2 PMD  0x4000e3 P RW A D PS mapped\n"))

    def test_translate_reverse_finds_the_kernel_and_processes(self):
        self.expect(canned("translate", IMAGE, "--reverse", "0x5000"), 0, err="", out=(
            "PHYSICAL PID VIRTUAL            PAGES PAGE PERM MARKS\n"
            "0x5000     - 0xffff888000005000     1 2.0M r--  present\n"
            "0x5000     1 0x1000                 3 4.0K r--  user\n"))
        rows = json.loads(canned("translate", IMAGE, "--reverse", "0x5000", "1M", "--pid", "1", "--json").out)
        self.assertEqual([(row["pid"], row["pa"]) for row in rows], [(1, "0x5000"), (1, "0x100000")])

    def test_translate_goes_one_way(self):
        self.expect_error(canned("translate", IMAGE, "--reverse", "--table", "0"), 2, "exclude each other")

    def test_pages_lists_runs(self):
        self.expect(canned("pages", IMAGE), 0, err="", out=(
            "START              END                PHYSICAL PAGE PERM MARKS\n"
            "0x1000             0x3000             0x401000 4.0K rw-  present user dirty\n"
            "0xffffffffffe00000 0xffffffffffffffff 0x600000 2.0M r-x  present global\n"))

    def test_pages_of_no_process(self):
        self.expect_error(canned("pages", IMAGE, "--pid", "77"), 1, "no process 77")

    def test_sym_by_name_and_by_address(self):
        self.expect(canned("sym", IMAGE, "some_data", "0x1014"), 0, err="", out=(
            "ADDR   TYPE SIZE OFFSET MODULE  NAME\n"
            "0x3000 D       0      0 amodule some_data\n"
            "0x1010 t      16      4 -       second_function\n"))

    def test_what_lies_far_behind_the_last_symbol_has_none(self):
        self.expect_error(canned("sym", IMAGE, "0x500000"), 1, "'0x500000': no symbol covers this address")

    def test_sym_by_pattern(self):
        result = canned("sym", IMAGE, "--match", "*_function", "--fields", "name", "--no-header")
        self.expect(result, 0, "first_function\nsecond_function\n", "")

    def test_type_prints_the_declaration(self):
        self.expect(canned("type", IMAGE, "struct pair"), 0,
                    "struct pair { /* 16 bytes */\n\tint first; /* 0 */\n"
                    "\tlong second\\x1b; /* 8 */\n};\n", "")

    def test_type_tells_where_a_member_lies(self):
        self.expect(canned("type", IMAGE, "pair", "second", "--fields", "offset,size"), 0,
                    "Offset  8\nSize    8\n", "")

    def test_disas_names_what_is_called_and_what_is_addressed(self):
        result = canned("disas", IMAGE, "first_function", "-n", 7)
        if "without Capstone" in result.err:
            self.skipTest("built without Capstone")
        self.expect(result, 0, err="", out=(
            "first_function:\n"
            "  0000000000001000  55                       push    rbp\n"
            "  0000000000001001  48 89 e5                 mov     rbp, rsp\n"
            "  0000000000001004  e8 07 00 00 00           call    0x1010 <second_function>\n"
            "  0000000000001009  5d                       pop     rbp\n"
            "  000000000000100a  c3                       ret\n"
            "  000000000000100b  90                       nop\n"
            "  000000000000100c  90                       nop\n"))
        result = canned("disas", IMAGE, "second_function", "-n", 3)
        self.expect(result, 0, err="", out=(
            "second_function:\n"
            "  0000000000001010  48 8b 05 e9 1f 00 00     mov     rax, qword ptr [rip + 0x1fe9]"
            "  # 0x3000 <some_data [amodule]>\n"
            "  0000000000001017  c3                       ret\n"
            "  0000000000001018  06                       (bad)\n"))

    def test_disas_of_a_symbol_goes_to_its_end_and_of_an_address_not(self):
        result = canned("disas", IMAGE, "second_function", "--json")
        if "without Capstone" in result.err:
            self.skipTest("built without Capstone")
        rows = json.loads(result.out)
        self.assertEqual(rows[-1]["addr"], "0x101f")
        self.assertEqual(rows[0]["target_symbol"], "some_data [amodule]")
        rows = json.loads(canned("disas", IMAGE, "second_function+7", "--json").out)
        self.assertEqual((len(rows), rows[0]["symbol"]), (16, "second_function+0x7"))


class Machine(Case):
    ARGS = {"type": ["pair"], "translate": ["0x1000"], "sym": ["--all"], "maps": ["--all"],
            "read": ["0", "8k"], "scan": ["90 9?"], "disas": ["0x1000"], "plugins": []}

    def of(self, command, *more, text=True):
        target = [] if command == "plugins" else [IMAGE]
        result = canned(command, *target, *self.ARGS.get(command, []), *more, text=text)
        if text and "without Capstone" in result.err:
            self.skipTest("built without Capstone")
        return result

    def test_json_of_every_command_is_an_array_of_objects_with_the_fields_of_help(self):
        for command in "info ps threads modules maps dmesg read scan translate pages sym type disas plugins".split():
            with self.subTest(command=command):
                help_text = canned(command, "--help").out
                listed = help_text.split("Fields:")[1].split(".\n")[0].split()
                result = self.of(command, "--json")
                rows = json.loads(result.out)
                self.assertGreater(len(rows), 0)
                wanted = [name for name in listed if name != "range"]
                for row in rows:
                    self.assertEqual(sorted(row), sorted(wanted))

    def test_csv_has_the_same_values_as_json(self):
        for command in "ps threads modules maps dmesg read scan translate pages sym disas".split():
            with self.subTest(command=command):
                rows = json.loads(self.of(command, "--json").out)
                raw = self.of(command, "--csv", text=False).out
                table = list(csv.DictReader(io.StringIO(raw.decode(), newline="")))
                self.assertEqual(len(table), len(rows))
                for row, line in zip(rows, table):
                    self.assertEqual(list(row), list(line))
                    for key, value in row.items():
                        if value is None:
                            self.assertEqual(line[key], "")
                        elif isinstance(value, bool):
                            self.assertEqual(line[key], str(value).lower())
                        elif isinstance(value, int):
                            self.assertEqual(int(line[key]), value)

    def test_csv_quotes_and_ends_lines_as_rfc_4180_has_it(self):
        result = canned("modules", IMAGE, "--csv", "--fields", "name,size", text=False)
        self.assertEqual(result.out, b'name,size\r\nvirtio_net,61440\r\n"half,""made""",0\r\n')

    def test_csv_without_header(self):
        result = canned("modules", IMAGE, "--csv", "--no-header", "--fields", "size", text=False)
        self.assertEqual(result.out, b"61440\r\n0\r\n")

    def test_bytes_come_back_from_json(self):
        rows = json.loads(canned("ps", IMAGE, "--json").out)
        self.assertEqual(rows[2]["args"],
                         ["e\x1b[2J", "\\xff\u00e9\n", '"q",\\x5cx41', "\u202e"])
        self.assertEqual(rows[2]["name"], "evil\x1b[31m")
        self.assertEqual(rows[0]["start"], "2023-11-14T22:13:21Z")
        self.assertEqual((rows[0]["rss"], rows[0]["addr"]), (1572864, "0xffff888000001000"))

    def test_nothing_a_terminal_would_obey_is_printed_in_any_format(self):
        for form in ([], ["--json"], ["--csv"]):
            for command in ("ps", "threads", "dmesg", "info", "type"):
                with self.subTest(command=command, form=form):
                    result = self.of(command, *form, text=False)
                    self.assertEqual([byte for byte in result.out + result.err
                                      if (byte < 32 and byte not in b"\n\t\r") or byte == 127], [])
                    self.assertNotIn("\u202e", result.out.decode())

    def test_twenty_thousand_rows_are_quick(self):
        for form in ([], ["--json"], ["--csv"]):
            began = time.monotonic()
            result = canned("ps", IMAGE, "--symbols", "many", *form)
            self.assertEqual(result.code, 0)
            self.assertGreaterEqual(result.out.count("\n"), 20000)
            self.assertLess(time.monotonic() - began, 5)


class Partial(Case):
    def test_a_damaged_list_is_printed_and_exits_with_3(self):
        result = canned("ps", IMAGE, "--symbols", "damaged", "--fields", "pid,uid,command,missing,error")
        self.expect(result, 3, err=(
            "sonde: ps: the list is damaged: canned: the next link leads nowhere\n"
            "sonde: ps: 1 of 5 processes lack fields (no memory at this address); "
            "--json names them in 'missing'\n"))
        self.assertEqual(result.out.splitlines()[-1],
                         " 42    - [torn]" + " " * 37 + " cred cmdline NOT_MAPPED")

    def test_json_of_a_damaged_list_is_still_an_array(self):
        result = canned("ps", IMAGE, "--symbols", "damaged", "--json")
        self.assertEqual(result.code, 3)
        row = json.loads(result.out)[-1]
        self.assertEqual((row["uid"], row["args"], row["missing"], row["error"]),
                         (None, None, ["cred", "cmdline"], "NOT_MAPPED"))

    def test_every_damaged_list_says_so(self):
        for command, args in (("threads", []), ("modules", []), ("maps", ["-p", 1]), ("dmesg", [])):
            with self.subTest(command=command):
                result = canned(command, IMAGE, "--symbols", "damaged", *args)
                self.assertEqual(result.code, 3, str(result))
                self.assertIn("damaged: canned: ", result.err)
                self.assertGreater(result.out.count("\n"), 2)

    def test_no_such_process_fails(self):
        for command in ("ps", "threads", "maps"):
            result = canned(command, IMAGE, "--pid", 9999)
            self.expect_error(result, 1, f"sonde: {command}: canned: process 9999: no such process")

    def test_no_operating_system_exits_with_5(self):
        for command in ("ps", "threads", "modules", "dmesg"):
            result = canned(command, IMAGE, "--symbols", "none")
            self.expect_error(result, 5, f"sonde: {command}: canned: no kernel here")

    def test_no_types_exits_with_5(self):
        self.expect_error(canned("ps", IMAGE, "--symbols", "no-types"), 5, "a kernel without types")

    def test_a_failing_command_prints_an_empty_array(self):
        result = canned("ps", IMAGE, "--symbols", "none", "--json")
        self.expect(result, 5, "[]\n", "sonde: ps: canned: no kernel here\n")

    def test_info_tells_why_there_is_no_system_and_succeeds(self):
        result = canned("info", IMAGE, "--symbols", "none", "--fields", "connector,os,no_os")
        self.expect(result, 0, "Connector  flat\nNo system  canned: no kernel here\n", "")

    def test_some_symbols_found_and_some_not_is_partial(self):
        result = canned("sym", IMAGE, "some_data", "nope", "--fields", "addr", "--no-header")
        self.expect(result, 3, "0x3000\n", "sonde: sym: 'nope': no such symbol; --match GLOB searches\n")

    def test_unknown_names_fail(self):
        self.expect(canned("sym", IMAGE, "nope", "--no-header"), 1)
        self.expect(canned("sym", IMAGE, "--match", "nope*"), 1)
        self.expect_error(canned("type", IMAGE, "nope"), 1, "'nope': no such type in constants")
        self.expect_error(canned("type", IMAGE, "pair", "nope"), 1, "'pair' has no member 'nope'")
        self.expect_error(canned("read", IMAGE, "nope", 4), 1, "'nope': no such symbol")
        self.expect_error(canned("read", IMAGE, "0x10", 4, "--pid", 2), 1, "has no memory")
