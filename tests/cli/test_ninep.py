# SPDX-License-Identifier: MIT
"""sonde serve --9p: by hand, to the clients of others, and to those who mean ill."""
import errno
import os
import random
import shutil
import struct
import subprocess
import sys
import unittest

from harness import FOLDER, Case, run
from test_nbd import Server as AnyServer, need

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "synth"))
import ninep_session as ninep  # noqa: E402
from connection import attack  # noqa: E402

BIG = random.Random(9).randbytes(1 << 20)


class Server(AnyServer):
    """A directory of its own, served."""

    def __init__(self, *words):
        self.folder = FOLDER + "/served"
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder + "/sub")
        for name, data in (("file", b"hello\n"), ("big", BIG), ("../outside", b"secret\n")):
            with open(os.path.join(self.folder, name), "wb") as out:
                out.write(data)
        os.symlink("../outside", self.folder + "/out")
        os.symlink("/", self.folder + "/sub/root")
        super().__init__("--9p", self.folder, *words)

    def __enter__(self):
        super().__enter__()
        self.where = self.uri
        return self

    def session(self, **options):
        return ninep.Session(self.where, **options)


class Bytes(Case):
    def test_what_is_served_is_told(self):
        with Server("--write") as server:
            row = server.row
            self.assertEqual((row["target"], row["export"], row["size"], row["writable"], row["tls"]),
                             (server.folder, "/", None, True, False))
        self.assertEqual((server.child.returncode, server.err), (0, ""))

    def test_a_file_is_read(self):
        with Server() as server, server.session() as session:
            self.assertEqual(session.hello(), [ninep.VERSION + 1, ninep.ATTACH + 1])
            self.assertEqual(session.ask(ninep.walk(0, 1, "file"))[2][:2], b"\1\0")
            self.assertEqual(session.ask(ninep.lopen(1))[0], ninep.LOPEN + 1)
            self.assertEqual(session.ask(ninep.read(1, 1, 100))[2], b"\5\0\0\0ello\n")
            session.send(b"".join(ninep.read(1, i % 6, 1, tag=i) for i in range(500)))
            answers = dict(session.answer()[1:] for _ in range(500))
            self.assertEqual(answers, {i: b"\1\0\0\0" + b"hello\n"[i % 6:i % 6 + 1] for i in range(500)})

    def test_what_is_not_asked_for_in_words_is_not_written(self):
        with Server() as server, server.session() as session:
            session.hello()
            session.ask(ninep.walk(0, 1, "file"))
            self.assertEqual(session.error(ninep.lopen(1, 2)), errno.EROFS)
            mkdir = ninep.message(ninep.MKDIR, struct.pack("<I", 0) + ninep.text("d") + struct.pack("<II", 0o755, 0))
            self.assertEqual(session.error(mkdir), errno.EROFS)
            self.assertEqual(sorted(os.listdir(server.folder)), ["big", "file", "out", "sub"])

    def test_nobody_gets_out(self):
        with Server("--write") as server, server.session() as session:
            session.hello()
            self.assertEqual(session.ask(ninep.walk(0, 1, "..", "..", "sub", "..", "file"))[2][:2], b"\5\0")
            for i, names in enumerate((["../outside"], ["sub/../../outside"], [""], [b"a\0b"], ["outside"])):
                self.assertNotEqual(session.error(ninep.walk(0, 10 + i, *names)), 0, names)
            self.assertEqual(session.ask(ninep.walk(0, 2, "sub", "root", "etc"))[2][:2], b"\2\0")  # and no fid 2
            self.assertEqual(session.error(ninep.lopen(2)), errno.EBADF)
            session.ask(ninep.walk(0, 3, "out"))
            self.assertEqual(session.error(ninep.lopen(3)), errno.ELOOP)
            self.assertEqual(session.ask(ninep.readlink(3))[2], ninep.text("../outside"))
            setattr_ = ninep.message(26, struct.pack("<I", 3) + struct.pack("<IIIIQ", 8, 0, 0, 0, 0) + bytes(32))
            self.assertNotEqual(session.error(setattr_), 0)
            create = ninep.message(ninep.LCREATE, struct.pack("<I", 0) + ninep.text("../made") + struct.pack("<III", 0o101, 0o644, 0))
            self.assertNotEqual(session.error(create), 0)
            for name in ("..", ".", "sub/x"):
                remove = ninep.message(76, struct.pack("<I", 0) + ninep.text(name) + struct.pack("<I", 0x200))
                self.assertEqual(session.error(remove), errno.EINVAL)
        with open(FOLDER + "/outside", "rb") as out:
            self.assertEqual(out.read(), b"secret\n")

    def test_a_directory_that_is_swapped_for_a_link_leads_nowhere(self):
        with Server() as server, server.session() as session:
            session.hello()
            session.ask(ninep.walk(0, 1, "sub"))
            shutil.rmtree(server.folder + "/sub")
            os.symlink(os.path.dirname(server.folder), server.folder + "/sub")
            self.assertNotEqual(session.error(ninep.walk(1, 2, "outside")), 0)
            self.assertNotEqual(session.error(ninep.lopen(1, ninep.DIRECTORY)), 0)

    def test_what_is_neither_file_nor_directory_is_not_opened(self):
        with Server("--write") as server, server.session() as session:
            session.hello()
            os.mkfifo(server.folder + "/pipe")
            reader = os.open(server.folder + "/pipe", os.O_RDONLY | os.O_NONBLOCK)
            session.ask(ninep.walk(0, 1, "pipe"))
            self.assertEqual(session.error(ninep.lopen(1)), errno.EACCES)
            setattr_ = ninep.message(26, struct.pack("<I", 1) + struct.pack("<IIIIQ", 8, 0, 0, 0, 0) + bytes(32))
            self.assertEqual(session.error(setattr_), errno.EACCES)
            create = ninep.message(ninep.LCREATE, struct.pack("<I", 0) + ninep.text("pipe") + struct.pack("<III", 0, 0o644, 0))
            self.assertEqual(session.error(create), errno.EACCES)
            session.ask(ninep.walk(0, 2, "file"))
            os.rename(server.folder + "/pipe", server.folder + "/file")
            self.assertEqual(session.error(ninep.lopen(2)), errno.EACCES)
            os.close(reader)

    def test_a_flush_is_answered_behind_what_it_flushes(self):
        with Server() as server, server.session() as session:
            session.hello()
            session.ask(ninep.walk(0, 1, "big"))
            session.ask(ninep.lopen(1))
            for _ in range(50):
                flush = ninep.message(ninep.FLUSH, struct.pack("<H", 7), 8)
                session.send(ninep.read(1, 0, 60000, tag=7) + flush)
                answers = [session.answer()[:2] for _ in range(2)]
                self.assertEqual(answers[1], (ninep.FLUSH + 1, 8))
                self.assertIn(answers[0], ((ninep.READ + 1, 7), (ninep.LERROR, 7)))


