package loglines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"
)

// liner is what this package has over slog.
type liner interface {
	Line(ctx context.Context, at time.Time, level slog.Level, message string, attrs []slog.Attr) error
}

// pair is a handler of ours, and the one of slog that it has to be like.
type pair struct {
	ours, theirs  slog.Handler
	lines         *Lines
	wrote, wanted bytes.Buffer
}

func pairs() []*pair {
	text, json := new(pair), new(pair)
	text.lines, json.lines = New(&text.wrote), New(&json.wrote)
	text.ours, text.theirs = text.lines.Text(slog.LevelDebug), slog.NewTextHandler(&text.wanted, &slog.HandlerOptions{Level: slog.LevelDebug})
	json.ours, json.theirs = json.lines.JSON(slog.LevelDebug), slog.NewJSONHandler(&json.wanted, &slog.HandlerOptions{Level: slog.LevelDebug})
	return []*pair{text, json}
}

// same has both write a line.
func (p *pair) same(t *testing.T, with func(slog.Handler) slog.Handler, at time.Time, level slog.Level, message string, attrs ...slog.Attr) {
	t.Helper()
	p.wrote.Reset()
	p.wanted.Reset()
	ours, theirs := with(p.ours).(liner), with(p.theirs)
	if err := ours.Line(t.Context(), at, level, message, attrs); err != nil {
		t.Error(err)
	}
	p.lines.flush(time.Hour)
	r := slog.NewRecord(at, level, message, 0)
	r.AddAttrs(attrs...)
	if err := theirs.Handle(t.Context(), r); err != nil {
		t.Error(err)
	}
	if p.wrote.String() != p.wanted.String() {
		t.Errorf("got  %swant %s", &p.wrote, &p.wanted)
	}
}

func plainly(h slog.Handler) slog.Handler { return h }

func texts() []string {
	texts := []string{
		"", "plain", "two words", "a=b", `say "no"`, `back\slash`, "line\nbreak", "tab\t", "\x00", "\x7f", "müller", "\u2028", "bad\xff", "日本", "<&>", "{}", "'",
	}
	for c := range 256 {
		texts = append(texts, string([]byte{byte(c)}))
	}
	return texts
}

func TestLinesAreThoseOfSlog(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, p := range pairs() {
		for _, text := range texts() {
			p.same(t, plainly, now, slog.LevelInfo, text, slog.String("key", text), slog.String("last", "x"))
			p.same(t, plainly, now, slog.LevelInfo, "x", slog.String(text, "value"))
			p.same(t, func(h slog.Handler) slog.Handler { return h.WithAttrs([]slog.Attr{slog.String("given", text)}) },
				now, slog.LevelInfo, "x", slog.Int("one", 1))
		}
		for _, f := range []float64{0, math.Copysign(0, -1), 0.001, 1.5, -2.25, 123.456, 2500, 1e6, 1234567.125, 1e20, 1e21, 1e-6, 9e-7, 1e300, math.Inf(1), math.NaN()} {
			p.same(t, plainly, now, slog.LevelInfo, "x", slog.Float64("f", f))
		}
		p.same(t, plainly, now, slog.LevelInfo, "x")
		p.same(t, plainly, now, slog.LevelInfo, "x", slog.Int("i", -3), slog.Uint64("u", math.MaxUint64), slog.Bool("b", true))
		p.same(t, plainly, now, slog.LevelInfo, "x", slog.String("a", "b"), slog.Any("error", errors.New("odd one")), slog.String("c", "d"))
		p.same(t, plainly, now, slog.LevelInfo, "x", slog.Duration("d", time.Second), slog.Time("t", now), slog.Group("g", "a", 1))
		p.same(t, plainly, now, slog.LevelInfo, "x", slog.Attr{}, slog.Group("empty"))
		for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError, 3, -7} {
			p.same(t, plainly, now, level, "x", slog.Int("i", 1))
		}
	}
}

