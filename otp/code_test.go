package otp

import (
	"testing"
	"time"
)

// The seeds of RFC 6238 appendix B, as long as the hash's output.
var vectorSeeds = map[Algorithm]string{
	SHA1:   "12345678901234567890",
	SHA256: "12345678901234567890123456789012",
	SHA512: "1234567890123456789012345678901234567890123456789012345678901234",
}

func TestCodesAreThoseOfRFC6238(t *testing.T) {
	for _, v := range []struct {
		unix                 int64
		sha1, sha256, sha512 string
	}{
		{59, "94287082", "46119246", "90693936"},
		{1111111109, "07081804", "68084774", "25091201"},
		{1111111111, "14050471", "67062674", "99943326"},
		{1234567890, "89005924", "91819424", "93441116"},
		{2000000000, "69279037", "90698825", "38618901"},
		{20000000000, "65353130", "77737706", "47863826"},
	} {
		for a, want := range map[Algorithm]string{SHA1: v.sha1, SHA256: v.sha256, SHA512: v.sha512} {
			step := stepAt(time.Unix(v.unix, 0), 30*time.Second)
			if got := string(newGenerator(a).code(newKeyed(a, []byte(vectorSeeds[a])), 8, step)); got != want {
				t.Errorf("%s at %d: %s, want %s", a, v.unix, got, want)
			}
		}
	}
}

func TestCodesAreThoseOfRFC4226(t *testing.T) {
	g, key := newGenerator(SHA1), newKeyed(SHA1, []byte(vectorSeeds[SHA1]))
	for step, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if got := string(g.code(key, 6, int64(step))); got != want {
			t.Errorf("step %d: %s, want %s", step, got, want)
		}
	}
}

func TestStepsAreRoundedDown(t *testing.T) {
	for unix, want := range map[int64]int64{-61: -2, -60: -1, -1: -1, 0: 0, 59: 0, 60: 1, 119: 1} {
		if got := stepAt(time.Unix(unix, 0), time.Minute); got != want {
			t.Errorf("step at %d: %d, want %d", unix, got, want)
		}
	}
}

func TestParametersOutsideTheLimitsAreRefused(t *testing.T) {
	for _, bad := range []struct {
		a      Algorithm
		digits int
		period time.Duration
	}{
		{"MD5", 6, time.Minute}, {"", 6, time.Minute}, {"sha1", 6, time.Minute},
		{SHA1, 5, time.Minute}, {SHA1, 9, time.Minute}, {SHA1, 0, time.Minute},
		{SHA1, 6, 0}, {SHA1, 6, 14 * time.Second}, {SHA1, 6, 11 * time.Minute}, {SHA1, 6, 15500 * time.Millisecond},
	} {
		if check(bad.a, bad.digits, bad.period) == nil {
			t.Errorf("%v was let through", bad)
		}
	}
	if err := check(SHA256, 8, 30*time.Second); err != nil {
		t.Error(err)
	}
}

func vectorDevice() *knownDevice {
	d, err := newKnownDevice(&Device{ID: "d", Algorithm: SHA1, Digits: 6, Period: time.Minute}, []byte(vectorSeeds[SHA1]))
	if err != nil {
		panic(err)
	}
	return &d
}

func TestWalkingAllocatesNothing(t *testing.T) {
	d, g := vectorDevice(), newGenerator(SHA1)
	var wrong Proof = TypedCode("nocode")
	if n := testing.AllocsPerRun(100, func() { d.walk(g, wrong, time.Unix(1e9, 0), 1, 2, nil) }); n > 0 {
		t.Errorf("a walk that finds nothing allocates %v times", n)
	}
}

func BenchmarkWalk(b *testing.B) {
	d, g := vectorDevice(), newGenerator(SHA1)
	var wrong Proof = TypedCode("nocode")
	for b.Loop() {
		d.walk(g, wrong, time.Unix(1e9, 0), 1, 2, nil)
	}
}
