# SPDX-License-Identifier: MIT
"""
A libvirtd of our own, and guests of the lab as its domains.

It runs in session mode, with all of its folders in one of ours, and never sees the machine's: where
the tests run as root it is started as nobody, because root's libvirtd would use /etc and /run.
"""
import atexit
import contextlib
import functools
import os
import pwd
import shutil
import signal
import subprocess
import time
import unittest
from xml.sax.saxutils import escape

import harness
from harness import FOLDER, Guest, free_port, need_lab, lab

START_LIMIT = 30  # seconds for libvirtd to listen
PROGRAMS = {"libvirtd": "libvirt-daemon", "virsh": "libvirt-clients"}

XML = """
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <memory unit='MiB'>{mem}</memory>
  {backing}
  <vcpu>{smp}</vcpu>
  {cpu}
  <os>
    <type arch='{arch}' machine='{machine}'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>{cmdline}</cmdline>
  </os>
  <features>{acpi}<vmcoreinfo state='on'/></features>
  <devices>
    <emulator>{emulator}</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <serial type='file'><source path='{log}'/><target port='0'/></serial>
    <serial type='unix'><source mode='bind' path='{serial}'/><target {line} port='1'/></serial>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-qmp'/><qemu:arg value='unix:{qmp},server=on,wait=off'/>
    <qemu:arg value='-qmp'/><qemu:arg value='unix:{control},server=on,wait=off'/>
  </qemu:commandline>
</domain>
"""
BARE = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>64</memory>
  {backing}
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <emulator>{emulator}</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
"""
# What libvirt calls the machines of the lab. An arm64 machine has one serial line, the other is a card; ACPI needs firmware there.
KINDS = {
    "amd64": {"arch": "x86_64", "machine": "q35", "acpi": "<acpi/>", "line": "", "model": None},
    "arm64": {"arch": "aarch64", "machine": "virt", "acpi": "", "line": "type='pci-serial'", "model": "cortex-a57"},
}
SHARED = "<memoryBacking><source type='file'/><access mode='shared'/></memoryBacking>"


def need_libvirt():
    """Skip where there is no libvirtd or no connector."""
    for program, package in PROGRAMS.items():
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            raise unittest.SkipTest(f"no {program} (Debian package {package})")
    if b"libvirt" not in harness.run("plugins").out:
        raise unittest.SkipTest("built without the libvirt connector")


class Libvirtd:
    """A daemon that runs until it is stopped. @saves: how it packs guests that it saves, by that program."""

    def __init__(self, leaf="libvirt", saves="raw", arches=(lab.DEFAULT_ARCH,)):
        for arch in arches:
            need_lab(arch=arch)
        need_libvirt()
        self.saves, self.arches = saves, arches
        self.folder = os.path.join(FOLDER, leaf)
        self.socket = os.path.join(self.folder, "run", "libvirt", "libvirt-sock")
        self.port = free_port()
        self.user = pwd.getpwnam("nobody") if os.getuid() == 0 else None
        self.make_folders()
        self.start()

    @property
    def uri(self):
        return f"qemu+unix:///session?socket={self.socket}"

    @property
    def far_uri(self):
        """The same as a client elsewhere has it."""
        return f"qemu+tcp://127.0.0.1:{self.port}/session"

    def make_folders(self):
        os.chmod(FOLDER, 0o711)  # for somebody else to reach what lies in it
        config = os.path.join(self.folder, "config", "libvirt")
        os.makedirs(config)
        with open(os.path.join(config, "qemu.conf"), "w", encoding="ascii") as file:
            file.write('stdio_handler = "file"\nmax_core = 0\n'  # no virtlogd
                       f'save_image_format = "{self.saves}"\n')
        with open(os.path.join(self.folder, "libvirtd.conf"), "w", encoding="ascii") as file:
            file.write('auth_unix_rw = "none"\nauth_tcp = "none"\nlisten_tls = 0\nlisten_tcp = 1\n'
                       f'listen_addr = "127.0.0.1"\ntcp_port = "{self.port}"\n')
        for name in ("run", "cache", "data", "bin"):
            os.mkdir(os.path.join(self.folder, name))
        # It asks each QEMU that it finds for all it can do, and a machine may have thirty.
        emulators = [lab.qemu_program(arch) for arch in self.arches]
        for program in filter(None, (*emulators, shutil.which(self.saves))):
            os.symlink(program, os.path.join(self.folder, "bin", os.path.basename(program)))
        self.give(self.folder)

    def give(self, path):
        """Let the daemon's user own all of @path."""
        if not self.user:
            return
        for root, _, files in os.walk(path):
            for name in ("", *files):
                os.chown(os.path.join(root, name), self.user.pw_uid, self.user.pw_gid,
                         follow_symlinks=False)

    def start(self):
        words = [shutil.which("libvirtd", path="/usr/sbin:/sbin:" + os.environ["PATH"]),
                 "--listen", "-f", os.path.join(self.folder, "libvirtd.conf"),
                 "-p", os.path.join(self.folder, "run", "libvirtd.pid")]
        if self.user:
            words = [shutil.which("setpriv"), "--reuid", str(self.user.pw_uid), "--regid",
                     str(self.user.pw_gid), "--clear-groups", *words]
        env = dict(os.environ, HOME=self.folder, PATH=os.path.join(self.folder, "bin"))
        for name in ("config", "cache", "data"):
            env[f"XDG_{name.upper()}_HOME"] = os.path.join(self.folder, name)
        env["XDG_RUNTIME_DIR"] = os.path.join(self.folder, "run")
        self.log = open(os.path.join(self.folder, "log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, env=env, cwd=self.folder)
        until = time.monotonic() + START_LIMIT
        while self.virsh("version", check=False) is None:
            if self.process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise unittest.SkipTest("libvirtd does not run here: " + self.said())
            time.sleep(0.1)

    def said(self):
        self.log.seek(0)
        return self.log.read()[-400:].strip() or "it says nothing"

    def virsh(self, *words, check=True):
        """Its output; None when it failed."""
        done = subprocess.run(["virsh", "-q", "-c", self.uri, *words], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60, check=False)
        if done.returncode and check:
            raise AssertionError(f"virsh {' '.join(words)}: {done.stderr}")
        return None if done.returncode else done.stdout

    def end_domains(self):
        for name in (self.virsh("list", "--name", check=False) or "").split():
            self.virsh("destroy", name, check=False)

    def stop(self):
        if self.process.poll() is None:
            self.end_domains()
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@functools.lru_cache(maxsize=None)
def daemon():
    """The one that several tests share."""
    libvirtd = Libvirtd()
    atexit.register(libvirtd.stop)
    return libvirtd


def processors(model, opts):
    """Their model, and the nodes: a processor and a part of the memory each."""
    words = ["<cpu mode='custom' match='exact' check='none'><model>%s</model>" % model if model else "<cpu>"]
    if opts["numa"]:
        words.append("<numa>")
        words += ["<cell id='%d' cpus='%d' memory='%d' unit='MiB'%s/>"
                  % (node, node, opts["mem"] // opts["numa"], " memAccess='shared'" if opts["share"] else "")
                  for node in range(opts["numa"])]
        words.append("</numa>")
    return "".join(words) + "</cpu>" if len(words) > 1 or model else ""


class Defined:
    """What is known to @self.daemon as @self.name."""

    def define(self, xml):
        path = os.path.join(self.daemon.folder, self.name + ".xml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(xml)
        self.daemon.virsh("define", path)
        self.daemon.virsh("start", self.name)

    def forget(self):
        self.daemon.virsh("destroy", self.name, check=False)
        self.daemon.virsh("undefine", self.name, check=False)

    def running_pid(self):
        path = os.path.join(self.daemon.folder, "run", "libvirt", "qemu", "run", self.name + ".pid")
        with open(path, encoding="ascii") as file:
            return int(file.read())

    def virsh(self, command, *words):
        return self.daemon.virsh(command, self.name, *words)

    @property
    def uuid(self):
        return self.virsh("domuuid").strip()

    def target(self, extra=""):
        return f"libvirt:{self.daemon.uri}!{self.name}{extra}"


class BareDomain(Defined):
    """A machine with firmware and no guest, for what takes none: it starts in a second."""

    def __init__(self, daemon, name, share=False):
        self.daemon, self.name = daemon, name
        self.define(BARE.format(name=name, emulator=lab.qemu_program(lab.DEFAULT_ARCH),
                                backing=SHARED if share else ""))

    @property
    def pid(self):
        return self.running_pid()

    def stop(self):
        self.forget()


class Domain(Defined, Guest):
    """A guest of the lab that this libvirtd runs."""

    def __init__(self, daemon, name, **options):
        self.daemon = daemon
        Guest.__init__(self, name, start=self.start, **options)

    def start(self, guest, info, opts):
        words = lab.qemu_argv(guest, info, opts)
        value = {key: words[words.index(key) + 1] for key in ("-kernel", "-initrd", "-append")}
        for key in ("-kernel", "-initrd"):  # where the daemon's user can read them
            value[key] = shutil.copyfile(value[key], guest.path(key[1:]))
        self.daemon.give(guest.dir)
        kind = KINDS[info["arch"]]
        self.define(XML.format(
            **kind, cpu=processors(kind["model"], opts), name=guest.name, mem=opts["mem"], smp=opts["smp"], emulator=words[0],
            backing=SHARED if opts["share"] else "", kernel=value["-kernel"],
            initrd=value["-initrd"], cmdline=escape(value["-append"]), log=guest.path("log"),
            serial=guest.path("serial.sock"), qmp=guest.path("qmp.sock"),
            control=guest.path("control.sock")))
        return self.running_pid()

    def stop(self):
        self.forget()
        Guest.stop(self)

    def qemu_target(self, extra=""):
        return Guest.target(self, extra)
