package operate

import (
	"fmt"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
	"otpgate/enroll/operator"
)

func (dk *desk) inviteCommand() *cobra.Command {
	return dk.withJSON(&cobra.Command{
		Use:   "invite NAME-OR-MAIL",
		Short: "Let somebody enroll a phone for whom the mailbox alone is not enough",
		Long: `Makes an invitation for an account: one use, one week. A new one ends the one before.
Hand it over by telephone or in person, not by mail: whoever reads the mailbox has half of what
enrolling takes already.`,
		Example: "  otpgate invite alice\n  otpgate invite alice@corp.example --json",
		Args:    console.ExactArgs("NAME-OR-MAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return dk.operate(func(c *operator.Client) error {
				i, err := c.Invite(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				err = dk.show(i, fmt.Sprintf("invitation for %s (%s): %s\ngood for one phone until %s; hand it over, do not mail it\n",
					console.Printable(i.Name), console.Printable(i.Mail), i.Code, i.Expires.Local().Format("2006-01-02 15:04")))
				if err != nil {
					return console.WithHint(fmt.Errorf("an invitation was made, and cannot be shown: %w", err),
						"nothing shows it a second time: invite again, which ends this one")
				}
				return nil
			})
		},
	})
}
