package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"otpgate/cmd/radload/gateway"
)

// limits are what a run may fall short of.
type limits struct {
	lost     int64
	p50, p99 time.Duration
	silence  time.Duration
	rate     float64
}

func (l *limits) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Int64Var(&l.lost, "max-lost", 0, "`logins` that may be lost; -1: any number")
	flags.DurationVar(&l.p50, "max-p50", 0, "median latency of accepted logins at most; 0: any")
	flags.DurationVar(&l.p99, "max-p99", 0, "99th percentile of it at most; 0: any")
	flags.DurationVar(&l.silence, "max-silence", 0, "longest time without an accepted login at most; 0: any")
	flags.Float64Var(&l.rate, "min-rate", 0, "logins decided per second at least")
}

// An expectation is something that should be so, and whether it was.
type expectation struct {
	Name   string `json:"name"`
	Held   bool   `json:"held"`
	Detail string `json:"detail"`
}

// judge says what of all that is expected held.
func (r *report) judge() {
	if r.result != nil {
		r.judgeLogins()
	}
	for _, f := range r.floods {
		r.expect("flood_"+f.Kind.String(), f.Right(), "%d sent, %d answered, %d accepted", f.Sent, f.Answered, f.Accepted)
	}
	r.Held = true
	for _, e := range r.Expectations {
		r.Held = r.Held && e.Held
	}
}

func (r *report) expect(name string, held bool, format string, args ...any) {
	r.Expectations = append(r.Expectations, expectation{name, held, fmt.Sprintf(format, args...)})
}

// judgeLogins looks at the warm-up too: what is wrong is wrong then as well.
func (r *report) judgeLogins() {
	o, l := &r.flags.options, &r.flags.limits
	t := r.result.Measured
	t.Add(&r.result.Warmup)
	r.expect("nobody_in_wrongly", t.WronglyAccepted+t.ReplayAccepted == 0,
		"%d accepted with a wrong, used or missing code, %d replays accepted", t.WronglyAccepted, t.ReplayAccepted)
	r.expect("nobody_out_wrongly", t.WronglyRefused == 0, "%d refused with a right and fresh code", t.WronglyRefused)
	r.expect("answers_signed", t.WronglySigned() == 0, "%d answers wrong in themselves %v", t.WronglySigned(), r.Packets.Faults)
	// Two servers may word the same decision differently.
	r.expect("second_answers_same", t.Opposite == 0 && (t.Different == 0 || len(o.Servers) > 1),
		"%d the same, %d of other octets, %d of another decision", t.Same, t.Different, t.Opposite)
	r.expect("answers_asked_for", t.Unasked+t.Unsettled == 0, "%d more than were asked for, %d to nothing", t.Unasked, t.Unsettled)
	r.expect("few_lost", l.lost < 0 || t.Lost+t.ReplayLost <= uint64(l.lost), "%d logins and %d replays lost", t.Lost, t.ReplayLost)
	r.expect("something_measured", r.result.Measured.Decided > 0, "%d logins decided", r.result.Measured.Decided)
	if o.Wrong < 1 {
		r.expect("somebody_in", t.Accepted > 0, "%d accepted", t.Accepted)
	}
	if o.Replay != gateway.ReplayNever {
		r.expect("replays_refused", t.ReplayRefused > 0, "%d refused, %d left out", t.ReplayRefused, t.ReplayLeftOut)
	}
	if o.Rate > 0 {
		r.expect("offered_in_full", t.Omitted == 0 || r.result.Interrupted, "%d logins could not begin in time", t.Omitted)
		r.expect("devices_sufficed", !r.result.UsedUp, "%d devices", o.Roster.Len())
	}
	if l.p50 > 0 {
		got := r.result.Times.Accepted.Quantile(0.5)
		r.expect("p50", got <= l.p50, "%s, %s at most", got, l.p50)
	}
	if l.p99 > 0 {
		got := r.result.Times.Accepted.Quantile(0.99)
		r.expect("p99", got <= l.p99, "%s, %s at most", got, l.p99)
	}
	if l.silence > 0 {
		r.expect("silence", r.result.Silence <= l.silence, "%s without an accepted login, %s at most", r.result.Silence, l.silence)
	}
	if l.rate > 0 {
		r.expect("rate", r.result.Rate() >= l.rate, "%.0f logins/s, %.0f at least", r.result.Rate(), l.rate)
	}
}
