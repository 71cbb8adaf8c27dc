package enroll

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"otpgate/directory"
	"otpgate/enroll/agreement"
	"otpgate/enroll/mail"
	"otpgate/enroll/web"
	"otpgate/otp"
	"otpgate/otp/audit"
)

// invalidCode is the one answer to everything that is wrong with an enrollment.
func invalidCode() *web.Problem {
	return &web.Problem{Type: "urn:otpgate:code-invalid", Title: "the code is not valid, or more is needed; see the mail", Status: http.StatusForbidden}
}

// lockRequired is the answer to who would enroll without the lock that is asked of everybody.
func lockRequired() *web.Problem {
	return &web.Problem{Type: "urn:otpgate:lock-required", Title: "a device is enrolled by the app, with its lock", Status: http.StatusBadRequest}
}

// enrolled is the answer to a successful enrollment.
type enrolled struct {
	Device    string   `json:"device"`  // its id
	Account   string   `json:"account"` // its id
	Name      string   `json:"name"`    // of the account, as it logs in
	Label     string   `json:"label"`   // of the device
	Issuer    string   `json:"issuer"`
	Algorithm string   `json:"algorithm"`
	Digits    int      `json:"digits"`
	Period    int64    `json:"period"`               // seconds
	PublicKey string   `json:"public_key,omitempty"` // the server's, if the phone sent one
	Retired   []string `json:"retired"`              // labels of what it took the place of
	Others    []string `json:"others"`               // labels of what the account has besides
	UnixMS    int64    `json:"unix_ms"`
}

// What a new device may take the place of.
const (
	retireConfirming = "confirming" // the device whose code confirms the enrollment
	retireOthers     = "others"     // all that the account has
)

// lockWithoutOctets is the lock of a phone whose browser gives no octets for it.
const lockWithoutOctets = "webauthn"

// registration is one request to enroll a device.
type registration struct {
	email, code, label, confirmation, retire string
	phone                                    *ecdh.PublicKey // nil: another authenticator is wanted
	lock                                     agreement.Lock  // nil: there is none, or it gives no octets
	source, accept                           string
	from                                     netip.Prefix // source, as limits count it
}

// registerDevice answers POST /v1/devices.
func (s *Server) registerDevice(w http.ResponseWriter, r *http.Request, c *call) *web.Problem {
	reg, p := s.readRegistration(c)
	if p != nil {
		return p
	}
	reg.accept = r.Header.Get("Accept-Language")
	var answer any
	var err error
	status := http.StatusCreated
	if reg.phone != nil {
		answer, err = s.register(r.Context(), reg)
	} else {
		status = http.StatusAccepted
		answer, err = s.offer(r.Context(), reg)
	}
	if err != nil {
		return s.refuse(r.Context(), c, err, invalidCode())
	}
	web.Write(w, status, answer)
	return nil
}

// readRegistration checks what can be checked before anything is looked up. Its problems say nothing
// about an account, and spend nothing.
func (s *Server) readRegistration(c *call) (registration, *web.Problem) {
	reg := registration{
		email: c.members["email"], label: strings.TrimSpace(c.members["label"]), confirmation: c.members["confirmation"],
		retire: c.members["retire"], source: c.source, from: c.from,
	}
	if !goodLabel(reg.label) {
		return reg, web.Malformed.With("the label is too long, or cannot be printed")
	}
	switch _, isCode := confirmingCode(reg.confirmation); {
	case reg.retire != "" && reg.retire != retireConfirming && reg.retire != retireOthers:
		return reg, web.Malformed.With(`retire is "confirming" or "others"`)
	case reg.retire == retireConfirming && !isCode:
		return reg, web.Malformed.With("the confirmation is not a code of a device: none can be retired by it")
	}
	lock, phone := c.members["lock"], c.members["public_key"]
	var err error
	switch {
	case s.o.AppLock == LockRequired && (lock == "" || phone == ""):
		return reg, lockRequired()
	case lock != "" && phone == "":
		return reg, web.Malformed.With("the lock is the app's: it comes with a public key")
	case lock != "" && lock != lockWithoutOctets:
		if reg.lock, err = agreement.ParseLock(lock); err != nil {
			return reg, web.Malformed.With(err.Error())
		}
	}
	if _, ok := c.members["public_key"]; ok {
		if reg.phone, err = agreement.ParsePublicKey(phone); err != nil {
			return reg, web.Malformed.With(err.Error())
		}
	}
	reg.code, _ = normalise(c.members["code"], codeLength) // what cannot be a code is a wrong one
	return reg, nil
}

