package pace

import (
	"os"
	"time"
)

// A Pause is for one goroutine at a time.
type Pause struct {
	file  *os.File // a timer of the kernel's; nil: there is none
	arm   func(time.Duration) error
	fired [8]byte // how often it did, which is once

	timer *time.Timer // where there is none
}

// New returns a pause, with a timer of the kernel's where there is one left. It must be closed.
func New() *Pause {
	p := new(Pause)
	if p.file, p.arm = open(); p.file == nil {
		p.timer = time.NewTimer(time.Hour)
	}
	return p
}

// For takes as long as d says, or returns at once when that is not positive.
func (p *Pause) For(d time.Duration) {
	if d <= 0 {
		return
	}
	if p.file != nil && p.arm(d) == nil {
		if _, err := p.file.Read(p.fired[:]); err == nil {
			return
		}
	}
	if p.timer == nil {
		p.timer = time.NewTimer(d)
	} else {
		p.timer.Reset(d)
	}
	<-p.timer.C
}

// Close gives the timer back.
func (p *Pause) Close() {
	if p.file != nil {
		_ = p.file.Close()
	}
	if p.timer != nil {
		p.timer.Stop()
	}
}
