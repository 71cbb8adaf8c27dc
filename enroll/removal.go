package enroll

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"otpgate/directory"
	"otpgate/enroll/mail"
	"otpgate/enroll/web"
	"otpgate/otp"
	"otpgate/otp/audit"
)

// proofTolerance is how far the time of a device's proof may be from ours.
const proofTolerance = 2 * time.Minute

// invalidProof is the one answer to everything that is wrong with who would change a device.
func invalidProof() *web.Problem {
	return &web.Problem{Type: "urn:otpgate:proof-invalid", Title: "the proof is not valid, or no longer", Status: http.StatusForbidden}
}

// holder is who was found to have an account: by a session, or by one of its devices.
type holder struct {
	account, name string
	person        *directory.Account // to be written to; nil: yet to be looked up
	by            mail.RemovedBy
	how           string // for the trail
}

// proofMessage is what a device signs with its key, to change what the server knows of it: action is
// "remove" or "rename", at the time in Unix milliseconds, detail the new label or nothing.
func proofMessage(action, account, device, at, detail string) []byte {
	return []byte("otpgate device proof v1\n" + action + "\n" + account + "\n" + device + "\n" + at + "\n" + detail)
}

// removeDevice answers POST /v1/devices/remove.
func (s *Server) removeDevice(w http.ResponseWriter, r *http.Request, c *call) *web.Problem {
	h, p := s.mayChange(r.Context(), c, "remove", "")
	if p != nil {
		return p
	}
	err := s.takeAway(r.Context(), removal{
		account: h.account, name: h.name, person: h.person, device: c.members["device"], by: h.by, detail: h.how,
		source: c.source, accept: r.Header.Get("Accept-Language"),
	})
	switch {
	case errors.Is(err, otp.ErrNotFound) && h.by == mail.ByDevice:
		return s.refuse(r.Context(), c, errRefused{otp.ReasonNoDevice}, invalidProof())
	case err != nil && !errors.Is(err, otp.ErrNotFound):
		return s.refuse(r.Context(), c, err, invalidProof())
	}
	web.Write(w, http.StatusOK, struct {
		Removed bool `json:"removed"`
	}{true})
	return nil
}

// renameDevice answers POST /v1/devices/rename.
func (s *Server) renameDevice(w http.ResponseWriter, r *http.Request, c *call) *web.Problem {
	label := strings.TrimSpace(c.members["label"])
	if !goodLabel(label) {
		return web.Malformed.With("the label is too long, or cannot be printed")
	}
	h, p := s.mayChange(r.Context(), c, "rename", c.members["label"])
	if p != nil {
		return p
	}
	event := audit.Event{
		Time: s.o.Now(), Kind: audit.Enrollment, Action: "device_renamed", ID: newID(), Source: c.source, Account: h.account, Name: h.name,
		Device: clip(c.members["device"]), Detail: h.how,
	}
	err := s.o.Devices.Rename(r.Context(), h.account, c.members["device"], label)
	if errors.Is(err, otp.ErrNotFound) {
		err = errRefused{otp.ReasonNoDevice}
	}
	if err != nil {
		s.refused(r.Context(), event, err)
		return s.refuse(r.Context(), c, err, invalidProof())
	}
	event.Decision, event.Reason = otp.Accept.String(), otp.ReasonOK
	_ = s.o.Audit.Record(r.Context(), event) // a label lets nobody in
	s.logger.Info("device renamed", "request", event.ID, "account", h.account, "device", event.Device, "source", c.source)
	web.Write(w, http.StatusOK, struct {
		Label string `json:"label"`
	}{label})
	return nil
}

// mayChange decides whether a request may change a device: with a session of the account, or with a
// proof that the device itself made for this very change.
func (s *Server) mayChange(ctx context.Context, c *call, action, detail string) (holder, *web.Problem) {
	_, bySession := c.members["session"]
	given := 0
	for _, name := range []string{"account", "at", "proof"} {
		if _, ok := c.members[name]; ok {
			given++
		}
	}
	switch {
	case bySession && given > 0, !bySession && given < 3:
		return holder{}, web.Malformed.With("either a session, or account, at and proof")
	case bySession:
		v, ok := s.openSession(c.members["session"])
		if !ok {
			return holder{}, s.refuse(ctx, c, errRefused{otp.ReasonStateUnknown}, invalidLink())
		}
		return holder{account: v.Account, name: v.Name, person: v.owner(), by: mail.BySession, how: "on the page of devices"}, nil
	}
	dev, err := s.proven(ctx, c.members, action, detail)
	if err != nil {
		s.refused(ctx, audit.Event{
			Time: s.o.Now(), Kind: audit.Enrollment, Action: map[string]string{"remove": "device_revoked", "rename": "device_renamed"}[action],
			ID: newID(), Source: c.source, Name: clip(c.members["account"]), Device: clip(c.members["device"]), Detail: "by a proof of the device",
		}, err)
		return holder{}, s.refuse(ctx, c, err, invalidProof())
	}
	return holder{account: dev.Account, by: mail.ByDevice, how: "by the device itself"}, nil
}

