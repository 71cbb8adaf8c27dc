package radsec

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"
)

// errUnready: our own certificate or the clients' authorities are not there.
var errUnready = errors.New("radsec: no handshake is possible")

// suites are what RFC 9325 section 4.2 recommends for TLS 1.2: forward secrecy and AEAD. TLS 1.3
// has no others.
func suites() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}

// identity is what a handshake has proven.
type identity struct {
	chain []*x509.Certificate // as the client sent it; its own comes first
	roots *x509.CertPool      // that it was verified against
	until time.Time           // so long, if the roots stay
}

// greet does the handshake on conn, which it leaves open. Who the client is, it does not ask.
func (s *Server) greet(conn net.Conn) (*tls.Conn, identity, error) {
	var id identity
	// Both are asked for anew, because the files may have changed. There are no tickets, because a
	// resumed session would skip what they are asked for.
	config := func(*tls.ClientHelloInfo) (*tls.Config, error) {
		certificate, err := s.o.Certificate()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUnready, err)
		}
		if id.roots, err = s.o.ClientCAs(); err != nil {
			return nil, fmt.Errorf("%w: %w", errUnready, err)
		}
		if certificate == nil || id.roots == nil { // without a pool the system's authorities would do
			return nil, fmt.Errorf("%w: no certificate or no authority", errUnready)
		}
		return &tls.Config{
			Certificates:           []tls.Certificate{*certificate},
			ClientAuth:             tls.RequireAndVerifyClientCert,
			ClientCAs:              id.roots,
			MinVersion:             tls.VersionTLS12,
			CipherSuites:           suites(),
			SessionTicketsDisabled: true,
			Time:                   s.now,
		}, nil
	}
	t := tls.Server(conn, &tls.Config{MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true, GetConfigForClient: config})
	ctx, cancel := context.WithTimeout(s.running, s.o.HandshakeTime)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		return t, id, err
	}
	state := t.ConnectionState()
	if len(state.VerifiedChains) == 0 || len(state.PeerCertificates) == 0 || state.DidResume {
		return t, id, errors.New("radsec: a handshake that verified nobody")
	}
	id.chain, id.until = state.PeerCertificates, longest(state.VerifiedChains)
	return t, id, nil
}

// longest is how long one of the chains is good.
func longest(chains [][]*x509.Certificate) time.Time {
	var until time.Time
	for _, chain := range chains {
		end := chain[0].NotAfter
		for _, c := range chain[1:] {
			if c.NotAfter.Before(end) {
				end = c.NotAfter
			}
		}
		if end.After(until) {
			until = end
		}
	}
	return until
}

// holds reports whether the certificate still verifies, now and by these authorities.
func (id *identity) holds(now time.Time, roots *x509.CertPool) bool {
	if roots == id.roots && !now.After(id.until) {
		return true
	}
	o := x509.VerifyOptions{
		Roots: roots, CurrentTime: now, Intermediates: x509.NewCertPool(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range id.chain[1:] {
		o.Intermediates.AddCert(c)
	}
	chains, err := id.chain[0].Verify(o)
	if err != nil {
		return false
	}
	id.roots, id.until = roots, longest(chains)
	return true
}

// Names that a log line shows of a certificate; strangers choose them.
const (
	shownNames  = 4
	shownOctets = 64 // of each
)

// shown returns what a log line tells of a certificate.
func shown(c *x509.Certificate) []string {
	names := make([]string, 0, shownNames)
	for _, name := range c.DNSNames[:min(len(c.DNSNames), shownNames)] {
		names = append(names, brief(name))
	}
	return names
}

func brief(text string) string { return text[:min(len(text), shownOctets)] }
