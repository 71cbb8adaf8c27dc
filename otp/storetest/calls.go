package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"otpgate/otp"
)

// runCalls proves what holds for every method: contexts, binding, the end.
func runCalls(t *testing.T, open Open) {
	cases{
		{"the first keyset is remembered, any other is foreign", func(x *exam) {
			for _, call := range []struct {
				fingerprint string
				want        error
			}{{"one", nil}, {"one", nil}, {"two", otp.ErrForeignKeyset}, {"", otp.ErrForeignKeyset}, {"one", nil}} {
				if err := x.store.Bind(x.context(), call.fingerprint); !errors.Is(err, call.want) {
					x.Fatalf("Bind(%q): %v, want %v", call.fingerprint, err, call.want)
				}
			}
		}},
		{"a foreign keyset is not a store that cannot tell", func(x *exam) {
			if err := x.store.Bind(x.context(), "one"); err != nil {
				x.Fatal(err)
			}
			if err := x.store.Bind(x.context(), "two"); errors.Is(err, otp.ErrUnavailable) {
				x.Fatal(err)
			}
		}},
		{"ping", func(x *exam) {
			if _, err := x.store.Ping(x.context()); err != nil {
				x.Fatal(err)
			}
		}},
		{"a context that was cancelled before", func(x *exam) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			x.wantUnavailable(ctx, "cancelled context")
			x.want(x.use(100, 900, 1, 0), otp.Claimed)
		}},
		{"a context that expired before", func(x *exam) {
			ctx, cancel := context.WithDeadline(context.Background(), time.Unix(1, 0))
			defer cancel()
			x.wantUnavailable(ctx, "expired context")
			x.want(x.use(100, 900, 1, 0), otp.Claimed)
		}},
		{"after Close", func(x *exam) {
			if err := x.store.Close(); err != nil {
				x.Fatal(err)
			}
			x.wantUnavailable(x.context(), "closed store")
			_ = x.store.Close() // may be called again
		}},
	}.run(t, open)
}

func (x *exam) wantUnavailable(ctx context.Context, when string) {
	x.Helper()
	WantUnavailable(x.T, x.store, ctx, when, x.use(100, 1, 1, 0), x.wrongCode(1, 1, 0))
}

// WantUnavailable calls every method that has a context, and fails the test unless all of them
// return errors that wrap [otp.ErrUnavailable]. when says what is the matter with the store.
func WantUnavailable(t *testing.T, s otp.Store, ctx context.Context, when string, claims ...otp.Claim) {
	t.Helper()
	want := func(method string, err error) {
		t.Helper()
		if !errors.Is(err, otp.ErrUnavailable) {
			t.Errorf("%s, %s: error %v does not wrap ErrUnavailable", when, method, err)
		}
	}
	want("Bind", s.Bind(ctx, "one"))
	_, err := s.Devices(ctx, "account")
	want("Devices", err)
	_, err = s.AddDevices(ctx, []otp.Device{newDevice("account", deviceID(5))}, 0)
	want("AddDevices", err)
	want("RenameDevice", s.RenameDevice(ctx, "account", deviceID(1), "x"))
	want("RemoveDevice", s.RemoveDevice(ctx, "account", deviceID(1)))
	receipts := s.Claim(ctx, claims)
	if len(receipts) != len(claims) {
		t.Errorf("%s, Claim: %d receipts for %d claims", when, len(receipts), len(claims))
	}
	for _, r := range receipts {
		want("Claim", r.Err)
		if r.Answer != otp.NoAnswer {
			t.Errorf("%s, Claim: %s beside an error", when, name(r.Answer))
		}
	}
	want("PutTicket", s.PutTicket(ctx, otp.Ticket{Kind: otp.EnrollmentTicket, Account: "account", Tries: 1, Expires: start}))
	ok, err := s.CheckTicket(ctx, otp.EnrollmentTicket, "account", digest(1), start)
	want("CheckTicket", err)
	taken, err := s.TakeTicket(ctx, otp.EnrollmentTicket, "account", digest(1), start)
	want("TakeTicket", err)
	if ok || taken {
		t.Errorf("%s: a ticket was right", when)
	}
	want("PutNotes", s.PutNotes(ctx, []otp.Note{{Kind: "kind", Key: "account", Field: "f", Value: []byte("v"), Expires: start}}))
	notes, err := s.Notes(ctx, "kind", "account", start)
	want("Notes", err)
	if len(notes) > 0 {
		t.Errorf("%s: there were notes", when)
	}
	_, err = s.Ping(ctx)
	want("Ping", err)
}
