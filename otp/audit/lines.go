package audit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"
)

const (
	chunk = 1 << 20                // octets read at once; a line of that length is none of ours
	pace  = 100 * time.Microsecond // between two chunks, for whoever wants to log in
)

// lines reads lines in chunks, so that the length of a file is no matter.
type lines struct {
	in     io.ReaderAt
	buffer []byte
	rushed bool // nobody has to be let through in between
}

// read fills a buffer from the octets in [from, to), as many as there are up to a chunk.
func (l *lines) read(from, to int64) ([]byte, error) {
	n := int(min(chunk, to-from))
	if len(l.buffer) < n {
		l.buffer = make([]byte, n)
	}
	got, err := l.in.ReadAt(l.buffer[:n], from)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return l.buffer[:got], err
}

// pause is between two chunks.
func (l *lines) pause(ctx context.Context) error {
	if l.rushed {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pace):
		return nil
	}
}

// forward hands the complete lines in [from, to) to each, and returns where the next one starts.
func (l *lines) forward(ctx context.Context, from, to int64, each func(line []byte) error) (int64, error) {
	for from < to {
		b, err := l.read(from, to)
		if err != nil || len(b) == 0 {
			return from, err
		}
		end, whole := from+int64(len(b)), len(b)
		for i := bytes.IndexByte(b, '\n'); i >= 0; i = bytes.IndexByte(b, '\n') {
			from += int64(i) + 1
			if err := each(b[:i]); err != nil {
				return from, err
			}
			b = b[i+1:]
		}
		if len(b) == chunk {
			from = end
		}
		if end >= to || whole < chunk {
			return from, nil // the end of the line in b is not written yet
		}
		if err := l.pause(ctx); err != nil {
			return from, err
		}
	}
	return from, nil
}

// backward hands the complete lines in [0, to) to each, the last one first, with the offset where
// each starts, until each is false.
func (l *lines) backward(ctx context.Context, to int64, each func(line []byte, at int64) bool) error {
	open := true // what ends at to is not the end of a line
	for to > 0 {
		from := max(0, to-chunk)
		b, err := l.read(from, to)
		if err != nil {
			return err
		}
		if int64(len(b)) < to-from { // somebody has cut the file short
			open = true
		}
		if open {
			b = b[:bytes.LastIndexByte(b, '\n')+1]
		}
		for len(b) > 0 {
			start := bytes.LastIndexByte(b[:len(b)-1], '\n') + 1
			if start == 0 && from > 0 {
				break // where the line starts is in the chunk before
			}
			if !each(b[start:len(b)-1], from+int64(start)) {
				return nil
			}
			b = b[:start]
		}
		open = len(b) == 0 || len(b) == chunk
		if to = from + int64(len(b)); len(b) == chunk {
			to = from
		}
		if err := l.pause(ctx); err != nil {
			return err
		}
	}
	return nil
}

// timeOf is the time of a line as [appendLine] wrote it.
func timeOf(line []byte) (at time.Time, ok bool) {
	const key = `{"time":"`
	if !bytes.HasPrefix(line, []byte(key)) {
		return at, false
	}
	text, _, ok := bytes.Cut(line[len(key):], []byte{'"'})
	return at, ok && at.UnmarshalText(text) == nil
}

// textOf is the text of a key such as `"name":"` in a line as [appendLine] wrote it, in which
// quotes inside a text have a backslash; not plain when the text has one too.
func textOf(line, key []byte) (text []byte, plain bool) {
	_, rest, ok := bytes.Cut(line, key)
	if !ok {
		return nil, true
	}
	text, _, ok = bytes.Cut(rest, []byte{'"'})
	return text, ok && bytes.IndexByte(text, '\\') < 0
}
