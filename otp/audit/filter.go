package audit

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"otpgate/otp"
)

// A Filter says which events to read. Zero fields let everything through; text is compared
// without regard to case.
type Filter struct {
	Kind     Kind
	ID       string // of the attempt
	Name     string
	Account  string
	Client   string
	Source   string // all of it, or one word: 10.1.2.3, or a Calling-Station-Id
	Device   string
	Decision string
	Reason   otp.Reason
	Session  string    // the gateway's Acct-Session-Id
	Actor    string    // all of it, or one word: 0 or root of "uid 0 (root)"
	Since    time.Time // not before
	Until    time.Time // before
	Last     int       // only so many of the newest that fit; 0: all
}

// MaxLast is the most that [Filter].Last may be.
const MaxLast = 1_000_000

// A FilterError says that a filter asks for what no event can have.
type FilterError struct {
	Field string // of the filter, in lower case
	Value string
	Want  string // what would do
}

// Error implements error.
func (e *FilterError) Error() string {
	return fmt.Sprintf("audit: no event has the %s %q: it is %s", e.Field, e.Value, e.Want)
}

// Check returns a *[FilterError] for a filter that nothing can ever fit.
func (f Filter) Check() error {
	for _, choice := range []struct {
		field, value string
		among        []string
	}{
		{"kind", string(f.Kind), words(Kinds())},
		{"decision", f.Decision, Decisions()},
		{"reason", string(f.Reason), words(Reasons())},
	} {
		if choice.value != "" && !oneOf(choice.value, choice.among) {
			return &FilterError{choice.field, choice.value, "one of " + strings.Join(choice.among, ", ")}
		}
	}
	if f.Last < 0 || f.Last > MaxLast {
		return &FilterError{"last", strconv.Itoa(f.Last), fmt.Sprintf("a number of events up to %d", MaxLast)}
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return &FilterError{"until", f.Until.Format(time.RFC3339), "later than since, " + f.Since.Format(time.RFC3339)}
	}
	return nil
}

func words[T ~string](list []T) []string {
	texts := make([]string, len(list))
	for i, w := range list {
		texts[i] = string(w)
	}
	return texts
}

func oneOf(text string, among []string) bool {
	for _, w := range among {
		if strings.EqualFold(text, w) {
			return true
		}
	}
	return false
}

// sieve is a filter made ready for many lines.
type sieve struct {
	since, until time.Time
	texts        []wanted
}

// wanted is a text that a key must have.
type wanted struct {
	key  []byte // as it stands in a line
	of   func(*Event) string
	text []byte
	word bool // one word is enough
}

func newSieve(f Filter) *sieve {
	if addr, err := netip.ParseAddr(f.Source); err == nil {
		f.Source = addr.String() // 2001:DB8::0:1 is in the trail as 2001:db8::1
	}
	s := &sieve{since: f.Since, until: f.Until}
	for _, w := range []wanted{
		{[]byte(`"kind":"`), func(e *Event) string { return string(e.Kind) }, []byte(f.Kind), false},
		{[]byte(`"id":"`), func(e *Event) string { return e.ID }, []byte(f.ID), false},
		{[]byte(`"name":"`), func(e *Event) string { return e.Name }, []byte(f.Name), false},
		{[]byte(`"account":"`), func(e *Event) string { return e.Account }, []byte(f.Account), false},
		{[]byte(`"client":"`), func(e *Event) string { return e.Client }, []byte(f.Client), false},
		{[]byte(`"source":"`), func(e *Event) string { return e.Source }, []byte(f.Source), true},
		{[]byte(`"device":"`), func(e *Event) string { return e.Device }, []byte(f.Device), false},
		{[]byte(`"decision":"`), func(e *Event) string { return e.Decision }, []byte(f.Decision), false},
		{[]byte(`"reason":"`), func(e *Event) string { return string(e.Reason) }, []byte(f.Reason), false},
		{[]byte(`"session":"`), func(e *Event) string { return e.Session }, []byte(f.Session), false},
		{[]byte(`"actor":"`), func(e *Event) string { return e.Actor }, []byte(f.Actor), true},
	} {
		if len(w.text) > 0 {
			s.texts = append(s.texts, w)
		}
	}
	return s
}

// excludes reports whether it can be told from the octets of a line that its event does not fit;
// of what it lets through, fits decides. It is many times faster than decoding.
func (s *sieve) excludes(line []byte) bool {
	if at, ok := timeOf(line); ok && !s.within(at) {
		return true
	}
	for _, w := range s.texts {
		if text, plain := textOf(line, w.key); plain && !w.fits(text) {
			return true
		}
	}
	return false
}

func (s *sieve) fits(e *Event) bool {
	for _, w := range s.texts {
		if !w.fits([]byte(w.of(e))) {
			return false
		}
	}
	return s.within(e.Time)
}

func (s *sieve) within(at time.Time) bool {
	return (s.since.IsZero() || !at.Before(s.since)) && (s.until.IsZero() || at.Before(s.until))
}

func (w *wanted) fits(text []byte) bool {
	if bytes.EqualFold(text, w.text) {
		return true
	}
	if !w.word || len(text) < len(w.text) {
		return false
	}
	for _, word := range bytes.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '(' || r == ')' }) {
		if bytes.EqualFold(word, w.text) {
			return true
		}
	}
	return false
}
