package radius

import (
	"bytes"
	"context"
	"net/netip"
	"time"

	"otpgate/directory"
	"otpgate/otp/audit"
	"otpgate/radius/session"
)

// accountBudget bounds what is done for reports of one batch, from their arrival: a gateway sends again
// after three seconds and more.
const accountBudget = 2500 * time.Millisecond

// report is one Accounting-Request (RFC 2866) on its way. One goroutine has it at a time.
type report struct {
	arrived time.Time
	client  *client
	source  netip.Addr
	octets  []byte // the whole packet
	key     *key
	record  session.Record
	name    string             // "" when there is none that can be looked up
	account *directory.Account // nil when it is not known who that is
	way     answer
}

// beginReport makes a report of an authentic Accounting-Request. It is false for one that is
// malformed.
func (r *reader) beginReport(in admitted, p *arrival) (kept bool) {
	octets := bytes.Clone(in.octets)
	lookup := func(kind byte) ([]byte, bool) {
		for k, value := range attributes(octets) {
			if k == kind {
				return value, true
			}
		}
		return nil, false
	}
	record, err := session.Read(lookup)
	if err != nil {
		r.discard(discardMalformedAttributes, p.client, p.source.Addr(), p.now)
		return false
	}
	x := &report{
		arrived: p.now, client: p.client, source: p.source.Addr(),
		octets: octets, key: in.key, record: record, way: p.way,
	}
	if typed, ok := lookup(typeUserName); ok {
		if name, ok := p.client.Charset.read(typed); ok {
			x.name, _ = directory.DecodeName(name)
		}
	}
	r.reports = append(r.reports, x)
	return true
}

// account keeps what gateways report, then acknowledges it, then notes what it says of open
// sessions. A report that is not on disk gets no answer, and comes again (RFC 2866 section 4.1);
// the directory and the store are not needed for that.
func (s *Server) account(ctx context.Context, reports []*report) {
	defer func() {
		for range reports {
			s.reporting.Release()
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, accountBudget)
	defer cancel()
	if !s.keep(ctx, reports) {
		return
	}
	s.acknowledge(reports)
	for _, x := range reports {
		s.note(ctx, x)
	}
}

// keep writes reports into the trail, all in one call. When it is false, none of them is answered.
func (s *Server) keep(ctx context.Context, reports []*report) (kept bool) {
	defer func() {
		if p := recover(); p != nil {
			s.panicked(p)
			kept = false
		}
		if kept {
			return
		}
		s.metrics.unrecorded.Add(float64(len(reports)))
		for _, x := range reports {
			s.duplicates.Forget(x.way.entry)
			x.way.via.ended()
		}
	}()
	events := make([]audit.Event, len(reports))
	for i, x := range reports {
		if x.name != "" {
			x.account, _ = s.accounts.FindKnown(x.name, x.client.Directories)
		}
		events[i] = x.event()
	}
	err := s.audit.Keep(ctx, events...)
	if err != nil && s.quiet.recording.Allow(s.now()) {
		s.logger.Error("accounting not recorded, gateways get no answer and send again", "error", err,
			"hint", "free the disk of data_dir")
	}
	return err == nil
}

// acknowledge answers reports that are on disk.
func (s *Server) acknowledge(reports []*report) {
	answers := make([]answer, 0, len(reports))
	for _, x := range reports {
		s.metrics.accounting(x.client, x.record.Status)
		if s.response(x) {
			answers = append(answers, x.way)
		}
	}
	s.send(answers)
}

// response seals the answer to a report. It is false when there is none to send.
func (s *Server) response(x *report) (sealed bool) {
	defer func() {
		if p := recover(); p != nil {
			s.panicked(p)
			sealed = false
		}
		if !sealed {
			s.metrics.unsent[unsentUnsealed].Inc()
			s.duplicates.Forget(x.way.entry)
			x.way.via.ended()
		}
	}()
	var err error
	x.way.octets, err = x.client.seal(x.key, x.octets, codeAccountingResponse, nil)
	return err == nil // what fitted into the request fits into the reply, but for Message-Authenticator
}

// note keeps what a report says about open sessions, for whoever looks at an account. It is in the
// trail already: what fails here is missing from a view, and nothing else.
func (s *Server) note(ctx context.Context, x *report) {
	defer func() {
		if p := recover(); p != nil {
			s.panicked(p)
		}
	}()
	if s.options.Sessions == nil {
		return
	}
	var err error
	switch x.record.Status {
	case session.AccountingOn, session.AccountingOff:
		err = s.options.Sessions.Restarted(ctx, x.client.Name, x.record.NAS, x.record.At(x.arrived))
	default:
		if x.account == nil && x.name != "" {
			x.account, _ = s.accounts.Find(ctx, x.name, x.client.Directories)
		}
		if x.account != nil {
			err = s.options.Sessions.Record(ctx, x.client.Name, x.account.ID, x.record)
		}
	}
	if err != nil && s.quiet.noting.Allow(s.now()) {
		s.logger.Warn("open sessions are not up to date", "client", x.client.Name, "error", err,
			"hint", "the trail has everything; otpgate account show misses what the store could not take")
	}
}

// event is the report as the audit trail keeps it.
func (x *report) event() audit.Event {
	r := x.record
	e := audit.Event{
		Time:    x.arrived,
		Kind:    audit.Accounting,
		Action:  r.Status.String(),
		Name:    r.Name,
		Client:  x.client.Name,
		Source:  x.source.String(),
		NAS:     r.NAS,
		Session: r.Session,
	}
	if x.account != nil {
		e.Account, e.Name = x.account.ID, x.account.Name
	}
	if r.Station != "" {
		e.Source += " " + r.Station
	}
	t := audit.Traffic{
		Address: r.Address, Seconds: uint32(r.Lasted / time.Second), In: r.In, Out: r.Out, Cause: r.Cause.String(),
	}
	if t != (audit.Traffic{}) {
		e.Traffic = &t
	}
	return e
}
