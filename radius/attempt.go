package radius

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/otp/audit"
	"otpgate/radius/challenge"
	"otpgate/radius/dictionary"
	"otpgate/radius/overload"
)

// attempt is one login on its way through the stages. One goroutine has it at a time.
type attempt struct {
	id       uint32       // in the log line and in the audit event
	hex      string       // the id in words; made when it is asked for
	decision otp.Decision // Drop until something else is decided
	method   method       // once the account is known
	arrived  time.Time
	client   *client
	source   netip.Addr
	request  request
	way      answer         // everything of the reply but its octets
	room     *overload.Room // that it is under way in, with the client's share of it
	share    *overload.Share

	name    string             // once it is decoded
	asked   *opened            // which challenge it answers; nil: none, or State is empty
	account *directory.Account // once it is found
	granted []dictionary.Wire  // the attributes of an accept; once the account is known
	walked  otp.Walked         // its Attempt once the account is known; the rest once every code was compared

	sought                      time.Time // when the directory was asked for the account
	inDirectory, inStore, total time.Duration

	reason  otp.Reason
	device  string
	relaxed string // which relaxation let it in, if one did
	next    string // the State of the challenge that it is answered with
	err     error  // what a peer said; for the log

	packet [roomForPacket]byte // of request.octets, unless they are more
	parts  [5][]byte           // of the token
	place  [2]string           // of the place
}

// roomForPacket is as much as most packets have, in octets.
const roomForPacket = 256

// opened is what became of the State of a request.
type opened struct {
	challenge.State
	err error // it is not ours, or too old
}

// newAttempt makes an attempt of a packet that is authentic. The packet's octets are copied.
func (s *Server) newAttempt(in admitted, p *arrival) *attempt {
	a, _ := s.spare.Get().(*attempt)
	if a == nil {
		a = new(attempt)
	}
	a.id, a.arrived, a.client, a.source, a.way = rand.Uint32(), p.now.Add(-p.lay), p.client, p.source.Addr(), p.way
	a.reason = otp.ReasonPanic // until somebody has decided
	a.request.read(append(a.packet[:0], in.octets...), in, p.client)
	return a
}

// over takes back attempts that are finished, for others: nobody looks at them from now on. What they
// held is gone, the password too.
func (s *Server) over(as ...*attempt) {
	for _, a := range as {
		*a = attempt{}
		s.spare.Put(a)
	}
}

// decisionFor is what the outside sees of a refusal with this reason: a reject when somebody knows
// that the answer is no; nothing when nobody could tell, so that the gateway asks another node.
func decisionFor(r otp.Reason) otp.Decision {
	switch r {
	case otp.ReasonCodeWrong, otp.ReasonCodeUsed, otp.ReasonThrottled, otp.ReasonNoDevice,
		otp.ReasonAccountUnknown, otp.ReasonAccountAmbiguous, otp.ReasonAccountDisabled,
		otp.ReasonNotInGroup, otp.ReasonInDeniedGroup, otp.ReasonOutsideHours,
		otp.ReasonPasswordWrong, otp.ReasonPasswordEmpty,
		otp.ReasonNoProof, otp.ReasonProofUnsupported, otp.ReasonProofGarbled, otp.ReasonNameInvalid,
		otp.ReasonStateUnknown, otp.ReasonStateExpired, otp.ReasonChallengeSpent, otp.ReasonReplyInvalid:
		return otp.Reject
	}
	return otp.Drop
}

// refuse decides against the attempt.
func (a *attempt) refuse(why otp.Reason) { a.decision, a.reason = decisionFor(why), why }

// fail decides that nobody can tell, because a peer did not answer or the time ran out.
func (a *attempt) fail(ctx context.Context, why otp.Reason, err error) {
	if ctx.Err() != nil {
		why = otp.ReasonTimeout
	}
	a.err = err
	a.refuse(why)
}

// The relaxations that may let somebody in, by their keys in the configuration.
const (
	sharedCode    = "shared_code"
	failoverGrace = "failover_grace"
)

var relaxations = [...]string{sharedCode, failoverGrace}

// conclude takes over what became of the claim.
func (a *attempt) conclude(ctx context.Context, r otp.Result) {
	a.device = r.Match.Device
	a.decision, a.reason = decide(r, a.method == byPassword), r.Reason
	switch {
	case a.decision == otp.Drop:
		if a.reason == "" || a.reason == otp.ReasonOK || r.Stale {
			a.reason = otp.ReasonStoreUnavailable
		}
		a.fail(ctx, a.reason, r.Err)
	case a.decision == otp.Accept && r.Shared:
		a.relaxed = sharedCode
	case a.decision == otp.Accept && r.Again && a.inGrace():
		a.relaxed = failoverGrace
	}
}

