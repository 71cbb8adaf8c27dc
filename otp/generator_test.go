package otp

import (
	"crypto/hmac"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestGeneratorsMakeWhatHMACMakes holds codes against the library's HMAC, for seeds of all lengths: below,
// at and above the block of the hash.
func TestGeneratorsMakeWhatHMACMakes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, a := range algorithms() {
		g := newGenerator(a) // one for all: nothing of one seed may reach the next
		for length := range 140 {
			seed := make([]byte, length+1)
			for i := range seed {
				seed[i] = byte(random.Uint32())
			}
			key, step := newKeyed(a, seed), random.Int64()
			mac := hmac.New(a.newHash(), seed)
			mac.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
			sum := mac.Sum(nil)
			n := binary.BigEndian.Uint32(sum[sum[len(sum)-1]&0xf:]) & 0x7fffffff
			want := fmt.Sprintf("%08d", n%powers[8])
			if got := string(g.code(key, 8, step)); got != want {
				t.Errorf("%s, a seed of %d octets: %s, want %s", a, len(seed), got, want)
			}
			g.forget()
		}
	}
}

func TestAGeneratorForgets(t *testing.T) {
	for _, a := range algorithms() {
		g := newGenerator(a)
		key := newKeyed(a, []byte(vectorSeeds[a]))
		code := strings.Clone(string(g.code(key, 8, 1)))
		g.forget()
		half := len(key) / 2
		state := string(stateOf(g.hash))
		for what, octets := range map[string]string{"state": string(g.state), "hash": state, "text": string(g.text[:])} {
			if strings.Contains(octets, string(key[:half])) || strings.Contains(octets, string(key[half:])) || strings.Contains(octets, code) {
				t.Errorf("%s: the %s still has it", a, what)
			}
		}
		if g.sum != [64]byte{} {
			t.Errorf("%s: the sum is still there", a)
		}
	}
}

func TestADeviceThatDoesNotFitIsNotKnown(t *testing.T) {
	for _, d := range []Device{{ID: strings.Repeat("d", 1<<16)}, {ID: "d", Drift: 1 << 40}} {
		d.Algorithm, d.Digits, d.Period = SHA1, 6, time.Minute
		if _, err := newKnownDevice(&d, []byte("seed")); err == nil {
			t.Errorf("a device with an id of %d octets and a drift of %d was taken", len(d.ID), d.Drift)
		}
	}
}

// TestAKnownAccountIsSmall: there are as many as people. What the cache needs for its own comes on top.
func TestAKnownAccountIsSmall(t *testing.T) {
	const count, most = 20_000, 160
	all := make([]*known, count)
	d := Device{ID: "abcdefghijklmnop", Algorithm: SHA1, Digits: 6, Period: time.Minute}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range all {
		device, err := newKnownDevice(&d, []byte(vectorSeeds[SHA1]))
		if err != nil {
			t.Fatal(err)
		}
		all[i] = newKnown(1, []knownDevice{device})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / count; each > most {
		t.Errorf("an account with one device takes %d octets, more than %d", each, most)
	}
	runtime.KeepAlive(all)
}
