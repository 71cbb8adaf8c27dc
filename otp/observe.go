package otp

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Observe returns a store that does what store does and measures how long it takes. The result of
// an operation is "unavailable" when the store could not tell, and "ok" for every answer it gave.
func Observe(store Store, reg prometheus.Registerer, now func() time.Time) Store {
	return &observed{Store: store, now: now, durations: newStoreDurations(reg)}
}

type observed struct {
	Store
	now       func() time.Time
	durations map[string]outcomes
}

func (o *observed) done(operation string, start time.Time, err error) {
	d := o.durations[operation]
	which := d.ok
	if errors.Is(err, ErrUnavailable) {
		which = d.unavailable
	}
	which.Observe(o.now().Sub(start).Seconds())
}

func (o *observed) Claim(ctx context.Context, claims []Claim) []Receipt {
	start := o.now()
	receipts := o.Store.Claim(ctx, claims)
	var err error
	for _, r := range receipts {
		if r.Err != nil {
			err = unavailable(r.Err)
		}
	}
	o.done("claim", start, err)
	return receipts
}

func (o *observed) Devices(ctx context.Context, account string) (s Snapshot, err error) {
	defer func(start time.Time) { o.done("devices", start, err) }(o.now())
	return o.Store.Devices(ctx, account)
}

// AllDevices implements [Snapshots], also for a store that tells of one account at a time.
func (o *observed) AllDevices(ctx context.Context, accounts []string) (snapshots []Snapshot, errs []error) {
	many, ok := o.Store.(Snapshots)
	if !ok {
		return oneAtATime(ctx, o, accounts)
	}
	start := o.now()
	snapshots, errs = many.AllDevices(ctx, accounts)
	for _, err := range errs {
		o.done("devices", start, err)
	}
	return snapshots, errs
}

func (o *observed) AddDevices(ctx context.Context, devices []Device, limit int) (errs []error, err error) {
	defer func(start time.Time) { o.done("add_devices", start, err) }(o.now())
	return o.Store.AddDevices(ctx, devices, limit)
}

func (o *observed) RenameDevice(ctx context.Context, account, device, label string) (err error) {
	defer func(start time.Time) { o.done("rename_device", start, err) }(o.now())
	return o.Store.RenameDevice(ctx, account, device, label)
}

func (o *observed) RemoveDevice(ctx context.Context, account, device string) (err error) {
	defer func(start time.Time) { o.done("remove_device", start, err) }(o.now())
	return o.Store.RemoveDevice(ctx, account, device)
}

func (o *observed) PutTicket(ctx context.Context, t Ticket) (err error) {
	defer func(start time.Time) { o.done("put_ticket", start, err) }(o.now())
	return o.Store.PutTicket(ctx, t)
}

func (o *observed) CheckTicket(ctx context.Context, kind TicketKind, account string, digest Digest, now time.Time) (ok bool, err error) {
	defer func(start time.Time) { o.done("check_ticket", start, err) }(o.now())
	return o.Store.CheckTicket(ctx, kind, account, digest, now)
}

func (o *observed) TakeTicket(ctx context.Context, kind TicketKind, account string, digest Digest, now time.Time) (ok bool, err error) {
	defer func(start time.Time) { o.done("take_ticket", start, err) }(o.now())
	return o.Store.TakeTicket(ctx, kind, account, digest, now)
}

func (o *observed) PutNotes(ctx context.Context, notes []Note) (err error) {
	defer func(start time.Time) { o.done("put_notes", start, err) }(o.now())
	return o.Store.PutNotes(ctx, notes)
}

func (o *observed) Notes(ctx context.Context, kind, key string, now time.Time) (notes []Note, err error) {
	defer func(start time.Time) { o.done("notes", start, err) }(o.now())
	return o.Store.Notes(ctx, kind, key, now)
}

func (o *observed) Ping(ctx context.Context) (at time.Time, err error) {
	defer func(start time.Time) { o.done("ping", start, err) }(o.now())
	return o.Store.Ping(ctx)
}
