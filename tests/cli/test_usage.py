# SPDX-License-Identifier: MIT
"""The command line itself: options, help, exit codes, and where output goes."""
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios

from harness import CANNED, COMMANDS, IMAGE, SONDE, Case, canned, make_file, run


class Usage(Case):
    def test_no_command(self):
        self.expect_error(run(), 2, "sonde: no command given; see 'sonde --help'")

    def test_unknown_command(self):
        self.expect_error(run("pz", "x"), 2, "sonde: 'pz' is not a command; see 'sonde --help'")

    def test_unknown_options_are_named_as_they_were_written(self):
        self.expect_error(run("ps", "--nope", "x"), 2, "sonde: ps: unknown option '--nope'; see 'sonde ps --help'")
        self.expect_error(run("ps", "-Q", "x"), 2, "unknown option '-Q'")
        self.expect_error(run("--nope", "ps"), 2, "unknown option '--nope'")

    def test_an_option_of_another_command_is_unknown(self):
        self.expect_error(run("modules", "x", "--pid", 1), 2, "unknown option '--pid'")
        self.expect_error(run("ps", "x", "--write"), 2, "unknown option '--write'")

    def test_options_with_too_few_or_too_many_values(self):
        self.expect_error(run("ps", "x", "--pid"), 2, "option '--pid' needs a value")
        self.expect_error(run("ps", "x", "--json=1"), 2, "option '--json=1' takes no value")

    def test_numbers_out_of_range(self):
        for value in ("0", "-1", "x", "", "2147483648", "1x", "99999999999999999999"):
            with self.subTest(value=value):
                self.expect_error(run("ps", "x", "--pid=" + value), 2,
                                  f"--pid '{value}': not a number from 1 to 2147483647")

    def test_too_few_and_too_many_operands(self):
        self.expect_error(run("ps"), 2, "sonde: ps: too few arguments: TARGET")
        self.expect_error(run("ps", "a", "b"), 2, "one argument too many: 'b'")

    def test_json_and_csv_exclude_each_other(self):
        self.expect(run("ps", "x", "--json", "--csv"), 2, "[]\n",
                    "sonde: ps: --json and --csv exclude each other; see 'sonde ps --help'\n")

    def test_unknown_color_and_engine(self):
        self.expect_error(run("ps", "x", "--color", "blue"), 2, "--color 'blue': not auto, always or never")
        self.expect_error(run("ps", "x", "--engine", "steam"), 2, "--engine 'steam': not auto, sync")

    def test_unknown_field_names_those_there_are(self):
        self.expect_error(run("ps", IMAGE, "--fields", "pid,colour"), 2,
                          "--fields: no field 'colour'; there are pid,tgid,")
        self.expect_error(run("ps", IMAGE, "--fields", "pid,pid"), 2, "--fields: 'pid' stands twice")
        self.expect_error(run("ps", IMAGE, "--fields", ""), 2, "--fields: no field ''")

    def test_options_that_exclude_each_other(self):
        self.expect_error(run("read", IMAGE, 0, 4, "--phys", "--kernel"), 2, "exclude each other")
        self.expect_error(run("read", IMAGE, 0, 4, "--hex", "--csv"), 2, "exclude each other")
        self.expect_error(run("maps", IMAGE, "--all", "--pid", 3), 2, "exclude each other")
        self.expect_error(run("maps", IMAGE), 2, "which process? --pid PID, --all of them, or --phys")
        self.expect_error(run("sym", IMAGE), 2, "give names or addresses, or --match GLOB, or --all")

    def test_addresses_and_lengths_that_are_none(self):
        for text in ("0x", "12z", "0x1g2", "18446744073709551616"):
            self.expect_error(run("read", IMAGE, text, 4), 2, f"'{text}': not an address")
        for text in ("0", "x", "-4", "4kk", "0x"):
            self.expect_error(run("read", IMAGE, 0, "--", text), 2, f"'{text}': not a length")
        self.expect_error(run("read", IMAGE, "0xffffffffffffffff", 2, "--phys"), 2,
                          "runs past the end of the address space")
        self.expect_error(run("write", IMAGE, "0xffffffffffffffff", "--phys", "--hex", "0000"), 2,
                          "2 bytes from there run past the end of the address space")
        self.expect_error(canned("read", IMAGE, "some_data+x", 2), 2, "'+x' is no offset")

    def test_options_may_stand_in_front_of_the_command_and_behind_operands(self):
        for words in (["--json", "ps", IMAGE, "-f", "pid"], ["ps", IMAGE, "-f", "pid", "--json"]):
            self.assertEqual(json.loads(canned(*words).out)[0], {"pid": 1})

    def test_usage_errors_leave_an_empty_array_when_json_was_asked_for(self):
        result = run("ps", "--json")
        self.expect(result, 2, "[]\n")

    def test_version(self):
        self.assertRegex(run("--version").out, r"\Asonde [0-9]+\.[0-9]+\.[0-9]+\n\Z")


class Help(Case):
    def test_help_lists_every_command(self):
        text = run("--help").out
        listed = re.findall(r"^  ([a-z]+) {2,}", text.split("Commands:")[1].split("\n\n")[0], re.M)
        self.assertEqual(listed, COMMANDS)

    def test_help_of_each_command_has_synopsis_exit_codes_and_an_example(self):
        for command in COMMANDS:
            result = run(command, "--help")
            self.expect(result, 0, err="")
            self.assertTrue(result.out.startswith(f"Usage: sonde {command} [OPTION]..."))
            self.assertIn("  3  something was printed, and something is missing from it\n", result.out)
            self.assertRegex(result.out, rf"\nExample: sonde {command}\b[^\n]*\n\Z")

    def test_help_of_every_command_fits_a_terminal(self):
        for command in COMMANDS:
            for line in run(command, "--help").out.splitlines():
                self.assertLessEqual(len(line), 90, line)


