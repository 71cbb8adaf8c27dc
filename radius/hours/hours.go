// Package hours tells whether people may log in at a time of day, by the clock on the wall.
//
//	time ──► In(zone) ──► day and minute ──► a span of that day, or one of the day before over midnight
//
// Invariants:
//   - What people see on the wall decides. Where a clock is put back, the hour that comes twice is
//     inside or outside both times; where it is put forward, the hour that is left out is in no time.
//   - A span over midnight belongs to the day that it begins on: "Fri 22:00-06:00" ends on Saturday.
//   - Nothing is allowed by mistake: [New] refuses no spans, no zone, and spans that mean nothing.
//
// It knows neither the configuration nor RADIUS, and has no clock.
package hours

import (
	"errors"
	"fmt"
	"time"
)

// Span is a part of a day. One that ends where it began or before ends on the day after.
type Span struct {
	Days     uint8 // the days that it begins on, one bit each, from 1<<time.Sunday
	From, To int   // minutes from midnight: From 0 to 1439, To 0 to 1440
}

// Hours is when people may log in. The zero value is never: one that restricts nothing does not
// exist, and whoever has no hours does not ask.
type Hours struct {
	zone  *time.Location
	spans []Span
}

const endOfDay = 24 * 60

// ErrSpan is a span that means nothing, or no span at all.
var ErrSpan = errors.New("not the hours of a day")

// New returns hours in a zone. Its errors are [ErrSpan], and one without a zone.
func New(zone *time.Location, spans []Span) (Hours, error) {
	if zone == nil {
		return Hours{}, errors.New("hours without a time zone")
	}
	if len(spans) == 0 {
		return Hours{}, fmt.Errorf("%w: none", ErrSpan)
	}
	for i, s := range spans {
		if s.Days == 0 || s.Days >= 1<<7 || s.From < 0 || s.From >= endOfDay || s.To < 0 || s.To > endOfDay || s.From == s.To {
			return Hours{}, fmt.Errorf("%w: span %d", ErrSpan, i)
		}
	}
	return Hours{zone: zone, spans: append([]Span(nil), spans...)}, nil
}

// Allows reports whether a time is within the hours. The first minute of a span is, its last is not.
func (h Hours) Allows(t time.Time) bool {
	if h.zone == nil {
		return false
	}
	t = t.In(h.zone)
	today, minute := t.Weekday(), t.Hour()*60+t.Minute()
	yesterday := (today + 6) % 7
	for _, s := range h.spans {
		if s.From < s.To {
			if s.on(today) && s.From <= minute && minute < s.To {
				return true
			}
			continue
		}
		if s.on(today) && s.From <= minute || s.on(yesterday) && minute < s.To {
			return true
		}
	}
	return false
}

func (s Span) on(d time.Weekday) bool { return s.Days&(1<<d) != 0 }
