package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func post(body, kind string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	return r
}

func TestDecodeTakes(t *testing.T) {
	for _, body := range []string{
		`{"email":"a","label":"b"}`, ` { "label" : "b" , "email" : "a" } ` + "\n", `{"email":"a"}`, `{"\u0065mail":"a"}`,
	} {
		for _, kind := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"} {
			m, p := Decode(httptest.NewRecorder(), post(body, kind), []string{"email"}, []string{"label"})
			if p != nil || m["email"] != "a" {
				t.Errorf("%s %s: %v %v", kind, body, m, p)
			}
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	long := `{"email":"` + strings.Repeat("x", MaxBody) + `"}`
	deep := `{"email":` + strings.Repeat("[", 3000)
	for _, c := range []struct {
		name, kind, body string
		status           int
	}{
		{"no type", "", `{"email":"a"}`, 415},
		{"form", "application/x-www-form-urlencoded", `{"email":"a"}`, 415},
		{"text, which needs no preflight", "text/plain", `{"email":"a"}`, 415},
		{"another charset", "application/json; charset=utf-16", `{"email":"a"}`, 415},
		{"broken type", "application/json; charset", `{"email":"a"}`, 415},
		{"too long", "application/json", long, 413},
		{"too long, of spaces", "application/json", `{"email":"a"}` + strings.Repeat(" ", MaxBody), 413},
		{"nothing", "application/json", ``, 400},
		{"array", "application/json", `["email"]`, 400},
		{"string", "application/json", `"email"`, 400},
		{"null", "application/json", `null`, 400},
		{"unknown member", "application/json", `{"email":"a","admin":"x"}`, 400},
		{"wrong case", "application/json", `{"Email":"a"}`, 400},
		{"missing", "application/json", `{"label":"a"}`, 400},
		{"twice", "application/json", `{"email":"a","email":"b"}`, 400},
		{"twice, once escaped", "application/json", `{"email":"a","\u0065mail":"b"}`, 400},
		{"number", "application/json", `{"email":1}`, 400},
		{"null member", "application/json", `{"email":null}`, 400},
		{"object member", "application/json", `{"email":{"a":"b"}}`, 400},
		{"deep", "application/json", deep, 400},
		{"trailing object", "application/json", `{"email":"a"}{"email":"b"}`, 400},
		{"trailing brace", "application/json", `{"email":"a"}}`, 400},
		{"trailing text", "application/json", `{"email":"a"} x`, 400},
		{"cut", "application/json", `{"email":"a"`, 400},
		{"comma", "application/json", `{"email":"a",}`, 400},
		{"no colon", "application/json", `{"email" "a"}`, 400},
		{"not UTF-8", "application/json", "{\"email\":\"\xff\"}", 400},
		{"byte order mark", "application/json", "\ufeff{\"email\":\"a\"}", 400},
		{"comment", "application/json", `{"email":"a"/* */}`, 400},
	} {
		m, p := Decode(httptest.NewRecorder(), post(c.body, c.kind), []string{"email"}, []string{"label"})
		if p == nil || p.Status != c.status || m != nil {
			t.Errorf("%s: %v %+v", c.name, m, p)
		}
	}
	r := post(`{"email":"a"}`, "application/json")
	r.Header.Set("Content-Encoding", "gzip")
	if _, p := Decode(httptest.NewRecorder(), r, []string{"email"}, nil); p == nil || p.Status != 415 {
		t.Errorf("compressed: %+v", p)
	}
	r = httptest.NewRequest(http.MethodPost, "/", iotest.ErrReader(fmt.Errorf("cut")))
	r.Header.Set("Content-Type", "application/json")
	if _, p := Decode(httptest.NewRecorder(), r, []string{"email"}, nil); p == nil || p.Status != 400 {
		t.Errorf("cut off: %+v", p)
	}
}

func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{`{"email":"a"}`, `{"a":"b","a":"c"}`, `{"email":["x"]}`, `{}`, `{"a":"\ud800"}`, `{"a":"b"}{}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := parseObject(body)
		if err != nil {
			return
		}
		// What we take, the standard decoder takes as well, and reads the same.
		var same map[string]string
		if err := json.Unmarshal(body, &same); err != nil || len(same) != len(m) {
			t.Fatalf("%q: %v, %v, %v", body, m, same, err)
		}
		for k, v := range m {
			if same[k] != v {
				t.Fatalf("%q: %v, %v", body, m, same)
			}
		}
	})
}

func TestProblemDocument(t *testing.T) {
	w := httptest.NewRecorder()
	TooMany.After(1500 * time.Millisecond).Write(w)
	var p Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != 429 || p.Type == "" || p.Title == "" {
		t.Errorf("%s: %v", w.Body, err)
	}
	if w.Code != 429 || w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Retry-After") != "2" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	seen := map[string]bool{}
	for _, p := range Problems() {
		if seen[p.Type] || p.Status < 400 {
			t.Errorf("%s is there twice, or is none", p.Type)
		}
		seen[p.Type] = true
	}
	if TooMany.retryAfter != 0 || Malformed.With("x").Detail != "x" || Malformed.Detail != "" {
		t.Error("the problem itself was changed")
	}
}

func TestSourceOf(t *testing.T) {
	s := Sources{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:aaaa::/48")}}
	for _, c := range []struct {
		name, remote string
		forwarded    []string
		want         string
	}{
		{"direct", "192.0.2.1:1", nil, "192.0.2.1"},
		{"direct, with a claim", "192.0.2.1:1", []string{"198.51.100.7"}, "192.0.2.1"},
		{"mapped", "[::ffff:192.0.2.1]:1", nil, "192.0.2.1"},
		{"zone", "[fe80::1%eth0]:1", nil, "fe80::1"},
		{"by proxy", "10.0.0.1:1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"by proxy, IPv6", "[2001:db8:aaaa::1]:1", []string{"2001:db8::7"}, "2001:db8::7"},
		{"by proxy, with port", "10.0.0.1:1", []string{"198.51.100.7:99"}, "198.51.100.7"},
		{"by proxy, bracketed", "10.0.0.1:1", []string{"[2001:db8::7]:99"}, "2001:db8::7"},
		{"by proxy, with a claim before", "10.0.0.1:1", []string{"1.1.1.1, 198.51.100.7"}, "198.51.100.7"},
		{"claim in a header of its own", "10.0.0.1:1", []string{"1.1.1.1", "198.51.100.7"}, "198.51.100.7"},
		{"claim to be a proxy", "10.0.0.1:1", []string{"10.9.9.9, 198.51.100.7"}, "198.51.100.7"},
		{"two proxies", "10.0.0.1:1", []string{"1.1.1.1, 198.51.100.7, 10.0.0.2"}, "198.51.100.7"},
		{"proxies only", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"no header", "10.0.0.1:1", nil, "10.0.0.1"},
		{"nonsense", "10.0.0.1:1", []string{"198.51.100.7, unknown"}, "10.0.0.1"},
		{"mapped peer", "[::ffff:10.0.0.1]:1", []string{"198.51.100.7"}, "198.51.100.7"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.remote
		for _, f := range c.forwarded {
			r.Header.Add("X-Forwarded-For", f)
		}
		if got := s.Of(r); got.String() != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestLimit(t *testing.T) {
	now := time.Unix(0, 0)
	l := NewLimit[string](2, time.Minute, 2, func() time.Time { return now })
	take := func(key string, want bool) time.Duration {
		t.Helper()
		wait, ok := l.Take(key)
		if ok != want {
			t.Fatalf("%s: %t after %v", key, ok, now.Sub(time.Unix(0, 0)))
		}
		return wait
	}
	take("a", true)
	take("a", true)
	if wait := take("a", false); wait != time.Minute {
		t.Errorf("wait %v", wait)
	}
	take("b", true)
	now = now.Add(30 * time.Second)
	if wait := take("a", false); wait != 30*time.Second {
		t.Errorf("wait %v", wait)
	}
	now = now.Add(30 * time.Second)
	take("a", true)
	take("a", false)
	now = now.Add(time.Hour) // not more than the burst
	take("a", true)
	take("a", true)
	take("a", false)
	now = now.Add(-time.Hour) // a clock that goes back gives nothing
	take("a", false)
	now = now.Add(time.Minute) // and takes nothing
	take("a", true)
	take("a", false)
	// Two keys fit: a was used last, so b makes room for c, and the table does not grow.
	take("c", true)
	take("a", false)
	if len(l.buckets) != 2 || l.recent.Len() != 2 {
		t.Errorf("%d keys", len(l.buckets))
	}
	l.Forget("a") // begins anew
	l.Forget("nobody")
	take("a", true)
	take("a", true)
	take("a", false)
	if len(l.buckets) != 2 || l.recent.Len() != 2 {
		t.Errorf("%d keys", len(l.buckets))
	}
}

func TestNeighbourhood(t *testing.T) {
	for in, want := range map[string]string{"192.0.2.1": "192.0.2.1/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64"} {
		if got := Neighbourhood(netip.MustParseAddr(in)); got.String() != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

// TestShares: of each source, and of all; what was given back twice is given back once.
func TestShares(t *testing.T) {
	s := Shares{Most: 2, All: 3}
	a, b := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/64")
	first, ok := s.Enter(a)
	second, also := s.Enter(a)
	if _, third := s.Enter(a); !ok || !also || third {
		t.Fatalf("of one source: %v, %v, %v", ok, also, third)
	}
	if _, ok := s.Enter(b); !ok {
		t.Error("another source has none")
	}
	first()
	first()
	if _, ok := s.Enter(b); !ok {
		t.Error("what was given back is not there")
	}
	if _, ok := s.Enter(a); ok {
		t.Error("more than there are for all")
	}
	second()
	if _, ok := s.Enter(a); !ok {
		t.Error("what was given back is not there for its own source")
	}
}
