package enroll

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"otpgate/enroll/web"
)

// noRoute is the route of requests for what is not there, in the metrics.
const noRoute = "none"

// A route is one call. Its name is the one in the metrics; openapi.yaml has all that begin with v1.
type route struct {
	method, path, name string
	required, optional []string // members of the body; nil: there is none
	handle             func(w http.ResponseWriter, r *http.Request, c *call) *web.Problem
}

// call is what is known of a request when its handler gets it.
type call struct {
	arrival time.Time
	source  string            // the address it came from
	from    netip.Prefix      // what limits count that as
	members map[string]string // of the body
}

// routes is all that the server answers.
func (s *Server) routes() []route {
	return []route{
		{method: http.MethodGet, path: "/v1/time", name: "v1_time", handle: s.tellTime},
		{method: http.MethodPost, path: "/v1/enrollments", name: "v1_enrollments", required: []string{"email"}, handle: s.requestCode},
		{method: http.MethodPost, path: "/v1/devices", name: "v1_devices", required: []string{"email", "code", "label"},
			optional: []string{"public_key", "lock", "confirmation", "retire"}, handle: s.registerDevice},
		{method: http.MethodPost, path: "/v1/confirmations", name: "v1_confirmations", required: []string{"token", "code"}, handle: s.confirmDevice},
		{method: http.MethodPost, path: "/v1/devices/remove", name: "v1_devices_remove", required: []string{"device"},
			optional: []string{"session", "account", "at", "proof"}, handle: s.removeDevice},
		{method: http.MethodPost, path: "/v1/devices/rename", name: "v1_devices_rename", required: []string{"device", "label"},
			optional: []string{"session", "account", "at", "proof"}, handle: s.renameDevice},
		{method: http.MethodPost, path: "/v1/devices/list", name: "v1_devices_list", required: []string{"session"}, handle: s.listDevices},
		{method: http.MethodPost, path: "/v1/links", name: "v1_links", required: []string{"email"}, handle: s.requestLink},
		{method: http.MethodPost, path: "/v1/sessions", name: "v1_sessions", required: []string{"token"}, handle: s.beginSession},
		{method: http.MethodPost, path: "/v1/revocations", name: "v1_revocations", required: []string{"token"}, handle: s.revokeDevice},
		{method: http.MethodGet, path: "/openapi.yaml", name: "openapi", handle: s.showOpenAPI},
		{method: http.MethodGet, path: "/{$}", name: "home", handle: s.showHome},
		{method: http.MethodGet, path: "/qr.svg", name: "qr", handle: s.showQR},
		{method: http.MethodGet, path: "/revoke", name: "revoke", handle: s.showRevoke},
		{method: http.MethodGet, path: "/devices", name: "devices", handle: s.showDevices},
		{method: http.MethodGet, path: "/assets/", name: "assets", handle: s.showAsset},
		{method: http.MethodGet, path: "/app/", name: "app", handle: s.showApp},
		{method: http.MethodGet, path: "/app/texts.json", name: "app_texts", handle: s.showAppTexts},
		{method: http.MethodGet, path: "/app/settings.json", name: "app_settings", handle: s.showAppSettings},
	}
}

// handle puts the routes behind everything that has to come first.
func (s *Server) handle(routes []route) (http.Handler, error) {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.Handle(r.path, s.serve(r))
	}
	mux.Handle("/", s.serve(route{name: noRoute, handle: func(http.ResponseWriter, *http.Request, *call) *web.Problem { return web.NotFound }}))

	// A page of another site must not send what a person here would have to send: browsers say
	// where a request comes from, and whatever is no browser has no session to misuse.
	foreign := http.NewCrossOriginProtection()
	if u, err := url.Parse(s.o.PublicURL); err == nil {
		if err := foreign.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
			return nil, err
		}
	}
	foreign.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.metrics.requests.WithLabelValues(noRoute, strconv.Itoa(web.Foreign.Status)).Inc()
		web.Foreign.Write(w)
	}))
	return web.Secure(foreign.Handler(mux), s.https()), nil
}

// serve is what happens to every request for a route.
func (s *Server) serve(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{arrival: s.o.Now()}
		recorder := &statusRecorder{ResponseWriter: w}
		defer func() {
			if s.recovered(recover(), rt.name) && recorder.status == 0 {
				web.Internal.Write(recorder)
			}
			s.metrics.requests.WithLabelValues(rt.name, strconv.Itoa(recorder.status)).Inc()
		}()
		if p := s.admitCall(recorder, r, rt, c); p != nil {
			p.Write(recorder)
		}
	})
}

// admitCall lets the handler have a request that may be had, and returns the problem otherwise.
func (s *Server) admitCall(w http.ResponseWriter, r *http.Request, rt route, c *call) *web.Problem {
	if rt.method != "" && r.Method != rt.method && (rt.method != http.MethodGet || r.Method != http.MethodHead) {
		w.Header().Set("Allow", strings.Join(allowed(rt.method), ", "))
		return web.WrongMethod
	}
	source := s.sources.Of(r)
	c.source, c.from = source.String(), neighbourhood(source)
	leave, ok := s.present.Enter(c.from)
	if !ok {
		return web.TooMany.After(time.Second)
	}
	defer leave()
	if rt.required != nil {
		if wait, ok := s.callers.Take(c.from); !ok {
			return web.TooMany.After(wait)
		}
		var p *web.Problem
		if c.members, p = web.Decode(w, r, rt.required, rt.optional); p != nil {
			return p
		}
		// A place is for work. Whoever sends a body slowly, or reads a document slowly, which everybody may,
		// has a share of the calls for that, and keeps nobody else from anything.
		select {
		case s.inFlight <- struct{}{}:
			defer func() { <-s.inFlight }()
		default:
			return web.TooMany.After(time.Second)
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	return rt.handle(w, r.WithContext(ctx), c)
}

// neighbourhood is what limits count as one source. Requests without an address (through a
// handler without a socket) are one, too.
func neighbourhood(source netip.Addr) netip.Prefix {
	if !source.IsValid() {
		return netip.Prefix{}
	}
	return web.Neighbourhood(source)
}

// allowed is the methods that a route takes.
func allowed(method string) []string {
	if method == http.MethodGet {
		return []string{http.MethodGet, http.MethodHead}
	}
	return []string{method}
}

// tellTime answers GET /v1/time.
func (s *Server) tellTime(w http.ResponseWriter, _ *http.Request, _ *call) *web.Problem {
	web.Write(w, http.StatusOK, struct {
		UnixMS int64 `json:"unix_ms"`
	}{s.o.Now().UnixMilli()})
	return nil
}

// statusRecorder remembers which status was answered.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (r *statusRecorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (r *statusRecorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// newID is what log and audit trail know a request by.
func newID() string { return strings.ToLower(rand.Text()[:12]) }

// clip is what is kept of a mail address that nobody has.
func clip(email string) string {
	const most = 100
	email = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) { // it is shown on terminals
			return '?'
		}
		return r
	}, email)
	if len(email) <= most {
		return email
	}
	return strings.ToValidUTF8(email[:most], "") + "…"
}
