# SPDX-License-Identifier: MIT
"""
What the tests on live guests share: running the tool, guests of the lab, views of a guest.

Guest      a guest that runs, and every truth that was taken from it
View       what the tool says of one target, asked once and kept
run()      the tool with any arguments
"""
import atexit
import contextlib
import functools
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lab"))
sys.path.insert(0, os.path.join(HERE, "..", "formats"))
import lab  # noqa: E402

SONDE = os.environ.get("SONDE_EXE", "sonde")
# A run of the tool that takes longer hangs: seconds, generous for sanitizers on a busy machine.
RUN_LIMIT = 150

FOLDER = tempfile.mkdtemp(prefix="sonde-live-")


def free_port():
    """A port of the loopback that nobody listens on, for now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def clean_up():
    with contextlib.suppress(lab.LabError):
        lab.stop_all(FOLDER)
    shutil.rmtree(FOLDER, ignore_errors=True)


atexit.register(clean_up)


def text_of(value):
    return value.decode("utf-8", "replace")


def shorten(text, limit=800):
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def bytes_of(value):
    """The bytes that a JSON string of the tool stands for; docs/json.md has the rule."""
    return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), value.encode())


class Result:
    """How a run of the tool ended, and what it said."""

    def __init__(self, words, code, out, err):
        self.words, self.code, self.out, self.err = words, code, out, err

    @property
    def rows(self):
        return json.loads(self.out)

    def __str__(self):
        return (f"{' '.join(self.words)}\nexit {self.code}\n--- stdout\n"
                f"{shorten(text_of(self.out))}\n--- stderr\n{shorten(self.err)}")


def run(*args, env=None, limit=RUN_LIMIT, **options):
    """Run the tool with these arguments to its end. stdout stays bytes, stderr becomes text."""
    words = [SONDE, *map(str, args)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=limit, check=False,
                          env=dict(os.environ, **env) if env else None, **options)
    return Result(words, done.returncode, done.stdout, text_of(done.stderr))


def stats(result, space):
    """{"trips", "pieces", "bytes"} of a space, from what --stats said."""
    found = re.search(r"stats: %s: (\d+) round trips, (\d+) pieces, (\d+) bytes" % space,
                      result.err)
    if not found:
        raise AssertionError(f"no statistics of '{space}'\n{result}")
    return dict(zip(("trips", "pieces", "bytes"), map(int, found.groups())))


class View:
    """What the tool says of @target, each list asked for once and kept."""

    def __init__(self, target, options=()):
        self.target, self.options, self.kept = target, tuple(options), {}

    def run(self, *args):
        return run(*args)

    def ask(self, command, *args):
        key = (command, *args)
        if key not in self.kept:
            self.kept[key] = self.run(command, self.target, *args, *self.options, "--json")
        return self.kept[key]

    def rows(self, command, *args):
        """Its rows, when it ended well and had nothing to complain about."""
        result = self.ask(command, *args)
        if result.code or result.err:
            raise AssertionError(str(result))
        return result.rows

    def info(self):
        return self.rows("info")[0]


class Guest:
    """A guest of the lab, booted when it is made."""

    def __init__(self, name, **options):
        self.name = name
        self.state = lab.boot(name, dir=FOLDER, **options)
        self.truths = [self.load()]

    def load(self):
        return lab.load_truth(self.name, FOLDER)

    def tell(self):
        """Ask for its truth once more."""
        lab.truth(self.name, FOLDER)
        self.truths.append(self.load())
        return self.truths[-1]

    @property
    def truth(self):
        return self.truths[-1]

    def role(self, role):
        """Pid of a member of the lab's zoo."""
        pid = self.truth["zoo"].get(role, 0)
        if not pid:
            raise unittest.SkipTest(f"the guest could not set up '{role}'")
        return pid

    def dump(self, leaf, format="elf"):
        path = os.path.join(FOLDER, leaf)
        lab.dump(self.name, path, format, dir=FOLDER)
        return path

    def reboot(self):
        lab.reboot(self.name, FOLDER)
        self.truths = [self.load()]

    def pause(self):
        lab.pause(self.name, FOLDER)

    def resume(self):
        lab.resume(self.name, FOLDER)

    def stop(self):
        lab.stop(self.name, FOLDER)

    @property
    def pid(self):
        return self.state["pid"]

    @property
    def qmp(self):
        return self.state["qmp"]

    @property
    def memory_file(self):
        return self.state["mem_file"]

    def target(self, extra=""):
        """By its socket: unlike its name, no guest of somebody else's has it too."""
        return f"qemu:{self.qmp}{extra}"


