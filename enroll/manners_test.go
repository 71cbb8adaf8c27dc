package enroll_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/directory"
	"otpgate/enroll"
	"otpgate/enroll/web"
)

// wellMannered checks what every response has, and what none has.
func wellMannered(t *testing.T, what string, res *http.Response) {
	t.Helper()
	for key, value := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Strict-Transport-Security": "max-age=31536000",
	} {
		if got := res.Header.Values(key); len(got) != 1 || got[0] != value {
			t.Errorf("%s: %d: %s: %q", what, res.StatusCode, key, got)
		}
	}
	if res.Header.Get("Permissions-Policy") == "" {
		t.Errorf("%s: %d: no Permissions-Policy", what, res.StatusCode)
	}
	policy := map[string]string{}
	for _, directive := range strings.Split(res.Header.Get("Content-Security-Policy"), ";") {
		name, sources, _ := strings.Cut(strings.TrimSpace(directive), " ")
		policy[name] = sources
		for _, loose := range []string{"unsafe", "*", "data:", "blob:", "http:", "https:"} {
			if strings.Contains(sources, loose) {
				t.Errorf("%s: %d: the policy allows %s", what, res.StatusCode, directive)
			}
		}
	}
	for name, sources := range map[string]string{
		"default-src": "'none'", "script-src": "'self'", "frame-ancestors": "'none'", "base-uri": "'none'", "form-action": "'none'", "require-trusted-types-for": "'script'",
	} {
		if policy[name] != sources {
			t.Errorf("%s: %d: %s is %q", what, res.StatusCode, name, policy[name])
		}
	}
	for key := range res.Header {
		if strings.HasPrefix(key, "Access-Control-") || slices.Contains([]string{"Server", "X-Powered-By", "Set-Cookie", "Timing-Allow-Origin"}, key) {
			t.Errorf("%s: %d: %s: %s", what, res.StatusCode, key, res.Header.Get(key))
		}
	}
	if res.StatusCode == http.StatusOK && strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") && !slices.Contains([]string{"no-store", "no-cache"}, res.Header.Get("Cache-Control")) {
		t.Errorf("%s: it may be kept: %q", what, res.Header.Get("Cache-Control"))
	}
	if res.StatusCode >= 400 && res.Header.Get("Cache-Control") != "no-store" && res.Header.Get("Content-Type") == "application/problem+json" {
		t.Errorf("%s: the problem may be kept: %q", what, res.Header.Get("Cache-Control"))
	}
}

// aPath is one that a route takes.
func aPath(r enroll.Route) string {
	switch path := strings.TrimSuffix(r.Path, "{$}"); path {
	case "/assets/":
		return path + "page.css"
	default:
		return path
	}
}

// everyAnswer makes every route give every kind of answer that it has, and calls look with each.
func everyAnswer(t *testing.T, look func(what string, res *http.Response)) {
	t.Helper()
	const kind = "application/json"
	plain := start(t, nil)
	asked := start(t, func(_ *world, o *enroll.Options) { o.Limits.SourceBurst = 1 })
	broken := start(t, func(_ *world, o *enroll.Options) { o.Accounts = &brokenAccounts{panics: true} })
	away := start(t, func(_ *world, o *enroll.Options) { o.Accounts = &brokenAccounts{} })
	for _, r := range plain.server.Routes() {
		path := aPath(r)
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND"} {
			text := ""
			if r.Required != nil {
				text = body(t, r)
			}
			look(method+" "+path, plain.do(method, path, text, "Content-Type", kind))
		}
		if r.Required == nil {
			tag := plain.do(r.Method, path, "").Header.Get("ETag")
			look("again "+path, plain.do(r.Method, path, "", "If-None-Match", tag))
			look("below "+path, plain.do(r.Method, strings.TrimSuffix(path, "/")+"/nothing", ""))
			continue
		}
		for what, res := range map[string]*http.Response{
			"malformed":       plain.do(r.Method, path, "{", "Content-Type", kind),
			"too large":       plain.do(r.Method, path, strings.Repeat(" ", web.MaxBody+1), "Content-Type", kind),
			"of another type": plain.do(r.Method, path, "{}", "Content-Type", "text/plain"),
			"foreign":         plain.do(r.Method, path, body(t, r), "Content-Type", kind, "Sec-Fetch-Site", "cross-site"),
			"too often":       asked.do(r.Method, path, "{}", "Content-Type", kind),
			"panicking":       broken.do(r.Method, path, body(t, r), "Content-Type", kind),
			"without peers":   away.do(r.Method, path, body(t, r), "Content-Type", kind),
		} {
			look(what+" "+path, res)
		}
		look("too often "+path, asked.do(r.Method, path, "{}", "Content-Type", kind))
	}
	for _, path := range []string{"/nothing", "/app", "/app/../x", "//", "/app/%2e%2e/doc.go", "/v1/", "/v1/devices/", "/robots.txt", "/.well-known/x", "/%00", "/*"} {
		look("GET "+path, plain.do("GET", path, ""))
		look("POST "+path, plain.do("POST", path, "{}", "Content-Type", kind))
	}
	for what, more := range map[string]string{"another authenticator": "", "a phone": `,"public_key":"` + publicKey(t) + `"`} {
		code, _ := plain.request("alice@corp.example")
		look(what, plain.do("POST", "/v1/devices", `{"email":"alice@corp.example","code":"`+code+`","label":"x"`+more+`}`, "Content-Type", kind))
	}
	offer, link, session, err := plain.server.Tokens(alice, "alice", "alice@corp.example")
	if err != nil {
		t.Fatal(err)
	}
	for path, members := range map[string]string{
		"/v1/devices/list": `"session":"` + session + `"`, "/v1/devices/remove": `"device":"x","session":"` + session + `"`,
		"/v1/sessions": `"token":"` + link + `"`, "/v1/confirmations": `"code":"1","token":"` + offer + `"`,
	} {
		look("with a token "+path, plain.do("POST", path, "{"+members+"}", "Content-Type", kind))
	}
}

