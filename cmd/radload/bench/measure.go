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

	"otpgate/cmd/radload/bench/machine"
)

// Measurement is one case, once.
type Measurement struct {
	PerSecond float64            `json:"per_second"` // logins, or packets of a flood that the server has refused
	P50       float64            `json:"p50_seconds"`
	P99       float64            `json:"p99_seconds"`
	CPU       map[string]float64 `json:"cpu_microseconds"` // per login or packet, by process
	Memory    int64              `json:"memory_octets"`    // of the server, or of all nodes
	Decided   uint64             `json:"decided"`
	// Unanswered is the share of the logins that were due and had no answer, or had not begun by the end.
	Unanswered float64            `json:"unanswered,omitempty"`
	Busy       float64            `json:"generator_busy"` // share of one core that the generator used
	Held       bool               `json:"held"`           // everything that was expected
	Unheld     []string           `json:"unheld,omitempty"`
	Figures    map[string]float64 `json:"figures,omitempty"` // what a case has beside that
}

// Figures that a case may have beside the usual ones.
const (
	figureOffered     = "offered_per_second"
	figureAllocations = "allocations_per_packet"
	figureBatch       = "claims_per_pipeline"      // to Redis
	figureStart       = "start_seconds"            // until a node was ready
	figureImport      = "import_seconds"           // of all devices
	figureKnown       = "first_logins_per_second"  // of accounts that the node did not know
	figureRedis       = "redis_octets_per_device"  // after the import
	figureRedisUsed   = "redis_octets_per_account" // after everybody has logged in
)

// String is for whoever waits.
func (m Measurement) String() string {
	text := fmt.Sprintf("%.0f/s, p50 %.2f ms, p99 %.2f ms, %d MiB, CPU", m.PerSecond, m.P50*1e3, m.P99*1e3, m.Memory>>20)
	for _, name := range slices.Sorted(maps.Keys(m.CPU)) {
		text += fmt.Sprintf(" %s %.2f us", name, m.CPU[name])
	}
	for _, name := range slices.Sorted(maps.Keys(m.Figures)) {
		text += fmt.Sprintf(", %s %.4g", name, m.Figures[name])
	}
	text += fmt.Sprintf(", generator %.0f %% busy", 100*m.Busy)
	if !m.Held {
		text += fmt.Sprintf(" (not held: %v)", m.Unheld)
	}
	return text
}

// job is one load, and who works at it.
type job struct {
	servers []*server
	peers   []*machine.Process
	codes   *ledger // whose turn it is; nil: nobody logs in
	devices string  // file of those who log in, instead of the ledger's
	count   int     // accounts that it takes at most; 0: all
	long    time.Duration
	args    []string
}

// perform waits until there are codes, loads the servers, and looks at what that cost.
func (b *bench) perform(ctx context.Context, j job) (m Measurement, err error) {
	args := append(slices.Clone(j.args), "--duration", j.long.String())
	first := 0
	if j.codes != nil {
		if j.count <= 0 {
			j.count = j.codes.accounts
		}
		if first, err = b.reserve(ctx, j.codes, j.count, j.long); err != nil {
			return m, err
		}
		if j.devices == "" {
			args = append(args, "--first", fmt.Sprint(first))
			args = append(args, j.codes.flags()...)
		} else {
			args = append(args, "--devices", j.devices)
		}
	}
	watched := slices.Clone(j.peers)
	for _, s := range j.servers {
		watched = append(watched, s.Process)
	}
	before, l, after, err := b.watched(ctx, watched, j.servers, args)
	if err != nil {
		return m, err
	}
	if j.codes != nil {
		if err := j.codes.used(b.Now(), first, int(l.Logins.Begun)); err != nil {
			return m, err
		}
	}
	m = l.measurement()
	if len(l.Floods) > 0 {
		m.refused(l, before, after)
	} else if pipelines := after.pipelines - before.pipelines; pipelines > 0 {
		m.Figures = map[string]float64{figureBatch: (after.claims - before.claims) / pipelines}
	}
	made := m.Decided
	if len(l.Floods) > 0 {
		made = l.Floods[0].Sent
	}
	m.CPU = map[string]float64{"radload": per(l.cpu(), made)}
	for i, p := range watched {
		m.CPU[p.Name] += per(after.cpu[i]-before.cpu[i], m.Decided)
	}
	m.Memory = after.memory
	return m, nil
}

// watched loads the servers, and looks at them before and after. What it costs them to be looked at is in neither
// view's processor time.
func (b *bench) watched(ctx context.Context, processes []*machine.Process, servers []*server, args []string) (before view, l loaded, after view, err error) {
	if before, err = b.look(ctx, servers); err != nil {
		return before, l, after, err
	}
	if before.cpu, err = used(processes); err != nil {
		return before, l, after, err
	}
	if l, err = b.load(ctx, servers, args...); err != nil {
		return before, l, after, err
	}
	cpu, err := used(processes)
	if err != nil {
		return before, l, after, err
	}
	after, err = b.look(ctx, servers)
	after.cpu = cpu
	return before, l, after, err
}

