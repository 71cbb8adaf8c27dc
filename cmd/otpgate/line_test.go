package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"otpgate/cmd/internal/loglines"
	"otpgate/configs"
)

// TestTheLogTakesLinesWithoutARecord: radius asks its log for that, and would do without.
func TestTheLogTakesLinesWithoutARecord(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		l := loglines.New(&out)
		var level slog.LevelVar
		h, ok := newLogger(l, configs.Log{Format: format, Level: "info"}, &level).With("component", "radius").Handler().(interface {
			Line(ctx context.Context, at time.Time, level slog.Level, message string, attrs []slog.Attr) error
		})
		if !ok {
			t.Fatalf("%s: each line takes a record", format)
		}
		if err := h.Line(t.Context(), time.Now(), slog.LevelInfo, "x", nil); err != nil {
			t.Error(err)
		}
		l.End()
		if !strings.Contains(out.String(), "radius") {
			t.Errorf("%s: %s", format, &out)
		}
	}
}