// TestEveryAnswerIsWellMannered: of every route, whatever happened to the request.
func TestEveryAnswerIsWellMannered(t *testing.T) {
	seen := map[int]int{}
	everyAnswer(t, func(what string, res *http.Response) {
		seen[res.StatusCode]++
		wellMannered(t, what, res)
	})
	for _, status := range []int{200, 201, 202, 304, 400, 403, 404, 405, 413, 415, 422, 429, 500, 503} {
		if seen[status] == 0 {
			t.Errorf("no answer was %d: %v", status, seen)
		}
	}
	t.Logf("answers by status: %v", seen)
}

// TestMannersWithoutTLS: everything but the wish that browsers come by TLS only, which they would
// obey for whatever else runs on this machine.
func TestMannersWithoutTLS(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.PublicURL = "http://localhost:8080" })
	res := w.do("GET", "/", "")
	if got := res.Header.Get("Strict-Transport-Security"); got != "" || res.Header.Get("X-Frame-Options") != "DENY" {
		t.Errorf("%q, %v", got, res.Header)
	}
}

// TestMannersOfTheSocket: what the HTTP library would answer by itself is ours to answer.
func TestMannersOfTheSocket(t *testing.T) {
	w := start(t, nil)
	addr := serving(t, w)
	for request, status := range map[string]int{
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n": 400, "GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n": 200,
		"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n": 404, "GET / HTTP/1.0\r\n\r\n": 200, "GET //evil.example/%2e%2e HTTP/1.1\r\nHost: x\r\n\r\n": 307,
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(conn, request)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%q: %v", request, err)
		}
		if res.StatusCode != status {
			t.Errorf("%q: %d %v", request, res.StatusCode, res.Header)
		}
		if to := res.Header.Get("Location"); to != "" && (!strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//")) {
			t.Errorf("%q leads to %s", request, to)
		}
		wellMannered(t, request, res)
		_ = conn.Close()
	}
}

// spied counts how often the directory is asked, which is where all work for somebody begins.
type spied struct {
	enroll.Accounts
	asked func()
}

func (s *spied) FindMail(ctx context.Context, mail string) (*directory.Account, error) {
	s.asked()
	return s.Accounts.FindMail(ctx, mail)
}

