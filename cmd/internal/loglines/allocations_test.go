//go:build !race

package loglines

import (
	"io"
	"log/slog"
	"testing"
	"time"
)

// TestAllocations holds the line of a login to what was written down. The race detector allocates by itself,
// so `make unit` runs this without it.
func TestAllocations(t *testing.T) {
	attrs := []slog.Attr{slog.String("attempt", "5f0c21a9"), slog.String("empty", ""), slog.Float64("total_ms", 1.134), slog.Int("n", 1)}
	l := New(io.Discard)
	now := time.Now()
	for _, root := range []slog.Handler{l.Text(slog.LevelInfo), l.JSON(slog.LevelInfo)} {
		h := root.WithAttrs([]slog.Attr{slog.String("component", "radius")}).(liner)
		line := func() {
			now = now.Add(time.Millisecond)
			_ = h.Line(t.Context(), now, slog.LevelInfo, "access decision", attrs)
		}
		for range 2 * lineOctets / 100 { // what is held has its size from here on
			line()
		}
		if got := testing.AllocsPerRun(500, line); got != 0 {
			t.Errorf("%v allocations, written down are none", got)
		}
	}
}
