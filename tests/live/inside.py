# SPDX-License-Identifier: MIT
"""
The tool run inside a guest, on the guest's own kernel.

archive()    the tool, its plugins and libraries, for lab.boot to unpack in the guest
Inside       a guest that has them
"""
import functools
import json
import os
import re
import stat
import subprocess

from harness import FOLDER, SONDE, Result, View, boot, lab, text_of

PLUGINS = ("kcore", "crashdev", "devmem", "local", "native")
TOOL = "/sonde/bin/sonde"
# Sanitizers: memory is short in a guest, and looking for leaks needs to stop all threads.
ENVIRONMENT = ("SONDE_PLUGIN_PATH=/sonde/plugins", "LD_LIBRARY_PATH=/sonde/lib",
               "ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=8")


def plugin_files():
    found = {}
    for folder in reversed(os.environ["SONDE_PLUGIN_PATH"].split(":")):
        for name in PLUGINS:
            path = os.path.join(folder, name + ".so")
            if os.path.exists(path):
                found[name] = path
    return found.values()


def libraries():
    """{where the guest looks for it: path} of what the tool is linked with; the loader has a place of its own."""
    told = subprocess.run(["ldd", SONDE], stdout=subprocess.PIPE, check=True, text=True).stdout
    found = {f"sonde/lib/{leaf}": path for leaf, path in re.findall(r"(\S+) => (/\S+)", told)}
    loader = re.search(r"^\s*(/\S+/ld-\S+)", told, re.M)[1]
    return {**found, loader[1:]: loader}


@functools.lru_cache(maxsize=None)
def archive():
    cpio = lab.Cpio()
    files = {TOOL[1:]: SONDE, **libraries()}
    files.update({f"sonde/plugins/{os.path.basename(p)}": p for p in plugin_files()})
    folders = {os.path.dirname(at)[:end] for at in files
               for end in [i for i, c in enumerate(os.path.dirname(at) + "/") if c == "/"]}
    for folder in sorted(folders):
        cpio.add(folder, stat.S_IFDIR | 0o755)
    for at, path in files.items():
        cpio.add(at, stat.S_IFREG | 0o755, lab.read_bytes(path))
    path = os.path.join(FOLDER, "tool.cpio")
    with open(path, "wb") as out:
        out.write(cpio.finish())
    return path


def leave_itself_out(result, pid):
    """The tool sees itself too, whose memory changes while it looks, and of which no truth of the guest's tells."""
    result.out = json.dumps([r for r in result.rows if r.get("pid") != pid]).encode()
    said = result.err.splitlines()
    others = [line for line in said if f"process {pid}: " not in line]
    if said and not others:
        result.code = 0
    result.err = "".join(line + "\n" for line in others)


class InsideView(View):
    """What the tool says inside."""

    def __init__(self, inside, target):
        super().__init__(target)
        self.inside = inside

    def run(self, *args):
        return self.inside.run(*args)


class Inside:
    def __init__(self, name, **options):
        self.guest = boot(name, extra=archive(), **options)

    def execute(self, *words, uid=0):
        """Any program of the guest; a Result."""
        done = lab.run(self.guest.name, words, uid=uid, timeout=600, dir=FOLDER)
        return done.pid, Result(list(words), done.code, done.out, text_of(done.err))

    def run(self, *args, uid=0, before=()):
        """The tool, behind words such as unshare; rows of its own process are taken out."""
        pid, result = self.execute("/bin/busybox", "env", *ENVIRONMENT, *before, TOOL,
                                   *map(str, args), uid=uid)
        if "--json" in args and args[0] in ("ps", "threads", "maps") and result.out:
            leave_itself_out(result, pid)
        return result

    def view(self, target):
        return InsideView(self, target)
