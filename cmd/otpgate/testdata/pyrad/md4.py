"""MD4 (RFC 1320), which OpenSSL 3 leaves out."""

import struct


def md4(data):
    rotl = lambda x, n: ((x << n) | (x >> (32 - n))) & 0xFFFFFFFF
    f = lambda x, y, z: (x & y) | (~x & z)
    g = lambda x, y, z: (x & y) | (x & z) | (y & z)
    h = lambda x, y, z: x ^ y ^ z
    rounds = (
        (range(16), (3, 7, 11, 19), f, 0),
        ((0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), (3, 5, 9, 13), g, 0x5A827999),
        ((0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15), (3, 9, 11, 15), h, 0x6ED9EBA1),
    )
    state = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
    data += b"\x80" + bytes((55 - len(data)) % 64) + struct.pack("<Q", 8 * len(data))
    for at in range(0, len(data), 64):
        words = struct.unpack("<16I", data[at:at + 64])
        a, b, c, d = state
        for order, shifts, function, constant in rounds:
            for n, k in enumerate(order):
                a = rotl((a + function(b, c, d) + words[k] + constant) & 0xFFFFFFFF, shifts[n % 4])
                a, b, c, d = d, a, b, c
        state = tuple((old + new) & 0xFFFFFFFF for old, new in zip(state, (a, b, c, d)))
    return struct.pack("<4I", *state)
