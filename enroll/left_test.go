package enroll_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"otpgate/enroll"
	"otpgate/enroll/browsertest"
)

// TestAPageThatWasLeftForgetsItsSession: browsers keep a page that was left, with its variables, for
// whoever presses Back.
func TestAPageThatWasLeftForgetsItsSession(t *testing.T) {
	var w *world
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.server.Handler().ServeHTTP(rw, r) }))
	defer s.Close()
	url := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	w = start(t, func(_ *world, o *enroll.Options) { o.PublicURL = "http://localhost" })
	b := browsertest.Start(t, browsertest.Options{})
	if err := b.Open(url + "/devices#x"); err != nil {
		t.Fatal(err)
	}
	var shown, after string
	const look = `document.getElementById("list").hidden ? "" : document.getElementById("devices").textContent.trim()`
	err := b.Run(`(async () => {
		const real = globalThis.fetch;
		globalThis.fetch = async (path, options) => path !== "/v1/sessions" ? real(path, options) : new Response(JSON.stringify({ session: "s", name: "alice",
			issuer: "Example", valid_seconds: 900, devices: [{ id: "d1", label: "hers", created: "2027-01-15T08:00:30Z" }] }), { status: 201 });
		document.getElementById("open-button").click();
		for (let i = 0; i < 300 && document.getElementById("list").hidden; i++) await new Promise((resolve) => setTimeout(resolve, 10));
		return `+look+`;
	})()`, &shown)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Run(`(() => {
		dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
		dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
		return `+look+`;
	})()`, &after); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(shown, "hers") || after != "" {
		t.Errorf("at first %.40q, after it was left %.40q", shown, after)
	}
}
