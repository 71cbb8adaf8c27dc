package otp

import (
	"context"
	"fmt"
	"time"
)

// Limits of notes.
const (
	// MaxNotes is how many fields a kind and key have; the note that expires first makes room for a new
	// field, of several that do any.
	MaxNotes = 64
	// MaxNoteValue is how many octets a value has at most.
	MaxNoteValue = 1024
	// MaxNoteName is how many octets a kind, a key and a field have at most.
	MaxNoteName = 256
)

// ErrNoteInvalid: a note is longer than a store keeps.
var ErrNoteInvalid = fmt.Errorf("a note has at most %d octets of value, and %d of kind, key and field", MaxNoteValue, MaxNoteName)

// A Note is something small that all nodes are to know, such as an open session. No login depends on it.
type Note struct {
	Kind    string // what it is about; each kind belongs to one package
	Key     string // such as an account; the notes of a kind and key are found together
	Field   string // which of them
	Value   []byte // nil in PutNotes: forget it
	Expires time.Time
}

// Check returns [ErrNoteInvalid] for a note that is too long.
func (n *Note) Check() error {
	if len(n.Value) > MaxNoteValue || max(len(n.Kind), len(n.Key), len(n.Field)) > MaxNoteName {
		return ErrNoteInvalid
	}
	return nil
}

// Notes keeps notes. It is part of a [Store].
type Notes interface {
	// PutNotes stores notes in their order: each replaces the one of the same kind, key and field, and
	// one without a value removes it. It is atomic for each kind and key, and MUST be durable before it
	// returns, like a claim. When one of them is too long (ErrNoteInvalid), none MUST be stored.
	PutNotes(ctx context.Context, notes []Note) error

	// Notes returns the notes of this kind and key that have not expired, by field. Expiry is kept to
	// the millisecond. None, and no error, when there are none.
	Notes(ctx context.Context, kind, key string, now time.Time) ([]Note, error)
}
