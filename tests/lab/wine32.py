# SPDX-License-Identifier: MIT
"""
Wine of 32 bits: programs of Windows for i386, in a tree of its own.

Debian's packages for i386 stay out of the machine's own: they are unpacked in the cache (100 MB to fetch, 580 MB there), of which
a program of a console needs no more than these, and it runs there as in a root directory.
"""
import contextlib
import os
import shutil
import stat
import subprocess
import tempfile

import lab

SUITE = "bookworm"
PACKAGES = ("wine32", "libwine", "libc6", "libgcc-s1", "libunwind8", "liblzma5", "libz-mingw-w64")
LIBRARIES = "usr/lib/i386-linux-gnu/wine"
DEVICES = {"null": (1, 3), "urandom": (1, 9)}
SECONDS = 120  # far above what anything here takes


def fill(tree, apt):
    env = lab.apt_update(apt, SUITE, "i386")
    for package in PACKAGES:
        lab.unpack(lab.apt_download(package, env, apt, SUITE), tree)
    os.makedirs(os.path.join(tree, "dev"))
    os.makedirs(os.path.join(tree, "tmp"))
    for name, number in DEVICES.items():
        os.mknod(os.path.join(tree, "dev", name), stat.S_IFCHR | 0o666, os.makedev(*number))


def tree():
    """Its path."""
    if os.geteuid() != 0:
        lab.skip("wine32", "not root: no program has a root directory of its own", "run this as root")
    root = lab.cache_root()
    os.makedirs(root, exist_ok=True)
    path, part = os.path.join(root, SUITE + "-wine32"), os.path.join(root, SUITE + "-wine32.part")
    with lab.locked(path + ".lock"):
        if not os.path.exists(path):
            shutil.rmtree(part, ignore_errors=True)
            apt = os.path.join(part, "apt")
            try:
                os.makedirs(apt)
                fill(part, apt)
                shutil.rmtree(apt)
                os.rename(part, path)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return path


class Prefix:
    """What Wine takes for a machine: a folder of the tree with its C: drive, a server, and programs."""

    def __init__(self):
        self.tree = tree()
        self.path = tempfile.mkdtemp(prefix="prefix-", dir=os.path.join(self.tree, "tmp"))
        self.system = os.path.join(self.path, "drive_c/windows/system32")
        os.makedirs(self.system)
        # Wine would find it in Debian's folder for it, but not in the one beside its own.
        shutil.copy(os.path.join(self.tree, "usr/i686-w64-mingw32/lib/zlib1.dll"), self.system)
        inside = "/tmp/" + os.path.basename(self.path)
        self.env = {"HOME": inside, "TMPDIR": inside, "WINEPREFIX": inside, "WINEDEBUG": "-all",
                    "WINEDLLOVERRIDES": "winemenubuilder.exe=d", "WINESERVER": "/usr/lib/wine/wineserver32", "WINEDLLPATH": "/" + LIBRARIES}

    def words(self, program, *args):
        return [lab.need_program("chroot", "coreutils"), self.tree, program, *args]

    def run(self, *args):
        """A program, to its end; its output."""
        done = subprocess.run(self.words("/usr/lib/wine/wine", *args), env=self.env, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=SECONDS, check=False)
        return done.stdout

    @contextlib.contextmanager
    def program(self, *args):
        """A program that runs, with its input and output."""
        with subprocess.Popen(self.words("/usr/lib/wine/wine", *args), env=self.env, stdin=subprocess.PIPE, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
            try:
                yield child
            finally:
                child.kill()

    def end(self):
        subprocess.run(self.words("/usr/lib/wine/wineserver32", "-k", "-w"), env=self.env, timeout=SECONDS, check=False)
        shutil.rmtree(self.path)
