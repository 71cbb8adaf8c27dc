package redisstore_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"otpgate/otp"
	"otpgate/otp/redisstore"
	"otpgate/otp/redisstore/redistest"
	"otpgate/otp/storetest"
)

// TestKeysStayInTheirSpace looks at the keys themselves: none leaves the prefix or its hash tag, and the
// server computes one slot for all keys of an account.
func TestKeysStayInTheirSpace(t *testing.T) {
	server := redistest.StartCluster(t)[0]
	one := redistest.Start(t)
	s := open(t, redisstore.Options{Addresses: []string{one.Addr}, KeyPrefix: "space:"})
	accounts := storetest.HostileAccounts()
	for _, account := range accounts {
		addDevice(t, s, account)
		for _, kind := range otp.TicketKinds() {
			if err := s.PutTicket(background(t), otp.Ticket{Kind: kind, Account: account, Tries: 5, Expires: noon}); err != nil {
				t.Fatal(err)
			}
		}
	}
	names := 0 // of notes that may be as long
	for n, account := range accounts {
		if len(account) <= otp.MaxNoteName {
			names++
			if err := s.PutNotes(background(t), []otp.Note{{Kind: accounts[(n+1)%5], Key: account, Value: []byte("v"), Expires: noon}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	keys, err := admin(t, one).Keys(background(t), "*").Result()
	if err != nil || len(keys) != 4*len(accounts)+names {
		t.Fatalf("%d keys for %d accounts, %v", len(keys), len(accounts), err)
	}
	shape := regexp.MustCompile(`^space:\{[A-Za-z0-9._%~-]{1,200}\}:(a|t1|t2|t3|n:[A-Za-z0-9._%~-]{1,200})$`)
	slots := make(map[string]map[int64]bool)
	for _, key := range keys {
		if !shape.MatchString(key) {
			t.Errorf("key %q", key)
		}
		slot, err := admin(t, server).ClusterKeySlot(background(t), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		tag := key[:strings.IndexByte(key, '}')+1]
		if slots[tag] == nil {
			slots[tag] = make(map[int64]bool)
		}
		slots[tag][slot] = true
	}
	for tag, used := range slots {
		if len(used) != 1 {
			t.Errorf("keys of %q are in %d slots", tag, len(used))
		}
	}
	if len(slots) != len(accounts) {
		t.Errorf("%d hash tags for %d accounts", len(slots), len(accounts))
	}
}

// TestMemoryPerDevice asks Redis what an account with one device costs that logs in from three places.
func TestMemoryPerDevice(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}})
	for _, test := range []struct {
		name          string
		sealed, label int
		limit         int64
	}{
		{"seed of 20 octets", 53, 12, 440},
		{"seed of 32 octets", 65, 12, 600},
		{"long label", 53, 40, 600},
	} {
		account := "0c1d2e3f-4a5b-6c7d-8e9f-a0b1c2d3e4f" + fmt.Sprint(test.label%10)
		account = account[:30] + fmt.Sprintf("%06d", test.sealed*100+test.label)
		d := otp.Device{Account: account, ID: "abcdefgh22222222", Label: strings.Repeat("x", test.label), Sealed: bytes.Repeat([]byte{9}, test.sealed), Algorithm: otp.SHA256, Digits: 6, Period: time.Minute, Created: noon}
		if errs, err := s.AddDevices(background(t), []otp.Device{d}, 0); err != nil || errs[0] != nil {
			t.Fatal(errs, err)
		}
		for n := range 6 {
			c := useStep(account, int64(29_000_000+n), byte(n+1))
			c.Place, c.Now = otp.Place{byte(n % 3)}, noon.Add(time.Duration(n)*time.Minute)
			if r := claimOne(background(t), s, c); r.Answer != otp.Claimed {
				t.Fatalf("%+v", r)
			}
		}
		octets, err := admin(t, server).MemoryUsage(background(t), "otpgate:{"+account+"}:a").Result()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d octets", test.name, octets)
		if octets > test.limit {
			t.Errorf("%s: %d octets, more than %d", test.name, octets, test.limit)
		}
	}
}
