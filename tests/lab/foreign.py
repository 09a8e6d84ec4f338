# SPDX-License-Identifier: MIT
"""Guests of every architecture and kind of page tables: boot; lab.py ends them.

They tell no truth: busybox runs a few processes, so that there is user space, and QEMU's monitor is
what their page tables are compared with. Everything that is not particular to them is lab.py's.

Use it as a module: foreign.boot("x", "arm64"); KINDS has what there is.
"""

import collections
import hashlib
import os
import time

import lab

# suite, arch, flavour: the kernel. ram: where it begins in the guest's physical memory.
Kind = collections.namedtuple("Kind", "suite arch flavour machine cpu console append ram")
RISCV = ("trixie", "riscv64", "riscv64", "virt", "rv64", "ttyS0")
KINDS = {
    "amd64": Kind("bookworm", "amd64", "cloud-amd64", "q35", lab.DEFAULT_CPU, "ttyS0", "pti=on", 0),
    "amd64-la57": Kind("trixie", "amd64", "cloud-amd64", "q35", lab.LA57_CPU, "ttyS0", "", 0),
    "i386": Kind("bookworm", "i386", "686", "q35", "qemu32", "ttyS0", "", 0),
    "i386-pae": Kind("bookworm", "i386", "686-pae", "q35", "qemu64", "ttyS0", "", 0),
    "arm64": Kind("bookworm", "arm64", "cloud-arm64", "virt", "cortex-a57", "ttyAMA0", "", 1 << 30),
    "arm64-16k": Kind("trixie", "arm64", "arm64-16k", "virt", "max", "ttyAMA0", "", 1 << 30),
    "riscv64-sv39": Kind(*RISCV, "no4lvl", 2 << 30),
    "riscv64-sv48": Kind(*RISCV, "no5lvl", 2 << 30),
    "riscv64-sv57": Kind(*RISCV, "", 2 << 30),
}
READY = b"sonde-lab: ready"

# Turns of work in user space, of work in the kernel for a process with large pages, and of rest.
INIT = b"""#!/bin/busybox sh
export PATH=/bin
busybox mount -t proc proc /proc
busybox mount -t devtmpfs dev /dev
busybox --install -s /bin
sleep 1000000 &
dd if=/dev/zero bs=16M count=1 | sleep 1000000 &
turns() {
	while :; do
		i=0
		while [ $i -lt 4000 ]; do i=$((i + 1)); done
		dd if=/dev/zero of=/dev/null bs=8M count=12
		sleep 0.15
	done
}
turns 2>/dev/null &
echo sonde-lab: ready >/dev/console
while :; do sleep 1000000; done
"""


def initramfs(info):
    """Path of the initramfs for the kernel @info."""
    digest = hashlib.sha256(INIT + lab.BUILD_VERSION.encode()).hexdigest()
    path = os.path.join(info["dir"], "initramfs-%s.cpio" % digest[:16])
    with lab.locked(os.path.join(info["dir"], ".lock")):
        if os.path.exists(path):
            os.utime(path)
        else:
            lab.prune_initramfs(info["dir"])
            with open(path + ".part", "wb") as out:
                out.write(lab.user_space(info, INIT).finish())
            os.rename(path + ".part", path)
    return path


def qemu_argv(guest, info, kind, mem):
    return [
        lab.qemu_program(kind.arch), "-name", guest.name, "-accel", "tcg",
        "-machine", kind.machine + ",memory-backend=mem", "-cpu", kind.cpu, "-m", str(mem),
        "-object", "memory-backend-file,id=mem,size=%dM,mem-path=%s,share=on"
        % (mem, guest.path("mem")),
        "-display", "none", "-no-user-config", "-nic", "none",
        "-kernel", info["kernel"], "-initrd", initramfs(info),
        "-append", "console=%s quiet %s" % (kind.console, kind.append),
        "-chardev", "file,id=console,path=%s" % guest.path("log"), "-serial", "chardev:console",
        "-qmp", "unix:%s,server=on,wait=off" % guest.path("qmp.sock"),
        "-qmp", "unix:%s,server=on,wait=off" % guest.path("control.sock"),
        "-pidfile", guest.path("pid"), "-daemonize",
    ]


def wait_ready(guest, state, timeout):
    limit = time.monotonic() + timeout
    while time.monotonic() < limit:
        if READY in lab.read_bytes(guest.path("log")):
            return
        if not lab.is_same_process(state["pid"], state["pid_start"]):
            lab.fail(guest.name, "QEMU died while the guest booted%s" % lab.log_tail(guest),
                     "see the log, then boot again")
        if "Kernel panic" in lab.log_tail(guest, 60):
            lab.fail(guest.name, "the guest's kernel panicked%s" % lab.log_tail(guest, 30),
                     "see the log")
        time.sleep(0.05)
    lab.fail(guest.name, "the guest was not ready within %d s%s" % (timeout, lab.log_tail(guest)),
             "see the log; a busy machine may need more time")


def boot(name, kind, dir=None, mem=256, timeout=120):
    """Boot a guest of @kind and wait until its processes run; returns the summary. lab.stop ends it."""
    guest = lab.Guest(name, dir)
    one = KINDS[kind]
    info = lab.fetch(one.suite, one.arch, one.flavour)
    opts = {"mem": mem, "share": True, "keep_mem": False, "kind": kind}
    lab.check_socket_paths(guest)
    lab.make_guest_dir(guest, dir)
    with guest.locked():
        if guest.running() or guest.orphan():
            lab.fail(name, "is already running", "stop it with 'lab.py stop %s'" % name)
        lab.prepare_dir(guest, opts)
        lab.check_room(guest, opts)
        begin = time.monotonic()
        pid = lab.run_qemu(guest, qemu_argv(guest, info, one, mem))
        state = lab.note_state(guest, info, opts, pid)
        try:
            wait_ready(guest, state, timeout)
        except BaseException:
            lab.kill_qemu(guest, state)
            lab.remove_runtime_files(guest, keep_mem=False)
            raise
        state["boot_seconds"] = round(time.monotonic() - begin, 2)
        guest.save(state)
    return lab.summary(state)
