# SPDX-License-Identifier: MIT
"""
QEMU's own view of a guest: its monitor, asked many things at once, and registers of the processor.

Monitor    the human monitor through QMP
registers  what the monitor's "info registers" leaves out, through QEMU's gdb stub
"""
import contextlib
import json
import os
import re
import socket
import tempfile

from harness import lab

IN_FLIGHT = 400  # QEMU stops to read when it has enough; neither side's socket may fill up


class Monitor(lab.Qmp):
    def __init__(self, who, path):
        super().__init__(who, path, timeout=60.0)

    def say(self, line):
        return self.command("human-monitor-command", timeout=60.0, **{"command-line": line})

    def say_all(self, lines):
        """The answers to all of these, in order; they do not wait for each other."""
        lines, answers = list(lines), []
        self.sock.settimeout(60.0)
        for first in range(0, len(lines), IN_FLIGHT):
            some = lines[first:first + IN_FLIGHT]
            self.sock.sendall(b"".join(
                json.dumps({"execute": "human-monitor-command",
                            "arguments": {"command-line": line}}).encode() + b"\n"
                for line in some))
            while len(answers) < first + len(some):
                reply = self.receive()
                if "error" in reply:
                    raise lab.LabError(f"{self.who}: {reply['error']}")
                if "return" in reply:
                    answers.append(reply["return"])
        return answers

    def stop(self):
        self.command("stop")

    def resume(self):
        self.command("cont")

    @contextlib.contextmanager
    def gdb(self):
        """A connection to the gdb stub; the guest has to be stopped, and stays it."""
        folder = tempfile.mkdtemp(prefix="sonde-gdb-")
        path = os.path.join(folder, "s")
        self.say(f"gdbserver unix:{path},server=on,wait=off")
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(20)
                sock.connect(path)
                yield Gdb(sock)
        finally:
            self.say("gdbserver none")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            os.rmdir(folder)


class Gdb:
    """As much of the remote protocol as reading a register by its name needs (gdb manual, E)."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""
        self.ask("qSupported:multiprocess+;xmlRegisters=i386,arm,riscv")

    def ask(self, text):
        data = text.encode()
        self.sock.sendall(b"$%s#%02x" % (data, sum(data) & 255))
        while True:
            found = re.search(rb"\$([^#]*)#..", self.buffer, re.S)
            if found:
                self.buffer = self.buffer[found.end():]
                self.sock.sendall(b"+")
                return re.sub(rb"\}(.)", lambda m: bytes([m[1][0] ^ 32]), found[1], flags=re.S)
            data = self.sock.recv(65536)
            if not data:
                raise lab.LabError("the gdb stub went away")
            self.buffer += data

    def document(self, name):
        text = b""
        while True:
            part = self.ask(f"qXfer:features:read:{name}:{len(text):x},ffb")
            text += part[1:]
            if part[:1] != b"m":
                return text.decode()

    def numbers(self):
        """{name: number}: in the order of the documents, where they do not say it."""
        found, number = {}, 0
        for name in re.findall(r'<xi:include href="([^"]+)"', self.document("target.xml")):
            for attributes in re.findall(r"<reg ([^>]*)>", self.document(name)):
                one = dict(re.findall(r'(\w+)="([^"]*)"', attributes))
                number = int(one.get("regnum", number))
                found[one["name"]] = number
                number += 1
        return found

    def register(self, number):
        value = self.ask(f"p{number:x}").decode()
        if not re.fullmatch(r"([0-9a-f]{2})+", value):
            raise lab.LabError(f"the gdb stub does not tell register {number}: {value!r}")
        return int.from_bytes(bytes.fromhex(value), "little")


def registers(monitor, *names):
    """{name: value}"""
    with monitor.gdb() as gdb:
        numbers = gdb.numbers()
        missing = [n for n in names if n not in numbers]
        if missing:
            raise lab.LabError(f"the gdb stub has no register {missing} among {sorted(numbers)}")
        return {n: gdb.register(numbers[n]) for n in names}
