package redisstore

import (
	"encoding/binary"
	"strconv"
	"time"

	"otpgate/otp"
)

const (
	// plainParts is how many texts a plain claim has: the key, and what claim.lua lists.
	plainParts = 4
	// plainArgs is how many arguments its call has: evalsha, the script, 1, and those texts.
	plainArgs = 3 + plainParts
	// plainText is how long the text of a usual claim is, without the prefix of the key.
	plainText = 128
)

// writer writes the calls of a batch: all their text lies in one string, and all their arguments in one
// slice, so that a claim costs no allocation of its own.
type writer struct {
	text    []byte
	ends    []int    // of the parts of text: plainParts for each claim
	parts   []string // what the arguments point to
	args    []any
	backoff []time.Duration // of the last wrong code: as a rule all have the same
	waits   string
}

// add writes the texts of one claim: its key, and what claim.lua lists, in that order.
func (w *writer) add(prefix string, c *otp.Claim) {
	w.text = appendAccountKey(w.text, prefix, c.Account)
	w.end()
	device := c.Device
	var step int64
	var drift int
	if c.Kind == otp.WrongCode || c.Kind == otp.RightFactor {
		device = ""
	} else {
		step, drift = c.Step, c.Drift
	}
	now := uint64(millis(c.Now))
	w.text = append(w.text, c.Token[:]...)
	w.text = append48(w.text, now)
	w.text = binary.BigEndian.AppendUint16(w.text, uint16(len(device)))
	w.text = append(w.text, device...)
	w.end()
	w.text = append48(w.text, uint64(step))
	w.text = append48(w.text, now)
	w.text = binary.BigEndian.AppendUint32(w.text, uint32(int32(drift)))
	w.text = append48(w.text, 0)
	w.end()
	w.text = append(append(w.text, 'x'), c.Place[:]...)
	w.text = append(w.text, c.Miss[:]...)
	w.text = strconv.AppendUint(w.text, c.Version, 10)
	w.end()
}

func (w *writer) end() { w.ends = append(w.ends, len(w.text)) }

// append48 appends the lower six octets.
func append48(b []byte, n uint64) []byte {
	return append(b, byte(n>>40), byte(n>>32), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// cut makes strings of the texts, when all are written.
func (w *writer) cut() {
	text, from := string(w.text), 0
	w.parts = make([]string, len(w.ends))
	for i, end := range w.ends {
		w.parts[i], from = text[from:end], end
	}
	w.args = make([]any, 0, plainArgs*len(w.ends)/plainParts)
}

// call is the call of the nth claim that was written.
func (w *writer) call(s *script, n int, c *otp.Claim) call {
	p := w.parts[plainParts*n : plainParts*(n+1)]
	from := len(w.args)
	w.args = append(w.args, "evalsha", &s.sha, "1", &p[0], &p[1], &p[2], &p[3])
	args := w.args[from:len(w.args):len(w.args)]
	given := c.Lifetime != 0 || c.Challenge.Given() || c.Share.Given() || c.Span != 0 // as a rule nothing of it is
	plain := c.Kind == otp.UseStep && !given
	if !plain {
		args = append(args, int(c.Kind))
		if c.Kind == otp.WrongCode {
			args = append(args, max(c.Forget.Milliseconds(), 0), w.waitsOf(c.Backoff))
		} else {
			args = append(args, 0, "")
		}
	}
	if given {
		args = append(args, c.TokenLifetime().Milliseconds(), challenge(c), c.Challenge.Tries, c.Share.Times, c.Share.Within.Milliseconds(), c.Span)
	}
	return call{key: p[0], args: args, plain: plain}
}

// challenge is the id of the claim's challenge, "" without one.
func challenge(c *otp.Claim) string {
	if !c.Challenge.Given() {
		return ""
	}
	return string(c.Challenge.ID[:])
}

// waitsOf writes back-offs as milliseconds.
func (w *writer) waitsOf(backoff []time.Duration) string {
	if len(backoff) == 0 {
		return ""
	}
	if len(w.backoff) == len(backoff) && &w.backoff[0] == &backoff[0] {
		return w.waits
	}
	var b []byte
	for _, d := range backoff {
		// No wait that outlasts the program is longer than this one.
		b = append(strconv.AppendInt(b, min(max(d.Milliseconds(), 0), limit48/4), 10), ' ')
	}
	w.backoff, w.waits = backoff, string(b)
	return w.waits
}

// millis and fromMillis keep the zero time zero.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
