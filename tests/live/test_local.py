# SPDX-License-Identifier: MIT
"""A machine's own kernel: the tool runs inside guests of the lab, whose own truth is what it has to say."""
import functools

import compare
import test_compare
from harness import Case
from inside import ENVIRONMENT, TOOL, Inside
from worlds import LISTS, World


class OwnWorld(World):
    """A guest, and what the tool says inside it of the guest's own kernel."""

    def __init__(self, name, lists=LISTS, **options):
        self.inside = Inside(name, **options)
        super().__init__(self.inside.guest, {"local": "local:"}, lists, self.inside.view)


@functools.lru_cache(maxsize=None)
def own():
    return OwnWorld("own")


@functools.lru_cache(maxsize=None)
def own_new():
    return OwnWorld("own-new", lists=(("ps",), ("modules",)), suite="trixie")


class OwnKernelTest(test_compare.Comparison, Case):
    world_of, name = staticmethod(own), "local"

    def ask(self, *args):
        return self.world.inside.run(*args)

    def test_symbols_have_the_addresses_and_the_number_that_the_guest_says(self):
        """Those that the guest names: all of them would take a minute on a serial line."""
        wanted = self.truths()[0]["symbols"]
        names = sorted(wanted["names"])
        rows = [r for r in self.view().rows("sym", *names) if r["module"] is None]
        found = {(r["name"], r["addr"]): r["type"] for r in rows}
        for name in names:
            key = (name, hex(int(wanted["names"][name], 16)))
            self.assertEqual(found.get(key), wanted["types"][name], name)
        self.assertEqual(self.view().info()["symbols"], wanted["n_core"])

    def test_the_kernel_was_found_by_its_own_note(self):
        info = self.view().info()
        self.assertEqual(info["found_by"], "the running kernel's VMCOREINFO note")
        self.assertRegex(info["detail"], r"this machine's kernel, /proc/kcore, \d+ MiB of RAM up to 0x")
        self.assertTrue(info["live"])
        self.assertFalse(info["writable"])

    def test_regions_are_the_ram_that_iomem_names(self):
        wanted = [line.split(" : ") for line in self.truths()[0]["iomem"].splitlines()]
        pages = [(int(a, 16) + 4095 & ~4095, int(b, 16) + 1 & ~4095)
                 for span, name in wanted if name == "System RAM" for a, b in [span.split("-")]]
        rows = self.view().rows("maps", "--phys")
        self.assertEqual([(int(r["start"], 16), int(r["end"], 16)) for r in rows],
                         [p for p in pages if p[0] < p[1]])

    def test_memory_of_a_process_is_what_it_wrote(self):
        pattern = self.truths()[-1]["pattern"]
        magic = int(pattern["magic"], 16)
        pages = {p["kind"]: p for p in pattern["pages"] if p["present"]}
        self.assertGreater(len(pages), 2)
        for kind, page in pages.items():
            with self.subTest(kind):
                va = int(page["va"], 16)
                result = self.ask("read", "local:", "--pid", page["pid"], hex(va), 16, "--raw")
                self.assertEqual(result.out, b"".join((magic ^ v).to_bytes(8, "little")
                                                      for v in (va, va + 8)), str(result))
                row = self.ask("translate", "local:", "--pid", page["pid"], hex(va), "--json").rows[0]
                self.assertEqual(row["pa"], page["pa"])

    def test_what_is_no_memory_fails_alone(self):
        last = int(self.view().rows("maps", "--phys")[-1]["end"], 16)
        result = self.ask("read", "local:", hex(last - 16), 32, "--phys", "--json")
        self.expect_partial(result, "16 of 32 bytes could not be read")
        self.assertEqual({r["error"] for r in result.rows}, {None, "NOT_MAPPED"})


