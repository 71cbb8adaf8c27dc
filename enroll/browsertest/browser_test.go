package browsertest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otpgate/enroll/browsertest"
)

// served is a page with this body, and a policy.
func served(t *testing.T, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-right'; img-src * data:; connect-src 'self'; require-trusted-types-for 'script'")
		if r.URL.Path != "/" {
			w.WriteHeader(http.StatusForbidden)
		}
		fmt.Fprintf(w, "<!DOCTYPE html><title>t</title><meta name=viewport content='width=device-width'><link rel=icon href=data:,><body data-language='%s'>%s", r.Header.Get("Accept-Language"), body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func check(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAPersonUsesAPage(t *testing.T) {
	b := browsertest.Start(t, browsertest.Options{Language: "pt-PT"})
	check(t, b.Open(served(t, `<input id=i><select id=s><option value=a>A<option value=b>B</select><button id=b>Do</button><p id=p></p>
<p id=hidden hidden>nobody sees this</p>
<script nonce=right>
document.getElementById("b").onclick = async () => {
  await new Promise((r) => setTimeout(r, 200));
  document.getElementById("p").textContent = document.getElementById("i").value + document.getElementById("s").value + document.body.clientWidth + navigator.language;
};</script>`)))
	check(t, b.Fill("#i", "too early"), b.Fill("#i", "typed-"), b.Fill("#s", "b"), b.Press("#b"), b.See("#p", "typed-b396pt-PT"), b.Gone("#hidden"))
	text, err := b.Text("#p")
	check(t, err)
	if text != "typed-b396pt-PT" {
		t.Error(text)
	}
	var language string
	check(t, b.Run("document.body.dataset.language", &language))
	if !strings.HasPrefix(language, "pt-PT") {
		t.Error("Accept-Language:", language)
	}
	path := filepath.Join(t.TempDir(), "shot.png")
	check(t, b.Shot(path))
	if faults := b.Faults(); len(faults) > 0 {
		t.Error(faults)
	}
}

func TestWhatIsReplacedUnderTheFingerIsPressedAgain(t *testing.T) {
	b := browsertest.Start(t, browsertest.Options{})
	check(t, b.Open(served(t, `<div id=d><button id=b>Do</button></div><p id=p></p><script nonce=right>
let times = 0;
const make = () => { const b = document.createElement("button"); b.id = "b"; b.textContent = "Do"; b.onclick = () => { document.getElementById("p").textContent = "done"; }; return b; };
document.getElementById("d").replaceChildren(make());
addEventListener("mousedown", () => { if (times++ < 2) document.getElementById("d").replaceChildren(make()); });
</script>`)), b.Press("#b"), b.See("#p", "done"))
}

func TestEveryFaultIsNoticed(t *testing.T) {
	b := browsertest.Start(t, browsertest.Options{})
	for want, script := range map[string]string{
		"console.error: \"bad\"":        `console.error("bad")`,
		"nobody catches":                `setTimeout(() => { throw new Error("bad") })`,
		"nobody catches: Uncaught (in ": `Promise.reject(new Error("bad"))`,
		"kTrustedTypesSinkViolation":    `document.body.innerHTML = "bad"`,
		"against the policy: connect":   `fetch("http://127.0.0.1:9/elsewhere").catch(() => {})`,
		"asks another host":             `new Image().src = "http://127.0.0.1:9/elsewhere"`,
		"Failed to load":                `fetch("/not-of-the-server-s-calls")`,
	} {
		before := len(b.Faults())
		check(t, b.Open(served(t, `<script nonce=right>`+script+`</script>`)))
		var seen string
		for range 1000 {
			seen = strings.Join(b.Faults()[before:], "\n")
			if strings.Contains(seen, want) {
				break
			}
			check(t, b.Run("new Promise((r) => setTimeout(r, 10))", nil))
		}
		if !strings.Contains(seen, want) {
			t.Errorf("%s: faults: %q, want %s", script, seen, want)
		}
	}
}

func TestARefusalIsNoFault(t *testing.T) {
	b := browsertest.Start(t, browsertest.Options{})
	check(t, b.Open(served(t, `<p id=p></p><script nonce=right>fetch("/v1/devices").then((r) => { document.getElementById("p").textContent = r.status })</script>`)), b.See("#p", "403"))
	check(t, b.Offline(true), b.Await(`fetch("/v1/devices").then(() => false, () => !navigator.onLine)`))
	check(t, b.Offline(false), b.Await(`fetch("/v1/devices").then(() => navigator.onLine, () => false)`))
	if faults := b.Faults(); len(faults) > 0 {
		t.Error(faults)
	}
}

func TestWhatNotEverybodyCanUseIsFound(t *testing.T) {
	b := browsertest.Start(t, browsertest.Options{})
	check(t, b.Open(served(t, `<main><h1>t</h1><button>Do</button></main><script nonce=right>document.documentElement.lang = "en"</script>`)), b.Accessible())
	check(t, b.Open(served(t, `<main><h1>t</h1><input></main><script nonce=right>document.documentElement.lang = "en"</script>`)))
	if err := b.Accessible(); err == nil || !strings.Contains(err.Error(), "label: input") {
		t.Error(err)
	}
	if faults := b.Faults(); len(faults) > 0 {
		t.Error(faults)
	}
}

func TestTheClockIsTheTests(t *testing.T) {
	b := browsertest.Start(t, browsertest.Options{})
	at := time.UnixMilli(1_900_000_005_900)
	check(t, b.StopClock(at), b.Open(served(t, "")))
	is := func(expression string) {
		t.Helper()
		var yes bool
		if check(t, b.Run(expression, &yes)); !yes {
			var now []any
			_ = b.Run("[Date.now(), performance.now(), new Date(), typeof Date()]", &now)
			t.Errorf("not %s: %v", expression, now)
		}
	}
	is("Date.now() === 1900000005900 && +new Date() === Date.now() && new Date(5).getTime() === 5 && new Date() instanceof Date")
	is("(globalThis.p = performance.now()) > 0 && new Promise((r) => setTimeout(() => r(performance.now() === p), 30))")
	check(t, b.StopClock(at.Add(100*time.Millisecond)))
	is("Date.now() === 1900000006000 && Math.abs(performance.now() - p - 100) < 0.01")
	check(t, b.JumpClock(-10*time.Minute))
	is("Date.now() === 1900000006000 - 600000 && Math.abs(performance.now() - p - 100) < 0.01")
	check(t, b.Reload())
	is("Date.now() === 1900000006000 - 600000")
	check(t, b.RunClock())
	is("Date.now() - (1900000006000 - 600000) < 20000 && new Promise((r) => { const d = Date.now(), p = performance.now(); setTimeout(() => r(Date.now() > d && performance.now() > p), 50) })")
}

func TestANewPhoneKnowsNothing(t *testing.T) {
	b := browsertest.Start(t, browsertest.Options{Language: "pt-PT"})
	address := served(t, "")
	kept := `localStorage.getItem("kept") + navigator.language + innerWidth + (Date.now() > 4e12)`
	is := func(want string) {
		t.Helper()
		var got string
		if check(t, b.Run(kept, &got)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	check(t, b.Open(address), b.StopClock(time.UnixMilli(5e12)), b.Run(`localStorage.setItem("kept", "kept")`, nil), b.Reload())
	is("keptpt-PT412true")
	for range 2 {
		check(t, b.NewPhone(), b.Open(address))
		is("nullpt-PT412false")
		check(t, b.Run(`localStorage.setItem("kept", "kept")`, nil))
	}
	check(t, b.Run(`console.error("bad")`, nil), b.Await("true"))
	if faults := b.Faults(); len(faults) != 1 {
		t.Error(faults)
	}
}

func TestAMissingBrowserIsNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := browsertest.TryStart(t, browsertest.Options{})
	if err == nil || !strings.Contains(err.Error(), "apt-get install chromium") {
		t.Error(err)
	}
}
