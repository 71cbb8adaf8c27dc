package operate_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"otpgate/cmd/internal/console"
	"otpgate/enroll/operator"
)

func TestExplain(t *testing.T) {
	var asked operator.ExplainRequest
	dk := open(t, func(o *operator.Options) {
		o.Explain = func(_ context.Context, q operator.ExplainRequest) (operator.Explanation, error) {
			asked = q
			return operator.Explanation{
				Steps: []operator.Step{
					{Name: "client", Outcome: operator.StepOK, Detail: "vpn, profile ocserv"},
					{Name: "account", Outcome: operator.StepUnknown, Detail: "the directory\x1b[1m is gone"},
					{Name: "code", Outcome: operator.StepStop, Detail: "no device has it"},
				},
				Decision: "reject", Reason: "code_wrong",
				Reply: []operator.ReplyAttribute{
					{Name: "Message-Authenticator", Value: "as the packet asks", Octets: "5012"}, {Name: "Class", Value: "OU=staff", Octets: "190a4f553d7374616666"},
				},
			}, nil
		}
	})
	const steps = `
ok    client   vpn, profile ocserv
?     account  the directory\x1b[1m is gone
STOP  code     no device has it
decision: reject (code_wrong)
`
	if err := dk.run(t, "", "explain", "--client", "vpn", "--account", "alice", "--code", "755224", "--station", "aa-bb"); err != nil {
		t.Fatal(err)
	}
	dk.shows(t, steps)
	if asked != (operator.ExplainRequest{Client: "vpn", Account: "alice", Code: "755224", Station: "aa-bb"}) {
		t.Errorf("%#v", asked)
	}
	if err := dk.run(t, "pass word 287082\r\nmore\n", "explain", "--client", "vpn", "--account", "alice", "--code", "-", "--reply"); err != nil {
		t.Fatal(err)
	}
	dk.shows(t, steps+`reply:
  Message-Authenticator  "as the packet asks"  5012
  Class                  "OU=staff"            190a4f553d7374616666
`)
	if asked.Code != "pass word 287082" || dk.err.Len() > 0 {
		t.Errorf("%q was read; said: %s", asked.Code, &dk.err)
	}
	if err := dk.run(t, "", "explain", "--client", "vpn", "--account", "alice", "--json"); err != nil || !strings.Contains(dk.out.String(), `"octets": "190a4f553d7374616666"`) || asked.Code != "" {
		t.Errorf("%v %s", err, &dk.out)
	}
	on, err := os.ReadFile(dk.trail)
	if err != nil || strings.Count(string(on), `"explained"`) != 3 || strings.Contains(string(on), "755224") || strings.Contains(string(on), "287082") {
		t.Errorf("on record: %s, %v", on, err)
	}
}

func TestWhatIsAskedToBeExplainedIsWhole(t *testing.T) {
	dk := open(t, func(*operator.Options) {})
	for _, args := range []string{
		"", "--client vpn", "--account alice", "--client= --account alice", "--client vpn --account=", "--client vpn --account alice --code=",
		"--client vpn --account alice --code -", "--client vpn --account alice --station=", "--client vpn --account alice bob",
	} {
		err := dk.run(t, "\n", append([]string{"explain"}, strings.Fields(args)...)...)
		if hint, _ := console.Hint(err); !console.IsUsage(err) || hint == "" {
			t.Errorf("%s: %v", args, err)
		}
	}
	err := dk.run(t, "", "explain", "--client", "vpn", "--account", "alice")
	if hint, _ := console.Hint(err); err == nil || console.IsUsage(err) || hint == "" {
		t.Errorf("nothing explains: %v", err)
	}
}

// screen is a terminal, and what the person in front of it has: a keyboard to write to, and what is shown to read.
type screen struct{ terminal, person *os.File }

func newScreen(t *testing.T) *screen {
	t.Helper()
	open := func(name string) *os.File {
		f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	s := &screen{person: open("/dev/ptmx")}
	number := 0
	control(t, s.person, func(fd int) (err error) {
		if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		}
		return err
	})
	s.terminal = open(fmt.Sprint("/dev/pts/", number))
	return s
}

// control does something to what is open, which goes on not to block.
func control(t *testing.T, f *os.File, do func(fd int) error) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err == nil {
		err = errors.Join(raw.Control(func(fd uintptr) { err = do(int(fd)) }), err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// shows reports whether the terminal shows what is typed.
func (s *screen) shows(t *testing.T) (shows bool) {
	t.Helper()
	control(t, s.terminal, func(fd int) error {
		modes, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		shows = err == nil && modes.Lflag&unix.ECHO != 0
		return err
	})
	return shows
}

// hides waits until it does not.
func (s *screen) hides(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 2000 {
		if !s.shows(t) {
			return
		}
		<-tick.C
	}
	t.Fatal("what is typed is shown")
}

// types types a line.
func (s *screen) types(t *testing.T, line string) {
	t.Helper()
	if _, err := s.person.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
}

// TestACodeThatIsTypedIsNotShown, and what is typed afterwards is, also when the command ended before.
func TestACodeThatIsTypedIsNotShown(t *testing.T) {
	var asked operator.ExplainRequest
	dk := open(t, func(o *operator.Options) {
		o.Explain = func(_ context.Context, q operator.ExplainRequest) (operator.Explanation, error) {
			asked = q
			return operator.Explanation{Decision: "reject"}, nil
		}
	})
	explain := func(ctx context.Context, s *screen) <-chan error {
		ended := make(chan error, 1)
		go func() {
			ended <- dk.runFrom(ctx, s.terminal, &dk.out, "explain", "--client", "vpn", "--account", "alice", "--code", "-")
		}()
		s.hides(t)
		return ended
	}
	s := newScreen(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := explain(ctx, s)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || asked.Client != "" || !s.shows(t) {
		t.Errorf("it was interrupted: %v, asked %+v, shows %v", err, asked, s.shows(t))
	}
	s = newScreen(t)
	ended = explain(t.Context(), s)
	s.types(t, "287082")
	if err := <-ended; err != nil || asked.Code != "287082" || dk.err.String() != "code: \n" {
		t.Errorf("%v, %q was read; said: %q", err, asked.Code, &dk.err)
	}
	s.types(t, "afterwards")
	if err := s.person.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	seen, part := "", make([]byte, 100)
	for !strings.Contains(seen, "afterwards") {
		n, err := s.person.Read(part)
		if seen += string(part[:n]); err != nil {
			t.Fatalf("%q is seen, and then %v", seen, err)
		}
	}
	if strings.Contains(seen, "287082") {
		t.Errorf("%q is seen", seen)
	}
}
