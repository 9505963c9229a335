"""An eBPF program at the door of an interface, to be compared with: no compiler and no library is needed.

It does what the packet filter of `ringfence record` does for TCP over IPv4: it looks whether a packet opens or ends a
connection, and draws one in 1,024 of the others; of those it counts client, server and port in a hash table of the kernel.
With `every` it counts every packet so, as agents that account for traffic do. It is attached with TCX (Linux 6.6).
"""
import ctypes
import os
import struct

# bpf(2), linux/bpf.h.
SYSCALL = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
MAP_CREATE, PROG_LOAD, TEST_RUN, LINK_CREATE = 0, 5, 10, 28
HASH, SCHED_CLS, XDP = 1, 3, 6
LIVE_FRAMES = 2
TCX_INGRESS = 46
# Helpers.
LOOKUP, UPDATE, RANDOM = 1, 2, 7
SAMPLE = 1024
libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes.ljust(152, b"\0"))
    done = libc.syscall(SYSCALL, command, buffer, 152)
    if done < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return done


class Assembly:
    """Instructions with labels."""

    def __init__(self):
        self.instructions, self.labels, self.jumps = [], {}, []

    def add(self, code, destination=0, source=0, offset=0, immediate=0):
        self.instructions.append((code, destination, source, offset, immediate))

    def label(self, name):
        self.labels[name] = len(self.instructions)

    def move(self, register, immediate):
        self.add(0xB7, register, immediate=immediate)

    def copy(self, register, source):
        self.add(0xBF, register, source)

    def plus(self, register, immediate):
        self.add(0x07, register, immediate=immediate)

    def plus_register(self, register, source):
        self.add(0x0F, register, source)

    def load(self, size, register, source, offset):
        self.add({1: 0x71, 2: 0x69, 4: 0x61, 8: 0x79}[size], register, source, offset)

    def store(self, size, register, offset, source):
        self.add({1: 0x73, 2: 0x6B, 4: 0x63, 8: 0x7B}[size], register, source, offset)

    def jump(self, name, code=0x05, register=0, immediate=0, source=0):
        self.jumps.append((len(self.instructions), name))
        self.add(code, register, source, 0, immediate)

    def call(self, helper):
        self.add(0x85, immediate=helper)

    def table(self, register, descriptor):
        # BPF_PSEUDO_MAP_FD: a load of 64 bits, two instructions long.
        self.add(0x18, register, 1, 0, descriptor)
        self.add(0)

    def bytes(self):
        for at, name in self.jumps:
            code, destination, source, _, immediate = self.instructions[at]
            self.instructions[at] = (code, destination, source, self.labels[name] - at - 1, immediate)
        return b"".join(struct.pack("<BBhi", code, destination | source << 4, offset, immediate)
                        for code, destination, source, offset, immediate in self.instructions)


EQUAL, UNEQUAL, GREATER_REGISTER, SET = 0x15, 0x55, 0x2D, 0x45
KEY = -16
VALUE = -24


def assemble(table, every):
    program = Assembly()
    # __sk_buff: data and data_end.
    program.load(4, 2, 1, 76)
    program.load(4, 3, 1, 80)
    program.copy(4, 2)
    program.plus(4, 34)
    program.jump("pass", GREATER_REGISTER, 4, source=3)
    program.load(2, 4, 2, 12)
    program.jump("pass", UNEQUAL, 4, 0x0008)
    program.load(1, 4, 2, 23)
    program.jump("pass", UNEQUAL, 4, 6)
    # No ports but in the first fragment.
    program.load(2, 4, 2, 20)
    program.jump("pass", SET, 4, 0xFF3F)
    program.load(1, 4, 2, 14)
    program.add(0x57, 4, immediate=15)
    program.add(0x67, 4, immediate=2)
    program.copy(5, 2)
    program.plus_register(5, 4)
    program.plus(5, 14)
    program.copy(4, 5)
    program.plus(4, 20)
    program.jump("pass", GREATER_REGISTER, 4, source=3)
    # The key is on the stack before a helper takes the registers: addresses, the server's port.
    program.load(4, 6, 2, 26)
    program.load(4, 7, 2, 30)
    program.load(2, 8, 5, 2)
    if not every:
        program.load(1, 4, 5, 13)
        # FIN, SYN, RST.
        program.jump("count", SET, 4, 7)
        program.call(RANDOM)
        program.jump("pass", SET, 0, SAMPLE - 1)
    program.label("count")
    program.store(4, 10, KEY, 6)
    program.store(4, 10, KEY + 4, 7)
    program.move(4, 0)
    program.store(8, 10, KEY + 8, 4)
    program.store(2, 10, KEY + 8, 8)
    program.table(1, table)
    program.copy(2, 10)
    program.plus(2, KEY)
    program.call(LOOKUP)
    program.jump("new", EQUAL, 0, 0)
    program.move(1, 1)
    # An atomic addition of 64 bits.
    program.add(0xDB, 0, 1, 0, 0)
    program.jump("pass")
    program.label("new")
    program.move(1, 1)
    program.store(8, 10, VALUE, 1)
    program.table(1, table)
    program.copy(2, 10)
    program.plus(2, KEY)
    program.copy(3, 10)
    program.plus(3, VALUE)
    program.move(4, 0)
    program.call(UPDATE)
    program.label("pass")
    # TCX_NEXT.
    program.move(0, -1)
    program.add(0x95)
    return program.bytes()


def load(kind, instructions):
    """A descriptor of a program."""
    text = ctypes.create_string_buffer(instructions, len(instructions))
    licence = ctypes.create_string_buffer(b"Apache-2.0")
    log = ctypes.create_string_buffer(1 << 16)
    pointers = [ctypes.addressof(buffer) for buffer in (text, licence, log)]
    attributes = struct.pack("<IIQQIIQ", kind, len(instructions) // 8, *pointers[:2], 1, len(log), pointers[2])
    try:
        return bpf(PROG_LOAD, attributes)
    except OSError as error:
        raise RuntimeError(f"{error}\n{log.value.decode()}") from None


def attach(interface, every=False):
    """Attaches the program to what comes in at an interface (index) of this network namespace, until the descriptor that is
    returned is closed."""
    table = bpf(MAP_CREATE, struct.pack("<IIII", HASH, 16, 8, 65536))
    program = load(SCHED_CLS, assemble(table, every))
    link = bpf(LINK_CREATE, struct.pack("<IIII", program, interface, TCX_INGRESS, 0))
    os.close(program)
    os.close(table)
    return link


class Arrivals:
    """Frames that come in at an interface (index) of this network namespace, from nowhere and as fast as they are taken:
    whoever asks for them does all the work of the kernel with them."""

    def __init__(self):
        passing = Assembly()
        # XDP_PASS.
        passing.move(0, 2)
        passing.add(0x95)
        self.program = load(XDP, passing.bytes())

    def come(self, interface, frame, count):
        data = ctypes.create_string_buffer(frame, len(frame))
        # struct xdp_md.
        context = struct.pack("<IIIIII", 0, len(frame), 0, interface, 0, 0)
        context = ctypes.create_string_buffer(context, len(context))
        bpf(TEST_RUN, struct.pack(
            "<IIIIQQIIIIQQIII", self.program, 0, len(frame), 0, ctypes.addressof(data), 0, count, 0, len(context), 0,
            ctypes.addressof(context), 0, LIVE_FRAMES, 0, 64))
