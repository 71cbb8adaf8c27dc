package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"otpgate/enroll/app"
	"otpgate/enroll/browsertest"
	"otpgate/enroll/catalogue"
	"otpgate/enroll/web"
)

// host is a server of the app whose state a test changes while a phone uses it.
type host struct {
	url string // http://localhost:…, which is a domain, as WebAuthn wants it, and a secure context
	app *app.App

	mu     sync.Mutex
	ahead  time.Duration     // of the server's clock before this machine's
	header map[string]string // on every response, besides the usual ones
	change map[string]string // what is answered instead of a file
	slow   []time.Duration   // what the next questions for the time have to wait
	asked  []string
}

// build is the app as it is for an issuer; another one has another version.
func build(t *testing.T, issuer string) *app.App {
	t.Helper()
	texts, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, language := range texts.Languages() {
		in, _ := texts.In(language)
		all[language] = in.App()
	}
	a, err := app.New(app.Options{Issuer: issuer, Texts: all})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func serve(t *testing.T) *host {
	t.Helper()
	h := &host{app: build(t, "Example"), header: map[string]string{}, change: map[string]string{}}
	s := httptest.NewServer(web.Secure(h, false))
	t.Cleanup(s.Close)
	h.url = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	return h
}

// set changes the host between two requests.
func (h *host) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

// ServeHTTP implements [http.Handler].
func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := strings.TrimPrefix(r.URL.Path, "/app/")
	h.asked = append(h.asked, r.URL.Path)
	for key, value := range h.header {
		w.Header().Set(key, value)
	}
	if text, ok := h.change[name]; ok {
		web.NewDocument(name[strings.LastIndexByte(name, '.'):], []byte(text)).Serve(w, r)
		return
	}
	switch r.URL.Path {
	case "/v1/time":
		if len(h.slow) > 0 {
			<-time.After(h.slow[0])
			h.slow = h.slow[1:]
		}
		web.Write(w, http.StatusOK, map[string]int64{"unix_ms": time.Now().Add(h.ahead).UnixMilli()})
	case "/app/settings.json":
		web.NewDocument(".json", []byte(`{"issuer":"Example","contact":"","app_lock":"offered","languages":[],"devices_url":"https://otp.example.org/devices"}`)).Serve(w, r)
	case "/app/texts.json":
		language := r.URL.Query().Get("lang")
		if _, ok := h.app.Texts(language); !ok {
			language = "en"
		}
		w.Header().Set("Content-Language", language)
		d, _ := h.app.Texts(language)
		d.Serve(w, r)
	case "/app/blank": // a page with the app's rights, but nothing on it
		web.NewDocument(".html", []byte(`<!DOCTYPE html><title>blank</title><link rel="icon" href="icon.svg">`)).Serve(w, r)
	default:
		if !h.app.Serve(w, r, name) {
			web.NotFound.Write(w)
		}
	}
}

// phone is a browser on a page of the host.
func phone(t *testing.T, h *host, page string) *browsertest.Browser {
	t.Helper()
	b := browsertest.Start(t, browsertest.Options{})
	must(t, b.Open(h.url+page))
	t.Cleanup(func() {
		if faults := b.Faults(); len(faults) > 0 {
			t.Errorf("faults: %s", strings.Join(faults, "\n"))
		}
	})
	return b
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// run has the page run the body of a function, with the app's modules by their names, as the app
// itself loads them, and with arguments of its own.
func run(t *testing.T, b *browsertest.Browser, into any, script string, arguments ...any) {
	t.Helper()
	must(t, attempt(b, into, script, arguments...))
}

func attempt(b *browsertest.Browser, into any, script string, arguments ...any) error {
	args, err := json.Marshal(append([]any{}, arguments...))
	if err != nil {
		return err
	}
	var imports []string
	for _, name := range modules {
		if regexp.MustCompile(`\b` + name + `\.`).MatchString(script) {
			imports = append(imports, fmt.Sprintf("const %[1]s = await import(address('%[1]s'));", name))
		}
	}
	return b.Run(fmt.Sprintf(`(async (...args) => {
		globalThis.appPage ??= await (await fetch("/app/")).text();
		const address = (name) => "/app/" + new RegExp('"(' + name + '\\.js[^"]*)"').exec(appPage)[1];
		%s
		%s
	})(...%s)`, strings.Join(imports, "\n"), script, args), into)
}

// modules are those that tests call.
var modules = []string{"clock", "vault", "key", "lock", "install"}
