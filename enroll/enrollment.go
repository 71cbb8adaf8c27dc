package enroll

import (
	"context"
	"errors"
	"net/http"
	"time"

	"otpgate/directory"
	"otpgate/enroll/mail"
	"otpgate/enroll/web"
	"otpgate/otp"
	"otpgate/otp/audit"
)

// codeTries is how many times an enrollment code may be tried.
const codeTries = 5

// requestTimeout is how long the work for one request may take.
const requestTimeout = 10 * time.Second

// accepted is the answer to every request for a code.
type accepted struct {
	ValidSeconds int64 `json:"valid_seconds"` // how long a code is valid, if there is one
}

// requestCode answers POST /v1/enrollments: always the same, at the same time, whoever is meant.
// What it is about is done beside it.
func (s *Server) requestCode(w http.ResponseWriter, r *http.Request, c *call) *web.Problem {
	if err := s.readiness.check(r.Context()); err != nil {
		s.logger.Error("enrollment unavailable", "error", err)
		s.hold(r.Context(), c.arrival)
		return web.Unavailable
	}
	email, preferred := c.members["email"], r.Header.Get("Accept-Language")
	if !s.background(func(ctx context.Context) { s.mailCode(ctx, email, preferred, c.source) }) {
		return web.TooMany.After(s.o.AnswerAfter)
	}
	s.hold(r.Context(), c.arrival)
	web.Write(w, http.StatusAccepted, accepted{int64(s.o.CodeLifetime.Seconds())})
	return nil
}

// mailCode sends an enrollment code to whom the directory knows by an address. It tells nobody
// what became of it, except the audit trail.
func (s *Server) mailCode(ctx context.Context, email, accept, source string) {
	event := audit.Event{
		Time: s.o.Now(), Kind: audit.Enrollment, Action: "enrollment_requested", ID: newID(), Source: source, Decision: otp.Reject.String(),
	}
	a, err := s.o.Accounts.FindMail(ctx, email)
	switch {
	case err != nil:
		event.Name, event.Reason = clip(email), reasonOf(err)
	default:
		event.Account, event.Name = a.ID, a.Name
		event.Reason, event.Detail = s.mailCodeTo(ctx, a, accept)
	}
	if event.Reason == otp.ReasonOK {
		event.Decision = otp.Accept.String()
	}
	s.logger.Info("enrollment requested", "request", event.ID, "account", event.Account, "source", source,
		"decision", event.Decision, "reason", event.Reason, "detail", event.Detail)
	_ = s.o.Audit.Record(ctx, event) // nothing was given away; device_enrolled is what must be on record
}

// mailCodeTo makes a code for an account, ends the one before, and mails it.
func (s *Server) mailCodeTo(ctx context.Context, a *directory.Account, accept string) (otp.Reason, string) {
	if a.Disabled {
		return otp.ReasonAccountDisabled, ""
	}
	if a.Mail == "" {
		return otp.ReasonAccountUnknown, "the account has no mail address"
	}
	// Before the code: who asks too often must not end the code that the last mail brought.
	if _, ok := s.mailboxes.Take(a.ID); !ok {
		return otp.ReasonThrottled, "as many mails as may be were sent to this account"
	}
	needs, err := s.needs(ctx, a.ID)
	if err != nil {
		return otp.ReasonStoreUnavailable, ""
	}
	code, expires := randomCode(codeLength), s.o.Now().Add(s.o.CodeLifetime)
	message, err := s.writer.Code(s.texts.Pick(a.Language, accept), mail.CodeLetter{
		Name: greetingName(a), Code: display(code), Lifetime: s.o.CodeLifetime, Needs: needs,
	})
	if err != nil {
		s.logger.Error("mail not written", "error", err)
		return otp.ReasonOK, "the mail could not be written"
	}
	err = s.o.Tickets.PutTicket(ctx, otp.Ticket{
		Kind: otp.EnrollmentTicket, Account: a.ID, Digest: s.digest(codePurpose, a.ID, code), Tries: codeTries, Expires: expires,
	})
	if err != nil {
		s.logger.Error("enrollment code not stored", "account", a.ID, "error", err)
		return otp.ReasonStoreUnavailable, ""
	}
	message.To, message.Expires = a.Mail, expires // the address that the directory holds
	if err := s.o.Mailer.Send(message); err != nil {
		s.logger.Error("mail not taken", "account", a.ID, "error", err)
		return otp.ReasonOK, "the mail could not be queued"
	}
	return otp.ReasonOK, ""
}

// background runs something that no request waits for, if there is a place for it.
func (s *Server) background(do func(context.Context)) bool {
	select {
	case s.jobs <- struct{}{}:
	default:
		return false
	}
	s.working.Go(func() {
		defer func() { <-s.jobs }()
		ctx, cancel := context.WithTimeout(s.ctx, requestTimeout)
		defer cancel()
		defer func() { s.recovered(recover(), "enrollment") }()
		do(ctx)
	})
	return true
}

// reasonOf says why an account was not found.
func reasonOf(err error) otp.Reason {
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return otp.ReasonAccountUnknown
	case errors.Is(err, directory.ErrAmbiguous):
		return otp.ReasonAccountAmbiguous
	case errors.Is(err, directory.ErrNameInvalid):
		return otp.ReasonNameInvalid
	}
	return otp.ReasonDirectoryUnavailable
}

// greetingName is what a mail calls somebody.
func greetingName(a *directory.Account) string {
	return or(a.FullName, a.Name)
}
