package enroll

import (
	"context"
	"net/http"
	"strings"
	"time"

	"otpgate/enroll/web"
	"otpgate/otp"
)

// offerLifetime is how long the first code of another authenticator may take.
const offerLifetime = 10 * time.Minute

// firstWindow is how many steps the clock of another authenticator may be off when it shows its first code.
const firstWindow = 1

// offered is the answer to who wants to use another authenticator than the app. There is no device
// before its first code was seen.
type offered struct {
	Token  string `json:"token"`
	URI    string `json:"otpauth"` // the seed
	QR     traced `json:"qr"`      // the same
	Digits int    `json:"digits"`
	Period int64  `json:"period"` // seconds
	UnixMS int64  `json:"unix_ms"`
	Name   string `json:"name"` // of the account, as it logs in
	Issuer string `json:"issuer"`
}

// pending is what the token of an offer holds, sealed: what was admitted, and the device to be.
type pending struct {
	Account    string        `json:"a"`
	Email      string        `json:"m"` // as it was typed, to look the account up again
	Code       []byte        `json:"k"` // digest of the enrollment code
	Confirming string        `json:"c,omitempty"`
	Invitation []byte        `json:"i,omitempty"` // digest
	Retire     string        `json:"r,omitempty"`
	Device     string        `json:"d"`
	Label      string        `json:"l"`
	Seed       []byte        `json:"s"`
	Algorithm  otp.Algorithm `json:"g"`
	Digits     int           `json:"n"`
	Period     time.Duration `json:"p"`
	Expires    int64         `json:"e"` // Unix seconds
}

// offer makes a device for another authenticator, and gives it away to be shown there. Nothing is
// stored, and no ticket taken.
func (s *Server) offer(ctx context.Context, reg registration) (*offered, error) {
	event := s.enrollmentEvent(reg)
	ad, err := s.admit(ctx, reg)
	event = event.about(ad.account)
	if err != nil {
		s.refused(ctx, event.Event, err)
		return nil, err
	}
	n, err := s.draft(ctx, ad, reg.label)
	if err != nil {
		s.refused(ctx, event.Event, err)
		return nil, err
	}
	answer, err := s.describe(ad, n, reg.email)
	if err != nil {
		return nil, err
	}
	event.Action, event.Device, event.Decision, event.Reason = "device_offered", n.ID, otp.Accept.String(), otp.ReasonOK
	if err := s.o.Audit.Record(ctx, event.Event); err != nil {
		unanswered(event.Event, err)
		return nil, err
	}
	s.logger.Info("device offered", "request", event.ID, "account", n.Account, "device", n.ID, "source", event.Source)
	return answer, nil
}

// draft makes the device to be.
func (s *Server) draft(ctx context.Context, ad admission, label string) (otp.NewDevice, error) {
	devices, err := s.o.Devices.List(ctx, ad.account.ID)
	if err != nil {
		return otp.NewDevice{}, err
	}
	leaving, _ := ad.leaving(devices)
	n, err := s.o.Devices.Draft(ctx, otp.NewDevice{Account: ad.account.ID, Label: label, Instead: len(leaving)})
	return n, s.full(ad, err)
}

// describe makes the answer to who wants another authenticator.
func (s *Server) describe(ad admission, n otp.NewDevice, email string) (*offered, error) {
	p := pending{
		Account: n.Account, Email: email, Code: ad.code[:], Confirming: ad.by.Device, Retire: ad.retire,
		Device: n.ID, Label: n.Label, Seed: n.Seed, Algorithm: n.Algorithm, Digits: n.Digits, Period: n.Period,
		Expires: s.o.Now().Add(offerLifetime).Unix(),
	}
	if ad.by.Invitation != nil {
		p.Invitation = ad.by.Invitation[:]
	}
	token, err := s.seal(offerPurpose, p)
	if err != nil {
		return nil, err
	}
	dev := otp.Device{Account: n.Account, ID: n.ID, Algorithm: n.Algorithm, Digits: n.Digits, Period: n.Period}
	answer := &offered{
		Token: token, URI: s.o.Devices.URI(dev, n.Seed, ad.account.Name), Digits: n.Digits, Period: int64(n.Period.Seconds()),
		UnixMS: s.o.Now().UnixMilli(), Name: ad.account.Name, Issuer: s.o.Issuer,
	}
	answer.QR, err = traceQR(answer.URI)
	return answer, err
}

