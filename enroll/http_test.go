package enroll_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"otpgate/directory"
	"otpgate/enroll"
)

// TestHeadersOnEveryResponse: pages, API, errors, what is not there.
func TestHeadersOnEveryResponse(t *testing.T) {
	w := start(t, nil)
	want := map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Strict-Transport-Security": "max-age=31536000",
	}
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/", "", 200}, {"HEAD", "/", "", 200}, {"GET", "/app/", "", 200}, {"GET", "/app/screens.js", "", 200}, {"GET", "/app/texts.json", "", 200}, {"GET", "/app", "", 301}, {"GET", "/revoke", "", 200}, {"GET", "/devices", "", 200}, {"GET", "/devices?lang=pt&lang=%zz", "", 200}, {"POST", "/devices", "", 405},
		{"GET", "/qr.svg", "", 200}, {"GET", "/assets/page.css", "", 200}, {"GET", "/v1/time", "", 200}, {"GET", "/openapi.yaml", "", 200}, {"POST", "/v1/enrollments", "{}", 400},
		{"GET", "/nothing", "", 404}, {"GET", "/assets/", "", 404}, {"GET", "/app/../../go.mod", "", 301}, {"GET", "/app/%2e%2e/doc.go", "", 404}, {"OPTIONS", "/v1/devices", "", 405}, {"TRACE", "/", "", 405}, {"POST", "/", "", 405},
	} {
		res := w.do(c.method, c.path, c.body, "Content-Type", "application/json", "Origin", "https://otp.example.org")
		if c.status == 301 && res.StatusCode == 307 { // what newer Go answers
			c.status = 307
		}
		if res.StatusCode != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, res.StatusCode, c.status)
		}
		for key, value := range want {
			if got := res.Header.Get(key); got != value {
				t.Errorf("%s %s: %s: %q", c.method, c.path, key, got)
			}
		}
		csp := res.Header.Get("Content-Security-Policy")
		for _, directive := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "script-src 'self'"} {
			if !strings.Contains(csp, directive) || strings.Contains(csp, "unsafe") {
				t.Errorf("%s %s: Content-Security-Policy %q", c.method, c.path, csp)
			}
		}
		for key := range res.Header {
			if strings.HasPrefix(key, "Access-Control-") || key == "Server" || key == "Set-Cookie" {
				t.Errorf("%s %s: %s", c.method, c.path, key)
			}
		}
	}
}

func TestRequestsFromOtherSitesAreRefused(t *testing.T) {
	w := start(t, nil)
	const body = `{"email":"alice@corp.example"}`
	for _, c := range []struct {
		key, value string
		status     int
	}{
		{"Sec-Fetch-Site", "cross-site", 403}, {"Sec-Fetch-Site", "same-site", 403}, {"Origin", "https://evil.example", 403}, {"Origin", "null", 403},
		{"Sec-Fetch-Site", "same-origin", 202}, {"Origin", "https://otp.example.org", 202}, {"X-Nothing", "", 202},
	} {
		res := w.do("POST", "/v1/enrollments", body, "Content-Type", "application/json", c.key, c.value)
		if res.StatusCode != c.status {
			t.Errorf("%s: %s: %d", c.key, c.value, res.StatusCode)
		}
	}
}

