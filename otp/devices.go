package otp

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A NewDevice is a device to be added. Zero fields take the configured defaults.
type NewDevice struct {
	Account   string
	Label     string // at most MaxLabel octets of printable text
	Seed      []byte // nil: random, as long as the hash's output
	Algorithm Algorithm
	Digits    int
	Period    time.Duration
	ID        string // "": random; see [Device]
	// Instead is how many devices of the account it takes the place of, and are removed right after
	// it was added: the limit per account counts without them.
	Instead int
}

// MaxLabel is how many octets a device's label may have.
const MaxLabel = 64

var (
	// ErrLabelInvalid: the label is too long or holds characters that cannot be printed.
	ErrLabelInvalid = fmt.Errorf("a label has at most %d octets of printable text", MaxLabel)
	// ErrIDInvalid: the id of a device is not one that [DeviceID] makes.
	ErrIDInvalid = errors.New("a device id has 16 characters, a to z and 2 to 7")
)

// DevicesOptions are what Devices needs.
type DevicesOptions struct {
	Store      Store
	Keys       Keys
	Issuer     string // in the otpauth URI; "": otpgate
	Algorithm  Algorithm
	Digits     int
	Period     time.Duration
	MaxDevices int          // per account; 0: any number
	Forget     func(string) // told the account whose devices changed ([Verifier.Forget]); may be nil
	Now        func() time.Time
}

// Devices adds, lists and removes the devices of accounts.
type Devices struct{ o DevicesOptions }

// NewDevices returns a Devices.
func NewDevices(o DevicesOptions) (*Devices, error) {
	if o.Store == nil || o.Keys == nil || o.Now == nil {
		return nil, errors.New("otp: Store, Keys and Now must be given")
	}
	if err := check(o.Algorithm, o.Digits, o.Period); err != nil {
		return nil, fmt.Errorf("otp: %w", err)
	}
	if o.MaxDevices < 0 {
		return nil, errors.New("otp: max devices: 0 or more")
	}
	if o.Issuer == "" {
		o.Issuer = "otpgate"
	}
	if o.Forget == nil {
		o.Forget = func(string) {}
	}
	return &Devices{o}, nil
}

// Add stores a new device and returns it with its seed, which nothing gives away a second time.
// Errors: [ErrTooManyDevices], [ErrExists], [ErrSeedShort], [ErrSeedLong], [ErrLabelInvalid],
// [ErrIDInvalid], [ErrUnavailable].
func (d *Devices) Add(ctx context.Context, n NewDevice) (Device, []byte, error) {
	dev, seed, err := d.prepare(n)
	if err != nil {
		return Device{}, nil, err
	}
	errs, err := d.o.Store.AddDevices(ctx, []Device{dev}, d.limit(n))
	if err == nil {
		err = errs[0]
	}
	if err != nil {
		return Device{}, nil, fmt.Errorf("add device: %w", err)
	}
	d.o.Forget(dev.Account)
	return dev, seed, nil
}

// limit is the most devices that the account of a new one may have right after it was added; 0: any number.
func (d *Devices) limit(n NewDevice) int {
	if d.o.MaxDevices == 0 {
		return 0
	}
	return d.o.MaxDevices + max(n.Instead, 0)
}

// Room returns [ErrTooManyDevices] when an account that has so many devices may not have a new one besides: whoever
// has to use something up before [Devices.Add] looks first.
func (d *Devices) Room(have int, n NewDevice) error {
	if limit := d.limit(n); limit > 0 && have >= limit {
		return ErrTooManyDevices
	}
	return nil
}

// Draft fills in everything that a new device has, its id and its seed too, and stores nothing: what it
// returns can be handed to [Devices.Add] as soon as its owner has shown a first code ([CheckFirst]).
// Errors are those of Add, as far as they can be known before.
func (d *Devices) Draft(ctx context.Context, n NewDevice) (NewDevice, error) {
	n, err := d.complete(n)
	if err != nil {
		return NewDevice{}, err
	}
	list, err := d.List(ctx, n.Account)
	if err != nil {
		return NewDevice{}, err
	}
	if err := d.Room(len(list), n); err != nil {
		return NewDevice{}, err
	}
	return n, nil
}

