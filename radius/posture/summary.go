package posture

import (
	"fmt"
	"strconv"
	"time"
)

// A Summary is what all nodes have seen of a client, as of the last Flush.
type Summary struct {
	Client       string
	Signed       uint64 // Access-Requests with Message-Authenticator
	Total        uint64
	Since        time.Time // when the first came; zero: none has
	LastUnsigned time.Time // when the last came without; zero: none has
	Safe         bool      // it may be required: it always comes, as far as [ProvenPackets] and [ProvenTime] tell
	Proven       bool      // that was found while the client was to be learnt, and is kept
	Text         string    // all that in one sentence
}

// Summary returns what all nodes have seen, by the client's name.
func (l *Ledger) Summary() []Summary {
	now, all := l.now(), l.all()
	list := make([]Summary, len(all))
	for i, c := range all {
		c.mu.Lock()
		t := c.sum
		c.mu.Unlock()
		proven := c.proven.Load() && c.learning.Load()
		list[i] = Summary{
			Client: c.name, Signed: t.Signed, Total: t.Total, Since: t.Since, LastUnsigned: t.LastUnsigned,
			Safe: proven || t.proves(), Proven: proven, Text: t.text(proven, now),
		}
		if !c.known.Load() {
			list[i].Text = "not known yet: the store has not been read"
		}
	}
	return list
}

// text says in one sentence what t shows.
func (t tally) text(proven bool, now time.Time) string {
	const seen = "Message-Authenticator seen in %s of %s packets"
	run := fmt.Sprintf(seen+" for %s", grouped(t.Run), grouped(t.Run), span(t.Watched))
	switch {
	case proven && t.Refused > 0:
		return fmt.Sprintf("%s: required, and %s without it discarded, the last %s", run, grouped(t.Refused), ago(now.Sub(t.LastUnsigned)))
	case proven || t.proves():
		return run + ": safe to require"
	case t.Total == 0:
		return "nothing seen yet"
	case t.Signed < t.Total:
		return fmt.Sprintf(seen+", last without %s: not safe to require", grouped(t.Signed), grouped(t.Total), ago(now.Sub(t.LastUnsigned)))
	}
	return fmt.Sprintf("%s: safe to require after %s packets on %d days", run, grouped(ProvenPackets), ProvenTime/(24*time.Hour))
}

// grouped writes a number with a comma before each three digits.
func grouped(n uint64) string {
	text := strconv.FormatUint(n, 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// span is a time in the largest unit that it fills.
func span(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := d / unit.length; n == 1 {
			return "1 " + unit.name
		} else if n > 1 {
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return "less than a minute"
}

// ago is how long ago something was, which the clock of another node may have told.
func ago(d time.Duration) string { return span(d) + " ago" }