def need_lab(suite=lab.DEFAULT_SUITE, arch=lab.DEFAULT_ARCH, flavour=None):
    """Skip where there is no QEMU, or no kernel in the cache and none to be fetched."""
    try:
        lab.qemu_program(arch)
        lab.fetch(suite, arch, flavour)
    except lab.LabError as err:
        raise unittest.SkipTest(str(err)) from err


def boot(name, suite=lab.DEFAULT_SUITE, arch=lab.DEFAULT_ARCH, flavour=None, **options):
    """A guest; the test is skipped where the lab cannot run at all."""
    need_lab(suite, arch, flavour)
    try:
        return Guest(name, suite=suite, arch=arch, flavour=flavour, **options)
    except lab.Skip as err:
        raise unittest.SkipTest(str(err)) from err


@functools.lru_cache(maxsize=None)
def tool_for_all():
    """(path, environment) of a copy of the tool that everybody may run: a clone often lies in root's own folder."""
    folder = tempfile.mkdtemp(prefix="sonde-tool-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.chmod(folder, 0o755)
    plugins = os.path.join(folder, "plugins")
    os.mkdir(plugins)
    for path in os.environ["SONDE_PLUGIN_PATH"].split(":"):
        for leaf in os.listdir(path):
            if leaf.endswith(".so"):
                shutil.copy(os.path.join(path, leaf), plugins)
    libraries = subprocess.run(["ldd", SONDE], stdout=subprocess.PIPE, check=True, text=True).stdout
    shutil.copy(re.search(r"libsonde\S+ => (\S+)", libraries)[1], folder)
    return shutil.copy(SONDE, folder), {"LD_LIBRARY_PATH": folder, "SONDE_PLUGIN_PATH": plugins}


def kill_whole(pid, limit=30):
    """SIGKILL, and wait until the memory is gone, for kill(2) does not."""
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        try:
            with open(f"/proc/{pid}/maps", "rb") as maps:
                if not maps.read(1):
                    return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.005)
    raise TimeoutError(f"process {pid} was killed and has not ended within {limit} seconds")


class Case(unittest.TestCase):
    maxDiff = 4000
    longMessage = True

    def expect(self, result, code, *parts):
        """The exit code, and all of these parts in what it said on stderr."""
        self.assertEqual(result.code, code, str(result))
        for part in parts:
            self.assertIn(part, result.err, str(result))
        for line in result.err.splitlines():
            self.assertRegex(line, r"\Asonde: ", str(result))
        return result

    def expect_partial(self, result, *parts):
        """Exit code 3, with a reason: something was printed, and something is missing."""
        self.assertNotEqual(result.err, "", str(result))
        return self.expect(result, 3, *parts)

    def as_nobody(self, *words):
        """The exit code and all that was said."""
        if not shutil.which("setpriv"):
            self.skipTest("no setpriv (Debian package util-linux)")
        nobody, (tool, env) = pwd.getpwnam("nobody"), tool_for_all()
        command = ["setpriv", "--reuid", str(nobody.pw_uid), "--regid",
                   str(nobody.pw_gid), "--clear-groups", tool, *map(str, words)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd="/",
                              stderr=subprocess.PIPE, timeout=RUN_LIMIT, check=False,
                              env=dict(os.environ, **env))
        return done.returncode, text_of(done.stdout), text_of(done.stderr)
