package radius

import (
	"slices"
	"strings"

	"otpgate/radius/probe"
)

const (
	fromVPN    = "192.0.2.1:40000"
	fromThen   = "203.0.114.1:40000"    // password, then code
	fromOld    = "198.51.100.1:40000"   // Message-Authenticator optional
	fromConcat = "198.51.100.200:40000" // password and code
	fromSix    = "[2001:db8:1::7]:40000"
	fromNobody = "203.0.113.1:40000"
	fromZero   = "192.0.2.1:0" // of client vpn
)

const maType = probe.MessageAuthenticator

// corpus is every packet of testdata/wire. Identifier and authenticator are fixed, so that the
// files are.
func corpus() []wireCase {
	return slices.Concat(acceptedPackets(), refusedPackets(), discardedPackets())
}

func packetOfCorpus(code byte) *probe.Request {
	q := probe.NewRequest(code, testSecret)
	q.Identifier = 0x2a
	for i := range q.Authenticator {
		q.Authenticator[i] = byte(0xa0 + i)
	}
	return q
}

func corpusNamed(name string) *probe.Request {
	return packetOfCorpus(probe.AccessRequest).Signed().Add(probe.UserName, name)
}

func corpusLogin() *probe.Request { return corpusNamed("alice").Password(testCode) }

// corpusFull has 4096 octets, most of them Proxy-State.
func corpusFull() *probe.Request {
	q := corpusLogin()
	for range 15 {
		q.Add(probe.ProxyState, strings.Repeat("p", 253))
	}
	return q.Add(probe.ProxyState, strings.Repeat("q", maxLength-len(q.Octets())-2))
}

// corpusTooLong has more than 4096.
func corpusTooLong() *probe.Request {
	q := corpusLogin()
	for range 16 {
		q.Add(probe.NASIdentifier, strings.Repeat("n", 253))
	}
	return q
}

// overwrite returns a copy of b with octets at the given place.
func overwrite(b []byte, at int, octets ...byte) []byte {
	b = slices.Clone(b)
	copy(b[at:], octets)
	return b
}

func acceptedPackets() []wireCase {
	good := corpusLogin().Octets()
	return []wireCase{
		{name: "accept", about: "what a good gateway sends", expect: "accept ok", octets: good},
		{name: "accept-authenticator-last", about: "Message-Authenticator may stand anywhere in a request", expect: "accept ok", octets: corpusLogin().Without(maType).Signed().Octets()},
		{name: "accept-authenticator-between", about: "Message-Authenticator between other attributes", expect: "accept ok", octets: corpusNamed("alice").Without(maType).Signed().Password(testCode).Octets()},
		{name: "accept-ipv6", about: "a client known by an IPv6 network", expect: "accept ok", from: fromSix, octets: good},
		{name: "accept-padded", about: "octets after Length are padding (RFC 2865 section 3)", expect: "accept ok", octets: append(slices.Clone(good), 0, 1, 2, 3, 80, 2)},
		{name: "accept-padded-beyond-4096", about: "a datagram longer than a packet may be, with a packet in it", expect: "accept ok", octets: append(slices.Clone(good), make([]byte, 5000)...)},
		{name: "accept-4096", about: "the longest packet, full of Proxy-State that has to come back", expect: "accept ok", octets: corpusFull().Octets()},
		{name: "accept-proxy-state-x3", about: "three Proxy-States, one of them empty, come back in order", expect: "accept ok", octets: corpusLogin().Add(33, "one").Add(33, "").Add(32, "nas").Add(33, "three").Octets()},
		{name: "accept-unknown-attributes", about: "attributes that nobody knows, and an extended one (RFC 6929), are passed over", expect: "accept ok", octets: corpusLogin().Add(250, "x").Add(241, "\x01x").Add(0, "zero").Add(255, "").Octets()},
		{name: "accept-vsa-garbage", about: "Vendor-Specific attributes that are no such thing", expect: "accept ok", octets: corpusLogin().Add(26, "").Add(26, "\x00").Add(26, "\x00\x00\x00\x09\x01\xff").Add(26, "\xff\xff\xff\xff\xff\xff").Octets()},
		{name: "accept-remote-account", about: "an account that the directory has to be asked about", expect: "accept ok", octets: corpusNamed("carol").Password(testCode).Octets()},
		{name: "accept-optional-unsigned", about: "no Message-Authenticator from a client that need not send it", expect: "accept ok", from: fromOld, octets: corpusLogin().Without(maType).Octets()},
		{name: "accept-optional-signed", about: "Message-Authenticator from a client that need not send it", expect: "accept ok", from: fromOld, octets: good},
		{name: "accept-name-utf8", about: "a name with an umlaut in UTF-8", expect: "accept ok", octets: corpusNamed("müller").Password(testCode).Octets()},
		{name: "accept-name-latin1", about: "the same name in Latin-1: not valid UTF-8", expect: "accept ok", octets: corpusNamed("m\xfcller").Password(testCode).Octets()},
		{name: "accept-password-code", about: "password and code", expect: "accept ok", from: fromConcat, octets: corpusNamed("alice").Password("geheim" + testCode).Octets()},
		{name: "accept-password-code-latin1", about: "a password with an umlaut in Latin-1, then the code", expect: "accept ok", from: fromConcat, octets: corpusNamed("müller").Password("gr\xfcn" + testCode).Octets()},
		{name: "accept-password-code-utf8", about: "the same password in UTF-8", expect: "accept ok", from: fromConcat, octets: corpusNamed("müller").Password("grün" + testCode).Octets()},
		{name: "accept-password-trailing-nul", about: "a code with NULs after it, as C programs send: padding", expect: "accept ok", octets: corpusNamed("alice").Password(testCode + strings.Repeat("\x00", 26)).Octets()},
		{name: "status", about: "Status-Server (RFC 5997)", expect: "status", octets: packetOfCorpus(probe.StatusServer).Signed().Octets()},
		{name: "status-proxy-state", about: "Status-Server through a proxy", expect: "status", octets: packetOfCorpus(probe.StatusServer).Signed().Add(33, "p").Octets()},
	}
}

