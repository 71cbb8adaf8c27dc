package redisstore

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"otpgate/otp"
)

// ErrEvicts: Redis may forget an account that nobody asked for, and its used codes with it. Every
// such error is an [otp.ErrUnavailable] too.
var ErrEvicts = errors.New("redis may evict keys")

// refusal is why a server must not be used.
type refusal struct{ setting, value, address string }

func (r *refusal) Error() string {
	at := ""
	if r.address != "" {
		at = " of " + r.address
	}
	return fmt.Sprintf("%v: %v: %s%s is %q", otp.ErrUnavailable, ErrEvicts, r.setting, at, r.value)
}

// Unwrap makes a refusal an otp.ErrUnavailable and an ErrEvicts.
func (r *refusal) Unwrap() []error { return []error{otp.ErrUnavailable, ErrEvicts} }

// watchers is whose the verdict about the sentinels is.
const watchers = ""

// verdict is what a look has found at a master: why it must not be used, or what else is wrong with it.
type verdict struct {
	refusal  *refusal
	concerns []concern
	since    uint64
}

// verdicts are the last ones about each master. There may be several looks at once: one that began before another
// verdict was given does not change it, unless to refuse the master.
type verdicts struct {
	refused atomic.Pointer[refusal] // one of theirs; nil: all may be used

	mu    sync.Mutex
	clock uint64
	of    map[string]verdict // by address
}

// begin tells when a look begins.
func (v *verdicts) begin() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.clock++
	return v.clock
}

// note gives a verdict, found by a look that has begun then.
func (v *verdicts) note(address string, began uint64, found verdict) {
	v.mu.Lock()
	defer v.mu.Unlock()
	found.since = began
	if found.refusal != nil {
		v.clock++
		found.since = v.clock
	}
	if found.since < v.of[address].since {
		return
	}
	if v.of == nil {
		v.of = make(map[string]verdict)
	}
	v.of[address] = found
	v.settle()
}

// keep forgets what is no master any more, as a look has found that has begun then. A look that found no master at all
// knows nothing of it.
func (v *verdicts) keep(masters []string, began uint64) {
	if len(masters) == 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	maps.DeleteFunc(v.of, func(address string, of verdict) bool {
		return address != watchers && of.since < began && !slices.Contains(masters, address)
	})
	v.settle()
}

// settle remembers whether there is a master that must not be used. It needs the lock.
func (v *verdicts) settle() {
	var refused *refusal
	for _, of := range v.of {
		if of.refusal != nil {
			refused = of.refusal
		}
	}
	v.refused.Store(refused)
}

// concerns are those about all, each once.
func (v *verdicts) concerns() (all []concern) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, address := range slices.Sorted(maps.Keys(v.of)) {
		for _, c := range v.of[address].concerns {
			if !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	return all
}
