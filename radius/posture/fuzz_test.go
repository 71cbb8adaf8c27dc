package posture_test

import (
	"context"
	"testing"
	"time"

	"otpgate/otp"
	"otpgate/radius/posture"
)

// FuzzNotes: whatever is in the store, a Flush copes, and one packet proves nothing.
func FuzzNotes(f *testing.F) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	seen := &page{}
	l, err := posture.New(posture.Options{Notes: seen, Node: "n1", Now: func() time.Time { return now }})
	if err != nil {
		f.Fatal(err)
	}
	l.Client("vpn").Count(true)
	if err := l.Flush(context.Background()); err != nil {
		f.Fatal(err)
	}
	f.Add(seen.put, seen.put, []byte(`{"at":"2030-01-01T00:00:00Z","forgotten":true}`), "n2")
	f.Add([]byte("null"), []byte("{}"), []byte("[]"), "")
	f.Add([]byte(`{"signed":18446744073709551615}`), []byte(`{"watched":-1,"since":"9999-12-31T23:59:59Z"}`), []byte("{}"), "proven")
	f.Fuzz(func(t *testing.T, own, other, proven []byte, field string) {
		p := &page{notes: []otp.Note{
			{Field: "n1", Value: own, Expires: now.Add(time.Hour)}, {Field: field, Value: other, Expires: now.Add(time.Hour)},
			{Field: "~proven", Value: proven, Expires: now.Add(time.Hour)}, {Field: "proven", Value: proven, Expires: now.Add(time.Hour)},
		}}
		l, err := posture.New(posture.Options{Notes: p, Node: "n1", Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		l.Client("vpn").Count(false)
		for range 2 {
			if err := l.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range l.Summary() {
			if s.Client != "vpn" || s.Text == "" {
				t.Fatalf("%+v", s)
			}
		}
	})
}

// page is what a store has about one client, and keeps the last that it was given.
type page struct {
	notes []otp.Note
	put   []byte
}

func (p *page) PutNotes(_ context.Context, notes []otp.Note) error {
	for _, n := range notes {
		p.put = n.Value
	}
	return nil
}

func (p *page) Notes(_ context.Context, kind, key string, _ time.Time) (notes []otp.Note, err error) {
	for _, n := range p.notes {
		n.Kind, n.Key = kind, key
		notes = append(notes, n)
	}
	return notes, nil
}
