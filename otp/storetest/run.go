package storetest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"otpgate/otp"
)

// Open makes a store for one subtest, and closes it with t.Cleanup. As a rule it is new and empty.
type Open func(t *testing.T) otp.Store

// start is when the suite takes place.
var start = time.Date(2031, 5, 4, 12, 0, 0, 0, time.UTC)

// patience is how long one call may take on a busy machine.
const patience = 30 * time.Second

// Run proves the contract as far as one caller can see it.
func Run(t *testing.T, open func(t *testing.T) otp.Store) {
	for _, part := range []struct {
		name string
		run  func(t *testing.T, open Open)
	}{
		{"devices", runDevices},
		{"claims", runClaims},
		{"answers", runAnswers},
		{"passwords", runPasswords},
		{"codes", runCodes},
		{"places", runPlaces},
		{"lifetimes", runLifetimes},
		{"challenges", runChallenges},
		{"shares", runShares},
		{"previews", runPreviews},
		{"factors", runFactors},
		{"batches", runBatches},
		{"model", runModel},
		{"tickets", runTickets},
		{"notes", runNotes},
		{"accounts", runAccounts},
		{"calls", runCalls},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, open) })
	}
}

// cases runs subtests, each with a store of its own.
type cases []struct {
	name string
	run  func(x *exam)
}

func (list cases) run(t *testing.T, open Open, more ...Open) {
	for _, c := range list {
		t.Run(c.name, func(t *testing.T) {
			x := newExam(t, open)
			for _, open := range more {
				x.join(open(t))
			}
			c.run(x)
		})
	}
}

// exam is one subtest: a store with one account that has one device.
type exam struct {
	*testing.T
	store   otp.Store
	nodes   []otp.Store // store, and others that have what it has
	account string
	version uint64
	device  string
}

func newExam(t *testing.T, open Open) *exam {
	t.Helper()
	x := &exam{T: t, store: open(t), account: "0c1d2e3f-4a5b-6c7d-8e9f-a0b1c2d3e4f5", device: deviceID(1)}
	x.nodes = []otp.Store{x.store}
	x.add(x.account, x.device)
	x.version = x.snapshot(x.account).Version
	return x
}

// join has another store, which must have what the first one has, take its turn. It has been asked something by then, as
// the first one has: what a store does at first would keep the two from meeting.
func (x *exam) join(s otp.Store) {
	x.Helper()
	there, err := s.Devices(x.context(), x.account)
	if err != nil || there.Version != x.version || len(there.Devices) != 1 {
		x.Fatalf("one more store has %+v, %v", there, err)
	}
	x.nodes = append(x.nodes, s)
}

// node is whom the nth of many asks: the stores take turns.
func (x *exam) node(n int) otp.Store { return x.nodes[n%len(x.nodes)] }

func (x *exam) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	x.Cleanup(cancel)
	return ctx
}

// device returns a device as enrollment makes one.
func newDevice(account, id string) otp.Device {
	return otp.Device{
		Account: account, ID: id, Label: "Pixel of " + id, Sealed: []byte("\x01\x00\xffsealed " + id),
		Algorithm: otp.SHA256, Digits: 8, Period: time.Minute, Created: start.Add(-time.Hour),
	}
}

// deviceID returns an id of the shape that otp makes: 16 characters of lower-case base32.
func deviceID(n int) string { return fmt.Sprintf("abcdefgh%08d", 22222222+n) }

func (x *exam) add(account string, ids ...string) {
	x.Helper()
	var devices []otp.Device
	for _, id := range ids {
		devices = append(devices, newDevice(account, id))
	}
	errs, err := x.store.AddDevices(x.context(), devices, 0)
	if err = errors.Join(append(errs, err)...); err != nil {
		x.Fatalf("AddDevices: %v", err)
	}
}

func (x *exam) snapshot(account string) otp.Snapshot {
	x.Helper()
	s, err := x.store.Devices(x.context(), account)
	if err != nil {
		x.Fatalf("Devices: %v", err)
	}
	return s
}

// refresh makes the next claims use the account's present version.
func (x *exam) refresh() { x.Helper(); x.version = x.snapshot(x.account).Version }

// token, place and miss number what is an HMAC in real life.
func token(n int) (t otp.Token) { binary.BigEndian.PutUint64(t[8:], uint64(n)); return t }
func place(n int) (p otp.Place) { binary.BigEndian.PutUint64(p[:], uint64(n)); return p }
func miss(n int) (m otp.Miss)   { binary.BigEndian.PutUint32(m[:], uint32(n)); return m }

// use, wrongPassword and wrongCode make claims of the exam's account.
func (x *exam) use(step int64, tok, from int, after time.Duration) otp.Claim {
	return otp.Claim{
		Kind: otp.UseStep, Account: x.account, Version: x.version, Token: token(tok), Place: place(from),
		Now: start.Add(after), Device: x.device, Step: step, Miss: miss(1_000_000_000 + int(step)),
	}
}

func (x *exam) wrongPassword(step int64, tok, from int, after time.Duration) otp.Claim {
	c := x.use(step, tok, from, after)
	c.Kind = otp.WrongPassword
	return c
}

// backoff has no wait for the first wrong code.
var backoff = []time.Duration{0, 10 * time.Second, time.Minute}

func (x *exam) wrongCode(mark, from int, after time.Duration) otp.Claim {
	return otp.Claim{
		Kind: otp.WrongCode, Account: x.account, Version: x.version, Token: token(1_000_000 + mark), Place: place(from),
		Now: start.Add(after), Miss: miss(mark), Backoff: backoff, Forget: time.Hour,
	}
}

// claim carries out one claim.
func (x *exam) claim(c otp.Claim) otp.Receipt {
	x.Helper()
	receipts := x.store.Claim(x.context(), []otp.Claim{c})
	if len(receipts) != 1 {
		x.Fatalf("%d receipts for one claim", len(receipts))
	}
	return receipts[0]
}

// want carries out one claim and compares the answer.
func (x *exam) want(c otp.Claim, answer otp.Answer) otp.Receipt {
	x.Helper()
	r := x.claim(c)
	if r.Err != nil || r.Answer != answer {
		x.Fatalf("answer %s (error %v), want %s", name(r.Answer), r.Err, name(answer))
	}
	return r
}

// wantReceipt carries out one claim and compares the whole receipt. A zero until is the zero time.
func (x *exam) wantReceipt(c otp.Claim, answer otp.Answer, failures int, until time.Time) {
	x.Helper()
	r := x.want(c, answer)
	if r.Failures != failures || !r.Until.Equal(until) {
		x.Fatalf("%s with %d failures until %v, want %d until %v", name(answer), r.Failures, r.Until, failures, until)
	}
}

func name(a otp.Answer) string {
	switch a {
	case otp.Claimed:
		return "Claimed"
	case otp.Used:
		return "Used"
	case otp.Throttled:
		return "Throttled"
	case otp.Stale:
		return "Stale"
	case otp.Counted:
		return "Counted"
	case otp.Spent:
		return "Spent"
	case otp.Free:
		return "Free"
	case otp.Welcomed:
		return "Welcomed"
	}
	return "no answer"
}
