package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"time"
)

// Measurement is one case, once.
type Measurement struct {
	PerSecond float64            `json:"per_second"` // logins, or packets of a flood
	P50       float64            `json:"p50_seconds"`
	P99       float64            `json:"p99_seconds"`
	CPU       map[string]float64 `json:"cpu_microseconds"` // per login or packet, by process
	Memory    int64              `json:"memory_octets"`    // of the server
	Decided   uint64             `json:"decided"`
	Held      bool               `json:"held"` // everything that was expected
	Unheld    []string           `json:"unheld,omitempty"`
}

// String is for whoever waits.
func (m Measurement) String() string {
	text := fmt.Sprintf("%.0f/s, p50 %.2f ms, p99 %.2f ms, %d MiB, CPU", m.PerSecond, m.P50*1e3, m.P99*1e3, m.Memory>>20)
	for _, name := range slices.Sorted(maps.Keys(m.CPU)) {
		text += fmt.Sprintf(" %s %.1f us", name, m.CPU[name])
	}
	if !m.Held {
		text += fmt.Sprintf(" (not held: %v)", m.Unheld)
	}
	return text
}

// loaded is of the generator's report what is needed here.
type loaded struct {
	Load struct {
		PerSecond float64 `json:"logins_per_second"`
	} `json:"load"`
	Logins struct {
		Accepted       uint64 `json:"accepted"`
		WronglyRefused uint64 `json:"wrongly_refused"`
	} `json:"logins"`
	Latency map[string]struct {
		P50 float64 `json:"p50"`
		P99 float64 `json:"p99"`
	} `json:"latency_seconds"`
	Floods []struct {
		Sent      uint64  `json:"sent"`
		PerSecond float64 `json:"packets_per_second"`
	} `json:"floods"`
	Expectations []struct {
		Name string `json:"name"`
		Held bool   `json:"held"`
	} `json:"expectations"`
	Held bool `json:"held"`
}

// measure starts the server of a case, loads it, and looks at what that cost.
func (b *bench) measure(ctx context.Context, c benchCase) (m Measurement, err error) {
	s, err := b.begin(ctx, c)
	if err != nil {
		return m, err
	}
	defer s.stop()
	if err := b.warmUp(ctx, c, s); err != nil {
		return m, err
	}
	watched := append([]*process{s.process}, b.peers(c)...)
	before := make([]time.Duration, len(watched))
	for i, p := range watched {
		if before[i], err = p.cpu(); err != nil {
			return m, err
		}
	}
	l, own, err := b.load(ctx, c, s, b.arguments(c)...)
	if err != nil {
		return m, err
	}
	m = Measurement{
		PerSecond: l.Load.PerSecond, P50: l.Latency["accepted"].P50, P99: l.Latency["accepted"].P99,
		Decided: l.Logins.Accepted + l.Logins.WronglyRefused, Held: l.Held, CPU: map[string]float64{},
	}
	if len(l.Floods) > 0 {
		m.PerSecond, m.Decided = l.Floods[0].PerSecond, l.Floods[0].Sent
	}
	for _, e := range l.Expectations {
		if !e.Held {
			m.Unheld = append(m.Unheld, e.Name)
		}
	}
	for i, p := range watched {
		after, err := p.cpu()
		if err != nil {
			return m, err
		}
		m.CPU[p.name] = per(after-before[i], m.Decided)
	}
	m.CPU["radload"] = per(own, m.Decided)
	m.Memory, err = s.memory()
	return m, err
}

// per is microseconds for each.
func per(d time.Duration, count uint64) float64 {
	return float64(d) / float64(time.Microsecond) / float64(max(count, 1))
}

// warmUp has everybody log in once where accounts are to be known, and a few elsewhere.
func (b *bench) warmUp(ctx context.Context, c benchCase, s *server) error {
	args := []string{"--outstanding", fmt.Sprint(b.Outstanding), "--duration", "2s", "--new-step"}
	switch {
	case c.known():
		args = []string{"--outstanding", fmt.Sprint(b.Outstanding), "--duration", "1h", "--logins", fmt.Sprint(b.Accounts), "--new-step"}
	case c.load == stranger || c.load == forged:
		args = b.arguments(c)
	}
	l, _, err := b.load(ctx, c, s, args...)
	if err != nil {
		return err
	}
	if !l.Held {
		b.say("  warming up was not without faults")
	}
	return nil
}

// arguments are those of the measurement. Where people log in it begins with a new step, in which none of their codes was used.
func (b *bench) arguments(c benchCase) []string {
	args := []string{"--duration", b.Duration.String()}
	switch c.load {
	case open:
		return append(args, "--rate", fmt.Sprint(b.Rate), "--new-step")
	case stranger:
		return append(args, "--flood", fmt.Sprintf("stranger:%d@127.0.0.99", b.Flood))
	case forged:
		return append(args, "--flood", fmt.Sprintf("forged:%d@127.0.0.1", b.Flood))
	}
	return append(args, "--outstanding", fmt.Sprint(b.Outstanding), "--new-step")
}

// load runs the generator on its cores, and returns its report and its processor time.
func (b *bench) load(ctx context.Context, c benchCase, s *server, args ...string) (l loaded, cpu time.Duration, err error) {
	args = append([]string{
		"-c", b.LoadCores, b.Radload, "run", "--json", "--quiet", "--server", s.address(), "--secret", secret,
		"--master", master, "--count", fmt.Sprint(b.Accounts), "--period", c.period(),
	}, args...)
	cmd := exec.CommandContext(ctx, "taskset", args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.Dir, &out, &errs
	runErr := cmd.Run()
	var exit *exec.ExitError
	if runErr != nil && !errors.As(runErr, &exit) {
		return l, 0, runErr
	}
	if err := json.Unmarshal(out.Bytes(), &l); err != nil { // a run whose expectations did not hold has a report too
		return l, 0, fmt.Errorf("radload: %w\n%s", errors.Join(runErr, err), errs.Bytes())
	}
	return l, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}
