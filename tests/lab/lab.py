#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The guest lab: boot a real Linux guest under QEMU, ask it for its own truth, dump it.

Owns the kernel cache, the initramfs, the life of the QEMU process and the parsing of what the
guest tells. Knows nothing of the library that is tested with it. The guest's side is guest/; the
commands, the layout of truth.json and the protocol are in README.md.

Use it as a command (`lab.py boot NAME`) or as a module (`import lab; lab.boot("name")`).
"""

import argparse
import collections
import contextlib
import fcntl
import hashlib
import json
import math
import os
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
SUITES = ("bookworm", "trixie", "bullseye")
# Kernels of each architecture: linux-image-FLAVOUR. The first is fetched where none is named.
FLAVOURS = {
    "amd64": ("cloud-amd64", "amd64"), "i386": ("686", "686-pae"), "arm64": ("cloud-arm64", "arm64-16k"),
    "riscv64": ("riscv64",),
}
# Where guest/ runs; foreign.py boots other architectures too. cc: compiler and package; tty: of the console, of the lab.
Machine = collections.namedtuple("Machine", "machine cc tty serial")
MACHINES = {
    "amd64": Machine("q35", ("cc", "gcc"), ("ttyS0", "ttyS1"), ("-serial", "chardev:lab")),
    "arm64": Machine("virt", ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
                     ("ttyAMA0", "ttyS0"), ("-device", "pci-serial,chardev=lab")),
    "riscv64": Machine("virt", ("riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu"),
                       ("ttyS0", "ttyS1"), ("-device", "pci-serial,chardev=lab")),
}
QEMU_PROGRAMS = {
    "amd64": ("qemu-system-x86_64", "qemu-system-x86"),
    "i386": ("qemu-system-x86_64", "qemu-system-x86"),
    "arm64": ("qemu-system-aarch64", "qemu-system-arm"),
    "riscv64": ("qemu-system-riscv64", "qemu-system-misc"),
}
DEFAULT_SUITE = "bookworm"
DEFAULT_ARCH = "amd64"
BUILD_VERSION = "1"  # raise when the layout of the initramfs changes
PF_KTHREAD = 0x00200000  # linux include/linux/sched.h
PATTERN_MAGIC = 0x534F4E44452D4C41  # guest/zoo.c; word at VA v is PATTERN_MAGIC ^ v
# Where a symbol of the kernel is without KASLR, by machine and size of user addresses in bits. aarch64: _stext lies 64 KiB
# behind KIMAGE_VADDR, linux arch/arm64/include/asm/memory.h of 6.1 (48 bits) and 6.12 (52 bits, pages of 16 KiB). riscv64:
# 8 KiB behind KERNEL_LINK_ADDR, whatever the tables.
UNMOVED = {
    ("x86_64", 47): ("_text", 0xFFFFFFFF81000000), ("x86_64", 56): ("_text", 0xFFFFFFFF81000000),
    ("riscv64", 47): ("_stext", 0xFFFFFFFF80002000), ("riscv64", 56): ("_stext", 0xFFFFFFFF80002000),
    ("aarch64", 48): ("_stext", 0xFFFF800008010000), ("aarch64", 52): ("_stext", 0xFFFFC00080010000),
}
SUN_PATH_MAX = 107  # sizeof(sockaddr_un.sun_path) less the NUL, unix(7)
Q35_LOW_RAM_MAX = 2816  # MiB; above this q35 splits RAM at 2 GiB, QEMU hw/i386/pc_q35.c
SHORT_TRUTH_ABOVE = 500
BACKENDS = ("file", "memfd", "ram")  # memory-backend-*

# TCG runs this model's kernel up to twice as fast as "max", whose XSAVE state and SMAP cost much.
DEFAULT_CPU = "qemu64,+pdpe1gb,+rdrand"
LA57_CPU = "max,la57=on"
# Pages of 16 KiB: a57 has none. Pointers are signed the way that costs QEMU least.
CPUS = {"cloud-amd64": DEFAULT_CPU, "amd64": DEFAULT_CPU, "cloud-arm64": "cortex-a57",
        "arm64-16k": "max,pauth-impdef=on", "riscv64": "rv64"}
# What guest/ is compiled with for kernels with other pages than 4 KiB: a page, and what one table of pages maps.
PAGES = {"arm64-16k": ("-DPAGE=16384u", "-DHUGE_PAGE=(32u<<20)")}

# Loaded in this order after what each depends on. Names that a kernel lacks are left out.
MODULES = (
    "qemu_fw_cfg", "dummy", "loop", "bridge", "vfat", "nls_ascii", "nls_utf8", "nf_conntrack",
    "isofs", "virtio_pci", "virtio_balloon", "tun", "lzo_rle", "zram", "9p", "9pnet_fd",
)


class LabError(Exception):
    """Something went wrong; the text says what to do next."""


class Silent(LabError):
    """A guest does not answer any more."""


class Skip(LabError):
    """The lab cannot run on this machine; commands exit 77."""


def fail(who, what, remedy):
    raise LabError("lab: '%s': %s: %s" % (who, what, remedy))


def skip(who, what, remedy):
    raise Skip("lab: '%s': %s: %s" % (who, what, remedy))


def note(text):
    if os.environ.get("SONDE_LAB_VERBOSE"):
        print("lab: " + text, file=sys.stderr)


def need_program(name, package):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        skip(name, "program not found", "install it (Debian package %s)" % package)
    return path


# ---- the kernel cache ------------------------------------------------------------------------


def cache_root():
    base = os.environ.get("SONDE_LAB_CACHE")
    if not base:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(os.path.abspath(base), "sonde-lab")


def check_suite(suite, arch, flavour):
    if suite not in SUITES:
        fail(suite, "unknown suite", "use one of %s" % ", ".join(SUITES))
    if flavour not in FLAVOURS[arch]:
        fail(flavour, "unknown kernel of %s" % arch, "use one of %s" % ", ".join(FLAVOURS[arch]))


def check_arch(arch, arches):
    if arch not in arches:
        fail(arch, "unknown architecture", "use one of %s" % ", ".join(arches))


@contextlib.contextmanager
def locked(path):
    """Hold an exclusive lock on the file @path."""
    with open(path, "a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def mirror_urls():
    """(main, security) archive URLs: the system's own where it names a Debian mirror."""
    main, security = "http://deb.debian.org/debian", "http://deb.debian.org/debian-security"
    folder = "/etc/apt/sources.list.d"
    files = ["/etc/apt/sources.list"]
    if os.path.isdir(folder):
        files += [os.path.join(folder, f) for f in sorted(os.listdir(folder))]
    for path in files:
        try:
            text = read_bytes(path).decode("utf-8", "replace")
        except OSError:
            continue
        text = "\n".join(l for l in text.splitlines() if not l.lstrip().startswith("#"))
        for url in re.findall(r"\bhttps?://[^\s\]]+", text):
            url = url.rstrip("/")
            if url.endswith("/debian"):
                main = url
            elif url.endswith("/debian-security"):
                security = url
    return main, security


