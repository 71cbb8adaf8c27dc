package gateway

import (
	"slices"
	"time"
)

// maxMistakes is how many of a kind a result has, the first ones: enough to look for a cause.
const maxMistakes = 16

// Kind says what was wrong about a decision.
type Kind uint8

// The kinds of mistakes.
const (
	WrongAccepted  Kind = iota + 1 // a wrong or a used code, or no code at all, was accepted
	ReplayAccepted                 // a code that had been accepted was accepted again
	RightRefused                   // a right and fresh code was refused
)

var kindNames = [...]string{WrongAccepted: "accepted wrongly", ReplayAccepted: "replay accepted", RightRefused: "refused wrongly"}

func (k Kind) String() string {
	if k == 0 || int(k) >= len(kindNames) {
		return "?"
	}
	return kindNames[k]
}

// A Mistake is one login that was decided wrongly, with what somebody needs who looks for the cause in the logs.
type Mistake struct {
	Kind     Kind
	Account  string
	Step     int64     // of the device, when it was its turn
	Repeats  bool      // the step's code is that of one shortly before or after, too
	Server   int       // the one that was asked first, by its number
	Asked    time.Time // when the login was to begin
	Answered time.Time
}

// alike is how many steps before and after that of a mistake are looked at for its code: whoever remembers which were used
// and takes those of a while cannot help that two of them have one code.
const alike = 5

// mistakes are the first of all lanes, in the order in which they were answered.
func (r *run) mistakes() (all []Mistake) {
	byTime := func(a, b Mistake) int { return a.Answered.Compare(b.Answered) }
	for k := range kindNames {
		var some []Mistake
		for _, n := range r.lanes {
			some = append(some, n.mistakes[k]...)
		}
		slices.SortFunc(some, byTime)
		all = append(all, some[:min(len(some), maxMistakes)]...)
	}
	slices.SortFunc(all, byTime)
	return all
}

// mistake notes one, while there is room.
func (n *lane) mistake(k Kind, l *login, now int64) {
	if len(n.mistakes[k]) == maxMistakes {
		return
	}
	o := &n.run.options
	n.mistakes[k] = append(n.mistakes[k], Mistake{
		Kind: k, Account: string(o.Roster.Name(l.turn.Device)), Step: l.turn.Step, Repeats: o.Roster.Alike(n.generator, l.turn, alike, alike),
		Server: int(l.home), Asked: n.run.began.Add(time.Duration(l.intended)), Answered: n.run.began.Add(time.Duration(now)),
	})
}