class Addresses(Case):
    def test_others_than_this_machine_need_a_word(self):
        with Server("--listen", "0.0.0.0:0", "--insecure") as server:
            with ninep.Session("127.0.0.1:" + server.where.rsplit(":", 1)[1]) as session:
                session.hello()
        self.expect_error(run("serve", "--9p", FOLDER, "--listen", "0.0.0.0:0"), 1, "0.0.0.0:0", "--insecure", "tunnel")

    def test_options_that_make_no_sense(self):
        for words, code, part in ((("--tls-psk", "x"), 2, "--9p"), (("--export", "x"), 2, "--9p"), (("--pause",), 2, "--9p"),
                                  (("--snapshot",), 2, "--9p")):
            self.expect_error(run("serve", "--9p", FOLDER, *words), code, part)
        self.expect_error(run("serve", "--9p", FOLDER + "/none", "--listen", "127.0.0.1:0"), 4, "none")


class Others(Case):
    """Clients of diod."""

    def ask(self, program, server, *words):
        need(program)
        return subprocess.run([program, "-s", server.where, "-a", "/", *words], capture_output=True, timeout=60)

    def test_diodcat_reads(self):
        with Server() as server:
            self.assertEqual(self.ask("/usr/sbin/diodcat", server, "file", "big").stdout, b"hello\n" + BIG)
            self.assertIn(b"No such file", self.ask("/usr/sbin/diodcat", server, "none").stderr)

    def test_diodls_lists(self):
        with Server() as server:
            self.assertEqual(sorted(self.ask("/usr/sbin/diodls", server, "/").stdout.split()), [b"big", b"file", b"out", b"sub"])


