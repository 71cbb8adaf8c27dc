package enroll

import (
	"context"
	"encoding/hex"
	"slices"
	"time"

	"otpgate/enroll/mail"
	"otpgate/otp"
)

// emptiedKind is the kind of the notes about accounts whose devices were removed by mail.
const emptiedKind = "enroll emptied"

// Lifetimes of what a removal by mail means.
const (
	// emptiedLifetime is how long such an account needs more than its mailbox.
	emptiedLifetime = 365 * 24 * time.Hour
	// unusedLifetime is how long a device that nobody has used is worth no more than the mail that brought it.
	unusedLifetime = 24 * time.Hour
)

// byMail reports whether a removal takes no more than reading somebody's mail.
func (r removal) byMail() bool { return r.by == mail.ByLink || r.by == mail.BySession }

// mark notes, before a device is removed, that more than a mailbox will be needed from now on: who reads
// somebody's mail could else remove what the policy asks for, and enroll as for a first device. A device
// that is new and was never used leaves no note: its answer was lost on the way to the phone, say.
func (s *Server) mark(ctx context.Context, r removal, devices []otp.Device) error {
	used := slices.ContainsFunc(devices, func(d otp.Device) bool {
		return d.ID == r.device && (!d.LastUsed.IsZero() || s.o.Now().Sub(d.Created) >= unusedLifetime)
	})
	if !r.byMail() || !used {
		return nil
	}
	return s.o.Notes.PutNotes(ctx, []otp.Note{s.emptied(r.account, []byte{1})})
}

// unmark ends that when the last device of an account removes itself: whoever has it needs no mailbox.
func (s *Server) unmark(ctx context.Context, r removal, devices []otp.Device) {
	if r.by != mail.ByDevice || slices.ContainsFunc(devices, func(d otp.Device) bool { return d.ID != r.device }) {
		return
	}
	if err := s.o.Notes.PutNotes(ctx, []otp.Note{s.emptied(r.account, nil)}); err != nil {
		s.logger.Error("note not ended", "account", r.account, "error", err)
	}
}

// isMarked reports whether an account's devices were removed by mail.
func (s *Server) isMarked(ctx context.Context, account string) (bool, error) {
	notes, err := s.o.Notes.Notes(ctx, emptiedKind, s.emptied(account, nil).Key, s.o.Now())
	return len(notes) > 0, err
}

// emptied is the note about an account, under a name that is short whatever the account's id is.
func (s *Server) emptied(account string, value []byte) otp.Note {
	sum := s.o.Keys.MAC(emptiedKind, []byte(account))
	return otp.Note{Kind: emptiedKind, Key: hex.EncodeToString(sum[:16]), Value: value, Expires: s.o.Now().Add(emptiedLifetime)}
}
