package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"otpgate/directory"
	"otpgate/enroll"
	"otpgate/otp"
	"otpgate/otp/audit"
)

func (s *Server) invite(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Name string `json:"name"`
	}
	if err := decode(w, r, &q); err != nil {
		s.fail(w, err, "")
		return
	}
	if s.o.Invite == nil {
		s.fail(w, &Error{"this node does no enrollment", "add the section enroll to its configuration"}, q.Name)
		return
	}
	if err := s.bound(); err != nil {
		s.fail(w, err, q.Name)
		return
	}
	a, err := s.find(r.Context(), q.Name)
	if err != nil {
		s.fail(w, err, q.Name)
		return
	}
	var i enroll.Invitation
	err = s.onRecord(r, audit.Event{Action: "invited", Account: a.ID, Name: a.Name}, func() (err error) {
		i, err = s.o.Invite(r.Context(), a)
		if unanswered(err) {
			err = doubtful{err, "see otpgate status, and invite again: the invitation before may have ended"}
		}
		return err
	})
	if err != nil {
		s.fail(w, err, q.Name)
		return
	}
	s.answer(w, i)
}

func (s *Server) listDevices(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	a, devices, err := s.devicesOf(r, name)
	if err == nil {
		err = s.onRecord(r, audit.Event{Action: "devices_listed", Account: a.ID, Name: a.Name}, func() error { return nil })
	}
	if err != nil {
		s.fail(w, err, name)
		return
	}
	list := make([]Device, len(devices))
	for i, d := range devices {
		list[i] = device(a, d)
	}
	s.answer(w, list)
}

func (s *Server) devicesOf(r *http.Request, name string) (*directory.Account, []otp.Device, error) {
	a, err := s.find(r.Context(), name)
	if err != nil {
		return nil, nil, err
	}
	devices, err := s.o.Devices.List(r.Context(), a.ID)
	return a, devices, err
}

// device is a device as operators see it.
func device(a *directory.Account, d otp.Device) Device {
	v := Device{
		Account: a.ID, Name: a.Name, ID: d.ID, Label: d.Label, Algorithm: string(d.Algorithm), Digits: d.Digits,
		Period: int64(d.Period / time.Second), Created: d.Created, Drift: d.Drift,
	}
	if !d.LastUsed.IsZero() {
		v.LastUsed = &d.LastUsed
	}
	return v
}

// changeTime is how long the store may take to add or to remove a device.
const changeTime = 10 * time.Second

// changing is the context of a change that is finished whoever hangs up.
func changing(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), changeTime)
}

// maxPeriod is the longest period that is worth looking at, in seconds: beyond it the number would
// run over as a duration, and be another one.
const maxPeriod = 24 * 60 * 60

func (s *Server) addDevice(w http.ResponseWriter, r *http.Request) {
	var q NewDevice
	if err := decode(w, r, &q); err != nil {
		s.fail(w, err, "")
		return
	}
	if err := s.bound(); err != nil {
		s.fail(w, err, q.Name)
		return
	}
	a, err := s.find(r.Context(), q.Name)
	if err != nil {
		s.fail(w, err, q.Name)
		return
	}
	if q.Period < 0 || q.Period > maxPeriod {
		s.fail(w, &Error{"the period is not one that a device can have", "give it in seconds, or leave it out for the configured default"}, q.Name)
		return
	}
	n := otp.NewDevice{
		Account: a.ID, ID: otp.NewDeviceID(), Label: q.Label, Algorithm: otp.Algorithm(q.Algorithm), Digits: q.Digits,
		Period: time.Duration(q.Period) * time.Second,
	}
	var added Added
	err = s.onRecord(r, audit.Event{Action: "device_added", Account: a.ID, Name: a.Name, Device: n.ID}, func() error {
		d, seed, err := s.add(r, n, q.Name)
		added = Added{device(a, d), s.o.Devices.URI(d, seed, a.Name)}
		return err
	})
	if err != nil {
		s.fail(w, err, q.Name)
		return
	}
	s.answer(w, added)
}

// add adds a device. Where the store does not say whether it has, the device is removed again, for nobody has
// its seed: it would take the place of another.
func (s *Server) add(r *http.Request, n otp.NewDevice, name string) (otp.Device, []byte, error) {
	ctx, cancel := changing(r)
	defer cancel()
	d, seed, err := s.o.Devices.Add(ctx, n)
	switch {
	case err == nil:
		return d, seed, nil
	case unanswered(err):
		s.undo(r, n)
		return d, nil, doubtful{err, "see otpgate device list " + name + ": if " + n.ID + " is there, revoke it, for nobody has its seed"}
	case !known(err):
		err = &Error{err.Error(), "leave it out for the configured default"}
	}
	return d, nil, err
}

