"""A gateway that logs in by MS-CHAPv2, on pyrad and with arithmetic of its own.

It prints the name of the reply's code and, line by line, what it found out about the attributes of
RFC 2548: whether the server knew the password too (MS-CHAP2-Success, RFC 2759 section 8.7), and
whether the keys are those that the gateway computes itself (RFC 3079 section 3). The vectors of RFC
2759 section 9.2 and RFC 3079 section 3.5.3 are checked at every start.
"""

import argparse
import hashlib
import hmac
import os
import socket
import sys

from pyrad import dictionary, packet

from des import des_encrypt
from md4 import md4

CODES = {packet.AccessAccept: "Access-Accept", packet.AccessReject: "Access-Reject", packet.AccessChallenge: "Access-Challenge"}


def nt_hash(password):
    return md4(password.encode("utf-16-le"))


def challenge_hash(peer, authenticator, name):
    """RFC 2759 section 8.2; the name without what is before the backslash."""
    return hashlib.sha1(peer + authenticator + name.split("\\")[-1].encode()).digest()[:8]


def nt_response(peer, authenticator, name, password):
    """RFC 2759 sections 8.1 and 8.5."""
    key = nt_hash(password) + bytes(5)
    challenge = challenge_hash(peer, authenticator, name)
    return b"".join(des_encrypt(key[i:i + 7], challenge) for i in (0, 7, 14))


def authenticator_response(peer, authenticator, name, password):
    """RFC 2759 section 8.7."""
    first = hashlib.sha1(md4(nt_hash(password)) + nt_response(peer, authenticator, name, password) +
                         b"Magic server to client signing constant").digest()
    return b"S=" + hashlib.sha1(first + challenge_hash(peer, authenticator, name) +
                                b"Pad to make it do more than one iteration").hexdigest().upper().encode()


def session_keys(response, password):
    """The keys of 128 bits to send and to receive with, as the server calls them: RFC 3079 section 3.4."""
    master = hashlib.sha1(md4(nt_hash(password)) + response + b"This is the MPPE Master Key").digest()[:16]
    side = lambda receives, sends: (b"On the client side, this is the " + receives + b" key; on the server side, it is the " + sends + b" key.")
    start = lambda magic: hashlib.sha1(master + bytes(40) + magic + b"\xf2" * 40).digest()[:16]
    return start(side(b"receive", b"send")), start(side(b"send", b"receive"))


def check_vectors():
    peer, authenticator = bytes.fromhex("21402324255E262A28295F2B3A337C7E"), bytes.fromhex("5B5D7C7D7B3F2F3E3C2C602132262628")
    response = nt_response(peer, authenticator, "User", "clientPass")
    assert response.hex().upper() == "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF"
    assert authenticator_response(peer, authenticator, "User", "clientPass") == b"S=407A5589115FD0D6209F510FE9C04566932CDA56"
    send, receive = session_keys(response, "clientPass")
    assert send.hex().upper() == "8B7CDC149B993A1BA118CB153F56DCCB"


def reveal(value, secret, request_authenticator):
    """Undoes the hiding of RFC 2548 section 2.4.2, whose value begins with a salt."""
    clear, before = b"", request_authenticator + value[:2]
    for at in range(2, len(value), 16):
        pad = hashlib.md5(secret + before).digest()
        before = value[at:at + 16]
        clear += bytes(x ^ y for x, y in zip(before, pad))
    return clear[1:1 + clear[0]]


def signed(request, secret):
    """The request with the value of its Message-Authenticator, the last attribute (RFC 3579 section 3.2)."""
    return request[:-16] + hmac.new(secret, request, hashlib.md5).digest()


def check_reply(raw, request, secret):
    """Message-Authenticator comes first, and is right."""
    if raw[20:22] != bytes((80, 18)):
        sys.exit("the reply does not begin with Message-Authenticator")
    zeroed = raw[:4] + request[4:20] + raw[20:22] + bytes(16) + raw[38:]
    if not hmac.compare_digest(hmac.new(secret, zeroed, hashlib.md5).digest(), raw[22:38]):
        sys.exit("the Message-Authenticator of the reply is wrong")


def main():
    args = argparse.ArgumentParser()
    args.add_argument("user")
    args.add_argument("password")
    args.add_argument("attributes", nargs="*", help="Name=value")
    args.add_argument("--port", type=int, required=True)
    args.add_argument("--secret", default="testing-secret")
    args.add_argument("--from", dest="source", default="127.0.0.1", help="the address of the gateway")
    args.add_argument("--tries", type=int, default=3)
    args.add_argument("--seconds", type=float, default=4, help="how long each waits for an answer")
    args = args.parse_intermixed_args()
    check_vectors()

    secret = args.secret.encode()
    peer, authenticator = os.urandom(16), os.urandom(16)
    response = nt_response(peer, authenticator, args.user, args.password)
    here = os.path.dirname(os.path.abspath(__file__))
    request = packet.AuthPacket(secret=secret, dict=dictionary.Dictionary(os.path.join(here, "dictionary")))
    request["User-Name"] = args.user
    request["MS-CHAP-Challenge"] = authenticator
    request["MS-CHAP2-Response"] = bytes((request.id, 0)) + peer + bytes(8) + response
    for attribute in args.attributes:
        name, value = attribute.split("=", 1)
        request[name] = value
    request["Message-Authenticator"] = bytes(16)
    octets = signed(request.RequestPacket(), secret)

    gateway = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    gateway.settimeout(args.seconds)
    gateway.bind((args.source, 0))
    gateway.connect(("127.0.0.1", args.port))
    raw = None
    for _ in range(args.tries):
        gateway.send(octets)
        try:
            raw = gateway.recv(4096)
            break
        except socket.timeout:
            continue
    if raw is None:
        print("silence")
        return
    check_reply(raw, octets, secret)
    reply = request.CreateReply(packet=raw)
    if not request.VerifyReply(reply, raw):
        sys.exit("the Response Authenticator is wrong")
    tell(reply, request, authenticator_response(peer, authenticator, args.user, args.password), session_keys(response, args.password))


def tell(reply, request, success, keys):
    verdict = lambda right: "right" if right else "wrong"
    print(CODES.get(reply.code, "code %d" % reply.code))
    for name in sorted(name for name in reply.keys() if isinstance(name, str) and name != "Message-Authenticator"):
        for value in reply[name]:
            if name == "MS-CHAP2-Success":
                value = verdict(value == bytes((request.id,)) + success)
            elif name == "MS-MPPE-Send-Key":
                value = verdict(reveal(value, request.secret, request.authenticator) == keys[0])
            elif name == "MS-MPPE-Recv-Key":
                value = verdict(reveal(value, request.secret, request.authenticator) == keys[1])
            elif name == "MS-CHAP-Error":
                value = value[1:].decode()  # behind the identifier of the response
            print("%s = %s" % (name, value))


main()
