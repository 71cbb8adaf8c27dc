package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdCertificate writes a certificate and its key. It is for 127.0.0.1, or for a name, and vouches for
// itself unless an authority does.
//
//	certificate FILE KEY-FILE NOT-AFTER [name=DNS-NAME] [by=AUTHORITY]    in Unix time
func cmdCertificate(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 3, "certificate FILE KEY-FILE NOT-AFTER [name=DNS-NAME] [by=AUTHORITY]")
	notAfter, err := strconv.ParseInt(args[2], 10, 64)
	ts.Check(err)
	template := loopback(time.Unix(notAfter, 0))
	var by *authority
	for _, option := range args[3:] {
		switch key, value, _ := strings.Cut(option, "="); key {
		case "name":
			template.Subject.CommonName, template.DNSNames, template.IPAddresses = value, []string{value}, nil
		case "by":
			if by = benchOf(ts).authorities[value]; by == nil {
				ts.Fatalf("certificate: there is no authority %q", value)
			}
			template.IsCA = false
		default:
			ts.Fatalf("certificate: unknown option %q", option)
		}
	}
	ts.Check(writeCertificate(ts.MkAbs(args[0]), ts.MkAbs(args[1]), template, by))
}

// loopback is what a certificate for 127.0.0.1 that vouches for itself is made from.
func loopback(notAfter time.Time) *x509.Certificate {
	return &x509.Certificate{
		NotAfter: notAfter, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func writeCertificate(file, keyFile string, template *x509.Certificate, by *authority) error {
	key, der, err := issue(template, by)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(writePEM(file, "CERTIFICATE", der), writePEM(keyFile, "PRIVATE KEY", private))
}

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// cmdAuthority makes an authority and writes its certificate.
//
//	authority NAME FILE
func cmdAuthority(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "authority NAME FILE")
	template := &x509.Certificate{NotAfter: time.Unix(1<<33, 0), IsCA: true, KeyUsage: x509.KeyUsageCertSign}
	template.Subject.CommonName = args[0]
	key, der, err := issue(template, nil)
	ts.Check(err)
	certificate, err := x509.ParseCertificate(der)
	ts.Check(err)
	benchOf(ts).authorities[args[0]] = &authority{certificate, key}
	ts.Check(writePEM(ts.MkAbs(args[1]), "CERTIFICATE", der))
}

// issue makes a key and a certificate for it, by an authority or by the key itself.
func issue(template *x509.Certificate, by *authority) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if by == nil {
		by = &authority{template, key}
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.BasicConstraintsValid = time.Now().Add(-time.Hour), true
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, key.Public(), by.key)
	return key, der, err
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
