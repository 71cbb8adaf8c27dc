package enroll

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/otp/audit"
)

// errRefused: something is refused; the reason is for the audit trail only.
type errRefused struct{ reason otp.Reason }

func (e errRefused) Error() string { return "refused: " + string(e.reason) }

// admission is what was found right with a request to enroll a device.
type admission struct {
	account *directory.Account
	code    otp.Digest // of the enrollment code, which is yet to be taken
	by      confirmed
	retire  string
	source  string
	accept  string
}

// admit decides whether somebody may add a device. An address that nobody has takes the same
// steps as one that somebody has, for an account that does not exist.
//
//  1. the enrollment code is checked, which spends one of its tries; not for a source that has had its share
//     of them, for which the same is done about nobody;
//  2. the confirmation is checked, if one is needed: a code of a device is claimed, an invitation
//     loses a try.
//
// What follows is [Server.finish], at once or after a first code. The error is an errRefused, or says
// what was unavailable.
func (s *Server) admit(ctx context.Context, reg registration) (admission, error) {
	ad := admission{retire: reg.retire, source: reg.source, accept: reg.accept}
	a, unknown, err := s.whose(ctx, reg.email)
	if err != nil {
		return ad, err
	}
	ad.account, ad.code = a, s.digest(codePurpose, a.ID, reg.code)
	of := a.ID
	_, may := s.tries.Take(try{reg.from, a.ID})
	if !may {
		of = s.nobody(a.ID).ID
	}
	right, err := s.o.Tickets.CheckTicket(ctx, otp.EnrollmentTicket, of, ad.code, s.o.Now())
	if err != nil {
		return ad, err
	}
	devices, err := s.o.Devices.List(ctx, a.ID)
	switch {
	case err != nil:
		return ad, err
	case unknown != "":
		return ad, errRefused{unknown}
	case !may:
		return ad, errRefused{otp.ReasonThrottled}
	case !right || reg.code == "":
		return ad, errRefused{otp.ReasonCodeWrong}
	}
	needs, err := s.needs(ctx, a.ID, devices)
	if err == nil {
		ad.by, err = s.confirm(ctx, a.ID, needs, reg)
	}
	return ad, err
}

// whose finds the account with an address. For an address that nobody has, or somebody who may not
// enroll, it says why, and returns an account for the same work to be done with.
func (s *Server) whose(ctx context.Context, email string) (a *directory.Account, unknown otp.Reason, err error) {
	a, err = s.o.Accounts.FindMail(ctx, email)
	switch reason := reasonOf(err); {
	case err == nil && a.Disabled:
		return a, otp.ReasonAccountDisabled, nil
	case err == nil:
		return a, "", nil
	case reason == otp.ReasonDirectoryUnavailable:
		return nil, "", err
	default:
		return s.nobody(email), reason, nil
	}
}

// nobody is an account that does not exist, the same for the same text.
func (s *Server) nobody(text string) *directory.Account {
	phantom := s.o.Keys.MAC("nobody", []byte(text))
	return &directory.Account{ID: hex.EncodeToString(phantom[:18])} // as long as a UUID
}

// finish adds a device that was admitted:
//
//  1. what is known to stand in the way is found: there is no room, or store or trail are not there;
//  2. both tickets are taken, the one that is easier to replace first. Of concurrent requests one
//     gets past this;
//  3. the device is added, and put on record;
//  4. those whose place it takes are removed.
//
// Whatever fails before the last leaves no device behind. What the first finds uses up no ticket. What
// fails after the second (a store or a trail that goes away in between, the last place given to somebody
// else) costs both: a person can request another code, an invitation has to come from the help desk again.
// Nor does somebody who hangs up meanwhile leave a device that nobody knows of: it is done all the same,
// and on record.
func (s *Server) finish(ctx context.Context, event audit.Event, ad admission, n otp.NewDevice) (*enrolled, error) {
	ctx, cancel := finishing(ctx)
	defer cancel()
	dev, leaving, staying, err := s.add(ctx, ad, n)
	if err = s.full(ad, err); err != nil {
		s.refused(ctx, event, err)
		return nil, err
	}
	event.Device, event.Decision, event.Reason = dev.ID, otp.Accept.String(), otp.ReasonOK
	if err := s.o.Audit.Record(ctx, event); err != nil {
		// The trail is required, and cannot be written: there must be no device without it.
		return nil, errors.Join(err, s.takeBack(ctx, event, err))
	}
	s.logger.Info("device enrolled", "request", event.ID, "account", dev.Account, "device", dev.ID, "source", event.Source)
	answer := &enrolled{
		Device: dev.ID, Account: dev.Account, Name: ad.account.Name, Label: dev.Label, Issuer: s.o.Issuer,
		Algorithm: string(dev.Algorithm), Digits: dev.Digits, Period: int64(dev.Period.Seconds()), UnixMS: s.o.Now().UnixMilli(),
		Retired: []string{}, Others: []string{},
	}
	s.retire(ctx, ad, dev, leaving, staying, answer)
	s.mailEnrolled(ad.account, dev, answer, ad.accept)
	return answer, nil
}

