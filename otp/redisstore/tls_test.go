package redisstore_test

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
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otpgate/otp"
	"otpgate/otp/redisstore"
	"otpgate/otp/redisstore/redistest"
	"otpgate/otp/storetest"
)

// leastUser may do what the store needs, and nothing else. doc.go shows it.
const leastUser = "otpgate on >correct-horse ~otpgate:* resetchannels -@all +evalsha +script|load +hgetall +hmget +hget +hset +hdel +hkeys +hexists +hincrby +hlen +pttl +pexpire +get +set +setnx +del +time +config|get +info +role"

// leastInCluster is what it needs in a cluster besides.
const leastInCluster = " +cluster|slots +command +asking"

// selfSigned writes a certificate for 127.0.0.1 and its key, and returns a pool with it.
func selfSigned(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(cert)
	return write("redis.crt", "CERTIFICATE", der), write("redis.key", "PRIVATE KEY", private), roots
}

func TestTLSAndLeastPrivilege(t *testing.T) {
	cert, key, roots := selfSigned(t)
	args := []string{"--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no", "--user", "default", "off", "--user"}
	server := redistest.Start(t, append(args, strings.Fields(leastUser)...)...)
	right := redisstore.Options{Addresses: []string{server.Addr}, Username: "otpgate", Password: "correct-horse", TLS: &tls.Config{RootCAs: roots}}

	s := open(t, right)
	if _, err := s.Ping(background(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Bind(background(t), "fingerprint"); err != nil {
		t.Fatal(err)
	}
	addDevice(t, s, "a")
	code := useStep("a", 100, 5)
	code.Kind, code.Miss, code.Backoff, code.Forget = otp.WrongCode, otp.Miss{1}, []time.Duration{0}, time.Hour
	password := useStep("a", 100, 6)
	password.Kind = otp.WrongPassword
	code.Challenge = otp.Challenged{ID: [8]byte{1}, Tries: 2}
	shared := useStep("a", 101, 3)
	shared.Challenge, shared.Share = otp.Challenged{ID: [8]byte{2}, Tries: 2}, otp.Share{Times: 2, Within: time.Minute}
	preview := useStep("a", 102, 4)
	preview.Kind = otp.Preview
	for i, r := range s.Claim(background(t), []otp.Claim{code, password, useStep("a", 100, 1), useStep("a", 100, 2), shared, preview}) {
		if want := []otp.Answer{otp.Counted, otp.Counted, otp.Claimed, otp.Used, otp.Claimed, otp.Free}[i]; r.Answer != want {
			t.Errorf("claim %d: %+v", i, r)
		}
	}
	if err := errors.Join(s.RenameDevice(background(t), "a", "abcdefgh22222222", "x"), s.RemoveDevice(background(t), "a", "abcdefgh22222222")); err != nil {
		t.Error(err)
	}
	if err := s.PutTicket(background(t), otp.Ticket{Kind: otp.EnrollmentTicket, Account: "a", Tries: 2, Expires: noon}); err != nil {
		t.Error(err)
	}
	if ok, err := s.TakeTicket(background(t), otp.EnrollmentTicket, "a", otp.Digest{}, noon.Add(-time.Minute)); err != nil || !ok {
		t.Error(ok, err)
	}
	for n := range otp.MaxNotes + 1 {
		if err := s.PutNotes(background(t), []otp.Note{{Kind: "k", Key: "a", Field: fmt.Sprint(n), Value: []byte("v"), Expires: noon}, {Kind: "k", Key: "a", Field: "none"}}); err != nil {
			t.Fatal(err)
		}
	}
	if notes, err := s.Notes(background(t), "k", "a", noon.Add(-time.Minute)); err != nil || len(notes) != otp.MaxNotes {
		t.Error(len(notes), err)
	}
	testWrongCredentials(t, right)
}

// testWrongCredentials proves that nothing but the right options get in, and that errors keep secrets.
func testWrongCredentials(t *testing.T, right redisstore.Options) {
	_, _, others := selfSigned(t)
	for name, change := range map[string]func(*redisstore.Options){
		"another CA":       func(o *redisstore.Options) { o.TLS = &tls.Config{RootCAs: others} },
		"no TLS":           func(o *redisstore.Options) { o.TLS = nil },
		"wrong password":   func(o *redisstore.Options) { o.Password = "incorrect-horse" },
		"wrong user":       func(o *redisstore.Options) { o.Username = "default" },
		"no password":      func(o *redisstore.Options) { o.Username, o.Password = "", "" },
		"forbidden prefix": func(o *redisstore.Options) { o.KeyPrefix = "elsewhere:" },
	} {
		t.Run(name, func(t *testing.T) {
			var l logs
			o := right
			o.Logger = l.logger()
			o.Timeout = 2 * time.Second
			change(&o)
			s := open(t, o)
			storetest.WantUnavailable(t, s, background(t), name, useStep("a", 100, 1))
			_, err := s.Ping(background(t))
			if text := err.Error() + l.String(); strings.Contains(text, "horse") {
				t.Errorf("the password is in %q", text)
			}
		})
	}
}

func TestLeastPrivilegeInCluster(t *testing.T) {
	args := append([]string{"--user"}, strings.Fields(leastUser+leastInCluster)...)
	var addresses []string
	for _, node := range redistest.StartCluster(t, args...) {
		addresses = append(addresses, node.Addr)
	}
	s := open(t, redisstore.Options{Addresses: addresses, Username: "otpgate", Password: "correct-horse"})
	if _, err := s.Ping(background(t)); err != nil {
		t.Fatal(err)
	}
	for _, account := range []string{"a", "b", "c", "d", "e", "f"} { // in slots of all three
		addDevice(t, s, account)
		if r := claimOne(background(t), s, useStep(account, 100, 1)); r.Answer != otp.Claimed {
			t.Fatalf("%+v", r)
		}
	}
}