// refused are packets that the server has thrown away: that is less than were sent, where it did not keep up.
func (m *Measurement) refused(l loaded, before, after view) {
	f := l.Floods[0]
	m.Decided = uint64(after.discarded - before.discarded)
	m.PerSecond = float64(m.Decided) / max(f.Elapsed, 1e-9)
	m.Figures = map[string]float64{
		figureOffered:     f.PerSecond,
		figureAllocations: (after.allocations - before.allocations) / max(float64(m.Decided), 1),
	}
}

// view is what servers and peers have used until a moment.
type view struct {
	cpu                    []time.Duration
	memory                 int64
	discarded, allocations float64 // by all nodes
	claims, pipelines      float64
}

// look asks all nodes. They count what they allocate for that as well: it is little.
func (b *bench) look(ctx context.Context, servers []*server) (v view, err error) {
	for _, s := range servers {
		if s.metrics != 0 {
			n, err := s.counters(ctx)
			if err != nil {
				return v, err
			}
			v.discarded += n["otpgate_radius_packets_discarded_total"]
			v.allocations += n["go_memstats_mallocs_total"]
			v.claims += n["otpgate_store_pipeline_claims_sum"]
			v.pipelines += n["otpgate_store_pipeline_claims_count"]
		}
		memory, err := s.Memory()
		if err != nil {
			return v, err
		}
		v.memory += memory
	}
	return v, nil
}

// used is how much processor time each has used.
func used(processes []*machine.Process) (all []time.Duration, err error) {
	for _, p := range processes {
		cpu, err := p.CPU()
		if err != nil {
			return nil, err
		}
		all = append(all, cpu)
	}
	return all, nil
}

// per is microseconds for each.
func per(d time.Duration, count uint64) float64 {
	return float64(d) / float64(time.Microsecond) / float64(max(count, 1))
}

// loaded is of the generator's report what is needed here.
type loaded struct {
	Load struct {
		PerSecond float64 `json:"logins_per_second"`
		Elapsed   float64 `json:"elapsed_seconds"`
	} `json:"load"`
	Logins struct {
		Begun          uint64 `json:"begun"`
		Accepted       uint64 `json:"accepted"`
		Refused        uint64 `json:"refused"`
		WronglyRefused uint64 `json:"wrongly_refused"`
		Lost           uint64 `json:"lost"`
		Omitted        uint64 `json:"omitted"`
	} `json:"logins"`
	Latency map[string]struct {
		P50 float64 `json:"p50"`
		P99 float64 `json:"p99"`
	} `json:"latency_seconds"`
	Floods []struct {
		Sent      uint64  `json:"sent"`
		PerSecond float64 `json:"packets_per_second"`
		Elapsed   float64 `json:"elapsed_seconds"`
	} `json:"floods"`
	Expectations []struct {
		Name string `json:"name"`
		Held bool   `json:"held"`
	} `json:"expectations"`
	Generator struct {
		CPU     float64 `json:"cpu_seconds"`
		Elapsed float64 `json:"elapsed_seconds"`
	} `json:"generator"`
	Held bool `json:"held"`
}

// measurement is what the generator knows of one.
func (l *loaded) measurement() Measurement {
	m := Measurement{
		PerSecond: l.Load.PerSecond, P50: l.Latency["accepted"].P50, P99: l.Latency["accepted"].P99,
		Decided: l.Logins.Accepted + l.Logins.Refused + l.Logins.WronglyRefused, Held: l.Held,
		Busy:       l.Generator.CPU / max(l.Generator.Elapsed, 1e-9),
		Unanswered: float64(l.Logins.Lost+l.Logins.Omitted) / float64(max(l.Logins.Begun+l.Logins.Omitted, 1)),
	}
	for _, e := range l.Expectations {
		if !e.Held {
			m.Unheld = append(m.Unheld, e.Name)
		}
	}
	return m
}

// cpu is what the generator used while it loaded, without what it took to make the devices.
func (l *loaded) cpu() time.Duration { return time.Duration(l.Generator.CPU * float64(time.Second)) }

// load runs the generator on its cores, and returns its report.
func (b *bench) load(ctx context.Context, servers []*server, args ...string) (l loaded, err error) {
	all := []string{"-c", b.LoadCores, b.Radload, "run", "--json", "--quiet", "--secret", secret}
	for _, s := range servers {
		all = append(all, "--server", s.address())
	}
	cmd := exec.CommandContext(ctx, "taskset", append(all, args...)...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = b.Dir, &out, &errs, machine.Apart()
	runErr := cmd.Run()
	var exit *exec.ExitError
	if runErr != nil && !errors.As(runErr, &exit) {
		return l, runErr
	}
	if ctx.Err() != nil {
		return l, ctx.Err()
	}
	if err := json.Unmarshal(out.Bytes(), &l); err != nil { // a run whose expectations did not hold has a report too
		return l, fmt.Errorf("radload: %w\n%s", errors.Join(runErr, err), errs.Bytes())
	}
	return l, nil
}
