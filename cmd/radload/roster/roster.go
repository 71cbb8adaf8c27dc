package roster

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"
)

// device is one enrolled device. What it is made of stands in the roster's text.
type device struct {
	name, seed       uint32 // where they begin
	nameLen, seedLen uint8
	algorithm        Algorithm
	digits           uint8
	period           uint16 // seconds
	used             uint32 // the last step that it logged in with
}

// Roster is all devices, and whose turn it is. Its methods may be called by several goroutines, unless
// they say otherwise.
type Roster struct {
	text     []byte
	devices  []device
	password []string // what stands before, between and behind the name
	reuse    bool

	mu          sync.Mutex
	first, next int
}

// A Turn is a device and the step whose code it logs in with.
type Turn struct {
	Device int
	Step   int64
	Again  bool // it has logged in with this step before
}

// Options are what all devices have in common.
type Options struct {
	// Password is the password of an account, in which {name} stands for its name.
	Password string
	// Reuse lets a device log in more than once per step.
	Reuse bool
}

const nameMark = "{name}"

func (r *Roster) configure(o Options) {
	r.password = strings.Split(o.Password, nameMark)
	r.reuse = o.Reuse
}

// Len is how many devices log in: all but those that are left out.
func (r *Roster) Len() int { return len(r.devices) - r.first }

// Period is the shortest period of all devices.
func (r *Roster) Period() time.Duration {
	least := r.devices[0].period
	for _, d := range r.devices {
		least = min(least, d.period)
	}
	return time.Duration(least) * time.Second
}

// Skip leaves out the devices before the one with this number. It is for the time before the first turn.
func (r *Roster) Skip(first int) error {
	if first < 0 || first >= len(r.devices) {
		return fmt.Errorf("there is no device %d of %d", first, len(r.devices))
	}
	r.first, r.next = first, first
	return nil
}

// Next says who logs in at this time, in seconds since 1970, one after the other. It is false when the
// device whose turn it is has logged in with this step already: so have all others then, when their
// periods are the same.
func (r *Roster) Next(unix int64) (Turn, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := &r.devices[r.next]
	t := Turn{Device: r.next, Step: unix / int64(d.period)}
	t.Again = uint32(t.Step) <= d.used
	if t.Again && !r.reuse {
		return t, false
	}
	if !t.Again {
		d.used = uint32(t.Step)
	}
	if r.next++; r.next == len(r.devices) {
		r.next = r.first
	}
	return t, true
}

// Any is the turn at this time of a device that is chosen by a number. It takes no turn, and no step.
func (r *Roster) Any(number uint64, unix int64) Turn {
	i := r.first + int(number%uint64(r.Len()))
	return Turn{Device: i, Step: unix / int64(r.devices[i].period)}
}

// Name is the name of a device's account. It must not be changed.
func (r *Roster) Name(i int) []byte {
	d := &r.devices[i]
	return r.text[d.name : d.name+uint32(d.nameLen)]
}

func (r *Roster) seed(i int) []byte {
	d := &r.devices[i]
	return r.text[d.seed : d.seed+uint32(d.seedLen)]
}

// Password appends the password of a device's account.
func (r *Roster) Password(b []byte, i int) []byte {
	for n, part := range r.password {
		if n > 0 {
			b = append(b, r.Name(i)...)
		}
		b = append(b, part...)
	}
	return b
}

// LongestPassword is how many octets the longest password has.
func (r *Roster) LongestPassword() (most int) {
	for i := range r.devices {
		length := (len(r.password) - 1) * len(r.Name(i))
		for _, part := range r.password {
			length += len(part)
		}
		most = max(most, length)
	}
	return most
}

// Code appends the code of a turn.
func (r *Roster) Code(b []byte, g *Generator, t Turn) []byte {
	d := &r.devices[t.Device]
	return g.code(b, d.algorithm, r.seed(t.Device), t.Step, int(d.digits))
}

// A code is the same as that of another of these steps once in a million, which servers cannot tell from a code that was
// used: those that look back furthest remember two minutes of codes of half a minute.
const (
	stepsBefore = 4
	stepsAfter  = 1
)

// Repeats reports whether a turn's code is that of a step shortly before or after as well.
func (r *Roster) Repeats(g *Generator, t Turn) bool { return r.Alike(g, t, stepsBefore, stepsAfter) }

// Alike reports whether a turn's code is that of one of so many steps before or after as well.
func (r *Roster) Alike(g *Generator, t Turn, before, after int64) bool {
	var room, other [8]byte
	code := r.Code(room[:0], g, t)
	for offset := -before; offset <= after; offset++ {
		if offset != 0 && bytes.Equal(r.Code(other[:0], g, Turn{Device: t.Device, Step: t.Step + offset}), code) {
			return true
		}
	}
	return false
}

// wrongSteps is how many steps before and after the right one a wrong code must not belong to: more
// than any server allows for.
const wrongSteps = 20

// WrongCode appends a code that is wrong for some steps around that of a turn.
func (r *Roster) WrongCode(b []byte, g *Generator, t Turn) []byte {
	start := len(b)
	b = r.Code(b, g, t)
	r.miss(b[start:], g, t)
	return b
}

// Guess appends what somebody takes for the code of a turn who does not know it: as many digits of a number. It is as
// wrong as a [Roster.WrongCode].
func (r *Roster) Guess(b []byte, g *Generator, t Turn, number uint64) []byte {
	start := len(b)
	for range r.devices[t.Device].digits {
		b = append(b, '0'+byte(number%10))
		number /= 10
	}
	r.miss(b[start:], g, t)
	return b
}

// miss makes the next number that fits no step of a number that fits one.
func (r *Roster) miss(code []byte, g *Generator, t Turn) {
	for r.fits(code, g, t) {
		for i := len(code) - 1; i >= 0; i-- {
			if code[i]++; code[i] <= '9' {
				break
			}
			code[i] = '0'
		}
	}
}

func (r *Roster) fits(code []byte, g *Generator, t Turn) bool {
	var room [8]byte
	for offset := int64(-wrongSteps); offset <= wrongSteps; offset++ {
		right := r.Code(room[:0], g, Turn{Device: t.Device, Step: t.Step + offset})
		if bytes.Equal(right, code) {
			return true
		}
	}
	return false
}
