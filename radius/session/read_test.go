package session_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"otpgate/radius/session"
)

// packet holds attributes by type.
type packet map[byte][]byte

func (p packet) get(kind byte) ([]byte, bool) { v, ok := p[kind]; return v, ok }

func number(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// full is an Interim-Update with everything in it.
func full() packet {
	return packet{
		40: number(3), 44: []byte("5A3F"), 1: []byte("alice"), 32: []byte("nas1"), 4: {10, 1, 0, 1},
		95: bytes.Repeat([]byte{0xfd}, 16), 31: []byte("02-00-00-00-00-01"), 8: {10, 8, 0, 2},
		97: {0, 64, 0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2}, 46: number(3600),
		42: number(5), 52: number(1), 43: number(7), 53: number(2), 49: number(1), 55: number(1_800_000_000), 41: number(3),
		25: []byte("whatever"),
	}
}

func with(kind byte, value []byte) packet {
	p := full()
	p[kind] = value
	return p
}

func without(kinds ...byte) packet {
	p := full()
	for _, k := range kinds {
		delete(p, k)
	}
	return p
}

func TestReadEverything(t *testing.T) {
	got, err := session.Read(full().get)
	want := session.Record{
		Status: session.InterimUpdate, Session: "5A3F", Name: "alice", NAS: "nas1", Station: "02-00-00-00-00-01", Address: "10.8.0.2",
		Lasted: time.Hour, In: 1<<32 + 5, Out: 2<<32 + 7, Cause: 1, Stamp: time.Unix(1_800_000_000, 0).UTC(), Delay: 3 * time.Second,
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if got, err := session.Read(packet{40: number(7)}.get); err != nil || got != (session.Record{Status: session.AccountingOn}) {
		t.Errorf("a status and nothing else: %+v, %v", got, err)
	}
}

func TestReadWhatStandsInForAnother(t *testing.T) {
	for name, c := range map[string]struct {
		in            packet
		nas, address  string
		session, name string
	}{
		"all":                     {full(), "nas1", "10.8.0.2", "5A3F", "alice"},
		"no NAS-Identifier":       {without(32), "10.1.0.1", "10.8.0.2", "5A3F", "alice"},
		"an empty NAS-Identifier": {with(32, nil), "10.1.0.1", "10.8.0.2", "5A3F", "alice"},
		"IPv6 only":               {without(32, 4, 8), "fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd", "2001:db8:1:2::/64", "5A3F", "alice"},
		"no NAS, no address":      {without(32, 4, 95, 8, 97), "", "", "5A3F", "alice"},
		"address is for the NAS":  {with(8, []byte{255, 255, 255, 254}), "nas1", "2001:db8:1:2::/64", "5A3F", "alice"},
		"address is the person's": {with(8, []byte{255, 255, 255, 255}), "nas1", "2001:db8:1:2::/64", "5A3F", "alice"},
		"no session, no name":     {without(44, 1), "nas1", "10.8.0.2", "", ""},
	} {
		r, err := session.Read(c.in.get)
		if err != nil || r.NAS != c.nas || r.Address != c.address || r.Session != c.session || r.Name != c.name {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestMalformedAttributesAreNamed(t *testing.T) {
	for name, p := range map[string]packet{
		"Acct-Status-Type is missing":                      without(40),
		"Acct-Status-Type has 3 octets, not 4":             with(40, []byte{0, 0, 1}),
		"NAS-IP-Address has 16 octets, not 4":              with(4, make([]byte, 16)),
		"NAS-IPv6-Address has 4 octets, not 16":            with(95, make([]byte, 4)),
		"Framed-IP-Address has 0 octets, not 4":            with(8, nil),
		"Framed-IPv6-Prefix has 1 octets, not 2 to 18":     with(97, []byte{0}),
		"Framed-IPv6-Prefix has 19 octets, not 2 to 18":    with(97, make([]byte, 19)),
		"Framed-IPv6-Prefix has 129 bits in 16 octets":     with(97, append([]byte{0, 129}, make([]byte, 16)...)),
		"Framed-IPv6-Prefix has 64 bits in 7 octets":       with(97, append([]byte{0, 64}, make([]byte, 7)...)),
		"Acct-Session-Time has 8 octets, not 4":            with(46, make([]byte, 8)),
		"Acct-Input-Octets has 2 octets, not 4":            with(42, make([]byte, 2)),
		"Acct-Output-Octets has 2 octets, not 4":           with(43, make([]byte, 2)),
		"Acct-Input-Gigawords has 2 octets, not 4":         with(52, make([]byte, 2)),
		"Acct-Output-Gigawords has 5 octets, not 4":        with(53, make([]byte, 5)),
		"Acct-Terminate-Cause has 1 octets, not 4":         with(49, make([]byte, 1)),
		"Event-Timestamp has 8 octets, not 4":              with(55, make([]byte, 8)),
		"Acct-Delay-Time has 0 octets, not 4":              with(41, nil),
		"malformed accounting: Acct-Delay-Time has 0 octe": with(41, nil),
	} {
		if r, err := session.Read(p.get); !errors.Is(err, session.ErrMalformed) || !strings.Contains(err.Error(), name) || r != (session.Record{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Two identifiers that are shown alike are still two.
func TestTextsStayApart(t *testing.T) {
	long := strings.Repeat("ü", 126)
	seen := map[string]string{}
	for _, id := range []string{"a", "a?", "a\x00", "a\n", "a\xff", "a\x1b", long, long + "x", long + "y", strings.Repeat("x", 96), strings.Repeat("x", 97)} {
		r, err := session.Read(with(44, []byte(id)).get)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[r.Session]; ok {
			t.Errorf("%q and %q are both %q", id, other, r.Session)
		}
		seen[r.Session] = id
	}
	if _, ok := seen["a"]; !ok {
		t.Error("what is printable was changed")
	}
}

func TestWords(t *testing.T) {
	for s, want := range map[session.Status]string{1: "start", 2: "stop", 3: "interim_update", 7: "accounting_on", 8: "accounting_off", 15: "status_15", 1<<32 - 1: "status_4294967295"} {
		if s.String() != want {
			t.Errorf("%d: %s", s, s)
		}
	}
	for c, want := range map[session.Cause]string{0: "", 1: "User-Request", 18: "Host-Request", 23: "Lost-Power", 24: "24", 1<<32 - 1: "4294967295"} {
		if c.String() != want {
			t.Errorf("%d: %s", c, c)
		}
	}
}

func TestWhenItHappened(t *testing.T) {
	now := time.Date(2027, 1, 15, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		r    session.Record
		want time.Duration // after now
	}{
		"nothing is said":             {session.Record{}, 0},
		"the delay":                   {session.Record{Delay: 7 * time.Second}, -7 * time.Second},
		"136 years of delay":          {session.Record{Delay: (1<<32 - 1) * time.Second}, -24 * time.Hour},
		"the timestamp":               {session.Record{Stamp: now.Add(-time.Hour), Delay: time.Second}, -time.Hour},
		"a clock a little ahead":      {session.Record{Stamp: now.Add(4 * time.Minute)}, 4 * time.Minute},
		"a clock far ahead":           {session.Record{Stamp: now.Add(6 * time.Minute), Delay: time.Second}, -time.Second},
		"a clock that starts in 1970": {session.Record{Stamp: time.Unix(1000, 0), Delay: time.Second}, -time.Second},
		"queued for a day and more":   {session.Record{Stamp: now.Add(-30 * time.Hour), Delay: 30 * time.Hour}, -30 * time.Hour},
	} {
		if got := c.r.At(now); !got.Equal(now.Add(c.want)) {
			t.Errorf("%s: %v after", name, got.Sub(now))
		}
	}
}

func FuzzRead(f *testing.F) {
	seed := func(p packet) {
		var b []byte
		for kind, v := range p {
			b = append(append(b, kind, byte(len(v))), v...)
		}
		f.Add(b)
	}
	seed(full())
	seed(with(44, []byte("\xff\x00\u2028")))
	seed(with(97, []byte{0, 128, 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := packet{}
		for len(b) >= 2 && int(b[1]) <= len(b)-2 {
			p[b[0]] = b[2 : 2+int(b[1])]
			b = b[2+int(b[1]):]
		}
		r, err := session.Read(p.get)
		if err != nil {
			if r != (session.Record{}) || !errors.Is(err, session.ErrMalformed) {
				t.Errorf("%+v with %v", r, err)
			}
			return
		}
		for text, most := range map[string]int{r.Session: 96, r.NAS: 96, r.Station: 64, r.Name: 253, r.Address: 64} {
			if len(text) > most || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q is kept", text)
			}
		}
	})
}
