package radsec

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otpgate/radius/radsec/radsectest"
)

// TestWhoIsRefused: each gets no packet in, is counted for what it is, and the log says what to do.
func TestWhoIsRefused(t *testing.T) {
	day := 24 * time.Hour
	client := radsectest.Client("nas.example")
	for _, c := range []struct {
		name   string
		out    outcome
		says   string
		config func(t *testing.T, w *world) *tls.Config
	}{
		{"no certificate", noCertificate, "client_ca_file", func(_ *testing.T, w *world) *tls.Config {
			return w.config(tls.Certificate{})
		}},
		{"no certificate, TLS 1.2", noCertificate, "client_ca_file", func(_ *testing.T, w *world) *tls.Config {
			config := w.config(tls.Certificate{})
			config.MaxVersion = tls.VersionTLS12
			return config
		}},
		{"another authority of the same name", unknownAuthority, "nas.example", func(t *testing.T, w *world) *tls.Config {
			return w.config(pairOf(t, newAuthority(t), client))
		}},
		{"expired", expired, "renew it", func(_ *testing.T, w *world) *tls.Config {
			late := client
			late.NotAfter = time.Now().Add(-day)
			return w.config(w.pair(late))
		}},
		{"not valid yet", expired, "clocks", func(_ *testing.T, w *world) *tls.Config {
			early := client
			early.NotBefore = time.Now().Add(day)
			return w.config(w.pair(early))
		}},
		{"a server's certificate", wrongUsage, "clientAuth", func(_ *testing.T, w *world) *tls.Config {
			server := client
			server.Usage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
			return w.config(w.pair(server))
		}},
		{"a name that nobody has", unknownCertificate, "other.example", func(_ *testing.T, w *world) *tls.Config {
			return w.config(w.pair(radsectest.Client("other.example")))
		}},
		{"a wildcard", unknownCertificate, "wildcards", func(_ *testing.T, w *world) *tls.Config {
			return w.config(w.pair(radsectest.Client("*.example")))
		}},
		{"a common name", unknownCertificate, "subjectAltName", func(_ *testing.T, w *world) *tls.Config {
			return w.config(w.pair(radsectest.Leaf{CommonName: "nas.example"}))
		}},
		{"TLS 1.1", noCommonTLS, "TLS 1.2", func(_ *testing.T, w *world) *tls.Config {
			config := w.config()
			config.MaxVersion = tls.VersionTLS11
			return config
		}},
		{"CBC", noCommonTLS, "AES-GCM", func(_ *testing.T, w *world) *tls.Config {
			config := w.config()
			config.MaxVersion, config.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
			return config
		}},
		{"our certificate is not trusted", refusedByClient, "certificate_file", func(_ *testing.T, w *world) *tls.Config {
			config := w.config()
			config.RootCAs = x509.NewCertPool()
			return config
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			conn, err := w.try(c.config(t, w))
			if err == nil { // a client of TLS 1.3 is told after its handshake
				_, _ = conn.Write(packet(1, 20))
				if n, err := conn.Read(make([]byte, 1)); err == nil || n != 0 {
					t.Error("there is a reply")
				}
			}
			w.refused(t, c.out)
			w.logged(t, c.says)
		})
	}
}

// refused waits until one connection was refused, for a reason.
func (w *world) refused(t *testing.T, out outcome) {
	t.Helper()
	waitUntil(t, "refused: "+out.String()+"\n"+w.log.String(), func() bool { return w.came(out) == 1 })
	for o := range outcomes {
		if n := w.came(o); o != out && n != 0 {
			t.Errorf("%d came as %v", n, o)
		}
	}
	if w.hand.count() != 0 {
		t.Error("a packet came in")
	}
}

// TestWhatIsNotTLS: strangers that say something else, nothing, or too little.
func TestWhatIsNotTLS(t *testing.T) {
	for _, c := range []struct {
		name   string
		octets []byte
		hangUp bool
		out    outcome
	}{
		{"RADIUS over TCP", packet(1, 40), false, notTLS},
		{"a port scan", nil, true, hungUp},
		{"half of a hello", []byte{22, 3, 1, 1, 0, 1}, true, hungUp},
		{"silence", nil, false, tooSlow},
		{"a slow hello", []byte{22, 3, 1, 1, 0, 1}, false, tooSlow},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(o *Options, _ *world) {
				if c.out == tooSlow {
					o.HandshakeTime = moment
				}
			})
			conn, err := net.Dial("tcp", w.address())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = conn.Write(c.octets)
			if c.hangUp {
				conn.Close()
			}
			w.refused(t, c.out)
			w.logged(t, c.out.hint())
		})
	}
}

