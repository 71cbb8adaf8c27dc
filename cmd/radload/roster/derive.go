package roster

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// A Family is devices that are made from one master seed: device n has the seed HMAC-SHA-1(master,
// "radload device" and n), and its account the name that Prefix and n in seven digits make.
type Family struct {
	Master    []byte
	Count     int
	Prefix    string // of names; empty: person
	Algorithm Algorithm
	Digits    int           // 0: 6
	Period    time.Duration // 0: 60 s
}

// minMaster is how many octets a master seed has at least: enough to be no slip of the hand.
const minMaster = 4

// Derive returns the devices of a family.
func Derive(f Family, o Options) (*Roster, error) {
	if len(f.Master) < minMaster {
		return nil, fmt.Errorf("the master seed has %d octets, not %d or more", len(f.Master), minMaster)
	}
	if f.Count < 1 || f.Count > MaxDevices {
		return nil, fmt.Errorf("the count is not 1 to %d", MaxDevices)
	}
	if f.Prefix == "" {
		f.Prefix = "person"
	}
	if f.Digits == 0 {
		f.Digits = 6
	}
	if f.Period == 0 {
		f.Period = time.Minute
	}
	for _, c := range []byte(f.Prefix) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return nil, errors.New("the prefix is not of a-z, 0-9, hyphen, underscore and full stop")
		}
	}
	r := &Roster{devices: make([]device, 0, f.Count), text: make([]byte, 0, f.Count*(len(f.Prefix)+7+sha1.Size))}
	r.configure(o)
	mac := hmac.New(sha1.New, f.Master)
	message := append([]byte("radload device"), make([]byte, 8)...)
	var sum [sha1.Size]byte
	for n := range f.Count {
		binary.BigEndian.PutUint64(message[len(message)-8:], uint64(n))
		mac.Reset()
		mac.Write(message)
		d := Device{
			Name: fmt.Sprintf("%s%07d", f.Prefix, n), Seed: mac.Sum(sum[:0]),
			Algorithm: f.Algorithm, Digits: f.Digits, Period: f.Period,
		}
		if err := r.add(d); err != nil {
			return nil, err
		}
	}
	return r, nil
}
