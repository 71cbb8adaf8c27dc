package loglines

import (
	"context"
	"log/slog"
	"math"
	"strconv"
	"time"
)

// seen is the level from which on somebody must see a line.
const seen = slog.LevelWarn

// handler holds nothing back which somebody must see: a process that ends otherwise than it should takes at
// most the last moments of what is as it should be, but where nobody reads what is written. It writes what slog does.
type handler struct {
	slog.Handler              // of slog
	urgent       slog.Handler // the same for what somebody must see
	lines        *Lines
	json         bool
	given        []byte // what With has added, as it is in each line
	odd          bool   // some of that only slog can write
}

// Handle implements [slog.Handler].
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	to := h.Handler
	if r.Level >= seen {
		to = h.urgent
	}
	err := to.Handle(ctx, r)
	h.lines.said(r.Level)
	return err
}

// WithAttrs implements [slog.Handler].
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	given, ok := append([]byte(nil), h.given...), true
	for i := range attrs {
		given, ok = appendAttr(given, h.json, &attrs[i])
		h.odd = h.odd || !ok
	}
	h.Handler, h.urgent, h.given = h.Handler.WithAttrs(attrs), h.urgent.WithAttrs(attrs), given
	return h
}

// WithGroup implements [slog.Handler].
func (h handler) WithGroup(name string) slog.Handler {
	h.Handler, h.urgent, h.odd = h.Handler.WithGroup(name), h.urgent.WithGroup(name), true
	return h
}

// Line is Handle for a record of attrs, without the place in the source. It does not keep attrs, and costs a
// fraction: a line of plain words and numbers is put together where it is held. All others are slog's.
func (h handler) Line(ctx context.Context, at time.Time, level slog.Level, message string, attrs []slog.Attr) error {
	if h.odd || !h.lines.line(&h, at, level, message, attrs) {
		r := slog.NewRecord(at, level, message, 0)
		r.AddAttrs(attrs...)
		return h.Handle(ctx, r)
	}
	h.lines.said(level)
	return nil
}

// line is false when only slog can write it.
func (l *Lines) line(h *handler, at time.Time, level slog.Level, message string, attrs []slog.Attr) (ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stamp.set(at) {
		return false
	}
	if !l.room(level >= seen) {
		return true
	}
	before := len(l.held)
	b := l.held // what is appended to it is nothing until it is complete
	if h.json {
		b = l.stamp.append(append(b, `{"time":"`...), at, true)
		b = append(append(b, `","level":"`...), level.String()...)
		b, ok = appendText(append(b, `","msg":`...), true, message)
	} else {
		b = l.stamp.append(append(b, "time="...), at, false)
		b = append(append(b, " level="...), level.String()...)
		b, ok = appendText(append(b, " msg="...), false, message)
	}
	b = append(b, h.given...)
	for i := 0; ok && i < len(attrs); i++ {
		b, ok = appendAttr(b, h.json, &attrs[i])
	}
	if !ok {
		return false
	}
	if h.json {
		b = append(b, '}')
	}
	l.held = append(b, '\n')
	l.grown(before)
	return true
}

// appendAttr is false for what is not plain.
func appendAttr(b []byte, json bool, a *slog.Attr) (_ []byte, ok bool) {
	if a.Key == "" {
		return b, false
	}
	between, equals := byte(' '), byte('=')
	if json {
		between, equals = ',', ':'
	}
	if b, ok = appendText(append(b, between), json, a.Key); !ok {
		return b, false
	}
	b = append(b, equals)
	switch a.Value.Kind() {
	case slog.KindString:
		return appendText(b, json, a.Value.String())
	case slog.KindInt64:
		return strconv.AppendInt(b, a.Value.Int64(), 10), true
	case slog.KindUint64:
		return strconv.AppendUint(b, a.Value.Uint64(), 10), true
	case slog.KindBool:
		return strconv.AppendBool(b, a.Value.Bool()), true
	case slog.KindFloat64:
		return appendFloat(b, json, a.Value.Float64())
	}
	return b, false
}

// appendText is false for what is not ASCII, or has to be escaped in JSON.
func appendText(b []byte, json bool, text string) (_ []byte, ok bool) {
	quote := json || text == ""
	for i := range len(text) {
		switch c := text[i]; {
		case c > '~', json && (c < ' ' || c == '"' || c == '\\'):
			return b, false
		case c <= ' ', c == '=', c == '"':
			quote = true
		}
	}
	switch {
	case !quote:
		return append(b, text...), true
	case json:
		return append(append(append(b, '"'), text...), '"'), true
	}
	return strconv.AppendQuote(b, text), true
}

// appendFloat is false for what JSON writes otherwise than as digits.
func appendFloat(b []byte, json bool, f float64) (_ []byte, ok bool) {
	switch small := math.Abs(f) < 1e-6 && f != 0; {
	case !json:
		return strconv.AppendFloat(b, f, 'g', -1, 64), true
	case small, math.Abs(f) >= 1e21, math.IsNaN(f):
		return b, false
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64), true
}

// stamp is the time of the last line, as it is written: but for its fraction it is that of most others of the same second.
type stamp struct {
	second     int64
	location   *time.Location
	date, zone []byte
}

const dateLayout = "2006-01-02T15:04:05"

// set is false for a time that has no four digits of the year.
func (s *stamp) set(t time.Time) bool {
	if t.IsZero() {
		return false
	}
	if second, location := t.Unix(), t.Location(); second != s.second || location != s.location {
		s.second, s.location = second, location
		s.date, s.zone = t.AppendFormat(s.date[:0], dateLayout), t.AppendFormat(s.zone[:0], "Z07:00")
	}
	return len(s.date) == len(dateLayout)
}

// append appends t, which was set: with milliseconds, or with all digits that it has (RFC 3339).
func (s *stamp) append(b []byte, t time.Time, all bool) []byte {
	b = append(b, s.date...)
	fraction, digits := t.Nanosecond(), 9
	if !all {
		fraction, digits = fraction/1e6, 3
	}
	for ; all && digits > 0 && fraction%10 == 0; digits-- {
		fraction /= 10
	}
	if digits > 0 {
		b = append(b, ".000000000"[:1+digits]...)
		for at := len(b) - 1; fraction > 0; at-- {
			b[at] += byte(fraction % 10)
			fraction /= 10
		}
	}
	return append(b, s.zone...)
}
