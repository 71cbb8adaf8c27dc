package enroll

import (
	"context"
	"crypto/rand"
	"net/http"
	"time"

	"otpgate/directory"
	"otpgate/enroll/mail"
	"otpgate/enroll/web"
	"otpgate/otp"
	"otpgate/otp/audit"
)

// Lifetimes of what leads to an account's devices.
const (
	linkLifetime    = 15 * time.Minute
	sessionLifetime = 15 * time.Minute
)

// link is what the token in a mailed link holds, sealed. The ticket in the store makes it good once.
type link struct {
	Account string `json:"a"`
	Nonce   []byte `json:"n"`
	person
	Expires int64 `json:"e"` // Unix seconds
}

// session is what a link is exchanged for, sealed. The server keeps nothing of it.
type session struct {
	Account string `json:"a"`
	person
	Expires int64 `json:"e"` // Unix seconds
}

// person is who is written to about what a session does.
type person struct {
	Name     string `json:"u"` // login name
	FullName string `json:"f,omitempty"`
	Mail     string `json:"m"`
	Language string `json:"g,omitempty"`
}

// owner is the account as far as mails need it.
func (v session) owner() *directory.Account {
	return &directory.Account{ID: v.Account, Name: v.Name, FullName: v.FullName, Mail: v.Mail, Language: v.Language}
}

// listed is a device as its owner is shown it.
type listed struct {
	ID       string `json:"id"`
	Label    string `json:"label"`
	Created  string `json:"created"`             // RFC 3339
	LastUsed string `json:"last_used,omitempty"` // RFC 3339; absent: never
}

// opened is the answer to a link.
type opened struct {
	Session      string   `json:"session"`
	Name         string   `json:"name"` // of the account, as it logs in
	Issuer       string   `json:"issuer"`
	ValidSeconds int64    `json:"valid_seconds"`
	Devices      []listed `json:"devices"`
}

// deviceList is the answer to who asks for an account's devices.
type deviceList struct {
	Devices []listed `json:"devices"`
}

// requestLink answers POST /v1/links, as all requests for a mail are answered.
func (s *Server) requestLink(w http.ResponseWriter, r *http.Request, c *call) *web.Problem {
	return s.requestMail(w, r, c, "link_requested", linkLifetime, s.mailLinkTo)
}

// mailLinkTo makes a link for an account, ends the one before, and mails it.
func (s *Server) mailLinkTo(ctx context.Context, a *directory.Account, accept string) (otp.Reason, string) {
	devices, err := s.o.Devices.List(ctx, a.ID)
	if err != nil {
		return otp.ReasonStoreUnavailable, ""
	}
	expires := s.o.Now().Add(linkLifetime)
	token, digest, err := s.linkToken(a, expires)
	if err != nil {
		s.logger.Error("link not made", "account", a.ID, "error", err)
		return otp.ReasonOK, "the link could not be made"
	}
	message, err := s.writer.Link(s.texts.Pick(a.Language, accept), mail.LinkLetter{
		Name: greetingName(a), URL: s.o.PublicURL + "/devices#" + token, ValidFor: linkLifetime, Devices: len(devices),
	})
	return s.mailTicket(ctx, a, message, err, otp.Ticket{Kind: otp.LinkTicket, Account: a.ID, Digest: digest, Tries: 1, Expires: expires})
}

// linkToken makes the token for an account, and the digest of its ticket.
func (s *Server) linkToken(a *directory.Account, expires time.Time) (string, otp.Digest, error) {
	v := link{Account: a.ID, Nonce: make([]byte, 16), person: person{a.Name, a.FullName, a.Mail, a.Language}, Expires: expires.Unix()}
	rand.Read(v.Nonce) // never fails
	token, err := s.seal(linkPurpose, v)
	return token, s.digest(linkPurpose, v.Account, string(v.Nonce)), err
}

// openLink reads a token, and reports false for anything that is not one, or no longer. Whether it was
// used, the store knows.
func (s *Server) openLink(token string) (v link, ok bool) {
	ok = s.open(linkPurpose, token, &v)
	return v, ok && !s.past(v.Expires)
}

