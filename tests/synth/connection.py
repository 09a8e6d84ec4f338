# SPDX-License-Identifier: MIT
"""A connection to a server, by hand, and thousands of them that mean ill; nbd_session.py and ninep_session.py say in what language."""
import random
import socket


class Connection:
    """To @where, "HOST:PORT" or "unix:PATH"."""

    def __init__(self, where, timeout=60):
        if where.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(where[5:])
        else:
            host, port = where.rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)), timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def take(self, n):
        """n bytes, or fewer where the server has hung up."""
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                break
            data += more
        return data


def attack(n, n_open, broken, begin):
    """n sessions that begin(random) opens and broken(random) has texts for, n_open open at a time, of which some stay silent until
    they are thrown out. Returns those."""
    random_, stalled, made = random.Random(n), [], 0
    while made < n:
        for data in broken(random_):
            made += 1
            try:
                session = begin(random_)
                session.send(data)
            except OSError:
                continue
            if random_.random() < 0.5:
                session.socket.close()
                continue
            stalled.append(session)
            if len(stalled) > n_open:
                stalled.pop(random_.randrange(n_open)).socket.close()
    return stalled
