package operate

import (
	"errors"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
	"otpgate/configs"
	"otpgate/enroll/operator"
)

// Options are what the outside world gives the commands.
type Options struct {
	In        io.Reader
	Out, Err  io.Writer
	LookupEnv func(string) (string, bool)
	Now       func() time.Time
	// ConfigPath is the configuration file that the command line names, which is known only when
	// a command runs.
	ConfigPath func() string
}

// desk is where the commands are run.
type desk struct {
	Options
	json bool // --json
}

// Commands returns the commands that go to the top of the command line.
func Commands(o Options) []*cobra.Command {
	dk := &desk{Options: o}
	return []*cobra.Command{
		dk.statusCommand(), dk.explainCommand(), dk.accountCommand(), dk.deviceCommand(), dk.inviteCommand(), dk.auditCommand(),
	}
}

// withJSON gives a command the --json flag.
func (dk *desk) withJSON(cmd *cobra.Command) *cobra.Command { return console.WithJSON(cmd, &dk.json) }

// show prints v as JSON for scripts, or else a text. An error means that nobody has seen it.
func (dk *desk) show(v any, text string) error {
	if dk.json {
		return console.PrintJSON(dk.Out, v)
	}
	_, err := io.WriteString(dk.Out, text)
	return err
}

// dial connects to the running node of the configuration. Of the configuration only data_dir
// matters, so problems elsewhere in the file do not keep an operator from the help desk's work.
func (dk *desk) dial() (*operator.Client, error) {
	dir, err := configs.DataDir(dk.ConfigPath())
	if err != nil {
		return nil, console.Usage(err)
	}
	return operator.Dial(filepath.Join(dir, operator.SocketName)), nil
}

// operate runs a command against the node and puts its errors into words.
func (dk *desk) operate(do func(*operator.Client) error) error {
	client, err := dk.dial()
	if err != nil {
		return err
	}
	defer client.Close()
	err = do(client)
	var e *operator.Error
	if errors.As(err, &e) && e.Hint != "" {
		return console.WithHint(err, "%s", e.Hint)
	}
	return err
}
