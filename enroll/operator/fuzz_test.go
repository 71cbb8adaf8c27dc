package operator_test

import (
	"net/url"
	"testing"
)

// FuzzBodies: whatever is sent to the operator's socket, the node answers, and never with a fault of its own.
func FuzzBodies(f *testing.F) {
	calls := [][2]string{
		{"POST", "/invitations"}, {"POST", "/explanations"}, {"POST", "/devices"}, {"POST", "/devices/import"}, {"DELETE", "/devices"},
		{"GET", "/accounts"}, {"GET", "/devices"}, {"GET", "/audit"}, {"GET", "/status"},
	}
	w := start(f, 3, nil)
	f.Add(uint8(0), `{"name":"alice"}`, "name", "alice")
	f.Add(uint8(1), `{"name":"alice","client":"vpn","code":"123456"}`, "", "")
	f.Add(uint8(2), `{"name":"p1","label":"phone"}`, "label", "\x00")
	f.Add(uint8(3), "name,seed_base32,algorithm,digits,period,label\np1,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,SHA1,6,60,phone\n", "dry_run", "true")
	f.Add(uint8(4), "", "device", "abcdefgh22222222")
	f.Add(uint8(5), "", "name", "twin")
	f.Add(uint8(7), "", "since", "2026-01-01T00:00:00Z")
	f.Add(uint8(2), "{", "name", "\xff")
	f.Fuzz(func(t *testing.T, which uint8, body, key, value string) {
		call := calls[int(which)%len(calls)]
		if call[1] == "/audit" && key == "follow" {
			return // which lasts
		}
		query := url.Values{}
		if key != "" {
			query.Set(key, value)
		}
		mine := *w
		mine.t = t
		res := mine.raw(call[0], call[1]+"?"+query.Encode(), body)
		if res.StatusCode == 500 || res.StatusCode < 200 {
			t.Fatalf("%s %s: %d", call[0], call[1], res.StatusCode)
		}
	})
}
