package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"otpgate/enroll/operator"
	"otpgate/otp"
	"otpgate/radius"
)

// explain answers operators who want to know what would become of a login.
func (n *node) explain(ctx context.Context, q operator.ExplainRequest) (operator.Explanation, error) {
	server := n.radius.Load()
	if server == nil {
		return operator.Explanation{}, &operator.Error{Fact: "the node is still starting", Hint: "ask again in a second"}
	}
	x, err := server.Explain(ctx, radius.Question{Client: q.Client, Name: q.Account, Code: q.Code, Station: q.Station})
	switch {
	case errors.Is(err, radius.ErrNoClient):
		return operator.Explanation{}, &operator.Error{
			Fact: fmt.Sprintf("no client is called %q", q.Client), Hint: "the names are under radius.clients in the configuration; otpgate status lists them",
		}
	case err != nil:
		return operator.Explanation{}, err
	}
	out := operator.Explanation{Decision: x.Decision.String(), Reason: string(x.Reason), Reply: []operator.ReplyAttribute{}}
	for _, s := range x.Steps {
		out.Steps = append(out.Steps, operator.Step{Name: s.Name, Outcome: string(s.Outcome), Detail: s.Detail})
	}
	if x.Reason != otp.ReasonCodeExempt { // which looks at no device
		out.Steps = append(out.Steps, n.ahead(ctx, x.Account)...)
	}
	names := n.gateways.Load().dictionary
	for _, w := range x.Reply {
		name, value := names.Describe(w)
		octets := append([]byte{w.Type, byte(w.Octets())}, w.Value...)
		out.Reply = append(out.Reply, operator.ReplyAttribute{Name: name, Value: value, Octets: hex.EncodeToString(octets)})
	}
	return out, nil
}

// ahead tells of the devices of an account that show codes of used steps until a time that is still to come.
func (n *node) ahead(ctx context.Context, account string) (steps []operator.Step) {
	if account == "" {
		return nil
	}
	devices, err := n.devices.List(ctx, account)
	if err != nil {
		return nil // another step has met the same store
	}
	for i := range devices {
		if until := n.codes.Ahead(&devices[i]); !until.IsZero() {
			steps = append(steps, operator.Step{Name: "last code", Outcome: operator.StepUnknown, Detail: fmt.Sprintf(
				"the last code of device %s is of a time that is to come: a clock was ahead, or this node's is behind; it gets in from %s on, or after it was revoked and enrolled again",
				devices[i].ID, until.Format(time.RFC3339))})
		}
	}
	return steps
}

// openSessions are those of an account, as gateways have told of them.
func (n *node) openSessions(ctx context.Context, account string) ([]operator.Session, error) {
	open, err := n.sessions.Open(ctx, account)
	if err != nil {
		return nil, err
	}
	out := make([]operator.Session, len(open))
	for i, s := range open {
		out[i] = operator.Session{
			Client: s.Client, NAS: s.NAS, ID: s.ID, Station: s.Station, Address: s.Address,
			Since: s.Started, Updated: s.Updated, In: s.In, Out: s.Out, Stale: s.Stale,
		}
	}
	return out, nil
}

// gatewayStatus is what is known of each client: whether it signs, and which secret it uses.
func (n *node) gatewayStatus() []operator.ClientStatus {
	server := n.radius.Load()
	if server == nil { // the node is still starting
		return nil
	}
	seen := map[string]operator.ClientStatus{}
	for _, s := range n.posture.Summary() {
		seen[s.Client] = operator.ClientStatus{
			Sentence: s.Text, Signed: s.Signed, Total: s.Total, Since: s.Since, Proven: s.Proven || s.Safe,
		}
	}
	var out []operator.ClientStatus
	for _, c := range server.Clients() {
		s := seen[c.Name]
		s.Name, s.Policy = c.Name, c.MessageAuthenticator.String()
		s.CurrentSecret, s.PreviousSecret, s.PreviousSecretUsed = c.CurrentSecret, c.PreviousSecret, c.PreviousSecretUsed
		out = append(out, s)
	}
	return out
}
