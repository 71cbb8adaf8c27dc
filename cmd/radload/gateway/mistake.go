package gateway

import "time"

// maxMistakes is how many a result has, of the first that were made at each lane: enough to look for a cause.
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
	Step     int64     // whose code was sent
	Repeats  bool      // it is that of a step shortly before or after, too
	Server   int       // the one that was asked first, by its number
	Asked    time.Time // when the login was to begin
	Answered time.Time
}

// mistake notes one, while there is room.
func (n *lane) mistake(k Kind, l *login, now int64) {
	if len(n.mistakes) == maxMistakes {
		return
	}
	o := &n.run.options
	n.mistakes = append(n.mistakes, Mistake{
		Kind: k, Account: string(o.Roster.Name(l.turn.Device)), Step: l.turn.Step, Repeats: o.Roster.Repeats(n.generator, l.turn),
		Server: int(l.home), Asked: n.run.began.Add(time.Duration(l.intended)), Answered: n.run.began.Add(time.Duration(now)),
	})
}
