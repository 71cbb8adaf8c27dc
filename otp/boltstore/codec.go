package boltstore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"otpgate/otp"
)

// errDamaged: a record is not what was written.
var errDamaged = fmt.Errorf("%w: a record is not one", ErrDamaged)

// The first octet of every value: a later format gets another.
const format = 1

// accountKey is the account's key in all buckets. Ids of any length and content have one, and no
// two have the same.
func accountKey(account string) []byte {
	if len(account) > 1024 {
		sum := sha256.Sum256([]byte(account))
		return append([]byte{'h'}, sum[:]...)
	}
	return append([]byte{'a'}, account...)
}

func appendString[S ~string | ~[]byte](b []byte, s S) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendState appends what logins change.
func (r *record) appendState(b []byte) []byte {
	b = append(b, format)
	b = binary.AppendUvarint(b, r.number)
	b = binary.AppendUvarint(b, r.version)
	b = binary.AppendUvarint(b, uint64(len(r.devices)))
	for i := range r.devices {
		d := &r.devices[i]
		b = appendString(b, d.id)
		b = binary.AppendVarint(b, d.lastUsed)
		b = binary.AppendVarint(b, d.lastStep)
		b = binary.AppendVarint(b, int64(d.drift))
		b = binary.AppendVarint(b, d.floor)
		b = binary.AppendUvarint(b, uint64(len(d.wrong)))
		for _, w := range d.wrong {
			b = binary.AppendVarint(b, w.step)
			b = binary.AppendUvarint(b, uint64(len(w.tokens)))
			for _, t := range w.tokens {
				b = append(b, t[:]...)
			}
		}
	}
	b = binary.AppendUvarint(b, uint64(len(r.claims)))
	for i := range r.claims {
		b = append(b, r.claims[i].token[:]...)
		b = appendString(b, r.claims[i].device)
		b = binary.AppendVarint(b, r.claims[i].at)
	}
	b = binary.AppendUvarint(b, uint64(len(r.places)))
	for i := range r.places {
		b = append(b, r.places[i].id[:]...)
		b = r.places[i].append(b)
	}
	return r.appendMore(r.others.append(b))
}

// appendMore appends what records did not hold at first, when there is any: without it a record reads as
// it always did, and an older otpgate passes over it.
func (r *record) appendMore(b []byte) []byte {
	if len(r.challenges) == 0 && len(r.shares) == 0 {
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(r.challenges)))
	for i := range r.challenges {
		c := &r.challenges[i]
		n := uint64(c.wrong) << 1
		if c.spent {
			n |= 1
		}
		b = append(b, c.id[:]...)
		b = binary.AppendUvarint(b, n)
		b = append(b, c.token[:]...)
		b = binary.AppendVarint(b, c.at)
	}
	b = binary.AppendUvarint(b, uint64(len(r.shares)))
	for i := range r.shares {
		s := &r.shares[i]
		b = append(b, s.place[:]...)
		b = appendString(b, s.device)
		b = binary.AppendVarint(b, s.step)
		b = binary.AppendVarint(b, s.at)
		b = binary.AppendUvarint(b, uint64(s.uses))
	}
	return b
}

func (f *failures) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(f.count))
	if f.count == 0 {
		return b
	}
	b = binary.AppendVarint(b, f.last)
	b = binary.AppendVarint(b, f.until)
	b = binary.AppendUvarint(b, uint64(len(f.misses)))
	for _, m := range f.misses {
		b = append(b, m[:]...)
	}
	return b
}

// appendDevices appends what enrollment fixed.
func (r *record) appendDevices(b []byte) []byte {
	b = append(b, format)
	b = binary.AppendUvarint(b, uint64(len(r.devices)))
	for i := range r.devices {
		e := r.devices[i].enrolled
		b = appendString(b, e.id)
		b = appendString(b, e.label)
		b = appendString(b, e.sealed)
		b = appendString(b, e.algorithm)
		b = binary.AppendVarint(b, int64(e.digits))
		b = binary.AppendVarint(b, int64(e.period))
		b = binary.AppendVarint(b, e.created)
	}
	return b
}