// Import stores many devices, whatever the limit per account; errs[i] is about devices[i].
// err reports that the store could not tell.
func (d *Devices) Import(ctx context.Context, devices []NewDevice) (errs []error, err error) {
	errs = make([]error, len(devices))
	ready, of := make([]Device, 0, len(devices)), make([]int, 0, len(devices))
	for i, n := range devices {
		dev, _, err := d.prepare(n)
		if errs[i] = err; err == nil {
			ready, of = append(ready, dev), append(of, i)
		}
	}
	if len(ready) == 0 {
		return errs, nil
	}
	stored, err := d.o.Store.AddDevices(ctx, ready, 0)
	if err != nil {
		return nil, fmt.Errorf("import devices: %w", err)
	}
	for j, err := range stored {
		errs[of[j]] = err
		d.o.Forget(ready[j].Account)
	}
	return errs, nil
}

// complete fills in what was left out, and checks everything.
func (d *Devices) complete(n NewDevice) (NewDevice, error) {
	n.Label = strings.TrimSpace(n.Label)
	n.Algorithm, n.Digits, n.Period = orElse(n.Algorithm, d.o.Algorithm), orElse(n.Digits, d.o.Digits), orElse(n.Period, d.o.Period)
	if err := check(n.Algorithm, n.Digits, n.Period); err != nil {
		return NewDevice{}, err
	}
	if n.Account == "" {
		return NewDevice{}, errors.New("a device needs an account")
	}
	if err := checkLabel(n.Label); err != nil {
		return NewDevice{}, err
	}
	if n.ID == "" {
		n.ID = NewDeviceID()
	}
	if !validID(n.ID) {
		return NewDevice{}, ErrIDInvalid
	}
	if n.Seed == nil {
		n.Seed = make([]byte, n.Algorithm.seedLength())
		rand.Read(n.Seed) // never fails
	}
	return n, checkSeed(n.Seed)
}

func (d *Devices) prepare(n NewDevice) (Device, []byte, error) {
	n, err := d.complete(n)
	if err != nil {
		return Device{}, nil, err
	}
	dev := Device{
		Account: n.Account, ID: n.ID, Label: n.Label, Created: d.o.Now(),
		Algorithm: n.Algorithm, Digits: n.Digits, Period: n.Period,
	}
	dev.Sealed, err = d.o.Keys.Seal(n.Seed, boundTo(dev.Account, dev.ID))
	return dev, n.Seed, err
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func checkLabel(label string) error {
	if len(label) > MaxLabel || !utf8.ValidString(label) || strings.ContainsFunc(label, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ErrLabelInvalid
	}
	return nil
}

// idEncoding is lower-case base32 without padding.
var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewDeviceID returns a random id: 80 bits.
func NewDeviceID() string {
	var b [10]byte
	rand.Read(b[:]) // never fails
	return DeviceID(b)
}

// DeviceID returns the id that 80 bits make, for ids that are derived from something.
func DeviceID(b [10]byte) string { return idEncoding.EncodeToString(b[:]) }

func validID(id string) bool {
	b, err := idEncoding.DecodeString(id)
	return err == nil && len(b) == 10 && idEncoding.EncodeToString(b) == id
}

// List returns an account's devices; none, and no error, when there are none.
func (d *Devices) List(ctx context.Context, account string) ([]Device, error) {
	s, err := d.o.Store.Devices(ctx, account)
	return s.Devices, err
}

// Rename sets a device's label.
func (d *Devices) Rename(ctx context.Context, account, device, label string) error {
	label = strings.TrimSpace(label)
	if err := checkLabel(label); err != nil {
		return err
	}
	return d.o.Store.RenameDevice(ctx, account, device, label)
}

// Remove revokes a device: it is refused from its next login on, on every node.
func (d *Devices) Remove(ctx context.Context, account, device string) error {
	err := d.o.Store.RemoveDevice(ctx, account, device)
	d.o.Forget(account)
	return err
}
