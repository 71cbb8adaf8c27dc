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
	all := map[string][]string{"Time": {"unix_ms"}, "Revoked": {"revoked"}}
	for name, v := range map[string]any{"Accepted": accepted{}, "Enrolled": enrolled{}} {
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
