package main

import (
	"io"
	"log/slog"

	"otpgate/configs"
)

// newLogger makes the log as the configuration wants it; level can be changed while it is in use.
func newLogger(w io.Writer, cfg configs.Log, level *slog.LevelVar) *slog.Logger {
	setLevel(level, cfg.Level)
	o := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

func setLevel(v *slog.LevelVar, name string) {
	v.Set(map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}[name])
}
