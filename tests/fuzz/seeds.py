#!/usr/bin/env python3
"""Writes the seeds of the fuzzing corpus: small inputs, named by what they hold. Run it in this directory."""

import gzip
import struct
from pathlib import Path


def be(*numbers):
    return b"".join(number.to_bytes(2, "big") for number in numbers)


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"


def ip4(protocol, payload, source=(10, 1, 0, 5), destination=(10, 1, 0, 7)):
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0x4000, 64, protocol, 0)
    return head + bytes(source) + bytes(destination) + payload


def ip6(protocol, payload):
    return struct.pack(">IHBB", 0x60000000, len(payload), protocol, 64) + ADDRESS6[0] + ADDRESS6[1] + payload


ADDRESS6 = [bytes.fromhex("fd" + "00" * 14 + last) for last in ("05", "07")]


def tcp(flags, payload=b"", ports=(40000, 8080), sequence=1, acknowledgment=0):
    return struct.pack(">HHIIBBHHH", *ports, sequence, acknowledgment, 0x50, flags, 512, 0, 0) + payload


def udp(source, destination, payload):
    return struct.pack(">HHHH", source, destination, 8 + len(payload), 0) + payload


def ethernet(kind, payload, tags=()):
    tagged = b"".join(be(0x8100, tag) for tag in tags)
    return bytes([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]) + tagged + be(kind) + payload


def vxlan(frame):
    return udp(49152, 4789, b"\x08\0\0\0\0\0\x01\0" + frame)


def geneve(frame):
    return udp(49152, 6081, b"\0\0\x65\x58\0\0\x01\0" + frame)


def dns(flags, question, *records):
    head = be(7, flags, 1, len(records), 0, 0) + name(question) + be(1, 1)
    return head + b"".join(owner + be(kind, 1, 0, 30, len(data)) + data for owner, kind, data in records)


ASKED = b"\xc0\x0c"
QUERY = dns(0x0100, "api.example.com")
ANSWER = dns(0x8180, "api.example.com", (ASKED, 1, bytes([203, 0, 113, 9])))
ALIAS = dns(0x8180, "api.example.com", (ASKED, 5, name("cdn.net")), (name("cdn.net"), 28, ADDRESS6[0]))


def hello(server):
    host = b"\0" + be(len(server)) + server
    extensions = be(23, 0) + be(0, len(host) + 2, len(host)) + host
    body = b"\3\3" + bytes(32) + b"\0" + be(2, 0x1301) + b"\1\0" + be(len(extensions)) + extensions
    return b"\x16\3\1" + be(len(body) + 4) + b"\1\0" + be(len(body)) + body


CONNECTION = [
    ip4(6, tcp(2)),
    ip4(6, tcp(18, ports=(8080, 40000), sequence=9, acknowledgment=2), (10, 1, 0, 7), (10, 1, 0, 5)),
    ip4(6, tcp(24, hello(b"api.example.com"), sequence=2, acknowledgment=10)),
    ip4(17, udp(5353, 53, QUERY)),
    ip4(17, udp(53, 5353, ANSWER), (10, 1, 0, 7), (10, 1, 0, 5)),
]


def pcap(order, magic, link, packets, more=b""):
    file = struct.pack(order + "IHHIIII", magic, 2, 4, 0, 0, 65535, link)
    for number, packet in enumerate(packets):
        file += struct.pack(order + "IIII", 1700000000, number, len(packet), len(packet)) + more + packet
    return file


def gzipped(packets):
    return gzip.compress(pcap("<", 0xA1B2C3D4, 101, packets), mtime=0)


