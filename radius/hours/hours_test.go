package hours_test

import (
	"errors"
	"testing"
	"time"
	_ "time/tzdata"

	"otpgate/radius/hours"
)

const (
	sun = 1 << iota
	mon
	tue
	wed
	thu
	fri
	sat
	weekdays = mon | tue | wed | thu | fri
	all      = weekdays | sat | sun
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestTimesOfDay(t *testing.T) {
	const clock = "2006-01-02 15:04:05"
	office := []hours.Span{{weekdays, 7 * 60, 20 * 60}, {sat, 8 * 60, 12 * 60}}
	night := []hours.Span{{all, 22 * 60, 6 * 60}}
	friday := []hours.Span{{fri, 22 * 60, 6 * 60}}
	for _, c := range []struct {
		spans []hours.Span
		at    string // 2026-06-05 is a Friday
		want  bool
	}{
		{office, "2026-06-05 06:59:59", false},
		{office, "2026-06-05 07:00:00", true},
		{office, "2026-06-05 19:59:59", true},
		{office, "2026-06-05 20:00:00", false},
		{office, "2026-06-06 07:59:59", false},
		{office, "2026-06-06 08:00:00", true},
		{office, "2026-06-06 12:00:00", false},
		{office, "2026-06-07 10:00:00", false},
		{night, "2026-06-05 21:59:59", false},
		{night, "2026-06-05 22:00:00", true},
		{night, "2026-06-05 23:59:59", true},
		{night, "2026-06-06 00:00:00", true},
		{night, "2026-06-06 05:59:59", true},
		{night, "2026-06-06 06:00:00", false},
		{friday, "2026-06-05 05:00:00", false}, // the night of Thursday
		{friday, "2026-06-05 22:00:00", true},
		{friday, "2026-06-06 05:59:59", true}, // Saturday, and still the night of Friday
		{friday, "2026-06-06 06:00:00", false},
		{friday, "2026-06-06 22:30:00", false},
		{[]hours.Span{{sat, 23 * 60, 60}}, "2026-06-07 00:59:00", true}, // over the end of the week
		{[]hours.Span{{sun, 23 * 60, 60}}, "2026-06-08 00:59:00", true},
		{[]hours.Span{{fri, 0, 1440}}, "2026-06-05 00:00:00", true},
		{[]hours.Span{{fri, 0, 1440}}, "2026-06-05 23:59:59", true},
		{[]hours.Span{{fri, 0, 1440}}, "2026-06-06 00:00:00", false},
		{[]hours.Span{{fri, 1320, 0}}, "2026-06-05 23:59:59", true},
		{[]hours.Span{{fri, 1320, 0}}, "2026-06-06 00:00:00", false},
	} {
		h, err := hours.New(zone(t, "Europe/Lisbon"), c.spans)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.ParseInLocation(clock, c.at, zone(t, "Europe/Lisbon"))
		if err != nil {
			t.Fatal(err)
		}
		if got := h.Allows(at.UTC()); got != c.want {
			t.Errorf("%+v at %s: %v", c.spans, c.at, got)
		}
	}
}

// The same span on the days that clocks are put forward and back, by times that do not change.
func TestClocksArePutForwardAndBack(t *testing.T) {
	small := []hours.Span{{sun, 90, 150}}          // 01:30-02:30
	overMidnight := []hours.Span{{sat, 1380, 120}} // Sat 23:00-02:00
	for _, c := range []struct {
		zone  string
		spans []hours.Span
		at    string
		want  bool
	}{
		// Lisbon, 2026-03-29: 01:00 WET is 02:00 WEST. 01:30 is no time, and 02:00 comes at 01:00 UTC.
		{"Europe/Lisbon", small, "2026-03-29T00:59:59Z", false},
		{"Europe/Lisbon", small, "2026-03-29T01:00:00Z", true},
		{"Europe/Lisbon", small, "2026-03-29T01:29:59Z", true},
		{"Europe/Lisbon", small, "2026-03-29T01:30:00Z", false},
		{"Europe/Lisbon", overMidnight, "2026-03-28T23:00:00Z", true},
		{"Europe/Lisbon", overMidnight, "2026-03-29T00:59:59Z", true},
		{"Europe/Lisbon", overMidnight, "2026-03-29T01:00:00Z", false},
		// Lisbon, 2026-10-25: 02:00 WEST is 01:00 WET. 01:30 comes at 00:30 and at 01:30 UTC.
		{"Europe/Lisbon", small, "2026-10-25T00:29:59Z", false},
		{"Europe/Lisbon", small, "2026-10-25T00:30:00Z", true},
		{"Europe/Lisbon", small, "2026-10-25T00:59:59Z", true},
		{"Europe/Lisbon", small, "2026-10-25T01:00:00Z", false}, // 01:00 again
		{"Europe/Lisbon", small, "2026-10-25T01:30:00Z", true},
		{"Europe/Lisbon", small, "2026-10-25T02:29:59Z", true},
		{"Europe/Lisbon", small, "2026-10-25T02:30:00Z", false},
		{"Europe/Lisbon", overMidnight, "2026-10-24T22:00:00Z", true},
		{"Europe/Lisbon", overMidnight, "2026-10-25T01:59:59Z", true}, // 01:59:59 for the second time
		{"Europe/Lisbon", overMidnight, "2026-10-25T02:00:00Z", false},
		// New York, 2026-03-08: 02:00 EST is 03:00 EDT, at 07:00 UTC.
		{"America/New_York", small, "2026-03-08T06:29:59Z", false},
		{"America/New_York", small, "2026-03-08T06:30:00Z", true},
		{"America/New_York", small, "2026-03-08T06:59:59Z", true},
		{"America/New_York", small, "2026-03-08T07:00:00Z", false}, // 03:00
		// New York, 2026-11-01: 02:00 EDT is 01:00 EST, at 06:00 UTC.
		{"America/New_York", small, "2026-11-01T05:30:00Z", true},
		{"America/New_York", small, "2026-11-01T05:59:59Z", true},
		{"America/New_York", small, "2026-11-01T06:00:00Z", false},
		{"America/New_York", small, "2026-11-01T06:30:00Z", true},
		{"America/New_York", small, "2026-11-01T07:29:59Z", true},
		{"America/New_York", small, "2026-11-01T07:30:00Z", false},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		h, err := hours.New(zone(t, c.zone), c.spans)
		if err != nil {
			t.Fatal(err)
		}
		if got := h.Allows(at); got != c.want {
			t.Errorf("%s %+v at %s, which is %s: %v", c.zone, c.spans, c.at, at.In(zone(t, c.zone)), got)
		}
	}
}

// Every time of a year is in the whole day of its own day of the week, and in no other.
func TestEveryTimeIsInOneDay(t *testing.T) {
	for _, name := range []string{"Europe/Lisbon", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "UTC"} {
		z := zone(t, name)
		var days [7]hours.Hours
		for d := range days {
			var err error
			if days[d], err = hours.New(z, []hours.Span{{1 << d, 0, 1440}}); err != nil {
				t.Fatal(err)
			}
		}
		for at, end := time.Date(2018, 1, 1, 0, 0, 0, 0, z), time.Date(2019, 1, 1, 0, 0, 0, 0, z); at.Before(end); at = at.Add(29 * time.Minute) {
			for d := range days {
				if days[d].Allows(at) != (at.Weekday() == time.Weekday(d)) {
					t.Fatalf("%s, day %d", at, d)
				}
			}
		}
	}
}

func TestWhatMeansNothingIsRefused(t *testing.T) {
	for _, spans := range [][]hours.Span{
		nil,
		{{0, 0, 1440}}, {{1 << 7, 0, 1440}}, {{all, -1, 60}}, {{all, 1440, 60}}, {{all, 0, 1441}}, {{all, 60, -1}}, {{all, 60, 60}},
		{{all, 0, 1440}, {0, 0, 1440}},
	} {
		if _, err := hours.New(time.UTC, spans); !errors.Is(err, hours.ErrSpan) {
			t.Errorf("%+v: %v", spans, err)
		}
	}
	if _, err := hours.New(nil, []hours.Span{{all, 0, 1440}}); err == nil {
		t.Error("without a zone")
	}
	if (hours.Hours{}).Allows(time.Unix(0, 0)) {
		t.Error("the zero value allows")
	}
}

// What was handed in can be changed by its owner without changing the hours.
func TestSpansAreCopied(t *testing.T) {
	spans := []hours.Span{{thu, 0, 60}}
	h, err := hours.New(time.UTC, spans)
	if err != nil {
		t.Fatal(err)
	}
	spans[0].To = 1440
	if h.Allows(time.Date(2026, 6, 4, 12, 0, 0, 0, time.UTC)) {
		t.Error("it was changed from outside")
	}
}
