package audit

import (
	"context"
	"errors"
	"os"
)

// present is the file being written and the names of those before it, at a moment when they belong
// together.
type present struct {
	end   end
	file  *os.File
	names []string
}

// present opens the file being written. Its reader ends there, if it ends at all.
func (r *reader) present(ctx context.Context) (*present, error) {
	for range 100 {
		if err := r.lines.pause(ctx); err != nil {
			return nil, err
		}
		p := &present{end: *r.log.end.Load()}
		f, err := os.Open(r.path)
		if errors.Is(err, os.ErrNotExist) {
			continue // it is being rotated
		}
		if err != nil {
			return nil, err
		}
		p.file, p.names = f, rotated(r.path)
		mine, err := f.Stat()
		// Still under its name, so it is not among those before it.
		if now, err := os.Stat(r.path); err == nil && os.SameFile(now, p.end.file) && os.SameFile(mine, now) {
			if r.stop != nil {
				r.stop = &p.end
			}
			return p, nil
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("the newest file is not the one that is written")
}

// seek goes on where the last events start that fit, so many of them, or at the end when there is
// none. It reads from the end, no farther than it must.
func (r *reader) seek(ctx context.Context, last int, p *present) error {
	older := len(p.names)
	done := ""
	if older > 0 {
		done = p.names[older-1]
	}
	r.use(p.file, p.end.size, done)
	f, to := p.file, p.end.size
	for {
		at, found, err := r.back(ctx, f, to, last)
		switch {
		case err != nil && f != r.file:
			return errors.Join(err, f.Close())
		case err != nil:
			return err
		case found > 0 && f != r.file:
			r.use(f, at, done)
		case found > 0:
			r.at = at
		case f != r.file:
			_ = f.Close()
		}
		last -= found
		if older--; last == 0 || older < 0 || r.tooOld(p.names[older]) {
			return nil
		}
		done = p.names[older]
		if f, to, err = openWhole(done); err != nil {
			if errors.Is(err, os.ErrNotExist) { // pruned, and so are those before it
				return nil
			}
			return err
		}
	}
}

// back returns where the first of the last events up to an offset starts that fit, and how many
// there are, most at most.
func (r *reader) back(ctx context.Context, f *os.File, to int64, most int) (at int64, found int, err error) {
	in := lines{in: f}
	err = in.backward(ctx, to, func(line []byte, start int64) bool {
		if _, ok := r.event(line); ok {
			at, found = start, found+1
		}
		return found < most
	})
	return at, found, err
}

func openWhole(name string) (*os.File, int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}
