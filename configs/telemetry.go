package configs

// Metrics is the section about Prometheus and health.
type Metrics struct{ Listen string }

// Audit is the section about the audit trail.
type Audit struct {
	Required bool
	MaxSize  int64 // octets of one file
	Keep     int   // rotated files; 0: all
}

// Log is the section about the log.
type Log struct {
	Level  string // info | debug | warn | error
	Format string // text | json
}

func readMetrics(o *object) Metrics {
	m := Metrics{Listen: o.address("listen", "127.0.0.1:9812")}
	o.done()
	return m
}

func readAudit(o *object) Audit {
	a := Audit{
		Required: o.yes("required", false),
		MaxSize:  o.size("max_size", 64<<20, 1<<20, 16<<30),
		Keep:     o.number("keep", 0, 0, 100_000),
	}
	o.done()
	return a
}

func readLog(o *object) Log {
	l := Log{Level: o.choice("level", "info", "debug", "warn", "error"), Format: o.choice("format", "text", "json")}
	o.done()
	return l
}
