package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Report is all that was measured, and on what.
type Report struct {
	Date        time.Time                `json:"date"`
	Machine     []string                 `json:"machine"` // processor, system, versions
	Accounts    int                      `json:"accounts"`
	Outstanding int                      `json:"outstanding"`
	Cases       map[string][]Measurement `json:"cases"`
	Curves      map[string][]Point       `json:"curves,omitempty"` // latency over the rate

	order []benchCase
}

func (r *Report) add(c benchCase, m Measurement) {
	if r.Cases[c.name] == nil {
		r.order = append(r.order, c)
	}
	r.Cases[c.name] = append(r.Cases[c.name], m)
}

// describe is the report before anything was measured.
func (b *bench) describe(ctx context.Context) *Report {
	r := &Report{Date: b.Now().UTC(), Accounts: b.Accounts, Outstanding: b.Outstanding, Cases: map[string][]Measurement{}, Curves: map[string][]Point{}}
	r.Machine = append(r.Machine, fmt.Sprintf("%s, %d cores, servers on %s, generator on %s", processor(), runtime.NumCPU(), b.ServerCores, b.LoadCores))
	for _, command := range [][]string{
		{"uname", "-sr"}, {"freeradius", "-v"}, {"slapd", "-VV"}, {"redis-server", "--version"}, {b.Otpgate, "--version"},
	} {
		out, _ := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput() // slapd says it and fails
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		r.Machine = append(r.Machine, strings.Join(strings.Fields(first), " "))
	}
	r.Machine = append(r.Machine, runtime.Version())
	return r
}

// processor is the name of the machine's processor.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // elsewhere it has no name
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return "a processor without a name"
}

// median is that of what each measurement has.
func median(ms []Measurement, of func(Measurement) float64) float64 {
	var all []float64
	for _, m := range ms {
		all = append(all, of(m))
	}
	slices.Sort(all)
	if n := len(all); n%2 == 0 {
		return (all[n/2-1] + all[n/2]) / 2
	}
	return all[len(all)/2]
}

// milliseconds is the median of seconds; nothing for packets that are not answered.
func milliseconds(ms []Measurement, of func(Measurement) float64) string {
	if m := median(ms, of); m > 0 {
		return fmt.Sprintf("%.2f", 1e3*m)
	}
	return ""
}

// Table writes the medians as a table of Markdown.
func (r *Report) Table(w io.Writer) error {
	var b strings.Builder
	runs := 0
	for _, ms := range r.Cases {
		runs = max(runs, len(ms))
	}
	fmt.Fprintf(&b, "Measured %s; %d accounts, %d outstanding, median of %d runs.\n\n", r.Date.Format(time.DateOnly), r.Accounts, r.Outstanding, runs)
	for _, m := range r.Machine {
		fmt.Fprintf(&b, "- %s\n", m)
	}
	b.WriteString("\nCPU in microseconds per login, or per packet where packets are refused.\n\n")
	b.WriteString("| case | per second | ratio | p50 ms | p99 ms | CPU server | slapd | Redis | generator | memory MiB | held |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	base := 0.0
	if ms := r.Cases[baseline]; len(ms) > 0 {
		base = median(ms, func(m Measurement) float64 { return m.PerSecond })
	}
	for _, c := range r.order {
		ms := r.Cases[c.name]
		rate := median(ms, func(m Measurement) float64 { return m.PerSecond })
		ratio := ""
		if base > 0 && c.load == closed {
			ratio = fmt.Sprintf("%.2f", rate/base)
		}
		cpu := func(name string) string {
			if _, ok := ms[0].CPU[name]; !ok {
				return ""
			}
			return fmt.Sprintf("%.1f", median(ms, func(m Measurement) float64 { return m.CPU[name] }))
		}
		held := 0
		for _, m := range ms {
			if m.Held {
				held++
			}
		}
		fmt.Fprintf(&b, "| %s | %.0f | %s | %s | %s | %s | %s | %s | %s | %.0f | %d of %d |\n", c.what, rate, ratio,
			milliseconds(ms, func(m Measurement) float64 { return m.P50 }), milliseconds(ms, func(m Measurement) float64 { return m.P99 }),
			cpu(c.server), cpu("slapd"), cpu("redis"), cpu("radload"),
			median(ms, func(m Measurement) float64 { return float64(m.Memory) })/(1<<20), held, len(ms))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