// add takes the tickets, if nothing stands in the way, and adds the device. It also returns the devices whose place it takes, and
// those that stay.
func (s *Server) add(ctx context.Context, ad admission, n otp.NewDevice) (dev otp.Device, leaving, staying []otp.Device, err error) {
	devices, err := s.o.Devices.List(ctx, ad.account.ID)
	if err != nil {
		return dev, nil, nil, err
	}
	// Again, for it may have been a while since, and others come and go.
	needs, err := s.needs(ctx, ad.account.ID, devices)
	if err != nil {
		return dev, nil, nil, err
	}
	if !ad.by.does(needs, devices) {
		return dev, nil, nil, errRefused{otp.ReasonNoProof}
	}
	if slices.ContainsFunc(devices, func(d otp.Device) bool { return d.ID == n.ID }) { // it was added by a call before
		return dev, nil, nil, errRefused{otp.ReasonStateUnknown}
	}
	leaving, staying = ad.leaving(devices)
	n.Instead = len(leaving)
	if err := s.mayAdd(ctx, len(devices), n); err != nil {
		return dev, nil, nil, err
	}
	if err := s.take(ctx, ad); err != nil {
		return dev, nil, nil, err
	}
	if dev, _, err = s.o.Devices.Add(ctx, n); errors.Is(err, otp.ErrUnavailable) { // it may be there all the same
		err = errors.Join(err, s.undo(ctx, n.Account, n.ID))
	}
	return dev, leaving, staying, err
}

// mayAdd finds what would use up the tickets of a device for nothing: that an account has so many already,
// or that the store, or a trail that is required, is not there.
func (s *Server) mayAdd(ctx context.Context, have int, n otp.NewDevice) error {
	if err := s.o.Devices.Room(have, n); err != nil {
		return err
	}
	_, err := s.o.Ping(ctx)
	return err
}

// finishing is the context of what is finished once it has begun, whoever hangs up meanwhile.
func finishing(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
}

// undo removes a device that nobody was told of, if it is there.
func (s *Server) undo(ctx context.Context, account, device string) error {
	ctx, cancel := finishing(ctx)
	defer cancel()
	err := s.o.Devices.Remove(ctx, account, device)
	if err == nil || errors.Is(err, otp.ErrNotFound) {
		return nil
	}
	s.logger.Error("a device may be there that nobody was told of", "account", account, "device", device, "error", err,
		"hint", "look at otpgate device list when the store is back, and revoke it")
	return err
}

// takeBack removes a device that is not on record, and says so there if it may yet be.
func (s *Server) takeBack(ctx context.Context, event audit.Event, late error) error {
	err := s.undo(ctx, event.Account, event.Device)
	event.Action, event.Detail = "device_revoked", "taken back, because it was not on record in time"
	if err != nil {
		event.Decision, event.Reason = otp.Drop.String(), otp.ReasonStoreUnavailable
		event.Detail = "not on record in time; it may be there, although nobody was told of it"
	}
	audit.Correct(late, event)
	return err
}

// unanswered takes back on record what was not given away, because it was not there in time.
func unanswered(event audit.Event, late error) {
	event.Decision, event.Reason, event.Detail = otp.Drop.String(), otp.ReasonAuditUnavailable, "taken back, because it was not on record in time"
	audit.Correct(late, event)
}

// full tells the account's owner by mail that there is no room, if that is what was wrong: the answer
// says no more than any refusal does.
func (s *Server) full(ad admission, err error) error {
	if !errors.Is(err, otp.ErrTooManyDevices) {
		return err
	}
	if _, ok := s.mailboxes.Take(mailbox{ad.account.ID, "no_room"}); ok { // the code is good for more tries
		s.mailFull(ad.account, ad.accept)
	}
	return errRefused{audit.ReasonTooManyDevices}
}

// leaving divides an account's devices into those whose place the new one takes, and the others.
func (ad admission) leaving(devices []otp.Device) (leaving, staying []otp.Device) {
	for _, d := range devices {
		if ad.retire == retireOthers || ad.retire == retireConfirming && d.ID == ad.by.Device {
			leaving = append(leaving, d)
		} else {
			staying = append(staying, d)
		}
	}
	return leaving, staying
}

// take ends the enrollment code, and the invitation if there is one.
func (s *Server) take(ctx context.Context, ad admission) error {
	won, err := s.o.Tickets.TakeTicket(ctx, otp.EnrollmentTicket, ad.account.ID, ad.code, s.o.Now())
	if err == nil && won && ad.by.Invitation != nil {
		won, err = s.o.Tickets.TakeTicket(ctx, otp.InvitationTicket, ad.account.ID, *ad.by.Invitation, s.o.Now())
	}
	if err == nil && !won {
		err = errRefused{otp.ReasonCodeUsed}
	}
	return err
}

// retire removes the devices whose place a new one takes, each on record, and says in the answer which
// are gone. One that cannot be removed now is still there, and named with those that stay.
func (s *Server) retire(ctx context.Context, ad admission, dev otp.Device, leaving, staying []otp.Device, answer *enrolled) {
	ctx, cancel := finishing(ctx)
	defer cancel()
	for _, old := range leaving {
		err := s.revoke(ctx, removal{
			account: dev.Account, name: ad.account.Name, device: old.ID, source: ad.source, detail: "device " + dev.ID + " takes its place",
		})
		if err == nil || errors.Is(err, otp.ErrNotFound) {
			answer.Retired = append(answer.Retired, labelOf(old))
			continue
		}
		s.logger.Error("device not retired", "account", dev.Account, "device", old.ID, "error", err)
		staying = append(staying, old)
	}
	for _, other := range staying {
		answer.Others = append(answer.Others, labelOf(other))
	}
}
