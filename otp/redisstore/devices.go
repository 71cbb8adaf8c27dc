package redisstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"otpgate/otp"
)

var errDamaged = errors.New("damaged record")

// addBatch is how many accounts get their devices in one pipeline, so that each answers in time.
const addBatch = 250

// listValue is the longest value with which Redis keeps a hash as one list (its default of
// hash-max-listpack-value): a sealed seed of 32 octets is one octet longer.
const listValue = 64

// Devices implements [otp.Store]. The devices come by age, then by id.
func (s *Store) Devices(ctx context.Context, account string) (otp.Snapshot, error) {
	key := s.accountKey(account)
	return do(ctx, s, "devices", func(ctx context.Context) (otp.Snapshot, error) {
		reply, err := s.shared(ctx, []call{{key: key, args: []any{"hgetall", key}}})[0].StringSlice()
		if err != nil {
			return otp.Snapshot{}, err
		}
		return snapshot(account, fieldsOf(reply))
	})
}

// AllDevices implements [otp.Snapshots]: one pipeline, in a cluster one to each master that is concerned.
func (s *Store) AllDevices(ctx context.Context, accounts []string) ([]otp.Snapshot, []error) {
	snapshots, errs := make([]otp.Snapshot, len(accounts)), make([]error, len(accounts))
	calls := make([]call, len(accounts))
	for i, account := range accounts {
		key := s.accountKey(account)
		calls[i] = call{key: key, args: []any{"hgetall", key}}
	}
	cmds, failed := do(ctx, s, "devices", func(ctx context.Context) ([]*redis.Cmd, error) { return s.shared(ctx, calls), nil })
	for i, account := range accounts {
		if errs[i] = failed; failed != nil {
			continue
		}
		reply, err := cmds[i].StringSlice()
		if err == nil {
			snapshots[i], err = snapshot(account, fieldsOf(reply))
		}
		if err != nil {
			snapshots[i], errs[i] = otp.Snapshot{}, unavailable("devices", err)
		}
	}
	return snapshots, errs
}

// fieldsOf reads the reply to HGETALL: the second protocol has no maps.
func fieldsOf(reply []string) map[string]string {
	fields := make(map[string]string, len(reply)/2)
	for i := 0; i+1 < len(reply); i += 2 {
		fields[reply[i]] = reply[i+1]
	}
	return fields
}