func TestLinesHaveWhatWasGiven(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	component := func(h slog.Handler) slog.Handler {
		return h.WithAttrs([]slog.Attr{slog.String("component", "test"), slog.Int("n", 1)})
	}
	for _, p := range pairs() {
		for _, with := range []func(slog.Handler) slog.Handler{
			component,
			func(h slog.Handler) slog.Handler { return component(component(h)) },
			func(h slog.Handler) slog.Handler { return h.WithAttrs(nil) },
			func(h slog.Handler) slog.Handler {
				return component(h).WithAttrs([]slog.Attr{slog.Any("odd", []int{1})})
			},
			func(h slog.Handler) slog.Handler { return component(h).WithGroup("group") },
			func(h slog.Handler) slog.Handler { return component(h.WithGroup("group")) },
		} {
			p.same(t, with, now, slog.LevelInfo, "x", slog.String("a", "b"))
		}
		one := component(p.ours) // two of one must not write into each other
		two, three := one.WithAttrs([]slog.Attr{slog.Int("two", 2)}), one.WithAttrs([]slog.Attr{slog.Int("three", 3)})
		p.wrote.Reset()
		_ = two.(liner).Line(t.Context(), now, slog.LevelError, "x", nil)
		p.lines.flush(time.Hour)
		if s := p.wrote.String(); !strings.Contains(s, "two") || strings.Contains(s, "three") {
			t.Error(s)
		}
		_ = three
	}
}

func TestLinesHaveTheTime(t *testing.T) {
	zones := []*time.Location{time.UTC, time.FixedZone("", 5*3600+1800), time.FixedZone("", -3600), time.FixedZone("odd", 3601)}
	for _, p := range pairs() {
		for _, second := range []int64{-62135596800, -62200000000, 0, 1772366400, 1772366401, 1772366400, 253402300799, 253402300800} {
			for _, nanos := range []int64{0, 1, 999_999, 1_000_000, 120_000_000, 123_456_789, 999_999_999} {
				for _, zone := range zones {
					p.same(t, plainly, time.Unix(second, nanos).In(zone), slog.LevelInfo, "x")
				}
			}
		}
		p.same(t, plainly, time.Now(), slog.LevelInfo, "x")
		p.same(t, plainly, time.Time{}, slog.LevelInfo, "x")
	}
}

func FuzzLine(f *testing.F) {
	f.Add("message", "key", "value", 1.5, int64(1772366400), int64(5))
	f.Add("", "", "\"", 0.0, int64(0), int64(0))
	f.Fuzz(func(t *testing.T, message, key, value string, number float64, second, nanos int64) {
		for _, p := range pairs() {
			p.same(t, plainly, time.Unix(second, nanos).UTC(), slog.LevelInfo, message,
				slog.String(key, value), slog.Float64("number", number), slog.String("last", value))
		}
	})
}

// BenchmarkLine is a line of a login, by the record that slog takes and without.
func BenchmarkLine(b *testing.B) {
	attrs := []slog.Attr{
		slog.String("attempt", "5f0c21a9"), slog.String("client", "vpn"), slog.String("name", "alice"), slog.String("decision", "accept"),
		slog.String("reason", "ok"), slog.String("device", "7k2m4q5xw3nogbte"),
		slog.Float64("directory_ms", 0), slog.Float64("store_ms", 0.812), slog.Float64("total_ms", 1.134),
	}
	l := New(io.Discard)
	lines := 0
	written := func() { // or most would be dropped, which costs less
		if lines++; lines%256 == 0 {
			l.flush(time.Hour)
		}
	}
	now := time.Now()
	for i, root := range []slog.Handler{l.Text(slog.LevelInfo), l.JSON(slog.LevelInfo)} {
		h := root.WithAttrs([]slog.Attr{slog.String("component", "radius")})
		name := [...]string{"text", "json"}[i]
		b.Run(fmt.Sprint(name, "/record"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Microsecond)
				r := slog.NewRecord(now, slog.LevelInfo, "access decision", 0)
				r.AddAttrs(attrs...)
				_ = h.Handle(b.Context(), r)
				written()
			}
		})
		b.Run(fmt.Sprint(name, "/line"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Microsecond)
				_ = h.(liner).Line(b.Context(), now, slog.LevelInfo, "access decision", attrs)
				written()
			}
		})
	}
}
