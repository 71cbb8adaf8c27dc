package enroll

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"otpgate/directory"
	"otpgate/enroll/mail"
	"otpgate/enroll/web"
	"otpgate/otp"
	"otpgate/otp/audit"
)

// How many times an enrollment code may be tried: by everybody together, which the store counts, and by one
// source, as limits count them, which each node counts for itself. A stranger's tries are not its owner's.
const (
	codeTries   = 50
	sourceTries = 5
)

// try is what the tries of a source are counted by.
type try struct {
	from    netip.Prefix
	account string
}

// mailbox is what mails are counted by: who asks for one kind of them, for somebody else, must not take what
// the other kind needs.
type mailbox struct{ account, action string }

// requestTimeout is how long the work for one request may take.
const requestTimeout = 10 * time.Second

// accepted is the answer to every request for a code.
type accepted struct {
	ValidSeconds int64 `json:"valid_seconds"` // how long a code is valid, if there is one
}

// requestCode answers POST /v1/enrollments: always the same, at the same time, whoever is meant.
// What it is about is done beside it.
func (s *Server) requestCode(w http.ResponseWriter, r *http.Request, c *call) *web.Problem {
	return s.requestMail(w, r, c, "enrollment_requested", s.o.CodeLifetime, func(ctx context.Context, a *directory.Account, accept string) (otp.Reason, string) {
		s.tries.Forget(try{c.from, a.ID}) // they were about the code before
		return s.mailCodeTo(ctx, a, accept)
	})
}

// mailTo mails something to an account, in the language of the person or of the browser, and says
// for the trail what became of it.
type mailTo func(ctx context.Context, a *directory.Account, accept string) (otp.Reason, string)

// requestMail answers a request for a mail, and has it written if there is somebody to get it.
func (s *Server) requestMail(w http.ResponseWriter, r *http.Request, c *call, action string, lifetime time.Duration, do mailTo) *web.Problem {
	if err := s.readiness.check(r.Context()); err != nil {
		s.logger.Error("enrollment unavailable", "error", err)
		s.hold(r.Context(), c.arrival)
		return web.Unavailable
	}
	email, preferred := c.members["email"], r.Header.Get("Accept-Language")
	if !s.background(func(ctx context.Context) { s.mailOwner(ctx, action, email, preferred, c.source, do) }) {
		return web.TooMany.After(s.o.AnswerAfter)
	}
	s.hold(r.Context(), c.arrival)
	web.Write(w, http.StatusAccepted, accepted{int64(lifetime.Seconds())})
	return nil
}

// mailOwner mails something to whom the directory knows by an address. It tells nobody what became
// of it, except the audit trail.
func (s *Server) mailOwner(ctx context.Context, action, email, accept, source string, do mailTo) {
	event := audit.Event{
		Time: s.o.Now(), Kind: audit.Enrollment, Action: action, ID: newID(), Source: source, Decision: otp.Reject.String(),
	}
	a, err := s.o.Accounts.FindMail(ctx, email)
	switch {
	case err != nil:
		event.Name, event.Reason = clip(email), reasonOf(err)
	default:
		event.Account, event.Name = a.ID, a.Name
		event.Reason, event.Detail = s.mayMail(a, action)
		if event.Reason == otp.ReasonOK {
			event.Reason, event.Detail = do(ctx, a, accept)
		}
	}
	if event.Reason == otp.ReasonOK {
		event.Decision = otp.Accept.String()
	}
	s.logger.Info("mail requested", "action", action, "request", event.ID, "account", event.Account, "source", source,
		"decision", event.Decision, "reason", event.Reason, "detail", event.Detail)
	_ = s.o.Audit.Record(ctx, event) // nothing was given away; device_enrolled is what must be on record
}

// mayMail decides whether an account may be sent what somebody asked for. It comes before anything is
// made: who asks too often must not end the code that the last mail brought.
func (s *Server) mayMail(a *directory.Account, action string) (otp.Reason, string) {
	if a.Disabled {
		return otp.ReasonAccountDisabled, ""
	}
	if a.Mail == "" {
		return otp.ReasonAccountUnknown, "the account has no mail address"
	}
	if _, ok := s.mailboxes.Take(mailbox{a.ID, action}); !ok {
		return otp.ReasonThrottled, "as many mails of this kind as may be were sent to this account"
	}
	return otp.ReasonOK, ""
}

// mailCodeTo makes a code for an account, ends the one before, and mails it.
func (s *Server) mailCodeTo(ctx context.Context, a *directory.Account, accept string) (otp.Reason, string) {
	devices, err := s.o.Devices.List(ctx, a.ID)
	if err != nil {
		return otp.ReasonStoreUnavailable, ""
	}
	needs, err := s.needs(ctx, a.ID, devices)
	if err != nil {
		return otp.ReasonStoreUnavailable, ""
	}
	code, expires := randomCode(codeLength), s.o.Now().Add(s.o.CodeLifetime)
	message, err := s.writer.Code(s.texts.Pick(a.Language, accept), mail.CodeLetter{
		Name: greetingName(a), Code: display(code), Lifetime: s.o.CodeLifetime, Needs: needs,
		OpenURL: s.openURL(display(code), a.Mail, needs), Devices: known(devices),
	})
	return s.mailTicket(ctx, a, message, err, otp.Ticket{
		Kind: otp.EnrollmentTicket, Account: a.ID, Digest: s.digest(codePurpose, a.ID, code), Tries: codeTries, Expires: expires,
	})
}

// mailTicket stores a ticket, which ends the one before, and sends the mail that brings what it is for.
func (s *Server) mailTicket(ctx context.Context, a *directory.Account, message mail.Message, err error, t otp.Ticket) (otp.Reason, string) {
	if err != nil {
		s.logger.Error("mail not written", "error", err)
		return otp.ReasonOK, "the mail could not be written"
	}
	if err := s.o.Tickets.PutTicket(ctx, t); err != nil {
		s.logger.Error("ticket not stored", "account", a.ID, "error", err)
		return otp.ReasonStoreUnavailable, ""
	}
	message.To, message.Expires = a.Mail, t.Expires // the address that the directory holds
	if err := s.o.Mailer.Send(message); err != nil {
		s.logger.Error("mail not taken", "account", a.ID, "error", err)
		return otp.ReasonOK, "the mail could not be queued"
	}
	return otp.ReasonOK, ""
}

// openURL opens the app with the form filled in. It is all behind the "#": in no server's log.
func (s *Server) openURL(code, email string, needs mail.Needs) string {
	fragment := "code=" + url.QueryEscape(code) + "&email=" + url.QueryEscape(email)
	switch needs {
	case mail.NeedsDevice:
		fragment += "&needs=device"
	case mail.NeedsInvitation:
		fragment += "&needs=invitation"
	}
	return s.o.PublicURL + "/app/#" + fragment
}

// known is what a mail says of an account's devices.
func known(devices []otp.Device) []mail.Known {
	var all []mail.Known
	for _, d := range devices {
		all = append(all, mail.Known{Label: labelOf(d), Since: d.Created, LastUsed: d.LastUsed})
	}
	return all
}

// labelOf is what people know a device by.
func labelOf(d otp.Device) string { return or(d.Label, d.ID) }

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
