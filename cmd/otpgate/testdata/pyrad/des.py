"""DES of one block (FIPS 46-3), which OpenSSL 3 leaves out. Slow, and for tests."""

IP = [58 + 2 * (i // 8) - (9 if i >= 32 else 0) - 8 * (i % 8) for i in range(64)]
FP = [IP.index(i + 1) + 1 for i in range(64)]
E = [(4 * (i // 6) + i % 6 - 1) % 32 + 1 for i in range(48)]
P = [16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25]
PC1 = [57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
       63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4]
PC2 = [14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
       41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32]
# The four rows of each box, in hexadecimal.
S = [
    "e4d12fb83a6c59070f74e2d1a6cb953841e8d62bfc973a50fc8249175b3ea06d",
    "f18e6b34972dc05a3d47f28ec01a69b50e7ba4d158c6932fd8a13f42b67c05e9",
    "a09e63f51dc7b428d709346a285ecbf1d6498f30b12c5ae71ad069874fe3b52c",
    "7de3069a1285bc4fd8b56f03472c1ae9a690cb7df13e52843f06a1d8945bc72e",
    "2c417ab6853fd0e9eb2c47d150fa3986421bad78f9c5630eb8c71e2d6f09a453",
    "c1af92680d34e75baf427c9561de0b389ef528c3704a1db6432c95fabe17608d",
    "4b2ef08d3c975a61d0b7491ae35c2f8614bdc37eaf6805926bd814a7950fe23c",
    "d2846fb1a93e50c71fd8a374c56b0e927b419ce206adf35821e74a8dfc90356b",
]


def permuted(value, width, table):
    """The bits of value that the table names, 1 being the highest of width."""
    out = 0
    for bit in table:
        out = out << 1 | value >> (width - bit) & 1
    return out


def round_keys(key):
    both = permuted(int.from_bytes(key, "big"), 64, PC1)
    left, right = both >> 28, both & 0xFFFFFFF
    for n in range(16):
        by = 1 if n in (0, 1, 8, 15) else 2
        left, right = ((x << by | x >> (28 - by)) & 0xFFFFFFF for x in (left, right))
        yield permuted(left << 28 | right, 56, PC2)


def des_encrypt(key, block):
    """Encrypts 8 octets with a key of 7, spread to 8 with a bit for the parity each (RFC 2759 section 8.6)."""
    bits = int.from_bytes(key, "big")
    spread = bytes((bits >> (49 - 7 * i) & 0x7F) << 1 for i in range(8))
    both = permuted(int.from_bytes(block, "big"), 64, IP)
    left, right = both >> 32, both & 0xFFFFFFFF
    for round_key in round_keys(spread):
        mixed, boxed = permuted(right, 32, E) ^ round_key, 0
        for n in range(8):
            six = mixed >> (42 - 6 * n) & 0x3F
            row, column = six >> 4 & 2 | six & 1, six >> 1 & 15
            boxed = boxed << 4 | int(S[n][16 * row + column], 16)
        left, right = right, left ^ permuted(boxed, 32, P)
    return permuted(right << 32 | left, 64, FP).to_bytes(8, "big")
