package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"otpgate/otp"
)

func runDevices(t *testing.T, open Open) {
	cases{
		{"an account that was never seen is empty", func(x *exam) {
			s := x.snapshot("nobody")
			if s.Account != "nobody" || s.Version != 0 || len(s.Devices) != 0 {
				x.Fatalf("%+v", s)
			}
		}},
		{"a device comes back as it was added", func(x *exam) {
			want := newDevice(x.account, x.device)
			s := x.snapshot(x.account)
			if s.Account != x.account || s.Version == 0 || len(s.Devices) != 1 {
				x.Fatalf("%+v", s)
			}
			wantDevice(x, s.Devices[0], want)
		}},
		{"a new device was never used, whatever the caller says", func(x *exam) {
			d := newDevice("other", x.device)
			d.LastUsed, d.LastStep, d.Drift = start, 1<<40, 2
			if errs, err := x.store.AddDevices(x.context(), []otp.Device{d}, 0); err != nil || errs[0] != nil {
				x.Fatal(errs, err)
			}
			got := x.snapshot("other").Devices[0]
			if !got.LastUsed.IsZero() || got.LastStep != 0 || got.Drift != 0 {
				x.Fatalf("%+v", got)
			}
		}},
		{"adding raises the version", func(x *exam) {
			x.add(x.account, deviceID(2))
			s := x.snapshot(x.account)
			if s.Version <= x.version || len(s.Devices) != 2 {
				x.Fatalf("version %d (was %d), %d devices", s.Version, x.version, len(s.Devices))
			}
			x.want(x.use(100, 1, 1, 0), otp.Stale)
		}},
		{"adding leaves what logins have changed", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.throttle(9)
			x.add(x.account, deviceID(2))
			x.refresh()
			x.want(x.use(100, 2, 1, time.Second), otp.Used)
			x.want(x.use(100, 1, 1, time.Second), otp.Claimed)
			x.want(x.use(101, 3, 9, time.Second), otp.Throttled)
		}},
		{"an id that is there is refused, and nothing is changed", testExists},
		{"an account over the limit gets nothing", testLimit},
		{"one call for many accounts", testManyAccounts},
		{"renaming sets the label and nothing else", testRename},
		{"renaming or removing what is not there", func(x *exam) {
			for _, at := range [][2]string{{x.account, deviceID(9)}, {"nobody", x.device}, {x.account, ""}} {
				if err := x.store.RenameDevice(x.context(), at[0], at[1], "x"); !errors.Is(err, otp.ErrNotFound) {
					x.Fatalf("RenameDevice: %v", err)
				}
				if err := x.store.RemoveDevice(x.context(), at[0], at[1]); !errors.Is(err, otp.ErrNotFound) {
					x.Fatalf("RemoveDevice: %v", err)
				}
			}
			if s := x.snapshot("nobody"); s.Version != 0 {
				x.Fatalf("the account was made: %+v", s)
			}
		}},
		{"a removed device is refused", testRemove},
		{"versions never come back", func(x *exam) {
			seen := map[uint64]bool{x.version: true}
			for range 5 {
				if err := x.store.RemoveDevice(x.context(), x.account, x.device); err != nil {
					x.Fatal(err)
				}
				removed := x.snapshot(x.account).Version
				x.add(x.account, x.device)
				added := x.snapshot(x.account).Version
				if seen[removed] || seen[added] || removed == added {
					x.Fatalf("version %d, then %d, after %v", removed, added, seen)
				}
				seen[removed], seen[added] = true, true
			}
		}},
		{"a device added anew was never used", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.want(x.wrongPassword(101, 2, 1, 0), otp.Counted)
			if err := x.store.RemoveDevice(x.context(), x.account, x.device); err != nil {
				x.Fatal(err)
			}
			x.add(x.account, x.device)
			x.refresh()
			if d := x.snapshot(x.account).Devices[0]; d.LastStep != 0 || !d.LastUsed.IsZero() {
				x.Fatalf("%+v", d)
			}
			x.wantReceipt(x.wrongPassword(101, 3, 1, 0), otp.Counted, 1, never)
		}},
	}.run(t, open)
}