def block(order, kind, body):
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def at_the_end_of_time(packets):
    file = block("<", 0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    file += block("<", 1, struct.pack("<HHIHHq", 101, 0, 0, 14, 8, 1 << 62))
    return file + b"".join(
        block("<", 6, struct.pack("<IIIII", 0, 0, 0, len(packet), len(packet)) + packet) for packet in packets
    )


def pcapng(order, packets):
    file = block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    file += block(order, 1, struct.pack(order + "HHIHH", 1, 0, 0, 2, 4) + b"eth0")
    file += block(order, 1, struct.pack(order + "HHIHHB3x", 147, 0, 64, 9, 1, 9))
    for number, packet in enumerate(packets):
        head = struct.pack(order + "IIIII", number % 2, 0x60000, number, len(packet), len(packet))
        file += block(order, 6, head + packet)
    file += block(order, 3, struct.pack(order + "I", 4) + b"data")
    file += block(order, 2, struct.pack(order + "HHIIII", 1, 0, 0, 0, 4, 4) + b"data")
    file += block(order, 0xBAD, b"nobody knows")
    return file + block(order, 5, struct.pack(order + "IIIHHQHHQ", 0, 0, 0, 4, 8, 100, 7, 8, 3))


SHORT = [b"\1\2\3\4", b"", b"frame"]
# A frame of raw data with a checksum, so that no zstd is needed to write it.
ZSTD = pcap("<", 0xA1B2C3D4, 1, SHORT)
ZSTD = b"\x28\xb5\x2f\xfd\x20" + bytes([len(ZSTD)]) + (1 | len(ZSTD) << 3).to_bytes(3, "little") + ZSTD

ETHERNET, RAW, SLL, SLL2, NULL = (number.to_bytes(2, "little") for number in (1, 101, 113, 276, 0))
SYN = ip4(6, tcp(2))

# What a limit has to hold: openings that only differ in their numbers, or in everything but their number.
SAME_SOCKETS = [ip4(6, tcp(2, sequence=number)) for number in range(10_000)]
SAME_NUMBER = [ip4(6, tcp(2), destination=(10, 2, *divmod(number, 256))) for number in range(15_000)]
DIFFERENT = [ip4(6, tcp(2, sequence=number), destination=(10, 2, *divmod(number, 256))) for number in range(10_000)]

SEEDS = {
    "file": {
        "micro_little.pcap": pcap("<", 0xA1B2C3D4, 1, SHORT),
        "nano_big.pcap": pcap(">", 0xA1B23C4D, 113, SHORT),
        "modified.pcap": pcap("<", 0xA1B2CD34, 1, SHORT, bytes(8)),
        "little.pcapng": pcapng("<", SHORT),
        "two_sections.pcapng": pcapng(">", SHORT) + pcapng("<", SHORT),
        "members.pcap.gz": b"".join(
            gzip.compress(part, mtime=0) for part in (pcap("<", 0xA1B2C3D4, 1, SHORT)[:30], b"", b"x" * 9)
        ),
        "skippable.pcap.zst": b"\x50\x2a\x4d\x18\x02\0\0\0??" + ZSTD,
    },
    "packet": {
        "tcp4.bin": ETHERNET + ethernet(0x800, SYN),
        "tcp6.bin": ETHERNET + ethernet(0x86DD, ip6(6, tcp(18))),
        "hop_by_hop.bin": ETHERNET + ethernet(0x86DD, ip6(0, b"\x06\0\5\2\0\0\1\0" + tcp(2))),
        "fragment.bin": RAW + SYN[:6] + b"\x20\0" + SYN[8:],
        "dns.bin": RAW + ip4(17, udp(53, 40000, ANSWER)),
        "sctp_init.bin": RAW + ip4(132, struct.pack(">HHII", 40000, 38412, 0, 0) + b"\1\0\0\x14" + bytes(16)),
        "icmp_unreachable.bin": RAW + ip4(1, b"\3\3\0\0\0\0\0\0" + SYN),
        "ipip.bin": RAW + ip4(4, SYN),
        "gre.bin": RAW + ip4(47, b"\x20\0\x08\0\0\0\0\7" + SYN),
        "vlans.bin": ETHERNET + ethernet(0x800, SYN, (5, 6)),
        "vxlan_in_vlan.bin": ETHERNET + ethernet(0x800, ip4(17, vxlan(ethernet(0x800, SYN))), (5,)),
        "geneve.bin": ETHERNET + ethernet(0x800, ip4(17, geneve(ethernet(0x86DD, ip6(17, udp(53, 53, QUERY)))))),
        "mpls.bin": ETHERNET + ethernet(0x8847, b"\0\0\x11\x40" + SYN),
        "pppoe.bin": ETHERNET + ethernet(0x8864, b"\x11\0\0\1" + be(len(SYN) + 2, 0x21) + SYN),
        "arp.bin": ETHERNET + ethernet(0x806, bytes(28)),
        "sll.bin": SLL + be(0, 1, 6) + bytes(8) + be(0x800) + SYN,
        "sll2.bin": SLL2 + be(0x800, 0) + bytes(16) + SYN,
        "null.bin": NULL + b"\2\0\0\0" + SYN,
    },
    "pipeline": {
        "connection.pcap": pcap("<", 0xA1B2C3D4, 101, CONNECTION),
        "twice.pcap": pcap("<", 0xA1B2C3D4, 101, CONNECTION * 2),
        "same_sockets.pcap.gz": gzipped(SAME_SOCKETS),
        "same_number.pcap.gz": gzipped(SAME_NUMBER),
        "end_of_time.pcapng.gz": gzip.compress(at_the_end_of_time(DIFFERENT), mtime=0),
        "connection.pcapng": pcapng("<", [ethernet(0x800, packet) for packet in CONNECTION]),
    },
    "dns": {
        "query.bin": QUERY,
        "answer.bin": ANSWER,
        "alias.bin": ALIAS,
        "stream.bin": b"".join(be(len(message)) + message for message in (ANSWER, QUERY, ALIAS)),
        "pointer_to_itself.bin": dns(0x8180, "a.b", (b"\xc0\x15", 1, bytes(4))),
    },
    "tls": {"hello.bin": hello(b"api.example.com"), "cut.bin": hello(b"api.example.com")[:-4]},
}


def main():
    for target, seeds in SEEDS.items():
        for file, content in seeds.items():
            path = Path("corpus", target, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


if __name__ == "__main__":
    main()
