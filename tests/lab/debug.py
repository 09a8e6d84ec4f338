# SPDX-License-Identifier: MIT
"""
The debug symbols of a kernel of the lab, for programs that find nothing without them.

Debian's package has 280 MB; vmlinux is kept of it, 590 MB in the cache.
"""
import os
import shutil
import subprocess

import lab


def take_vmlinux(deb, into):
    """The package has the modules' symbols too, ten times as much."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as packed:
        done = subprocess.run(["tar", "-x", "-C", into, "--wildcards", "./usr/lib/debug/boot/vmlinux-*"], stdin=packed.stdout,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        packed.stdout.close()
    release = os.path.basename(deb).partition("_")[0][len("linux-image-"):-len("-dbg")]
    path = lab.find_file(into, "boot/vmlinux-" + release)
    if done.returncode or packed.returncode or not path:
        lab.fail(deb, "cannot be unpacked: %s" % done.stdout.strip(), "check the free space in the cache")
    return path


def vmlinux(info):
    """The path of vmlinux of the kernel @info, in the cache."""
    path = os.path.join(info["dir"], "vmlinux-" + info["release"])
    with lab.locked(os.path.join(info["dir"], ".lock")):
        if not os.path.exists(path):
            folder = os.path.join(info["dir"], "debug.part")
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
            try:
                env = lab.apt_update(folder, info["suite"], info["arch"])
                deb = lab.apt_download("linux-image-%s-dbg" % info["release"], env, folder, info["suite"])
                os.rename(take_vmlinux(deb, folder), path)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return path
