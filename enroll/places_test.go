package enroll_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"otpgate/enroll"
)

// overTLS are options for a server with few places that ends TLS itself.
func overTLS(t *testing.T, places int) func(*world, *enroll.Options) {
	own := certificate(t, "otp.example.org")
	return func(_ *world, o *enroll.Options) {
		o.Limits.InFlight = places
		o.Certificate = func() (*tls.Certificate, error) { return &own, nil }
	}
}

// asks sends requests of HTTP/2 on a connection that takes no octet of an answer's body, and returns the
// statuses that come all the same.
func asks(t *testing.T, conn net.Conn, path string, times int) (statuses []string) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := range times {
		block.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "otp.example.org"}, {":path", path}} {
			if err := encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
				t.Fatal(err)
			}
		}
		err := framer.WriteHeaders(http2.HeadersFrameParam{
			StreamID: uint32(2*i + 1), BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for len(statuses) < times {
		f, err := framer.ReadFrame()
		if err != nil {
			t.Fatalf("after %v: %v", statuses, err)
		}
		if h, ok := f.(*http2.MetaHeadersFrame); ok {
			statuses = append(statuses, h.PseudoValue("status"))
		}
	}
	return statuses
}

// requestCode asks for a code on a connection of its own.
func requestCode(t *testing.T, base string) int {
	t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	res, err := client.Post(base+"/v1/enrollments", "application/json", strings.NewReader(`{"email":"nobody@corp.example"}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// TestWhoReadsNothingTakesNoPlace: what everybody gets is read as slowly as one likes, and keeps nobody
// from anything else.
func TestWhoReadsNothingTakesNoPlace(t *testing.T) {
	const places = 4
	w := start(t, overTLS(t, places))
	addr := serving(t, w)
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i, status := range asks(t, conn, "/openapi.yaml", 2*places) {
		if status != "200" {
			t.Errorf("document %d: %s", i, status)
		}
	}
	if status := requestCode(t, "https://"+addr); status != http.StatusAccepted {
		t.Errorf("a code, beside who reads nothing: %d", status)
	}
}

// TestOneSourceHasItsShareOfCalls, on however few connections: others are answered, and so is it when it has read.
func TestOneSourceHasItsShareOfCalls(t *testing.T) {
	const share = 3
	set := overTLS(t, 4)
	w := start(t, func(w *world, o *enroll.Options) {
		set(w, o)
		o.Limits.SourceConnections = share
	})
	addr := serving(t, w)
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.2")}, Timeout: patience}
	conn, err := tls.DialWithDialer(d, "tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]int{}
	for _, status := range asks(t, conn, "/openapi.yaml", 2*share) {
		given[status]++
	}
	if given["200"] != share || given["429"] != share {
		t.Errorf("%v", given)
	}
	if status := requestCode(t, "https://"+addr); status != http.StatusAccepted {
		t.Errorf("a code for somebody else: %d", status)
	}
	_ = conn.Close()
	eventually(t, "its share is its own again", func() bool {
		again, err := tls.DialWithDialer(d, "tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err != nil {
			return false
		}
		defer again.Close()
		return asks(t, again, "/openapi.yaml", 1)[0] == "200"
	})
}

// TestASlowBodyTakesNoPlace: nothing is done for it before it is there.
func TestASlowBodyTakesNoPlace(t *testing.T) {
	const places = 2
	w := start(t, func(_ *world, o *enroll.Options) { o.Limits.InFlight = places })
	addr := serving(t, w)
	for range places {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, err = io.WriteString(conn, "POST /v1/enrollments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") { // it is waited for
			t.Fatalf("%q, %v", line, err)
		}
	}
	if status := requestCode(t, "http://"+addr); status != http.StatusAccepted {
		t.Errorf("a code, beside bodies that do not come: %d", status)
	}
}

// TestOneSourceDoesNotHaveAllConnections: others are served beside it, and so is it when one of its own
// ends. A proxy that is named has as many as there are.
func TestOneSourceDoesNotHaveAllConnections(t *testing.T) {
	for _, proxy := range []bool{false, true} {
		t.Run(fmt.Sprintf("a proxy: %t", proxy), func(t *testing.T) {
			set := overTLS(t, 4)
			w := start(t, func(w *world, o *enroll.Options) {
				set(w, o)
				o.Limits.SourceConnections = 2
				if proxy {
					o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
				}
			})
			addr := serving(t, w)
			open := func(from string) (net.Conn, error) {
				d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
				c, err := tls.DialWithDialer(d, "tcp", addr, &tls.Config{InsecureSkipVerify: true})
				if err != nil {
					return nil, err
				}
				t.Cleanup(func() { _ = c.Close() })
				return c, nil
			}
			first, err := open("127.0.0.2")
			if err == nil {
				_, err = open("127.0.0.2")
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := open("127.0.0.2"); (err == nil) != proxy {
				t.Errorf("one more than a source may have: %v", err)
			}
			if _, err := open("127.0.0.3"); err != nil {
				t.Errorf("another source: %v", err)
			}
			_ = first.Close()
			eventually(t, "one in place of another", func() bool { _, err := open("127.0.0.2"); return err == nil })
			if n := strings.Count(w.logged.String(), "name it in enroll.trusted_proxies"); (n == 1) == proxy {
				t.Errorf("said %d times in the log", n)
			}
		})
	}
}