// proven checks a device's proof. The error is an errRefused, or says that the store cannot tell.
func (s *Server) proven(ctx context.Context, members map[string]string, action, detail string) (otp.Device, error) {
	account, device, at := members["account"], members["device"], members["at"]
	proof, err := base64.RawURLEncoding.Strict().DecodeString(members["proof"])
	if err != nil || strings.ContainsAny(members["proof"], "\r\n") {
		proof = nil // which equals nothing
	}
	dev, right, err := s.o.Devices.Signed(ctx, account, device, proofMessage(action, account, device, at, detail), proof)
	ms, badTime := strconv.ParseInt(at, 10, 64)
	switch now := s.o.Now(); {
	case err != nil:
		return otp.Device{}, err
	// Lines end where we say: what is signed reads in one way only.
	case strings.ContainsFunc(account+device+at, unicode.IsControl), badTime != nil, strconv.FormatInt(ms, 10) != at:
		return otp.Device{}, errRefused{otp.ReasonProofGarbled}
	case ms < now.Add(-proofTolerance).UnixMilli() || ms > now.Add(proofTolerance).UnixMilli():
		return otp.Device{}, errRefused{otp.ReasonStateExpired}
	case !right:
		return otp.Device{}, errRefused{otp.ReasonCodeWrong}
	}
	return dev, nil
}

// removal is one device to be removed, and who did it.
type removal struct {
	account, name, device string
	person                *directory.Account // to be written to; nil: yet to be looked up
	by                    mail.RemovedBy
	detail                string // how, for the trail
	source, accept        string
}

// takeAway removes a device and has its owner told, whoever hangs up meanwhile. The error wraps [otp.ErrNotFound] when it
// was gone already, of which nobody is told.
func (s *Server) takeAway(ctx context.Context, r removal) error {
	ctx, cancel := finishing(ctx)
	defer cancel()
	devices, err := s.o.Devices.List(ctx, r.account)
	if err != nil {
		return err
	}
	if err := s.mark(ctx, r, devices); err != nil {
		return err
	}
	if err := s.revoke(ctx, r); err != nil {
		return err
	}
	s.unmark(ctx, r, devices)
	label := r.device
	if i := slices.IndexFunc(devices, func(d otp.Device) bool { return d.ID == r.device }); i >= 0 {
		label = labelOf(devices[i])
	}
	at := s.o.Now()
	tell := func(a *directory.Account) {
		message, err := s.writer.Removed(s.texts.Pick(a.Language, r.accept), mail.RemovedLetter{Name: greetingName(a), Device: label, At: at, By: r.by})
		s.post(a, message, err)
	}
	if r.person != nil {
		tell(r.person)
		return nil
	}
	if !s.background(func(ctx context.Context) {
		a, err := s.o.Accounts.FindID(ctx, r.account)
		if err != nil {
			s.logger.Error("nobody to be told of a removed device", "account", r.account, "device", r.device, "error", err)
			return
		}
		tell(a)
	}) {
		s.logger.Error("no room to tell of a removed device", "account", r.account, "device", r.device)
	}
	return nil
}

// revoke removes a device and puts it on record.
func (s *Server) revoke(ctx context.Context, r removal) error {
	event := audit.Event{
		Time: s.o.Now(), Kind: audit.Enrollment, Action: "device_revoked", ID: newID(), Source: r.source, Account: r.account, Name: r.name,
		Device: clip(r.device), Decision: otp.Accept.String(), Reason: otp.ReasonOK, Detail: r.detail,
	}
	err := s.o.Devices.Remove(ctx, r.account, r.device)
	switch {
	case errors.Is(err, otp.ErrNotFound): // or never there: who has a session can name any
		event.Decision, event.Reason = otp.Reject.String(), otp.ReasonNoDevice
		event.Detail += "; it was not there"
	case err != nil:
		event.Decision, event.Reason = otp.Drop.String(), otp.ReasonStoreUnavailable
		event.Detail += "; it may be gone"
		_ = s.o.Audit.Record(ctx, event)
		return err
	}
	_ = s.o.Audit.Record(ctx, event) // a device less needs no trail to be safe
	s.logger.Info("device revoked", "request", event.ID, "account", r.account, "device", event.Device, "source", r.source, "detail", event.Detail)
	return err
}
