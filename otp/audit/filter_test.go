package audit

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestAFilterThatNothingCanFitIsRefused(t *testing.T) {
	at := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		filter      Filter
		field, want string
	}{
		{Filter{Decision: "rejct"}, "decision", "accept, challenge, reject, drop"},
		{Filter{Kind: "logins"}, "kind", "login, accounting, enrollment, operator, system"},
		{Filter{Reason: "wrong"}, "reason", "code_wrong"},
		{Filter{Last: -5}, "last", "up to 1000000"},
		{Filter{Last: MaxLast + 1}, "last", "up to 1000000"},
		{Filter{Since: at, Until: at}, "until", "later than since"},
	} {
		var e *FilterError
		if err := c.filter.Check(); !errors.As(err, &e) || e.Field != c.field || !strings.Contains(e.Want, c.want) {
			t.Errorf("%+v: %v", c.filter, err)
		}
	}
	for _, f := range []Filter{
		{}, {Decision: "REJECT", Kind: "Login", Reason: "code_used"}, {Reason: ReasonTooManyDevices},
		{Last: MaxLast}, {Since: at, Until: at.Add(1)},
	} {
		if err := f.Check(); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

func TestTextsAreCompared(t *testing.T) {
	e := Event{
		Kind: Operator, ID: "00c0ffee", Name: "Müller", Client: "vpn", Source: "2001:db8::1 02-00-00-00-00-01", Device: "d1",
		Session: "5a3f", Actor: "uid 0 (root)", Decision: "accept", Reason: "ok",
	}
	for _, c := range []struct {
		filter Filter
		fits   bool
	}{
		{Filter{ID: "00C0FFEE"}, true}, {Filter{ID: "00c0ff"}, false}, {Filter{Name: "müller"}, true}, {Filter{Name: "mull"}, false},
		{Filter{Source: "2001:DB8::0:1"}, true}, {Filter{Source: "02-00-00-00-00-01"}, true}, {Filter{Source: "2001:db8::"}, false},
		{Filter{Source: "2001:db8::1 02-00-00-00-00-01"}, true},
		{Filter{Actor: "root"}, true}, {Filter{Actor: "0"}, true}, {Filter{Actor: "uid 0 (root)"}, true}, {Filter{Actor: "roo"}, false},
		{Filter{Device: "D1", Client: "VPN"}, true}, {Filter{Device: "d1", Client: "wifi"}, false}, {Filter{Account: "x"}, false},
		{Filter{Session: "5A3F"}, true}, {Filter{Session: "5a3"}, false},
	} {
		if got := newSieve(c.filter).fits(&e); got != c.fits {
			t.Errorf("%+v: %t", c.filter, got)
		}
	}
}

// What is told from a line's octets alone must be what its event says.
func FuzzSieve(f *testing.F) {
	f.Add("alice", "10.1.2.3 aa", `x","name":"bob`, "bob", int64(0))
	f.Add(`a"b\`, "10.1.2.3", "\u2028<>&", "10.1.2.3", int64(1))
	f.Add("K", "ſ (", "\xff", "k", int64(-1))
	f.Fuzz(func(t *testing.T, name, source, detail, want string, shift int64) {
		at := time.Date(2027, 1, 2, 3, 4, 5, 678, time.UTC)
		line := appendLine(nil, &Event{Time: at, Kind: Login, Name: name, Source: source, Detail: detail, Actor: source, ID: detail, NAS: name, Session: detail, Traffic: &Traffic{Address: source, Cause: name}, Stages: &Stages{}})
		line = line[:len(line)-1]
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		moment := at.Add(time.Duration(shift))
		for _, filter := range []Filter{
			{Name: want}, {Source: want}, {Actor: want}, {ID: want}, {Session: want}, {Account: want}, {Kind: Kind(want)}, {Since: moment}, {Until: moment},
			{Name: e.Name}, {Source: e.Source}, {Actor: e.Actor}, {ID: e.ID}, {Session: e.Session},
		} {
			s := newSieve(filter)
			if s.excludes(line) && s.fits(&e) {
				t.Errorf("%+v excludes %s", filter, line)
			}
		}
	})
}