def apt_config(folder, suite, arch, with_security):
    """Write a private apt configuration under @folder; returns the environment to run apt with."""
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    if not os.path.exists(keyring):
        skip(keyring, "file not found", "install the package debian-archive-keyring")
    for sub in ("lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(folder, sub), exist_ok=True)
    main, security = mirror_urls()
    lines = ["deb [signed-by=%s] %s %s main" % (keyring, main, suite)]
    if with_security:
        lines.append("deb [signed-by=%s] %s %s-security main" % (keyring, security, suite))
    with open(os.path.join(folder, "sources.list"), "w") as out:
        out.write("\n".join(lines) + "\n")
    open(os.path.join(folder, "status"), "w").close()
    conf = os.path.join(folder, "apt.conf")
    with open(conf, "w") as out:
        out.write(
            'Dir::Etc::sourcelist "{0}/sources.list";\nDir::Etc::sourceparts "-";\n'
            'Dir::Etc::preferences "-";\nDir::Etc::preferencesparts "-";\n'
            'Dir::State "{0}";\nDir::State::lists "{0}/lists";\nDir::State::status "{0}/status";\n'
            'Dir::Cache "{0}/cache";\nAPT::Architecture "{1}";\nAPT::Architectures {{ "{1}"; }};\n'
            'APT::Sandbox::User "";\nAcquire::Languages "none";\nAcquire::Retries "2";\n'
            'Acquire::http::Timeout "20";\nAPT::Update::Post-Invoke "";\n'
            'APT::Update::Error-Mode "any";\n'.format(folder, arch)
        )
    env = dict(os.environ, APT_CONFIG=conf, LC_ALL="C", DEBIAN_FRONTEND="noninteractive")
    return env


def run_apt(argv, env, folder):
    done = subprocess.run(argv, env=env, cwd=folder, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
    return done.returncode, done.stdout


def apt_update(folder, suite, arch):
    """Fetch package lists, with the security archive where the suite still has one."""
    output = ""
    for with_security in (True, False):
        env = apt_config(folder, suite, arch, with_security)
        code, output = run_apt(["apt-get", "-q", "update"], env, folder)
        if code == 0:
            return env
    tail = "\n".join(output.strip().splitlines()[-4:])
    fail(suite, "apt-get update failed:\n%s\n" % tail,
         "check the network and the mirror %s" % mirror_urls()[0])


def apt_download(package, env, folder, suite):
    code, output = run_apt(["apt-get", "-q", "download", package], env, folder)
    debs = [f for f in os.listdir(folder) if f.startswith(package + "_") and f.endswith(".deb")]
    if code or len(debs) != 1:
        tail = "\n".join(output.strip().splitlines()[-4:])
        fail(package, "cannot be downloaded from %s:\n%s\n" % (suite, tail),
             "check the network, then run 'lab.py fetch' again")
    return os.path.join(folder, debs[0])


def kernel_package(flavour, env, folder):
    """The package that the meta package of the kernel depends on."""
    meta = "linux-image-%s" % flavour
    _, output = run_apt(["apt-cache", "depends", meta], env, folder)
    found = re.findall(r"Depends: (linux-image-[0-9][\w.+~-]*)", output)
    if not found:
        fail(meta, "the mirror has no such kernel", "choose another --suite")
    return found[0]


def unpack(deb, into):
    done = subprocess.run([need_program("dpkg", "dpkg"), "-x", deb, into], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
    if done.returncode:
        fail(deb, "dpkg -x failed: %s" % done.stdout.strip(), "check the free space in the cache")


def find_file(root, tail):
    """The first file under @root whose path ends in "/@tail"."""
    for folder, _, files in os.walk(root):
        for name in files:
            path = os.path.join(folder, name)
            if path.endswith("/" + tail):
                return path
    return None


def fetch_into(folder, suite, arch, flavour):
    """Download and unpack into @folder; returns what meta.json records."""
    apt = os.path.join(folder, "apt")
    os.makedirs(apt)
    env = apt_update(apt, suite, arch)
    package = kernel_package(flavour, env, apt)
    kernel_deb = apt_download(package, env, apt, suite)
    busybox_deb = apt_download("busybox-static", env, apt, suite)
    unpack(kernel_deb, os.path.join(folder, "kernel"))
    unpack(busybox_deb, os.path.join(folder, "busybox"))
    shutil.rmtree(apt)
    release = package[len("linux-image-"):]
    kernel = (find_file(os.path.join(folder, "kernel"), "vmlinuz-" + release)
              or find_file(os.path.join(folder, "kernel"), "vmlinux-" + release))
    order = find_file(os.path.join(folder, "kernel"), release + "/modules.order")
    busybox = find_file(os.path.join(folder, "busybox"), "bin/busybox")
    if not kernel or not order or not busybox:
        fail(package, "no kernel, modules or busybox in the packages", "report this as a lab bug")
    if arch not in MACHINES:  # guests of these load no modules, and some kernels have 300 MB of them
        shutil.rmtree(os.path.join(os.path.dirname(order), "kernel"))
    return {
        "suite": suite, "arch": arch, "package": package, "release": release,
        "deb": os.path.basename(kernel_deb),
        "kernel": os.path.relpath(kernel, folder),
        "modules": os.path.relpath(os.path.dirname(order), folder),
        "busybox": os.path.relpath(busybox, folder),
    }


def fetch(suite=DEFAULT_SUITE, arch=DEFAULT_ARCH, flavour=None):
    """Make sure that the kernel of @suite is in the cache; returns its description.

    Asks the network only when the cache has no such kernel.
    """
    check_arch(arch, FLAVOURS)
    flavour = flavour or FLAVOURS[arch][0]
    check_suite(suite, arch, flavour)
    root = cache_root()
    leaf = "%s-%s" % (suite, flavour)
    folder = os.path.join(root, leaf)
    meta = os.path.join(folder, "meta.json")
    if not is_cached(meta, arch):
        try:
            os.makedirs(root, exist_ok=True)
        except OSError as err:
            fail(root, "cannot make the cache: %s" % err.strerror, "set SONDE_LAB_CACHE")
        with locked(os.path.join(root, ".lock-" + leaf)):
            if not is_cached(meta, arch):
                fetch_locked(folder, suite, arch, flavour)
    with open(meta) as handle:
        info = json.load(handle)
    info["flavour"] = flavour
    for key in ("kernel", "modules", "busybox"):
        info[key] = os.path.join(folder, info[key])
        if not os.path.exists(info[key]):
            fail(folder, "the cache is damaged: no %s" % info[key],
                 "remove that folder and run 'lab.py fetch' again")
    info["dir"] = folder
    return info


def is_cached(meta, arch):
    """True for a kernel that is there, with modules where guests load some."""
    try:
        with open(meta) as handle:
            modules = os.path.join(os.path.dirname(meta), json.load(handle)["modules"])
    except (OSError, ValueError, KeyError):
        return False
    return arch not in MACHINES or os.path.isdir(os.path.join(modules, "kernel"))


def fetch_locked(folder, suite, arch, flavour):
    for program, package in (("apt-get", "apt"), ("apt-cache", "apt"), ("dpkg", "dpkg")):
        need_program(program, package)
    work = folder + ".part"
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    try:
        info = fetch_into(work, suite, arch, flavour)
        with open(os.path.join(work, "meta.json"), "w") as out:
            json.dump(info, out, indent=1)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


# ---- the initramfs ---------------------------------------------------------------------------


def read_bytes(path):
    with open(path, "rb") as handle:
        return handle.read()


def read_module(path):
    """The bytes of a module, decompressed: the guest loads plain ELF only."""
    data = read_bytes(path)
    if path.endswith(".ko"):
        return data
    if path.endswith(".xz"):
        tool, package = "xz", "xz-utils"
    elif path.endswith(".zst"):
        tool, package = "zstd", "zstd"
    else:
        tool, package = "gzip", "gzip"
    done = subprocess.run([need_program(tool, package), "-dc"], input=data,
                          stdout=subprocess.PIPE, check=False)
    if done.returncode:
        fail(path, "%s cannot decompress it" % tool, "remove the cache and fetch again")
    return done.stdout


def module_key(name):
    return name.replace("-", "_")


def find_modules(root):
    """{module name: path} of all modules under @root."""
    found = {}
    for folder, _, files in os.walk(root):
        for name in files:
            stem, dot, rest = name.partition(".ko")
            if dot and rest in ("", ".xz", ".gz", ".zst"):
                found[module_key(stem)] = os.path.join(folder, name)
    return found


def module_depends(data):
    """Names in the `depends=` entry of .modinfo (linux scripts/mod/modpost.c).

    The package has no modules.dep: depmod writes it at installation.
    """
    match = re.search(rb"\0depends=([^\0]*)\0", data)
    if not match or not match.group(1):
        return []
    return [module_key(n) for n in match.group(1).decode("ascii").split(",")]


def choose_modules(root):
    """[(name, bytes)] of MODULES and what they need, in loading order."""
    found = find_modules(root)
    chosen = {}

    def add(name, depth):
        if name in chosen or name not in found or depth > 16:
            return
        data = read_module(found[name])
        for other in module_depends(data):
            add(other, depth + 1)
        chosen[name] = data

    for name in MODULES:
        add(name, 0)
    return list(chosen.items())


class Cpio:
    """A cpio archive in the "newc" format (linux Documentation/driver-api/early-userspace)."""

    def __init__(self):
        self.parts = []
        self.ino = 1

    def add(self, name, mode, data=b"", rdev=(0, 0)):
        raw = name.encode() + b"\0"
        head = "070701" + "".join(
            "%08x" % v for v in (self.ino, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1],
                                 len(raw), 0))
        entry = head.encode() + raw
        entry += b"\0" * (-len(entry) % 4)
        self.parts += [entry, data, b"\0" * (-len(data) % 4)]
        self.ino += 1

    def finish(self):
        self.add("TRAILER!!!", 0)
        return b"".join(self.parts)


def guest_sources(ending):
    folder = os.path.join(HERE, "guest")
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(ending)]


def compiler_of(arch):
    """The words to run it with; CC is of the host's own architecture."""
    program, package = MACHINES[arch].cc
    own = os.environ.get("CC", "").split() if arch == DEFAULT_ARCH else []
    return own or [need_program(program, package)]


def compile_guest(info, out):
    compiler = compiler_of(info["arch"])
    argv = compiler + ["-static", "-O2", "-pthread", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra",
                       *PAGES.get(info["flavour"], ()), *guest_sources(".c"), "-o", out]
    try:
        done = subprocess.run(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as err:
        skip(argv[0], "cannot run the compiler: %s" % err.strerror, "install gcc or set CC")
    if done.returncode:
        fail("guest", "does not compile with '%s':\n%s" % (argv[0], done.stdout),
             "install libc6-dev of that architecture, or set CC")


def initramfs(info):
    """Path of the initramfs for the kernel @info; built once per version of guest/."""
    digest = hashlib.sha256()
    for part in (*map(read_bytes, guest_sources((".c", ".h"))), BUILD_VERSION.encode(),
                 repr((MODULES, MACHINES, PAGES)).encode(), os.environ.get("CC", "").encode()):
        digest.update(part)
    path = os.path.join(info["dir"], "initramfs-%s.cpio" % digest.hexdigest()[:16])
    with locked(os.path.join(info["dir"], ".lock")):
        if os.path.exists(path):
            os.utime(path)
        else:
            build_initramfs(info, path)
    return path


def prune_initramfs(folder):
    """Remove what older versions of guest/ left, unless somebody used it within a day."""
    for name in os.listdir(folder):
        old = os.path.join(folder, name)
        if name.startswith("initramfs-") and time.time() - os.path.getmtime(old) > 86400:
            os.unlink(old)


def user_space(info, init):
    """An archive with folders, busybox and the bytes @init as the first program."""
    archive = Cpio()
    for folder in ("bin", "dev", "modules", "mnt", "proc", "sys", "tmp"):
        archive.add(folder, stat.S_IFDIR | 0o755)
    archive.add("dev/console", stat.S_IFCHR | 0o600, rdev=(5, 1))
    archive.add("init", stat.S_IFREG | 0o755, init)
    archive.add("bin/busybox", stat.S_IFREG | 0o755, read_bytes(info["busybox"]))
    return archive


def build_initramfs(info, path):
    prune_initramfs(info["dir"])
    program = path + ".init"
    compile_guest(info, program)
    archive = user_space(info, read_bytes(program))
    modules = choose_modules(info["modules"])
    for name, data in modules:
        archive.add("modules/%s.ko" % name, stat.S_IFREG | 0o644, data)
    order = "".join("%s.ko\n" % name for name, _ in modules)
    archive.add("modules/order", stat.S_IFREG | 0o644, order.encode())
    with open(path + ".part", "wb") as out:
        out.write(archive.finish())
    os.rename(path + ".part", path)
    os.unlink(program)


# ---- a guest's state on disk -----------------------------------------------------------------


def base_dir(folder=None):
    """The folder that holds a folder per guest."""
    chosen = folder or os.environ.get("SONDE_LAB_DIR")
    return os.path.realpath(chosen) if chosen else "/tmp/sonde-lab-%d" % os.getuid()


def check_name(name):
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name):
        fail(name, "not a name for a guest",
             "use up to 63 letters, digits, '.', '_' and '-', a letter or digit first")


class Guest:
    """Paths and recorded state of the guest @name."""

    def __init__(self, name, folder=None):
        check_name(name)
        self.name = name
        self.base = base_dir(folder)
        self.dir = os.path.join(self.base, name)
        self.state_file = self.path("state.json")

    def path(self, leaf):
        return os.path.join(self.dir, leaf)

    def load(self):
        try:
            with open(self.state_file) as handle:
                return json.load(handle)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as err:
            fail(self.name, "unreadable state %s: %s" % (self.state_file, err),
                 "remove the folder %s" % self.dir)

    def save(self, state):
        write_json(self.state_file, state)

    def running(self):
        """The state when QEMU runs, else None."""
        state = self.load()
        return state if state and is_same_process(state["pid"], state["pid_start"]) else None

    def orphan(self):
        """Pid and start of a QEMU of ours that no state.json tells of, else None.

        It is left behind when this program is killed between starting QEMU and noting it.
        """
        try:
            with open(self.path("pid")) as handle:
                pid = int(handle.read())
            with open("/proc/%d/cmdline" % pid, "rb") as handle:
                words = handle.read().split(b"\0")
        except (OSError, ValueError):
            return None
        if os.fsencode(self.path("pid")) not in words:
            return None
        return {"pid": pid, "pid_start": process_start(pid)}

    def need_running(self):
        state = self.running()
        if not state:
            fail(self.name, "no such guest is running in %s" % self.base,
                 "boot it with 'lab.py boot %s' ('lab.py list' shows guests)" % self.name)
        return state

    @contextlib.contextmanager
    def locked(self):
        if not os.path.isdir(self.dir):
            self.need_running()
        with locked(self.path("lock")):
            yield


def write_json(path, value):
    part = path + ".part"
    with open(part, "w", encoding="utf-8") as out:
        json.dump(value, out, ensure_ascii=False, indent=1)
        out.write("\n")
    os.replace(part, path)


def process_start(pid):
    """Start time of a live process in ticks (proc(5) stat field 22); None for dead and zombies."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as handle:
            fields = handle.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def is_same_process(pid, start):
    return start is not None and process_start(pid) == start


def make_private_dir(path):
    """Make @path with mode 0700; refuse one that somebody else could have prepared."""
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        info = os.lstat(path)
    except OSError as err:
        fail(path, "cannot make the folder: %s" % err.strerror, "set SONDE_LAB_DIR or use --dir")
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o022:
        fail(path, "others may write there, or it is no folder of yours",
             "set SONDE_LAB_DIR or use --dir")


def make_guest_dir(guest, folder):
    """Make the guest's folder. A base folder that the user named may be shared, as /tmp is."""
    if folder or os.environ.get("SONDE_LAB_DIR"):
        with contextlib.suppress(OSError):
            os.makedirs(guest.base, mode=0o700, exist_ok=True)
    else:
        make_private_dir(guest.base)
    make_private_dir(guest.dir)


def check_socket_paths(guest):
    longest = guest.path("control.sock")
    if len(os.fsencode(longest)) > SUN_PATH_MAX:
        fail(guest.name, "socket path has %d bytes, %d are possible: %s"
             % (len(os.fsencode(longest)), SUN_PATH_MAX, longest),
             "use a shorter name or a shorter --dir (SONDE_LAB_DIR)")


# ---- QMP -------------------------------------------------------------------------------------


class Qmp:
    """One connection to QEMU's monitor (QEMU docs/interop/qmp-spec.txt)."""

    def __init__(self, who, path, timeout=30.0):
        self.who = who
        self.buffer = b""
        self.sock = connect_unix(who, path, timeout)
        self.receive()  # the greeting
        self.command("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.sock.close()

    def receive(self):
        while b"\n" not in self.buffer:
            try:
                data = self.sock.recv(65536)
            except socket.timeout:
                fail(self.who, "the monitor of QEMU does not answer", "stop the guest, boot again")
            except OSError as err:
                data = b""
                note("monitor: %s" % err)
            if not data:
                fail(self.who, "QEMU went away", "boot the guest again")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def command(self, name, timeout=30.0, **arguments):
        request = {"execute": name}
        if arguments:
            request["arguments"] = arguments
        self.sock.settimeout(timeout)
        try:
            self.sock.sendall(json.dumps(request).encode() + b"\n")
        except OSError as err:
            fail(self.who, "QEMU went away: %s" % err.strerror, "boot the guest again")
        while True:
            reply = self.receive()
            if "return" in reply:
                return reply["return"]
            if "error" in reply:
                fail(self.who, "QEMU refuses %s: %s" % (name, reply["error"].get("desc")),
                     "see the log of the guest")


def connect_unix(who, path, timeout):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        sock.connect(path)
    except OSError as err:
        sock.close()
        fail(who, "cannot connect to %s: %s" % (path, err.strerror or err),
             "see 'lab.py list'; stop the guest and boot it again")
    return sock


def control(guest):
    """The lab's own monitor: the one named qmp.sock is left to the users of the guest."""
    return Qmp(guest.name, guest.path("control.sock"))


# ---- the command channel ---------------------------------------------------------------------


class Channel:
    """The serial line on which the guest answers, in frames with a length and a CRC-32, each acknowledged."""

    FRAME_MAX = 32768
    AGAIN = 10.0  # seconds until a command is said again
    NUDGE = 5.0  # ... until a line on which something is awaited hears something
    FRAME = re.compile(rb"@@LAB (\S+) (\d+) (\d+) ([0-9a-f]{8})\n")

    def __init__(self, guest):
        self.guest = guest
        self.buffer = b""
        self.sock = connect_unix(guest.name, guest.path("serial.sock"), 5.0)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.sock.close()

    def say(self, line):
        self.sock.settimeout(5.0)  # what was left of it for reading may be next to nothing
        try:
            self.sock.sendall(b"\n%s\n" % line.encode())
        except OSError as err:
            fail(self.guest.name, "serial line: %s" % err, "stop the guest, boot it again")

    def send(self, command):
        """Its tag: the guest takes a command that comes again with the same one for the same."""
        tag = os.urandom(8).hex()
        self.say("%s %s" % (tag, command))
        return tag.encode()

    def fill(self, deadline):
        """Read more; False at the deadline. A silent line hears an empty one: an interrupt that was lost there comes with it."""
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        self.sock.settimeout(min(left, self.NUDGE))
        try:
            data = self.sock.recv(1 << 20)
        except socket.timeout:
            self.say("")
            return True
        except OSError:
            data = b""
        if not data:
            fail(self.guest.name, "QEMU went away", "boot the guest again")
        self.buffer += data
        return True

    def next_frame(self, deadline):
        """(tag, seq, payload or None when it is damaged), or None at the deadline."""
        while True:
            match = self.FRAME.search(self.buffer)
            if match:
                tag, seq, size = match.group(1), int(match.group(2)), int(match.group(3))
                payload = self.buffer[match.end():match.end() + size]
                if len(payload) == size or size > self.FRAME_MAX:
                    good = zlib.crc32(payload) == int(match.group(4), 16)
                    # Where bytes were lost, the next frame may have begun inside.
                    self.buffer = self.buffer[match.end() + (size if good else 0):]
                    return tag, seq, payload if good else None
            if not self.fill(deadline):
                return None

    def first_frame(self, tag, command, deadline):
        """The line loses bytes now and then: the command is said until there is an answer."""
        while True:
            now = time.monotonic()
            frame = self.next_frame(min(deadline, now + self.AGAIN))
            if frame or now >= deadline:
                return frame
            note("%s: no answer to '%s' for %d s: said again" % (self.guest.name, command, self.AGAIN))
            self.say("%s %s" % (tag.decode(), command))

    def parts(self, tag, deadline, command=None, silence=math.inf):
        """The parts of the reply to @tag as they come, the last one empty; each frame is acknowledged, damaged ones are sent again.
        It ends without the last at the deadline, or when no frame comes for @silence seconds.

        @command: what is said again until the reply begins."""
        n_parts, heard = 0, command is None
        while True:
            limit = min(deadline, time.monotonic() + silence)
            frame = self.next_frame(limit) if heard else self.first_frame(tag, command, limit)
            if frame is None:
                return
            if frame[0] != tag:
                continue
            heard = True
            seq, payload = frame[1:]
            if payload is None:
                note("%s: frame %d was damaged: once more" % (self.guest.name, seq))
                self.say("-%d" % seq)
                continue
            self.say("+%d" % seq)
            if seq != n_parts:  # it came before, and the guest had not heard that
                continue
            n_parts += 1
            yield payload
            if not payload:
                return

    def reply(self, tag, deadline, command=None, silence=math.inf):
        """The whole reply to @tag, or None: see parts()."""
        parts = list(self.parts(tag, deadline, command, silence))
        return b"".join(parts) if parts and not parts[-1] else None

    def ask(self, command, timeout, silence=math.inf):
        """The reply to @command, for which no longer than @silence passes without a part of it."""
        answer = self.reply(self.send(command), time.monotonic() + timeout, command, silence)
        if answer is None:
            raise Silent("lab: '%s': no answer to '%s' within %d s%s: is the guest paused? else stop it and boot it again"
                         % (self.guest.name, command, min(timeout, silence), log_tail(self.guest)))
        if answer.startswith(b"error "):
            fail(self.guest.name, answer[6:].decode("utf-8", "replace").strip(),
                 "boot the guest with more --mem")
        return answer

    def command(self, command, timeout):
        """The words after "ok" in a one-line answer."""
        return self.ask(command, timeout).decode("utf-8", "replace").split()[1:]


def log_tail(guest, lines=12):
    try:
        text = read_bytes(guest.path("log"))[-8192:].decode("utf-8", "replace")
    except OSError:
        return ""
    tail = [l for l in text.splitlines() if l.strip()][-lines:]
    return "; end of %s:\n  %s\n" % (guest.path("log"), "\n  ".join(tail)) if tail else ""


def wait_ready(guest, timeout, not_boot_id=None):
    """Ask until the guest answers; returns its boot id. Fails early when it panicked or died."""
    limit = time.monotonic() + timeout
    state = guest.load()
    patience = 0.5  # what is said before the guest listens is lost; a busy machine answers late
    with Channel(guest) as channel:
        while time.monotonic() < limit:
            tag = channel.send("ping")
            answer = channel.reply(tag, min(limit, time.monotonic() + patience))
            patience = min(patience + 0.1, 5.0)
            words = answer.split() if answer else []
            if len(words) == 2 and words[0] == b"ok":
                boot_id = words[1].decode()
                if boot_id != not_boot_id:
                    return boot_id
                time.sleep(0.1)
            if not is_same_process(state["pid"], state["pid_start"]):
                fail(guest.name, "QEMU died while the guest booted%s" % log_tail(guest),
                     "see the log, then boot again")
            if "Kernel panic" in log_tail(guest, 60):
                fail(guest.name, "the guest's kernel panicked%s" % log_tail(guest, 30),
                     "see the log; stop the guest")
    fail(guest.name, "the guest was not ready within %d s%s" % (timeout, log_tail(guest)),
         "see the log; a busy machine may need --timeout")


# ---- truth -----------------------------------------------------------------------------------


def parse_records(data):
    """Yield (tag, number, bytes) of the guest's "TAG NUMBER LENGTH\\n" records."""
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        tag, number, length = data[at:end].split(b" ")
        start = end + 1
        stop = start + int(length)
        if data[stop:stop + 1] != b"\n":
            raise ValueError("record '%s' at byte %d is not well formed" % (tag.decode(), at))
        yield tag.decode(), int(number), data[start:stop]
        at = stop + 1


def text_of(raw):
    return raw.decode("utf-8", "replace")


def split_stat(raw):
    """(comm, fields after it) of a /proc/PID/stat line; the name may hold any byte."""
    head, _, tail = raw.rpartition(b")")
    return head.partition(b"(")[2], tail.split()


def comm_of_sched(raw):
    """task->comm from the first line of /proc/PID/sched: it has no work queue's name appended."""
    match = re.match(rb"(.*) \(\d+, #threads: \d+\)\n", raw, re.S)
    return match.group(1) if match else None


def status_fields(raw):
    fields = {}
    for line in raw.split(b"\n"):
        key, colon, value = line.partition(b":\t")
        if colon:
            fields[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace").strip()
    return fields


def parse_maps(raw):
    """Mappings; a path keeps the escapes of proc(5): only a newline is written as \\012."""
    maps = []
    for line in raw.split(b"\n"):
        if not line:
            continue
        part = line.split(None, 5)
        start, end = part[0].decode().split("-")
        maps.append({
            "start": "0x" + start, "end": "0x" + end, "perms": part[1].decode(),
            "offset": "0x" + part[2].decode(), "dev": part[3].decode(), "inode": int(part[4]),
            "path": text_of(part[5]) if len(part) > 5 else "",
        })
    return maps


def parse_cmdline(raw):
    if not raw:
        return []
    return [text_of(a) for a in (raw[:-1] if raw.endswith(b"\0") else raw).split(b"\0")]


def set_name(process, comm):
    process["name"] = text_of(comm)
    process["name_hex"] = comm.hex()


def process_from_stat(pid, raw):
    comm, field = split_stat(raw)
    process = {
        "pid": pid, "state": field[0].decode(), "ppid": int(field[1]),
        "kthread": bool(int(field[6]) & PF_KTHREAD), "flags": int(field[6]),
        "threads": int(field[17]), "start_ticks": int(field[19]), "vsize": int(field[20]),
        "proc_name": text_of(comm), "rss_kb": 0, "rss_anon_kb": 0, "rss_file_kb": 0,
        "rss_shmem_kb": 0, "cmdline": [], "cmdline_raw_hex": "", "exe": None, "cwd": None,
        "root": None, "ns": None, "maps": [], "threads_list": [], "fds": [],
    }
    set_name(process, comm)
    return process


def add_status(process, raw):
    field = status_fields(raw)
    uids, gids = field["Uid"].split(), field["Gid"].split()
    process.update(tgid=int(field["Tgid"]), uid=int(uids[0]), euid=int(uids[1]),
                   gid=int(gids[0]), egid=int(gids[1]), groups=field.get("Groups", "").split(),
                   nspid=[int(p) for p in field.get("NSpid", "").split()])
    for key, name in (("VmRSS", "rss_kb"), ("RssAnon", "rss_anon_kb"), ("RssFile", "rss_file_kb"),
                      ("RssShmem", "rss_shmem_kb")):
        if key in field:
            process[name] = int(field[key].split()[0])


def process_from_short(raw):
    part = raw.split(b" ", 8)
    number = [int(v) for v in part[:5]]
    process = dict(zip(("pid", "tgid", "ppid", "uid", "gid"), number))
    process.update(state=part[5].decode(), kthread=part[6] == b"1", start_ticks=int(part[7]))
    set_name(process, part[8])
    process["proc_name"] = process["name"]
    return process


def add_task(process, raw):
    comm, field = split_stat(raw)
    process["threads_list"].append({"tid": int(raw.split(b" ", 1)[0]), "name": text_of(comm),
                                    "name_hex": comm.hex(), "state": field[0].decode(),
                                    "start_ticks": int(field[19])})


def add_to_process(processes, tag, pid, raw):
    """Put one record into the process it is about; False for records about something else."""
    if tag == "stat":
        processes[pid] = process_from_stat(pid, raw)
        return True
    if tag == "short":
        processes[pid] = process_from_short(raw)
        return True
    process = processes.get(pid)
    if process is None:
        return False
    if tag == "status":
        add_status(process, raw)
    elif tag == "sched":
        comm = comm_of_sched(raw)
        if comm is not None:
            set_name(process, comm)
    elif tag == "cmdline":
        process.update(cmdline=parse_cmdline(raw), cmdline_raw_hex=raw.hex())
    elif tag == "maps":
        process["maps"] = parse_maps(raw)
    elif tag in ("exe", "cwd", "root"):
        process[tag] = text_of(raw)
    elif tag in ("ns/pid", "ns/mnt", "ns/user"):
        process["ns" if tag == "ns/pid" else tag.replace("/", "_")] = int(
            re.search(rb"\d+", raw).group())
    elif tag == "task":
        add_task(process, raw)
    elif tag == "fd":
        number, _, link = raw.partition(b" ")
        process["fds"].append({"fd": int(number), "link": text_of(link)})
    else:
        return False
    return True


def parse_modules(raw):
    modules = []
    for line in text_of(raw).splitlines():
        part = line.split()
        users = [] if part[3] == "-" else [u for u in part[3].split(",") if u]
        modules.append({"name": part[0], "size": int(part[1]),
                        "refcount": int(part[2]) if part[2] != "-" else 0,
                        "used_by": users, "state": part[4], "base": part[5],
                        "taints": part[6].strip("()") if len(part) > 6 else ""})
    return modules


def unescape_kmsg(raw):
    return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m.group(1), 16)]), raw)