class Hostile(Case):
    def broken(self, random_):
        yield b""
        yield random_.randbytes(random_.randrange(1, 64))
        yield b"GET / HTTP/1.1\r\n\r\n"
        yield ninep.version()[:9]
        yield ninep.version(16)
        yield ninep.version() * 2
        yield ninep.attach()
        yield ninep.version() + ninep.attach(tree="x" * 60000)
        yield ninep.HELLO + struct.pack("<IBH", 0xffffffff, ninep.WALK, 1)
        yield ninep.HELLO + struct.pack("<IBH", 3, ninep.WALK, 1)
        yield ninep.HELLO + struct.pack("<IBH", 65536, ninep.WRITE, 1) + bytes(100)
        yield ninep.HELLO + ninep.message(ninep.WALK, b"\0\0\0\0\1\0\0\0\xff\xff")
        yield ninep.HELLO + b"".join(ninep.walk(0, i, tag=i & 0xfff) for i in range(1, 5000))
        yield ninep.HELLO + ninep.walk(0, 1, "big") + ninep.lopen(1) + ninep.read(1, 0, 0xffffffff) * 300
        yield ninep.HELLO + ninep.walk(0, 1) + ninep.lopen(1, ninep.DIRECTORY) + ninep.message(
            ninep.READDIR, struct.pack("<IQI", 1, random_.randrange(1 << 64), random_.randrange(1 << 32))) * 50
        yield ninep.HELLO + b"".join(ninep.message(ninep.FLUSH, struct.pack("<H", i), i) for i in range(200))
        yield ninep.HELLO + b"".join(ninep.message(random_.randrange(128), random_.randbytes(random_.randrange(60)), i)
                                     for i in range(20))

    def test_ill_meant_sessions_disturb_nobody(self):
        n = int(os.environ.get("SONDE_NINEP_SESSIONS", "400"))
        with Server("--write") as server, server.session() as other:
            other.hello()
            other.ask(ninep.walk(0, 1, "file"))
            other.ask(ninep.lopen(1))
            before = server.memory()
            stalled = attack(n, 20, self.broken, lambda _: server.session(timeout=0.2))
            for _ in range(1000):
                self.assertEqual(other.ask(ninep.read(1, 0, 100))[2], b"\6\0\0\0hello\n")
            self.assertLess(server.memory() - before, 512 << 20)
            for session in stalled:
                session.socket.close()
            with server.session() as late:
                late.hello()
            self.assertIsNone(server.child.poll())
        self.assertEqual((server.child.returncode, server.err), (0, ""))

    def test_who_takes_no_answers_holds_up_only_himself(self):
        with Server() as server:
            greedy = [server.session(timeout=0.2) for _ in range(8)]
            for session in greedy:
                session.send(ninep.HELLO + ninep.walk(0, 1, "big") + ninep.lopen(1))
                try:
                    session.send(ninep.read(1, 0, 60000) * 20000)
                except OSError:
                    pass
            with server.session() as other:
                other.hello()
                other.ask(ninep.walk(0, 1, "file"))
                other.ask(ninep.lopen(1))
                for _ in range(100):
                    self.assertEqual(other.ask(ninep.read(1, 0, 100))[2], b"\6\0\0\0hello\n")
            self.assertLess(server.memory(), 400 << 20)
            for session in greedy:
                session.socket.close()


if __name__ == "__main__":
    unittest.main()