func refusedPackets() []wireCase {
	return []wireCase{
		{name: "reject-code-wrong", about: "another code", expect: "reject code_wrong", octets: corpusNamed("alice").Password("654321").Octets()},
		{name: "reject-code-in-full-block", about: "16 octets: a block without padding", expect: "reject code_wrong", octets: corpusNamed("alice").Password("1234567890123456").Octets()},
		{name: "reject-password-128", about: "the longest password that there can be", expect: "reject code_wrong", octets: corpusNamed("alice").Password(strings.Repeat("7", 128)).Octets()},
		{name: "reject-password-129", about: "one octet more: the attribute has 144", expect: "reject no_proof", octets: corpusNamed("alice").Password(strings.Repeat("7", 129)).Octets()},
		{name: "reject-password-not-a-block", about: "User-Password of 15 octets is not hidden text", expect: "reject no_proof", octets: corpusNamed("alice").Add(2, strings.Repeat("x", 15)).Octets()},
		{name: "reject-password-no-octets", about: "User-Password without a value", expect: "reject no_proof", octets: corpusNamed("alice").Add(2, "").Octets()},
		{name: "reject-password-empty", about: "a block of padding only: an empty password", expect: "reject no_proof", octets: corpusNamed("alice").Password("").Octets()},
		{name: "reject-password-nul", about: "a right code, a NUL and something else is not a right code", expect: "reject no_proof", octets: corpusNamed("alice").Password(testCode + "\x00x").Octets()},
		{name: "reject-password-nul-concat", about: "a NUL between password and code", expect: "reject no_proof", from: fromConcat, octets: corpusNamed("alice").Password("geheim\x00" + testCode).Octets()},
		{name: "reject-password-wrong-concat", about: "the code is right, the password before it is not", expect: "reject password_wrong", from: fromConcat, octets: corpusNamed("alice").Password("falsch" + testCode).Octets()},
		{name: "reject-password-missing-concat", about: "the code alone where a password is asked for too", expect: "reject password_empty", from: fromConcat, octets: corpusNamed("alice").Password(testCode).Octets()},
		{name: "reject-code-missing-concat", about: "the password alone where a code is asked for too", expect: "reject code_wrong", from: fromConcat, octets: corpusNamed("alice").Password("geheim").Octets()},
		{name: "reject-name-unknown", about: "nobody of that name", expect: "reject account_unknown", octets: corpusNamed("mallory").Password(testCode).Octets()},
		{name: "reject-name-absent", about: "no User-Name", expect: "reject name_invalid", octets: packetOfCorpus(1).Signed().Password(testCode).Octets()},
		{name: "reject-name-empty", about: "User-Name without a value", expect: "reject name_invalid", octets: corpusNamed("").Password(testCode).Octets()},
		{name: "reject-name-nul", about: "a name with a NUL", expect: "reject name_invalid", octets: corpusNamed("alice\x00").Password(testCode).Octets()},
		{name: "reject-account-disabled", about: "an account that the directory has disabled, with its right code", expect: "reject account_disabled", octets: corpusNamed("bob").Password(testCode).Octets()},
		{name: "reject-no-device", about: "an account without a device", expect: "reject no_device", octets: corpusNamed("nodevice").Password(testCode).Octets()},
		{name: "reject-state", about: "a State that nobody gave out, with a right code", expect: "reject state_unknown", octets: corpusLogin().Add(24, "0123456789abcdef").Octets()},
		{name: "reject-state-empty", about: "a State without a value is one too", expect: "reject state_unknown", octets: corpusLogin().Add(24, "").Octets()},
		{name: "reject-chap", about: "CHAP, by a code that is none", expect: "reject code_wrong", octets: corpusNamed("alice").Add(3, "\x01"+strings.Repeat("c", 16)).Octets()},
		{name: "reject-chap-and-password", about: "CHAP and a right code: RFC 2865 section 4.1 forbids both", expect: "reject no_proof", octets: corpusLogin().Add(3, "\x01"+strings.Repeat("c", 16)).Octets()},
		{name: "reject-eap", about: "EAP-Message, signed", expect: "reject proof_unsupported", octets: corpusNamed("alice").Add(79, "\x02\x00\x00\x0a\x01alice").Octets()},
		{name: "reject-nothing-but-authenticator", about: "no name, no password", expect: "reject name_invalid", octets: packetOfCorpus(1).Signed().Octets()},
	}
}

