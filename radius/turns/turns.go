// Package turns lets one at a time through for each name, or a few.
package turns

import (
	"context"
	"sync"
)

// Turns are those of all names; the zero value is ready. It grows with those who are through or wait,
// and with nothing else: whoever lets many in bounds it.
type Turns struct {
	Beside int // how many more are through at a time; must not change

	mu    sync.Mutex
	taken map[string]*turn
}

type turn struct {
	through chan struct{} // holds one element for each who is through
	users   int           // through, or waiting; guarded by Turns.mu
}

// Take waits for the turn of name, and returns how to give it up, which must be called once. Its error is
// the cause of ctx's end.
func (t *Turns) Take(ctx context.Context, name string) (leave func(), err error) {
	t.mu.Lock()
	if t.taken == nil {
		t.taken = make(map[string]*turn)
	}
	k := t.taken[name]
	if k == nil {
		k = &turn{through: make(chan struct{}, 1+t.Beside)}
		t.taken[name] = k
	}
	k.users++
	t.mu.Unlock()
	select {
	case k.through <- struct{}{}:
		return func() {
			<-k.through
			t.leave(name, k)
		}, nil
	case <-ctx.Done():
		t.leave(name, k)
		return nil, context.Cause(ctx)
	}
}

func (t *Turns) leave(name string, k *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k.users--; k.users == 0 {
		delete(t.taken, name)
	}
}

// Len is how many names somebody is through or waits for.
func (t *Turns) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.taken)
}
