package enroll

import (
	"context"
	"fmt"
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

// confirm checks what an enrollment needs besides the code. It returns the invitation, if that is
// what confirmed it, for the caller to take.
func (s *Server) confirm(ctx context.Context, account string, needs mail.Needs, reg registration) (invitation string, err error) {
	if needs == mail.NeedsNothing {
		return "", nil
	}
	typed := strings.TrimSpace(reg.confirmation)
	if digits := strings.ReplaceAll(typed, " ", ""); needs == mail.NeedsDevice && isCode(digits) {
		result := s.o.Codes.Verify(ctx, otp.Attempt{
			Account: account, Proof: otp.TypedCode(digits), Place: s.o.Codes.Place("enroll", reg.source),
			// Two requests are two attempts, whatever they hold: a code confirms one of them.
			Token: s.o.Codes.Token([]byte("enroll"), []byte(newID())),
		})
		switch {
		case result.OK:
			return "", nil
		case result.Reason == otp.ReasonStoreUnavailable:
			return "", fmt.Errorf("enroll: code of a device: %w", otp.ErrUnavailable)
		}
		return "", errRefused{result.Reason}
	}
	invitation, ok := normalise(typed, invitationLength)
	if !ok {
		return "", errRefused{otp.ReasonNoProof}
	}
	right, err := s.o.Tickets.CheckTicket(ctx, otp.InvitationTicket, account, s.digest(invitationPurpose, account, invitation), s.o.Now())
	switch {
	case err != nil:
		return "", fmt.Errorf("enroll: invitation: %w", err)
	case !right:
		return "", errRefused{otp.ReasonCodeWrong}
	}
	return invitation, nil
}

// isCode reports whether something looks like a code of a device: 6 to 8 digits.
func isCode(s string) bool {
	return len(s) >= 6 && len(s) <= 8 && strings.Trim(s, "0123456789") == ""
}
