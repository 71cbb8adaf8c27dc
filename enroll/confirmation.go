package enroll

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"otpgate/directory"
	"otpgate/enroll/mail"
	"otpgate/otp"
)

// Limits of an invitation.
const (
	invitationTries    = 10
	invitationLifetime = 7 * 24 * time.Hour
)

// An Invitation lets an account enroll one device for which its mailbox alone would not do.
type Invitation struct {
	Account string    `json:"account"` // the id
	Name    string    `json:"name"`    // as the account logs in
	Mail    string    `json:"mail"`
	Code    string    `json:"code"` // to be handed over, not by mail; nothing gives it away again
	Expires time.Time `json:"expires"`
}

// Invite makes an invitation for an account, and ends the one before. The caller puts it on record.
// The error wraps directory.ErrNotFound when the account is disabled, or [otp.ErrUnavailable].
func (s *Server) Invite(ctx context.Context, a *directory.Account) (Invitation, error) {
	if a.Disabled {
		return Invitation{}, fmt.Errorf("enroll: %w: the account is disabled", directory.ErrNotFound)
	}
	code := randomCode(invitationLength)
	i := Invitation{Account: a.ID, Name: a.Name, Mail: a.Mail, Code: display(code), Expires: s.o.Now().Add(invitationLifetime)}
	err := s.o.Tickets.PutTicket(ctx, otp.Ticket{
		Kind: otp.InvitationTicket, Account: a.ID, Digest: s.digest(invitationPurpose, a.ID, code), Tries: invitationTries, Expires: i.Expires,
	})
	if err != nil {
		return Invitation{}, fmt.Errorf("enroll: %w", err)
	}
	return i, nil
}

// needs is what enrolling a device takes besides the code, for an account that has these devices.
func (s *Server) needs(ctx context.Context, account string, devices []otp.Device) (mail.Needs, error) {
	switch {
	case s.o.Policy == Invited:
		return mail.NeedsInvitation, nil
	case s.o.Policy == FirstDevice && len(devices) > 0:
		return mail.NeedsDevice, nil
	case s.o.Policy == FirstDevice:
		marked, err := s.isMarked(ctx, account)
		if marked || err != nil {
			return mail.NeedsInvitation, err
		}
	}
	return mail.NeedsNothing, nil
}

// confirmed says what confirmed an enrollment besides the code. The zero value: nothing.
type confirmed struct {
	Device     string      // whose code was claimed
	Invitation *otp.Digest // of the invitation, which is yet to be taken
}

// does reports whether it is enough, when these devices are there. A device that is gone since confirms nothing.
func (c confirmed) does(needs mail.Needs, devices []otp.Device) bool {
	there := slices.ContainsFunc(devices, func(d otp.Device) bool { return d.ID == c.Device })
	switch {
	case c.Device != "" && !there:
		return false
	case needs == mail.NeedsNothing:
		return true
	case c.Invitation != nil:
		return true
	}
	return needs == mail.NeedsDevice && there
}

// confirm checks what an enrollment needs besides the code. A code of a device is claimed by it; an
// invitation loses a try, and is left for the caller to take.
func (s *Server) confirm(ctx context.Context, account string, needs mail.Needs, reg registration) (confirmed, error) {
	typed, isCode := confirmingCode(reg.confirmation)
	switch {
	case needs == mail.NeedsNothing && reg.retire != retireConfirming:
		return confirmed{}, nil
	case isCode && needs != mail.NeedsInvitation:
		return s.confirmByDevice(ctx, account, typed, reg.source)
	case reg.retire == retireConfirming:
		return confirmed{}, errRefused{otp.ReasonNoProof}
	}
	invitation, ok := normalise(strings.TrimSpace(reg.confirmation), invitationLength)
	if !ok {
		return confirmed{}, errRefused{otp.ReasonNoProof}
	}
	digest := s.digest(invitationPurpose, account, invitation)
	right, err := s.o.Tickets.CheckTicket(ctx, otp.InvitationTicket, account, digest, s.o.Now())
	switch {
	case err != nil:
		return confirmed{}, fmt.Errorf("enroll: invitation: %w", err)
	case !right:
		return confirmed{}, errRefused{otp.ReasonCodeWrong}
	}
	return confirmed{Invitation: &digest}, nil
}

// confirmByDevice claims a code of a device that the account has.
func (s *Server) confirmByDevice(ctx context.Context, account, typed, source string) (confirmed, error) {
	result := s.o.Codes.Verify(ctx, otp.Attempt{
		Account: account, Proof: otp.TypedCode(typed), Place: s.o.Codes.Place("enroll", source),
		// Two requests are two attempts, whatever they hold: a code confirms one of them.
		Token: s.o.Codes.Token([]byte("enroll"), []byte(newID())),
	})
	switch {
	case result.OK:
		return confirmed{Device: result.Match.Device}, nil
	case result.Reason == otp.ReasonStoreUnavailable:
		return confirmed{}, fmt.Errorf("enroll: code of a device: %w", otp.ErrUnavailable)
	}
	return confirmed{}, errRefused{result.Reason}
}

// confirmingCode reads a confirmation that looks like a code of a device.
func confirmingCode(typed string) (code string, ok bool) {
	code = strings.ReplaceAll(strings.TrimSpace(typed), " ", "")
	return code, isCode(code)
}

// isCode reports whether something looks like a code of a device: 6 to 8 digits.
func isCode(s string) bool {
	return len(s) >= 6 && len(s) <= 8 && strings.Trim(s, "0123456789") == ""
}
