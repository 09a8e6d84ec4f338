#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a user gets from `meson install`: headers, libraries, pkg-config file, tool, plugins, man pages.

usage: run.py BUILD_FOLDER SOURCE_FOLDER. Installs into a throw-away folder, then builds and runs there.
"""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

BUILD, SOURCE = (pathlib.Path(p) for p in sys.argv[1:3])


def run(*args, **more):
    return subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=120, **more)


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="sonde-install-")
        cls.root = pathlib.Path(cls.folder.name)
        os.chmod(cls.root, 0o755)
        done = run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", cls.root)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        cls.prefix = next(cls.root.rglob("include/sonde/sonde.h")).parents[2]
        cls.lib = next(cls.prefix.rglob("libsonde.so")).parent

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def environment(self):
        return dict(os.environ, LD_LIBRARY_PATH=str(self.lib), SONDE_PLUGIN_PATH=str(self.lib / "sonde"),
                    PKG_CONFIG_PATH=str(self.lib / "pkgconfig"), PKG_CONFIG_SYSROOT_DIR=str(self.root))

    def flags(self, *options):
        done = run("pkg-config", *options, "sonde", env=self.environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        return shlex.split(done.stdout)

    def build(self, name, *more):
        program = self.root / name
        source = self.root / "hello.c"
        source.write_text(re.search(r"```c\n(.*?)```", (SOURCE / "README.md").read_text(), re.S).group(1))
        done = run(*shlex.split(os.environ.get("CC", "cc")), source, "-o", program, *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return program

    def check_refusal(self, program):
        done = run(program, "/nonexistent/guest.elf", env=self.environment())
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("guest.elf", done.stderr)
        self.assertIn("No such file", done.stderr)

    def test_the_program_of_the_readme_has_twelve_lines_and_builds_with_pkg_config(self):
        program = self.build("hello", *self.flags("--cflags", "--libs"))
        self.assertEqual(len((self.root / "hello.c").read_text().splitlines()), 12)
        self.check_refusal(program)

    def test_it_links_statically_too(self):
        libs = [flag for flag in self.flags("--cflags", "--libs", "--static") if flag != "-lsonde"]
        program = self.build("hello-static", self.lib / "libsonde.a", *libs)
        self.check_refusal(program)

    def test_the_installed_tool_finds_the_installed_plugins(self):
        done = run(self.prefix / "bin" / "sonde", "plugins", env=self.environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        for plugin in self.lib.glob("sonde/*.so"):
            self.assertIn(plugin.stem, done.stdout)
        self.assertIn("elfcore", done.stdout)

    def test_the_example_without_a_system_links_with_nothing_else(self):
        library = self.lib / "libsonde-bare.a"
        if not library.exists():
            self.skipTest("not for this processor")
        source, program = self.root / "look.c", self.root / "look"
        example = re.search(r"```c\n(.*?)```", (SOURCE / "docs/freestanding.md").read_text(), re.S).group(1)
        source.write_text(f"""#include <stdint.h>
            static uint64_t my_clock(void *user) {{ return user != 0; }}
            static void my_halt(void *user, uint64_t ns) {{ (void)user, (void)ns; }}
            static void my_panic(void *user, const char *what, const char *file, int line)
            {{ (void)user, (void)what, (void)file, (void)line; }}
            {example}
            void _start(void);
            void _start(void) {{ uint64_t value; look(0, 0, &value); for (;;); }}""")
        done = run(*shlex.split(os.environ.get("CC", "cc")), "-Wall", "-Wextra", "-Werror", "-ffreestanding",
                   "-fno-stack-protector", "-nostdlib", "-static", f"-I{self.prefix}/include", source, library, "-o", program)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(run("nm", "-u", program).stdout, "")

    def test_each_subcommand_has_its_man_page(self):
        pages = {page.name for page in self.prefix.rglob("man1/*.1")}
        help_text = run(self.prefix / "bin" / "sonde", "--help", env=self.environment()).stdout
        commands = re.findall(r"^  ([a-z]+)  ", help_text.split("\nTargets:")[0], re.M)
        self.assertIn("ps", commands)
        self.assertLessEqual({f"sonde-{name}.1" for name in commands} | {"sonde.1"}, pages)

    def test_pkg_config_names_the_plugin_folder(self):
        done = run("pkg-config", "--variable=plugindir", "sonde", env=self.environment())
        self.assertTrue(done.stdout.strip().endswith("/sonde"), done.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
