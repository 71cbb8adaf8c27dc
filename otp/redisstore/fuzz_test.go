package redisstore

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"otpgate/otp"
)

// FuzzSnapshot: what somebody has written into an account's hash is refused, or devices of that account.
func FuzzSnapshot(f *testing.F) {
	d := otp.Device{Label: "phone", Algorithm: otp.SHA1, Digits: 6, Period: time.Minute, Created: time.Unix(1e9, 0)}
	f.Add("1", "abcdefgh22222222", string(encodeFixed(&d)), "sealed", "\x00\x00\x00\x00\x00\x64\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	f.Add("18446744073709551616", "", "", "", "")
	f.Add("-1", "d", "\xff", "s", "u")
	f.Add("1", "x", "\x01", "", "0123456789012345678901")
	f.Fuzz(func(t *testing.T, version, id, fixed, sealed, use string) {
		s, err := snapshot("account", map[string]string{"v": version, "d" + id: fixed, "s" + id: sealed, "u" + id: use})
		if err != nil {
			if len(s.Devices) > 0 || !errors.Is(err, errDamaged) {
				t.Fatalf("%+v, %v", s, err)
			}
			return
		}
		for _, d := range s.Devices {
			if d.Account != "account" || d.LastStep < 0 || d.LastStep >= limit48*2 {
				t.Fatalf("%+v", d)
			}
		}
	})
}

// FuzzReceipt: only what claim.lua says lets anybody in.
func FuzzReceipt(f *testing.F) {
	for a := range int64(12) {
		f.Add(uint8(0), a, int64(1), int64(2), int64(3), int64(4), "")
		f.Add(uint8(5), a, int64(1), int64(1)<<47, int64(3), int64(1), "")
	}
	f.Add(uint8(6), int64(1), int64(-1), int64(-1), int64(-1), int64(-1), "OK")
	f.Fuzz(func(t *testing.T, form uint8, a, b, c, d, e int64, text string) {
		var reply any
		switch form % 8 {
		case 0:
			reply = a
		case 1:
			reply = text
		case 2:
			reply = nil
		case 3:
			reply = []any{a, text, c, d, e}
		case 4:
			reply = []any{text, b, c, d, e}
		case 5:
			reply = []any{a, b, c, d, e}
		case 6:
			reply = []any{a, b, c, d}
		case 7:
			reply = map[any]any{text: a}
		}
		r := receipt(reply, nil)
		said := form%8 == 0 || form%8 == 5
		switch {
		case r.Err != nil && (r.Answer != 0 || !errors.Is(r.Err, otp.ErrUnavailable)):
			t.Fatalf("%v: %+v", reply, r)
		case r.Err == nil && (!said || r.Answer != otp.Answer(a)):
			t.Fatalf("%v: %+v", reply, r)
		}
	})
}

// FuzzInfo: whatever a server tells of itself, it is taken or not.
func FuzzInfo(f *testing.F) {
	f.Add("# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n", "maxmemory_policy")
	f.Add("aof_enabled:1", "aof_enabled")
	f.Add(":\r\n::\r\n", "")
	f.Fuzz(func(t *testing.T, text, name string) {
		if value := infoField(text, name); len(value) > len(text) {
			t.Fatalf("%q in %q", value, text)
		}
		s := settings{maxmemory: text, policy: name, appendonly: text, save: name, minReplicas: text}
		_ = s.concerns(1, false)
		if s.refusal("address") == nil && text != "" && text != "0" && name != "" && name != "noeviction" {
			t.Fatalf("a server that evicts is taken: maxmemory %q, policy %q", text, name)
		}
	})
}

// FuzzSentinels: whatever sentinels say, one after the other, the master of an older configuration takes no newer one's
// place, unless all of them say so; and it is one that was told.
func FuzzSentinels(f *testing.F) {
	f.Add([]byte{0, 1, 7, 2, 1, 7, 2, 8, 2, 8})
	f.Add([]byte{2, 1, 7, 1, 7, 1, 7, 2, 2, 8, 2, 8, 2, 8, 5, 1, 7, 1, 7, 1, 7})
	f.Add([]byte{2, 1, 7, 1, 7, 2, 8, 0, 3, 1, 2, 3, 1, 3, 1, 3, 1})
	f.Add([]byte{1, 0, 255, 3, 0})
	f.Fuzz(func(t *testing.T, said []byte) {
		const all = 3
		s := &sentinels{
			soon: map[int]int{}, dialer: &dialer{links: map[*link]string{}}, clients: make([]*redis.Client, all), logger: slog.New(slog.DiscardHandler),
		}
		for len(said) > 0 {
			number, asked := int(said[0])%all+1, s.changes
			if overtaken := said[0]%2 == 1 && asked > 0; overtaken {
				asked--
			}
			if said = said[1:]; len(said) < 2*number {
				return
			}
			told, newest := []answer{}, uint64(0)
			for by := range number {
				a := answer{by: by, address: string('a' + rune(said[0]%4)), epoch: uint64(said[1]), soon: int(said[0]) * 10}
				told, newest, said = append(told, a), max(newest, a.epoch), said[2:]
			}
			before, epoch := s.master, s.epoch
			late, stale := asked != s.changes, asked < s.lowered
			master := s.choose(told, asked)
			switch {
			case newest < epoch && number < all, newest <= epoch && late, stale:
				if master != before || s.master != before || s.epoch != epoch {
					t.Fatalf("%+v: %q of epoch %d, after %q of epoch %d", told, master, s.epoch, before, epoch)
				}
			case s.epoch != newest || s.master != master || !slices.ContainsFunc(told, func(a answer) bool { return a.epoch == newest && a.address == master }):
				t.Fatalf("%+v: %q of epoch %d, after %q of epoch %d", told, master, s.epoch, before, epoch)
			}
		}
		if after := s.hasty(); after > sentinelAsks {
			t.Fatalf("%d ms are called too soon", after)
		}
	})
}
