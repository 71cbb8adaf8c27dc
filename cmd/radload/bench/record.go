package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"otpgate/cmd/radload/bench/machine"
)

// Report is all that was measured, and on what.
type Report struct {
	Date        time.Time                `json:"date"`
	Ended       time.Time                `json:"ended"`
	Command     string                   `json:"command,omitempty"`
	Machine     machine.Machine          `json:"machine"`
	Accounts    int                      `json:"accounts"`
	Scale       int                      `json:"scale_accounts"`
	Small       int                      `json:"scale_small_accounts"`
	Outstanding int                      `json:"outstanding"`
	Rate        int                      `json:"rate"`
	Duration    float64                  `json:"duration_seconds"`
	Workers     int                      `json:"freeradius_workers"`
	ServerCores string                   `json:"server_cores"`
	LoadCores   string                   `json:"load_cores"`
	Cases       map[string][]Measurement `json:"cases"`
	Curves      map[string][]Point       `json:"curves,omitempty"` // latency over the rate
}

// begun is the report that measurements are added to: a new one, or that of a bench that was broken off.
func (b *bench) begun(ctx context.Context) (*Report, error) {
	r := &Report{
		Date: b.Now().UTC(), Command: b.Command, Accounts: b.Accounts, Scale: b.Scale, Small: b.Small, Outstanding: b.Outstanding,
		Rate: b.Rate, Duration: b.Duration.Seconds(), Workers: b.Workers, ServerCores: b.ServerCores, LoadCores: b.LoadCores, Cases: map[string][]Measurement{}, Curves: map[string][]Point{},
	}
	r.Machine = machine.Describe(ctx, b.Otpgate, b.Dir, b.Now)
	if b.Record == "" {
		return r, nil
	}
	old, err := Read(b.Record)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return r, nil
	case err != nil:
		return nil, err
	case !b.Resume:
		return nil, fmt.Errorf("%s is there already: go on with --resume, or name another file", b.Record)
	}
	if err := old.fits(r); err != nil {
		return nil, fmt.Errorf("%s: %w", b.Record, err)
	}
	return old, nil
}

// Read reads a record.
func Read(file string) (*Report, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := new(Report)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if r.Cases == nil {
		r.Cases = map[string][]Measurement{}
	}
	if r.Curves == nil {
		r.Curves = map[string][]Point{}
	}
	return r, nil
}

// fits reports why two reports are not of the same thing.
func (r *Report) fits(o *Report) error {
	for _, c := range [...]struct {
		what         string
		one, another any
	}{
		{"accounts", r.Accounts, o.Accounts}, {"outstanding logins", r.Outstanding, o.Outstanding}, {"a rate", r.Rate, o.Rate},
		{"accounts of the large node", r.Scale, o.Scale}, {"accounts of the small node", r.Small, o.Small},
		{"a processor", r.Machine.Processor, o.Machine.Processor}, {"an otpgate", r.Machine.Otpgate, o.Machine.Otpgate},
	} {
		if c.one != c.another {
			return fmt.Errorf("they have %s of %v and %v, which cannot be compared", c.what, c.one, c.another)
		}
	}
	return nil
}

// Merge adds what others have measured, under the same conditions.
func (r *Report) Merge(others ...*Report) error {
	for _, o := range others {
		if err := r.fits(o); err != nil {
			return err
		}
		for name, ms := range o.Cases {
			r.Cases[name] = append(r.Cases[name], ms...)
		}
		for name, points := range o.Curves {
			r.Curves[name] = append(r.Curves[name], points...)
		}
		if o.Date.Before(r.Date) {
			r.Date = o.Date
		}
		if o.Ended.After(r.Ended) {
			r.Ended = o.Ended
		}
		if o.Command != r.Command {
			r.Command += "\n" + o.Command
		}
	}
	return nil
}

// add takes in what was measured, and keeps it.
func (b *bench) add(c benchCase, m Measurement) error {
	b.say("  %s: %s", c.name, m)
	b.report.Cases[c.name] = append(b.report.Cases[c.name], m)
	return b.save()
}

// save writes the record anew, so that a bench that is broken off has lost nothing.
func (b *bench) save() error {
	b.report.Ended = b.Now().UTC()
	if b.Record == "" {
		return nil
	}
	text, err := json.MarshalIndent(b.report, "", "  ")
	if err != nil {
		return err
	}
	whole := b.Record + ".new"
	if err := os.WriteFile(whole, append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(whole, b.Record)
}
