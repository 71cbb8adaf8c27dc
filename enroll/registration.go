package enroll

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
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

// errRefused: the enrollment is refused; the reason is for the audit trail only.
type errRefused struct{ reason otp.Reason }

func (e errRefused) Error() string { return "refused: " + string(e.reason) }

// enrolled is the answer to a successful enrollment.
type enrolled struct {
	Device    string `json:"device"`  // its id
	Account   string `json:"account"` // its id
	Name      string `json:"name"`    // of the account, as it logs in
	Label     string `json:"label"`   // of the device
	Issuer    string `json:"issuer"`
	Algorithm string `json:"algorithm"`
	Digits    int    `json:"digits"`
	Period    int64  `json:"period"`               // seconds
	PublicKey string `json:"public_key,omitempty"` // the server's, if the phone sent one
	URI       string `json:"otpauth,omitempty"`    // the seed, if the phone sent none
	UnixMS    int64  `json:"unix_ms"`
}

// registration is one request to enroll a device.
type registration struct {
	email, code, label, confirmation string
	phone                            *ecdh.PublicKey // nil: an otpauth URI is wanted
	source, accept                   string
}

// registerDevice answers POST /v1/devices.
func (s *Server) registerDevice(w http.ResponseWriter, r *http.Request, c *call) *web.Problem {
	reg := registration{
		email: c.members["email"], label: strings.TrimSpace(c.members["label"]), confirmation: c.members["confirmation"],
		source: c.source, accept: r.Header.Get("Accept-Language"),
	}
	if len(reg.label) > otp.MaxLabel || strings.ContainsFunc(reg.label, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		return web.Malformed.With("the label is too long, or cannot be printed")
	}
	if text, ok := c.members["public_key"]; ok {
		var err error
		if reg.phone, err = agreement.ParsePublicKey(text); err != nil {
			return web.Malformed.With(err.Error())
		}
	}
	reg.code, _ = normalise(c.members["code"], codeLength) // what cannot be a code is a wrong one
	answer, err := s.register(r.Context(), reg)
	if err == nil {
		web.Write(w, http.StatusCreated, answer)
		return nil
	}
	s.hold(r.Context(), c.arrival)
	var refused errRefused
	if errors.As(err, &refused) {
		return invalidCode()
	}
	s.logger.Error("enrollment unavailable", "error", err)
	return web.Unavailable
}

// register enrolls a device, in this order:
//
//  1. the enrollment code is checked, which spends one of its tries;
//  2. the confirmation is checked, if one is needed: a code of a device is claimed, an invitation
//     loses a try;
//  3. both tickets are taken, the one that is easier to replace first. Of concurrent requests one
//     gets past this;
//  4. the device is added.
//
// Whatever fails leaves no device behind, and at most costs an enrollment code, which a person can
// request again. The error is an errRefused, or says what was unavailable.
func (s *Server) register(ctx context.Context, reg registration) (*enrolled, error) {
	event := audit.Event{Time: s.o.Now(), Kind: audit.Enrollment, Action: "device_enrolled", ID: newID(), Source: reg.source, Name: clip(reg.email)}
	a, err := s.admit(ctx, reg)
	if a != nil && a.Name != "" {
		event.Account, event.Name = a.ID, a.Name
	}
	if err != nil {
		s.refused(ctx, event, err)
		return nil, err
	}
	answer, dev, err := s.add(ctx, a, reg)
	if errors.Is(err, otp.ErrTooManyDevices) {
		s.mailFull(a, reg.accept)
		err = errRefused{audit.ReasonTooManyDevices}
	}
	if err != nil {
		s.refused(ctx, event, err)
		return nil, err
	}
	event.Device, event.Decision, event.Reason = dev.ID, otp.Accept.String(), otp.ReasonOK
	if err := s.o.Audit.Record(ctx, event); err != nil {
		// The trail is required, and cannot be written: there must be no device without it.
		return nil, errors.Join(err, s.o.Devices.Remove(context.WithoutCancel(ctx), a.ID, dev.ID))
	}
	s.logger.Info("device enrolled", "request", event.ID, "account", a.ID, "device", dev.ID, "source", reg.source)
	s.mailEnrolled(a, dev, reg.accept)
	return answer, nil
}

