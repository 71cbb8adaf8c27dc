package bench

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// Table writes what was measured as text of Markdown, with a link to the plot if there is one.
func (r *Report) Table(w io.Writer, plot string) error {
	var b strings.Builder
	r.head(&b)
	r.writeTargets(&b)
	r.writeLogins(&b)
	r.writeScale(&b)
	r.writeNodes(&b)
	r.writeCurves(&b, plot)
	_, err := io.WriteString(w, b.String())
	return err
}

// head says what was measured, where and how.
func (r *Report) head(b *strings.Builder) {
	fmt.Fprintf(b, "Measured %s", r.Date.Format("2006-01-02 15:04"))
	if long := r.Ended.Sub(r.Date); long > 0 {
		fmt.Fprintf(b, " (UTC), in %s", long.Round(time.Minute))
	}
	b.WriteString(":\n\n")
	for _, l := range r.Machine.Lines() {
		fmt.Fprintf(b, "- %s\n", l)
	}
	fmt.Fprintf(b, "- servers and peers on core %s, the generator on core %s\n", r.ServerCores, r.LoadCores)
	fmt.Fprintf(b, "- %s accounts, %d logins outstanding, %g s each; FreeRADIUS with %d threads, or %d where it has no back ends\n",
		thousands(r.Accounts), r.Outstanding, r.Duration, r.Workers, r.Workers/2)
	if r.Command != "" {
		b.WriteString("\n```\n" + r.Command + "\n```\n")
	}
}

func (r *Report) writeTargets(b *strings.Builder) {
	b.WriteString("\n### Targets\n\n| what | target | measured | |\n|---|---|---|---|\n")
	var faults []string
	for _, t := range r.targets() {
		word := "not measured"
		switch {
		case t.known && t.met:
			word = "met"
		case t.known:
			word = "**not met**"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", t.what, t.want, t.got, word)
	}
	for _, c := range cases() {
		for i, m := range r.Cases[c.name] {
			if m.Busy > targetBusy && c.load.logs() {
				faults = append(faults, fmt.Sprintf("`%s`, run %d: the generator used %.0f %% of its core, so that the figure may be its own.", c.name, i+1, 100*m.Busy))
			}
			if !m.Held {
				faults = append(faults, fmt.Sprintf("`%s`, run %d: not all held that was expected: %s.", c.name, i+1, strings.Join(m.Unheld, ", ")))
			}
		}
	}
	if len(faults) > 0 {
		fmt.Fprintf(b, "\nTo be read with care:\n\n- %s\n", strings.Join(faults, "\n- "))
	}
}

// writeLogins is a row for each server.
func (r *Report) writeLogins(b *strings.Builder) {
	var rows []benchCase
	for _, c := range cases() {
		if len(r.Cases[c.name]) > 0 && c.group != groupNodes && c.group != groupScale {
			rows = append(rows, c)
		}
	}
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### Logins\n\nMedians, and the least and the most of %s. CPU in microseconds per login, or per packet where packets are refused. The ratio is to `%s`.\n\n",
		runs(r.Cases, rows), baseline)
	b.WriteString("| case | | per second | ratio | p50 ms | p99 ms | CPU server | slapd | Redis | together | generator | its core | memory MiB | held |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range rows {
		ms := r.Cases[c.name]
		ratio := ""
		if base := r.Cases[baseline]; len(base) > 0 && c.load == closed {
			ratio = fmt.Sprintf("%.2f", median(ms, perSecond)/median(base, perSecond))
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s | %s | %s | %s | %s | %.1f | %s | %.0f %% | %s | %s |\n", c.name, c.what, spread(ms, perSecond), ratio,
			milliseconds(ms, func(m Measurement) float64 { return m.P50 }), milliseconds(ms, func(m Measurement) float64 { return m.P99 }),
			cpu(ms, c.server), cpu(ms, "slapd"), cpu(ms, "redis"), median(ms, servers), cpu(ms, "radload"),
			100*median(ms, func(m Measurement) float64 { return m.Busy }), mebibytes(ms), held(ms))
	}
}

// runs says how many measurements rows have.
func runs(all map[string][]Measurement, rows []benchCase) string {
	var counts []int
	for _, c := range rows {
		counts = append(counts, len(all[c.name]))
	}
	least, most := slices.Min(counts), slices.Max(counts)
	if least == most {
		return fmt.Sprintf("%d runs", most)
	}
	return fmt.Sprintf("%d to %d runs", least, most)
}

// servers is the processor time of all but the generator.
func servers(m Measurement) (sum float64) {
	for name, used := range m.CPU {
		if name != "radload" {
			sum += used
		}
	}
	return sum
}

func cpu(ms []Measurement, process string) string {
	if _, ok := ms[0].CPU[process]; !ok {
		return ""
	}
	return fmt.Sprintf("%.2f", median(ms, cpuOf(process)))
}

func mebibytes(ms []Measurement) string {
	return fmt.Sprintf("%.0f", median(ms, func(m Measurement) float64 { return float64(m.Memory) })/(1<<20))
}

func held(ms []Measurement) string {
	count := 0
	for _, m := range ms {
		if m.Held {
			count++
		}
	}
	return fmt.Sprintf("%d of %d", count, len(ms))
}

