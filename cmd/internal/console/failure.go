package console

import (
	"errors"
	"fmt"
)

// usage marks an error that the person at the command line can only mend there.
type usage struct{ error }

func (e usage) Unwrap() error { return e.error }

// Usage marks an error that the person at the command line can only mend there: status 2.
func Usage(err error) error { return usage{err} }

// IsUsage reports whether an error was marked by [Usage].
func IsUsage(err error) bool {
	var u usage
	return errors.As(err, &u)
}

// hinted adds the likely cause and the next action to an error.
type hinted struct {
	error
	hint string
}

func (e hinted) Unwrap() error { return e.error }

// WithHint adds the likely cause and the next action to an error; nil stays nil.
func WithHint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return hinted{err, fmt.Sprintf(format, args...)}
}

// Hint is what [WithHint] said about an error, and whether it said anything. Of several, the
// outermost counts.
func Hint(err error) (hint string, ok bool) {
	var h hinted
	ok = errors.As(err, &h)
	return h.hint, ok
}

// silent marks an error that was told already, or that nobody is there to read.
type silent struct{ error }

func (e silent) Unwrap() error { return e.error }

// Silent marks an error that was told already, or that nobody is there to read.
func Silent(err error) error { return silent{err} }

// IsSilent reports whether an error was marked by [Silent].
func IsSilent(err error) bool {
	var s silent
	return errors.As(err, &s)
}
