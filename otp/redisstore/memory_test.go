package redisstore_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"otpgate/otp"
	"otpgate/otp/redisstore"
	"otpgate/otp/redisstore/redistest"
)

// TestMemoryOfADevice holds what Redis needs for an account with one device that has logged in: 600
// octets, as [redisstore] and the documentation say.
func TestMemoryOfADevice(t *testing.T) {
	const n, most = 10_000, 600
	server := redistest.Start(t, "--appendfsync", "no")
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}})
	before := usedMemory(t, admin(t, server))
	var devices []otp.Device
	for i := range n {
		devices = append(devices, otp.Device{
			Account: memoryAccount(i), ID: fmt.Sprintf("abcdefghijk%05d", i), Label: "Phone of Alice",
			Sealed:    bytes.Repeat([]byte{byte(i)}, 5+12+20+16), // Tink's prefix, nonce, 160 bits, tag
			Algorithm: otp.SHA1, Digits: 6, Period: time.Minute, Created: noon,
		})
	}
	errs, err := s.AddDevices(background(t), devices, 5)
	if err != nil || errs[0] != nil {
		t.Fatal(err, errs[0])
	}
	enrolled := usedMemory(t, admin(t, server))
	login := func(at time.Time, step int64) {
		t.Helper()
		for first := 0; first < n; first += 500 {
			var claims []otp.Claim
			for i := first; i < first+500; i++ {
				c := otp.Claim{Kind: otp.UseStep, Account: memoryAccount(i), Version: firstVersion, Device: devices[i].ID, Step: step, Now: at}
				binary.BigEndian.PutUint64(c.Token[:], uint64(step)<<32|uint64(i))
				binary.BigEndian.PutUint64(c.Place[:], uint64(i)+1)
				claims = append(claims, c)
			}
			for _, r := range s.Claim(background(t), claims) {
				if r.Answer != otp.Claimed {
					t.Fatalf("%+v", r)
				}
			}
		}
	}
	step := noon.Unix() / 60
	login(noon, step)
	once := usedMemory(t, admin(t, server))
	login(noon.Add(8*time.Hour), step+480)
	twice := usedMemory(t, admin(t, server))
	t.Logf("figures: octets of Redis memory a device: %d enrolled, %d after its first login, %d after the second",
		(enrolled-before)/n, (once-before)/n, (twice-before)/n)
	defer func() { // two tokens are longer than a value of a list may be: see listValue
		login(noon.Add(8*time.Hour+20*time.Second), step+481)
		t.Logf("figures: and %d after two logins within half a minute", (usedMemory(t, admin(t, server))-before)/n)
	}()
	if each := (twice - before) / n; each > most {
		t.Errorf("%d octets a device, want %d at most", each, most)
	}
	if kind, err := admin(t, server).ObjectEncoding(background(t), "otpgate:{"+memoryAccount(1)+"}:a").Result(); err != nil || kind != "listpack" {
		t.Errorf("an account is kept as %q (%v)", kind, err)
	}
}

func memoryAccount(i int) string { return fmt.Sprintf("0c000000-0000-4000-8000-%012d", i) }

func usedMemory(t *testing.T, c *redis.Client) int64 {
	t.Helper()
	info, err := c.Info(background(t), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "used_memory:")
	text, _, _ := strings.Cut(rest, "\r")
	used, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return used
}
