package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// started returns a server on a free port of the loopback address, and what asks it.
func started(t *testing.T, o Options) (*Server, func(path, accept string) (int, http.Header, string)) {
	t.Helper()
	o.Listen, o.Now = "127.0.0.1:0", func() time.Time { return time.Unix(1700000000, 5e8) }
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v, want nil after Shutdown", err)
		}
	})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	return s, func(path, accept string) (int, http.Header, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if accept != "" {
			req.Header.Set("Accept", accept)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header, string(body)
	}
}

func TestNamesPassTheLinter(t *testing.T) {
	reg := NewRegistry()
	_, get := started(t, Options{Registry: reg})
	get("/metrics", "") // so that promhttp has something to say, too
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestMetricsShowBuildAndReloads(t *testing.T) {
	s, get := started(t, Options{Version: "v1.2.3", Revision: "abc"})
	status, _, body := get("/metrics", "")
	for _, want := range []string{
		`revision="abc",version="v1.2.3"} 1`, "otpgate_config_last_reload_successful 1",
		"otpgate_config_last_reload_success_timestamp_seconds 1.7000000005e+09",
		"go_goroutines ", "process_open_fds ", "promhttp_metric_handler_errors_total",
	} {
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("status %d, and %q is missing", status, want)
		}
	}
	s.now = func() time.Time { return time.Unix(1800000000, 0) }
	s.Reloaded(false)
	_, _, body = get("/metrics", "")
	for _, want := range []string{"last_reload_successful 0", "timestamp_seconds 1.7000000005e+09"} {
		if !strings.Contains(body, want) {
			t.Errorf("after a failed reload, %q is missing", want)
		}
	}
	s.Reloaded(true)
	if _, _, body = get("/metrics", ""); !strings.Contains(body, "timestamp_seconds 1.8e+09") {
		t.Error("a reload that succeeded has no time")
	}
}

type brokenCollector struct{}

func (brokenCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- prometheus.NewDesc("broken", "Fails.", nil, nil)
}

func (brokenCollector) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.NewInvalidMetric(prometheus.NewDesc("broken", "Fails.", nil, nil), errors.New("boom"))
}

func TestABrokenCollectorIsCountedAndCostsOnlyItself(t *testing.T) {
	reg := NewRegistry()
	reg.MustRegister(brokenCollector{})
	_, get := started(t, Options{Registry: reg})
	get("/metrics", "")
	status, _, body := get("/metrics", "")
	if status != http.StatusOK || !strings.Contains(body, "otpgate_build_info{") {
		t.Errorf("status %d, want the other series", status)
	}
	if !strings.Contains(body, `promhttp_metric_handler_errors_total{cause="gathering"} 1`) {
		t.Error("the failure is not counted")
	}
}

func TestReadyzAnswersPeopleAndPrograms(t *testing.T) {
	state := OK
	s, get := started(t, Options{Checks: []Check{{Name: "store", Run: func(context.Context) (State, string) { return state, "words" }}}})
	for _, c := range []struct {
		state  State
		status int
		text   string
	}{
		{OK, 200, "ready\nstore: ok: words\n"},
		{Degraded, 200, "ready, degraded\nstore: degraded: words\n"},
		{NotReady, 503, "not ready\nstore: not_ready: words\n"},
	} {
		state = c.state
		s.watcher.results = nil
		if status, _, body := get("/readyz", ""); status != c.status || body != c.text {
			t.Errorf("%v: got %d %q, want %d %q", c.state, status, body, c.status, c.text)
		}
		status, header, body := get("/readyz", "application/json")
		var got struct {
			State    string
			Draining bool
			Checks   []struct{ Name, State, Words string }
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatalf("%v: %q: %v", c.state, body, err)
		}
		if status != c.status || got.State != c.state.String() || got.Checks[0].State != c.state.String() ||
			got.Checks[0].Name != "store" || header.Get("Content-Type") != "application/json" || header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v: got %d %q %v", c.state, status, body, header)
		}
		if status, _, body := get("/livez", ""); status != http.StatusOK || body != "alive\n" {
			t.Errorf("%v: livez says %d %q, want 200 whatever the checks say", c.state, status, body)
		}
	}
}