// TestOtherSitesGetNothing: what a browser sends for a page of another site (Fetch metadata, WICG
// and W3C; CORS protocol, WHATWG Fetch section 3.3) is answered with no leave, and nothing of it is done.
func TestOtherSitesGetNothing(t *testing.T) {
	var asked atomic.Int64
	w := start(t, func(_ *world, o *enroll.Options) { o.Accounts = &spied{o.Accounts, func() { asked.Add(1) }} })
	const evil, own = "https://evil.example", "https://otp.example.org"
	for _, r := range w.server.Routes() {
		path, text := aPath(r), ""
		if r.Required != nil {
			text = body(t, r)
		}
		for what, c := range map[string]struct {
			method  string
			headers []string
		}{
			"preflight": {"OPTIONS", []string{"Origin", evil, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type",
				"Sec-Fetch-Mode", "cors", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Dest", "empty"}},
			"preflight into a private network": {"OPTIONS", []string{"Origin", evil, "Access-Control-Request-Method", "GET", "Access-Control-Request-Private-Network", "true"}},
			"preflight of its own":             {"OPTIONS", []string{"Origin", own, "Access-Control-Request-Method", "POST", "Sec-Fetch-Site", "same-origin"}},
			"script":                           {"POST", []string{"Origin", evil, "Content-Type", "application/json", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Dest", "empty"}},
			"script without asking":            {"POST", []string{"Origin", evil, "Content-Type", "text/plain", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Site", "cross-site"}},
			"form":                             {"POST", []string{"Origin", evil, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Dest", "document"}},
			"sibling":                          {"POST", []string{"Origin", "https://blog.example.org", "Content-Type", "application/json", "Sec-Fetch-Site", "same-site"}},
			"sandbox":                          {"POST", []string{"Origin", "null", "Content-Type", "application/json", "Sec-Fetch-Site", "cross-site"}},
			"old browser":                      {"POST", []string{"Origin", evil, "Content-Type", "application/json"}},
			"old browser, sandbox":             {"POST", []string{"Origin", "null", "Content-Type", "application/json"}},
			"lookalike":                        {"POST", []string{"Origin", own + ".evil.example", "Content-Type", "application/json"}},
			"another port":                     {"POST", []string{"Origin", own + ":8444", "Content-Type", "application/json"}},
			"without TLS":                      {"POST", []string{"Origin", "http://otp.example.org", "Content-Type", "application/json"}},
			"read":                             {"GET", []string{"Origin", evil, "Sec-Fetch-Mode", "cors", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Dest", "empty"}},
			"read, from nowhere":               {"GET", []string{"Origin", "null", "Sec-Fetch-Site", "cross-site"}},
		} {
			res := w.do(c.method, path, text, c.headers...)
			wellMannered(t, what+" "+path, res)
			switch {
			case c.method == "OPTIONS" && res.StatusCode/100 != 4, c.method == "POST" && res.StatusCode != http.StatusForbidden:
				t.Errorf("%s %s: %d", what, path, res.StatusCode)
			case c.method == "GET" && strings.Contains(res.Header.Get("Vary"), "Origin"):
				t.Errorf("%s %s: the answer depends on who asks", what, path)
			}
		}
	}
	if events := w.trail.all(); asked.Load() != 0 || len(events) != 0 {
		t.Errorf("something was done for another site: %d, %v", asked.Load(), events)
	}
	// The same requests of the own page are taken, or none of this would say anything.
	headers := []string{"Origin", own, "Content-Type", "application/json", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Dest", "empty"}
	for _, call := range calls(t, w) {
		if res := w.do(call.Method, call.Path, body(t, call), headers...); res.StatusCode == http.StatusForbidden && strings.Contains(read(t, res), "urn:otpgate:foreign") {
			t.Errorf("%s: refused to the own page", call.Path)
		}
	}
	if asked.Load() == 0 {
		t.Error("nothing is done for the own page either")
	}
}

// TestAnswersTellNobodyApart: whoever is named, or nobody, or nothing that could be anybody, the answer
// to each call is one document, with one set of headers.
func TestAnswersTellNobodyApart(t *testing.T) {
	w := start(t, nil)
	p, _ := w.register("alice@corp.example", "phone", nil)
	for call, c := range map[string]struct {
		path, more string // what comes behind the member that is varied
		member     string
		values     []string
	}{
		"code":       {"/v1/enrollments", ``, "email", someAndNobody},
		"link":       {"/v1/links", ``, "email", someAndNobody},
		"app":        {"/v1/devices", `,"code":"0000-0000","label":"x","public_key":"` + publicKey(t) + `"`, "email", someAndNobody},
		"other":      {"/v1/devices", `,"code":"0000-0000","label":"x"`, "email", someAndNobody},
		"no code":    {"/v1/devices", `,"code":"","label":"x"`, "email", someAndNobody},
		"confirming": {"/v1/devices", `,"code":"0000-0000","label":"x","confirmation":"123456","retire":"confirming"`, "email", someAndNobody},
		"removal": {"/v1/devices/remove", `,"device":"` + p.device + `","at":"` + unixMS(w.clock.now()) + `","proof":"AAAA"`, "account",
			[]string{alice, wang, "0b000000-0000-4000-8000-00000000ffff", "", "x", strings.Repeat("x", 2000), "a\nb"}},
		"device": {"/v1/devices/rename", `,"label":"x","account":"` + alice + `","at":"` + unixMS(w.clock.now()) + `","proof":"AAAA"`, "device",
			[]string{p.device, "aaaaaaaaaaaaaaaa", "", "x", strings.Repeat("x", 2000)}},
		"session":      {"/v1/devices/list", ``, "session", []string{"", "x", strings.Repeat("A", 300), "A\n"}},
		"link's token": {"/v1/sessions", ``, "token", []string{"", "x", strings.Repeat("A", 300), "A\n"}},
		"offer":        {"/v1/confirmations", `,"code":"123456"`, "token", []string{"", "x", strings.Repeat("A", 300), "A\n"}},
	} {
		answers := map[string][]string{}
		for _, value := range c.values {
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			res := w.do("POST", c.path, `{"`+c.member+`":`+string(text)+c.more+`}`, "Content-Type", "application/json")
			answer := res.Status + "\n" + headers(res) + read(t, res)
			answers[answer] = append(answers[answer], value)
		}
		if len(answers) != 1 {
			t.Errorf("%s: %d different answers: %q", call, len(answers), answers)
		}
	}
}

// someAndNobody are addresses: of people with and without a device, of one who is disabled, of two at
// once, of nobody, and of what is none.
var someAndNobody = []string{
	"alice@corp.example", "ALICE@corp.example", "wang@corp.example", "gone@corp.example", "twins@corp.example", "nobody@corp.example",
	"", "x", "@", "a@b@c", "*", "alice@corp.example\n", strings.Repeat("x", 2000) + "@corp.example", "アリス@corp.example",
}
