package outbox_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"otpgate/enroll/outbox"
)

func get(s *outbox.Server, method, path string) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	s.Page().ServeHTTP(recorder, httptest.NewRequest(method, path, nil))
	return recorder
}

func TestPageShowsMailsWithoutTrustingThem(t *testing.T) {
	s := listen(t, outbox.Options{})
	if body := get(s, "GET", "/outbox/").Body.String(); !strings.Contains(body, "No mail yet") {
		t.Error(body)
	}
	send(t, s, "alice@corp.example", "Subject: <b>one</b>\r\nContent-Type: text/plain\r\n\r\n<script>text</script>\r\n")
	send(t, s, "bob@corp.example", "Subject: two\r\nContent-Type: text/html\r\n\r\n<script>alert(1)</script><p>two</p>\r\n")
	res := get(s, "GET", "/outbox/")
	body := res.Body.String()
	if strings.Contains(body, "<b>one") || strings.Contains(body, "<script>") || !strings.Contains(body, "&lt;script&gt;text") {
		t.Errorf("what a mail says is taken as HTML:\n%s", body)
	}
	if strings.Index(body, "two") > strings.Index(body, "one") || !strings.Contains(body, "bob@corp.example, 12:00:00") {
		t.Errorf("the newest is not the first:\n%s", body)
	}
	mail := get(s, "GET", "/outbox/2")
	policy := mail.Header().Get("Content-Security-Policy")
	if mail.Code != http.StatusOK || !strings.Contains(policy, "sandbox") || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "allow-scripts") {
		t.Errorf("%d %q", mail.Code, policy)
	}
	for _, h := range []http.Header{res.Header(), mail.Header()} {
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cache-Control") != "no-store" || h.Get("Content-Security-Policy") == "" {
			t.Errorf("%v", h)
		}
	}
}

func TestPageHasNothingElse(t *testing.T) {
	s := listen(t, outbox.Options{})
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/", http.StatusSeeOther}, {"GET", "/outbox/1", http.StatusNotFound}, {"GET", "/outbox/x", http.StatusNotFound},
		{"GET", "/outbox/0", http.StatusNotFound}, {"GET", "/other", http.StatusNotFound}, {"POST", "/outbox/", http.StatusMethodNotAllowed},
	} {
		if got := get(s, c.method, c.path).Code; got != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, got, c.status)
		}
	}
}