func TestDrainingTakesTheNodeOutOfService(t *testing.T) {
	s, get := started(t, Options{Checks: []Check{says("store", OK, "")}})
	if status, _, body := get("/readyz", ""); status != http.StatusOK {
		t.Fatalf("got %d %q before draining", status, body)
	}
	s.SetDraining() // at once, though the answer above is kept
	if status, _, body := get("/readyz", ""); status != http.StatusServiceUnavailable || !strings.HasPrefix(body, "draining\n") {
		t.Errorf("got %d %q, want 503 draining", status, body)
	}
	if status, _, _ := get("/livez", ""); status != http.StatusOK {
		t.Errorf("livez says %d while draining", status)
	}
}

func TestJSONIsForThoseWhoAskForIt(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "text/html, */*;q=0.8": false, "application/jsonp": false,
		"application/json": true, "text/plain;q=0.5, Application/JSON ; q=0.9": true,
		"application/json;q=0": false, "application/json;q=x": false, ";;,": false,
	} {
		if got := wantsJSON([]string{accept}); got != want {
			t.Errorf("Accept %q: got %v, want %v", accept, got, want)
		}
	}
}

func TestProfilesAreForLoopbackOnly(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1": true, "127.8.9.1": true, "::1": true, "::ffff:127.0.0.1": true,
		"0.0.0.0": false, "::": false, "192.0.2.1": false, "2001:db8::1": false,
	} {
		if got := onLoopback(&net.TCPAddr{IP: net.ParseIP(addr), Port: 9090}); got != want {
			t.Errorf("%s: got %v, want %v", addr, got, want)
		}
	}
	if onLoopback(&net.TCPAddr{}) || onLoopback(&net.UnixAddr{}) || onLoopback(nil) {
		t.Error("an address that is not known to be loopback passes for it")
	}
	s, get := started(t, Options{})
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=1"} {
		if status, _, _ := get(path, ""); status != http.StatusOK {
			t.Errorf("%s on loopback: %d", path, status)
		}
		w := httptest.NewRecorder()
		s.routes(prometheus.NewRegistry(), slog.New(slog.DiscardHandler), false).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusNotFound {
			t.Errorf("%s elsewhere: %d, want 404", path, w.Code)
		}
	}
}

func TestOnlyWhatIsListedIsServed(t *testing.T) {
	s, get := started(t, Options{})
	if status, _, body := get("/", ""); status != http.StatusOK || !strings.Contains(body, "/readyz") {
		t.Errorf("index: %d %q", status, body)
	}
	if status, _, _ := get("/other", ""); status != http.StatusNotFound {
		t.Errorf("/other: %d, want 404", status)
	}
	w := httptest.NewRecorder()
	s.http.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/readyz", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST /readyz: %d, want 405", w.Code)
	}
	if h := s.http; h.ReadHeaderTimeout <= 0 || h.ReadTimeout <= 0 || h.WriteTimeout <= 0 || h.IdleTimeout <= 0 || h.MaxHeaderBytes <= 0 {
		t.Errorf("a bound is missing: %+v", h)
	}
}

func TestNewRefuses(t *testing.T) {
	s, _ := started(t, Options{})
	twice := NewRegistry()
	if _, err := register(twice, "", ""); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"no address":            {Now: time.Now},
		"no clock":              {Listen: "127.0.0.1:0"},
		"a port in use":         {Listen: s.Addr().String(), Now: time.Now},
		"a registry used twice": {Listen: "127.0.0.1:0", Now: time.Now, Registry: twice},
		"a check of nothing":    {Listen: "127.0.0.1:0", Now: time.Now, Checks: []Check{{Name: "store"}}},
		"a check of no name":    {Listen: "127.0.0.1:0", Now: time.Now, Checks: []Check{{Run: says("", OK, "").Run}}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestShutdownFreesThePortOfAServerThatNeverServed(t *testing.T) {
	s, err := New(Options{Listen: "127.0.0.1:0", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := s.Serve(); err != nil {
		t.Errorf("Serve after Shutdown: %v, want nil", err)
	}
}
