package enroll_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"otpgate/enroll"
	"otpgate/enroll/web"
)

// calls are the routes that take a body: what a stranger can make the server work with.
func calls(t *testing.T, w *world) []enroll.Route {
	t.Helper()
	var all []enroll.Route
	for _, r := range w.server.Routes() {
		if r.Required != nil {
			all = append(all, r)
		}
	}
	if len(all) < 3 {
		t.Fatalf("%d calls", len(all))
	}
	return all
}

// body is one that a route takes, and refuses for what it says.
func body(t *testing.T, r enroll.Route) string {
	t.Helper()
	members, names := map[string]string{}, r.Required
	if slices.Contains(r.Optional, "proof") {
		names = append([]string{"account", "at", "proof"}, names...)
	}
	for _, name := range names {
		members[name] = "x"
		if name == "email" {
			members[name] = "nobody@corp.example"
		}
	}
	octets, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(octets)
}

// from is a request that came from an address.
func (w *world) from(source, method, path, body string) *http.Response {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = source
	r.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(recorder, r)
	return recorder.Result()
}

// retryAfter is how long an answer says to wait; it fails the test when it does not say.
func retryAfter(t *testing.T, what string, res *http.Response) time.Duration {
	t.Helper()
	seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if err != nil || seconds < 1 || seconds > 3600 {
		t.Errorf("%s: Retry-After %q", what, res.Header.Get("Retry-After"))
	}
	var p web.Problem
	if err := json.Unmarshal([]byte(read(t, res)), &p); err != nil || p.Type != "urn:otpgate:too-many" || p.Status != http.StatusTooManyRequests {
		t.Errorf("%s: %+v, %v", what, p, err)
	}
	return time.Duration(seconds) * time.Second
}

// TestEveryCallIsLimited: each counts, for one source together, and says how long to wait. Whoever
// waits that long is let in, and nobody before; others are not kept out.
func TestEveryCallIsLimited(t *testing.T) {
	for _, source := range []struct{ one, same, other string }{
		{"192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1"},
		{"[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff::9]:7", "[2001:db8:1:3::1]:1"}, // one subscriber has a /64
	} {
		w := start(t, func(_ *world, o *enroll.Options) {
			o.Limits.SourceBurst, o.Limits.SourceEvery = 2, 90*time.Second
		})
		for _, call := range calls(t, w) {
			for i := range 2 {
				if res := w.from(source.one, call.Method, call.Path, body(t, call)); res.StatusCode == http.StatusTooManyRequests {
					t.Fatalf("%s: refused after %d", call.Path, i)
				}
			}
			before := len(w.trail.all())
			var wait time.Duration
			for _, kind := range []string{body(t, call), "{}", "nonsense", strings.Repeat("x", 2*web.MaxBody)} {
				res := w.from(source.same, call.Method, call.Path, kind)
				if res.StatusCode != http.StatusTooManyRequests {
					t.Errorf("%s: the third is answered with %d", call.Path, res.StatusCode)
				}
				wait = retryAfter(t, call.Path, res)
			}
			for _, other := range calls(t, w) {
				if res := w.from(source.one, other.Method, other.Path, body(t, other)); res.StatusCode != http.StatusTooManyRequests {
					t.Errorf("after %s, %s is answered with %d", call.Path, other.Path, res.StatusCode)
				}
			}
			w.clock.advance(wait - time.Second)
			if res := w.from(source.one, call.Method, call.Path, body(t, call)); res.StatusCode != http.StatusTooManyRequests {
				t.Errorf("%s: a second before its time: %d", call.Path, res.StatusCode)
			}
			if len(w.trail.all()) != before && !slices.Equal(call.Required, []string{"email"}) { // those go on beside their answers
				t.Errorf("%s: what was refused is on record: somebody worked for it", call.Path)
			}
			if res := w.from(source.other, call.Method, call.Path, body(t, call)); res.StatusCode == http.StatusTooManyRequests {
				t.Errorf("%s: another source is kept out", call.Path)
			}
			if res := w.from(source.one, http.MethodGet, "/v1/time", ""); res.StatusCode != http.StatusOK {
				t.Errorf("%s: pages are kept from who asked too often: %d", call.Path, res.StatusCode)
			}
			w.clock.advance(time.Second)
			if res := w.from(source.one, call.Method, call.Path, body(t, call)); res.StatusCode == http.StatusTooManyRequests {
				t.Errorf("%s: kept out after %v", call.Path, wait)
			}
			w.clock.advance(time.Hour)
		}
	}
}

// TestLimitBehindAProxy: each client of a proxy that is named has a limit of its own, and whoever
// writes addresses into the header does not get another.
func TestLimitBehindAProxy(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) {
		o.Limits.SourceBurst, o.TrustedProxies = 1, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	})
	ask := func(forwarded string) int {
		return w.do(http.MethodPost, "/v1/enrollments", `{"email":"nobody@corp.example"}`, "Content-Type", "application/json", "X-Forwarded-For", forwarded).StatusCode
	}
	for _, c := range []struct {
		forwarded string
		status    int
	}{
		{"198.51.100.7", 202}, {"198.51.100.7", 429}, {"203.0.113.1, 198.51.100.7", 429}, {"192.0.2.9, 198.51.100.7", 429}, {"198.51.100.8", 202},
	} {
		if got := ask(c.forwarded); got != c.status {
			t.Errorf("%s: %d, want %d", c.forwarded, got, c.status)
		}
	}
}

