package radius

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/radius/dictionary"
)

// ErrNoClient: no client has this name.
var ErrNoClient = errors.New("no such client")

// Question is a login that somebody wants explained.
type Question struct {
	Client  string // the configured name
	Name    string // as somebody would type it
	Code    string // "": none is tried
	Station string // Calling-Station-Id, as the gateway would send it
}

// Outcome is how one step of an explanation comes out.
type Outcome string

// The outcomes. Nobody can tell what an unknown one would be: the password is not asked for, or a
// peer does not answer.
const (
	OutcomeOK      Outcome = "ok"
	OutcomeStop    Outcome = "stop"
	OutcomeUnknown Outcome = "unknown"
)

// Step is one thing that a login has to pass.
type Step struct {
	Name    string
	Outcome Outcome
	Detail  string // one sentence for people
}

// Explanation is what would happen to a login. Decision and Reason are those if every unknown step
// comes out well. Nothing was claimed, counted or asked of the directory but who the account is.
type Explanation struct {
	Steps    []Step
	Account  string // its id, if it was found
	Decision otp.Decision
	Reason   otp.Reason
	Reply    []dictionary.Wire // the attributes of the accept, also when it would not come to that
}

// Explain says, step by step, what would happen to a login and why. It returns [ErrNoClient], and no
// other error: what cannot be found out is an unknown step.
func (s *Server) Explain(ctx context.Context, q Question) (Explanation, error) {
	c := s.table.Load().named(q.Client)
	if c == nil {
		return Explanation{}, fmt.Errorf("radius: %w: %q", ErrNoClient, q.Client)
	}
	x := &explaining{Server: s, c: c, q: q, now: s.now()}
	x.run(ctx)
	return x.out, nil
}

// explaining is one explanation being made. Each step returns whether the login would go on.
type explaining struct {
	*Server
	c       *client
	q       Question
	now     time.Time
	account *directory.Account
	method  method
	place   otp.Place
	out     Explanation
}

func (x *explaining) run(ctx context.Context) {
	x.add("client", OutcomeOK, "%s asks for: %s; Message-Authenticator: %s", x.c.Name, x.c.Login, x.c.MessageAuthenticator)
	for _, step := range []func(context.Context) bool{x.find, x.admit, x.reply, x.factors, x.wait, x.devices} {
		if !step(ctx) {
			return
		}
	}
	switch x.method {
	case byPassword:
		x.out.Decision, x.out.Reason = decide(otp.Result{Reason: otp.ReasonCodeExempt}, true), otp.ReasonCodeExempt
	default:
		x.out.Decision, x.out.Reason = decide(otp.Result{OK: true, Reason: otp.ReasonOK}, false), otp.ReasonOK
	}
}

func (x *explaining) add(name string, o Outcome, format string, args ...any) {
	x.out.Steps = append(x.out.Steps, Step{name, o, fmt.Sprintf(format, args...)})
}

// stop ends the explanation with a refusal.
func (x *explaining) stop(name string, why otp.Reason, format string, args ...any) bool {
	x.add(name, OutcomeStop, format, args...)
	x.out.Decision, x.out.Reason = decisionFor(why), why
	return false
}

// blind ends it because a peer does not tell.
func (x *explaining) blind(name string, why otp.Reason, err error) bool {
	if err == nil {
		err = errors.New("no answer")
	}
	x.add(name, OutcomeUnknown, "nobody can tell: %v", err)
	x.out.Decision, x.out.Reason = decisionFor(why), why
	return false
}

func (x *explaining) find(ctx context.Context) bool {
	name, err := directory.DecodeName([]byte(x.q.Name))
	if err != nil {
		return x.stop("account", otp.ReasonNameInvalid, "no account can have this name")
	}
	account, err := x.accounts.Find(ctx, name, x.c.Directories)
	switch why := reasonOf(err); {
	case err == nil && account == nil:
		return x.blind("account", otp.ReasonDirectoryUnavailable, directory.ErrUnavailable)
	case err == nil:
		x.account, x.out.Account = account, account.ID
		x.add("account", OutcomeOK, "%s in directory %s", account.Name, account.Directory)
		return true
	case why == otp.ReasonDirectoryUnavailable:
		return x.blind("account", why, err)
	default:
		return x.stop("account", why, "%v", err)
	}
}

