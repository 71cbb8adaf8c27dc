package radsec

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"syscall"
)

// outcome is what became of a connection that the kernel gave us.
type outcome uint8

const (
	accepted outcome = iota
	tooMany
	tooManyOfAddress
	tooManyOfCertificate
	crowdedOut
	tooSlow
	hungUp
	notTLS
	noCommonTLS
	noCertificate
	unknownAuthority
	expired
	wrongUsage
	badCertificate
	refusedByClient
	unknownCertificate
	unready
	stopping
	broken
	outcomes // how many there are
)

func (o outcome) String() string {
	return [outcomes]string{
		"accepted", "too_many", "too_many_of_address", "too_many_of_certificate", "crowded_out", "too_slow", "hung_up",
		"not_tls", "no_common_tls", "no_certificate", "unknown_authority", "expired", "wrong_usage", "bad_certificate",
		"refused_by_client", "unknown_certificate", "unready", "shutdown", "handshake_failed",
	}[o]
}

// hint says what happened, and what to do about it.
func (o outcome) hint() string {
	return [outcomes]string{
		tooMany:              "all connections are taken: raise max_connections, or see which client leaves its connections open",
		tooManyOfAddress:     "too many handshakes of this address are under way: see what connects there",
		tooManyOfCertificate: "this client has half of all connections: let it use fewer, or raise max_connections",
		crowdedOut:           "all connections were taken, and this one was in its handshake for longest: see what connects there and says nothing",
		tooSlow:              "the handshake was not complete in time: see whether the gateway speaks TLS at once, and what is between",
		hungUp:               "the peer ended the connection during the handshake: a port scan or a health check, or the gateway's log says why",
		notTLS:               "this is not TLS: set the gateway to RadSec (RADIUS over TLS), not to RADIUS over TCP",
		noCommonTLS:          "no common version or cipher suite: the gateway must offer TLS 1.2 with ECDHE and AES-GCM or ChaCha20, or TLS 1.3",
		noCertificate:        "the client sent no certificate: give the gateway one that is signed by client_ca_file, and its key",
		unknownAuthority:     "the client's certificate is signed by an unknown authority: add its authority to client_ca_file, and let the gateway send the intermediate certificates",
		expired:              "the client's certificate has expired or is not valid yet: renew it, and compare the clocks",
		wrongUsage:           "the client's certificate is not for clients: issue one with the extended key usage clientAuth",
		badCertificate:       "the client's certificate does not verify: see error",
		refusedByClient:      "the client refused our certificate: let the gateway trust the authority that signed certificate_file, and ask for a name that is in it",
		unknownCertificate:   "no client has one of these names in certificate_names: add one, or issue a certificate with a DNS name in subjectAltName (the common name and wildcards do not count)",
		unready:              "certificate_file, key_file or client_ca_file cannot be used: see error",
		broken:               "the handshake failed: see error",
	}[o]
}

// failed says why a handshake ended with an error.
func failed(conn *tls.Conn, err error) outcome {
	var (
		notRecord tls.RecordHeaderError
		remote    *net.OpError
		verify    *tls.CertificateVerificationError
	)
	switch {
	case errors.Is(err, errUnready):
		return unready
	case errors.Is(err, context.Canceled):
		return stopping
	case errors.Is(err, context.DeadlineExceeded):
		return tooSlow
	case errors.As(err, &notRecord):
		return notTLS
	case errors.As(err, &verify):
		return unverified(verify.Err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return hungUp
	case errors.As(err, &remote) && remote.Op == "remote error": // which is how an alert comes
		return refusedByClient
	}
	// The rest has no type. How far it went tells.
	switch state := conn.ConnectionState(); {
	case state.CipherSuite == 0:
		return noCommonTLS
	case len(state.PeerCertificates) == 0:
		return noCertificate
	}
	return broken
}

// unverified says why a certificate did not verify.
func unverified(err error) outcome {
	var (
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &authority):
		return unknownAuthority
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return expired
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return wrongUsage
	}
	return badCertificate
}
