package otp

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Observe returns a store that does what store does and measures how long it takes.
func Observe(store Store, reg prometheus.Registerer, now func() time.Time) Store {
	o := &observed{Store: store, now: now, durations: map[string][2]prometheus.Observer{}}
	durations := promauto.With(reg).NewHistogramVec(prometheus.HistogramOpts{
		Name:    "otpgate_store_operation_duration_seconds",
		Help:    "Time that the store took, by operation and result.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
	}, []string{"operation", "result"})
	for _, op := range []string{"claim", "devices", "add_devices", "rename_device", "remove_device", "put_ticket", "check_ticket", "take_ticket", "ping"} {
		o.durations[op] = [2]prometheus.Observer{durations.WithLabelValues(op, "ok"), durations.WithLabelValues(op, "unavailable")}
	}
	return o
}

type observed struct {
	Store
	now       func() time.Time
	durations map[string][2]prometheus.Observer
}

func (o *observed) done(operation string, start time.Time, err error) {
	which := 0
	if errors.Is(err, ErrUnavailable) {
		which = 1
	}
	o.durations[operation][which].Observe(o.now().Sub(start).Seconds())
}

func (o *observed) Claim(ctx context.Context, claims []Claim) []Receipt {
	start := o.now()
	receipts := o.Store.Claim(ctx, claims)
	var err error
	for _, r := range receipts {
		if r.Err != nil {
			err = r.Err
		}
	}
	o.done("claim", start, err)
	return receipts
}

func (o *observed) Devices(ctx context.Context, account string) (s Snapshot, err error) {
	defer func(start time.Time) { o.done("devices", start, err) }(o.now())
	return o.Store.Devices(ctx, account)
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

func (o *observed) Ping(ctx context.Context) (at time.Time, err error) {
	defer func(start time.Time) { o.done("ping", start, err) }(o.now())
	return o.Store.Ping(ctx)
}
