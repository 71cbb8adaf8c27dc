package storetest

import (
	"strings"
	"testing"
	"time"

	"otpgate/otp"
)

// HostileAccounts are account ids that a store's keys, hash tags and scripts could stumble over.
// They are all different.
func HostileAccounts() []string {
	long := strings.Repeat("l", 4096)
	return []string{
		"", " ", "a", "A", "a ", " a", "a\x00", "\x00", "\x00a", "a\nb", "a\r\nb", "\r\n$1\r\nx",
		"{", "}", "{}", "{a}", "a}", "{a", "a{b}c", "}{", "{}a", "a:b", "a::b", ":a", "a:", "a:a", "a:t1", "t1", "keyset",
		"%", "%41", "%61", "%25", "~", "~a", "*", "a*", "?", "[a]", "\\", "a\\", "'", "\"", "a'b\"c",
		"ä", "a\u0308", "用户", "\u202eabc", "\xff\xfe", "\xc3", "😀", "../../etc/passwd", "a/b", "nil", "false", "0", "-1", "1e3",
		long, long + "x", "x" + long, strings.Repeat("{", 4096), strings.Repeat("\x00", 4096), strings.Repeat("ü", 2048),
		strings.Repeat("l", 127), strings.Repeat("l", 128), strings.Repeat("l", 129), strings.Repeat("l", 1024), strings.Repeat("l", 1025),
	}
}

func runAccounts(t *testing.T, open Open) {
	cases{
		{"no two ids meet", testHostileAccounts},
		{"no two device ids meet", testHostileDevices},
		{"hostile labels and seals come back", func(x *exam) {
			for n, text := range HostileAccounts() {
				d := newDevice("texts", deviceID(n))
				d.Label, d.Sealed = text, []byte(text)
				if errs, err := x.store.AddDevices(x.context(), []otp.Device{d}, 0); err != nil || errs[0] != nil {
					x.Fatal(errs, err)
				}
			}
			for n, d := range x.snapshot("texts").Devices {
				if want := HostileAccounts()[n]; d.Label != want || string(d.Sealed) != want {
					x.Fatalf("%q came back as %q and %q", want, d.Label, d.Sealed)
				}
			}
		}},
	}.run(t, open)
}

// testHostileAccounts gives every account a device and a ticket of its own, claims a step of each, and
// looks whether anybody got what is somebody else's.
func testHostileAccounts(x *exam) {
	accounts := HostileAccounts()
	var devices []otp.Device
	for n, account := range accounts {
		devices = append(devices, newDevice(account, deviceID(n)))
	}
	errs, err := x.store.AddDevices(x.context(), devices, 1)
	if err != nil {
		x.Fatal(err)
	}
	var batch []otp.Claim
	var want []otp.Answer
	for n, account := range accounts {
		if errs[n] != nil {
			x.Fatalf("account %q: %v", account, errs[n])
		}
		s := x.snapshot(account)
		if s.Account != account || len(s.Devices) != 1 || s.Devices[0].ID != deviceID(n) || s.Devices[0].Account != account {
			x.Fatalf("account %q: %+v", account, s)
		}
		t := otp.Ticket{Kind: otp.EnrollmentTicket, Account: account, Digest: digest(byte(n)), Tries: 5, Expires: start.Add(time.Hour)}
		if err := x.store.PutTicket(x.context(), t); err != nil {
			x.Fatalf("account %q: %v", account, err)
		}
		c := x.use(int64(100+n), n, 1, 0)
		c.Account, c.Device, c.Version = account, deviceID(n), s.Version
		batch, want = append(batch, c), append(want, otp.Claimed)
	}
	x.wantAll(batch, want...)
	for n, account := range accounts {
		x.account = account
		x.take(otp.EnrollmentTicket, digest(byte(n)), 0, true)
		if d := x.snapshot(account).Devices[0]; d.LastStep != int64(100+n) {
			x.Fatalf("account %q: last step %d, want %d", account, d.LastStep, 100+n)
		}
		if err := x.store.RemoveDevice(x.context(), account, deviceID(n)); err != nil {
			x.Fatalf("account %q: %v", account, err)
		}
	}
}

func testHostileDevices(x *exam) {
	ids := HostileAccounts()
	var devices []otp.Device
	for _, id := range ids {
		devices = append(devices, newDevice("devices", id))
	}
	errs, err := x.store.AddDevices(x.context(), devices, 0)
	if err != nil {
		x.Fatal(err)
	}
	version := x.snapshot("devices").Version
	var batch []otp.Claim
	var want []otp.Answer
	for n, id := range ids {
		if errs[n] != nil {
			x.Fatalf("device %q: %v", id, errs[n])
		}
		c := x.use(int64(100+n), 5000+n, 1, time.Duration(n)*time.Minute)
		c.Account, c.Device, c.Version = "devices", id, version
		batch, want = append(batch, c), append(want, otp.Claimed)
	}
	x.wantAll(batch, want...)
	steps := make(map[string]int64)
	for _, d := range x.snapshot("devices").Devices {
		steps[d.ID] = d.LastStep
	}
	for n, id := range ids {
		if steps[id] != int64(100+n) {
			x.Fatalf("device %q: last step %d, want %d", id, steps[id], 100+n)
		}
	}
}