// admit decides whether somebody may add a device. An address that nobody has takes the same
// steps as one that somebody has, for an account that does not exist.
func (s *Server) admit(ctx context.Context, reg registration) (*directory.Account, error) {
	a, err := s.o.Accounts.FindMail(ctx, reg.email)
	var unknown otp.Reason
	switch reason := reasonOf(err); {
	case err == nil && a.Disabled:
		unknown = otp.ReasonAccountDisabled
	case err != nil && reason == otp.ReasonDirectoryUnavailable:
		return nil, err
	case err != nil:
		unknown = reason
		phantom := s.o.Keys.MAC("nobody", []byte(reg.email))
		a = &directory.Account{ID: hex.EncodeToString(phantom[:18])} // as long as a UUID
	}
	right, err := s.o.Tickets.CheckTicket(ctx, otp.EnrollmentTicket, a.ID, s.digest(codePurpose, a.ID, reg.code), s.o.Now())
	if err != nil {
		return a, err
	}
	needs, err := s.needs(ctx, a.ID)
	switch {
	case err != nil:
		return a, err
	case unknown != "":
		return a, errRefused{unknown}
	case !right || reg.code == "":
		return a, errRefused{otp.ReasonCodeWrong}
	}
	invitation, err := s.confirm(ctx, a.ID, needs, reg)
	if err != nil {
		return a, err
	}
	return a, s.take(ctx, a.ID, reg.code, invitation)
}

// take ends the enrollment code, and the invitation if there is one.
func (s *Server) take(ctx context.Context, account, code, invitation string) error {
	won, err := s.o.Tickets.TakeTicket(ctx, otp.EnrollmentTicket, account, s.digest(codePurpose, account, code), s.o.Now())
	if err == nil && won && invitation != "" {
		won, err = s.o.Tickets.TakeTicket(ctx, otp.InvitationTicket, account, s.digest(invitationPurpose, account, invitation), s.o.Now())
	}
	if err == nil && !won {
		err = errRefused{otp.ReasonCodeUsed}
	}
	return err
}

// add makes the device, by agreement with the phone or with a random seed.
func (s *Server) add(ctx context.Context, a *directory.Account, reg registration) (*enrolled, otp.Device, error) {
	n := otp.NewDevice{Account: a.ID, Label: reg.label, ID: otp.NewDeviceID()}
	answer := &enrolled{Account: a.ID, Name: a.Name, Issuer: s.o.Issuer}
	if reg.phone != nil {
		seed, public, err := agreement.Serve(reg.phone, agreement.Context{Account: a.ID, Device: n.ID, Code: reg.code}, rand.Reader)
		if err != nil {
			return nil, otp.Device{}, err
		}
		n.Seed, n.Algorithm = seed, otp.SHA1
		answer.PublicKey = agreement.FormatPublicKey(public)
	}
	dev, seed, err := s.o.Devices.Add(ctx, n)
	if err != nil {
		return nil, dev, err
	}
	if reg.phone == nil {
		answer.URI = s.o.Devices.URI(dev, seed, a.Name)
	}
	answer.Device, answer.Label = dev.ID, dev.Label
	answer.Algorithm, answer.Digits, answer.Period = string(dev.Algorithm), dev.Digits, int64(dev.Period/time.Second)
	answer.UnixMS = s.o.Now().UnixMilli()
	return answer, dev, nil
}

// mailEnrolled tells the account's owner about a new device, with a link that removes it.
func (s *Server) mailEnrolled(a *directory.Account, dev otp.Device, accept string) {
	token, err := s.revocationToken(a, dev.ID)
	if err != nil {
		s.logger.Error("revocation link not made", "account", a.ID, "error", err)
		return
	}
	message, err := s.writer.Enrolled(s.texts.Pick(a.Language, accept), mail.EnrolledLetter{
		Name: greetingName(a), Device: or(dev.Label, dev.ID), At: dev.Created,
		RevokeURL: s.o.PublicURL + "/revoke#" + token, ValidFor: revocationLifetime,
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
	s.logger.Info("enrollment refused", "request", event.ID, "account", event.Account, "source", event.Source, "reason", event.Reason)
	_ = s.o.Audit.Record(ctx, event)
}