// TestPagesObeyThePolicy: nothing inline, nothing from elsewhere, and all that is referred to exists.
func TestPagesObeyThePolicy(t *testing.T) {
	w := start(t, nil)
	reference := regexp.MustCompile(`(?:src|href)="([^"]+)"`)
	for _, page := range []string{"/", "/devices", "/revoke", "/app/"} {
		for _, language := range []string{"en", "zh-TW", "pt-BR"} {
			res := w.do("GET", page, "", "Accept-Language", language)
			html := read(t, res)
			if regexp.MustCompile(`(?i)<style|\sstyle=|<script>|\son[a-z]+=|javascript:|page\.[a-z]+\.`).MatchString(html) {
				t.Errorf("%s: something inline, or a text that is missing:\n%s", page, html)
			}
			for _, m := range reference.FindAllStringSubmatch(html, -1) {
				to := strings.TrimPrefix(m[1], "https://otp.example.org")
				if !strings.HasPrefix(to, "/") {
					to = page + to
				}
				if got := w.do("GET", to, ""); got.StatusCode != http.StatusOK {
					t.Errorf("%s refers to %s: %d", page, m[1], got.StatusCode)
				}
			}
			if want := map[string]string{"en": "en", "zh-TW": "zh-Hant", "pt-BR": "pt"}[language]; page != "/app/" && !strings.Contains(html, `<html lang="`+want+`">`) {
				t.Errorf("%s in %s: another language", page, language)
			}
		}
	}
	// What scripts import is there, and every text they name.
	texts := read(t, w.do("GET", "/app/texts.json", ""))
	script := read(t, w.do("GET", "/app/screens.js", ""))
	names := regexp.MustCompile(`text\("([a-z._]+)"`).FindAllStringSubmatch(script, -1)
	names = append(names, regexp.MustCompile(`data-text="([a-z._]+)"`).FindAllStringSubmatch(read(t, w.do("GET", "/app/", "")), -1)...)
	for _, m := range names {
		if !strings.HasSuffix(m[1], ".") && !strings.Contains(texts, `"`+m[1]+`":`) {
			t.Errorf("there is no text %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`from "\./([a-z]+\.js)"`).FindAllStringSubmatch(script, -1) {
		if res := w.do("GET", "/app/"+m[1], ""); res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/javascript") {
			t.Errorf("%s: %d %s", m[1], res.StatusCode, res.Header.Get("Content-Type"))
		}
	}
	if len(names) < 20 {
		t.Errorf("only %d texts found in the app", len(names))
	}
}

// TestLanguageOfTheAddress: what the address asks for comes before what the browser does, if there
// is such a language.
func TestLanguageOfTheAddress(t *testing.T) {
	w := start(t, nil)
	for _, path := range []string{"/", "/devices", "/revoke", "/app/texts.json"} {
		for _, c := range []struct{ query, want string }{
			{"", "zh-Hant"}, {"?lang=pt", "pt"}, {"?lang=en", "en"}, {"?lang=zh-Hant", "zh-Hant"}, {"?lang=pt-BR", "pt"},
			{"?lang=", "zh-Hant"}, {"?lang=xx", "zh-Hant"}, {"?lang=%00%22", "zh-Hant"}, {"?lang=" + strings.Repeat("pt-", 2000), "zh-Hant"}, {"?other=pt", "zh-Hant"},
		} {
			res := w.do("GET", path+c.query, "", "Accept-Language", "zh-TW")
			if got := res.Header.Get("Content-Language"); res.StatusCode != http.StatusOK || got != c.want {
				t.Errorf("%s%.40s: %d %q, want %q", path, c.query, res.StatusCode, got, c.want)
			}
			if !slices.Contains(res.Header.Values("Vary"), "Accept-Language") {
				t.Errorf("%s%.40s: caches are not told", path, c.query)
			}
		}
	}
}

func TestFilesAreKeptByTheBrowser(t *testing.T) {
	w := start(t, nil)
	tag := w.do("GET", "/app/app.css", "").Header.Get("ETag")
	if res := w.do("GET", "/app/app.css", "", "If-None-Match", tag); tag == "" || res.StatusCode != http.StatusNotModified {
		t.Errorf("%q: %d", tag, res.StatusCode)
	}
}

func TestTime(t *testing.T) {
	w := start(t, nil)
	if got := read(t, w.do("GET", "/v1/time", "")); got != "{\"unix_ms\":1800000030000}\n" {
		t.Error(got)
	}
}

func TestForwardedForIsBelievedFromProxiesOnly(t *testing.T) {
	for name, c := range map[string]struct {
		proxies []netip.Prefix
		want    string
	}{
		"trusted": {[]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, "198.51.100.7"},
		"not":     {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, "192.0.2.1"},
	} {
		w := start(t, func(_ *world, o *enroll.Options) { o.TrustedProxies = c.proxies })
		w.do("POST", "/v1/devices", `{"email":"a@b.example","code":"x","label":"x"}`, "Content-Type", "application/json", "X-Forwarded-For", "1.1.1.1, 198.51.100.7")
		if events := w.trail.all(); len(events) != 1 || events[0].Source != c.want {
			t.Errorf("%s: %+v", name, events)
		}
	}
}

// serving starts the socket, and returns its address.
func serving(t *testing.T, w *world) string {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- w.server.Serve() }()
	t.Cleanup(func() {
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = w.server.Shutdown(ctx)
	})
	return w.server.Addr().String()
}