class Output(Case):
    def test_a_full_disk_is_an_error(self):
        with open("/dev/full", "wb") as full:
            result = canned("ps", IMAGE, stdout=full)
        self.expect(result, 1, err="sonde: ps: standard output: No space left on device\n")

    def test_closed_standard_output_is_an_error_and_no_file_is_harmed(self):
        target = make_file("precious.img", b"\x00" * 4096)
        words = f"exec '{CANNED}' ps 'flat:{target}' >&-"
        done = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr),
                         (1, "sonde: ps: standard output: Bad file descriptor\n"))
        with open(target, "rb") as file:
            self.assertEqual(file.read(), b"\x00" * 4096)

    def test_a_reader_that_leaves_ends_the_tool_by_the_signal_in_silence(self):
        child = subprocess.Popen([CANNED, "ps", IMAGE, "--symbols", "many"], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        child.stdout.read(10)
        child.stdout.close()
        self.assertEqual((child.wait(60), child.stderr.read()), (-13, b""))
        child.stderr.close()

    def test_stats_follow_on_stderr(self):
        result = canned("read", IMAGE, "0x1000", 64, "--stats", "--json")
        self.assertEqual(result.code, 0)
        json.loads(result.out)
        self.assertRegex(result.err, r"(?m)^sonde: read: stats: time: \d+\.\d{3} ms$")
        self.assertRegex(result.err, r"(?m)^sonde: read: stats: engine: \w+: .+$")
        self.assertRegex(result.err, r"(?m)^sonde: read: stats: target memory: 1 round trips, "
                                     r"1 pieces, 64 bytes, 0 pieces failed$")
        self.assertRegex(result.err, r"(?m)^sonde: read: stats: peak memory: [\d.]+[KM]$")

    def test_stats_have_a_line_for_each_layer(self):
        result = run("read", "ram:4k|remap,map=0+1k@0;1k+1k@2k|delay,us=1", 0, 8, "--phys", "--stats")
        self.assertEqual(result.code, 0)
        self.assertRegex(result.err, r"(?m)^sonde: read: stats: layer remap: 2 stretches, 2048 bytes$")
        self.assertRegex(result.err, r"(?m)^sonde: read: stats: layer delay: 1 batches, 1 requests, 0 not held$")

    def test_verbose_says_what_was_found(self):
        result = canned("ps", IMAGE, "-v")
        self.assertEqual(result.code, 0)
        self.assertIn("sonde: ps: linux 6.1.0-canned, found by being canned; types from constants\n",
                      result.err)

    def test_every_engine_gives_the_same_bytes(self):
        wanted = run("read", IMAGE, "0x1000", 32, "--hex").out
        self.assertEqual(wanted[:8], "554889e5")
        for engine in ("auto", "sync", "direct", "threads", "io_uring", "epoll"):
            result = run("read", IMAGE, "0x1000", 32, "--hex", "--engine", engine)
            if engine == "io_uring" and result.code == 1:
                self.assertIn("io_uring", result.err)  # refused here, and it says by what
            else:
                self.expect(result, 0, wanted, "")


class Terminal(Case):
    """On a pseudo terminal of 40 columns."""

    def on_terminal(self, *words, **environment):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
        done = subprocess.Popen([CANNED, *words], stdout=slave, stderr=subprocess.PIPE,
                                stdin=subprocess.DEVNULL, env={**os.environ, **environment})
        os.close(slave)
        data = b""
        while True:
            try:
                block = os.read(master, 65536)
            except OSError:  # how a pseudo terminal says that its other side is closed
                break
            if not block:
                break
            data += block
        os.close(master)
        done.stderr.close()
        self.assertEqual(done.wait(60), 0)
        return data.decode().replace("\r\n", "\n")

    def test_lines_are_cut_at_the_edge_of_the_terminal(self):
        text = self.on_terminal("ps", IMAGE, "--color=never", "--fields", "pid,command")
        self.assertEqual(text.splitlines()[3], " 37 e\\x1b[2J \\xffé\\x0a \"q\",\\x5cx41 \\xe2\\")
        self.assertEqual(max(map(len, text.splitlines())), 40)

    def test_lines_are_whole_where_there_is_no_terminal(self):
        lines = canned("ps", IMAGE, "--fields", "pid,command").out.splitlines()
        self.assertEqual(lines[3], " 37 e\\x1b[2J \\xffé\\x0a \"q\",\\x5cx41 \\xe2\\x80\\xae")

    def test_colour_only_on_a_terminal(self):
        self.assertIn("\x1b[1mPID", self.on_terminal("ps", IMAGE))
        self.assertNotIn("\x1b", canned("ps", IMAGE).out)

    def test_colour_can_be_forced_and_forbidden(self):
        self.assertIn("\x1b[1mPID", canned("ps", IMAGE, "--color", "always").out)
        self.assertNotIn("\x1b", self.on_terminal("ps", IMAGE, "--color=never"))
        self.assertNotIn("\x1b", self.on_terminal("ps", IMAGE, NO_COLOR="1"))
        self.assertNotIn("\x1b", self.on_terminal("ps", IMAGE, TERM="dumb"))

    def test_json_is_never_coloured(self):
        self.assertNotIn("\x1b", self.on_terminal("ps", IMAGE, "--json", "--color=always"))

    def test_raw_bytes_are_not_sent_to_a_terminal(self):
        master, slave = pty.openpty()
        done = subprocess.run([SONDE, "read", IMAGE, "0x2000", "16", "--raw"], stdout=slave,
                              stderr=subprocess.PIPE, text=True, check=False)
        os.close(slave)
        os.close(master)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--raw: standard output is a terminal", done.stderr)
