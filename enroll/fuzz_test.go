package enroll_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"otpgate/enroll"
)

// FuzzCalls: whatever is sent to a call, the answer is one of ours, and nothing that was sent comes back in it
// as markup.
func FuzzCalls(f *testing.F) {
	calls := []string{
		"/v1/devices", "/v1/confirmations", "/v1/devices/remove", "/v1/devices/rename", "/v1/devices/list", "/v1/sessions",
		"/v1/revocations", "/v1/time", "/revoke", "/devices", "/qr.svg", "/app/settings.json", "/", "/v1/enrollments", "/v1/links",
	}
	w := start(f, func(_ *world, o *enroll.Options) { o.AnswerAfter = time.Millisecond })
	seed := func(call int, body string) { f.Add(uint8(call), body, "application/json", "text/html", "de,en;q=0.5") }
	seed(0, `{"email":"alice@corp.example","code":"ABCD-EFGH","label":"phone","public_key":"`+publicKey(f)+`"}`)
	seed(0, `{"email":"alice@corp.example","code":"ABCD-EFGH","label":"phone","retire":"x","lock":"{}"}`)
	seed(1, `{"token":"x.y","code":"123456"}`)
	seed(2, `{"device":"abcdefgh22222222","account":"a","at":"1800000030000","proof":"AAAA"}`)
	seed(3, `{"device":"abcdefgh22222222","label":"<b>","session":"AAAA"}`)
	seed(4, `{"session":"AAAA"}`)
	seed(5, `{"token":"AAAA"}`)
	seed(6, `{"token":"AAAA"}`)
	seed(7, "")
	seed(13, `{"email":"nobody@corp.example"}`)
	seed(14, `{"email":"x"}`)
	f.Add(uint8(0), "{", "application/json; charset=latin1", "*/*", "*")
	f.Fuzz(func(t *testing.T, which uint8, body, kind, accept, language string) {
		call := calls[int(which)%len(calls)]
		method := http.MethodPost
		if !strings.HasPrefix(call, "/v1/") || call == "/v1/time" {
			method = http.MethodGet
		} else if strings.Contains(body, "@corp.example") && (strings.HasSuffix(call, "enrollments") || strings.HasSuffix(call, "links")) {
			body = strings.ReplaceAll(body, "@corp.example", "@x") // no mails
		}
		res := w.do(method, call, body, "Content-Type", kind, "Accept", accept, "Accept-Language", language)
		if res.StatusCode >= 500 || res.StatusCode < 200 {
			t.Fatalf("%s %s: %d\n%s", method, call, res.StatusCode, read(t, res))
		}
		if kind := res.Header.Get("Content-Type"); res.StatusCode >= 400 && method == http.MethodPost && !strings.HasPrefix(kind, "application/problem+json") {
			t.Fatalf("%s: %d as %q", call, res.StatusCode, kind)
		}
	})
}
