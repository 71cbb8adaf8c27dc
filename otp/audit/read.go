package audit

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
)

// Read hands events that fit f to each, the oldest first, over all files: those that were recorded
// when it began. With follow it then goes on with what is recorded from then on, each event once,
// until ctx ends, which is no error then: what was recorded before that is handed on too, unless ctx ends while
// the past is read. It returns a *[FilterError] for a filter that nothing can
// fit; an error of each ends it and is returned.
//
// It calls begun, unless that is nil, when it is settled where the past ends: whatever is recorded
// from then on is not among the last ones.
//
// It takes a chunk of memory, whatever the trail's length, and pauses between chunks. Files that
// are too old for f are not opened; for f.Last the files are read from the end, as far as needed.
func (l *Log) Read(ctx context.Context, f Filter, follow bool, begun func(), each func(Event) error) error {
	if err := f.Check(); err != nil {
		return err
	}
	r := &reader{log: l, path: filepath.Join(l.options.Dir, Name), sieve: newSieve(f)}
	defer r.close()
	err := r.begin(ctx, f.Last, follow, begun)
	reading := ctx
	for over := false; err == nil; {
		news := l.tidings.next() // before reading, so that nothing is missed in between
		if err = r.read(reading, each); err != nil || !follow || over {
			break
		}
		reading = context.WithoutCancel(ctx) // the past, which may be long, is over
		r.lines.buffer = nil                 // it may be long until there is more
		select {
		case <-news:
		case <-l.ended:
			over = true
		case <-ctx.Done():
			over = true
		}
	}
	if follow && ctx.Err() != nil {
		return nil
	}
	return err
}

// end is how far a file holds what is on record. Beyond it, a write may be under way, or taken back.
type end struct {
	file os.FileInfo
	size int64
}

// reader goes through the files in order and remembers where it is. A file is told by its inode,
// so that it is still known after it was rotated.
type reader struct {
	log   *Log
	path  string
	sieve *sieve
	stop  *end // where to end; nil: never

	file  *os.File
	lines lines
	at    int64  // where the next line starts
	done  string // the newest rotated file that was opened
}

// begin settles where reading ends, and opens the file that has the last events, so many of them.
func (r *reader) begin(ctx context.Context, last int, follow bool, begun func()) error {
	if !follow {
		r.stop = r.log.end.Load()
	}
	if last == 0 {
		if begun != nil {
			begun()
		}
		return nil
	}
	p, err := r.present(ctx)
	if begun != nil {
		begun()
	}
	if err != nil {
		return err
	}
	return r.seek(ctx, last, p)
}

// use goes on with an open file from an offset on.
func (r *reader) use(f *os.File, at int64, done string) {
	r.close()
	r.file, r.lines, r.at, r.done = f, lines{in: f}, at, done
}

// read hands on everything up to the end of the newest file.
func (r *reader) read(ctx context.Context, each func(Event) error) error {
	for {
		if r.file == nil {
			if ok, err := r.next(); err != nil || !ok {
				return err
			}
		}
		last, err := r.rest(ctx, each)
		if err != nil || last {
			return err
		}
		over, err := r.over()
		if err != nil || !over {
			return err
		}
		// It was rotated since its end was seen: there may be more in it, then comes the next.
		if _, err := r.rest(ctx, each); err != nil {
			return err
		}
		r.close()
	}
}

// rest hands on what is on record of the open file; last when nothing after it was asked for.
func (r *reader) rest(ctx context.Context, each func(Event) error) (last bool, err error) {
	mine, err := r.file.Stat()
	if err != nil {
		return false, err
	}
	to := mine.Size()
	if e := r.log.end.Load(); os.SameFile(mine, e.file) {
		to = e.size
	}
	if r.stop != nil && os.SameFile(mine, r.stop.file) {
		last, to = true, min(to, r.stop.size)
	}
	r.at, err = r.lines.forward(ctx, r.at, to, func(line []byte) error {
		if e, ok := r.event(line); ok {
			return each(e)
		}
		return nil
	})
	return last, err
}

// event decodes a line that fits.
func (r *reader) event(line []byte) (e Event, ok bool) {
	if r.sieve.excludes(line) {
		return e, false
	}
	ok = json.Unmarshal(line, &e) == nil && e.Kind != "" && r.sieve.fits(&e)
	return e, ok
}

// next opens the file that follows the last one read; false when there is none yet.
func (r *reader) next() (bool, error) {
	for {
		name := r.following()
		f, err := os.Open(name)
		if errors.Is(err, os.ErrNotExist) {
			if name == r.path && r.following() == name {
				return false, nil
			}
			continue // it was pruned just now, or rotated
		}
		if err != nil {
			return false, err
		}
		if name != r.path {
			r.use(f, 0, name)
			return true, nil
		}
		if r.following() != name { // it was rotated in between, and this is a newer one
			_ = f.Close()
			continue
		}
		r.use(f, 0, r.done)
		return true, nil
	}
}

// following is the oldest rotated file that was not read yet and may hold what was asked for, else
// the one being written.
func (r *reader) following() string {
	for _, name := range rotated(r.path) {
		if name > r.done && !r.tooOld(name) {
			return name
		}
	}
	return r.path
}

func (r *reader) tooOld(name string) bool {
	return !r.sieve.since.IsZero() && ended(name, r.sieve.since)
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

func (r *reader) close() {
	if r.file != nil {
		_ = r.file.Close()
		r.file = nil
	}
}
