package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"otpgate/cmd/internal/clock"
	"otpgate/directory"
	"otpgate/enroll"
	"otpgate/enroll/operator"
	"otpgate/metrics"
	"otpgate/otp/audit"
)

// checks are what /readyz, the status command and check --live ask.
func (n *node) checks(now func() time.Time) []metrics.Check {
	return []metrics.Check{
		{Name: "store", Run: n.checkStore(now)},
		{Name: "directories", Run: n.checkDirectories},
		{Name: "audit trail", Run: n.checkAudit},
	}
}

// checkStore also compares clocks.
func (n *node) checkStore(now func() time.Time) func(context.Context) (metrics.State, string) {
	return func(ctx context.Context) (metrics.State, string) {
		before := now()
		at, err := n.store.Ping(ctx)
		after := now()
		switch {
		case err != nil:
			return metrics.NotReady, withWords(err)
		case !n.bound.Load():
			return metrics.NotReady, "it has not been asked yet whether its keyset is ours"
		case at.IsZero():
			return n.concerns()
		}
		if words := n.clock.Compared(before, at, after); words != "" {
			return metrics.Degraded, words
		}
		return n.concerns()
	}
}

// watchClock looks at the clock now and then, whether or not somebody asks for readiness.
func (n *node) watchClock(now func() time.Time) {
	o := clock.Options{Period: n.cfg.OTP.Period, Logger: n.log, Registerer: n.registry, Now: now}
	if n.cfg.Store.Redis != nil {
		o.Store = n.store.Ping
	}
	n.clock = clock.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	n.life.onStop("watching the clock", func(context.Context) error {
		cancel()
		<-ended
		return nil
	})
	go func() {
		defer close(ended)
		n.clock.Run(ctx)
	}()
}

// concerns is what the store works in spite of.
func (n *node) concerns() (metrics.State, string) {
	if n.worries == nil {
		return metrics.OK, ""
	}
	words := n.worries.Concerns()
	if len(words) == 0 {
		return metrics.OK, ""
	}
	return metrics.Degraded, strings.Join(words, "; ")
}

// mayEnroll is nil while the store can be written, and with it the trail that a device has to be on: a code
// by mail is of no use to somebody whose device is refused for want of a record.
func (n *node) mayEnroll(ctx context.Context) (time.Time, error) {
	if n.audit.Required() {
		if err := n.audit.Healthy(); err != nil {
			return time.Time{}, err
		}
	}
	return n.store.Ping(ctx)
}

// directoryPatience is shorter than what a check may take: a directory that hangs is degraded, as
// one that is gone is, and not a check without an answer.
const directoryPatience = 1500 * time.Millisecond

func (n *node) checkDirectories(ctx context.Context) (metrics.State, string) {
	ctx, cancel := context.WithTimeout(ctx, directoryPatience)
	defer cancel()
	var words []string
	for name, err := range n.accounts.Health(ctx) {
		if err != nil {
			words = append(words, fmt.Sprintf("%s: %v", name, err))
		}
	}
	if len(words) == 0 {
		return metrics.OK, ""
	}
	slices.Sort(words)
	return metrics.Degraded, strings.Join(words, "; ")
}

// withWords is an error and, in brackets, what to do about it.
func withWords(err error) string {
	if hint := hintFor(err); hint != "" {
		return err.Error() + " (" + hint + ")"
	}
	return err.Error()
}

func (n *node) checkAudit(context.Context) (metrics.State, string) {
	switch err := n.audit.Healthy(); {
	case err == nil:
		return metrics.OK, ""
	case n.audit.Required():
		return metrics.NotReady, err.Error()
	default:
		return metrics.Degraded, err.Error()
	}
}

// status is the node's health in the operators' words.
func (n *node) status(ctx context.Context) operator.Status {
	h := n.metrics.Health(ctx)
	s := operator.Status{Version: version(), Started: n.started, Draining: h.Draining}
	for _, r := range h.Checks {
		s.Checks = append(s.Checks, operator.Check{Name: r.Name, State: r.State.String(), Detail: r.Words})
	}
	s.Clients = n.gatewayStatus()
	return s
}

// inviter makes invitations, where there is enrollment.
func (n *node) inviter() func(context.Context, *directory.Account) (enroll.Invitation, error) {
	if n.enroll == nil {
		return nil
	}
	return n.enroll.Invite
}

// recordSystem records something about the node itself.
func (n *node) recordSystem(at time.Time, action, detail string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := n.audit.Record(ctx, audit.Event{Time: at, Kind: audit.System, Action: action, Detail: detail}); err != nil {
		n.log.Error("event is not in the audit trail", "action", action, "error", err)
	}
}

// stop takes the node down: first it tells load balancers, then what is in flight gets its answer.
func (n *node) stop() error {
	if n.metrics != nil {
		n.metrics.SetDraining()
		n.log.Info("draining", "each_part_at_most", partTime.String())
	}
	err := n.life.stop()
	n.lines.End()
	return err
}

// addresses lists addresses in one word for the log.
func addresses(list []net.Addr) string {
	words := make([]string, len(list))
	for i, a := range list {
		words[i] = a.String()
	}
	return strings.Join(words, " ")
}
