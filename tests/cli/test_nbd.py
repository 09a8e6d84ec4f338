# SPDX-License-Identifier: MIT
"""sonde serve and nbd: against each other, against the clients and servers of others, and against those who mean ill."""
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

from harness import FOLDER, SONDE, SOURCE, Case, make_file, run

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "synth"))
import nbd_session as nbd  # noqa: E402
from connection import attack  # noqa: E402

BYTES = random.Random(1).randbytes(3 << 20)
CLIENT = json.loads(run("plugins", "--json").out)
HAS_CLIENT = any(row["name"] == "nbd" for row in CLIENT)
HOLED = "ram:64k,hole=0x3000+0x1000,fail=0x8000+0x100"


def holed_bytes():
    data = bytearray(i // 16 & 0xff for i in range(65536))
    data[0x3000:0x4000] = bytes(0x1000)
    return bytes(data)


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise unittest.SkipTest(f"{program} is not installed")


class Server:
    """sonde serve of a target, for as long as a with statement takes."""

    def __init__(self, *words, exe=SONDE):
        self.words = [exe, "serve", *words, "--json"]

    def __enter__(self):
        if "--listen" not in self.words:
            self.words += ["--listen", "127.0.0.1:0"]
        self.child = subprocess.Popen(self.words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        text = ""
        while not text.endswith("]\n"):
            line = self.child.stdout.readline()
            if not line:
                raise AssertionError(self.child.communicate()[1])
            text += line
        self.row = json.loads(text)[0]
        self.target, self.uri = self.row["target"], self.row["uri"]
        self.where = re.sub(r"\Anbds?:", "", self.target)
        return self

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGTERM)
        self.err = self.child.communicate(timeout=60)[1]

    def session(self, **options):
        return nbd.Session(self.where, **options)

    def memory(self):
        """Bytes that it takes up."""
        with open(f"/proc/{self.child.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) << 10


class Bytes(Case):
    """What goes over the wire, by hand."""

    def test_greeting_and_what_is_exported(self):
        with Server(HOLED, "--export", "ram") as server, server.session() as session:
            self.assertEqual(session.greeting, b"NBDMAGICIHAVEOPT\0\3")
            kind, data = session.ask(nbd.LIST)[0]
            self.assertEqual((kind, data[:7]), (2, b"\0\0\0\3ram"))
            answers = session.ask(nbd.GO, nbd.named(b"ram", b"\0\1\0\3"))
            self.assertEqual([kind for kind, _ in answers], [3, 3, 1])
            self.assertEqual(struct.unpack(">HQH", answers[0][1])[:2], (0, 65536))
            self.assertEqual(struct.unpack(">HIII", answers[1][1]), (3, 1, 4096, 8 << 20))
            session.send(nbd.request(nbd.READ, 16, 32))
            self.assertEqual(session.simple(32), (0, 7, b"\1" * 16 + b"\2" * 16))

    def test_a_read_is_data_holes_and_errors(self):
        with Server(HOLED) as server, server.session() as session:
            session.go()
            session.send(nbd.request(nbd.READ, 0x2ff0, 0x1020))
            found = session.chunks()
            self.assertEqual(found, [(nbd.DATA, struct.pack(">Q", 0x2ff0) + b"\xff" * 16),
                                     (nbd.HOLE, struct.pack(">QI", 0x3000, 0x1000)),
                                     (nbd.DATA, struct.pack(">Q", 0x4000) + b"\0" * 16)])
            session.send(nbd.request(nbd.READ, 0x7ff0, 0x120))
            (one, two, three) = session.chunks()
            self.assertEqual([kind for kind, _ in (one, two, three)], [nbd.DATA, nbd.ERROR_OFFSET, nbd.DATA])
            self.assertEqual(struct.unpack(">I", two[1][:4])[0], nbd.EIO)
            self.assertEqual(two[1][-8:], struct.pack(">Q", 0x8000))
            session.send(nbd.request(nbd.READ, 0x2ff0, 0x1020, flags=4))  # in one piece, or not at all
            self.assertEqual(session.chunks(), [(nbd.DATA, struct.pack(">Q", 0x2ff0) + holed_bytes()[0x2ff0:0x4010])])
            session.send(nbd.request(nbd.READ, 0x7ff0, 0x120, flags=4))
            self.assertEqual([kind for kind, _ in session.chunks()], [nbd.ERROR])

    def test_an_old_client_is_served_by_simple_replies(self):
        with Server(HOLED) as server, server.session() as session:
            session.send(nbd.option(nbd.EXPORT_NAME))
            self.assertEqual(struct.unpack(">Q", session.take(10)[:8])[0], 65536)
            session.send(nbd.request(nbd.READ, 0x2ff0, 0x1020))
            self.assertEqual(session.simple(0x1020), (0, 7, holed_bytes()[0x2ff0:0x4010]))
            session.send(nbd.request(nbd.READ, 0x7ff0, 0x120) + nbd.request(nbd.READ, 0, 16, cookie=8))
            answers = {cookie: (error, data) for error, cookie, data in (session.simple(16), session.simple(16))}
            self.assertEqual(answers, {7: (nbd.EIO, b""), 8: (0, bytes(16))})

    def test_blocks_are_regions(self):
        def extents(data):
            return data[:4], list(struct.iter_unpack(">II", data[4:]))
        with Server(HOLED) as server, server.session() as session:
            session.go(contexts=(b"base:allocation", b"sonde:regions", b"other:thing"))
            session.send(nbd.request(nbd.STATUS, 0, 65536))
            one, two = [extents(data) for _, data in session.chunks()]
            self.assertEqual(one[1], [(0x3000, 0), (0x1000, 3), (0x4000, 0), (0x100, 3), (0x7f00, 0)])
            self.assertEqual([(n, bool(flags)) for n, flags in two[1]], [(n, not state) for n, state in one[1]])
            self.assertNotEqual(one[0], two[0])
            session.send(nbd.request(nbd.STATUS, 0x2800, 0x1000, flags=8))  # only the first
            self.assertEqual([extents(data)[1][0][0] for _, data in session.chunks()], [0x800, 0x800])

    def test_what_is_refused_fails_alone(self):
        wrong = [((nbd.READ, 65536, 1), nbd.EINVAL), ((nbd.READ, 65535, 2), nbd.EINVAL), ((nbd.READ, 0, 0), nbd.EINVAL),
                 ((nbd.READ, 2**64 - 1, 2), nbd.EINVAL), ((nbd.READ, 0, 2**32 - 1), nbd.EINVAL),
                 ((nbd.FLUSH, 0, 0), nbd.EINVAL), ((nbd.TRIM, 0, 1), nbd.EINVAL), ((99, 0, 1), nbd.EINVAL),
                 ((nbd.ZEROES, 0, 16), nbd.EPERM), ((nbd.STATUS, 0, 16), nbd.EINVAL), ((nbd.CACHE, 65536, 1), nbd.EINVAL)]
        with Server(HOLED) as server, server.session() as session:
            session.go(structured=False)
            for words, error in wrong:
                session.send(nbd.request(*words))
                self.assertEqual(session.simple(), (error, 7, b""), words)
            session.send(nbd.request(nbd.WRITE, 0, 5) + b"hello" + nbd.request(nbd.CACHE, 0, 4096, cookie=9))
            self.assertEqual(sorted([session.simple(), session.simple()]), [(0, 9, b""), (nbd.EPERM, 7, b"")])
            session.send(nbd.request(nbd.READ, 0, 16, cookie=8) + nbd.request(nbd.DISC))
            self.assertEqual(session.simple(16), (0, 8, bytes(16)))
            self.assertTrue(session.is_closed())

    def test_writes_reach_the_target(self):
        with Server("ram:64k", "--write") as server, server.session() as session:
            session.go(structured=False)
            for words, more, error in (((nbd.WRITE, 100, 5), b"hello", 0), ((nbd.ZEROES, 200, 1000), b"", 0),
                                       ((nbd.FLUSH, 0, 0), b"", 0), ((nbd.WRITE, 65535, 2), b"xy", nbd.ENOSPC),
                                       ((nbd.ZEROES, 0, 65537), b"", nbd.ENOSPC)):
                session.send(nbd.request(*words) + more)
                self.assertEqual(session.simple()[0], error, words)
            session.send(nbd.request(nbd.READ, 98, 9))
            self.assertEqual(session.simple(9)[2], b"\6\6hello\6\6")
            session.send(nbd.request(nbd.READ, 199, 1002))
            self.assertEqual(session.simple(1002)[2], b"\x0c" + bytes(1000) + b"\x4b")

    def test_replies_overtake_each_other(self):
        with Server("ram:64k,mode=submit,seed=5") as server, server.session() as session:
            session.go(structured=False)
            session.send(b"".join(nbd.request(nbd.READ, i * 16, 16, cookie=i) for i in range(200)))
            answers = [session.simple(16) for _ in range(200)]
            self.assertEqual({cookie: data for _, cookie, data in answers}, {i: bytes([i]) * 16 for i in range(200)})
            self.assertNotEqual([cookie for _, cookie, _ in answers], list(range(200)))


class Addresses(Case):
    def test_others_than_this_machine_need_tls_or_a_word(self):
        for where in ("0.0.0.0:0", "[::]:0"):
            result = run("serve", "ram:64k", "--listen", where)
            self.expect_error(result, 1, where, "--tls-psk", "--insecure")
        with Server("ram:64k", "--listen", "0.0.0.0:0", "--insecure") as server:
            with nbd.Session("127.0.0.1:" + server.where.rsplit(":", 1)[1]) as session:
                session.go()

    def test_options_that_make_no_sense(self):
        for words, code, part in ((("--listen", "127.0.0.1:x"), 1, "ADDRESS:PORT"), (("--listen", "unix:"), 1, "unix:/PATH"),
                                  (("--listen", "unix:" + "x" * 108), 1, "107 bytes"), (("--tls-cert", "x"), 2, "--tls-key"),
                                  (("--tls-psk", "x", "--insecure"), 2, "exclude"), (("--export", "x" * 256), 2, "255"),
                                  (("--tls-ca", "x"), 2, "--tls-cert"), (("--tls-psk", FOLDER + "/none"), 1, "TLS")):
            self.expect_error(run("serve", "ram:64k", *words), code, part)

    def test_a_socket_is_its_owners_and_goes_with_the_server(self):
        path = FOLDER + "/one.sock"
        with Server("ram:64k", "--listen", "unix:" + path) as server:
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            self.expect_error(run("serve", "ram:64k", "--listen", "unix:" + path), 1, "in use")
            with server.session() as session:
                session.go()
        self.assertFalse(os.path.exists(path))
        self.assertEqual(server.child.returncode, 0)

    def test_a_port_is_taken_once(self):
        with Server("ram:64k") as server:
            self.expect_error(run("serve", "ram:64k", "--listen", server.where), 1, "in use")


@unittest.skipUnless(HAS_CLIENT, "built without libnbd")
class Client(Case):
    @classmethod
    def setUpClass(cls):
        cls.file = make_file("served.raw", BYTES)

    def test_what_is_read_is_what_is_there(self):
        with Server("flat:" + self.file) as server:
            result = run("read", server.target, 0, len(BYTES), "--phys", "--raw", text=False)
            self.assertEqual((result.code, result.out == BYTES), (0, True), result.err)
            self.expect(run("read", server.target, 12345, 7, "--phys", "--hex"), 0, BYTES[12345:12352].hex() + "\n")
            self.expect(run("read", server.target + "/memory", 1, 1, "--phys", "--hex"), 0, BYTES[1:2].hex() + "\n")
            self.expect(run("read", "nbd:" + server.uri[4:], 1, 1, "--phys", "--hex"), 0, BYTES[1:2].hex() + "\n")
            self.expect_error(run("info", server.target + "/other"), 4, "other")

    def test_an_example_is_here_or_elsewhere_by_one_word(self):
        example = os.path.join(os.environ["SONDE_EXAMPLES"], "22-remote")
        with Server("flat:" + self.file) as server:
            here, there = (subprocess.run([example, target], capture_output=True, text=True, check=True).stdout
                           for target in ("flat:" + self.file, server.target))
        self.assertEqual(there, here)
        self.assertIn(f"{len(BYTES)} bytes, 0 missing", here)

    def test_holes_errors_and_regions_travel(self):
        with Server(HOLED) as server:
            for words in (("read", 0x2ff0, 0x1020, "--phys", "--json"), ("maps", "--phys", "--json", "--fields", "start,end,perms")):
                there, here = (run(words[0], target, *words[1:]) for target in (server.target, HOLED))
                self.assertEqual((there.code, there.out), (here.code, here.out), there)
            result = run("read", server.target, 0x7ff0, 0x120, "--phys", "--hex")
            self.assertEqual(result.code, 3)
            self.assertIn("0x8000-0x80ff: the backend failed", result.err)
            result = run("read", server.target, 0xfff0, 32, "--phys", "--json")
            self.assertEqual((result.code, [row["error"] for row in json.loads(result.out)]), (3, [None, "NOT_MAPPED"]))

    def test_writes(self):
        with Server("ram:64k", "--write", "--listen", "unix:" + FOLDER + "/write.sock") as server:
            self.expect(run("write", server.target, 100, "--string", "hello", "--phys", "--write"), 0)
            self.expect(run("read", server.target, 98, 9, "--phys", "--hex"), 0, "060668656c6c6f0606\n")
        with Server("ram:64k") as server:
            result = run("write", server.target, 100, "--string", "hello", "--phys", "--write")
            self.expect_error(result, 4, "lets nobody write", "--write")

    def test_nobody_serves_there(self):
        self.expect_error(run("info", "nbd:127.0.0.1:1"), 4, "127.0.0.1:1", "sonde serve")
        self.expect_error(run("info", "nbd:unix:" + FOLDER + "/none"), 4, "none", "sonde serve")
        self.expect_error(run("info", "nbd:127.0.0.1:x"), 4, "HOST:PORT")
        self.expect_error(run("info", "nbd:"), 4, "which server?")

    def test_who_speaks_no_nbd(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            target = f"nbd:127.0.0.1:{listener.getsockname()[1]},timeout=300"
            self.expect_error(run("info", target), 4, "no answer")

    def test_a_server_that_is_killed_midway(self):
        with Server(f"flat:{self.file}|delay,ms=30000") as slow, Server(f"flat:{self.file}") as server:
            for one, sends in ((slow, signal.SIGKILL), (server, None)):
                child = subprocess.Popen([SONDE, "read", one.target, "0", str(len(BYTES)), "--phys", "--raw"],
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                if sends:
                    time.sleep(1)
                    one.child.send_signal(sends)
                out, err = child.communicate(timeout=60)
                if sends:
                    self.assertIn(child.returncode, (1, 3, 4), err)
                    self.assertIn(b"went away", err)
                else:
                    self.assertEqual(out, BYTES)

    def test_a_server_that_dies_in_the_midst_of_an_answer(self):
        """Half of the bytes are sent; then nobody is there."""
        def serve(listener):
            with listener.accept()[0] as peer:
                peer.sendall(b"NBDMAGICIHAVEOPT\0\3")
                peer.recv(4)
                while True:
                    head = peer.recv(16, socket.MSG_WAITALL)
                    number, length = struct.unpack(">II", head[8:])
                    peer.recv(length, socket.MSG_WAITALL) if length else None
                    if number == nbd.GO:
                        info = struct.pack(">HQH", 0, 8192, 1)
                        peer.sendall(struct.pack(">QIII", 0x3e889045565a9, number, 3, len(info)) + info)
                    kind = 1 if number in (nbd.GO, nbd.STRUCTURED) else 0x80000001
                    peer.sendall(struct.pack(">QIII", 0x3e889045565a9, number, kind, 0))
                    if number == nbd.GO:
                        break
                _, _, _, cookie, off, _ = struct.unpack(">IHHQQI", peer.recv(28, socket.MSG_WAITALL))
                peer.sendall(struct.pack(">IHHQIQ", 0x668e33ef, 0, 1, cookie, 8 + 4096, off) + b"x" * 4096)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=serve, args=(listener,))
            thread.start()
            result = run("read", f"nbd:127.0.0.1:{listener.getsockname()[1]}", 0, 8192, "--phys", "--json")
            thread.join()
        rows = json.loads(result.out)
        self.assertEqual([(row["len"], row["error"]) for row in rows], [(4096, None), (4096, "GONE")], result)
        self.assertEqual(bytes.fromhex(rows[0]["data"]), b"x" * 4096)
        self.assertIn("meanwhile: nbd: ", result.err)


class Foreign(Case):
    """Clients and servers that others wrote."""

    def test_nbdinfo(self):
        need("nbdinfo")
        with Server(HOLED) as server:
            text = subprocess.run(["nbdinfo", "--json", server.uri], capture_output=True, text=True, check=True).stdout
            export = json.loads(text)["exports"][0]
            self.assertEqual((export["export-size"], export["contexts"]), (65536, ["base:allocation", "sonde:regions"]))
            text = subprocess.run(["nbdinfo", "--map", "--json", server.uri], capture_output=True, text=True, check=True).stdout
            self.assertEqual([(row["offset"], row["length"], row["type"]) for row in json.loads(text)][:3],
                             [(0, 0x3000, 0), (0x3000, 0x1000, 3), (0x4000, 0x4000, 0)])

    def test_nbdcopy(self):
        need("nbdcopy")
        file, copy = make_file("copied.raw", BYTES), FOLDER + "/copy.raw"
        with Server("flat:" + file) as server:
            subprocess.run(["nbdcopy", server.uri, copy], check=True, timeout=60)
        with open(copy, "rb") as copied:
            self.assertEqual(copied.read(), BYTES)
        with Server("ram:64k,hole=0x3000+0x1000", "--listen", "unix:" + FOLDER + "/copy.sock") as server:
            subprocess.run(["nbdcopy", server.uri, copy], check=True, timeout=60)
        with open(copy, "rb") as copied:
            self.assertEqual(copied.read(), holed_bytes())

    def test_qemu_img(self):
        need("qemu-img")
        copy = FOLDER + "/converted.raw"
        with Server("ram:64k,hole=0x3000+0x1000") as server:
            text = subprocess.run(["qemu-img", "map", "--output=json", server.uri], capture_output=True, text=True,
                                  check=True, timeout=60).stdout
            self.assertEqual([(row["start"], row["length"], row["data"]) for row in json.loads(text)],
                             [(0, 0x3000, True), (0x3000, 0x1000, False), (0x4000, 0xc000, True)])
            subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "raw", server.uri, copy], check=True, timeout=60)
        with open(copy, "rb") as copied:
            self.assertEqual(copied.read(), holed_bytes())

    @unittest.skipUnless(HAS_CLIENT, "built without libnbd")
    def test_nbdkit(self):
        need("nbdkit")
        file, path = make_file("kit.raw", BYTES), FOLDER + "/kit.sock"
        with subprocess.Popen(["nbdkit", "-f", "-U", path, "file", file]) as kit:
            deadline = time.monotonic() + 60
            while not os.path.exists(path) and time.monotonic() < deadline:
                time.sleep(0.02)
            result = run("read", "nbd:unix:" + path, 0, len(BYTES), "--phys", "--raw", text=False)
            kit.terminate()
        self.assertEqual((result.code, result.out == BYTES), (0, True), result.err)


class Secure(Case):
    """TLS, with keys that gnutls has made and libnbd's gnutls on the other side."""

    @classmethod
    def setUpClass(cls):
        need("psktool", "certtool")
        if "this build has none" in run("serve", "ram:64k", "--tls-psk", FOLDER + "/none").err:
            raise unittest.SkipTest("built without OpenSSL")
        cls.psk = FOLDER + "/keys.psk"
        subprocess.run(["psktool", "-u", "ann", "-p", cls.psk], check=True, capture_output=True)

    def test_keys_that_both_know(self):
        with Server("ram:64k", "--tls-psk", self.psk, "--listen", "0.0.0.0:0") as server:
            port = server.where.rsplit(":", 1)[1]
            with nbd.Session("127.0.0.1:" + port) as session:
                self.assertEqual(session.ask(nbd.LIST)[0][0], 0x80000005)  # NBD_REP_ERR_TLS_REQD
            self.expect_error(run("info", "nbd:127.0.0.1:" + port), 4, "TLS") if HAS_CLIENT else None
            if HAS_CLIENT:
                target = f"nbds:127.0.0.1:{port},tls-psk={self.psk},tls-username="
                self.expect(run("read", target + "ann", 16, 4, "--phys", "--hex"), 0, "01010101\n")
                self.expect_error(run("info", target + "bob"), 4, "nbd: ")
            if shutil.which("nbdinfo"):
                uri = f"nbds://ann@127.0.0.1:{port}/?tls-psk-file={self.psk}"
                size = subprocess.run(["nbdinfo", "--size", uri], capture_output=True, text=True, check=False)
                self.assertEqual(size.stdout, "65536\n", size.stderr)

    @unittest.skipUnless(HAS_CLIENT, "built without libnbd")
    def test_certificates_of_both(self):
        folder = FOLDER + "/pki"
        os.makedirs(folder)
        for name, lines in (("ca", "cn = ca\nca\ncert_signing_key\n"), ("server", "cn = localhost\ndns_name = localhost\ntls_www_server\n"),
                            ("client", "cn = ann\ntls_www_client\n")):
            with open(f"{folder}/{name}.info", "w", encoding="ascii") as info:
                info.write(lines)
            tool = ["certtool", "--generate-privkey", "--key-type", "ecdsa", "--outfile", f"{folder}/{name}-key.pem"]
            subprocess.run(tool, check=True, capture_output=True)
            how = ["--generate-self-signed"] if name == "ca" else [
                "--generate-certificate", "--load-ca-certificate", f"{folder}/ca-cert.pem", "--load-ca-privkey", f"{folder}/ca-key.pem"]
            subprocess.run(["certtool", *how, "--template", f"{folder}/{name}.info", "--load-privkey", f"{folder}/{name}-key.pem",
                            "--outfile", f"{folder}/{name}-cert.pem"], check=True, capture_output=True)
        make_file("tls.raw", BYTES)
        with Server("flat:" + FOLDER + "/tls.raw", "--tls-cert", folder + "/server-cert.pem", "--tls-key", folder + "/server-key.pem",
                    "--tls-ca", folder + "/ca-cert.pem") as server:
            target = f"nbds:localhost:{server.where.rsplit(':', 1)[1]},tls-certificates="
            result = run("read", target + folder, 0, len(BYTES), "--phys", "--raw", text=False)
            self.assertEqual((result.code, result.out == BYTES), (0, True), result.err)
            only_ca = folder + "/only-ca"
            os.makedirs(only_ca)
            shutil.copy(folder + "/ca-cert.pem", only_ca)
            self.assertNotEqual(run("read", target + only_ca, 0, 1, "--phys").code, 0)
        self.expect_error(run("serve", "ram:64k", "--tls-cert", folder + "/ca-cert.pem", "--tls-key", folder + "/client-key.pem"),
                          1, "TLS: key")


class Hostile(Case):
    """Sessions that no client would begin, while others are served."""

    def broken_options(self, random_):
        yield b""
        yield random_.randbytes(random_.randrange(1, 64))
        yield b"GET / HTTP/1.1\r\n\r\n"
        yield nbd.OPTION + struct.pack(">II", nbd.GO, 0xffffffff)
        yield nbd.OPTION + struct.pack(">II", nbd.GO, 16385) + bytes(100)
        yield nbd.option(nbd.GO, struct.pack(">I", 0xfffffff0))
        yield nbd.option(nbd.SET_META, nbd.named(b"", struct.pack(">I", 0xffffffff)))
        yield nbd.option(nbd.LIST, b"x") * 200
        yield nbd.option(random_.randrange(1 << 32), random_.randbytes(random_.randrange(100)))
        yield nbd.option(nbd.STARTTLS) + nbd.option(nbd.ABORT)
        yield nbd.option(nbd.EXPORT_NAME, b"no such")
        yield nbd.option(nbd.EXPORT_NAME) + random_.randbytes(28)
        yield nbd.option(nbd.EXPORT_NAME) + nbd.request(nbd.WRITE, 0, 0xffffffff)
        yield nbd.option(nbd.EXPORT_NAME) + nbd.request(nbd.WRITE, 0, 1 << 20) + bytes(100)
        yield nbd.option(nbd.EXPORT_NAME) + nbd.request(nbd.READ, 0, 4096)[:13]
        yield nbd.option(nbd.EXPORT_NAME) + nbd.request(nbd.READ, 0, 65536) * 300

    def test_ill_meant_sessions_disturb_nobody(self):
        n = int(os.environ.get("SONDE_NBD_SESSIONS", "600"))
        with Server("ram:64k") as server, server.session() as other:
            other.go(structured=False)
            before = server.memory()
            stalled = attack(n, 100, self.broken_options, lambda random_: server.session(greet=random_.random() < 0.9))
            for i in range(1000):
                other.send(nbd.request(nbd.READ, i * 16, 16, cookie=i))
                self.assertEqual(other.simple(16), (0, i, bytes([i & 0xff]) * 16))
            with server.session() as late:
                late.go(structured=False)
            self.assertLess(server.memory() - before, 640 << 20)
            for session in stalled:
                session.socket.close()
            self.assertIsNone(server.child.poll())
        self.assertEqual((server.child.returncode, server.err), (0, ""))

    def test_who_takes_no_answers_holds_up_only_himself(self):
        with Server("flat:" + make_file("greedy.raw", BYTES)) as server:
            greedy = [server.session() for _ in range(8)]
            for session in greedy:
                session.go(structured=False)
                session.socket.settimeout(0.2)
                try:
                    session.send(nbd.request(nbd.READ, 0, 2 << 20) * 5000)
                except OSError:
                    pass
            with server.session() as other:
                other.go(structured=False)
                for i in range(100):
                    other.send(nbd.request(nbd.READ, i, 4096))
                    self.assertEqual(other.simple(4096)[2], BYTES[i:i + 4096])
            self.assertLess(server.memory(), 400 << 20)
            for session in greedy:
                session.socket.close()

    def test_more_clients_than_are_served_are_told(self):
        with Server("ram:64k") as server:
            clients = [server.session() for _ in range(32)]
            for session in clients:
                session.go()
            with server.session() as late:
                kind, text = late.ask(nbd.GO, nbd.named(b"", b"\0\0"))[-1]
                self.assertEqual((kind, b"come back later" in text), (0x80000002, True))
                clients.pop().socket.close()
                deadline = time.monotonic() + 60
                while kind != 1 and time.monotonic() < deadline:
                    kind = late.ask(nbd.GO, nbd.named(b"", b"\0\0"))[-1][0]
                self.assertEqual(kind, 1)
            for session in clients:
                session.socket.close()
