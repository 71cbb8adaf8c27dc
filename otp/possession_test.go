package otp_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"otpgate/otp"
)

func signature(seed, message []byte) []byte {
	h := hmac.New(sha1.New, seed)
	h.Write(message)
	return h.Sum(nil)
}

// TestSigned: the device's own key, over the very message, and nothing else.
func TestSigned(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	dev, seed, err := w.devices.Add(ctx, otp.NewDevice{Account: "alice", Label: "phone"})
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := w.devices.Add(ctx, otp.NewDevice{Account: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	long, longSeed, err := w.devices.Add(ctx, otp.NewDevice{Account: "alice", Algorithm: otp.SHA256})
	if err != nil {
		t.Fatal(err)
	}
	message := []byte("a message")
	mac := signature(seed, message)
	if got, ok, err := w.devices.Signed(ctx, "alice", dev.ID, message, mac); err != nil || !ok || got.ID != dev.ID || got.Label != "phone" {
		t.Fatalf("the right one: %t %v", ok, err)
	}
	refused := func(what, account, device string, message, mac []byte) {
		t.Helper()
		if got, ok, err := w.devices.Signed(ctx, account, device, message, mac); err != nil || ok || got.ID != "" {
			t.Errorf("%s: %t %v", what, ok, err)
		}
	}
	for bit := range 8 * len(mac) {
		flipped := append([]byte(nil), mac...)
		flipped[bit/8] ^= 1 << (bit % 8)
		refused("a flipped bit", "alice", dev.ID, message, flipped)
	}
	refused("nothing", "alice", dev.ID, message, nil)
	refused("a part", "alice", dev.ID, message, mac[:10])
	refused("more", "alice", dev.ID, message, append(append([]byte(nil), mac...), 0))
	refused("another message", "alice", dev.ID, []byte("b message"), mac)
	refused("another device's key", "alice", dev.ID, message, signature(other, message))
	refused("another device", "alice", otp.NewDeviceID(), message, mac)
	refused("no device", "alice", "", message, mac)
	refused("another account", "bob", dev.ID, message, mac)
	refused("a device with another hash", "alice", long.ID, message, signature(longSeed, message))
	h := hmac.New(sha256.New, longSeed)
	h.Write(message)
	refused("a device with another hash, and by that", "alice", long.ID, message, h.Sum(nil))
	refused("the empty key", "alice", otp.NewDeviceID(), message, signature(nil, message))
	for _, short := range []string{"", "12345678"} {
		if _, ok, err := w.devices.Signed(ctx, "alice", dev.ID, []byte(short), signature(seed, []byte(short))); ok || !errors.Is(err, otp.ErrMessageShort) {
			t.Errorf("a message of %d octets, of which codes are made: %t %v", len(short), ok, err)
		}
	}
	if err := w.devices.Remove(ctx, "alice", dev.ID); err != nil {
		t.Fatal(err)
	}
	refused("removed", "alice", dev.ID, message, mac)
}

// TestDraft: it is complete, and stored by Add only; the limit counts without what it takes the place of.
func TestDraft(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	n, err := w.devices.Draft(ctx, otp.NewDevice{Account: "alice", Label: " phone "})
	if err != nil || n.ID == "" || len(n.Seed) != 20 || n.Digits != 6 || n.Period != time.Minute || n.Algorithm != otp.SHA1 || n.Label != "phone" {
		t.Fatalf("%s %d digits %v, %v", n.ID, n.Digits, n.Period, err)
	}
	if list, err := w.devices.List(ctx, "alice"); err != nil || len(list) != 0 {
		t.Fatalf("%d devices, %v", len(list), err)
	}
	if dev, _, err := w.devices.Add(ctx, n); err != nil || dev.ID != n.ID {
		t.Fatal(err)
	}
	for _, bad := range []otp.NewDevice{{}, {Account: "alice", Label: "a\nb"}, {Account: "alice", Digits: 5}, {Account: "alice", ID: "x"}, {Account: "alice", Seed: []byte{1}}} {
		if n, err := w.devices.Draft(ctx, bad); err == nil || n.Seed != nil {
			t.Errorf("a draft of nothing: %v", err)
		}
	}
	for range 4 {
		w.add("alice")
	}
	if _, err := w.devices.Draft(ctx, otp.NewDevice{Account: "alice"}); !errors.Is(err, otp.ErrTooManyDevices) {
		t.Errorf("a draft of a sixth: %v", err)
	}
	for _, negative := range []int{0, -1} {
		if _, _, err := w.devices.Add(ctx, otp.NewDevice{Account: "alice", Instead: negative}); !errors.Is(err, otp.ErrTooManyDevices) {
			t.Errorf("a sixth: %v", err)
		}
	}
	n, err = w.devices.Draft(ctx, otp.NewDevice{Account: "alice", Instead: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.devices.Add(ctx, n); err != nil {
		t.Errorf("instead of one: %v", err)
	}
	if _, _, err := w.devices.Add(ctx, otp.NewDevice{Account: "alice", Instead: 1}); !errors.Is(err, otp.ErrTooManyDevices) {
		t.Errorf("instead of one, twice: %v", err)
	}
}

// TestCheckFirst: what each kind of authenticator shows.
func TestCheckFirst(t *testing.T) {
	seed := []byte("12345678901234567890")
	n := otp.NewDevice{Account: "alice", Seed: seed, Algorithm: otp.SHA1, Digits: 6, Period: time.Minute}
	now := time.Unix(1_800_000_030, 0)
	at := func(digits int, period, off time.Duration) string {
		return otp.CodeAt(otp.SHA1, seed, digits, period, now.Add(off))
	}
	for _, c := range []struct {
		name, typed string
		want        otp.First
	}{
		{"now", at(6, time.Minute, 0), otp.FirstRight},
		{"a step before", at(6, time.Minute, -time.Minute), otp.FirstRight},
		{"a step after", at(6, time.Minute, time.Minute), otp.FirstRight},
		{"two steps before", at(6, time.Minute, -2*time.Minute), otp.FirstWrong},
		{"two steps after", at(6, time.Minute, 2*time.Minute), otp.FirstWrong},
		{"30 s", at(6, 30*time.Second, 0), otp.FirstPeriodIgnored},
		{"30 s, a minute before", at(6, 30*time.Second, -time.Minute), otp.FirstPeriodIgnored},
		{"30 s, two minutes before", at(6, 30*time.Second, -2*time.Minute), otp.FirstWrong},
		{"8 digits", at(8, time.Minute, 0), otp.FirstDigitsWrong},
		{"nothing", "", otp.FirstDigitsWrong},
		{"five", "12345", otp.FirstDigitsWrong},
		{"wrong", "000000", otp.FirstWrong},
		{"no digits", "abcdef", otp.FirstWrong},
	} {
		if got := otp.CheckFirst(n, c.typed, now, 1); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	usual := n
	usual.Period = 30 * time.Second
	if got := otp.CheckFirst(usual, at(6, 30*time.Second, 0), now, 1); got != otp.FirstRight {
		t.Errorf("a device of 30 s: %d", got)
	}
	for _, none := range []otp.NewDevice{{}, {Seed: seed}, {Algorithm: otp.SHA1, Digits: 6, Period: time.Minute}} {
		if got := otp.CheckFirst(none, "000000", now, 1); got != otp.NoFirst {
			t.Errorf("no device: %d", got)
		}
	}
}