// decoder reads what the functions above have written. After a failure it returns zeros.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) take(n uint64) []byte {
	if d.err != nil || n > uint64(len(d.b)) {
		d.b, d.err = nil, errDamaged
		return nil
	}
	taken := d.b[:n:n]
	d.b = d.b[n:]
	return taken
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.err = nil, errDamaged
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.b, d.err = nil, errDamaged
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads the length of a list whose elements take at least one octet each.
func (d *decoder) count() int {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.b, d.err = nil, errDamaged
		return 0
	}
	return int(n)
}

func (d *decoder) string() string { return string(d.take(d.uint())) }

func (d *decoder) format() {
	if f := d.take(1); d.err == nil && f[0] != format {
		d.err = errors.New("record of a newer version of otpgate")
	}
}

func decodeDevices(b []byte) ([]*enrolled, error) {
	if len(b) == 0 {
		return nil, nil
	}
	d := &decoder{b: b}
	d.format()
	var list []*enrolled
	for n := d.count(); n > 0 && d.err == nil; n-- {
		list = append(list, &enrolled{
			id: d.string(), label: d.string(), sealed: []byte(d.string()),
			algorithm: otp.Algorithm(d.string()), digits: int(d.int()),
			period: time.Duration(d.int()), created: d.int(),
		})
	}
	return list, d.err
}

// decodeState reads a state; a device of it that is not among the enrolled is an error.
func decodeState(b []byte, list []*enrolled) (*record, error) {
	if len(b) == 0 {
		return &record{}, nil
	}
	d := &decoder{b: b}
	d.format()
	r := &record{number: d.uint(), version: d.uint()}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		r.devices = append(r.devices, d.device(list))
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		c := claim{token: otp.Token(d.fixed(16)), device: d.string(), at: d.int()}
		r.claims = append(r.claims, c)
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		r.places = append(r.places, place{id: otp.Place(d.fixed(8)), failures: d.failures()})
	}
	r.others = d.failures()
	if len(d.b) > 0 {
		d.more(r)
	}
	return r, d.err
}

// more reads what appendMore has written.
func (d *decoder) more(r *record) {
	for n := d.count(); n > 0 && d.err == nil; n-- {
		c := challenge{id: [8]byte(d.fixed(8))}
		wrong := d.uint()
		c.wrong, c.spent = int(wrong>>1), wrong&1 == 1
		c.token, c.at = otp.Token(d.fixed(16)), d.int()
		r.challenges = append(r.challenges, c)
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		r.shares = append(r.shares, share{place: otp.Place(d.fixed(8)), device: d.string(), step: d.int(), at: d.int(), uses: int(d.uint())})
	}
}

// fixed returns exactly n octets, zeros after a failure.
func (d *decoder) fixed(n int) []byte {
	if b := d.take(uint64(n)); b != nil {
		return b
	}
	return make([]byte, n)
}

func (d *decoder) device(list []*enrolled) device {
	id := d.string()
	dev := device{lastUsed: d.int(), lastStep: d.int(), drift: int(d.int()), floor: d.int()}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		w := wrongStep{step: d.int()}
		for m := d.count(); m > 0 && d.err == nil; m-- {
			w.tokens = append(w.tokens, otp.Token(d.fixed(16)))
		}
		dev.wrong = append(dev.wrong, w)
	}
	for _, e := range list {
		if e.id == id {
			dev.enrolled = e
			return dev
		}
	}
	if d.err == nil {
		d.err = errDamaged
	}
	return dev
}

func (d *decoder) failures() failures {
	f := failures{count: int(d.uint())}
	if f.count == 0 {
		return failures{}
	}
	f.last, f.until = d.int(), d.int()
	for n := d.count(); n > 0 && d.err == nil; n-- {
		f.misses = append(f.misses, otp.Miss(d.fixed(4)))
	}
	return f
}