// goodLabel reports whether people can be shown a label.
func goodLabel(label string) bool {
	return len(label) <= otp.MaxLabel && !strings.ContainsFunc(label, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError })
}

// register enrolls a device whose seed is agreed upon with the phone.
func (s *Server) register(ctx context.Context, reg registration) (*enrolled, error) {
	event := s.enrollmentEvent(reg)
	ad, err := s.admit(ctx, reg)
	event = event.about(ad.account)
	if err != nil {
		s.refused(ctx, event.Event, err)
		return nil, err
	}
	n := otp.NewDevice{Account: ad.account.ID, Label: reg.label, ID: otp.NewDeviceID(), Algorithm: otp.SHA1}
	seed, public, err := agreement.Serve(reg.phone, agreement.Context{Account: n.Account, Device: n.ID, Code: reg.code, Lock: reg.lock}, rand.Reader)
	if err != nil {
		return nil, err
	}
	n.Seed = seed
	answer, err := s.finish(ctx, event.Event, ad, n)
	if err != nil {
		return nil, err
	}
	answer.PublicKey = agreement.FormatPublicKey(public)
	return answer, nil
}

// enrollment is what goes on record about one.
type enrollment struct{ audit.Event }

func (s *Server) enrollmentEvent(reg registration) enrollment {
	return enrollment{audit.Event{
		Time: s.o.Now(), Kind: audit.Enrollment, Action: "device_enrolled", ID: newID(), Source: reg.source, Name: clip(reg.email),
	}}
}

// about names the account, if there is one.
func (e enrollment) about(a *directory.Account) enrollment {
	if a != nil && a.Name != "" {
		e.Account, e.Name = a.ID, a.Name
	}
	return e
}

// mailEnrolled tells the account's owner about a new device, with a link that removes it.
func (s *Server) mailEnrolled(a *directory.Account, dev otp.Device, answer *enrolled, accept string) {
	token, err := s.revocationToken(a, dev.ID)
	if err != nil {
		s.logger.Error("revocation link not made", "account", a.ID, "error", err)
		return
	}
	message, err := s.writer.Enrolled(s.texts.Pick(a.Language, accept), mail.EnrolledLetter{
		Name: greetingName(a), Device: labelOf(dev), At: dev.Created,
		RevokeURL: s.o.PublicURL + "/revoke#" + token, ValidFor: revocationLifetime, Retired: answer.Retired, Kept: answer.Others,
	})
	s.post(a, message, err)
}

// mailFull tells the account's owner why there is no new device.
func (s *Server) mailFull(a *directory.Account, accept string) {
	message, err := s.writer.Full(s.texts.Pick(a.Language, accept), greetingName(a))
	s.post(a, message, err)
}

// post sends a mail about what has happened, which is worth trying for a day.
func (s *Server) post(a *directory.Account, message mail.Message, err error) {
	if a.Mail == "" {
		return
	}
	if err == nil {
		message.To, message.Expires = a.Mail, s.o.Now().Add(24*time.Hour)
		err = s.o.Mailer.Send(message)
	}
	if err != nil {
		s.logger.Error("mail not sent", "account", a.ID, "error", err)
	}
}

// refuse answers with a problem, or with 503 when something could not tell, at a multiple of the time
// at which all are answered.
func (s *Server) refuse(ctx context.Context, c *call, err error, p *web.Problem) *web.Problem {
	s.hold(ctx, c.arrival)
	var refused errRefused
	if errors.As(err, &refused) {
		return p
	}
	s.logger.Error("enrollment unavailable", "error", err)
	return web.Unavailable
}

// refused puts a refusal on record.
func (s *Server) refused(ctx context.Context, event audit.Event, err error) {
	event.Decision = otp.Reject.String()
	var refused errRefused
	switch {
	case errors.As(err, &refused):
		event.Reason = refused.reason
	case errors.Is(err, directory.ErrUnavailable):
		event.Decision, event.Reason = otp.Drop.String(), otp.ReasonDirectoryUnavailable
	default:
		event.Decision, event.Reason = otp.Drop.String(), otp.ReasonStoreUnavailable
	}
	s.logger.Info("refused", "action", event.Action, "request", event.ID, "account", event.Account, "source", event.Source,
		"reason", event.Reason, "detail", event.Detail)
	_ = s.o.Audit.Record(ctx, event)
}
