# SPDX-License-Identifier: MIT
"""
LiME, the kernel module that writes a guest's memory from inside: Debian's source of it, built for a kernel of the lab.

Its image goes to a disk of the guest's, which is a file here.
"""
import os
import re
import shutil
import subprocess

import lab

SOURCE = "lime-forensics-dkms"
DISK_DRIVER = "virtio_blk"


def needed(deb):
    """What headers of one flavour need: those of all flavours, and what builds with them."""
    depends = subprocess.run(["dpkg-deb", "-f", deb, "Depends"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"linux-headers-\S+-common|linux-kbuild-[\w.]+", depends)


def download(info, folder):
    env = lab.apt_update(folder, info["suite"], info["arch"])
    first = [lab.apt_download(name, env, folder, info["suite"]) for name in (SOURCE, "linux-headers-" + info["release"])]
    return first + [lab.apt_download(name, env, folder, info["suite"]) for name in needed(first[1])]


def build(info, folder):
    """The module's path. Headers find each other by where they are installed, which is here."""
    debs = os.path.join(folder, "apt")
    os.makedirs(debs)
    for deb in download(info, debs):
        lab.unpack(deb, folder)
    source = os.path.join(folder, "usr", "src")
    headers = os.path.join(source, "linux-headers-" + info["release"])
    makefile = os.path.join(headers, "Makefile")
    with open(makefile, encoding="utf-8") as file:
        text = file.read()
    with open(makefile, "w", encoding="utf-8") as file:
        file.write(text.replace("/usr/src/", source + "/"))
    module, = (name for name in os.listdir(source) if name.startswith("lime-forensics-"))
    done = subprocess.run(["make", "-C", headers, "M=" + os.path.join(source, module), "modules"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if done.returncode:
        lab.fail(module, "cannot be built for %s: %s" % (info["release"], done.stdout[-600:]), "see what the compiler says")
    return os.path.join(source, module, "lime.ko")


def module(info):
    """The bytes of lime.ko for the kernel @info, from the cache where it was built before."""
    path = os.path.join(info["dir"], "lime.ko")
    with lab.locked(os.path.join(info["dir"], ".lock")):
        if not os.path.exists(path):
            folder = os.path.join(info["dir"], "lime.part")
            shutil.rmtree(folder, ignore_errors=True)
            try:
                shutil.copyfile(build(info, folder), path + ".part")
                os.rename(path + ".part", path)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return lab.read_bytes(path)


def write_archive(info, path):
    """What a guest needs beside its own files: the module, and the driver of the disk."""
    driver = lab.find_modules(info["modules"])[lab.module_key(DISK_DRIVER)]
    cpio = lab.Cpio()
    cpio.add("lime", 0o040755)
    cpio.add("lime/lime.ko", 0o100644, module(info))
    cpio.add("lime/disk.ko", 0o100644, lab.read_module(driver))
    with open(path, "wb") as file:
        file.write(cpio.finish())


def start_with_disk(path, size):
    """What boot's start is to be for a guest with a disk in the file @path, of @size bytes."""
    def start(guest, info, opts):
        with open(path, "wb") as file:
            file.truncate(size)
        return lab.run_qemu(guest, lab.qemu_argv(guest, info, opts)
                            + ["-drive", "file=%s,format=raw,if=virtio,cache=writeback" % path])
    return start


def write(name, folder, format):
    """Have the guest @name write its memory to its disk, in LiME's @format: lime, padded, raw; returns who did it, a pid."""
    def ask(*words):
        return lab.run(name, ("/bin/busybox",) + words, timeout=300, dir=folder)

    ask("insmod", "/lime/disk.ko")  # it may be there from the time before
    done = ask("insmod", "/lime/lime.ko", "path=/dev/vda", "format=" + format, "timeout=0")
    if done.code:
        lab.fail(name, "LiME: " + done.err.decode(errors="replace"), "see its log")
    ask("rmmod", "lime")
    ask("sync")
    return done.pid
