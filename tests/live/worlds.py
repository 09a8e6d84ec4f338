# SPDX-License-Identifier: MIT
"""The guests that several tests share, each booted when the first of them asks for it."""
import atexit
import functools

from harness import View, boot

LISTS = (("ps",), ("threads",), ("modules",), ("maps", "--all"), ("dmesg",), ("info",))


class World:
    """A guest, its dump and its views, with a truth before and one after all the @lists."""

    def __init__(self, name, views=("dump", "map", "process"), lists=LISTS, **options):
        self.guest = boot(name, **options)
        atexit.register(self.guest.stop)
        self.dump = self.guest.dump(name + ".elf")
        targets = {"dump": self.dump, "map": self.guest.target(",via=map"),
                   "process": self.guest.target(",via=process")}
        self.views = {v: View(targets[v]) for v in views}
        for view in self.views.values():
            for words in lists:
                view.ask(*words)
        self.guest.tell()

    @property
    def truths(self):
        return self.guest.truths[:2]


@functools.lru_cache(maxsize=None)
def main():
    return World("main")


@functools.lru_cache(maxsize=None)
def plain():
    """A guest, and nothing asked of it."""
    guest = boot("plain")
    atexit.register(guest.stop)
    return guest


@functools.lru_cache(maxsize=None)
def crowded():
    """What the guest tells of each of so many is short: no arguments, no mappings."""
    return World("crowded", lists=(("ps",),), mem=1024, procs=5000)


@functools.lru_cache(maxsize=None)
def five_levels():
    return World("la57", views=("dump", "process"), suite="trixie", la57=True)


@functools.lru_cache(maxsize=None)
def arm64():
    return World("arm64", arch="arm64")


@functools.lru_cache(maxsize=None)
def arm64_16k():
    """Pages of 16 KiB and addresses of 52 bits."""
    return World("arm64-16k", suite="trixie", arch="arm64", flavour="arm64-16k", smp=2)


@functools.lru_cache(maxsize=None)
def riscv64():
    """Five levels. Its kernel is not moved: QEMU gives it no seed; no notes: its machine takes none."""
    return World("riscv64", suite="trixie", arch="riscv64", vmcoreinfo=False, smp=2)


@functools.lru_cache(maxsize=None)
def old():
    return World("old", views=("dump", "map"), suite="bullseye")
