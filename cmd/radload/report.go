package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"otpgate/cmd/internal/console"
	"otpgate/cmd/radload/flood"
	"otpgate/cmd/radload/gateway"
	"otpgate/cmd/radload/latency"
	"otpgate/cmd/radload/packet"
)

// report is what came of a run, as --json prints it. Names stay as they are: scripts read them.
type report struct {
	Began        time.Time              `json:"began"`
	Servers      []string               `json:"servers"`
	Load         *loadReport            `json:"load,omitempty"`
	Logins       *loginReport           `json:"logins,omitempty"`
	Packets      *packetReport          `json:"packets,omitempty"`
	Replays      *replayReport          `json:"replays,omitempty"`
	Latency      map[string]timesReport `json:"latency_seconds,omitempty"` // by accepted, refused, exchange
	Floods       []floodReport          `json:"floods,omitempty"`
	Generator    generatorReport        `json:"generator"`
	Expectations []expectation          `json:"expectations"`
	Mistakes     []mistakeReport        `json:"mistakes,omitempty"` // some of the logins that were decided wrongly
	Held         bool                   `json:"held"`

	flags  *runFlags
	result *gateway.Result
	floods []*flood.Result
}

type loadReport struct {
	Devices         int     `json:"devices"`
	Login           string  `json:"login"`
	OfferedRate     float64 `json:"offered_logins_per_second,omitempty"`
	Outstanding     int     `json:"outstanding,omitempty"`
	Each            bool    `json:"outstanding_at_each_server,omitempty"`
	WarmupSeconds   float64 `json:"warmup_seconds"`
	ElapsedSeconds  float64 `json:"elapsed_seconds"`
	Ports           int     `json:"ports"`
	LoginsPerSecond float64 `json:"logins_per_second"`
	UsedUp          bool    `json:"devices_used_up"`
	Silence         float64 `json:"longest_silence_seconds"` // without an accepted login
}

// loginReport is of what was measured; faults of the warm-up are in the expectations.
type loginReport struct {
	Begun           uint64 `json:"begun"`
	Accepted        uint64 `json:"accepted"`
	Refused         uint64 `json:"refused"`
	Repeated        uint64 `json:"refused_as_repeated"`
	WronglyAccepted uint64 `json:"wrongly_accepted"`
	WronglyRefused  uint64 `json:"wrongly_refused"`
	Lost            uint64 `json:"lost"`
	Unfinished      int    `json:"unfinished"`
	Waited          uint64 `json:"waited_for_identifier"`
	Omitted         uint64 `json:"omitted"`
}

type packetReport struct {
	Sent          uint64            `json:"sent"`
	Resent        uint64            `json:"resent"`
	Answered      uint64            `json:"answered"`
	Late          uint64            `json:"late"`
	Same          uint64            `json:"doubled_same"`
	Different     uint64            `json:"doubled_different"`
	Opposite      uint64            `json:"doubled_opposite"`
	Unasked       uint64            `json:"doubled_unasked"`
	Unsettled     uint64            `json:"to_nothing"`
	WronglySigned uint64            `json:"wrongly_signed"`
	Faults        map[string]uint64 `json:"faults,omitempty"`
	Unreached     uint64            `json:"nobody_listened"`
	SendErrors    uint64            `json:"send_errors"`
}

type replayReport struct {
	Sent     uint64 `json:"sent"`
	Refused  uint64 `json:"refused"`
	Accepted uint64 `json:"accepted"`
	Lost     uint64 `json:"lost"`
	LeftOut  uint64 `json:"left_out"`
}

// mistakeReport is a login to look for in the logs of the servers.
type mistakeReport struct {
	What     string    `json:"what"`
	Account  string    `json:"account"`
	Step     int64     `json:"step"`
	Repeats  bool      `json:"code_of_another_step_too"`
	Server   string    `json:"asked_first"`
	Asked    time.Time `json:"asked"`
	Answered time.Time `json:"answered"`
}