func discardedPackets() []wireCase {
	good := corpusLogin().Octets()
	return []wireCase{
		{name: "discard-unknown-client", about: "a right packet from an address of no client", expect: "discard unknown_client", from: fromNobody, octets: good},
		{name: "discard-no-port", about: "a right packet from port 0, where no answer can go", expect: "discard no_port", from: fromZero, octets: good},
		{name: "discard-one-octet", about: "one octet", expect: "discard too_short", octets: []byte{1}},
		{name: "discard-19-octets", about: "one octet less than a header", expect: "discard too_short", octets: good[:19]},
		{name: "discard-truncated", about: "Length says more than there is", expect: "discard bad_length", octets: good[:len(good)-1]},
		{name: "discard-length-19", about: "Length is less than a header", expect: "discard bad_length", octets: overwrite(good, 2, 0, 19)},
		{name: "discard-length-20", about: "Length ends the packet before its attributes", expect: "discard missing_message_authenticator", octets: overwrite(good, 2, 0, 20)},
		{name: "discard-length-inside", about: "Length ends the packet inside an attribute", expect: "discard malformed_attributes", octets: overwrite(good, 2, 0, 30)},
		{name: "discard-length-4097", about: "a packet longer than RFC 2865 section 3 allows", expect: "discard bad_length", octets: corpusTooLong().Octets()},
		{name: "discard-accounting", about: "Accounting-Request at this port", expect: "discard wrong_code", octets: packetOfCorpus(4).Signed().Octets()},
		{name: "discard-access-accept", about: "an Access-Accept sent to a server", expect: "discard wrong_code", octets: overwrite(good, 0, 2)},
		{name: "discard-code-0", about: "a code that does not exist", expect: "discard wrong_code", octets: overwrite(good, 0, 0)},
		{name: "discard-attribute-length-0", about: "an attribute of no length", expect: "discard malformed_attributes", octets: overwrite(good, 21, 0)},
		{name: "discard-attribute-length-1", about: "an attribute shorter than its header", expect: "discard malformed_attributes", octets: overwrite(good, 21, 1)},
		{name: "discard-attribute-beyond-the-end", about: "an attribute that goes on after the packet", expect: "discard malformed_attributes", octets: overwrite(good, 21, 255)},
		{name: "discard-attribute-without-length", about: "a type, and the packet ends", expect: "discard malformed_attributes", octets: func() []byte {
			b := append(slices.Clone(good), 1)
			return overwrite(b, 3, byte(len(b)))
		}()},
		{name: "discard-unsigned", about: "no Message-Authenticator (CVE-2024-3596)", expect: "discard missing_message_authenticator", octets: corpusLogin().Without(maType).Octets()},
		{name: "discard-authenticator-flipped", about: "one bit of Message-Authenticator", expect: "discard bad_message_authenticator", octets: probe.Flip(good, 22*8)},
		{name: "discard-authenticator-other-secret", about: "signed with another secret", expect: "discard bad_message_authenticator", octets: func() []byte {
			q := corpusLogin()
			q.Secret = []byte("another secret")
			return q.Octets()
		}()},
		{name: "discard-authenticator-twice", about: "two Message-Authenticators", expect: "discard repeated_message_authenticator", octets: corpusLogin().Signed().Octets()},
		{name: "discard-authenticator-17", about: "Message-Authenticator of 17 octets", expect: "discard malformed_message_authenticator", octets: corpusLogin().Without(maType).Add(maType, strings.Repeat("\x00", 17)).Octets()},
		{name: "discard-authenticator-empty", about: "Message-Authenticator without a value", expect: "discard malformed_message_authenticator", from: fromOld, octets: corpusLogin().Without(maType).Add(maType, "").Octets()},
		{name: "discard-authenticator-optional-wrong", about: "optional does not mean unchecked", expect: "discard bad_message_authenticator", from: fromOld, octets: probe.Flip(good, 22*8)},
		{name: "discard-name-changed", about: "a name changed on the way", expect: "discard bad_message_authenticator", octets: overwrite(good, 40, 'A')},
		{name: "discard-authenticator-request-changed", about: "a bit of the Request Authenticator", expect: "discard bad_message_authenticator", octets: probe.Flip(good, 4*8)},
		{name: "discard-proxy-state-unsigned", about: "Proxy-State without Message-Authenticator: what the attack looks like", expect: "discard proxy_state_without_message_authenticator", from: fromOld, octets: corpusLogin().Without(maType).Add(33, "x").Octets()},
		{name: "discard-eap-unsigned", about: "EAP-Message without Message-Authenticator (RFC 3579 section 3.1)", expect: "discard eap_message_without_message_authenticator", from: fromOld, octets: corpusLogin().Without(maType).Add(79, "x").Octets()},
		{name: "discard-name-twice", about: "two User-Names", expect: "discard repeated_attribute", octets: corpusLogin().Add(1, "bob").Octets()},
		{name: "discard-password-twice", about: "two User-Passwords", expect: "discard repeated_attribute", octets: corpusLogin().Password("1").Octets()},
		{name: "discard-state-twice", about: "two States", expect: "discard repeated_attribute", octets: corpusLogin().Add(24, "a").Add(24, "b").Octets()},
		{name: "discard-status-unsigned", about: "Status-Server without Message-Authenticator (RFC 5997 section 3)", expect: "discard status_server_without_message_authenticator", octets: packetOfCorpus(probe.StatusServer).Octets()},
		{name: "discard-status-unsigned-optional", about: "the same from a client that need not sign logins", expect: "discard status_server_without_message_authenticator", from: fromOld, octets: packetOfCorpus(probe.StatusServer).Octets()},
		{name: "discard-status-flipped", about: "Status-Server with a wrong Message-Authenticator", expect: "discard bad_message_authenticator", octets: probe.Flip(packetOfCorpus(probe.StatusServer).Signed().Octets(), 30*8)},
	}
}
