package directory

import (
	"errors"
	"testing"
)

// The last of the checks for it, should a caller ever come by another way than [Set.Authenticate].
func TestBindWithoutNameOrPasswordIsNotSent(t *testing.T) {
	c := &connection{} // would panic if it were to send anything
	for _, args := range [][2]string{{"", "secret"}, {"uid=alice", ""}, {"", ""}} {
		if err := c.bind(t.Context(), args[0], args[1]); !errors.Is(err, ErrPasswordEmpty) {
			t.Errorf("%q: %v", args, err)
		}
	}
}