def parse_kmsg(raw):
    """One record of /dev/kmsg (linux Documentation/ABI/testing/dev-kmsg)."""
    head, _, body = raw.partition(b";")
    lines = body.rstrip(b"\n").split(b"\n")
    prio, seq, usec = head.split(b",")[:3]
    more = {}
    for line in lines[1:]:
        key, equals, value = line.strip().partition(b"=")
        if equals:
            more[text_of(key)] = text_of(value)
    return {"seq": int(seq), "usec": int(usec), "level": int(prio) & 7,
            "facility": int(prio) >> 3, "text": text_of(unescape_kmsg(lines[0])),
            "raw": text_of(lines[0]), "dict": more}


def parse_page(raw, page_size):
    """A line of a pattern area: address, pagemap entry (PFN in bits 0-54), kind."""
    va, entry, kind = text_of(raw).split()
    entry = int(entry, 16)
    present = bool(entry >> 63)
    return {"va": "0x" + va, "kind": kind, "present": present, "swapped": bool(entry >> 62 & 1),
            "pa": hex((entry & ((1 << 55) - 1)) * page_size) if present else None}


def add_symbol(symbols, raw):
    part = text_of(raw).split()
    address = "0x" + part[0]
    if len(part) > 3:
        symbols["module_symbols"].append({"name": part[2], "type": part[1], "address": address,
                                          "module": part[3].strip("[]")})
    else:
        symbols["names"][part[2]] = address
        symbols["types"][part[2]] = part[1]


