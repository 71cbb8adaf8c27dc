package audit

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"otpgate/otp"
)

// A Filter says which events to read. Zero fields let everything through; text is compared
// without regard to case.
type Filter struct {
	Kind     Kind
	Name     string
	Account  string
	Client   string
	Decision string
	Reason   otp.Reason
	Since    time.Time // not before
	Until    time.Time // before
	Last     int       // only so many of the newest that fit; 0: all
}

func (f Filter) fits(e Event) bool {
	is := func(want, got string) bool { return want == "" || strings.EqualFold(want, got) }
	return is(string(f.Kind), string(e.Kind)) && is(f.Name, e.Name) && is(f.Account, e.Account) &&
		is(f.Client, e.Client) && is(f.Decision, e.Decision) && is(string(f.Reason), string(e.Reason)) &&
		(f.Since.IsZero() || !e.Time.Before(f.Since)) && (f.Until.IsZero() || e.Time.Before(f.Until))
}

// Read hands events that fit f to each, the oldest first, over all files. With follow it then goes
// on with what is recorded from then on, each event once, until ctx ends, which is no error then.
// An error of each ends it and is returned.
func (l *Log) Read(ctx context.Context, f Filter, follow bool, each func(Event) error) error {
	r := &reader{path: filepath.Join(l.options.Dir, Name)}
	defer r.close()
	var newest []Event
	take := each
	if f.Last > 0 {
		take = func(e Event) error {
			newest = append(newest, e)
			if len(newest) >= 2*f.Last {
				newest = append(newest[:0], newest[len(newest)-f.Last:]...)
			}
			return nil
		}
	}
	for {
		news := l.tidings.next() // before reading, so that nothing is missed in between
		if err := r.read(ctx, f, take); err != nil {
			if follow && ctx.Err() != nil {
				return nil
			}
			return err
		}
		for _, e := range newest[max(0, len(newest)-f.Last):] {
			if err := each(e); err != nil {
				return err
			}
		}
		newest, take = nil, each
		if !follow {
			return nil
		}
		select {
		case <-news:
		case <-l.ended:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// reader goes through the files in order and remembers where it is. A file is told by its inode,
// so that it is still known after it was rotated.
type reader struct {
	path string
	file *os.File
	in   *bufio.Reader
	part []byte // a line whose end is not written yet
	done string // the name of the last rotated file that was read to its end
}

// read hands on everything up to the end of the newest file.
func (r *reader) read(ctx context.Context, f Filter, each func(Event) error) error {
	for {
		if r.file == nil {
			if ok, err := r.next(); err != nil || !ok {
				return err
			}
		}
		if err := r.lines(ctx, f, each); err != nil {
			return err
		}
		over, err := r.over()
		if err != nil || !over {
			return err
		}
		// It was rotated since its end was seen: there may be more in it, then comes the next.
		if err := r.lines(ctx, f, each); err != nil {
			return err
		}
		r.close()
	}
}

// next opens the file that follows the last one read; false when there is none yet.
func (r *reader) next() (bool, error) {
	for {
		name := r.following()
		f, err := os.Open(name)
		if errors.Is(err, os.ErrNotExist) {
			if name == r.path {
				return false, nil
			}
			continue // pruned just now
		}
		if err != nil {
			return false, err
		}
		if name == r.path && r.following() != name { // it was rotated in between, and this is a newer one
			_ = f.Close()
			continue
		}
		r.file, r.in, r.part = f, bufio.NewReaderSize(f, 64<<10), nil
		return true, nil
	}
}

// following is the oldest rotated file that was not read yet, else the one being written.
func (r *reader) following() string {
	for _, name := range rotated(r.path) {
		if name > r.done {
			return name
		}
	}
	return r.path
}

// over reports whether the open file will grow no more, because it has been rotated, and remembers
// its name then.
func (r *reader) over() (bool, error) {
	mine, err := r.file.Stat()
	if err != nil {
		return false, err
	}
	current, err := os.Stat(r.path)
	if err == nil && os.SameFile(mine, current) {
		return false, nil
	}
	for _, name := range rotated(r.path) {
		if info, err := os.Stat(name); err == nil && os.SameFile(mine, info) {
			r.done = name
			return true, nil
		}
	}
	return err == nil, nil // pruned while it was read; or between two names: the next round tells
}

// lines hands on the complete lines up to the end of the file.
func (r *reader) lines(ctx context.Context, f Filter, each func(Event) error) error {
	for {
		piece, err := r.in.ReadBytes('\n')
		r.part = append(r.part, piece...)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var e Event
		if json.Unmarshal(r.part, &e) == nil && e.Kind != "" && f.fits(e) {
			if err := each(e); err != nil {
				return err
			}
		}
		r.part = r.part[:0]
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (r *reader) close() {
	if r.file != nil {
		_ = r.file.Close()
		r.file = nil
	}
}
