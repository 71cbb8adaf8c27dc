package boltstore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"otpgate/otp"
)

// errDamaged: a record is not what was written.
var errDamaged = fmt.Errorf("%w: a record is not one", ErrDamaged)

// The first octet of every value: a later format gets another.
const format = 1

// accountKey is the account's key in all buckets. Ids of any length and content have one, and no
// two have the same.
func accountKey(account string) []byte { return appendAccountKey(nil, account) }

func appendAccountKey(b []byte, account string) []byte {
	if len(account) > 1024 {
		sum := sha256.Sum256([]byte(account))
		return append(append(b, 'h'), sum[:]...)
	}
	return append(append(b, 'a'), account...)
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
		e := &r.devices[i].enrolled
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

// decoder reads what the functions above have written. After a failure it returns zeros. What it returns is a
// part of b, not a copy.
type decoder struct {
	b   string
	err error
}

func (d *decoder) take(n uint64) string {
	if d.err != nil || n > uint64(len(d.b)) {
		d.fail()
		return ""
	}
	taken := d.b[:n]
	d.b = d.b[n:]
	return taken
}

// fail keeps the first error: what is of a newer version is not damaged.
func (d *decoder) fail() {
	if d.b = ""; d.err == nil {
		d.err = errDamaged
	}
}

// number is what an integer is in, for [binary]: ten octets at most, which are copied to the stack.
func (d *decoder) number() []byte { return []byte(d.b[:min(len(d.b), binary.MaxVarintLen64)]) }

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.number())
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.number())
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// times reads how often something was: no more often than anything can be.
func (d *decoder) times() int {
	n := d.uint()
	if n > math.MaxInt32 {
		d.fail()
		return 0
	}
	return int(n)
}

// count reads the length of a list whose elements take at least one octet each.
func (d *decoder) count() int {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) string() string { return d.take(d.uint()) }

func (d *decoder) format() {
	if f := d.take(1); d.err == nil && f[0] != format {
		d.err = errors.New("record of a newer version of otpgate")
	}
}

// decode reads what the buckets have of an account. A device of the state that is not among the enrolled is an
// error. The record's strings are parts of both.
func (r *record) decode(devices, state string) error {
	r.reset()
	if err := r.decodeDevices(devices); err != nil || state == "" {
		return err
	}
	d := &decoder{b: state}
	d.format()
	r.number, r.version = d.uint(), d.uint()
	for n := d.count(); n > 0 && d.err == nil; n-- {
		r.devices = append(r.devices, d.device(r.list, len(r.devices)))
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		r.claims = append(r.claims, claim{token: d.token(), device: d.string(), at: d.int()})
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		r.places = append(r.places, place{id: d.place(), failures: d.failures()})
	}
	r.others = d.failures()
	if len(d.b) > 0 {
		d.more(r)
	}
	return d.err
}

func (r *record) decodeDevices(devices string) error {
	if devices == "" {
		return nil
	}
	d := &decoder{b: devices}
	d.format()
	for n := d.count(); n > 0 && d.err == nil; n-- {
		r.list = append(r.list, enrolled{
			id: d.string(), label: d.string(), sealed: d.string(),
			algorithm: otp.Algorithm(d.string()), digits: int(d.int()),
			period: time.Duration(d.int()), created: d.int(),
		})
	}
	return d.err
}

// more reads what appendMore has written.
func (d *decoder) more(r *record) {
	for n := d.count(); n > 0 && d.err == nil; n-- {
		c := challenge{id: [8]byte([]byte(d.fixed(8)))}
		wrong := d.times()
		c.wrong, c.spent = wrong>>1, wrong&1 == 1
		c.token, c.at = d.token(), d.int()
		r.challenges = append(r.challenges, c)
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		r.shares = append(r.shares, share{place: d.place(), device: d.string(), step: d.int(), at: d.int(), uses: d.times()})
	}
}

// fixed returns exactly n octets, zeros after a failure.
func (d *decoder) fixed(n int) string {
	if b := d.take(uint64(n)); d.err == nil {
		return b
	}
	return strings.Repeat("\x00", n)
}

func (d *decoder) token() otp.Token { return otp.Token([]byte(d.fixed(16))) }
func (d *decoder) place() otp.Place { return otp.Place([]byte(d.fixed(8))) }

// device reads one device of a state. As a rule both list them in the same order: then it is the nth.
func (d *decoder) device(list []enrolled, n int) device {
	id := d.string()
	dev := device{lastUsed: d.int(), lastStep: d.int(), drift: int(d.int()), floor: d.int()}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		w := wrongStep{step: d.int()}
		for m := d.count(); m > 0 && d.err == nil; m-- {
			w.tokens = append(w.tokens, d.token())
		}
		dev.wrong = append(dev.wrong, w)
	}
	if n < len(list) && list[n].id == id {
		dev.enrolled = list[n]
		return dev
	}
	for i := range list {
		if list[i].id == id {
			dev.enrolled = list[i]
			return dev
		}
	}
	if d.err == nil {
		d.err = errDamaged
	}
	return dev
}

func (d *decoder) failures() failures {
	f := failures{count: d.times()}
	if f.count == 0 {
		return failures{}
	}
	f.last, f.until = d.int(), d.int()
	for n := d.count(); n > 0 && d.err == nil; n-- {
		f.misses = append(f.misses, otp.Miss([]byte(d.fixed(4))))
	}
	return f
}
