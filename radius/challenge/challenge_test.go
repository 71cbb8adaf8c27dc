package challenge_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/otp/keyset"
	"otpgate/radius/challenge"
)

// clock is a clock that a test moves.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 11, 3, 9, 0, 0, 123456789, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time           { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(by time.Duration) { c.at.Add(int64(by)) }

func keys(t testing.TB, dir string) *keyset.Keys {
	t.Helper()
	k, _, err := keyset.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sealer(t testing.TB, k challenge.Keys, c *clock) *challenge.Sealer {
	t.Helper()
	s, err := challenge.New(challenge.Options{Keys: k, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func seal(t testing.TB, s *challenge.Sealer, state challenge.State) []byte {
	t.Helper()
	text, err := s.Seal(state, "vpn", "account-1")
	if err != nil {
		t.Fatal(err)
	}
	return []byte(text)
}

func TestAnyNodeOpensAState(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	one, other := sealer(t, keys(t, dir), c), sealer(t, keys(t, dir), c)
	begun := one.Begin(challenge.Password)
	text := seal(t, one, begun)
	state, err := other.Open(text, "vpn")
	if err != nil {
		t.Fatal(err)
	}
	if state.ID != begun.ID || state.Factor != challenge.Password || !state.Since.Equal(c.now().Truncate(time.Millisecond)) {
		t.Errorf("%+v became %+v", begun, state)
	}
	if !other.Of(state, "account-1") {
		t.Error("it is not of its account")
	}
	for _, account := range []string{"", "account-2", "account-", "account-11", "ACCOUNT-1"} {
		if other.Of(state, account) {
			t.Errorf("it is of %q", account)
		}
	}
	if other.Of(challenge.State{}, "account-1") || other.Of(begun, "account-1") {
		t.Error("a State that was not opened is of an account")
	}
}

func TestAStateIsAShortCString(t *testing.T) {
	c := newClock()
	s := sealer(t, keys(t, t.TempDir()), c)
	seen := map[string]bool{}
	for range 100 {
		state := s.Begin(challenge.Password)
		text, err := s.Seal(state, strings.Repeat("client", 50), strings.Repeat("account", 50))
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 128 || strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Errorf("%q", text)
		}
		if seen[text] || seen[string(state.ID[:])] {
			t.Error("the same twice")
		}
		seen[text], seen[string(state.ID[:])] = true, true
	}
}

func TestEveryFlippedBitOfAStateIsNoticed(t *testing.T) {
	c := newClock()
	s := sealer(t, keys(t, t.TempDir()), c)
	good := seal(t, s, s.Begin(challenge.Password))
	for bit := range 8 * len(good) {
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := s.Open(bad, "vpn"); !errors.Is(err, challenge.ErrUnknown) {
			t.Errorf("bit %d of the text: %v", bit, err)
		}
	}
	sealed, err := base64.RawURLEncoding.DecodeString(string(good))
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(sealed) {
		bad := bytes.Clone(sealed)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := s.Open([]byte(base64.RawURLEncoding.EncodeToString(bad)), "vpn"); !errors.Is(err, challenge.ErrUnknown) {
			t.Errorf("bit %d of the seal: %v", bit, err)
		}
	}
}

func TestWhatIsNoStateOfOursIsUnknown(t *testing.T) {
	c := newClock()
	k := keys(t, t.TempDir())
	s := sealer(t, k, c)
	good := seal(t, s, s.Begin(challenge.Password))
	stranger := sealer(t, keys(t, t.TempDir()), c)
	bad := map[string][]byte{
		"nothing": nil, "empty": {}, "253 octets": bytes.Repeat([]byte("A"), 253), "129 octets": bytes.Repeat([]byte("A"), 129),
		"128 octets": bytes.Repeat([]byte("A"), 128), "a NUL": {0}, "extended": append(bytes.Clone(good), 'A'),
		"extended by a quantum": append(bytes.Clone(good), "AAAA"...), "padded": append(bytes.Clone(good), "="...),
		"with a line break": append(bytes.Clone(good), '\n'), "broken in two": bytes.Join([][]byte{good[:8], good[8:]}, []byte("\r\n")),
		"with a NUL": append(bytes.Clone(good), 0), "twice": append(bytes.Clone(good), good...),
		"of another keyset": seal(t, stranger, stranger.Begin(challenge.Password)),
	}
	for n := range good {
		if _, err := s.Open(good[:n], "vpn"); !errors.Is(err, challenge.ErrUnknown) {
			t.Errorf("cut to %d octets: %v", n, err)
		}
	}
	for name, value := range bad {
		if _, err := s.Open(value, "vpn"); !errors.Is(err, challenge.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, client := range []string{"", "wifi", "VPN", "vpn2", "vpn\x00"} {
		if _, err := s.Open(good, client); !errors.Is(err, challenge.ErrUnknown) {
			t.Errorf("for client %q: %v", client, err)
		}
	}
	if _, err := s.Open(good, "vpn"); err != nil {
		t.Fatalf("the good one: %v", err)
	}
}

// What the keyset seals for something else, or a later version of us, is no State.
func TestWhatElseIsSealedIsUnknown(t *testing.T) {
	c := newClock()
	k := keys(t, t.TempDir())
	s := sealer(t, k, c)
	sealed, err := base64.RawURLEncoding.DecodeString(string(seal(t, s, s.Begin(challenge.Password))))
	if err != nil {
		t.Fatal(err)
	}
	ad := []byte("otpgate state\x00vpn")
	plain, err := k.Open(sealed, ad)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(at int, value ...byte) []byte {
		b := bytes.Clone(plain)
		copy(b[at:], value)
		return b
	}
	for name, c := range map[string]struct{ plain, ad []byte }{
		"a seed":                           {plain, []byte("otpgate seed\x00vpn")},
		"version 0":                        {changed(0, 0), ad},
		"version 2":                        {changed(0, 2), ad},
		"number zero":                      {changed(1, make([]byte, 8)...), ad},
		"a first factor after it was sent": {changed(9, 0, 0, 2), ad},
		"no factor":                        {changed(25, 0), ad},
		"another factor":                   {changed(25, 2), ad},
		"longer":                           {append(bytes.Clone(plain), 0), ad},
		"shorter":                          {plain[:len(plain)-1], ad},
		"empty":                            {nil, ad},
	} {
		sealed, err := k.Seal(c.plain, c.ad)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open([]byte(base64.RawURLEncoding.EncodeToString(sealed)), "vpn"); !errors.Is(err, challenge.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAStateLivesTwoMinutes(t *testing.T) {
	for after, want := range map[time.Duration]error{
		-31 * time.Second: challenge.ErrUnknown, -29 * time.Second: nil, 0: nil, challenge.Lifetime - 2*time.Millisecond: nil,
		challenge.Lifetime: challenge.ErrExpired, time.Hour: challenge.ErrExpired, -time.Hour: challenge.ErrUnknown,
	} {
		c := newClock()
		s := sealer(t, keys(t, t.TempDir()), c)
		text := seal(t, s, s.Begin(challenge.Password))
		c.advance(after)
		if _, err := s.Open(text, "vpn"); !errors.Is(err, want) {
			t.Errorf("after %v: %v, want %v", after, err, want)
		}
	}
}

func TestAChallengeLivesSixMinutesHoweverOftenItIsIssued(t *testing.T) {
	c := newClock()
	s := sealer(t, keys(t, t.TempDir()), c)
	begun := s.Begin(challenge.Password)
	text, start := seal(t, s, begun), c.now()
	for range 5 { // until 5:50
		c.advance(70 * time.Second)
		state, err := s.Open(text, "vpn")
		if err != nil {
			t.Fatalf("after %v: %v", c.now().Sub(start), err)
		}
		if state.ID != begun.ID || !s.Of(state, "account-1") {
			t.Fatal("it became another challenge")
		}
		text = seal(t, s, state)
	}
	state, err := s.Open(text, "vpn")
	if err != nil {
		t.Fatal(err)
	}
	if left := state.Expires().Sub(start.Truncate(time.Millisecond)); left != challenge.Longest {
		t.Errorf("the last State lives until %v", left)
	}
	c.advance(10 * time.Second)
	if _, err := s.Open(text, "vpn"); !errors.Is(err, challenge.ErrExpired) {
		t.Errorf("after six minutes: %v", err)
	}
	if _, err := s.Seal(state, "vpn", "account-1"); !errors.Is(err, challenge.ErrExpired) {
		t.Errorf("issued after six minutes: %v", err)
	}
}

// The first State stays good for its two minutes when a second is out: retransmissions carry it.
func TestAnOlderStateOfTheChallengeStaysGood(t *testing.T) {
	c := newClock()
	s := sealer(t, keys(t, t.TempDir()), c)
	first := seal(t, s, s.Begin(challenge.Password))
	c.advance(time.Minute)
	state, err := s.Open(first, "vpn")
	if err != nil {
		t.Fatal(err)
	}
	second := seal(t, s, state)
	c.advance(59 * time.Second)
	for _, text := range [][]byte{first, second} {
		if again, err := s.Open(text, "vpn"); err != nil || again.ID != state.ID {
			t.Errorf("%v", err)
		}
	}
	c.advance(2 * time.Second)
	if _, err := s.Open(first, "vpn"); !errors.Is(err, challenge.ErrExpired) {
		t.Errorf("the first: %v", err)
	}
	if _, err := s.Open(second, "vpn"); err != nil {
		t.Errorf("the second: %v", err)
	}
}

// A node whose clock is behind opens and issues again, within what clocks may differ by.
func TestANodeWithAClockBehindGoesOn(t *testing.T) {
	dir, c, late := t.TempDir(), newClock(), newClock()
	late.advance(-20 * time.Second)
	one, behind := sealer(t, keys(t, dir), c), sealer(t, keys(t, dir), late)
	state, err := behind.Open(seal(t, one, one.Begin(challenge.Password)), "vpn")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := one.Open(seal(t, behind, state), "vpn"); err != nil {
		t.Errorf("%v", err)
	}
}

func TestStatesOfAnOldKeyOpenAfterARotation(t *testing.T) {
	c, old, rotated := newClock(), t.TempDir(), t.TempDir()
	before := sealer(t, keys(t, old), c)
	text := seal(t, before, before.Begin(challenge.Password))
	rotate(t, old, rotated)
	after := sealer(t, keys(t, rotated), c)
	state, err := after.Open(text, "vpn")
	if err != nil || !after.Of(state, "account-1") {
		t.Fatalf("%v", err)
	}
	again := seal(t, after, state)
	if _, err := after.Open(again, "vpn"); err != nil {
		t.Error(err)
	}
	if _, err := before.Open(again, "vpn"); !errors.Is(err, challenge.ErrUnknown) {
		t.Errorf("the new key is the old one: %v", err)
	}
}

// rotate writes the keyset of from to to, with another sealing key that is the first from now on.
func rotate(t *testing.T, from, to string) {
	t.Helper()
	type tink struct {
		Primary uint32            `json:"primaryKeyId"`
		Key     []json.RawMessage `json:"key"`
	}
	read := func(dir string) (file map[string]json.RawMessage, sealing tink) {
		data, err := os.ReadFile(filepath.Join(dir, keyset.Name))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(json.Unmarshal(data, &file), json.Unmarshal(file["sealing"], &sealing)); err != nil {
			t.Fatal(err)
		}
		return file, sealing
	}
	fresh := t.TempDir()
	keys(t, fresh)
	file, sealing := read(from)
	_, other := read(fresh)
	sealing.Key = append(sealing.Key, other.Key...)
	sealing.Primary = other.Primary
	b, err := json.Marshal(sealing)
	if err != nil {
		t.Fatal(err)
	}
	file["sealing"] = b
	if b, err = json.Marshal(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, keyset.Name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNotBegunIsNotSealed(t *testing.T) {
	c := newClock()
	s := sealer(t, keys(t, t.TempDir()), c)
	begun := s.Begin(challenge.Password)
	opened, err := s.Open(seal(t, s, begun), "vpn")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]func() (string, error){
		"the zero State": func() (string, error) { return s.Seal(challenge.State{}, "vpn", "account-1") },
		"no factor":      func() (string, error) { return s.Seal(s.Begin(0), "vpn", "account-1") },
		"no client":      func() (string, error) { return s.Seal(begun, "", "account-1") },
		"no account":     func() (string, error) { return s.Seal(begun, "vpn", "") },
		"another one":    func() (string, error) { return s.Seal(opened, "vpn", "account-2") },
		"seals too long": func() (string, error) { return sealer(t, wordy{}, c).Seal(begun, "vpn", "account-1") },
		"failing keys":   func() (string, error) { return sealer(t, failing{}, c).Seal(begun, "vpn", "account-1") },
	} {
		if got, err := text(); err == nil || got != "" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, o := range []challenge.Options{{}, {Now: c.now}, {Keys: wordy{}}} {
		if s, err := challenge.New(o); err == nil || s != nil {
			t.Errorf("%+v is enough", o)
		}
	}
}

// wordy are keys with seals that are too long.
type wordy struct{}

func (wordy) Seal(plain, _ []byte) ([]byte, error)  { return append(make([]byte, 60), plain...), nil }
func (wordy) Open(sealed, _ []byte) ([]byte, error) { return sealed[60:], nil }
func (wordy) MAC(string, ...[]byte) (none [32]byte) { return none }

// failing are keys that seal nothing, and must not be asked to open what is too long.
type failing struct{ wordy }

func (failing) Seal([]byte, []byte) ([]byte, error) { return nil, errors.New("no key") }
func (failing) Open([]byte, []byte) ([]byte, error) { panic("asked") }

func TestWhatIsTooLongCostsNothing(t *testing.T) {
	s := sealer(t, failing{}, newClock())
	long := bytes.Repeat([]byte("A"), 129)
	if n := testing.AllocsPerRun(10, func() {
		if _, err := s.Open(long, "vpn"); !errors.Is(err, challenge.ErrUnknown) {
			t.Error(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzState: nothing opens but what was sealed, for the client that it was sealed for, octet by octet.
func FuzzState(f *testing.F) {
	c := newClock()
	s := sealer(f, keys(f, f.TempDir()), c)
	good := seal(f, s, s.Begin(challenge.Password))
	f.Add(good, "vpn")
	f.Add(good, "wifi")
	f.Add(good[1:], "vpn")
	f.Add(append(bytes.Clone(good), '\n'), "vpn")
	f.Add([]byte{}, "vpn")
	f.Add(bytes.Repeat([]byte{0xff}, 253), "vpn")
	f.Add([]byte("otpgate"), "")
	f.Fuzz(func(t *testing.T, value []byte, client string) {
		state, err := s.Open(value, client)
		switch {
		case err == nil && client == "vpn" && bytes.Equal(value, good):
		case err == nil:
			t.Fatalf("%q opens for %q", value, client)
		case !errors.Is(err, challenge.ErrUnknown) || state != challenge.State{}:
			t.Fatalf("%q: %v", value, err)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	s := sealer(b, keys(b, b.TempDir()), newClock())
	text := seal(b, s, s.Begin(challenge.Password))
	b.ReportAllocs()
	for b.Loop() {
		if state, err := s.Open(text, "vpn"); err != nil || !s.Of(state, "account-1") {
			b.Fatal(err)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	s := sealer(b, keys(b, b.TempDir()), newClock())
	state := s.Begin(challenge.Password)
	b.ReportAllocs()
	for b.Loop() {
		seal(b, s, state)
	}
}