// snapshot reads the hash of an account.
func snapshot(account string, fields map[string]string) (otp.Snapshot, error) {
	snap := otp.Snapshot{Account: account}
	if v, ok := fields["v"]; ok {
		var err error
		if snap.Version, err = strconv.ParseUint(v, 10, 64); err != nil {
			return otp.Snapshot{}, errDamaged
		}
	}
	for field, fixed := range fields {
		id, ok := strings.CutPrefix(field, "d")
		if !ok {
			continue
		}
		d := otp.Device{Account: account, ID: id, Sealed: []byte(fields["s"+id] + fields["S"+id])}
		if err := errors.Join(decodeFixed(&d, fixed), decodeUse(&d, fields["u"+id])); err != nil {
			return otp.Snapshot{}, err
		}
		snap.Devices = append(snap.Devices, d)
	}
	slices.SortFunc(snap.Devices, func(a, b otp.Device) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return snap, nil
}

// encodeFixed writes what enrollment fixed: a header, whose length is its first octet, and the label.
func encodeFixed(d *otp.Device) []byte {
	b := []byte{0}
	b = binary.AppendVarint(b, int64(d.Digits))
	b = binary.AppendVarint(b, int64(d.Period/time.Millisecond))
	b = binary.AppendVarint(b, millis(d.Created))
	b = append(b, d.Algorithm...)
	b[0] = byte(len(b))
	return append(b, d.Label...)
}

func decodeFixed(d *otp.Device, text string) error {
	b := []byte(text)
	if len(b) == 0 || int(b[0]) > len(b) || b[0] == 0 {
		return errDamaged
	}
	d.Label = string(b[b[0]:])
	b = b[1:b[0]]
	var numbers [3]int64
	for i := range numbers {
		n, size := binary.Varint(b)
		if size <= 0 {
			return errDamaged
		}
		numbers[i], b = n, b[size:]
	}
	d.Digits, d.Period = int(numbers[0]), time.Duration(numbers[1])*time.Millisecond
	d.Created, d.Algorithm = fromMillis(numbers[2]), otp.Algorithm(b)
	return nil
}

// decodeUse reads what logins change: struct.pack('>I6I6i4I6') of the scripts.
func decodeUse(d *otp.Device, text string) error {
	if len(text) != 22 {
		return errDamaged
	}
	b := append([]byte{0, 0}, text[:6]...)
	d.LastStep = int64(binary.BigEndian.Uint64(b))
	b = append([]byte{0, 0}, text[6:12]...)
	d.LastUsed = fromMillis(int64(binary.BigEndian.Uint64(b)))
	d.Drift = int(int32(binary.BigEndian.Uint32([]byte(text[12:16]))))
	return nil
}

// versionNow is the least that the version of an account which is changed now may be: the time in seconds. Versions are not
// negative, and 0 is that of an account that nobody has seen.
func (s *Store) versionNow() int64 { return max(s.now().Unix(), 1) }

// AddDevices implements [otp.Store]. Of an account that stays within the limit, the devices
// whose id is new are added even when others exist already; of one that would exceed it, none.
func (s *Store) AddDevices(ctx context.Context, devices []otp.Device, limit int) ([]error, error) {
	errs := make([]error, len(devices))
	byAccount := make(map[string]int, len(devices)) // index into calls
	var calls []call
	var concerned [][]int
	now := s.versionNow()
	for i := range devices {
		d := &devices[i]
		if len(d.Algorithm) > 200 || len(d.ID) > 0xffff {
			errs[i] = fmt.Errorf("redisstore: add: algorithm or id of %d octets", max(len(d.Algorithm), len(d.ID)))
			continue
		}
		n, ok := byAccount[d.Account]
		if !ok {
			n = len(calls)
			byAccount[d.Account] = n
			calls = append(calls, newCall(s.scripts.add, s.accountKey(d.Account), limit, now).only())
			concerned = append(concerned, nil)
		}
		sealed := slices.Clone(d.Sealed)
		cut := min(len(sealed), listValue)
		calls[n].args = append(calls[n].args, d.ID, encodeFixed(d), sealed[:cut], sealed[cut:])
		concerned[n] = append(concerned[n], i)
	}
	for first := 0; first < len(calls); first += addBatch {
		last := min(first+addBatch, len(calls))
		results, err := do(ctx, s, "add", func(ctx context.Context) ([][]int64, error) { return s.add(ctx, calls[first:last]) })
		if err != nil {
			return make([]error, len(devices)), err
		}
		for n, result := range results {
			for m, i := range concerned[first+n] {
				errs[i] = addError(result[m])
			}
		}
	}
	if len(calls) == 0 && ctx.Err() != nil {
		return errs, unavailable("add", ctx.Err())
	}
	return errs, nil
}

// add returns what add.lua says of the devices of each call.
func (s *Store) add(ctx context.Context, calls []call) ([][]int64, error) {
	results := make([][]int64, len(calls))
	for n, cmd := range s.run(ctx, calls) {
		result, err := cmd.Int64Slice()
		if err != nil {
			return nil, err
		}
		if len(result) != (len(calls[n].args)-6)/4 {
			return nil, fmt.Errorf("unexpected reply %v", result)
		}
		results[n] = result
	}
	return results, nil
}

func addError(result int64) error {
	switch result {
	case 0:
		return nil
	case 1:
		return otp.ErrExists
	}
	return otp.ErrTooManyDevices
}

// RenameDevice implements [otp.Store].
func (s *Store) RenameDevice(ctx context.Context, account, device, label string) error {
	return s.change(ctx, "rename", newCall(s.scripts.rename, s.accountKey(account), device, label))
}

// RemoveDevice implements [otp.Store].
func (s *Store) RemoveDevice(ctx context.Context, account, device string) error {
	return s.change(ctx, "remove", newCall(s.scripts.remove, s.accountKey(account), device, s.versionNow()).only())
}

// change makes a call that tells whether the device is there.
func (s *Store) change(ctx context.Context, operation string, c call) error {
	found, err := do(ctx, s, operation, func(ctx context.Context) (bool, error) { return s.run(ctx, []call{c})[0].Bool() })
	if err == nil && !found {
		err = fmt.Errorf("redisstore: %s: device: %w", operation, otp.ErrNotFound)
	}
	return err
}
