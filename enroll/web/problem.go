package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// A Problem is an error as RFC 9457 wants it told.
type Problem struct {
	Type   string `json:"type"` // a URI reference that names the kind, the same for ever
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`

	retryAfter time.Duration
}

// The problems that any call may have. Their types are stable; what follows the colon is what
// programs tell them apart by.
var (
	Malformed       = &Problem{Type: "urn:otpgate:malformed", Title: "the request is not one that this call takes", Status: http.StatusBadRequest}
	UnsupportedType = &Problem{Type: "urn:otpgate:unsupported-type", Title: "the body has to be application/json", Status: http.StatusUnsupportedMediaType}
	TooLarge        = &Problem{Type: "urn:otpgate:too-large", Title: "the body is too large", Status: http.StatusRequestEntityTooLarge}
	TooMany         = &Problem{Type: "urn:otpgate:too-many", Title: "too many requests; try again later", Status: http.StatusTooManyRequests}
	Foreign         = &Problem{Type: "urn:otpgate:foreign", Title: "the request came from another site", Status: http.StatusForbidden}
	NotFound        = &Problem{Type: "urn:otpgate:not-found", Title: "there is nothing here", Status: http.StatusNotFound}
	WrongMethod     = &Problem{Type: "urn:otpgate:wrong-method", Title: "not with this method", Status: http.StatusMethodNotAllowed}
	Unavailable     = &Problem{Type: "urn:otpgate:unavailable", Title: "something this needs is not there; try again later", Status: http.StatusServiceUnavailable, retryAfter: 10 * time.Second}
	Internal        = &Problem{Type: "urn:otpgate:internal", Title: "something went wrong here", Status: http.StatusInternalServerError}
)

// Problems returns all of the above.
func Problems() []*Problem {
	return []*Problem{Malformed, UnsupportedType, TooLarge, TooMany, Foreign, NotFound, WrongMethod, Unavailable, Internal}
}

// With returns the problem with a detail.
func (p *Problem) With(detail string) *Problem {
	q := *p
	q.Detail = detail
	return &q
}

// After returns the problem with a Retry-After.
func (p *Problem) After(d time.Duration) *Problem {
	q := *p
	q.retryAfter = d
	return &q
}

// Write answers with the problem.
func (p *Problem) Write(w http.ResponseWriter) {
	if p.retryAfter > 0 {
		seconds := (p.retryAfter + time.Second - 1) / time.Second
		w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	write(w, p.Status, "application/problem+json", p)
}

// Write answers with v as JSON.
func Write(w http.ResponseWriter, status int, v any) { write(w, status, "application/json", v) }

func write(w http.ResponseWriter, status int, kind string, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it is never shown as HTML: see the type and nosniff
	if err := e.Encode(v); err != nil {
		status = http.StatusInternalServerError
		b.Reset()
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}
