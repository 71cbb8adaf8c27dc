package operate_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/operate"
	"otpgate/directory"
	"otpgate/enroll/operator"
	"otpgate/otp"
	"otpgate/otp/audit"
	"otpgate/otp/boltstore"
	"otpgate/otp/keyset"
)

const alice = "0c000000-0000-4000-8000-000000000001"

// eve has a name and a mail address that would clear the screen, before others by which she is found.
var eve = "\ndn: uid=eve,dc=lab\nobjectClass: inetOrgPerson\nuid:: " + base64.StdEncoding.EncodeToString([]byte("eve\x1b[2J\r")) + "\nuid: eve\nmail:: " +
	base64.StdEncoding.EncodeToString([]byte("eve\x1b[2J\rroot@lab.example")) + "\nmail: eve@lab.example\n"

func noon() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.Local) }

// desk is the commands in front of a real socket, with a real directory, store and audit trail.
type desk struct {
	config string
	trail  string
	out    bytes.Buffer
	err    bytes.Buffer
}

func open(t *testing.T, change func(*operator.Options)) *desk {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	dk := &desk{config: filepath.Join(dir, "otpgate.yaml"), trail: filepath.Join(dir, "audit.jsonl")}
	must(os.WriteFile(dk.config, []byte("data_dir: .\n"), 0o600))
	people := filepath.Join(dir, "people.ldif")
	must(os.WriteFile(people, []byte("dn: uid=alice,dc=lab\nobjectClass: inetOrgPerson\nuid: alice\ncn: Alice \x1b[1m\nmail: alice@lab.example\nentryUUID: "+alice+"\n"+eve), 0o600))
	keys, _, err := keyset.Open(dir)
	must(err)
	store, err := boltstore.Open(boltstore.Options{Path: filepath.Join(dir, "devices.db")})
	must(err)
	t.Cleanup(func() { _ = store.Close() })
	devices, err := otp.NewDevices(otp.DevicesOptions{
		Store: store, Keys: keys, Issuer: "Lab", Algorithm: otp.SHA1, Digits: 6, Period: time.Minute, MaxDevices: 3, Now: noon,
	})
	must(err)
	set, err := directory.New(directory.Options{Now: noon, Directories: []directory.Config{{Name: "lab", LDIF: people, BaseDN: "dc=lab"}}})
	must(err)
	t.Cleanup(func() { _ = set.Close() })
	trail, err := audit.Open(audit.Options{Dir: dir, Required: true, Now: noon})
	must(err)
	t.Cleanup(func() { _ = trail.Close(context.Background()) })
	o := operator.Options{
		Path: filepath.Join(dir, operator.SocketName), Accounts: set, Devices: devices, Keys: keys, Trail: trail, Now: noon,
		Status: func(context.Context) operator.Status { return operator.Status{Version: "v1", Started: noon()} },
	}
	change(&o)
	server, err := operator.New(o)
	must(err)
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	t.Cleanup(func() {
		if err := errors.Join(server.Shutdown(context.Background()), <-served); err != nil {
			t.Error(err)
		}
	})
	return dk
}

// run runs one command line, with something on standard input.
func (dk *desk) run(t *testing.T, in string, args ...string) error {
	t.Helper()
	dk.out.Reset()
	return dk.runInto(t, &dk.out, in, args...)
}

// runInto runs one command line whose output goes somewhere else.
func (dk *desk) runInto(t *testing.T, out io.Writer, in string, args ...string) error {
	t.Helper()
	return dk.runFrom(t.Context(), strings.NewReader(in), out, args...)
}

// runFrom runs one command line with any standard input, until ctx ends.
func (dk *desk) runFrom(ctx context.Context, in io.Reader, out io.Writer, args ...string) error {
	dk.err.Reset()
	root := &cobra.Command{Use: "otpgate", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(operate.Commands(operate.Options{
		In: in, Out: out, Err: &dk.err, LookupEnv: func(string) (string, bool) { return "C.UTF-8", true }, Now: noon,
		ConfigPath: func() string { return dk.config },
	})...)
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

// shows compares all that a command printed, but for blanks at the ends of lines.
func (dk *desk) shows(t *testing.T, want string) {
	t.Helper()
	var got strings.Builder
	for line := range strings.Lines(dk.out.String()) {
		got.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	if got.String() != strings.TrimPrefix(want, "\n") {
		t.Errorf("%s\nwant %s", got.String(), want)
	}
}
