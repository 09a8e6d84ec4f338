# SPDX-License-Identifier: MIT
"""Bare QEMU machines: no kernel, only RAM with a known pattern in it. argv: the tool, the library."""
import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import library as lib

QEMU = shutil.which("qemu-system-x86_64")
SONDE = sys.argv[1]
lib.PATH = os.path.abspath(sys.argv[2])
AT = 0x200000  # where the pattern lies
PATTERN = bytes((i * 7 + i // 256) & 0xFF for i in range(65536))
MACHINE = ("-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg", "-m", "64")
PRIVATE = ("-machine", "q35")
SHARED = ("-machine", "q35,memory-backend=m", "-object", "memory-backend-memfd,id=m,size=64M,share=on")
PAUSED = ("-S",)
MONITORS = itertools.count()


def run(*args):
    """The tool's exit code, output and errors."""
    done = subprocess.run([SONDE, *args], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def read(target, addr=AT, length=len(PATTERN)):
    """Bytes of a target as they are, and what was said of them."""
    done = subprocess.run([SONDE, "read", "--raw", target, hex(addr), str(length)], capture_output=True,
                          timeout=60, check=False)
    return done.stdout, done.stderr.decode()


class Guest:
    """A QEMU with the pattern in its RAM, alive until the end of the block."""

    def __init__(self, folder, name, *args, qmp=True, loaded=True, pattern=PATTERN):
        self.name, self.folder = name, folder
        self.socket = os.path.join(folder, name + ".qmp")
        self.monitor = os.path.join(folder, f"{next(MONITORS)}.hmp")  # twins share a name
        image = os.path.join(folder, "pattern")
        with open(image, "wb") as file:
            file.write(pattern)
        words = [QEMU, "-name", f"guest={name},debug-threads=on", *MACHINE, *args]
        words += ["-monitor", f"unix:{self.monitor},server=on,wait=off"]
        if loaded:
            words += ["-device", f"loader,file={image},addr={AT},force-raw=on"]
        if qmp:
            words += ["-qmp", f"unix:{self.socket},server=on,wait=off"]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, cwd=folder)
        self.pid = self.process.pid
        self.await_ready()

    def await_ready(self):
        """Until the human monitor prompts: then the machine is made and its RAM is loaded."""
        until = time.monotonic() + 30
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect(self.monitor)
                heard = b""
                while b"(qemu)" not in heard:
                    more = client.recv(4096)
                    if not more:
                        break
                    heard += more
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.name}: QEMU did not come up")

    def ask(self, *commands):
        """Run QMP commands, each a name or (name, arguments); the last answer."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(self.socket)
            lines = client.makefile("rw")
            lines.readline()
            for command in ("qmp_capabilities", *commands):
                name, arguments = (command, {}) if isinstance(command, str) else command
                lines.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
                lines.flush()
                answer = json.loads(lines.readline())
                while "event" in answer:
                    answer = json.loads(lines.readline())
                if "error" in answer:
                    raise RuntimeError(f"{self.name}: {command}: {answer['error']}")
            return answer["return"]

    def migrate(self, path):
        """To the QEMU that listens on path, all the way."""
        self.ask(("migrate", {"uri": "unix:" + path}))
        until = time.monotonic() + 60
        while (status := self.ask("query-migrate")["status"]) != "completed":
            if status == "failed" or time.monotonic() > until:
                raise RuntimeError(f"{self.name}: migration: {status}")
            time.sleep(0.02)

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sonde-qemu-")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def guest(self, name, *args, **options):
        guest = Guest(self.folder, f"{name}-{os.getpid()}", *args, **options)
        self.addCleanup(guest.end)
        return guest

    def expect_pattern(self, target):
        data, err = read(target)
        self.assertEqual(data, PATTERN, err)


def main():
    if not QEMU:
        print("SKIP: no qemu-system-x86_64 on this machine")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
