// Package radsectest is an authority for tests: it issues the certificates of RadSec servers and
// clients, right and wrong ones, in PEM.
//
//	New, Load ──► Authority ─┬─ Pool, PEM, Save
//	                         └─ Issue, Write ──► certificate and key
package radsectest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// An Authority issues certificates. It is safe for concurrent use.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// New makes an authority that is good from 2000 to 2100.
func New(name string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a := &Authority{certificate: template, key: key}
	der, err := a.sign(template, &key.PublicKey)
	if err != nil {
		return nil, err
	}
	a.certificate, err = x509.ParseCertificate(der)
	return a, err
}

// Load reads an authority that [Authority.Save] wrote.
func Load(file, keyFile string) (*Authority, error) {
	pair, err := tls.LoadX509KeyPair(file, keyFile)
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a key of type %T", keyFile, pair.PrivateKey)
	}
	return &Authority{certificate: pair.Leaf, key: key}, nil
}

// Save writes the authority's certificate, and its key if keyFile is not empty.
func (a *Authority) Save(file, keyFile string) error {
	if err := os.WriteFile(file, a.PEM(), 0o600); err != nil || keyFile == "" {
		return err
	}
	text, err := keyPEM(a.key)
	if err != nil {
		return err
	}
	return os.WriteFile(keyFile, text, 0o600)
}

// PEM returns the authority's certificate.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// Pool returns a new pool that trusts the authority and no other.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// A Leaf says what is in a certificate. The zero value has no names.
type Leaf struct {
	CommonName string
	DNS        []string
	IPs        []net.IP
	NotBefore  time.Time          // zero: 2000
	NotAfter   time.Time          // zero: 2100
	Usage      []x509.ExtKeyUsage // nil: server and client
}

// Server is a leaf for a server on the loopback addresses and localhost.
func Server() Leaf {
	return Leaf{
		CommonName: "radsec server", DNS: []string{"localhost"},
		IPs: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
}

// Client is a leaf for a client with these DNS names.
func Client(names ...string) Leaf { return Leaf{CommonName: "radsec client", DNS: names} }

// Issue makes a key and a certificate for it, in PEM.
func (a *Authority) Issue(l Leaf) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: l.CommonName}, DNSNames: l.DNS, IPAddresses: l.IPs,
		NotBefore: l.NotBefore, NotAfter: l.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: l.Usage, BasicConstraintsValid: true,
	}
	if l.NotBefore.IsZero() {
		template.NotBefore = a.certificate.NotBefore
	}
	if l.NotAfter.IsZero() {
		template.NotAfter = a.certificate.NotAfter
	}
	if l.Usage == nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	der, err := a.sign(template, &private.PublicKey)
	if err != nil {
		return nil, nil, err
	}
	key, err = keyPEM(private)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key, err
}

// Pair is Issue for a peer in the same process.
func (a *Authority) Pair(l Leaf) (tls.Certificate, error) {
	certificate, key, err := a.Issue(l)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certificate, key)
}

// Write is Issue into two files.
func (a *Authority) Write(file, keyFile string, l Leaf) error {
	certificate, key, err := a.Issue(l)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(file, certificate, 0o600), os.WriteFile(keyFile, key, 0o600))
}

func (a *Authority) sign(template *x509.Certificate, public *ecdsa.PublicKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	return x509.CreateCertificate(rand.Reader, template, a.certificate, public, a.key)
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
