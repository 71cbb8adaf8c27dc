package metrics

import (
	"context"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	checkTime = 2 * time.Second // how long a check may take
	keepTime  = time.Second     // how long an answer is good for
)

// State says how well something works; the greater, the worse.
type State uint8

const (
	OK       State = iota // works
	Degraded              // logins pass, but something is missing
	NotReady              // logins do not pass here: ask another node
)

// String returns "ok", "degraded" or "not_ready"; a state that does not exist is "not_ready".
func (s State) String() string {
	switch s {
	case OK:
		return "ok"
	case Degraded:
		return "degraded"
	default:
		return "not_ready"
	}
}

// MarshalText returns [State.String].
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Check asks a part of the node, or a peer, whether it works.
type Check struct {
	// Name tells people what was asked: "store", "directory corp".
	Name string
	// Run answers with a state and words for people, which may be empty. Its context ends after
	// two seconds; what it answers later is ignored. It is never called twice at a time.
	Run func(ctx context.Context) (State, string)
}

// Health is the state of a node.
type Health struct {
	// State is the worst of all checks, and NotReady while the node drains.
	State State `json:"state"`
	// Draining is set once the node has begun to stop.
	Draining bool `json:"draining"`
	// Checks are in the order of the options.
	Checks []Result `json:"checks"`
}

// Result is what one check answered.
type Result struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	Words string `json:"words,omitempty"`
}

// watcher runs the checks, and remembers for [keepTime] what they answered.
type watcher struct {
	log      *slog.Logger
	now      func() time.Time
	probes   []*probe
	draining atomic.Bool

	mu      sync.Mutex // held while the checks run: who comes second waits for the first one's answer
	asked   time.Time
	results []Result
}

func newWatcher(checks []Check, log *slog.Logger, now func() time.Time) *watcher {
	w := &watcher{log: log, now: now}
	for _, c := range checks {
		w.probes = append(w.probes, &probe{check: c, log: log})
	}
	return w
}

func (w *watcher) health(ctx context.Context) Health {
	h := Health{Draining: w.draining.Load(), Checks: w.ask(context.WithoutCancel(ctx))}
	for _, r := range h.Checks {
		h.State = max(h.State, r.State)
	}
	if h.Draining {
		h.State = NotReady
	}
	return h
}

// ask returns the answers of all checks, which the caller may keep.
func (w *watcher) ask(ctx context.Context) []Result {
	w.mu.Lock()
	defer w.mu.Unlock()
	if age := w.now().Sub(w.asked); w.results == nil || age < 0 || age >= keepTime {
		w.results = w.run(ctx)
		w.asked = w.now() // after the answers: they are new now
	}
	return append([]Result{}, w.results...)
}

func (w *watcher) run(ctx context.Context) []Result {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	results := make([]Result, len(w.probes))
	var wg sync.WaitGroup
	for i, p := range w.probes {
		wg.Go(func() { results[i] = p.ask(ctx) })
	}
	wg.Wait()
	return results
}

// probe runs one check, never twice at a time.
type probe struct {
	check Check
	log   *slog.Logger
	busy  atomic.Bool // an earlier run has not come back
}

// ask returns the answer of the check, or that there is none, when ctx ends at the latest.
func (p *probe) ask(ctx context.Context) Result {
	none := Result{Name: p.check.Name, State: NotReady, Words: "no answer"}
	if !p.busy.CompareAndSwap(false, true) {
		return none
	}
	answer := make(chan Result, 1)
	go func() {
		defer p.busy.Store(false)
		answer <- p.run(ctx)
	}()
	select {
	case r := <-answer:
		return r
	case <-ctx.Done():
		return none
	}
}

func (p *probe) run(ctx context.Context) (r Result) {
	defer func() {
		if cause := recover(); cause != nil {
			p.log.Error("readiness check panicked", "check", p.check.Name, "panic", cause, "stack", string(debug.Stack()))
			r = Result{Name: p.check.Name, State: NotReady, Words: "the check failed; see the log"}
		}
	}()
	state, words := p.check.Run(ctx)
	// One line, whatever a peer put into its error.
	return Result{Name: p.check.Name, State: min(state, NotReady), Words: strings.Join(strings.Fields(words), " ")}
}
