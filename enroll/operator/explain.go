package operator

import (
	"fmt"
	"net/http"

	"otpgate/otp/audit"
)

// ExplainRequest is a login that nobody makes.
type ExplainRequest struct {
	Client  string `json:"client"`            // the configured name of the gateway
	Account string `json:"account"`           // the name, as it would be typed at the gateway
	Code    string `json:"code,omitempty"`    // what would be typed as the proof; "": it is left open
	Station string `json:"station,omitempty"` // Calling-Station-Id
}

// String tells of the request without what is typed as the proof.
func (q ExplainRequest) String() string {
	return fmt.Sprintf("{%q %q code given: %t %q}", q.Client, q.Account, q.Code != "", q.Station)
}

// GoString is [ExplainRequest.String].
func (q ExplainRequest) GoString() string { return "operator.ExplainRequest" + q.String() }

// What a [Step] comes to.
const (
	StepOK      = "ok"      // the login goes on
	StepStop    = "stop"    // the login ends here
	StepUnknown = "unknown" // it depends on what was not given, or could not be asked
)

// Step is one thing that is looked at in a login.
type Step struct {
	Name    string `json:"name"`
	Outcome string `json:"outcome"` // [StepOK], [StepStop] or [StepUnknown]
	Detail  string `json:"detail,omitempty"`
}

// ReplyAttribute is one attribute of the reply.
type ReplyAttribute struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Octets string `json:"octets"` // as on the wire with type and length, in hexadecimal
}

// Explanation is what would become of a login, and why.
type Explanation struct {
	Steps    []Step           `json:"steps"` // in the order in which they are taken
	Decision string           `json:"decision"`
	Reason   string           `json:"reason"`
	Reply    []ReplyAttribute `json:"reply"`
}

// What a packet can carry, in octets: RFC 2865 sections 5 and 5.2.
const (
	maxText = 253
	maxCode = 128
)

// check refuses what no packet can carry, and a script's empty variable.
func (q ExplainRequest) check() error {
	switch {
	case q.Client == "":
		return &Error{"no client was named", "give its name from the configuration, radius.clients"}
	case q.Account == "":
		return &Error{"no account was named", "give the name that is typed at the gateway"}
	case len(q.Client) > maxText, len(q.Account) > maxText, len(q.Station) > maxText:
		return &Error{fmt.Sprintf("a name is longer than the %d octets that a packet can carry", maxText), "give it as it would be typed at the gateway"}
	case len(q.Code) > maxCode:
		return &Error{fmt.Sprintf("the code is longer than the %d octets that a packet can carry", maxCode), "give what would be typed at the gateway"}
	}
	return nil
}

// explain tells an operator whether a code would be let in, so who asked for which account is on
// record before there is an answer; the code is not, nor what came of it.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	var q ExplainRequest
	err := decode(w, r, &q)
	if err == nil {
		err = q.check()
	}
	if err == nil && s.o.Explain == nil {
		err = &Error{"this node cannot explain logins", "see otpgate audit for those that were made"}
	}
	if err != nil {
		s.fail(w, err, q.Account)
		return
	}
	e := audit.Event{Action: "explained", Client: q.Client, Name: q.Account, Source: q.Station}
	if q.Code != "" {
		e.Detail = "with a code"
	}
	// Whether there is such an account is for the steps to tell: they ask as the client would.
	if a, err := s.find(r.Context(), q.Account); err == nil {
		e.Account, e.Name = a.ID, a.Name
	}
	var x Explanation
	err = s.onRecord(r, e, func() (err error) {
		x, err = s.o.Explain(r.Context(), q)
		return err
	})
	if err != nil {
		s.fail(w, err, q.Account)
		return
	}
	if x.Steps == nil {
		x.Steps = []Step{} // scripts find the lists, whatever is in them
	}
	if x.Reply == nil {
		x.Reply = []ReplyAttribute{}
	}
	s.answer(w, x)
}
