package enroll

import (
	"context"
	"sync"
	"time"
)

// hold waits until a request that came in at arrival may be answered: at the first multiple of
// AnswerAfter. Work that took different times on different accounts then took the same time for
// whoever measures it.
func (s *Server) hold(ctx context.Context, arrival time.Time) {
	passed := max(s.o.Now().Sub(arrival), 0)
	timer := time.NewTimer(s.o.AnswerAfter - passed%s.o.AnswerAfter)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// readiness remembers for a moment whether directories and store are there. Whether a request for
// a code is answered with 503 depends on this only, never on the address that it names.
type readiness struct {
	every time.Duration
	ask   func(context.Context) error
	now   func() time.Time

	mu  sync.Mutex
	at  time.Time
	err error
}

// check returns what was found last, or asks, once for all who want to know.
func (r *readiness) check(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := r.now().Sub(r.at); r.at.IsZero() || age < 0 || age >= r.every {
		// Not this request's context: somebody who hangs up must not make it look bad for others.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readinessTimeout)
		defer cancel()
		r.err = r.ask(ctx)
		r.at = r.now()
	}
	return r.err
}

const (
	readinessEvery   = time.Second
	readinessTimeout = 3 * time.Second
)

// ready asks directories and store.
func (s *Server) ready(ctx context.Context) error {
	for _, err := range s.o.Accounts.Health(ctx) {
		if err != nil {
			return err
		}
	}
	_, err := s.o.Ping(ctx)
	return err
}
