# SPDX-License-Identifier: MIT
"""The few calls of libsonde that the tool has no command for."""
import ctypes

PATH = None  # of libsonde.so; set before the first use


class TargetOptions(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint32), ("write", ctypes.c_uint32), ("snapshot", ctypes.c_uint32)]


class Library:
    """A loop, and targets in it."""

    def __init__(self):
        self.so = ctypes.CDLL(PATH)
        for name in ("sonde_target_memory", "sonde_error_name"):
            getattr(self.so, name).restype = ctypes.c_void_p
        self.so.sonde_error_name.restype = ctypes.c_char_p
        self.loop, self.err = ctypes.c_void_p(), ctypes.create_string_buffer(512)
        self.check(self.so.sonde_loop_create(None, ctypes.byref(self.loop), self.err))

    def check(self, result):
        if result < 0:
            raise RuntimeError(self.err.raw[8:].split(b"\0")[0].decode())

    def open(self, name, snapshot=False):
        target, options = ctypes.c_void_p(), TargetOptions(ctypes.sizeof(TargetOptions), 0, snapshot)
        self.check(self.so.sonde_target_open(self.loop, name.encode(), ctypes.byref(options), ctypes.byref(target), self.err))
        return target

    def get(self, target, addr, length):
        """The bytes and the name of the outcome."""
        buf = ctypes.create_string_buffer(b"\xee" * length, length)
        memory = ctypes.c_void_p(self.so.sonde_target_memory(target))
        result = self.so.sonde_space_get(memory, ctypes.c_uint64(addr), buf, ctypes.c_size_t(length))
        return buf.raw, self.so.sonde_error_name(result).decode()


class TargetInfo(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("connector", ctypes.c_char_p), ("detail", ctypes.c_char_p),
                ("arch", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("n_cpus", ctypes.c_uint32),
                ("pad", ctypes.c_uint32)]


def describe(name):
    """How many processors a target tells of, and its detail line."""
    library, found = Library(), TargetInfo()
    target = library.open(name)
    library.so.sonde_target_info(target, ctypes.byref(found))
    answer = found.n_cpus, found.detail.decode()
    library.so.sonde_target_close(target)
    library.so.sonde_loop_destroy(library.loop)
    return answer
