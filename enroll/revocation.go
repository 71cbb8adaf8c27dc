package enroll

import (
	"errors"
	"net/http"
	"time"

	"otpgate/directory"
	"otpgate/enroll/mail"
	"otpgate/enroll/web"
	"otpgate/otp"
)

// revocationLifetime is how long the link in the mail about a new device removes it.
const revocationLifetime = 30 * 24 * time.Hour

// revocation is what the token in the link holds, sealed.
type revocation struct {
	Account string `json:"a"`
	Name    string `json:"n"`
	Device  string `json:"d"`
	Expires int64  `json:"e"` // Unix seconds
}

// revocationToken makes the token for a device.
func (s *Server) revocationToken(a *directory.Account, device string) (string, error) {
	return s.seal(revocationPurpose, revocation{a.ID, a.Name, device, s.o.Now().Add(revocationLifetime).Unix()})
}

// openRevocation reads a token, and reports false for anything that is not one, or no longer.
func (s *Server) openRevocation(token string) (r revocation, ok bool) {
	ok = s.open(revocationPurpose, token, &r)
	return r, ok && !s.past(r.Expires)
}

// invalidLink is the answer to a link, and to a session, that is not valid.
func invalidLink() *web.Problem {
	return &web.Problem{Type: "urn:otpgate:link-invalid", Title: "the link is not valid, or no longer", Status: http.StatusForbidden}
}

// revokeDevice answers POST /v1/revocations: the device is gone, whether now or before.
func (s *Server) revokeDevice(w http.ResponseWriter, r *http.Request, c *call) *web.Problem {
	token, ok := s.openRevocation(c.members["token"])
	if !ok {
		return invalidLink()
	}
	err := s.takeAway(r.Context(), removal{
		account: token.Account, name: token.Name, device: token.Device, by: mail.ByLink, detail: "by the link in the mail",
		source: c.source, accept: r.Header.Get("Accept-Language"),
	})
	if err != nil && !errors.Is(err, otp.ErrNotFound) {
		s.logger.Error("device not revoked", "account", token.Account, "device", token.Device, "error", err)
		return web.Unavailable
	}
	web.Write(w, http.StatusOK, struct {
		Revoked bool `json:"revoked"`
	}{true})
	return nil
}