// writeScale is a row for each size.
func (r *Report) writeScale(b *strings.Builder) {
	rows := slices.DeleteFunc(cases(), func(c benchCase) bool { return c.group != groupScale || len(r.Cases[c.name]) == 0 })
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### Scale\n\nA node with %s accounts, all of which it knows, and one with %s, side by side; codes of %s. A burst is one login of %[1]s accounts, in a step of "+
		"its own: more codes the small node has not. At the large one they are others every time, from all over its accounts. "+
		"Medians of %[4]s; CPU in microseconds per login.\n\n", thousands(r.Small), thousands(r.Scale), shortPeriod, strings.ReplaceAll(runs(r.Cases, rows), "runs", "times"))
	b.WriteString("| store | accounts | load | logins/s | p50 ms | p99 ms | CPU node | Redis | node MiB | import s | start s | first logins/s | Redis octets per device: imported, used |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range rows {
		ms := r.Cases[c.name]
		accounts, load := r.Small, "bursts"
		if c.large {
			accounts = r.Scale
		}
		if c.name == sustainedCase(c.kind) {
			load = "everybody, one after the other"
		}
		f := func(name, format string) string {
			if v, ok := ms[0].Figures[name]; ok {
				return fmt.Sprintf(format, v)
			}
			return ""
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", storeName(c.kind), thousands(accounts), load, spread(ms, perSecond),
			milliseconds(ms, func(m Measurement) float64 { return m.P50 }), milliseconds(ms, func(m Measurement) float64 { return m.P99 }),
			cpu(ms, "otpgate"), cpu(ms, "redis"), mebibytes(ms), f(figureImport, "%.1f"), f(figureStart, "%.2f"), f(figureKnown, "%.0f"),
			strings.TrimSuffix(f(figureRedis, "%.0f, ")+f(figureRedisUsed, "%.0f"), ", "))
	}
}

// writeNodes is a row for each number of nodes.
func (r *Report) writeNodes(b *strings.Builder) {
	rows := slices.DeleteFunc(cases(), func(c benchCase) bool { return c.group != groupNodes || len(r.Cases[c.name]) == 0 })
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### Several nodes\n\nNodes that share a store, or have one each, all on the same core, with %d logins outstanding at each; medians of %s. CPU in microseconds per login, of all nodes and all servers of Redis together; a batch is the logins that a node claims at once.\n\n",
		r.Outstanding, runs(r.Cases, rows))
	b.WriteString("| | logins/s | CPU nodes | Redis | together | in a batch | p50 ms | p99 ms | held |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range rows {
		ms := r.Cases[c.name]
		fmt.Fprintf(b, "| %s | %s | %s | %s | %.1f | %s | %s | %s | %s |\n", c.what, spread(ms, perSecond), cpu(ms, "otpgate"), cpu(ms, "redis"), median(ms, servers), batch(ms),
			milliseconds(ms, func(m Measurement) float64 { return m.P50 }), milliseconds(ms, func(m Measurement) float64 { return m.P99 }), held(ms))
	}
}

// batch is how many logins go to Redis at once; empty where nobody has counted.
func batch(ms []Measurement) string {
	size := median(ms, func(m Measurement) float64 { return m.Figures[figureBatch] })
	if size == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", size)
}

// writeCurves is a row for each rate, for those who do not see the plot.
func (r *Report) writeCurves(b *strings.Builder, plot string) {
	if len(r.Curves) == 0 {
		return
	}
	b.WriteString("\n### Latency over throughput\n")
	if plot != "" {
		fmt.Fprintf(b, "\n![Latency of logins over their rate: the table below has the figures](%s)\n", plot)
	}
	fmt.Fprintf(b, "\nWho has no answer within %s is given up, and counts as one who waited longer.\n", curvePatience)
	b.WriteString("\n| server | offered/s | decided/s | p50 ms | p99 ms | unanswered |\n|---|---|---|---|---|---|\n")
	for _, name := range curved() {
		c, _ := caseOf(name)
		for _, p := range r.points(name) {
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %.1f %% |\n", c.what, thousands(int(p.Offered)), thousands(int(p.PerSecond)),
				upToPatience(p.P50), upToPatience(p.P99), 100*p.Unanswered)
		}
	}
}

// upToPatience writes a latency of a curve in milliseconds, as far as it is known.
func upToPatience(seconds float64) string {
	if most := curvePatience.Seconds(); seconds >= most {
		return fmt.Sprintf("over %.0f", 1e3*most)
	}
	return fmt.Sprintf("%.2f", 1e3*seconds)
}

// What is between these lines is written by the bench; everything else is a person's, and stays.
const (
	resultsBegin = "<!-- radload bench writes from here -->"
	resultsEnd   = "<!-- to here -->"
)

// WriteResults puts what was measured into a file of Markdown, in place of what was there before.
func (r *Report) WriteResults(file, plot string) error {
	var table strings.Builder
	if err := r.Table(&table, plot); err != nil {
		return err
	}
	old, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		old = []byte("# Results\n\n" + resultsBegin + "\n" + resultsEnd + "\n")
	} else if err != nil {
		return err
	}
	text, err := between(string(old), table.String())
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

// between replaces what is between the two lines.
func between(text, with string) (string, error) {
	before, rest, ok := strings.Cut(text, resultsBegin+"\n")
	_, after, end := strings.Cut(rest, resultsEnd)
	if !ok || !end || strings.Contains(after, resultsBegin) {
		return "", fmt.Errorf("it does not say where results belong: once %q, and later %q", resultsBegin, resultsEnd)
	}
	return before + resultsBegin + "\n\n" + strings.TrimSpace(with) + "\n\n" + resultsEnd + after, nil
}
