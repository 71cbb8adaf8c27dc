package otp_test

import (
	"bytes"
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"otpgate/otp"
)

func sprintf(form string, v any) string { return fmt.Sprintf(form, v) }

func TestDevicesAreLimitedNamedAndRemoved(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	for range 5 {
		w.add("alice")
	}
	if _, _, err := w.devices.Add(ctx, otp.NewDevice{Account: "alice"}); !errors.Is(err, otp.ErrTooManyDevices) {
		t.Errorf("a sixth device: %v", err)
	}
	list, err := w.devices.List(ctx, "alice")
	if err != nil || len(list) != 5 {
		t.Fatalf("%d devices, %v", len(list), err)
	}
	if err := w.devices.Rename(ctx, "alice", list[0].ID, " tablet "); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{strings.Repeat("x", 65), "a\nb", "a\x00b", "\xff"} {
		if err := w.devices.Rename(ctx, "alice", list[0].ID, bad); !errors.Is(err, otp.ErrLabelInvalid) {
			t.Errorf("label %q: %v", bad, err)
		}
	}
	if err := w.devices.Remove(ctx, "alice", "no-such-device"); !errors.Is(err, otp.ErrNotFound) {
		t.Errorf("removing nothing: %v", err)
	}
	list, _ = w.devices.List(ctx, "alice")
	if list[0].Label != "tablet" && !strings.Contains(fmt.Sprint(list), "tablet") {
		t.Errorf("the label was not kept: %v", list)
	}
}

func TestImportReportsEachDevice(t *testing.T) {
	w := newWorld(t)
	seed := bytes.Repeat([]byte{7}, 20)
	errs, err := w.devices.Import(context.Background(), []otp.NewDevice{
		{Account: "alice", Seed: seed, ID: "aaaaaaaaaaaaaaaa"},
		{Account: "alice", Seed: seed[:9]},
		{Account: "alice", Seed: seed, Digits: 12},
		{Account: "", Seed: seed},
		{Account: "alice", Seed: seed, ID: "aaaaaaaaaaaaaaaa"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if errs[0] != nil || !errors.Is(errs[1], otp.ErrSeedShort) || errs[2] == nil || errs[3] == nil || !errors.Is(errs[4], otp.ErrExists) {
		t.Errorf("%v", errs)
	}
	w.want(w.verifier, w.attempt("alice", otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now())), otp.ReasonOK)
}

// A seed that is copied to another device or account, or changed by one bit, does not open.
func TestSealedSeedsAreBoundToTheirPlace(t *testing.T) {
	w := newWorld(t)
	d, seed := w.add("alice")
	for name, change := range map[string]func(*otp.Device){
		"other account": func(d *otp.Device) { d.Account = "mallory" },
		"other device":  func(d *otp.Device) { d.Account, d.ID = "carol", "bbbbbbbbbbbbbbbb" },
		"flipped bit":   func(d *otp.Device) { d.Account, d.Sealed[9] = "dave", d.Sealed[9]^1 },
	} {
		moved := d
		moved.Sealed = bytes.Clone(d.Sealed)
		change(&moved)
		if errs, err := w.store.AddDevices(context.Background(), []otp.Device{moved}, 0); err != nil || errs[0] != nil {
			t.Fatal(errs, err)
		}
		code := otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now())
		if r := w.verifier.Verify(context.Background(), w.attempt(moved.Account, code)); r.OK || r.Reason != otp.ReasonStoreUnavailable {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestURIHoldsWhatAuthenticatorsNeed(t *testing.T) {
	w := newWorld(t)
	d, seed := w.add("alice")
	u, err := url.Parse(w.devices.URI(d, seed, "alice@corp.example"))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	want := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(seed)
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Example:alice@corp.example" ||
		q.Get("secret") != want || q.Get("period") != "60" || q.Get("digits") != "6" || q.Get("issuer") != "Example" || q.Get("algorithm") != "SHA1" {
		t.Errorf("%s", u.Redacted())
	}
}

func TestSeedsAreReadAsPeopleWriteThem(t *testing.T) {
	for _, text := range []string{"GEZDGNBVGY3TQOJQ", "gezd gnbv gy3t qojq", "GEZD-GNBV-GY3T-QOJQ", " gezdgnbvgy3tqojq== "} {
		if seed, err := otp.ParseSeed(text); err != nil || string(seed) != "1234567890" {
			t.Errorf("%q: %q, %v", text, seed, err)
		}
	}
	for text, want := range map[string]error{
		"": otp.ErrSeedShort, "GEZDGNBV": otp.ErrSeedShort, "GEZDGNBVGY3TQOJ1": otp.ErrSeedInvalid,
		"GEZD\nGNBVGY3TQOJQ": otp.ErrSeedInvalid, strings.Repeat("A", 400): otp.ErrSeedLong, strings.Repeat("A", 2000): otp.ErrSeedLong,
	} {
		if _, err := otp.ParseSeed(text); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

func FuzzParseSeed(f *testing.F) {
	f.Add("GEZD GNBV-GY3T QOJQ==")
	f.Fuzz(func(t *testing.T, text string) {
		seed, err := otp.ParseSeed(text)
		if err != nil {
			if len(text) > 0 && len(text) < 400 && len(text) > 15 && strings.Contains(err.Error(), text) {
				t.Errorf("the error holds the seed")
			}
			return
		}
		again, err := otp.ParseSeed(base32.StdEncoding.EncodeToString(seed))
		if err != nil || !bytes.Equal(seed, again) {
			t.Errorf("%q is not read the same again: %v", text, err)
		}
	})
}
