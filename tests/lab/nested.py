# SPDX-License-Identifier: MIT
"""
A guest in a guest, TCG in TCG, or KVM in TCG, which has AMD's processors with nested paging: this machine's QEMU, what that needs, and the lab's kernel and programs once more, as files of
the outer guest, which runs them.

The inner guest's serial lines are passed on by lines of the outer one's, so that it tells its truth as any guest does. lab.py
takes it for one whose QEMU is that of the outer guest: who stops or pauses either does it to both.
"""
import glob
import os
import re
import stat
import subprocess

import lab

KERNEL, INITRD = "/nested/kernel", "/nested/initrd"
FIRMWARE = ("bios-256k.bin", "kvmvapic.bin", "linuxboot_dma.bin")  # all that a machine without devices starts from
KVM = "kvm_amd"
ACCELERATORS = "/usr/lib/*/qemu/accel-tcg-x86_64.so"  # Debian's QEMU has TCG there
# Where lines of the inner guest lead: in the outer guest, which has two lines of its own, and in that one's folder here.
LINES = {"console": ("/dev/ttyS2", "inner.log"), "lab": ("/dev/ttyS3", "inner.sock")}


def libraries(program):
    """Paths of what @program is linked with, and of its loader."""
    told = subprocess.run(["ldd", program], stdout=subprocess.PIPE, check=True, text=True).stdout
    return re.findall(r"(/\S+) \(0x", told)


def firmware(program):
    """Paths of FIRMWARE in the folders where @program says that it looks."""
    told = subprocess.run([program, "-L", "help"], stdout=subprocess.PIPE, check=True, text=True).stdout
    for leaf in FIRMWARE:
        found = [path for path in (os.path.join(folder, leaf) for folder in told.split()) if os.path.exists(path)]
        if not found:
            lab.skip(leaf, "file not found", "install it (Debian packages seabios and qemu-system-data)")
        yield os.path.normpath(found[0])


def kernel_modules(info, name):
    """{name: bytes} of the module @name of the kernel @info behind those that it needs."""
    data = lab.read_module(lab.find_modules(info["modules"])[name])
    found = {}
    for other in map(lab.module_key, lab.module_depends(data)):
        found.update(kernel_modules(info, other))
    return {**found, name: data}


def write_archive(info, path):
    """What a guest needs beside its own files to run one with the kernel @info. QEMU finds its files where they are here."""
    program = lab.qemu_program("amd64")
    files = {at: at for at in (program, *libraries(program), *firmware(program), *glob.glob(ACCELERATORS))}
    files.update({KERNEL: info["kernel"], INITRD: lab.initramfs(info)})
    cpio = lab.Cpio()
    for folder in sorted({at[:end] for at in files for end, c in enumerate(at) if c == "/" and end}):
        cpio.add(folder[1:], stat.S_IFDIR | 0o755)
    for at, file in files.items():
        cpio.add(at[1:], stat.S_IFREG | 0o755, lab.read_bytes(file))
    for name, data in kernel_modules(info, KVM).items():
        cpio.add("nested/%s.ko" % name, stat.S_IFREG | 0o644, data)
    with open(path, "wb") as out:
        out.write(cpio.finish())


def start_outer(guest, info, opts):
    """What boot's start is to be for a guest that another is to run in; its extra is that archive."""
    return lab.run_qemu(guest, lab.qemu_argv(guest, info, opts) + [
        "-chardev", "file,id=inner-console,path=" + guest.path(LINES["console"][1]),
        "-chardev", "socket,id=inner-lab,path=%s,server=on,wait=off" % guest.path(LINES["lab"][1]),
        "-device", "pci-serial-2x,chardev1=inner-console,chardev2=inner-lab",
    ])


def load_kvm(outer, info, dir=None):
    """The guest @outer was booted with a processor that has AMD's virtualization ("max")."""
    for name in kernel_modules(info, KVM):
        done = lab.run(outer, ["/bin/busybox", "insmod", "/nested/%s.ko" % name], dir=dir)
        if done.code:
            lab.fail(outer, "%s: %s" % (name, lab.text_of(done.err).strip()), "see its log")


def inner_argv(guest, opts, accel):
    """Of boot's options mem, cpu, machine and append count here. The kernel is not quiet: the end of its log tells how far it came."""
    append = "console=ttyS0 loglevel=6 lab.tty=ttyS1 no_timer_check sonde.lab=" + guest.name
    argv = [
        lab.qemu_program("amd64"), "-name", guest.name, "-accel", accel, "-machine", opts["machine"] or "pc",
        "-cpu", opts["cpu"] or lab.DEFAULT_CPU, "-m", lab.memory_size(opts), "-nodefaults", "-no-user-config",
        "-display", "none", "-kernel", KERNEL, "-initrd", INITRD,
        "-append", " ".join(filter(None, (append, opts["append"]))), "-daemonize",
    ]
    for name, (tty, _) in LINES.items():
        argv += ["-chardev", "serial,id=%s,path=%s" % (name, tty), "-serial", "chardev:" + name]
    return argv


def start_in(outer, dir=None, accel="tcg"):
    """What boot's start is to be for a guest in the guest @outer, which start_outer has started (kvm: load_kvm)."""
    def start(guest, info, opts):
        host = lab.Guest(outer, dir)
        state = host.need_running()
        for own, leaf in (("log", LINES["console"][1]), ("serial.sock", LINES["lab"][1]), ("control.sock", "control.sock")):
            os.symlink(host.path(leaf), guest.path(own))
        done = lab.run(outer, inner_argv(guest, opts, accel), dir=dir)
        if done.code:
            lab.fail(guest.name, "QEMU does not start: %s" % lab.text_of(done.err).strip(), "see its message")
        return state["pid"]
    return start
