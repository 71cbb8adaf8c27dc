package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
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
		{"a context that ends during the call", testLeavers},
		{"after Close", func(x *exam) {
			if err := x.store.Close(); err != nil {
				x.Fatal(err)
			}
			x.wantUnavailable(x.context(), "closed store")
			_ = x.store.Close() // may be called again
		}},
	}.run(t, open)
}

const (
	leavers     = 8
	leaverBatch = 256 // claims of a call
	leaverTime  = time.Second
)

// testLeavers has many leave their calls at any moment, and use the slices of their claims again at once: for claims of
// somebody else's steps, which nobody has asked for. What a store told of their own claims must be so nevertheless.
func testLeavers(x *exam) {
	trap := make([]otp.Claim, leaverBatch)
	for i := range trap {
		trap[i] = x.use(int64(1_000_000+i), 1_000_000+i, 1, 0)
	}
	all := make([]*leaver, leavers)
	for n := range all {
		all[n] = x.leaver(n)
	}
	ctx := x.context()
	over, cancel := context.WithTimeout(ctx, leaverTime)
	defer cancel()
	together(leavers, func(n int) {
		for round := 1; !x.Failed() && (round <= leaverRounds || over.Err() == nil); round++ {
			all[n].call(ctx, trap, round)
		}
	})
	left := 0
	for n, l := range all {
		if left += l.left; l.claimed == 0 {
			x.Fatalf("leaver %d was never told that a step is claimed", n)
		}
		l.want(l.use(l.claimed, 1, 2, time.Second), otp.Used)
	}
	if left == 0 {
		x.Fatal("nobody has left a call")
	}
	if d := x.snapshot(x.account).Devices[0]; d.LastStep != 0 || !d.LastUsed.IsZero() {
		x.Fatalf("claims were looked at after their call: %+v", d)
	}
	x.want(x.use(100, 1, 1, 0), otp.Claimed)
}

// leaver claims rising steps of an account of its own, and leaves most of its calls. Nobody else claims them, so that
// each is Claimed, or the store could not tell.
type leaver struct {
	*exam
	rnd     *rand.Rand
	step    int64 // the last that was asked for
	claimed int64 // the last that was told to be claimed; 0: none
	left    int   // calls
}

// leaver makes one. Its account has a long name, which keeps a store busy with each of its claims: the longer it is
// carrying them out, the more often somebody leaves meanwhile.
func (x *exam) leaver(n int) *leaver {
	x.Helper()
	own := *x
	own.account = strings.Repeat("l", 4096) + fmt.Sprint(n)
	own.add(own.account, own.device)
	own.refresh()
	return &leaver{exam: &own, rnd: rand.New(rand.NewPCG(uint64(n), 0)), step: 100}
}

// leaverRounds is how many calls there are at least, and of how many the last one is waited for.
const leaverRounds = 4

// call claims the next steps, and has the trap in their place as soon as the call has returned.
func (l *leaver) call(ctx context.Context, trap []otp.Claim, round int) {
	claims := make([]otp.Claim, leaverBatch)
	for i := range claims {
		l.step++
		claims[i] = l.use(l.step, int(l.step), 1, 0)
	}
	first, waits := claims[0].Step, round%leaverRounds == 0
	if !waits {
		short, cancel := l.short(ctx)
		defer cancel()
		ctx = short
	}
	receipts := l.store.Claim(ctx, claims)
	copy(claims, trap)
	if len(receipts) != len(claims) {
		l.Errorf("%d receipts for %d claims", len(receipts), len(claims))
		return
	}
	left := 0
	for i, r := range receipts {
		switch step := first + int64(i); {
		case r.Err == nil && r.Answer == otp.Claimed:
			l.claimed = step
		case !waits && r.Answer == otp.NoAnswer && errors.Is(r.Err, otp.ErrUnavailable):
			left = 1
		default:
			l.Errorf("step %d, call waited for %t: %s (error %v)", step, waits, name(r.Answer), r.Err)
			return
		}
	}
	l.left += left
}

// short returns a context that ends within a call as a rule, and now and then before or after: how long one takes nobody
// knows, so that waits of each magnitude are as frequent.
func (l *leaver) short(ctx context.Context) (context.Context, context.CancelFunc) {
	wait := 50 * time.Microsecond << l.rnd.IntN(9)
	wait += time.Duration(l.rnd.Int64N(int64(wait)))
	if l.rnd.IntN(2) == 0 {
		return context.WithTimeout(ctx, wait)
	}
	ctx, cancel := context.WithCancel(ctx)
	time.AfterFunc(wait, cancel)
	return ctx, cancel
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
