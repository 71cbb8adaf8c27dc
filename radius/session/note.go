package session

import (
	"bytes"
	"context"
	"encoding/json"
	"time"
)

// The kinds of notes.
const (
	kindSession = "session"         // by account: one for each session that is open
	kindEnd     = "session_end"     // by account: one for each that has ended not long ago
	kindRestart = "session_restart" // by client: one for each gateway
)

// opened is the note of an open session.
type opened struct {
	Client  string    `json:"client"`
	NAS     string    `json:"nas,omitempty"`
	ID      string    `json:"id"`
	Station string    `json:"station,omitempty"`
	Address string    `json:"address,omitempty"`
	Started time.Time `json:"started"`
	Updated time.Time `json:"updated"`
	Rough   bool      `json:"rough,omitempty"` // Started was told by arrival, or reckoned
	In      uint64    `json:"in,omitempty"`
	Out     uint64    `json:"out,omitempty"`
}

// ended is the note of an end: of a session, or of all sessions of a gateway.
type ended struct {
	At time.Time `json:"at"`
}

// over reports whether s is the session that ended then, and no later one with the same identifier.
func (s opened) over(end ended) bool {
	if end.At.IsZero() {
		return false
	}
	if s.Rough {
		end.At = end.At.Add(lateAfter)
	}
	return !s.Started.After(end.At)
}

// cutOff reports whether s was over when its gateway restarted.
func (s opened) cutOff(restart ended) bool {
	return s.Started.Before(restart.At) && !s.Updated.After(restart.At.Add(lateAfter))
}

// encode is the value of a note. It cannot fail: there is nothing in it that JSON does not have but a
// year after 9999, which [Record.At] lets nobody say.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // six octets for one
	_ = e.Encode(v)
	return bytes.TrimSpace(b.Bytes())
}

// fields returns the notes of a kind and key by field. Those that this version cannot read are left out.
func fields[T any](ctx context.Context, b *Book, kind, key string, now time.Time) (map[string]T, error) {
	notes, err := b.notes.Notes(ctx, kind, key, now)
	if err != nil {
		return nil, err
	}
	found := make(map[string]T, len(notes))
	for _, n := range notes {
		var v T
		if err := json.Unmarshal(n.Value, &v); err != nil {
			b.log.Warn("a note cannot be read", "kind", kind, "key", key, "field", n.Field, "error", err)
			continue
		}
		found[n.Field] = v
	}
	return found, nil
}
