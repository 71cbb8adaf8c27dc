package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func fetch(t *testing.T, d *Document, method, address string, headers ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(method, address, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	d.Serve(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Result(), string(body)
}

var (
	long  = NewDocument(".js", bytes.Repeat([]byte("many words; "), 200)).Compressed()
	short = NewDocument(".js", []byte("x")).Compressed()
	plain = NewDocument(".js", bytes.Repeat([]byte("many words; "), 200))
)

// TestCompression: for who takes it, of what becomes shorter.
func TestCompression(t *testing.T) {
	for _, c := range []struct {
		d      *Document
		accept string
		zipped bool
	}{
		{long, "gzip", true}, {long, "gzip, deflate, br", true}, {long, "deflate,gzip;q=0.5", true}, {long, "GZIP; q=1.0", true},
		{long, "", false}, {long, "br", false}, {long, "gzip;q=0", false}, {long, "gzip; q=0.000", false}, {long, "gzip;q=much", false}, {long, "x-gzipped", false}, {long, "*", false}, {long, "gzip;level=9", false},
		{short, "gzip", false}, {plain, "gzip", false},
	} {
		res, body := fetch(t, c.d, http.MethodGet, "/", "Accept-Encoding", c.accept)
		if got := res.Header.Get("Content-Encoding") == "gzip"; got != c.zipped {
			t.Errorf("%q: compressed: %v, want %v", c.accept, got, c.zipped)
		}
		if got := res.Header.Get("Vary"); (got == "Accept-Encoding") != (c.d == long) {
			t.Errorf("%q: Vary: %q", c.accept, got)
		}
		if c.zipped {
			r, err := gzip.NewReader(strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			whole, err := io.ReadAll(r)
			if err != nil || len(body) >= len(whole) {
				t.Errorf("%v: %d of %d octets", err, len(body), len(whole))
			}
			body = string(whole)
		}
		if body != string(c.d.plain) || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("%q: %s %v", c.accept, res.Status, res.Header)
		}
	}
}

// TestBrowsersKeepDocuments: as long as they are the same, each form by its own tag.
func TestBrowsersKeepDocuments(t *testing.T) {
	res, _ := fetch(t, long, http.MethodGet, "/")
	whole := res.Header.Get("ETag")
	res, _ = fetch(t, long, http.MethodGet, "/", "Accept-Encoding", "gzip")
	zipped := res.Header.Get("ETag")
	if whole == zipped || whole == "" || strings.HasPrefix(whole, "W/") {
		t.Errorf("tags %q and %q", whole, zipped)
	}
	for _, c := range []struct {
		accept, tags string
		status       int
	}{
		{"", whole, 304}, {"", "W/" + whole, 304}, {"", `"x", ` + whole, 304}, {"", "*", 304}, {"gzip", zipped, 304},
		{"", zipped, 200}, {"gzip", whole, 200}, {"", `"x"`, 200}, {"", strings.Trim(whole, `"`), 200},
	} {
		res, body := fetch(t, long, http.MethodGet, "/", "Accept-Encoding", c.accept, "If-None-Match", c.tags)
		if res.StatusCode != c.status || (body == "") != (c.status == 304) {
			t.Errorf("%q %s: %d", c.accept, c.tags, res.StatusCode)
		}
		if res.Header.Get("Cache-Control") != "no-cache" || res.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q %s: %v", c.accept, c.tags, res.Header)
		}
	}
	for address, want := range map[string]string{
		"/?v=" + long.Version(): "public, max-age=31536000, immutable", "/?v=": "no-cache", "/?v=" + short.Version(): "no-cache", "/": "no-cache",
	} {
		if res, _ := fetch(t, long, http.MethodGet, address); res.Header.Get("Cache-Control") != want {
			t.Errorf("%s: %s", address, res.Header.Get("Cache-Control"))
		}
	}
	res, _ = fetch(t, long.Versioned("another"), http.MethodGet, "/?v=another")
	if !strings.Contains(res.Header.Get("Cache-Control"), "immutable") || long.Version() == "another" {
		t.Error(res.Header)
	}
}

// TestHeadAndParts: HEAD has the heads of GET and no body; a part is a part of the form it is of.
func TestHeadAndParts(t *testing.T) {
	get, _ := fetch(t, long, http.MethodGet, "/", "Accept-Encoding", "gzip")
	head, body := fetch(t, long, http.MethodHead, "/", "Accept-Encoding", "gzip")
	if body != "" || head.Header.Get("Content-Length") != get.Header.Get("Content-Length") || head.Header.Get("ETag") != get.Header.Get("ETag") {
		t.Errorf("%q %v", body, head.Header)
	}
	part, body := fetch(t, long, http.MethodGet, "/", "Range", "bytes=5-9")
	if part.StatusCode != http.StatusPartialContent || body != "words" {
		t.Errorf("%s %q", part.Status, body)
	}
}

// TestIntegrity: the example of W3C Subresource Integrity section 3.1.
func TestIntegrity(t *testing.T) {
	if got := NewDocument(".js", []byte("alert('Hello, world.');")).Integrity(); got != "sha384-H8BRh8j48O9oYatfu5AZzq6A9RINhZO5H16dQZngK7T62em8MUt1FLm52t+eX6xO" {
		t.Error(got)
	}
}

// TestSecureHeaders: the policies that browsers are given, to the word.
func TestSecureHeaders(t *testing.T) {
	for _, https := range []bool{false, true} {
		w := httptest.NewRecorder()
		Secure(http.NotFoundHandler(), https).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		csp := map[string]string{}
		for _, directive := range strings.Split(w.Header().Get("Content-Security-Policy"), "; ") {
			name, value, _ := strings.Cut(directive, " ")
			csp[name] = value
		}
		for name, want := range map[string]string{
			"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self'", "connect-src": "'self'",
			"manifest-src": "'self'", "worker-src": "'self'", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
			"require-trusted-types-for": "'script'", "trusted-types": "otpgate-worker",
		} {
			if csp[name] != want {
				t.Errorf("%s %s, want %s", name, csp[name], want)
			}
		}
		// Not upgrade-insecure-requests: a page that was opened over plain http could not say so then.
		if len(csp) != 12 {
			t.Errorf("https %v: %v", https, csp)
		}
		permissions := map[string]string{}
		for _, p := range strings.Split(w.Header().Get("Permissions-Policy"), ", ") {
			name, who, _ := strings.Cut(p, "=")
			permissions[name] = who
		}
		for name, who := range permissions {
			self := strings.HasPrefix(name, "publickey-credentials-") || name == "clipboard-write"
			if who != map[bool]string{false: "()", true: "(self)"}[self] {
				t.Errorf("%s=%s", name, who)
			}
		}
		for _, name := range []string{"publickey-credentials-create", "publickey-credentials-get", "clipboard-write", "camera", "clipboard-read", "geolocation", "microphone"} {
			if permissions[name] == "" {
				t.Errorf("no permission for %s", name)
			}
		}
	}
}

// FuzzAcceptEncoding: whatever a client accepts, it gets the document, whole or compressed, and what
// names no gzip is not answered with it.
func FuzzAcceptEncoding(f *testing.F) {
	for _, s := range []string{"", "gzip", "gzip;q=0", "br;q=1.0, gzip;q=0.8, *;q=0.1", ";;,,q=", "gzip;q=1e400"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		res, body := fetch(t, long, http.MethodGet, "/", "Accept-Encoding", accept)
		zipped := res.Header.Get("Content-Encoding") == "gzip"
		if zipped && !strings.Contains(strings.ToLower(accept), "gzip") || res.StatusCode != http.StatusOK {
			t.Fatalf("%q: %s %v", accept, res.Status, res.Header)
		}
		if want := map[bool][]byte{false: long.plain, true: long.zipped}[zipped]; body != string(want) {
			t.Fatalf("%q: another body", accept)
		}
	})
}
