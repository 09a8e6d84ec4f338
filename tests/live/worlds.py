# SPDX-License-Identifier: MIT
"""The guests that several tests share, each booted when the first of them asks for it."""
import atexit
import functools

from harness import View, boot

LISTS = (("ps",), ("threads",), ("modules",), ("maps", "--all"), ("dmesg",), ("info",))


class World:
    """A guest and its views, with a truth before and one after all the @lists.

    @targets: how a view is named to the tool, by the view's name. @view: what makes one.
    """

    def __init__(self, guest, targets, lists=LISTS, view=View):
        self.guest = guest
        atexit.register(guest.stop)
        self.views = {name: view(target) for name, target in targets.items()}
        for view in self.views.values():
            for words in lists:
                view.ask(*words)
        guest.tell()

    @property
    def truths(self):
        return self.guest.truths[:2]


class LabWorld(World):
    """A guest that the lab runs, and its dump."""

    def __init__(self, name, views=("dump", "map", "process"), lists=LISTS, **options):
        guest = boot(name, **options)
        self.dump = guest.dump(name + ".elf") if "dump" in views else None
        targets = {"dump": self.dump, "map": guest.target(",via=map"),
                   "process": guest.target(",via=process"), "gdb": f"gdb:qemu:{guest.qmp}"}
        if "kdump" in views:
            targets["kdump"] = guest.dump(name + ".kdump", "kdump-zlib")
        super().__init__(guest, {v: targets[v] for v in views}, lists)


@functools.lru_cache(maxsize=None)
def main():
    return LabWorld("main", views=("dump", "kdump", "map", "process"))


@functools.lru_cache(maxsize=None)
def plain():
    """A guest, and nothing asked of it."""
    guest = boot("plain")
    atexit.register(guest.stop)
    return guest


@functools.lru_cache(maxsize=None)
def busy():
    """Two processors, and memory that both its file and its process show. What runs in it, a test says."""
    guest = boot("busy", smp=2)
    atexit.register(guest.stop)
    return guest


@functools.lru_cache(maxsize=None)
def private():
    """As plain, and its RAM is QEMU's own."""
    guest = boot("private", share=False)
    atexit.register(guest.stop)
    return guest


@functools.lru_cache(maxsize=None)
def crowded():
    """What the guest tells of each of so many is short: no arguments, no mappings."""
    return LabWorld("crowded", lists=(("ps",),), mem=1024, procs=5000)


@functools.lru_cache(maxsize=None)
def five_levels():
    return LabWorld("la57", views=("dump", "process"), suite="trixie", la57=True, share=False)


@functools.lru_cache(maxsize=None)
def arm64():
    return LabWorld("arm64", arch="arm64")


@functools.lru_cache(maxsize=None)
def arm64_16k():
    """Pages of 16 KiB and addresses of 52 bits."""
    return LabWorld("arm64-16k", suite="trixie", arch="arm64", flavour="arm64-16k", smp=2)


@functools.lru_cache(maxsize=None)
def arm64_el2():
    """A kernel that runs where hypervisors do (VHE): what it calls TTBR1_EL1 is TTBR1_EL2."""
    guest = boot("arm64-el2", suite="trixie", arch="arm64", flavour="arm64-16k", smp=2, cpu="max",
                 machine="virt,virtualization=on")
    atexit.register(guest.stop)
    return guest


@functools.lru_cache(maxsize=None)
def riscv64():
    """Five levels. Its kernel is not moved: QEMU gives it no seed; no notes: its machine takes none."""
    return LabWorld("riscv64", suite="trixie", arch="riscv64", vmcoreinfo=False, smp=2)


@functools.lru_cache(maxsize=None)
def old():
    return LabWorld("old", views=("dump", "map"), suite="bullseye")