func (x *explaining) admit(context.Context) bool {
	why := x.c.forbids(x.account, x.now)
	switch why {
	case otp.ReasonAccountDisabled:
		return x.stop("may log in here", why, "the directory says that the account is disabled")
	case otp.ReasonNotInGroup:
		return x.stop("may log in here", why, "it is in none of allow_groups: %s", strings.Join(x.c.AllowGroups, ", "))
	case otp.ReasonInDeniedGroup:
		if x.account.GroupsCut {
			return x.stop("may log in here", why, "not all of its groups are known, and one of deny_groups may be among them")
		}
		return x.stop("may log in here", why, "it is in one of deny_groups: %s", strings.Join(x.c.DenyGroups, ", "))
	case otp.ReasonOutsideHours:
		return x.stop("may log in here", why, "now is not within hours")
	}
	x.add("may log in here", OutcomeOK, "enabled, by its groups, and at this time")
	return true
}

func (x *explaining) reply(context.Context) bool {
	if x.c.Reply == nil {
		return true
	}
	var err error
	if x.out.Reply, err = x.c.Reply.For(x.account); err != nil {
		return x.stop("reply", otp.ReasonReplyInvalid, "%v", err)
	}
	x.add("reply", OutcomeOK, "%d attributes", len(x.out.Reply))
	return true
}

func (x *explaining) factors(context.Context) bool {
	switch {
	case x.c.Login == LoginPassword:
		x.method = byPassword
		x.add("factors", OutcomeOK, "password alone: login: password for this client")
	case x.c.exempts(x.account):
		x.method = byPassword
		x.add("factors", OutcomeOK, "password alone: it is in one of password_only_groups: %s", strings.Join(x.c.PasswordOnlyGroups, ", "))
	default:
		x.method = map[Login]method{LoginPasswordCode: byPasswordAndCode, LoginPasswordThenCode: byPasswordFirst}[x.c.Login]
		x.add("factors", OutcomeOK, "%s", x.method)
	}
	if x.method != byCode {
		x.add("password", OutcomeUnknown, "the directory is asked at a login, and was not now")
	}
	return true
}

func (x *explaining) wait(ctx context.Context) bool {
	x.place = x.codes.Place(x.c.Name, x.q.Station)
	r := x.previews.CheckPlace(ctx, x.account.ID, x.place)
	switch {
	case r.Reason == otp.ReasonOK:
		return true
	case r.Reason == otp.ReasonThrottled:
		return x.stop("back-off", r.Reason, "wrong codes from this place make it wait until %s", r.Until.Format(time.RFC3339))
	default:
		return x.blind("back-off", otp.ReasonStoreUnavailable, r.Err)
	}
}

func (x *explaining) devices(ctx context.Context) bool {
	if x.method == byPassword {
		return true
	}
	walked, r, err := x.preview(ctx)
	switch {
	case err != nil:
		return x.blind("devices", otp.ReasonStoreUnavailable, err)
	case walked.Devices == 0:
		return x.stop("devices", otp.ReasonNoDevice, "it has none: invite it, or have it enroll")
	}
	x.add("devices", OutcomeOK, "it has %d", walked.Devices)
	if x.q.Code == "" {
		x.add("code", OutcomeUnknown, "none was given to try")
		return true
	}
	return x.code(walked, r)
}

// preview walks the devices, and asks what would become of the code: again when what the node knew
// of the account was old.
func (x *explaining) preview(ctx context.Context) (walked otp.Walked, r otp.Result, err error) {
	for range maxWalks {
		walked, err = x.previews.Look(ctx, otp.Attempt{Account: x.account.ID, Proof: otp.TypedCode(x.q.Code), Place: x.place})
		if err != nil {
			break
		}
		if r = x.previews.Preview(ctx, walked); !r.Stale {
			break
		}
	}
	return walked, r, err
}

func (x *explaining) code(walked otp.Walked, r otp.Result) bool {
	m := r.Match
	if m.Device == "" && len(walked.Matches) > 0 {
		m = walked.Matches[0]
	}
	switch {
	case r.Reason == otp.ReasonCodeWrong && m.Device == "":
		return x.stop("code", r.Reason, "it is none that a device shows now")
	case r.Reason == otp.ReasonOK:
		x.add("code", OutcomeOK, "device %s shows it, %+d steps from this node's clock; it was not used", m.Device, m.Offset)
		return true
	case r.Reason == otp.ReasonCodeUsed:
		return x.stop("code", r.Reason, "device %s shows it, but it was used, or a later one was", m.Device)
	case r.Reason == otp.ReasonCodeWrong:
		return x.stop("code", r.Reason, "device %s shows it, but it was typed here before when it was wrong", m.Device)
	case r.Reason == otp.ReasonThrottled:
		return x.stop("code", r.Reason, "wrong codes from this place make it wait until %s", r.Until.Format(time.RFC3339))
	default:
		return x.blind("code", otp.ReasonStoreUnavailable, r.Err)
	}
}
