package posture

import (
	"sync"
	"sync/atomic"
	"time"

	"otpgate/otp"
)

// A Client counts the packets of one client. [Ledger.Client] makes it.
type Client struct {
	name, key string

	signed, unsigned atomic.Uint64 // since the process started
	learning         atomic.Bool
	known            atomic.Bool // the store was read
	proven           atomic.Bool // and says so

	// Of Flush alone.
	takenSigned, takenUnsigned uint64 // what own has of the counters
	own                        tally
	saved                      time.Duration // what own.Watched was in the store
	dirty                      bool          // own is not in the store

	mu  sync.Mutex
	sum tally // of all nodes, as of the last Flush
}

// Count counts an Access-Request that came from the client's networks, with a Message-Authenticator that was
// verified (signed), or without any. One that is wrong is not to be counted: anybody can send it.
func (c *Client) Count(signed bool) {
	if signed {
		c.signed.Add(1)
	} else {
		c.unsigned.Add(1)
	}
}

// Proven reports whether an Access-Request of this client without Message-Authenticator is to be
// discarded: it has proven that it always sends it, or nobody knows yet, because the store could not be read
// since the process started. It is false for a client that is not to be learnt.
func (c *Client) Proven() bool {
	return c.learning.Load() && (c.proven.Load() || !c.known.Load())
}

// take returns what came since the last time.
func (c *Client) take() (signed, unsigned uint64) {
	s, u := c.signed.Load(), c.unsigned.Load()
	signed, unsigned = s-c.takenSigned, u-c.takenUnsigned
	c.takenSigned, c.takenUnsigned = s, u
	return signed, unsigned
}

// outcome is what the notes of a client change, once they are in the store.
type outcome uint8

const (
	nothing outcome = iota
	proves
	forgets
)

// merge takes what came since the last time into c's tally, in the light of what the store has. It
// returns the notes that are to be put, and what they change.
func (c *Client) merge(s stored, now time.Time, step time.Duration) ([]otp.Note, outcome) {
	if !c.known.Load() {
		c.own = s.own
	}
	var notes []otp.Note
	learning := c.learning.Load()
	switch {
	case !s.hasLatch: // it may have been lost
	case s.latch.Forgotten:
		c.proven.Store(false)
	default:
		c.proven.Store(true)
	}
	proven := c.proven.Load()
	forget := proven && !learning
	c.known.Store(true)
	if c.count(s, now, step, forget) {
		c.dirty = true
	}
	if c.dirty || c.own.Watched-c.saved >= saveEvery || !s.saved && c.own.Total > 0 {
		c.dirty = true
		notes = append(notes, note(c.key, s.node, c.own, now.Add(tallyKept)))
	}
	sum := c.own.plus(s.others)
	c.mu.Lock()
	c.sum = sum
	c.mu.Unlock()
	switch {
	case forget:
		notes = append(notes, note(c.key, fieldProven, latch{At: now, Forgotten: true}, now.Add(provenKept)))
		return notes, forgets
	case proven && s.latchExpires.Before(now.Add(provenKept-24*time.Hour)): // or lost
		if !s.hasLatch {
			s.latch.At = now
		}
		notes = append(notes, note(c.key, fieldProven, s.latch, now.Add(provenKept)))
	case !proven && learning && !s.unsure && sum.proves():
		notes = append(notes, note(c.key, fieldProven, latch{At: now}, now.Add(provenKept)))
		return notes, proves
	}
	return notes, nothing
}

// count takes what came since the last time into c's tally, and reports whether the tally has to be
// stored for that.
func (c *Client) count(s stored, now time.Time, step time.Duration, forget bool) bool {
	signed, unsigned := c.take()
	proven := c.proven.Load()
	newest, floor, seen := c.own.Epoch, time.Duration(0), c.own.Total > 0
	for _, t := range s.others {
		newest, seen = max(newest, t.Epoch), seen || t.Total > 0
	}
	for _, t := range s.others {
		if t.Epoch == newest {
			floor = max(floor, t.Watched)
		}
	}
	t := &c.own
	if signed+unsigned > 0 && t.Since.IsZero() {
		t.Since = now
	}
	t.Signed, t.Total = t.Signed+signed, t.Total+signed+unsigned
	if unsigned > 0 {
		t.LastUnsigned = now
	}
	if proven {
		t.Refused += unsigned
	}
	switch {
	case forget || unsigned > 0 && !proven:
		t.restart(newest+1, 0)
		return true
	case newest > t.Epoch:
		t.restart(newest, floor)
		return true
	}
	if seen {
		t.Watched = max(t.Watched+step, floor)
	}
	if t.Run += signed; signed > 0 {
		t.Days |= 1 << (t.Watched / (24 * time.Hour) % 64)
	}
	return signed+unsigned > 0
}
