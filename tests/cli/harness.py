# SPDX-License-Identifier: MIT
"""What the black-box tests share: running the tool, images to run it on, the source tree."""
import atexit
import functools
import glob
import os
import shutil
import subprocess
import tempfile
import unittest

SONDE = os.environ.get("SONDE_EXE", "sonde")
CANNED = os.environ.get("SONDE_CANNED_EXE", "sonde-canned")
HOLED = os.environ.get("SONDE_HOLED_EXE", "sonde-holed")
SOURCE = os.environ.get("SONDE_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))
COMMANDS = "info cpus ps threads modules maps dmesg read dump convert serve write undo scan translate pages sym type disas trace targets plugins".split()

FOLDER = tempfile.mkdtemp(prefix="sonde-cli-")
os.chmod(FOLDER, 0o755)
atexit.register(shutil.rmtree, FOLDER, True)

# What the caller's terminal and habits would change in the output.
for name in ("NO_COLOR", "COLUMNS"):
    os.environ.pop(name, None)
os.environ["TERM"] = "xterm"


class Result:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def __str__(self):
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def run(*args, exe=None, text=True, **options):
    """Run the tool with these arguments and take all it says."""
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    words = [exe or SONDE, *map(str, args)]
    if text:
        options["errors"] = "surrogateescape"
    return Result(subprocess.run(words, text=text, timeout=120, check=False, **options))


@functools.lru_cache(maxsize=None)
def reachable():
    """Tool, library and plugins copied to where every user may run them; a build tree may lie in a
    folder of root's. Gives the tool and the environment it needs."""
    folder = tempfile.mkdtemp(prefix="sonde-reachable-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.chmod(folder, 0o755)
    loaded = subprocess.run(["ldd", SONDE], capture_output=True, text=True, check=True).stdout
    library = [words.split()[2] for words in loaded.splitlines() if "libsonde" in words]
    plugins = [plugin for path in os.environ.get("SONDE_PLUGIN_PATH", "").split(":")
               for plugin in glob.glob(os.path.join(path, "*.so"))]
    for file in [SONDE, *library, *plugins]:
        shutil.copy(file, folder)
        os.chmod(os.path.join(folder, os.path.basename(file)), 0o755)
    environment = dict(os.environ, LD_LIBRARY_PATH=folder, SONDE_PLUGIN_PATH=folder)
    return os.path.join(folder, os.path.basename(SONDE)), environment


def run_as_another_user(*args):
    exe, environment = reachable()
    return run(*args, exe=exe, env=environment, user=65534)


def canned(*args, **options):
    """The same with the operating system of canned_os.c."""
    return run(*args, exe=CANNED, **options)


def make_file(name, data):
    path = os.path.join(FOLDER, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def code_image():
    """16 KiB, with two functions where canned_os.c says there are symbols."""
    image = bytearray(16384)
    image[0x1000:0x1010] = bytes.fromhex("554889e5e8070000005dc39090909090")
    image[0x1010:0x1018] = bytes.fromhex("488b05e91f0000c3")
    image[0x1018:0x1020] = b"\x06" + b"\x90" * 7  # 06: no instruction in 64-bit mode
    image[0x2000:0x200d] = b"hello, \x1b[2J\xff!"
    return make_file("code.img", bytes(image))


IMAGE = "flat:" + code_image()


def read_source(*path):
    with open(os.path.join(SOURCE, *path), encoding="utf-8") as file:
        return file.read()


class Case(unittest.TestCase):
    maxDiff = None

    def expect(self, result, code, out=None, err=None):
        """The exit code, and where given exactly this on stdout and stderr."""
        self.assertEqual(result.code, code, str(result))
        if out is not None:
            self.assertEqual(result.out, out, str(result))
        if err is not None:
            self.assertEqual(result.err, err, str(result))

    def expect_error(self, result, code, *parts):
        """The exit code, nothing on stdout, one line on stderr that has all these parts."""
        self.expect(result, code, out="")
        self.assertRegex(result.err, r"\Asonde: [^\n]*\n\Z", str(result))
        for part in parts:
            self.assertIn(part, result.err)
