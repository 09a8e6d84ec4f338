#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Events a second of a guest: events.py BUILD_FOLDER [COUNT [ARCH]]

Boots a guest of the lab (amd64, arm64), has a process of it open COUNT files (3000), and looks at each call of do_sys_openat2

    floor   by a loop that does nothing else: wait for the stop, step past the breakpoint, continue
    bare    by sonde trace: who calls
    args    by sonde trace --args: with what, strings read from the caller's memory
    probes  by sonde trace --args --write: the guest notes its calls itself

and how long it takes when nobody looks. Prints the rate of each. Needs what tests/lab needs.
"""
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tests", "lab"))
import lab  # noqa: E402

FUNCTION = "do_sys_openat2"


class Stub:
    """The least that a client of GDB's protocol can be."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.text = b""
        self.send(b"qSupported")
        while not self.answer().startswith(b"PacketSize"):
            pass  # to connect is to stop the guest, which is told or not

    def send(self, data):
        self.sock.sendall(b"$%s#%02x" % (data, sum(data) & 255))

    def answer(self):
        while True:
            match = re.match(rb"\+*\$([^#]*)#..", self.text)
            if match:
                self.text = self.text[match.end():]
                return match[1]
            got = self.sock.recv(65536)
            if not got:
                raise ConnectionError("the stub has hung up")
            self.text += got

    def ask(self, data):
        self.send(data)
        return self.answer()


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    return thread


class Bench:
    def __init__(self, build, count, arch):
        self.sonde = os.path.join(build, "tools", "sonde", "sonde")
        with open(os.path.join(build, "plugin-path"), encoding="utf-8") as file:
            os.environ["SONDE_PLUGIN_PATH"] = file.read()
        self.count = count
        self.folder = tempfile.mkdtemp(prefix="sonde-events-")
        self.qmp = lab.boot("events", dir=self.folder, arch=arch)["qmp"]
        self.break_len = 1 if arch == "amd64" else 4

    def opens(self):
        lab.opens("events", self.count, self.folder)

    def monitor(self, line):
        with lab.control(lab.Guest("events", self.folder)) as control:
            return control.command("human-monitor-command", **{"command-line": line})

    def alone(self):
        began = time.monotonic()
        self.opens()
        return time.monotonic() - began

    def address(self):
        done = subprocess.run([self.sonde, "sym", f"qemu:{self.qmp}", FUNCTION, "--csv", "--no-header", "-f", "addr"],
                              capture_output=True, text=True, check=True)
        return int(done.stdout, 16)

    def floor(self):
        path = os.path.join(self.folder, "stub")
        address = self.address()
        self.monitor(f"gdbserver unix:{path},server=on,wait=off")
        stub = Stub(path)
        stub.ask(b"?")
        stub.ask(b"Z0,%x,%x" % (address, self.break_len))
        stub.send(b"c")
        opener = in_thread(self.opens)
        stub.answer()
        began = time.monotonic()
        for _ in range(self.count - 1):
            stub.ask(b"vCont;s:1")
            stub.ask(b"c")
        seconds = time.monotonic() - began
        stub.ask(b"D")
        opener.join()
        self.monitor("gdbserver none")
        return (self.count - 1) / seconds

    def trace(self, *options):
        words = [self.sonde, "trace", f"qemu:{self.qmp}", FUNCTION, "-n", str(self.count), "--json", "-v", *options]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tool:
            while not re.search("breakpoints are set|probes are set", line := tool.stderr.readline()):
                if not line:
                    raise RuntimeError("sonde trace has ended")
            opener = in_thread(self.opens)
            times = [int(at) for at in re.findall(r'"time_ns": ?(\d+)', tool.stdout.read())]
            opener.join()
        return (len(times) - 1) / ((times[-1] - times[0]) / 1e9)


def main():
    if not 2 <= len(sys.argv) <= 4:
        sys.exit(__doc__)
    bench = Bench(sys.argv[1], int((sys.argv[2:] or [3000])[0]), (sys.argv[3:] or ["amd64"])[0])
    try:
        print(f"alone  {bench.count / bench.alone():8.0f} calls a second, nobody looking")
        for name, measure in (("floor", bench.floor), ("bare", bench.trace), ("args", lambda: bench.trace("--args")),
                              ("probes", lambda: bench.trace("--args", "--write"))):
            print(f"{name:6} {measure():8.0f} events a second", flush=True)
    except lab.Skip as reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    finally:
        lab.stop_all(bench.folder)


if __name__ == "__main__":
    main()