func TestVersionsAndSuites(t *testing.T) {
	w := newWorld(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := w.config()
		config.MinVersion, config.MaxVersion = version, version
		config.NextProtos = []string{"radius/1.1"} // RFC 9765: who gets no answer to it speaks RADIUS/1.0
		conn, err := w.try(config)
		if err != nil {
			t.Fatal(err)
		}
		write(t, conn, packet(1, 20))
		want(t, conn, packet(1, 20))
		if state := conn.ConnectionState(); state.NegotiatedProtocol != "" {
			t.Errorf("%q was agreed on", state.NegotiatedProtocol)
		}
	}
}

// TestNothingIsResumed: a session from before the authorities changed must not let anybody in.
func TestNothingIsResumed(t *testing.T) {
	w := newWorld(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		w.roots.Store(w.ca.Pool())
		config := w.config()
		config.MaxVersion, config.ClientSessionCache = version, tls.NewLRUClientSessionCache(1)
		for range 2 {
			conn, err := w.try(config)
			if err != nil {
				t.Fatal(err)
			}
			write(t, conn, packet(1, 20))
			want(t, conn, packet(1, 20))
			if conn.ConnectionState().DidResume {
				t.Error("resumed")
			}
		}
		w.roots.Store(newAuthority(t).Pool())
		if conn, err := w.try(config); err == nil {
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Error("a client of an authority that is gone was let in")
			}
		}
	}
	waitUntil(t, "both refused", func() bool { return w.came(unknownAuthority) == 2 })
}

// TestTheServersCertificateIsReadAgain: a renewal needs no restart, and a bad one keeps nobody who
// is there already.
func TestTheServersCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	file, key := filepath.Join(dir, "radsec.crt"), filepath.Join(dir, "radsec.key")
	w := newWorld(t, func(o *Options, _ *world) {
		o.Certificate = func() (*tls.Certificate, error) {
			c, err := tls.LoadX509KeyPair(file, key)
			return &c, err
		}
	})
	names := func(name string) {
		t.Helper()
		leaf := radsectest.Server()
		leaf.CommonName = name
		if err := w.ca.Write(file, key, leaf); err != nil {
			t.Fatal(err)
		}
	}
	var open *tls.Conn
	for _, name := range []string{"first", "second"} {
		names(name)
		conn := w.dial()
		if got := conn.ConnectionState().PeerCertificates[0].Subject.CommonName; got != name {
			t.Errorf("the certificate is %q, want %q", got, name)
		}
		if open == nil {
			open = conn
		}
	}
	if err := w.ca.Save(file, ""); err != nil { // which does not fit the key
		t.Fatal(err)
	}
	if _, err := w.try(w.config()); err == nil {
		t.Error("a handshake without a certificate")
	}
	waitUntil(t, "unready", func() bool { return w.came(unready) == 1 })
	w.logged(t, unready.hint())
	write(t, open, packet(1, 20))
	want(t, open, packet(1, 20))
}

// TestWithoutAuthoritiesNobodyIsLetIn: least of all by those of the system.
func TestWithoutAuthoritiesNobodyIsLetIn(t *testing.T) {
	for name, get := range map[string]func() (*x509.CertPool, error){
		"nil":   func() (*x509.CertPool, error) { return nil, nil },
		"error": func() (*x509.CertPool, error) { return nil, errors.New("no such file") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *Options, _ *world) { o.ClientCAs = get })
			if _, err := w.try(w.config()); err == nil {
				t.Error("a handshake")
			}
			w.refused(t, unready)
		})
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		dns  []string
		want string
		ok   bool
	}{
		{[]string{"NAS1.corp.example"}, "nas1.CORP.example", true},
		{[]string{"a.example", "nas1.corp.example"}, "nas1.corp.example", true},
		{[]string{"nas1.corp.example"}, "nas1.corp.example.", false},
		{[]string{"nas1.corp.example"}, "corp.example", false},
		{[]string{"*.corp.example"}, "nas1.corp.example", false},
		{[]string{"*.corp.example"}, "*.corp.example", false},
		{[]string{"nas1.corp.example\x00.evil.example"}, "nas1.corp.example", false},
		{[]string{"k.example"}, "\u212a.example", false}, // the sign for kelvin
		{[]string{""}, "", false},
		{nil, "", false},
	} {
		names := Names(&x509.Certificate{DNSNames: c.dns})
		if got := Match(names, c.want); got != c.ok {
			t.Errorf("%q is %q: %v", c.dns, c.want, got)
		}
		for _, n := range names {
			if n != strings.ToLower(n) || strings.Contains(n, "*") {
				t.Errorf("%q has the name %q", c.dns, n)
			}
		}
	}
}
