# SPDX-License-Identifier: MIT
"""Help, man pages, completions and docs/json.md speak of the same commands, options and fields."""
import json
import os
import re
import shutil
import subprocess

from harness import COMMANDS, FOLDER, SONDE, SOURCE, Case, make_file, read_source, run
from test_listing import guest

COMPLETION = os.path.join(SOURCE, "tools", "sonde", "completion")


def options_of(command):
    text = run(*([command] if command else []), "--help").out
    listed = re.split(r"\nOptions(?: of every command)?:\n", text)[1].split("\n\n")[0]
    return [(letter, name) for letter, name in
            re.findall(r"^  (?:-(\w),|   ) --([a-z0-9-]+)", listed, re.M)]


COMMON = [option for option in options_of(None) if option[1] != "version"]


def fields_of(command):
    text = run(command, "--help").out
    return text.split("Fields:")[1].split(".\n")[0].split()


class ManPages(Case):
    def test_the_pages_have_no_warnings(self):
        if not shutil.which("mandoc"):
            self.skipTest("mandoc is not installed")
        pages = [os.path.join(SOURCE, "docs", "man", name)
                 for name in ["sonde.1", "sonde-layers.7"] + [f"sonde-{command}.1" for command in COMMANDS]]
        done = subprocess.run(["mandoc", "-Tlint", "-Wwarning", *pages], capture_output=True, text=True,
                              check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_the_main_page_has_every_command_and_common_option(self):
        page = read_source("docs", "man", "sonde.1")
        for command in COMMANDS:
            self.assertIn(f".It Cm {command}\n", page)
            self.assertIn(f".Xr sonde-{command} 1", page)
        for _, name in options_of(None):
            self.assertRegex(page, rf"(?m)^\.It .*Fl Fl {name}\b")

    def test_the_page_of_layers_has_each_with_all_its_arguments(self):
        page = read_source("docs", "man", "sonde-layers.7")
        rows = json.loads(run("plugins", "--json").out)
        layers = {row["name"]: row["args_help"] or "" for row in rows if row["kind"] == "layer"}
        sections = dict(re.findall(r"(?m)^\.Ss ([a-z-]+)\n((?:(?!\.S[sh] ).*\n)*)", page))
        self.assertEqual(sorted(sections), sorted(layers))
        for name, text in layers.items():
            wanted = re.findall(r"(?m)^([a-z_]+)=", text)
            self.assertEqual(sorted(re.findall(r"(?m)^\.It Cm ([a-z_]+)=", sections[name])),
                             sorted(wanted), name)

    def test_each_page_has_its_options_and_no_others(self):
        for command in COMMANDS:
            page = read_source("docs", "man", f"sonde-{command}.1")
            wanted = {name for _, name in options_of(command)} - {name for _, name in COMMON}
            self.assertEqual(set(re.findall(r"(?m)^\.It .*?Fl Fl ([a-z0-9-]+)", page)), wanted, command)
            for letter, name in options_of(command):
                if letter and name in wanted:
                    self.assertRegex(page, rf"(?m)^\.It Fl {letter} , Fl Fl {name}\b", command)

    def test_each_page_has_its_fields(self):
        for command in COMMANDS:
            page = read_source("docs", "man", f"sonde-{command}.1").split(".Sh FIELDS")[1]
            listed = " ".join(re.findall(r"(?m)^\.It Cm (.*)$", page)).split()
            self.assertEqual(sorted(listed), sorted(fields_of(command)), command)

    def test_the_main_page_has_every_exit_code(self):
        page = read_source("docs", "man", "sonde.1").split(".Sh EXIT STATUS")[1]
        codes = re.findall(r"(?m)^  (\d)  ", run("--help").out)
        self.assertEqual(re.findall(r"(?m)^\.It (\d)$", page), codes)
        self.assertEqual(codes, list("0123456"))


class Json(Case):
    def test_every_field_is_documented(self):
        text = read_source("docs", "json.md")
        for command in COMMANDS:
            section = text.split(f"\n### {command}\n")[1].split("\n### ")[0]
            for name in fields_of(command):
                self.assertRegex(section, rf"\b{name}\b", f"{command}: {name}")


class Zsh(Case):
    def test_every_command_and_option_is_completed(self):
        text = read_source("tools", "sonde", "completion", "_sonde")
        described = dict(re.findall(r"^\t['\"]([a-z]+):(.*)['\"]$", text, re.M))
        self.assertEqual(list(described), COMMANDS)
        body = text.split("case $line[1] in")[1]
        for command in COMMANDS:
            mine = re.search(rf"^\t(?:[a-z| ]+\| )?{command}(?: \|[a-z| ]+)?\)\n(.*?);;", body, re.M | re.S)
            groups = {name: text.split(f"\n{name}=(")[1].split("\n)\n" if name != "fields" else ")\n\n")[0]
                      for name in ("common", "place", "fields")}
            spoken = mine[1] + "".join(words for name, words in groups.items() if "$" + name in mine[1])
            for letter, name in options_of(command):
                self.assertIn("--" + name, spoken, command)
                if letter:
                    self.assertRegex(spoken, rf"-{letter}\b", f"{command} -{letter}")

    def test_zsh_can_read_it(self):
        if not shutil.which("zsh"):
            self.skipTest("zsh is not installed")
        done = subprocess.run(["zsh", "-n", os.path.join(COMPLETION, "_sonde")], capture_output=True,
                              text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class Bash(Case):
    def complete(self, line, *, split=None):
        """What bash offers behind this line; split: its words where a colon has split them."""
        words = split or line.split(" ")
        quoted = " ".join("'" + word + "'" for word in words)
        script = (f"source '{COMPLETION}/sonde.bash'\n"
                  f"COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1} COMP_LINE='{line}'\n"
                  "_sonde; printf '%s\\n' \"${COMPREPLY[@]}\"")
        bin_folder = os.path.join(FOLDER, "bin")
        os.makedirs(bin_folder, exist_ok=True)
        if not os.path.lexists(bin_folder + "/sonde"):
            os.symlink(SONDE, bin_folder + "/sonde")
        done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, cwd=FOLDER,
                              env={**os.environ, "PATH": bin_folder + ":" + os.environ["PATH"]}, check=False)
        self.assertEqual(done.stderr, "")
        return sorted(done.stdout.split())

    def setUp(self):
        if not shutil.which("bash"):
            self.skipTest("bash is not installed")

    def test_commands(self):
        self.assertEqual(self.complete("sonde "), sorted(COMMANDS))
        self.assertEqual(self.complete("sonde t"), ["targets", "threads", "trace", "translate", "type"])
        self.assertEqual(self.complete("sonde --json m"), ["maps", "modules"])

    def test_every_option_of_every_command(self):
        for command in COMMANDS:
            wanted = sorted("--" + name for _, name in options_of(command))
            self.assertEqual(self.complete(f"sonde {command} x --"), wanted, command)
        self.assertEqual(self.complete("sonde --vers"), ["--version"])

    def test_fields_of_every_command(self):
        for command in COMMANDS:
            if "fields" in {name for _, name in options_of(command)}:
                self.assertEqual(self.complete(f"sonde {command} --fields "), sorted(fields_of(command)))
        self.assertEqual(self.complete("sonde modules -f name,s"), ["name,sections", "name,size", "name,state"])

    def test_values_of_options(self):
        self.assertEqual(self.complete("sonde ps --color a"), ["always", "auto"])
        self.assertEqual(self.complete("sonde ps --engine s"), ["sync"])
        make_file("vmlinux-x", b"")
        self.assertEqual(self.complete("sonde ps --symbols vmlin"), ["vmlinux-x"])

    def test_targets_are_files_and_connectors(self):
        make_file("dump.elf", b"")
        self.assertEqual(self.complete("sonde ps dum"), ["dump.elf"])
        self.assertEqual(self.complete("sonde ps fla"), ["flat:"])
        self.assertEqual(self.complete("sonde ps flat:dum", split=["sonde", "ps", "flat", ":", "dum"]),
                         ["dump.elf"])

    def test_behind_a_bar_layers_are_offered(self):
        layers = run("plugins", "--csv", "--no-header", "--fields", "kind,name").out.splitlines()
        layers = sorted(line.split(",")[1] for line in layers if line.startswith("layer,"))
        self.assertIn("cache", layers)
        self.assertEqual(self.complete("sonde ps flat:x|"), ["flat:x|" + name for name in layers])
        self.assertEqual(self.complete("sonde ps qemu:a|delay,ms=1|tr"), ["qemu:a|delay,ms=1|trace"])

    def test_processes_are_offered_by_number(self):
        number = str(os.getpid())
        found = self.complete("sonde maps process:" + number, split=["sonde", "maps", "process", ":", number])
        self.assertIn(number, found)

    def test_processes_are_offered_by_name(self):
        with subprocess.Popen(["sleep", "60"]) as child:
            found = self.complete("sonde maps process:slee", split=["sonde", "maps", "process", ":", "slee"])
            child.kill()
        self.assertIn("sleep", found)

    def test_guests_are_offered_by_name(self):
        with guest("-name", "sonde-cli-offered"), guest("-name", "twin|of,,them"):
            for before in ("qemu", "gdb:qemu"):
                words = f"sonde ps {before}:sonde-cli-o".replace(":", " : ").split()
                self.assertEqual(self.complete(f"sonde ps {before}:sonde-cli-o", split=words), ["sonde-cli-offered"])
            self.assertIn("twin\\|of\\,them", self.complete("sonde ps qemu:", split=["sonde", "ps", "qemu", ":", ""]))
        self.assertEqual(self.complete("sonde targets "), ["libvirt", "process", "qemu"])

    def test_a_stub_may_be_a_guest_or_a_socket(self):
        make_file("stub.sock", b"")
        self.assertEqual(self.complete("sonde ps gdb:q", split=["sonde", "ps", "gdb", ":", "q"]), ["qemu:"])
        self.assertEqual(self.complete("sonde ps gdb:unix:stu", split=["sonde", "ps", "gdb", ":", "unix", ":", "stu"]),
                         ["stub.sock"])

    def test_nothing_is_offered_where_nothing_is_known(self):
        self.assertEqual(self.complete("sonde ps --pid "), [])
