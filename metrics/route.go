package metrics

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/http/pprof"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	scrapesAtOnce = 8 // more are answered with 503
	plainText     = "text/plain; charset=utf-8"
)

// routes returns everything that can be asked for; profiles only if profiling is set.
func (s *Server) routes(reg *prometheus.Registry, log *slog.Logger, profiling bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		Registry:            reg,
		ErrorLog:            scrapeLog{log},
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: scrapesAtOnce,
		Timeout:             readTime,
	}))
	mux.HandleFunc("GET /livez", live)
	mux.HandleFunc("GET /readyz", s.ready)
	index := "otpgate\n\n/metrics  for Prometheus\n/livez    the process runs\n/readyz   whether logins pass here\n"
	if profiling {
		index += "/debug/pprof/  profiles\n"
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, plainText, index)
	})
	return mux
}

func live(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, plainText, "alive\n")
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	h := s.Health(r.Context())
	status := http.StatusOK
	if h.State == NotReady {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Vary", "Accept")
	if !wantsJSON(r.Header.Values("Accept")) {
		answer(w, status, plainText, h.String())
		return
	}
	body, err := json.Marshal(h)
	if err != nil { // strings and numbers only: cannot happen, and must not look ready if it does
		status, body = http.StatusInternalServerError, []byte(`{"state":"not_ready"}`)
	}
	answer(w, status, "application/json", string(body)+"\n")
}

// String returns the state for people: the whole on the first line, one check on each after it.
func (h Health) String() string {
	var b strings.Builder
	switch {
	case h.Draining:
		b.WriteString("draining\n")
	case h.State == OK:
		b.WriteString("ready\n")
	case h.State == Degraded:
		b.WriteString("ready, degraded\n")
	default:
		b.WriteString("not ready\n")
	}
	for _, c := range h.Checks {
		fmt.Fprintf(&b, "%s: %s", c.Name, c.State)
		if c.Words != "" {
			b.WriteString(": " + c.Words)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// wantsJSON reports whether an Accept header names application/json, which no probe and no browser
// does unasked.
func wantsJSON(accept []string) bool {
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, params, err := mime.ParseMediaType(part)
		if err != nil || kind != "application/json" {
			continue
		}
		q, err := strconv.ParseFloat(params["q"], 64)
		return params["q"] == "" || err == nil && q > 0
	}
	return false
}

func answer(w http.ResponseWriter, status int, kind, body string) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // whoever asked has gone: there is nobody to tell
}

// scrapeLog is where promhttp complains of collectors.
type scrapeLog struct{ log *slog.Logger }

func (l scrapeLog) Println(v ...any) {
	l.log.Error("metrics could not be collected", "error", strings.TrimSpace(fmt.Sprintln(v...)))
}
