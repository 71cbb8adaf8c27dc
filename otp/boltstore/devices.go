package boltstore

import (
	"context"
	"fmt"
	"slices"

	"otpgate/otp"
)

// Devices implements [otp.Store]. The devices come by age, then by id.
func (s *Store) Devices(ctx context.Context, account string) (otp.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return otp.Snapshot{}, unavailable(err)
	}
	select {
	case <-s.closing:
		return otp.Snapshot{}, errClosed
	default:
	}
	key := accountKey(account)
	m, remembered, err := s.index.get(key)
	if err == nil && !remembered {
		m, err = s.read(ctx, key)
	}
	if err != nil {
		return otp.Snapshot{}, unavailable(fmt.Errorf("read devices: %w", err))
	}
	r, err := m.record()
	if err != nil {
		return otp.Snapshot{}, unavailable(fmt.Errorf("read devices: %w", err))
	}
	return r.snapshot(account), nil
}

// AddDevices implements [otp.Store]. Of an account that stays within the limit, the devices
// whose id is new are added even when others exist already; of one that would exceed it, none.
func (s *Store) AddDevices(ctx context.Context, devices []otp.Device, limit int) ([]error, error) {
	errs := make([]error, len(devices))
	if len(devices) == 0 {
		return errs, nil
	}
	devices = slices.Clone(devices) // as in Claim
	byAccount := make(map[string][]int)
	for i := range devices {
		byAccount[devices[i].Account] = append(byAccount[devices[i].Account], i)
	}
	err := s.do(ctx, &request{file: true, run: func(c *commit) {
		clear(errs)
		for account, indices := range byAccount {
			c.addDevices(account, devices, indices, limit, errs)
		}
	}})
	if err != nil {
		return make([]error, len(devices)), err
	}
	return errs, nil
}

// addDevices adds those of the devices that belong to the account.
func (c *commit) addDevices(account string, devices []otp.Device, indices []int, limit int, errs []error) {
	t := c.account(account)
	if t.err != nil {
		for _, i := range indices {
			errs[i] = t.err
		}
		return
	}
	var added []device
	for _, i := range indices {
		d := &devices[i]
		if t.record.device(d.ID) != nil || slices.ContainsFunc(added, func(a device) bool { return a.id == d.ID }) {
			errs[i] = otp.ErrExists
			continue
		}
		added = append(added, device{enrolled: enrolled{
			id: d.ID, label: d.Label, sealed: string(d.Sealed), algorithm: d.Algorithm,
			digits: d.Digits, period: d.Period, created: millis(d.Created),
		}})
	}
	if limit > 0 && len(t.record.devices)+len(added) > limit {
		for _, i := range indices {
			if errs[i] == nil {
				errs[i] = otp.ErrTooManyDevices
			}
		}
		return
	}
	if len(added) > 0 {
		t.record.devices = append(t.record.devices, added...)
		t.record.version++
		t.changed, t.devices = true, true
	}
}

// RenameDevice implements [otp.Store].
func (s *Store) RenameDevice(ctx context.Context, account, id, label string) error {
	return s.change(ctx, account, id, func(t *touched) {
		t.record.device(id).label = label
	})
}

// RemoveDevice implements [otp.Store].
func (s *Store) RemoveDevice(ctx context.Context, account, id string) error {
	return s.change(ctx, account, id, func(t *touched) {
		t.record.remove(id)
		t.record.version++
	})
}

// change carries out a change of a device that is there.
func (s *Store) change(ctx context.Context, account, id string, change func(*touched)) error {
	var failed error
	err := s.do(ctx, &request{file: true, run: func(c *commit) {
		failed = nil
		t := c.account(account)
		switch {
		case t.err != nil:
			failed = t.err
		case t.record.device(id) == nil:
			failed = fmt.Errorf("boltstore: device: %w", otp.ErrNotFound)
		default:
			change(t)
			t.changed, t.devices = true, true
		}
	}})
	if err != nil {
		return err
	}
	return failed
}