// openPending reads a token, and reports false for anything that is not one, or no longer.
func (s *Server) openPending(token string) (p pending, ok bool) {
	ok = s.open(offerPurpose, token, &p)
	return p, ok && !s.past(p.Expires) && len(p.Code) == len(otp.Digest{})
}

// admission is what was admitted when the token was made, for an account that is to be looked up again.
func (p pending) admission(c *call, accept string) admission {
	ad := admission{code: otp.Digest(p.Code), by: confirmed{Device: p.Confirming}, retire: p.Retire, source: c.source, accept: accept}
	if len(p.Invitation) == len(otp.Digest{}) {
		digest := otp.Digest(p.Invitation)
		ad.by.Invitation = &digest
	}
	return ad
}

// confirmDevice answers POST /v1/confirmations: the first code of another authenticator. Whoever has
// the token was told the seed: there is nothing to be guessed here.
func (s *Server) confirmDevice(w http.ResponseWriter, r *http.Request, c *call) *web.Problem {
	if s.o.AppLock == LockRequired { // since the offer was made, perhaps
		return lockRequired()
	}
	p, ok := s.openPending(c.members["token"])
	if !ok {
		return s.refuse(r.Context(), c, errRefused{otp.ReasonStateUnknown}, invalidCode())
	}
	event := s.enrollmentEvent(registration{email: p.Email, source: c.source})
	event.Account, event.Device = p.Account, p.Device
	n := otp.NewDevice{
		Account: p.Account, Label: p.Label, Seed: p.Seed, Algorithm: p.Algorithm, Digits: p.Digits, Period: p.Period, ID: p.Device,
	}
	first := otp.CheckFirst(n, strings.ReplaceAll(strings.TrimSpace(c.members["code"]), " ", ""), s.o.Now(), firstWindow)
	if first != otp.FirstRight {
		problem := wrongFirst(first)
		event.Detail = problem.Title
		s.refused(r.Context(), event.Event, errRefused{otp.ReasonCodeWrong})
		return problem
	}
	ad := p.admission(c, r.Header.Get("Accept-Language"))
	a, unknown, err := s.whose(r.Context(), p.Email)
	if err == nil && unknown == "" && a.ID != p.Account {
		unknown = otp.ReasonAccountUnknown
	}
	if err == nil && unknown != "" {
		err = errRefused{unknown}
	}
	if err != nil {
		s.refused(r.Context(), event.Event, err)
		return s.refuse(r.Context(), c, err, invalidCode())
	}
	ad.account = a
	answer, err := s.finish(r.Context(), event.about(a).Event, ad, n)
	if err != nil {
		return s.refuse(r.Context(), c, err, invalidCode())
	}
	web.Write(w, http.StatusCreated, answer)
	return nil
}

// wrongFirst says what is the matter with an authenticator that showed a wrong first code.
func wrongFirst(first otp.First) *web.Problem {
	p := &web.Problem{Status: http.StatusUnprocessableEntity}
	switch first {
	case otp.FirstPeriodIgnored:
		p.Type, p.Title = "urn:otpgate:period-ignored", "the authenticator ignores the period, and shows another code every 30 seconds"
	case otp.FirstDigitsWrong:
		p.Type, p.Title = "urn:otpgate:digits-wrong", "the code has another number of digits"
	default:
		p.Type, p.Title = "urn:otpgate:first-code-wrong", "the code is not the one that the authenticator should show now"
	}
	return p
}
