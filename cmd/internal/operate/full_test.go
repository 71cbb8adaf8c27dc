package operate_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"otpgate/cmd/internal/console"
	"otpgate/directory"
	"otpgate/enroll"
	"otpgate/enroll/operator"
)

// TestWhatCannotBeShownIsAnError: a device of which nobody has the seed, and an invitation that nobody has read, are
// not what was asked for.
func TestWhatCannotBeShownIsAnError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = full.Close() })
	dk := open(t, func(o *operator.Options) {
		o.Invite = func(context.Context, *directory.Account) (enroll.Invitation, error) {
			return enroll.Invitation{Account: alice, Name: "alice", Code: "ABCDE-FGHJK", Expires: noon()}, nil
		}
	})
	// /dev/full looks like a terminal; without that it is like a file on a disk that is full.
	for where, out := range map[string]io.Writer{"terminal": full, "file": struct{ io.Writer }{full}} {
		for _, json := range []bool{false, true} {
			fails := func(hint, in string, args ...string) {
				t.Helper()
				if json {
					args = append(args, "--json")
				}
				err := dk.runInto(t, out, in, args...)
				said, _ := console.Hint(err)
				if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(said, hint) {
					t.Errorf("%s: %v: error %v, hint %q, want one with %q", where, args, err, said, hint)
				}
			}
			fails("", "", "device", "list", "alice")
			fails("otpgate device revoke alice ", "", "device", "add", "alice", "--label", "lost")
			fails("is revoked", "", "device", "revoke", "alice", "lost")
			fails("invite again", "", "invite", "alice")
			fails("import the file again", "name,seed_base32,algorithm,digits,period,label\n", "device", "import", "--csv", "-")
			if err := dk.run(t, "", "device", "list", "alice"); err != nil || dk.out.String() != "alice has no device\n" {
				t.Errorf("%v %s", err, &dk.out)
			}
		}
	}
}