def stat_value(raw, key):
    match = re.search(rb"^%s (\d+)" % key, raw, re.M)
    return int(match.group(1)) if match else None


def user_bits(machine, high):
    """Bits of a user address, by one that is mapped as high as the kernel would go."""
    low, more = (48, 52) if machine == "aarch64" else (47, 56)
    return more if high >> low else low


def page_table_levels(machine, bits, page_size):
    """Each level takes as many bits as a page has entries; but for aarch64 there is one more than users get."""
    page_bits = page_size.bit_length() - 1
    indexed = bits + (machine != "aarch64") - page_bits
    return -(-indexed // (page_bits - 3))


def kernel_truth(raw, symbols, pages):
    text = {k: text_of(v).rstrip("\n") for k, v in raw.items()}
    uptime = text["uptime"].split()
    kernel = {
        "release": text["release"], "version": text["version"], "machine": text["machine"],
        "cmdline": text["kcmdline"], "boot_id": text["boot_id"], "hostname": text["hostname"],
        "boot_time": stat_value(raw["kstat"], b"btime"), "uptime": float(uptime[0]),
        "forks": stat_value(raw["kstat"], b"processes"), "hz": int(text["hz"]),
        "vmcoreinfo": text.get("vmcoreinfo"), "kaslr_offset": None,
        "page_table_levels": None,
    }
    high = [p for p in pages if p["kind"] == "high"]
    if high:
        machine, bits = text["machine"], user_bits(text["machine"], int(high[0]["va"], 16))
        kernel["page_table_levels"] = page_table_levels(machine, bits, int(text["pagesize"]))
        symbol, unmoved = UNMOVED[machine, bits]
        if symbol in symbols["names"]:
            kernel["kaslr_offset"] = hex(int(symbols["names"][symbol], 16) - unmoved)
    return kernel


THREAD_OF_PROCESS = (("tid", "pid"), ("name", "name"), ("name_hex", "name_hex"),
                     ("state", "state"), ("start_ticks", "start_ticks"))


def parse_truth(data, short):
    """truth.json's value from the guest's records."""
    raw, processes, dmesg, pages = {}, {}, [], []
    zoo = {}
    symbols = {"names": {}, "types": {}, "module_symbols": [], "n_core": None, "n_total": None}
    for tag, number, value in parse_records(data):
        if tag == "sym":
            add_symbol(symbols, value)
        elif tag == "symcount":
            symbols["n_core"], symbols["n_total"] = (int(v) for v in value.split())
        elif tag == "kmsg":
            dmesg.append(parse_kmsg(value))
        elif tag == "page":
            pages.append(dict(parse_page(value, int(raw["pagesize"])), pid=number))
        elif tag == "role":
            zoo[text_of(value)] = number
        elif tag == "truncated":
            raise ValueError("the guest had to cut " + text_of(value))
        elif not add_to_process(processes, tag, number, value):
            raw[tag] = value
    listed = [processes[p] for p in sorted(processes)]
    for process in listed if not short else []:
        if process["kthread"]:  # always one thread; the guest does not ask for it
            process["threads_list"] = [{k: process[v] for k, v in THREAD_OF_PROCESS}]
        process["threads_list"].sort(key=lambda t: t["tid"])
        process["fds"].sort(key=lambda f: f["fd"])
    return {
        "format": 1, "short": short, "teller": 1, "kernel": kernel_truth(raw, symbols, pages),
        "page_size": int(raw["pagesize"]), "cpus": int(raw["cpus"]), "processes": [p for p in listed if "tgid" in p], "zoo": zoo,
        "modules": parse_modules(raw["modules"]), "symbols": symbols, "dmesg": dmesg,
        "pattern": {"magic": hex(PATTERN_MAGIC), "pages": pages},
        "mounts": text_of(raw["mounts"]), "iomem": text_of(raw["iomem"]),
        "meminfo": text_of(raw["meminfo"]),
        "sockets": {k: text_of(raw.get(k, b"")) for k in ("tcp", "tcp6", "udp", "udp6", "unix")},
    }


def gather_truth(guest, state, short=None):
    if short is None:
        short = state.get("spawned", 0) > SHORT_TRUTH_ABOVE
    with Channel(guest) as channel:
        data = channel.ask("truth short" if short else "truth", 300.0, 90.0)
    try:
        value = parse_truth(data, short)
    except (ValueError, KeyError, IndexError, struct.error) as err:
        fail(guest.name, "the guest's truth does not parse: %r" % err,
             "report this as a lab bug")
    path = guest.path("truth.json")
    write_json(path, value)
    return path


# ---- the life of a guest ---------------------------------------------------------------------


def qemu_program(arch):
    return need_program(*QEMU_PROGRAMS[arch])


def memory_file(guest, opts, node):
    """Where a file is the memory, of all the machine or of one node."""
    return guest.path("mem-%d" % node if opts["numa"] else "mem")


def memory_objects(guest, opts):
    """The memory as objects of QEMU: one, or one a node; none where QEMU is to make it as it does by itself."""
    backend = opts["backend"] or ("file" if opts["share"] else "ram")
    if backend == "ram" and not opts["numa"]:
        return []
    argv, n = [], opts["numa"] or 1
    for node in range(n):
        words = ["memory-backend-" + backend, "id=mem%s" % (node if opts["numa"] else ""),
                 "size=%dM" % (opts["mem"] // n), "share=" + ("on" if opts["share"] else "off")]
        if backend == "file":
            words.append("mem-path=" + memory_file(guest, opts, node))
        argv += ["-object", ",".join(words)]
        if opts["numa"]:
            argv += ["-numa", "node,nodeid=%d,memdev=mem%d,cpus=%d" % (node, node, node)]
    return argv


def memory_size(opts):
    """Of -m: with room for as much again to be plugged in, where that was asked for."""
    return "%dM" % opts["mem"] + (",slots=4,maxmem=%dM" % (2 * opts["mem"]) if opts["slots"] else "")


def join_archives(guest, *paths):
    """One archive after the other: the kernel unpacks them all (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    joined = guest.path("initrd")
    with open(joined, "wb") as out:
        for path in paths:
            data = read_bytes(path)
            out.write(data + b"\0" * (-len(data) % 4))
    return joined


def qemu_argv(guest, info, opts):
    """The command line; every option here is one that libvirt or a user could have chosen too."""
    kind = MACHINES[info["arch"]]
    cpu = opts["cpu"] or (LA57_CPU if opts["la57"] else CPUS[info["flavour"]])
    machine = opts["machine"] or kind.machine
    memory = memory_objects(guest, opts)
    if memory and not opts["numa"]:
        machine += ",memory-backend=mem"
    initrd = join_archives(guest, initramfs(info), opts["extra"]) if opts.get("extra") else initramfs(info)
    append = "console=%s quiet lab.tty=%s sonde.lab=%s" % (*kind.tty, guest.name)
    if info["arch"] == "amd64":
        append += " no_timer_check"  # an emulated timer may be late on a busy machine, which is no fault of its wires
    if opts["append"]:
        append += " " + opts["append"]
    argv = [
        qemu_program(info["arch"]), "-name", guest.name, "-accel", "tcg", "-machine", machine,
        "-cpu", cpu, "-m", memory_size(opts), "-smp", str(opts["smp"]), "-display", "none",
        "-no-user-config", "-nic", "none", "-kernel", info["kernel"], "-initrd", initrd,
        "-append", append,
        "-chardev", "file,id=console,path=%s" % guest.path("log"), "-serial", "chardev:console",
        "-chardev", "socket,id=lab,path=%s,server=on,wait=off" % guest.path("serial.sock"),
        *kind.serial,
        "-qmp", "unix:%s,server=on,wait=off" % guest.path("qmp.sock"),
        "-qmp", "unix:%s,server=on,wait=off" % guest.path("control.sock"),
        "-pidfile", guest.path("pid"), "-daemonize",
    ]
    if opts["vmcoreinfo"]:
        argv += ["-device", "vmcoreinfo"]
    return argv + memory


def check_options(guest, opts):
    for key, low, high in (("mem", 128, 65536), ("smp", 1, 64), ("procs", 0, 50000), ("numa", 0, 8)):
        if not low <= opts[key] <= high:
            fail(guest.name, "--%s %s is not from %d to %d" % (key, opts[key], low, high),
                 "choose another number")
    if opts["backend"] not in (None, *BACKENDS):
        fail(guest.name, "unknown backend '%s'" % opts["backend"], "use one of %s" % ", ".join(BACKENDS))
    if opts["share"] and opts["backend"] == "ram":
        fail(guest.name, "memory of the backend ram has no name to share it by", "use memfd or file, or --private")
    if opts["numa"] and (opts["smp"] != opts["numa"] or opts["mem"] % opts["numa"]):
        fail(guest.name, "--numa %d does not divide it" % opts["numa"],
             "give --smp %d, a processor a node, and a --mem that it divides" % opts["numa"])
    if "nokaslr" in (opts["append"] or "").split():
        fail(guest.name, "--append holds nokaslr", "the lab tests with KASLR on; leave it out")
    if "," in guest.dir:
        fail(guest.name, "a comma in the folder %s" % guest.dir, "use another --dir")


def prepare_dir(guest, opts):
    """A clean state folder; the memory file of an earlier run stays when asked for."""
    mem = guest.path("mem")
    for leaf in ("state.json", "truth.json", "log", "pid", "serial.sock", "qmp.sock",
                 "control.sock"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(guest.path(leaf))
    if opts["keep_mem"]:
        size = opts["mem"] << 20
        if not opts["share"]:
            fail(guest.name, "--keep-mem needs the memory file of --share", "drop --private")
        if not os.path.exists(mem):
            fail(guest.name, "no memory of an earlier run in %s" % guest.dir,
                 "boot it once without --keep-mem, then 'lab.py stop %s --keep-mem'" % guest.name)
        if os.path.getsize(mem) != size:
            fail(guest.name, "the memory of the earlier run has %d MiB, not %d"
                 % (os.path.getsize(mem) >> 20, opts["mem"]), "give the same --mem")
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(mem)


def check_room(guest, opts):
    if not opts["share"] or opts["keep_mem"] or opts.get("backend") == "memfd":
        return
    room = shutil.disk_usage(guest.dir).free >> 20
    if room < opts["mem"] + 16:
        fail(guest.name, "only %d MiB free in %s" % (room, guest.dir),
             "use --private, a smaller --mem or another --dir")


def start_qemu(guest, info, opts):
    """Start QEMU for @guest as a process of ours; returns its pid."""
    return run_qemu(guest, qemu_argv(guest, info, opts))


def run_qemu(guest, argv):
    note(" ".join(argv))
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        fail(guest.name, "QEMU does not start: %s" % done.stdout.strip(),
             "see the options in its message")
    with open(guest.path("pid")) as handle:
        return int(handle.read())


def kept_memory(guest, opts):
    """The file that all the memory is in, None where there is no such one."""
    is_one = opts["share"] and opts.get("backend") in (None, "file") and not opts.get("numa")
    return guest.path("mem") if is_one else None


def note_state(guest, info, opts, pid):
    """The state of a guest that has just been started, saved."""
    state = {
        "name": guest.name, "pid": pid, "pid_start": process_start(pid), "dir": guest.dir,
        "qmp": guest.path("qmp.sock"), "serial": guest.path("serial.sock"),
        "log": guest.path("log"), "mem_file": kept_memory(guest, opts),
        "truth": guest.path("truth.json"), "mem": opts["mem"], "suite": info["suite"],
        "release": info["release"], "spawned": 0, "options": opts,
    }
    guest.save(state)
    return state


SUMMARY_KEYS = ("name", "pid", "dir", "qmp", "serial", "log", "mem_file", "truth", "mem", "suite",
                "release", "boot_seconds", "truth_seconds")


def summary(state):
    return {k: state[k] for k in SUMMARY_KEYS if k in state}


def boot(name, **options):
    """boot_once; a guest that falls silent before it has told its truth, as arm64's with two processors do now and then on
    a busy machine, is booted once more."""
    try:
        return boot_once(name, **options)
    except Silent as err:
        if {"keep_mem", "dirty", "start"} & {o for o, value in options.items() if value}:
            raise
        note("%s\nit is booted once more" % err)
        return boot_once(name, **options)


def boot_once(name, dir=None, suite=DEFAULT_SUITE, mem=512, procs=0, share=True, vmcoreinfo=True,
              la57=False, keep_mem=False, smp=1, append=None, timeout=240, cpu=None,
              dirty=None, arch=DEFAULT_ARCH, flavour=None, machine=None, numa=0, backend=None, slots=False,
              extra=None, start=start_qemu):
    """Boot the guest @name, wait until it is ready, gather its truth; returns the summary.

    When it does not become ready, QEMU is stopped again and the log stays. @dirty: "below" or
    "above" leaves a whole stale kernel in the lower or upper half of the RAM. @start: who starts QEMU
    with what qemu_argv would give it, and returns its pid. @extra: an archive of more files (Cpio) for the guest.
    """
    guest = Guest(name, dir)
    if dirty:
        append = " ".join(filter(None, (append, leave_stale_kernel(
            guest, dirty, mem, keep_mem, dict(suite=suite, share=share, vmcoreinfo=vmcoreinfo,
                                              la57=la57, smp=smp, append=append, timeout=timeout,
                                              cpu=cpu, arch=arch, dir=dir)))))
        keep_mem = True
    opts = {"mem": mem, "procs": procs, "share": share, "vmcoreinfo": vmcoreinfo, "la57": la57,
            "keep_mem": keep_mem, "smp": smp, "append": append, "cpu": cpu,
            "machine": machine, "numa": numa, "backend": backend, "slots": slots,
            "extra": extra}
    check_options(guest, opts)
    check_socket_paths(guest)
    check_arch(arch, MACHINES)
    qemu_program(arch)
    info = fetch(suite, arch, flavour)
    make_guest_dir(guest, dir)
    with guest.locked():
        state = guest.running() or guest.orphan()
        if state:
            fail(name, "is already running with pid %d" % state["pid"],
                 "use it, or stop it with 'lab.py stop %s'" % name)
        prepare_dir(guest, opts)
        check_room(guest, opts)
        begin = time.monotonic()
        state = note_state(guest, info, opts, start(guest, info, opts))
        try:
            state["boot_id"] = wait_ready(guest, timeout)
            state["boot_seconds"] = round(time.monotonic() - begin, 2)
            guest.save(state)
            if procs:
                spawn_locked(guest, state, procs)
            begin = time.monotonic()
            gather_truth(guest, state)
            state["truth_seconds"] = round(time.monotonic() - begin, 2)
            guest.save(state)
        except BaseException:
            kill_qemu(guest, state)
            remove_runtime_files(guest, keep_mem=False)
            raise
    return summary(state)


def leave_stale_kernel(guest, dirty, mem, keep_mem, options):
    """Run a guest in one half of the RAM and end it; returns words that keep the next to the other.

    Each half excludes the other by the kernel's own mem= and memmap= parameters, so that the
    remnant is whole: image, page tables, processes, vmcoreinfo.
    """
    if dirty not in ("below", "above"):
        fail(guest.name, "unknown kind of remnant '%s'" % dirty, "use below or above")
    if keep_mem or not options["share"] or mem < 512:
        fail(guest.name, "a stale kernel needs its own run in at least 512 MiB of shared memory",
             "drop --keep-mem and --private, give --mem 512 or more")
    half = min(mem // 2, 1024)
    lower, upper = "mem=%dM" % half, "memmap=%dM$16M" % (half - 16)
    first, second = (lower, upper) if dirty == "below" else (upper, lower)
    options["append"] = " ".join(filter(None, (options["append"], first)))
    boot(guest.name, mem=mem, procs=50, **options)
    stop(guest.name, options["dir"], keep_mem=True)
    return second


def need_unpaused(guest):
    with control(guest) as qmp:
        status = qmp.command("query-status")
    if not status.get("running"):
        fail(guest.name, "the guest is not running (%s)" % status.get("status"),
             "resume it with 'lab.py resume %s'" % guest.name)


def truth(name, dir=None, short=None):
    """Ask the running guest again; rewrites truth.json and returns its path.

    @short: True for one line per process, False for all, None to choose by the number of processes.
    """
    guest = Guest(name, dir)
    with guest.locked():
        state = guest.need_running()
        need_unpaused(guest)
        return gather_truth(guest, state, short)


def load_truth(name, dir=None):
    """The value of the guest's truth.json."""
    with open(Guest(name, dir).path("truth.json"), encoding="utf-8") as handle:
        return json.load(handle)


@contextlib.contextmanager
def clock(name, dir=None):
    """A function that tells the guest's monotonic clock in seconds; the line to the guest is held meanwhile."""
    guest = Guest(name, dir)
    with guest.locked():
        guest.need_running()
        with Channel(guest) as channel:
            yield lambda: int(channel.command("clock", 60.0)[0]) / 1e9


def spawn_locked(guest, state, n):
    with Channel(guest) as channel:
        channel.command("spawn %d" % n, 60.0 + n / 20.0)
    state["spawned"] = state.get("spawned", 0) + n
    guest.save(state)


def spawn(name, n, dir=None):
    """Start @n more processes in the guest; returns how many were started since it booted."""
    guest = Guest(name, dir)
    with guest.locked():
        state = guest.need_running()
        need_unpaused(guest)
        spawn_locked(guest, state, n)
        return state["spawned"]


def load(name, n, dir=None):
    """Have @n parents make processes that come and go all the time, from now on; 0 ends that."""
    guest = Guest(name, dir)
    with guest.locked():
        guest.need_running()
        need_unpaused(guest)
        with Channel(guest) as channel:
            channel.command("load %d" % n, 60.0)


def kmsg(name, text, dir=None):
    """Write one line into the guest's kernel log."""
    guest = Guest(name, dir)
    if "\n" in text or "\r" in text:
        fail(name, "a line break in the text", "write one line at a time")
    with guest.locked():
        guest.need_running()
        need_unpaused(guest)
        with Channel(guest) as channel:
            channel.command("kmsg " + text, 60.0)


def page(name, action, dir=None):
    """Change a page of the guest's init: map, map-table, map-row, swap, flip MS, count MS, close, seal, open, unmap, renew; or
    look: read it.

    Returns (its address, the word it is full of, the word of the page it can be swapped with).
    """
    guest = Guest(name, dir)
    with guest.locked():
        guest.need_running()
        need_unpaused(guest)
        with Channel(guest) as channel:
            return tuple(int(word, 16) for word in channel.command("page " + action, 60.0))


def escape_word(word):
    """@word for the command run: %XX for what would end or change it."""
    return "".join(c if c.isalnum() or c in "/._=:,-+@" else "".join("%%%02x" % b for b in c.encode())
                   for c in word)


Run = collections.namedtuple("Run", "pid code out err")


def run(name, words, uid=0, timeout=120.0, dir=None):
    """Run a program in the guest to its end; returns a Run: out and err are bytes, code as a shell's."""
    guest = Guest(name, dir)
    with guest.locked():
        guest.need_running()
        need_unpaused(guest)
        with Channel(guest) as channel:
            answer = channel.ask("run %d %s" % (uid, " ".join(map(escape_word, words))), timeout)
    (_, pid, code), (_, _, out), (_, _, err) = parse_records(answer)
    return Run(pid, int(code), out, err)


def opens(name, n, dir=None):
    """Have a process of its own open @n files that are not there, /opened/000000 and on; returns its pid."""
    guest = Guest(name, dir)
    with guest.locked():
        guest.need_running()
        with Channel(guest) as channel:
            return int(channel.command("opens %d" % n, 300.0)[0])


@contextlib.contextmanager
def in_background(name, command, timeout, dir=None):
    """Have the guest do @command (spin, page count, page flip) while the body runs: it has begun then, and goes on until the
    body ends, @timeout seconds at most."""
    guest = Guest(name, dir)
    guest.need_running()
    command = "%s %d" % (command, timeout * 1000)
    with Channel(guest) as channel:
        parts = channel.parts(channel.send(command), time.monotonic() + 2 * timeout, command)
        if next(parts, None) != b"begun\n":
            fail(name, "'%s' was not begun" % command, "is it paused?")
        try:
            yield
        finally:
            channel.say("")
        if not any(not part for part in parts):
            fail(name, "no answer to '%s' within %d s" % (command, 2 * timeout), "is it paused?")


DUMP_FORMATS = ("elf", "elf-paging", "kdump-zlib", "raw")


def dump(name, file, format="elf", dir=None):
    """Dump the guest's memory into @file; returns {"file", "size", "format", "seconds"}."""
    guest = Guest(name, dir)
    path = os.path.abspath(file)
    if format not in DUMP_FORMATS:
        fail(format, "unknown dump format", "use one of %s" % ", ".join(DUMP_FORMATS))
    begin = time.monotonic()
    with guest.locked():
        state = guest.need_running()
        if format == "raw" and state["mem"] > Q35_LOW_RAM_MAX:
            fail(name, "RAM above %d MiB has a hole, a raw image cannot show it" % Q35_LOW_RAM_MAX,
                 "dump as elf")
        if os.path.lexists(path):
            if not stat.S_ISREG(os.lstat(path).st_mode):
                fail(path, "is not a regular file", "give another FILE")
            os.unlink(path)
        with control(guest) as qmp:
            if format == "raw":
                qmp.command("pmemsave", timeout=300.0, val=0, size=state["mem"] << 20,
                            filename=path)
            else:
                arguments = {"paging": format == "elf-paging", "protocol": "file:" + path}
                if format.startswith("kdump"):
                    arguments["format"] = format
                qmp.command("dump-guest-memory", timeout=300.0, **arguments)
            sizes = qmp.command("query-memory-size-summary")
    size = check_dump(name, path, format, sizes["base-memory"] + sizes.get("plugged-memory", 0))
    os.chmod(path, 0o600)
    return {"file": path, "size": size, "format": format,
            "seconds": round(time.monotonic() - begin, 2)}


def check_dump(name, path, format, ram):
    """Size of the dump when its first bytes and its length are plausible."""
    try:
        with open(path, "rb") as handle:
            magic = handle.read(16)
        size = os.path.getsize(path)
    except OSError as err:
        fail(name, "no dump in %s: %s" % (path, err.strerror), "check the folder and its room")
    good = {
        "elf": magic[:4] == b"\x7fELF" and ram <= size <= ram + (64 << 20),
        "elf-paging": magic[:4] == b"\x7fELF" and size >= ram,
        "kdump-zlib": magic[:12] == b"makedumpfile" and (1 << 20) <= size <= ram,
        "raw": size == ram,
    }[format]
    if not good:
        fail(name, "the dump in %s is not plausible: %d bytes, it begins with %s"
             % (path, size, magic.hex()), "check the room in that folder")
    return size


def reboot(name, dir=None, how="guest", timeout=240):
    """Reboot into the same RAM; returns the path of the new truth.

    @how: "guest" lets the guest reboot itself, "reset" presses the reset button.
    """
    guest = Guest(name, dir)
    with guest.locked():
        state = guest.need_running()
        need_unpaused(guest)
        if how == "guest":
            with Channel(guest) as channel:
                channel.command("reboot", 10.0)
        else:
            with control(guest) as qmp:
                qmp.command("system_reset")
        state["boot_id"] = wait_ready(guest, timeout, not_boot_id=state["boot_id"])
        state["spawned"] = 0
        guest.save(state)
        return gather_truth(guest, state)


def pause(name, dir=None):
    """Stop the guest's processors."""
    guest = Guest(name, dir)
    guest.need_running()
    with control(guest) as qmp:
        qmp.command("stop")


def resume(name, dir=None):
    """Let the guest's processors run again."""
    guest = Guest(name, dir)
    guest.need_running()
    with control(guest) as qmp:
        qmp.command("cont")


def wait_gone(state, seconds):
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if not is_same_process(state["pid"], state["pid_start"]):
            return True
        time.sleep(0.02)
    return False


def kill_qemu(guest, state):
    """End QEMU: ask it first, then by signal. The start time proves that the pid is still its."""
    try:
        with Qmp(guest.name, guest.path("control.sock"), 2.0) as qmp:
            qmp.command("quit", timeout=2.0)
    except LabError as err:
        note(str(err))
    for number in (signal.SIGTERM, signal.SIGKILL):
        if wait_gone(state, 5.0):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(state["pid"], number)
    if not wait_gone(state, 5.0):
        fail(guest.name, "pid %d does not end" % state["pid"], "end it by hand")


def remove_runtime_files(guest, keep_mem):
    leaves = ["pid", "initrd", "serial.sock", "qmp.sock", "control.sock", "state.json", "state.json.part"]
    if not keep_mem:
        leaves += ["mem", *("mem-%d" % node for node in range(8))]
    for leaf in leaves:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(guest.path(leaf))


def stop(name, dir=None, keep_mem=False):
    """End the guest and remove its memory file (unless @keep_mem); the log and the truth stay.

    Returns True when it was running.
    """
    guest = Guest(name, dir)
    if not os.path.isdir(guest.dir):
        fail(name, "no such guest in %s" % guest.base, "'lab.py list' shows guests")
    with guest.locked():
        state = guest.running() or guest.orphan()
        if state:
            kill_qemu(guest, state)
        remove_runtime_files(guest, keep_mem)
    return bool(state)


def guests(dir=None):
    """[{"name", "running", "pid", "release", "dir"}] of all guests that have a folder."""
    base = base_dir(dir)
    found = []
    for name in sorted(os.listdir(base)) if os.path.isdir(base) else []:
        with contextlib.suppress(LabError):
            guest = Guest(name, dir)
            if not os.path.isdir(guest.dir):
                continue
            state = guest.running()
            found.append({"name": name, "running": bool(state), "dir": guest.dir,
                          "pid": state["pid"] if state else None,
                          "release": state["release"] if state else None,
                          "qmp": state["qmp"] if state else None})
    return found


def stop_all(dir=None):
    """Stop every running guest; returns their names."""
    names = [g["name"] for g in guests(dir) if g["running"]]
    for name in names:
        stop(name, dir)
    return names


# ---- command line ----------------------------------------------------------------------------


def print_json(value):
    print(json.dumps(value, indent=1))


def command_fetch(args):
    print_json(fetch(args.suite, args.arch, args.flavour))


def command_boot(args):
    print_json(boot(args.name, dir=args.dir, suite=args.suite, mem=args.mem, procs=args.procs,
                    share=args.share, vmcoreinfo=args.vmcoreinfo, la57=args.la57,
                    keep_mem=args.keep_mem, smp=args.smp, append=args.append,
                    timeout=args.timeout, cpu=args.cpu, dirty=args.dirty, arch=args.arch,
                    flavour=args.flavour, machine=args.machine, numa=args.numa, backend=args.backend,
                    slots=args.slots))


def command_truth(args):
    print(truth(args.name, dir=args.dir, short=args.short))


def command_dump(args):
    print_json(dump(args.name, args.file, format=args.format, dir=args.dir))


def command_reboot(args):
    print(reboot(args.name, dir=args.dir, how=args.how, timeout=args.timeout))


def command_pause(args):
    pause(args.name, dir=args.dir)


def command_resume(args):
    resume(args.name, dir=args.dir)


def command_spawn(args):
    print(spawn(args.name, args.n, dir=args.dir))


def command_load(args):
    load(args.name, args.n, dir=args.dir)


def command_kmsg(args):
    kmsg(args.name, args.text, dir=args.dir)


def command_list(args):
    found = guests(args.dir)
    if args.json:
        print_json(found)
        return
    for guest in found:
        print("%-20s %-8s %-8s %s" % (guest["name"], guest["pid"] or "-",
                                      "running" if guest["running"] else "stopped",
                                      guest["release"] or "-"))


def command_stop(args):
    if args.all:
        for name in stop_all(args.dir):
            print(name)
    elif args.name:
        stop(args.name, dir=args.dir, keep_mem=args.keep_mem)
    else:
        fail("stop", "no guest named", "give a NAME or --all")


def add_command(commands, name, function, help_text, named=True):
    parser = commands.add_parser(name, help=help_text, description=help_text)
    parser.set_defaults(function=function)
    if named:
        parser.add_argument("name", metavar="NAME", help="name of the guest")
    parser.add_argument("--dir", help="folder of all guests' state (default $SONDE_LAB_DIR)")
    return parser


def add_boot_options(parser):
    parser.add_argument("--suite", default=DEFAULT_SUITE, help="Debian suite of the kernel")
    parser.add_argument("--arch", default=DEFAULT_ARCH, help="architecture of the guest")
    parser.add_argument("--flavour", help="which kernel: linux-image-FLAVOUR")
    parser.add_argument("--mem", type=int, default=512, help="RAM in MiB (default 512)")
    parser.add_argument("--smp", type=int, default=1, help="processors (default 1)")
    parser.add_argument("--procs", type=int, default=0, help="extra processes to start")
    parser.add_argument("--share", action=argparse.BooleanOptionalAction, default=True,
                        help="RAM in a file that others can map (default)")
    parser.add_argument("--private", dest="share", action="store_false",
                        help="RAM that is QEMU's own")
    parser.add_argument("--backend", help="QEMU's kind of memory: %s (default file, private: QEMU's own)"
                        % ", ".join(BACKENDS))
    parser.add_argument("--numa", type=int, default=0, help="nodes, a processor and a part of the RAM each")
    parser.add_argument("--slots", action="store_true", help="room for memory to be plugged in")
    parser.add_argument("--machine", help="QEMU's -machine (amd64: q35)")
    parser.add_argument("--vmcoreinfo", action=argparse.BooleanOptionalAction, default=True,
                        help="give the guest a vmcoreinfo device (default)")
    parser.add_argument("--la57", action="store_true", help="5-level page tables")
    parser.add_argument("--cpu", help="QEMU's -cpu (default %s)" % DEFAULT_CPU)
    parser.add_argument("--keep-mem", action="store_true",
                        help="boot into the memory that an earlier run left")
    parser.add_argument("--dirty", choices=("below", "above"),
                        help="leave a whole stale kernel in the lower or upper half of the RAM")
    parser.add_argument("--append", help="more words for the kernel's command line")
    parser.add_argument("--timeout", type=float, default=240, help="seconds until ready")


def make_parser():
    parser = argparse.ArgumentParser(prog="lab.py", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = add_command(commands, "fetch", command_fetch, "get a kernel into the cache", named=False)
    one.add_argument("--suite", default=DEFAULT_SUITE, help="one of %s" % ", ".join(SUITES))
    one.add_argument("--arch", default=DEFAULT_ARCH, help="one of %s" % ", ".join(FLAVOURS))
    one.add_argument("--flavour", help="which kernel: linux-image-FLAVOUR")
    add_boot_options(
        add_command(commands, "boot", command_boot, "boot a guest and leave it running"))
    one = add_command(commands, "truth", command_truth, "ask the guest again for its truth")
    one.add_argument("--short", action=argparse.BooleanOptionalAction, default=None,
                     help="one line per process (default: above %d)" % SHORT_TRUTH_ABOVE)
    one = add_command(commands, "dump", command_dump, "dump the guest's memory")
    one.add_argument("file", metavar="FILE")
    one.add_argument("--format", default="elf", help="one of %s" % ", ".join(DUMP_FORMATS))
    one = add_command(commands, "reboot", command_reboot, "reboot into the same memory")
    one.add_argument("--how", choices=("guest", "reset"), default="guest")
    one.add_argument("--timeout", type=float, default=240, help="seconds until ready")
    add_command(commands, "pause", command_pause, "stop the guest's processors")
    add_command(commands, "resume", command_resume, "let them run again")
    one = add_command(commands, "spawn", command_spawn, "start more processes in the guest")
    one.add_argument("n", metavar="N", type=int)
    one = add_command(commands, "load", command_load, "have processes come and go all the time")
    one.add_argument("n", metavar="N", type=int, help="parents of such processes; 0 ends it")
    one = add_command(commands, "kmsg", command_kmsg, "write a line into the guest's kernel log")
    one.add_argument("text", metavar="TEXT")
    one = add_command(commands, "list", command_list, "list the guests", named=False)
    one.add_argument("--json", action="store_true")
    one = add_command(commands, "stop", command_stop, "end a guest", named=False)
    one.add_argument("name", metavar="NAME", nargs="?")
    one.add_argument("--all", action="store_true", help="all guests of this folder")
    one.add_argument("--keep-mem", action="store_true", help="leave the memory file")
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    try:
        args.function(args)
    except Skip as err:
        print(err, file=sys.stderr)
        return 77
    except LabError as err:
        print(err, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
