package pace

import "time"

// A Sleeper sleeps, for one goroutine.
type Sleeper interface {
	Sleep(time.Duration)
	Close()
}

// New returns the most exact sleeper that the system has.
func New() Sleeper {
	s, err := exact()
	if err != nil {
		return timer{}
	}
	return s
}

// timer sleeps by the runtime's timers.
type timer struct{}

func (timer) Sleep(d time.Duration) { <-time.After(d) }
func (timer) Close()                {}