// sessionToken makes a session of an account.
func (s *Server) sessionToken(account string, p person) (string, error) {
	return s.seal(sessionPurpose, session{account, p, s.o.Now().Add(sessionLifetime).Unix()})
}

// openSession reads a session, and reports false for anything that is not one, or no longer.
func (s *Server) openSession(token string) (v session, ok bool) {
	ok = s.open(sessionPurpose, token, &v)
	return v, ok && !s.past(v.Expires)
}

// beginSession answers POST /v1/sessions: of any number of requests with a link one gets a session.
func (s *Server) beginSession(w http.ResponseWriter, r *http.Request, c *call) *web.Problem {
	v, ok := s.openLink(c.members["token"])
	if !ok {
		return s.refuse(r.Context(), c, errRefused{otp.ReasonStateUnknown}, invalidLink())
	}
	event := audit.Event{
		Time: s.o.Now(), Kind: audit.Enrollment, Action: "session_opened", ID: newID(), Source: c.source, Account: v.Account, Name: v.Name,
		Decision: otp.Accept.String(), Reason: otp.ReasonOK, Detail: "by the link in a mail",
	}
	answer, err := s.exchange(r.Context(), v)
	if err == nil {
		if err = s.o.Audit.Record(r.Context(), event); err != nil {
			unanswered(event, err)
		}
	} else {
		s.refused(r.Context(), event, err)
	}
	if err != nil {
		return s.refuse(r.Context(), c, err, invalidLink())
	}
	s.logger.Info("session opened", "request", event.ID, "account", v.Account, "source", c.source)
	web.Write(w, http.StatusCreated, answer)
	return nil
}

// exchange takes a link's ticket, and makes a session.
func (s *Server) exchange(ctx context.Context, v link) (*opened, error) {
	a, err := s.o.Accounts.FindID(ctx, v.Account)
	switch reason := reasonOf(err); {
	case err == nil && a.Disabled:
		return nil, errRefused{otp.ReasonAccountDisabled}
	case err != nil && reason == otp.ReasonDirectoryUnavailable:
		return nil, err
	case err != nil:
		return nil, errRefused{reason}
	}
	devices, err := s.o.Devices.List(ctx, v.Account) // first: a link that led nowhere would be spent
	if err != nil {
		return nil, err
	}
	won, err := s.o.Tickets.TakeTicket(ctx, otp.LinkTicket, v.Account, s.digest(linkPurpose, v.Account, string(v.Nonce)), s.o.Now())
	if err == nil && !won {
		err = errRefused{otp.ReasonCodeUsed}
	}
	if err != nil {
		return nil, err
	}
	token, err := s.sessionToken(v.Account, v.person)
	if err != nil {
		return nil, err
	}
	return &opened{
		Session: token, Name: v.Name, Issuer: s.o.Issuer, ValidSeconds: int64(sessionLifetime.Seconds()), Devices: list(devices),
	}, nil
}

// listDevices answers POST /v1/devices/list.
func (s *Server) listDevices(w http.ResponseWriter, r *http.Request, c *call) *web.Problem {
	v, ok := s.openSession(c.members["session"])
	if !ok {
		return s.refuse(r.Context(), c, errRefused{otp.ReasonStateUnknown}, invalidLink())
	}
	devices, err := s.o.Devices.List(r.Context(), v.Account)
	if err != nil {
		return s.refuse(r.Context(), c, err, invalidLink())
	}
	web.Write(w, http.StatusOK, deviceList{list(devices)})
	return nil
}

// list is what an account's owner is shown of its devices.
func list(devices []otp.Device) []listed {
	all := []listed{}
	for _, d := range devices {
		l := listed{ID: d.ID, Label: d.Label, Created: d.Created.UTC().Format(time.RFC3339)}
		if !d.LastUsed.IsZero() {
			l.LastUsed = d.LastUsed.UTC().Format(time.RFC3339)
		}
		all = append(all, l)
	}
	return all
}
