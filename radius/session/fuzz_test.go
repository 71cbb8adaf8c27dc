package session_test

import (
	"context"
	"testing"
	"time"

	"otpgate/otp"
	"otpgate/radius/session"
)

// FuzzNotes: whatever is in the store about an account's sessions, they are told, and the next packet is kept.
func FuzzNotes(f *testing.F) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	record := session.Record{Status: session.Start, NAS: "nas", Session: "5a3f"}
	seen := &page{}
	b, err := session.New(session.Options{Notes: seen, Now: func() time.Time { return now }})
	if err != nil {
		f.Fatal(err)
	}
	if err := b.Record(context.Background(), "vpn", "account", record); err != nil {
		f.Fatal(err)
	}
	f.Add(seen.last.Field, seen.last.Value, []byte(`{"at":"2030-01-02T03:04:05Z"}`))
	f.Add("", []byte("null"), []byte("{}"))
	f.Add("x", []byte(`{"started":"9999-12-31T23:59:59Z","in":18446744073709551615}`), []byte("[]"))
	f.Fuzz(func(t *testing.T, field string, open, end []byte) {
		p := &page{field: field, values: [][]byte{open, end}}
		b, err := session.New(session.Options{Notes: p, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Open(context.Background(), "account"); err != nil {
			t.Fatal(err)
		}
		for _, status := range []session.Status{session.Start, session.InterimUpdate, session.Stop, session.AccountingOn} {
			r := record
			r.Status = status
			if err := b.Record(context.Background(), "vpn", "account", r); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// page answers every question with the same values, and keeps the last note that it was given.
type page struct {
	field  string
	values [][]byte
	last   otp.Note
}

func (p *page) PutNotes(_ context.Context, notes []otp.Note) error {
	for i := range notes {
		if err := notes[i].Check(); err != nil {
			return err
		}
		p.last = notes[i]
	}
	return nil
}

func (p *page) Notes(_ context.Context, kind, key string, now time.Time) (notes []otp.Note, err error) {
	for i, value := range p.values {
		field := p.field
		if i > 0 {
			field += "+"
		}
		notes = append(notes, otp.Note{Kind: kind, Key: key, Field: field, Value: value, Expires: now.Add(time.Hour)})
	}
	return notes, nil
}