# What the tool serves, as Linux sees it that has mounted it: a line for each thing that is done there.
MOUNT = """
set -e
mkdir -p /tmp/served/dir /tmp/there
echo text >/tmp/served/dir/file
ln -s dir/file /tmp/served/link
{serve} --9p /tmp/served --write --listen 127.0.0.1:5640 >/tmp/said 2>&1 &
server=$!
trap 'kill $server; cat /tmp/said >&2' EXIT
until grep -qs 5640 /tmp/said; do kill -0 $server; sleep 0.1; done
mount -t 9p -o trans=tcp,port=5640,version=9p2000.L,msize=131072,access=any 127.0.0.1 /tmp/there
cd /tmp/there
ls
cat link
readlink link
dd if=/dev/urandom of=big bs=1M count=3 2>/dev/null
sync
cmp big /tmp/served/big && echo same
mkdir made && mv big made/moved && ln made/moved second
stat -c '%h %s' made/moved
truncate -s 5 second && wc -c <made/moved
rm -r made second link
cat nothing 2>&1 || true
cd /
umount /tmp/there
ls /tmp/served
"""
MOUNTED = """dir
link
text
dir/file
same
2 3145728
5
cat: can't open 'nothing': No such file or directory
dir
"""


class MountTest(Case):
    """Debian's kernels for clouds have no 9P."""

    def test_linux_mounts_what_the_tool_serves(self):
        serve = " ".join(("env", *ENVIRONMENT, TOOL, "serve"))
        _, result = Inside("mounted", flavour="amd64").execute("/bin/busybox", "sh", "-c", MOUNT.format(serve=serve))
        self.assertEqual((result.out.decode(), result.code), (MOUNTED, 0), result.err)


class NewKernelTest(Case):
    """6.12, and all that can stand in the way: none of it hinders the other tests, for the lists were asked for before."""

    @classmethod
    def setUpClass(cls):
        cls.world = own_new()
        cls.inside = cls.world.inside

    def test_processes_and_modules_are_those_of_the_guest(self):
        view, truths = self.world.views["local"], self.world.truths
        self.assertEqual(compare.process_list_faults(view.rows("ps"), truths), [])
        self.assertIn(compare.modules_of_rows(view.rows("modules")), map(compare.modules_of, truths))

    def refuse(self, target, *parts, **how):
        self.expect(self.inside.run("info", target, **how), 4, *parts)

    def shell(self, script):
        _, result = self.inside.execute("/bin/busybox", "sh", "-c", script)
        self.assertEqual(result.code, 0, str(result))

    def test_a_user_is_told_to_be_root(self):
        self.refuse("local:", "local: '/proc/kcore': permission denied: be root",
                    "'/dev/crash': not there", "'/dev/mem': permission denied", uid=65534)

    def test_a_capability_that_is_missing_is_named(self):
        self.addCleanup(self.shell, "busybox chmod 400 /proc/kcore")
        self.shell("busybox chmod 444 /proc/kcore")
        self.refuse("kcore:", "needs CAP_SYS_RAWIO: be root", uid=65534)

    def test_root_of_a_user_name_space_is_told_to_leave_it(self):
        self.refuse("kcore:", "root of a user name space only", before=("/bin/busybox", "unshare", "-r"))

    def test_a_file_over_kcore_is_seen_for_one(self):
        self.refuse("kcore:", "another file stands in its place",
                    before=("/bin/busybox", "unshare", "-m", "/bin/busybox", "sh", "-c",
                            'busybox mount -o bind /dev/null /proc/kcore && exec "$@"', "sh"))

    def test_what_the_kernel_itself_closes_is_told_apart(self):
        """In this order, for nothing takes lockdown back."""
        self.refuse("devmem:", "devmem: '/dev/mem': ", "CONFIG_STRICT_DEVMEM", "kcore:")
        bios = self.expect(self.inside.run("read", "devmem:,mmio=yes", "0xffff0", 16, "--phys", "--raw"), 0)
        self.assertEqual(bios.out[0], 0xEA)  # the far jump with which a PC starts
        self.shell("busybox mount -t securityfs none /sys/kernel/security;"
                   "echo integrity >/sys/kernel/security/lockdown")
        self.refuse("local:mem", "kernel's lockdown, mode integrity")
        self.expect(self.inside.run("maps", "local:", "--phys"), 0)
        self.shell("echo confidentiality >/sys/kernel/security/lockdown")
        self.refuse("local:", "'/proc/kcore': closed by the kernel's lockdown, mode confidentiality",
                    "'/dev/mem': closed by the kernel's lockdown, mode confidentiality")