func wantDevice(x *exam, got, want otp.Device) {
	x.Helper()
	same := got.Account == want.Account && got.ID == want.ID && got.Label == want.Label &&
		slices.Equal(got.Sealed, want.Sealed) && got.Algorithm == want.Algorithm && got.Digits == want.Digits &&
		got.Period == want.Period && got.Created.Equal(want.Created) && got.LastUsed.Equal(want.LastUsed) &&
		got.LastStep == want.LastStep && got.Drift == want.Drift
	if !same {
		x.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

func testExists(x *exam) {
	again, fresh := newDevice(x.account, x.device), newDevice(x.account, deviceID(2))
	again.Label = "another"
	errs, err := x.store.AddDevices(x.context(), []otp.Device{again}, 0)
	if err != nil || len(errs) != 1 || !errors.Is(errs[0], otp.ErrExists) {
		x.Fatal(errs, err)
	}
	if s := x.snapshot(x.account); s.Version != x.version || s.Devices[0].Label == "another" {
		x.Fatalf("%+v", s)
	}
	errs, err = x.store.AddDevices(x.context(), []otp.Device{again, fresh, fresh}, 0)
	if err != nil || len(errs) != 3 || !errors.Is(errs[0], otp.ErrExists) || errs[1] != nil || !errors.Is(errs[2], otp.ErrExists) {
		x.Fatal(errs, err)
	}
	if s := x.snapshot(x.account); len(s.Devices) != 2 {
		x.Fatalf("%+v", s)
	}
}

func testLimit(x *exam) {
	d := func(n int) otp.Device { return newDevice(x.account, deviceID(n)) }
	add := func(limit int, devices ...otp.Device) []error {
		x.Helper()
		errs, err := x.store.AddDevices(x.context(), devices, limit)
		if err != nil || len(errs) != len(devices) {
			x.Fatal(errs, err)
		}
		return errs
	}
	for _, err := range add(2, d(2), d(3)) {
		if !errors.Is(err, otp.ErrTooManyDevices) {
			x.Fatal(err)
		}
	}
	if s := x.snapshot(x.account); s.Version != x.version || len(s.Devices) != 1 {
		x.Fatalf("%+v", s)
	}
	if errs := add(2, d(2)); errs[0] != nil {
		x.Fatal(errs)
	}
	if errs := add(2, d(3)); !errors.Is(errs[0], otp.ErrTooManyDevices) {
		x.Fatal(errs)
	}
	if errs := add(1, d(2)); !errors.Is(errs[0], otp.ErrExists) {
		x.Fatal(errs)
	}
	if err := x.store.RemoveDevice(x.context(), x.account, deviceID(2)); err != nil {
		x.Fatal(err)
	}
	if errs := add(2, d(3)); errs[0] != nil {
		x.Fatal(errs)
	}
}

func testManyAccounts(x *exam) {
	var devices []otp.Device
	for n := range 300 {
		devices = append(devices, newDevice("many-"+deviceID(n%150), deviceID(n)))
	}
	devices = append(devices, newDevice(x.account, x.device), newDevice("full", deviceID(1)), newDevice("full", deviceID(2)), newDevice("full", deviceID(3)))
	errs, err := x.store.AddDevices(x.context(), devices, 2)
	if err != nil || len(errs) != len(devices) {
		x.Fatal(len(errs), err)
	}
	for n, err := range errs {
		switch {
		case n < 300:
			if err != nil {
				x.Fatalf("device %d: %v", n, err)
			}
		case n == 300:
			if !errors.Is(err, otp.ErrExists) {
				x.Fatalf("device that is there: %v", err)
			}
		case !errors.Is(err, otp.ErrTooManyDevices):
			x.Fatalf("device of a full account: %v", err)
		}
	}
	for n := range 150 {
		s := x.snapshot("many-" + deviceID(n))
		if len(s.Devices) != 2 || s.Devices[0].ID != deviceID(n) || s.Devices[1].ID != deviceID(n+150) {
			x.Fatalf("account %d: %+v", n, s)
		}
	}
}

// testRename renames a device that has logged in. Nothing of what logins have changed may be lost with that: a code could
// be used again, or guessed without a wait.
func testRename(x *exam) {
	drifted := x.use(100, 1, 1, 0)
	drifted.Drift = 1
	x.want(drifted, otp.Claimed)
	x.refresh() // for the drift has changed
	x.wantReceipt(x.wrongCode(1, 1, 0), otp.Counted, 1, never)
	x.wantReceipt(x.wrongCode(2, 2, 0), otp.Counted, 1, never)
	want := newDevice(x.account, x.device)
	want.Label = "Läbel\n\x00 \"x\""
	if err := x.store.RenameDevice(x.context(), x.account, x.device, want.Label); err != nil {
		x.Fatal(err)
	}
	want.LastUsed, want.LastStep, want.Drift = start, 100, 1
	s := x.snapshot(x.account)
	if s.Version != x.version || len(s.Devices) != 1 {
		x.Fatalf("version %d (was %d), %d devices", s.Version, x.version, len(s.Devices))
	}
	wantDevice(x, s.Devices[0], want)
	x.want(x.use(100, 2, 1, time.Second), otp.Used)
	if r := x.want(x.use(100, 1, 1, time.Second), otp.Claimed); !r.Again {
		x.Fatalf("%+v", r)
	}
	// Each place goes on with its own count, the known one and all others.
	until := start.Add(time.Second + backoff[1])
	x.wantReceipt(x.wrongCode(3, 1, time.Second), otp.Counted, 2, until)
	x.wantReceipt(x.wrongCode(4, 2, time.Second), otp.Counted, 2, until)
	x.want(x.use(101, 3, 1, time.Minute), otp.Claimed)
}

func testRemove(x *exam) {
	other := deviceID(2)
	x.add(x.account, other)
	x.refresh()
	before := x.version
	x.want(x.use(100, 1, 1, 0), otp.Claimed)
	if err := x.store.RemoveDevice(x.context(), x.account, x.device); err != nil {
		x.Fatal(err)
	}
	x.refresh()
	if x.version <= before {
		x.Fatalf("version %d after %d", x.version, before)
	}
	s := x.snapshot(x.account)
	if len(s.Devices) != 1 || s.Devices[0].ID != other {
		x.Fatalf("%+v", s)
	}
	for _, version := range []uint64{before, x.version} {
		c := x.use(101, 2, 1, time.Second)
		c.Version = version
		x.want(c, otp.Stale)
	}
	c := x.use(101, 3, 1, time.Second)
	c.Device = other
	x.want(c, otp.Claimed)
}
