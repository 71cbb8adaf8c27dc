package enroll

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"otpgate/directory"
	"otpgate/enroll/web"
	"otpgate/otp"
	"otpgate/otp/audit"
)

// revocationLifetime is how long the link in the mail about a new device removes it.
const revocationLifetime = 30 * 24 * time.Hour

// revocationPurpose is bound to the sealed token, so that nothing else that the keyset sealed is
// taken for one.
const revocationPurpose = "otpgate enroll revocation v1"

// revocation is what the token in the link holds, sealed.
type revocation struct {
	Account string `json:"a"`
	Name    string `json:"n"`
	Device  string `json:"d"`
	Expires int64  `json:"e"` // Unix seconds
}

// revocationToken makes the token for a device.
func (s *Server) revocationToken(a *directory.Account, device string) (string, error) {
	plain, err := json.Marshal(revocation{a.ID, a.Name, device, s.o.Now().Add(revocationLifetime).Unix()})
	if err != nil {
		return "", err
	}
	sealed, err := s.o.Keys.Seal(plain, []byte(revocationPurpose))
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// openRevocation reads a token, and reports false for anything that is not one, or no longer.
func (s *Server) openRevocation(token string) (r revocation, ok bool) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || strings.ContainsAny(token, "\r\n") { // which the decoder passes over
		return r, false
	}
	plain, err := s.o.Keys.Open(sealed, []byte(revocationPurpose))
	if err != nil || json.Unmarshal(plain, &r) != nil {
		return r, false
	}
	return r, s.o.Now().Unix() < r.Expires
}

// revokeDevice answers POST /v1/revocations: the device is gone, whether now or before.
func (s *Server) revokeDevice(w http.ResponseWriter, r *http.Request, c *call) *web.Problem {
	token, ok := s.openRevocation(c.members["token"])
	if !ok {
		return &web.Problem{Type: "urn:otpgate:link-invalid", Title: "the link is not valid, or no longer", Status: http.StatusForbidden}
	}
	event := audit.Event{
		Time: s.o.Now(), Kind: audit.Enrollment, Action: "device_revoked", ID: newID(), Source: c.source, Account: token.Account, Name: token.Name,
		Device: token.Device, Decision: otp.Accept.String(), Reason: otp.ReasonOK, Detail: "by the link in the mail",
	}
	err := s.o.Devices.Remove(r.Context(), token.Account, token.Device)
	switch {
	case errors.Is(err, otp.ErrNotFound):
		event.Detail = "by the link in the mail; it was gone already"
	case err != nil:
		s.logger.Error("device not revoked", "account", token.Account, "device", token.Device, "error", err)
		return web.Unavailable
	}
	_ = s.o.Audit.Record(r.Context(), event) // a device less needs no trail to be safe
	s.logger.Info("device revoked", "request", event.ID, "account", token.Account, "device", token.Device, "source", c.source)
	web.Write(w, http.StatusOK, struct {
		Revoked bool `json:"revoked"`
	}{true})
	return nil
}