// TestFullServerSaysWhen: while as many calls are being worked on as may be, every other says so
// with a time to wait, and begins nothing. What there is no work for is answered.
func TestFullServerSaysWhen(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.Limits.InFlight, o.AnswerAfter = 1, time.Hour })
	server := httptest.NewServer(w.server.Handler())
	defer server.Close()
	defer server.CloseClientConnections() // which ends the one that is held
	go func() {
		for { // until it gets the place, which whoever looks whether it has takes for a moment
			res, err := http.Post(server.URL+"/v1/enrollments", "application/json", strings.NewReader(`{"email":"nobody@corp.example"}`))
			if err != nil {
				return
			}
			if _ = res.Body.Close(); res.StatusCode != http.StatusTooManyRequests {
				return
			}
		}
	}()
	eventually(t, "the only place is taken", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), fast) // it may have got the place, and be held
		defer cancel()
		w.caller = ctx
		return w.do(http.MethodPost, "/v1/revocations", `{"token":"x"}`, "Content-Type", "application/json").StatusCode == http.StatusTooManyRequests
	})
	w.caller = nil
	for _, r := range w.server.Routes() {
		text := ""
		if r.Required != nil {
			text = body(t, r)
		}
		path := strings.TrimSuffix(r.Path, "{$}")
		res := w.do(r.Method, path, text, "Content-Type", "application/json")
		if r.Required == nil {
			if res.StatusCode == http.StatusTooManyRequests {
				t.Errorf("%s: there is no work for it, and it is refused", path)
			}
			continue
		}
		if res.StatusCode != http.StatusTooManyRequests {
			t.Errorf("%s: %d", path, res.StatusCode)
			continue
		}
		retryAfter(t, path, res)
	}
}

// TestBodiesAreBounded: to the octet, whether the length is declared or not.
func TestBodiesAreBounded(t *testing.T) {
	w := start(t, nil)
	for _, call := range calls(t, w) {
		fits := body(t, call)
		fits += strings.Repeat(" ", web.MaxBody-len(fits))
		for _, c := range []struct {
			body     string
			tooLarge bool
		}{{fits, false}, {fits + " ", true}, {`{"` + strings.Repeat("x", 1<<20), true}} {
			for _, declared := range []bool{true, false} {
				r := httptest.NewRequest(call.Method, call.Path, strings.NewReader(c.body))
				r.Header.Set("Content-Type", "application/json")
				if !declared {
					r.Body, r.ContentLength = io.NopCloser(strings.NewReader(c.body)), -1
				}
				recorder := httptest.NewRecorder()
				w.server.Handler().ServeHTTP(recorder, r)
				if tooLarge := recorder.Code == http.StatusRequestEntityTooLarge; tooLarge != c.tooLarge {
					t.Errorf("%s, %d octets, declared %t: %d", call.Path, len(c.body), declared, recorder.Code)
				}
			}
		}
	}
}

// TestEndlessBodiesAreNotRead: whoever goes on sending is answered and let go, and what the
// server took of it is what the buffers between the two hold.
func TestEndlessBodiesAreNotRead(t *testing.T) {
	w := start(t, nil)
	addr := serving(t, w)
	for _, call := range calls(t, w) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		sent := make(chan int)
		go func() {
			n, err := io.WriteString(conn, "POST "+call.Path+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
			for total := n; ; total += n {
				if err != nil {
					sent <- total
					return
				}
				n, err = io.WriteString(conn, "10000\r\n"+strings.Repeat(" ", 1<<16)+"\r\n")
			}
		}()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != http.StatusRequestEntityTooLarge || !res.Close {
			t.Errorf("%s: %v %v", call.Path, res, err)
		}
		if n := <-sent; n > 32<<20 {
			t.Errorf("%s: %d octets were taken", call.Path, n)
		}
		_ = conn.Close()
	}
}

// TestHeadersAreBounded: one long line, many short ones, a long path; and what is in between is taken.
func TestHeadersAreBounded(t *testing.T) {
	w := start(t, nil)
	addr := serving(t, w)
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"one long line":                   {"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 64<<10), http.StatusRequestHeaderFieldsTooLarge},
		"many short lines":                {"GET / HTTP/1.1\r\nHost: x" + strings.Repeat("\r\nX: y", 16<<10), http.StatusRequestHeaderFieldsTooLarge},
		"a long path":                     {"GET /" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: x", http.StatusRequestHeaderFieldsTooLarge},
		"a long name":                     {"GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("x", 64<<10) + ": y", http.StatusRequestHeaderFieldsTooLarge},
		"many, that fit":                  {"GET / HTTP/1.1\r\nHost: x" + strings.Repeat("\r\nX: y", 1000), http.StatusOK},
		"long, and fits":                  {"GET / HTTP/1.1\r\nHost: x\r\nAccept-Language: " + strings.Repeat("xx,", 4<<10), http.StatusOK},
		"a language that no parser likes": {"GET / HTTP/1.1\r\nHost: x\r\nAccept-Language: " + strings.Repeat("a-", 4<<10), http.StatusOK},
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_ = conn.SetDeadline(began.Add(patience))
		go func() { _, _ = io.WriteString(conn, c.request+"\r\n\r\n") }()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != c.status || time.Since(began) > patience/2 {
			t.Errorf("%s: %v %v after %v", name, res, err, time.Since(began))
		}
		_ = conn.Close()
	}
}
