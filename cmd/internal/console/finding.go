package console

import (
	"fmt"
	"io"
)

// State is how well something works, in the one shape in which commands tell it. The greater, the
// worse.
type State int

// The states.
const (
	Ready    State = iota // works
	Degraded              // logins go on, and somebody should look
	NotReady              // no login can be answered
)

// String returns the state in one word.
func (s State) String() string { return [...]string{"ready", "degraded", "not_ready"}[s] }

// MarshalText returns [State.String].
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// StateOf reads what a node says of itself; a word that is not known is not ready.
func StateOf(word string) State {
	switch word {
	case "ok", "ready":
		return Ready
	case "degraded":
		return Degraded
	}
	return NotReady
}

// Finding is what one peer or part is like: of a running node, or in a live check.
type Finding struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Detail string `json:"detail,omitempty"`
	Hint   string `json:"hint,omitempty"`
}

// Worst is the state of all of them together.
func Worst(findings []Finding) State {
	all := Ready
	for _, f := range findings {
		all = max(all, f.State)
	}
	return all
}

// PrintFindings prints one line each, and the hint below. What a peer said is in them.
func PrintFindings(w io.Writer, findings []Finding) error {
	return Table(w, func(w io.Writer) {
		for _, f := range findings {
			fmt.Fprintf(w, "%s\t%s\t%s\n", f.Name, f.State, Printable(f.Detail))
			if f.Hint != "" {
				fmt.Fprintf(w, "\t\thint: %s\n", Printable(f.Hint))
			}
		}
	})
}