// undo removes a device that nobody was told of, if it is there.
func (s *Server) undo(r *http.Request, n otp.NewDevice) {
	ctx, cancel := changing(r) // what it was added with may be over
	defer cancel()
	if err := s.o.Devices.Remove(ctx, n.Account, n.ID); err != nil && !errors.Is(err, otp.ErrNotFound) {
		s.logger.Error("a device may be there that nobody was told of", "account", n.Account, "device", n.ID, "error", err,
			"hint", "look at otpgate device list when the store is back, and revoke it")
	}
}

func (s *Server) revokeDevice(w http.ResponseWriter, r *http.Request) {
	name, which := r.URL.Query().Get("name"), r.URL.Query().Get("device")
	a, devices, err := s.devicesOf(r, name)
	if err != nil {
		s.fail(w, err, name)
		return
	}
	d, err := pick(devices, name, which)
	if err != nil {
		s.fail(w, err, name)
		return
	}
	// Whoever hangs up meanwhile: it is done all the same, and on record.
	ctx, cancel := changing(r)
	defer cancel()
	if err = s.o.Devices.Remove(ctx, a.ID, d.ID); err != nil {
		_ = s.record(r, audit.Event{Action: "device_revoked", Account: a.ID, Name: a.Name, Device: d.ID, Detail: "perhaps not done: " + err.Error()})
		s.fail(w, err, name)
		return
	}
	// A device less needs no trail to be safe: a lost phone must not wait for a disk.
	_ = s.record(r, audit.Event{Action: "device_revoked", Account: a.ID, Name: a.Name, Device: d.ID})
	s.answer(w, device(a, d))
}

// pick returns the device with an id, else the only one with a label.
func pick(devices []otp.Device, name, which string) (otp.Device, error) {
	hint := "see otpgate device list " + name
	if which == "" { // a script's empty variable, and not the device without a label
		return otp.Device{}, &Error{"no device was named", "give its id; " + hint}
	}
	var found []otp.Device
	for _, d := range devices {
		if d.ID == which {
			return d, nil
		}
		if d.Label == which {
			found = append(found, d)
		}
	}
	switch len(found) {
	case 0:
		return otp.Device{}, &Error{fmt.Sprintf("%s has no device %q", name, which), hint}
	case 1:
		return found[0], nil
	}
	return otp.Device{}, &Error{fmt.Sprintf("%s has %d devices that are called %q", name, len(found), which), "give the device's id instead; " + hint}
}

// audit streams events, one a line.
func (s *Server) audit(w http.ResponseWriter, r *http.Request) {
	f, follow, err := filterOf(r.URL.Query())
	if err != nil {
		s.fail(w, err, "")
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	flush := http.NewResponseController(w).Flush
	if err := flush(); err != nil {
		return
	}
	ctx, cancel := either(r.Context(), s.ctx)
	defer cancel()
	e := json.NewEncoder(w)
	// Who reads the trail is in it, but not among the last events that were asked for.
	begun := func() { _ = s.record(r, audit.Event{Action: "audit_read"}) } // the log says so
	err = s.o.Trail.Read(ctx, f, follow, begun, func(event audit.Event) error {
		if err := e.Encode(event); err != nil || !follow {
			return err
		}
		return flush()
	})
	switch {
	case err == nil || r.Context().Err() != nil: // that was all, or nobody is there to be told
	case s.ctx.Err() != nil:
		_ = e.Encode(&Error{"the node stops; these are not all events", "run the command again when the node is back"})
	default:
		_ = e.Encode(&Error{"the audit trail cannot be read: " + err.Error(), "see the node's log"})
	}
}

// filterOf reads what [Client.Audit] puts into a query.
func filterOf(q url.Values) (f audit.Filter, follow bool, err error) {
	f = audit.Filter{
		Kind: audit.Kind(q.Get("kind")), Name: q.Get("name"), Account: q.Get("account"), Client: q.Get("client"),
		Decision: q.Get("decision"), Reason: otp.Reason(q.Get("reason")),
		ID: q.Get("id"), Source: q.Get("source"), Device: q.Get("device"), Session: q.Get("session"), Actor: q.Get("actor"),
	}
	for key, at := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		if text := q.Get(key); text != "" && err == nil {
			*at, err = time.Parse(time.RFC3339Nano, text)
		}
	}
	if text := q.Get("last"); text != "" && err == nil {
		f.Last, err = strconv.Atoi(text)
	}
	if err != nil {
		err = &Error{"the filter is not one that this node knows", "use the otpgate command of the same version as the node"}
	}
	var refused *audit.FilterError
	if errors.As(f.Check(), &refused) && err == nil {
		err = &Error{fmt.Sprintf("no event has the %s %q", refused.Field, refused.Value), "it is " + refused.Want}
	}
	return f, q.Get("follow") == "true", err
}
