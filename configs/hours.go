package configs

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Hours is when people may log in. Without spans: always.
type Hours struct {
	Zone  *time.Location
	Spans []Span
}

// Span is a part of a day, by the clock on the wall. One that ends where it began or before ends on
// the day after, and belongs to the day that it begins on.
type Span struct {
	Days     uint8 // one bit a day, from 1<<time.Sunday
	From, To int   // minutes from midnight; To is 1440 for the end of the day
}

func readHours(o *object) Hours {
	h := Hours{}
	name := o.required("zone", "whose clock counts: Europe/Lisbon, or UTC")
	if zone, err := time.LoadLocation(name); name != "" && (err != nil || name == "Local") {
		o.bad("zone", "a name of the time zone database: Europe/Lisbon, or UTC", "%q is not a time zone", name)
	} else {
		h.Zone = zone
	}
	for _, it := range o.some("allow", `when they may log in: ["Mon-Fri 07:00-20:00", "Sat 08:00-12:00"]`) {
		span, err := parseSpan(it.text)
		if err != nil {
			it.bad(`days, if not all, and hours: "Mon-Fri 07:00-20:00", "Sat,Sun 08:00-12:00", "22:00-06:00"`, "%q: %v", it.text, err)
			continue
		}
		h.Spans = append(h.Spans, span)
	}
	o.done()
	return h
}

// everyDay has all seven bits.
const everyDay = 1<<7 - 1

// parseSpan reads "[days ]hh:mm-hh:mm".
func parseSpan(s string) (Span, error) {
	span := Span{Days: everyDay}
	fields := strings.Fields(s)
	if len(fields) == 2 {
		var err error
		if span.Days, err = parseDays(fields[0]); err != nil {
			return Span{}, err
		}
		fields = fields[1:]
	}
	if len(fields) != 1 {
		return Span{}, fmt.Errorf("it is not days and hours")
	}
	from, to, ok := strings.Cut(fields[0], "-")
	if !ok {
		return Span{}, fmt.Errorf("it does not say until when")
	}
	var err error
	if span.From, err = parseClock(from); err != nil {
		return Span{}, err
	}
	if span.To, err = parseClock(to); err != nil {
		return Span{}, err
	}
	switch {
	case span.From == endOfDay:
		return Span{}, fmt.Errorf("a day has no minute that begins at 24:00")
	case span.From == span.To:
		return Span{}, fmt.Errorf("it ends when it begins; a whole day is 00:00-24:00")
	}
	return span, nil
}

const endOfDay = 24 * 60

// parseClock reads hh:mm as minutes; 24:00 is the end of the day.
func parseClock(s string) (int, error) {
	h, m, ok := strings.Cut(s, ":")
	hours, err := strconv.ParseUint(h, 10, 8)
	minutes, err2 := strconv.ParseUint(m, 10, 8)
	total := int(hours*60 + minutes)
	if !ok || err != nil || err2 != nil || len(h) != 2 || len(m) != 2 || minutes > 59 || total > endOfDay {
		return 0, fmt.Errorf("%q is not a time from 00:00 to 24:00", s)
	}
	return total, nil
}

// parseDays reads "Mon", "Mon-Fri", "Sat-Mon" and lists of them with commas.
func parseDays(s string) (uint8, error) {
	var days uint8
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, ok := weekday(first)
		to, ok2 := weekday(last)
		if !ok || !ok2 {
			return 0, fmt.Errorf("%q is not a day, nor days; Mon, Tue, Wed, Thu, Fri, Sat, Sun", part)
		}
		for d := from; ; d = (d + 1) % 7 {
			days |= 1 << d
			if d == to {
				break
			}
		}
	}
	return days, nil
}

func weekday(s string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(s, d.String()[:3]) {
			return d, true
		}
	}
	return 0, false
}

// String is the hours as people write them.
func (h Hours) String() string {
	if len(h.Spans) == 0 {
		return "always"
	}
	return fmt.Sprintf("%s, %s", listed(h.Spans), h.Zone)
}

// String is the span as people write it.
func (s Span) String() string {
	clock := fmt.Sprintf("%02d:%02d-%02d:%02d", s.From/60, s.From%60, s.To/60, s.To%60)
	if s.Days == everyDay {
		return clock
	}
	var days []string
	for i := range 7 {
		if d := time.Weekday(i+1) % 7; s.Days&(1<<d) != 0 { // the week begins on Monday
			days = append(days, d.String()[:3])
		}
	}
	return strings.Join(days, ",") + " " + clock
}