type timesReport struct {
	Count uint64  `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

type floodReport struct {
	Kind           string  `json:"kind"`
	Sent           uint64  `json:"sent"`
	PerSecond      float64 `json:"packets_per_second"`
	Answered       uint64  `json:"answered"`
	Accepted       uint64  `json:"accepted"`
	SendErrors     uint64  `json:"send_errors"`
	ElapsedSeconds float64 `json:"elapsed_seconds"`
}

// generatorReport is what it took to load: near one core and above, the figures are those of the generator.
type generatorReport struct {
	CPUSeconds     float64 `json:"cpu_seconds"`
	ElapsedSeconds float64 `json:"elapsed_seconds"` // of what the processor time is of
}

// run has the logins and the floods go on side by side. Floods end with the logins.
func (r *report) run(ctx context.Context, logins bool, floods []flood.Options) error {
	o := &r.flags.options
	used, began := cpuUsed(), o.Now()
	defer func() {
		r.Generator = generatorReport{(cpuUsed() - used).Seconds(), o.Now().Sub(began).Seconds()}
	}()
	flooding, end := context.WithCancel(ctx)
	defer end()
	r.floods = make([]*flood.Result, len(floods))
	errs := make([]error, len(floods)+1)
	var all sync.WaitGroup
	for i, f := range floods {
		all.Go(func() { r.floods[i], errs[i] = flood.Run(flooding, f) })
	}
	if logins {
		if r.result, errs[len(floods)] = gateway.Run(ctx, *o); errs[len(floods)] != nil {
			end()
		}
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, s := range o.Servers {
		r.Servers = append(r.Servers, s.String())
	}
	for _, f := range r.floods {
		r.Floods = append(r.Floods, floodReport{
			Kind: f.Kind.String(), Sent: f.Sent, PerSecond: float64(f.Sent) / max(f.Elapsed.Seconds(), 1e-9), Answered: f.Answered,
			Accepted: f.Accepted, SendErrors: f.SendErrors, ElapsedSeconds: f.Elapsed.Seconds(),
		})
	}
	if r.result != nil {
		r.fill()
	}
	return nil
}

// fill copies the result of the logins.
func (r *report) fill() {
	o, g := &r.flags.options, r.result
	t := &g.Measured
	r.Load = &loadReport{
		Devices: o.Roster.Len(), Login: r.flags.login, OfferedRate: o.Rate, Outstanding: o.Outstanding, Each: o.Each,
		WarmupSeconds: o.Warmup.Seconds(), ElapsedSeconds: g.Elapsed.Seconds(), Ports: g.Lanes,
		LoginsPerSecond: g.Rate(), UsedUp: g.UsedUp, Silence: g.Silence.Seconds(),
	}
	r.Logins = &loginReport{
		Begun: t.Begun, Accepted: t.Accepted, Refused: t.Refused, Repeated: t.Repeated, WronglyAccepted: t.WronglyAccepted,
		WronglyRefused: t.WronglyRefused, Lost: t.Lost, Unfinished: g.Unfinished, Waited: t.Waited, Omitted: t.Omitted,
	}
	r.Packets = &packetReport{
		Sent: t.Sent, Resent: t.Resent, Answered: t.Answered, Late: t.Late, Same: t.Same, Different: t.Different,
		Opposite: t.Opposite, Unasked: t.Unasked, Unsettled: t.Unsettled, WronglySigned: t.WronglySigned(),
		Unreached: t.Unreached, SendErrors: t.SendErrors, Faults: map[string]uint64{},
	}
	for fault, n := range t.Wrong {
		if n > 0 {
			r.Packets.Faults[packet.Fault(fault).String()] = n
		}
	}
	if o.Replay != gateway.ReplayNever {
		r.Replays = &replayReport{t.Replayed, t.ReplayRefused, t.ReplayAccepted, t.ReplayLost, t.ReplayLeftOut}
	}
	for _, m := range g.Mistakes {
		r.Mistakes = append(r.Mistakes, mistakeReport{
			m.Kind.String(), m.Account, m.Step, m.Repeats, o.Servers[m.Server].String(), m.Asked.UTC(), m.Answered.UTC(),
		})
	}
	r.Latency = map[string]timesReport{
		"accepted": timesOf(&g.Times.Accepted), "refused": timesOf(&g.Times.Refused), "exchange": timesOf(&g.Times.Exchange),
	}
}

func timesOf(h *latency.Histogram) timesReport {
	return timesReport{
		Count: h.Count(), Mean: h.Mean().Seconds(), P50: h.Quantile(0.5).Seconds(), P90: h.Quantile(0.9).Seconds(),
		P99: h.Quantile(0.99).Seconds(), P999: h.Quantile(0.999).Seconds(), Max: h.Max().Seconds(),
	}
}

// print prints JSON or tables.
func (r *report) print(w io.Writer, json bool) error {
	if json {
		return console.PrintJSON(w, r)
	}
	if r.result != nil {
		if err := r.printLogins(w); err != nil {
			return err
		}
	}
	return console.Table(w, func(w io.Writer) {
		for _, f := range r.Floods {
			fmt.Fprintf(w, "flood of %s\t%.0f packets/s\t%d sent\t%d answered\n", f.Kind, f.PerSecond, f.Sent, f.Answered)
		}
		for _, e := range r.Expectations {
			word := "held"
			if !e.Held {
				word = "NOT HELD"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", e.Name, word, e.Detail)
		}
		for _, m := range r.Mistakes {
			fmt.Fprintf(w, "%s\t%s\t%s\n", m.What, m.Account, m.detail())
		}
	})
}

func (m *mistakeReport) detail() string {
	text := fmt.Sprintf("step %d, asked %s first at %s, answered at %s", m.Step, m.Server,
		m.Asked.Format("15:04:05.000"), m.Answered.Format("15:04:05.000"))
	if m.Repeats {
		text += "; its code is that of another step, too"
	}
	return text
}

func (r *report) printLogins(w io.Writer) error {
	l, p, load := r.Logins, r.Packets, r.Load
	fmt.Fprintf(w, "%.0f logins/s for %.1f s", load.LoginsPerSecond, load.ElapsedSeconds)
	switch {
	case load.OfferedRate > 0:
		fmt.Fprintf(w, ", %.0f offered\n\n", load.OfferedRate)
	case load.Each:
		fmt.Fprintf(w, ", %d outstanding at each server\n\n", load.Outstanding)
	default:
		fmt.Fprintf(w, ", %d outstanding\n\n", load.Outstanding)
	}
	fmt.Fprintf(w, "The longest time without an accepted login was %s.\n\n", short(load.Silence))
	if load.UsedUp {
		fmt.Fprintf(w, "The %d devices were used up: each logs in once per step. More devices, or --reuse, make it last.\n\n", load.Devices)
	}
	err := console.Table(w, func(w io.Writer) {
		fmt.Fprintf(w, "latency\tp50\tp90\tp99\tp99.9\tmax\tcount\n")
		for _, name := range []string{"accepted", "refused", "exchange"} {
			if t := r.Latency[name]; t.Count > 0 {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\n", name, short(t.P50), short(t.P90), short(t.P99), short(t.P999), short(t.Max), t.Count)
			}
		}
	})
	fmt.Fprintf(w, "\nlogins   %d begun, %d accepted, %d refused, %d lost, %d unfinished; wrongly: %d accepted, %d refused\n",
		l.Begun, l.Accepted, l.Refused, l.Lost, l.Unfinished, l.WronglyAccepted, l.WronglyRefused)
	fmt.Fprintf(w, "packets  %d sent, %d again, %d answered, %d late, %d wrongly signed; doubled: %d the same, %d different, %d opposite\n",
		p.Sent, p.Resent, p.Answered, p.Late, p.WronglySigned, p.Same, p.Different, p.Opposite)
	if x := r.Replays; x != nil {
		fmt.Fprintf(w, "replays  %d sent, %d refused, %d accepted, %d lost, %d left out\n", x.Sent, x.Refused, x.Accepted, x.Lost, x.LeftOut)
	}
	fmt.Fprintln(w)
	return err
}

// short is seconds in a few digits.
func short(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}

// tell says how it goes.
func (p *program) tell(g gateway.Progress) {
	t := &g.Tally
	fmt.Fprintf(p.err, "%4.0fs  %d accepted, %d refused, %d lost, %d wrong, %d outstanding, p50 %s, p99 %s\n",
		g.Since.Seconds(), t.Accepted, t.Refused+t.ReplayRefused, t.Lost, t.WronglyAccepted+t.WronglyRefused+t.WronglySigned()+t.Opposite,
		g.Outstanding, short(g.P50.Seconds()), short(g.P99.Seconds()))
}
