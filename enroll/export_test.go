package enroll

import (
	"reflect"
	"strings"

	"otpgate/directory"
)

// Route is a route as tests see it.
type Route struct {
	Method, Path, Name string
	Required, Optional []string
}

// Routes returns the routes of a server.
func (s *Server) Routes() []Route {
	var all []Route
	for _, r := range s.routes() {
		all = append(all, Route{r.method, r.path, r.name, r.required, r.optional})
	}
	return all
}

// AnswerFields returns the JSON members of an answer, those marked with a question mark optional.
func AnswerFields() map[string][]string {
	all := map[string][]string{"Time": {"unix_ms"}, "Revoked": {"revoked"}, "Removed": {"removed"}, "Renamed": {"label"}}
	for name, v := range map[string]any{
		"Accepted": accepted{}, "Enrolled": enrolled{}, "Offered": offered{}, "QR": traced{}, "Opened": opened{}, "DeviceList": deviceList{}, "Listed": listed{},
	} {
		t := reflect.TypeOf(v)
		for i := range t.NumField() {
			field, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if options == "omitempty" {
				field += "?"
			}
			all[name] = append(all[name], field)
		}
	}
	return all
}

// ProofMessage is what a device signs.
var ProofMessage = proofMessage

// RevocationToken is the one that the link for a device holds.
func (s *Server) RevocationToken(account, name, device string) (string, error) {
	return s.revocationToken(&directory.Account{ID: account, Name: name}, device)
}

// Normalise reads a code as people type it.
var Normalise = normalise

// RandomCode returns a random code.
var RandomCode = randomCode

// Display writes a code as people see it.
var Display = display

// IsRevocationToken reports whether a text would revoke anything.
func (s *Server) IsRevocationToken(text string) bool {
	_, ok := s.openRevocation(text)
	return ok
}

// Tokens makes a token of each kind that is no revocation's.
func (s *Server) Tokens(account, name, email string) (offer, link, session string, err error) {
	offer, err = s.seal(offerPurpose, pending{Account: account, Email: email, Code: make([]byte, 32), Expires: s.o.Now().Add(offerLifetime).Unix()})
	if err != nil {
		return "", "", "", err
	}
	a := &directory.Account{ID: account, Name: name, Mail: email}
	if link, _, err = s.linkToken(a, s.o.Now().Add(linkLifetime)); err != nil {
		return "", "", "", err
	}
	session, err = s.sessionToken(account, person{Name: name, Mail: email})
	return offer, link, session, err
}

// Opens says what a text would be taken for.
func (s *Server) Opens(text string) (kinds []string) {
	for kind, open := range map[string]func(string) bool{
		"revocation": s.IsRevocationToken,
		"offer":      func(t string) bool { _, ok := s.openPending(t); return ok },
		"link":       func(t string) bool { _, ok := s.openLink(t); return ok },
		"session":    func(t string) bool { _, ok := s.openSession(t); return ok },
	} {
		if open(text) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// TraceQR draws a QR code.
func TraceQR(text string) (size int, path string, err error) {
	t, err := traceQR(text)
	return t.Size, t.Path, err
}
