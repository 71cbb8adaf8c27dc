package roster

import (
	"bufio"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// header is the first line of the file that otpgate device import takes.
const header = "name,seed_base32,algorithm,digits,period,label"

// MaxDevices is how many devices a roster may have.
const MaxDevices = 4_000_000

// Bounds of one device.
const (
	maxName = 64
	minSeed = 10
	maxSeed = 64
)

// Read reads the devices that otpgate device import takes.
func Read(in io.Reader, o Options) (*Roster, error) {
	r := new(Roster)
	r.configure(o)
	lines := bufio.NewScanner(in)
	if !lines.Scan() || strings.TrimRight(lines.Text(), "\r") != header {
		return nil, errors.Join(fmt.Errorf("the first line is not %s", header), lines.Err())
	}
	for line := 2; lines.Scan(); line++ {
		text := strings.TrimRight(lines.Text(), "\r")
		if text == "" {
			continue
		}
		if err := r.parse(text); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(r.devices) == 0 {
		return nil, errors.New("there is no device")
	}
	return r, nil
}

// parse reads one line. Its errors say nothing of the seed.
func (r *Roster) parse(text string) error {
	columns := strings.Split(text, ",")
	if len(columns) != 6 {
		return fmt.Errorf("%d columns, not 6", len(columns))
	}
	seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(strings.ToUpper(columns[1]), "="))
	if err != nil {
		return errors.New("the seed is not base32")
	}
	d := Device{Name: columns[0], Seed: seed, Digits: 6, Period: time.Minute}
	switch columns[2] {
	case "", "SHA1":
	case "SHA256":
		d.Algorithm = SHA256
	case "SHA512":
		d.Algorithm = SHA512
	default:
		return errors.New("the algorithm is not SHA1, SHA256 or SHA512")
	}
	if columns[3] != "" {
		if d.Digits, err = strconv.Atoi(columns[3]); err != nil {
			return errors.New("the digits are not a number")
		}
	}
	if columns[4] != "" {
		seconds, err := strconv.ParseUint(columns[4], 10, 16)
		if err != nil {
			return errors.New("the period is not a number of seconds")
		}
		d.Period = time.Duration(seconds) * time.Second
	}
	return r.add(d)
}

// A Device is what a roster is told of one.
type Device struct {
	Name      string
	Seed      []byte
	Algorithm Algorithm
	Digits    int           // 6 to 8
	Period    time.Duration // 15 s to 10 min, whole seconds
}

func (r *Roster) add(d Device) error {
	seconds := int(d.Period / time.Second)
	switch {
	case d.Name == "" || len(d.Name) > maxName:
		return fmt.Errorf("the name has %d octets, not 1 to %d", len(d.Name), maxName)
	case len(d.Seed) < minSeed || len(d.Seed) > maxSeed:
		return fmt.Errorf("the seed has %d octets, not %d to %d", len(d.Seed), minSeed, maxSeed)
	case d.Digits < 6 || d.Digits > 8:
		return errors.New("the digits are not 6 to 8")
	case seconds < 15 || seconds > 600 || d.Period%time.Second != 0:
		return errors.New("the period is not 15 to 600 seconds")
	case len(r.devices) == MaxDevices:
		return fmt.Errorf("more than %d devices", MaxDevices)
	case len(r.text) > math.MaxUint32-maxName-maxSeed:
		return errors.New("too much text")
	}
	e := device{
		name: uint32(len(r.text)), nameLen: uint8(len(d.Name)), seedLen: uint8(len(d.Seed)),
		algorithm: d.Algorithm, digits: uint8(d.Digits), period: uint16(seconds),
	}
	r.text = append(r.text, d.Name...)
	e.seed = uint32(len(r.text))
	r.text = append(r.text, d.Seed...)
	r.devices = append(r.devices, e)
	return nil
}
