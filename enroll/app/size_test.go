package app_test

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"otpgate/enroll/web"
)

// counted counts what comes in on a connection.
type counted struct {
	net.Conn
	octets *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.octets.Add(int64(n))
	return n, err
}

// visit is a client that comes by TLS and HTTP/2, as browsers do, and counts every octet on the wire.
func visit(t *testing.T, h http.Handler) (load func(address string) string, octets *atomic.Int64) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	octets = &atomic.Int64{}
	transport, ok := s.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("not the client that it was")
	}
	transport.DisableCompression = true // as the server sends it
	transport.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		config := transport.TLSClientConfig.Clone()
		config.NextProtos = []string{"h2"}
		config.ServerName = "example.com"
		return tls.Client(counted{conn, octets}, config), nil
	}
	return func(address string) string {
		t.Helper()
		r, err := http.NewRequest(http.MethodGet, s.URL+"/app/"+address, nil)
		must(t, err)
		r.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
		res, err := s.Client().Do(r)
		must(t, err)
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 {
			t.Errorf("%s: %s %s", address, res.Proto, res.Status)
		}
		var body io.Reader = res.Body
		switch {
		case res.Header.Get("Content-Encoding") == "gzip":
			if body, err = gzip.NewReader(res.Body); err != nil {
				t.Fatal(err)
			}
		case res.ContentLength > 1000 && res.Header.Get("Content-Type") != "image/png":
			t.Errorf("%s: %d octets, not compressed", address, res.ContentLength)
		}
		text, err := io.ReadAll(body)
		must(t, err)
		return string(text)
	}, octets
}

// TestTheFirstVisitIsSmall: everything that a phone loads the first time, with what the worker keeps
// in all languages, and the largest icon, is less than 60 KB over the wire.
func TestTheFirstVisitIsSmall(t *testing.T) {
	h := &host{app: build(t, "Example")}
	load, octets := visit(t, web.Secure(h, true))
	page, worker := load(""), load("sw.js")
	load("settings.json")
	shell := regexp.MustCompile(`\["([^"]+)","[^"]*"\]`).FindAllStringSubmatch(worker, -1)
	known := map[string]bool{}
	for _, s := range shell {
		if known[s[1]] = true; s[1] == "./" {
			continue
		}
		if text := load(s[1]); strings.HasSuffix(s[1], ".webmanifest") {
			load(regexp.MustCompile(`icon-512\.png[^"]*`).FindString(text))
		}
	}
	for _, m := range regexp.MustCompile(`(?:src|rel="stylesheet" href)="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if !known[m[1]] {
			t.Errorf("the worker does not know %s", m[1])
		}
	}
	const most = 60_000
	if octets.Load() >= most || len(shell) < 10 {
		t.Errorf("%d octets, at most %d; %d files", octets.Load(), most, len(shell))
	}
	t.Logf("%d octets in %d files", octets.Load(), len(shell))
}