// TestAConnectionThatAsksNothingDelaysNoShutdown: browsers open one ahead.
func TestAConnectionThatAsksNothingDelaysNoShutdown(t *testing.T) {
	w := start(t, nil)
	addr := serving(t, w)
	var conns []net.Conn
	for range 3 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	// One that has asked and was answered is idle, and no trouble either. Its answer says that the others,
	// which came before it, were let in.
	if _, err := fmt.Fprint(conns[2], "GET /v1/time HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := http.ReadResponse(bufio.NewReader(conns[2]), nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second) // net/http waits five
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func TestTLSTakesANewCertificateWithoutARestart(t *testing.T) {
	first, second := certificate(t, "first.example"), certificate(t, "second.example")
	current := &first
	w := start(t, func(_ *world, o *enroll.Options) {
		o.Certificate = func() (*tls.Certificate, error) { return current, nil }
	})
	addr := serving(t, w)
	name := func() string {
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if conn.ConnectionState().NegotiatedProtocol != "h2" {
			t.Error("no HTTP/2")
		}
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := name(); got != "first.example" {
		t.Error(got)
	}
	current = &second
	if got := name(); got != "second.example" {
		t.Error(got)
	}
	if _, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is taken")
	}
}

// brokenAccounts is a directory that cannot be asked.
type brokenAccounts struct {
	enroll.Accounts
	panics bool
}

func (b *brokenAccounts) FindMail(context.Context, string) (*directory.Account, error) {
	if b.panics {
		panic("the code is ABCD-EFGH")
	}
	return nil, directory.ErrUnavailable
}

func (b *brokenAccounts) Health(context.Context) map[string]error {
	if b.panics {
		return nil
	}
	return map[string]error{"corp": directory.ErrUnavailable, "lab": nil}
}

func TestDirectoryUnavailable(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.Accounts = &brokenAccounts{} })
	for _, path := range []string{"/v1/enrollments", "/v1/devices"} {
		members := map[string]string{"email": "alice@corp.example"}
		if path == "/v1/devices" {
			members["code"], members["label"] = "x", "y"
		}
		if status, answer := w.post(path, members); status != http.StatusServiceUnavailable || answer["type"] != "urn:otpgate:unavailable" {
			t.Errorf("%s: %d %v", path, status, answer)
		}
	}
}

func TestPanicsAreCaught(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.Accounts = &brokenAccounts{panics: true} })
	if status, answer := w.post("/v1/devices", map[string]string{"email": "a", "code": "x", "label": "y"}); status != http.StatusInternalServerError || answer["type"] != "urn:otpgate:internal" {
		t.Errorf("%d %v", status, answer)
	}
	if status, _ := w.post("/v1/enrollments", map[string]string{"email": "a"}); status != http.StatusAccepted {
		t.Error(status)
	}
	eventually(t, "both counted", func() bool {
		n, err := testutil.GatherAndCount(w.registry, "otpgate_panics_total")
		return err == nil && n == 2 && strings.Count(w.logged.String(), `"msg":"panic"`) == 2
	})
	if strings.Contains(w.logged.String(), "ABCD-EFGH") {
		t.Error("what the panic said is in the log")
	}
}

func TestMetrics(t *testing.T) {
	w := start(t, nil)
	w.do("GET", "/v1/time", "")
	w.do("GET", "/nothing", "")
	problems, err := testutil.GatherAndLint(w.registry)
	if err != nil || len(problems) != 0 {
		t.Errorf("%v %v", problems, err)
	}
	var b bytes.Buffer
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
		for _, m := range f.GetMetric() {
			b.WriteString(m.String() + "\n")
		}
	}
	for _, want := range []string{"otpgate_enroll_requests_total", "otpgate_enroll_mails_total", "otpgate_panics_total"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not there: %v", want, names)
		}
	}
	if strings.Contains(b.String(), "192.0.2.1") || strings.Contains(b.String(), "@") {
		t.Error("an address is in the metrics")
	}
}

func TestOptions(t *testing.T) {
	if _, err := enroll.New(enroll.Options{}); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Error(err)
	}
	var good enroll.Options
	start(t, func(_ *world, o *enroll.Options) { good = *o })
	good.Registerer = nil
	for name, change := range map[string]func(*enroll.Options){
		"no such policy": func(o *enroll.Options) { o.Policy = 7 },
		"no scheme":      func(o *enroll.Options) { o.PublicURL = "otp.example.org" },
		"another scheme": func(o *enroll.Options) { o.PublicURL = "ftp://otp.example.org" },
		"query":          func(o *enroll.Options) { o.PublicURL = "https://otp.example.org/?a=b" },
		"password":       func(o *enroll.Options) { o.PublicURL = "https://a:b@otp.example.org" },
		"no issuer":      func(o *enroll.Options) { o.Issuer = "" },
		"no clock":       func(o *enroll.Options) { o.Now = nil },
		"no port":        func(o *enroll.Options) { o.Listen = "127.0.0.1:none" },
	} {
		o := good
		change(&o)
		if s, err := enroll.New(o); err == nil {
			t.Errorf("%s: taken", name)
			_ = s.Shutdown(context.Background())
		}
	}
}