// decide holds the only statement of this package that lets anybody in: when a code was claimed, or
// when the configuration asks for none and the directory took the password.
func decide(r otp.Result, exempt bool) otp.Decision {
	claimed := r.OK && r.Reason == otp.ReasonOK
	if (claimed && !exempt || exempt && !r.OK && r.Reason == otp.ReasonCodeExempt) && !r.Stale {
		return otp.Accept
	}
	return decisionFor(r.Reason)
}

// event is the attempt as the audit trail keeps it, with its times in stages.
func (a *attempt) event(superseded bool, stages *audit.Stages) audit.Event {
	e := audit.Event{
		Time:     a.arrived,
		Kind:     audit.Login,
		Action:   "access",
		ID:       a.hexID(),
		Name:     printable(a.name),
		Client:   a.client.Name,
		Device:   a.device,
		Decision: a.decision.String(),
		Reason:   a.reason,
		Stages:   stages,
	}
	*stages = audit.Stages{Directory: milliseconds(a.inDirectory), Store: milliseconds(a.inStore), Total: milliseconds(a.total)}
	if a.account != nil {
		e.Account, e.Name = a.account.ID, a.account.Name
	}
	var room [64]byte
	source := a.source.AppendTo(room[:0])
	if a.request.station != "" {
		source = append(append(source, ' '), printable(a.request.station)...)
	}
	e.Source = string(source)
	var detail []string
	if a.relaxed != "" {
		detail = append(detail, "Let in by "+a.relaxed+".")
	}
	if superseded {
		detail = append(detail, "Not sent: the gateway had given the Identifier to another request.")
	}
	e.Detail = strings.Join(detail, " ")
	return e
}

// log writes the one line of the attempt. Where in the source that is tells nobody anything, and finding
// it out is a tenth of the work. The attributes are made in line, which nobody keeps.
func (a *attempt) log(ctx context.Context, logger *slog.Logger, now time.Time, line *logLine) {
	h := logger.Handler()
	if !h.Enabled(ctx, slog.LevelInfo) {
		return
	}
	*line = logLine{
		slog.String("attempt", a.hexID()),
		slog.String("client", a.client.Name),
		slog.String("name", printable(a.name)),
		slog.String("decision", a.decision.String()),
		slog.String("reason", string(a.reason)),
		slog.String("device", a.device),
		slog.Float64("directory_ms", milliseconds(a.inDirectory)),
		slog.Float64("store_ms", milliseconds(a.inStore)),
		slog.Float64("total_ms", milliseconds(a.total)),
		slog.String("relaxed", a.relaxed),
	}
	attrs := line[:]
	if a.relaxed == "" {
		attrs = attrs[:len(attrs)-1]
	}
	const message = "access decision"
	if quick, ok := h.(liner); ok {
		_ = quick.Line(ctx, now, slog.LevelInfo, message, attrs) // as slog does: there is nobody to tell
		return
	}
	record := slog.NewRecord(now, slog.LevelInfo, message, 0)
	record.AddAttrs(attrs...)
	_ = h.Handle(ctx, record)
}

// logLine is room for the attributes of the line of an attempt.
type logLine [10]slog.Attr

// liner is a handler that takes attributes without a record, which would have to copy them.
type liner interface {
	// Line MUST NOT keep attrs.
	Line(ctx context.Context, at time.Time, level slog.Level, message string, attrs []slog.Attr) error
}

// hexID is the id in the log line and in the event.
func (a *attempt) hexID() string {
	if a.hex == "" {
		const digits = "0123456789abcdef"
		var text [8]byte
		for i := range text {
			text[i] = digits[a.id>>(28-4*i)&0xf]
		}
		a.hex = string(text[:])
	}
	return a.hex
}

// milliseconds keeps three places: microseconds.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// reasonOf sorts what a directory says.
func reasonOf(err error) otp.Reason {
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return otp.ReasonAccountUnknown
	case errors.Is(err, directory.ErrAmbiguous):
		return otp.ReasonAccountAmbiguous
	case errors.Is(err, directory.ErrNameInvalid):
		return otp.ReasonNameInvalid
	}
	return otp.ReasonDirectoryUnavailable
}
