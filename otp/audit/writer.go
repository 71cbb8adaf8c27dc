package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// writer appends lines to the file and rotates it. It belongs to one goroutine.
type writer struct {
	path    string
	options Options
	end     *atomic.Pointer[end] // for readers: how far everything is on record
	file    *os.File
	info    os.FileInfo // of file
	size    int64
	older   int64     // octets in rotated files
	newest  time.Time // no event in the file is later
	torn    bool      // the file may end in the middle of a line
	buffer  []byte
	untidy  error // what went wrong beside writing, and cost no event

	unsynced int64 // events written since the disk has last confirmed everything
	doubtful int64 // events that it did not confirm when it was asked: any of them may be gone
	doubt    error // what it said
}

func openWriter(path string, o Options, e *atomic.Pointer[end]) (*writer, error) {
	w := &writer{path: path, options: o, end: e, older: sizeOf(path)}
	if err := w.open(); err != nil {
		return nil, err
	}
	w.newest = newestIn(w.file, w.size)
	return w, nil
}

func (w *writer) open() error {
	f, err := os.OpenFile(w.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	w.file, w.info, w.size, w.torn = f, info, info.Size(), false
	if w.size > 0 {
		last := make([]byte, 1)
		_, err := f.ReadAt(last, w.size-1)
		w.torn = err != nil || last[0] != '\n'
	}
	w.publish()
	syncFolder(w.path)
	return nil
}

// publish tells readers what is on record.
func (w *writer) publish() { w.end.Store(&end{w.info, w.size}) }

// syncFolder makes the name of a file as durable as the file.
func syncFolder(path string) {
	if f, err := os.Open(filepath.Dir(path)); err == nil {
		_, _ = f.Sync(), f.Close()
	}
}

// lookBack is how far from the end of a file that was there before us its newest event is searched.
const lookBack = 64 << 20

func newestIn(f *os.File, size int64) (newest time.Time) {
	in := lines{in: f, rushed: true}
	_, _ = in.forward(context.Background(), max(0, size-lookBack), size, func(line []byte) error {
		if at, ok := timeOf(line); ok && at.After(newest) {
			newest = at
		}
		return nil
	}) // what cannot be read now cannot be read later
	return newest
}

// append writes the events of all records with one call, and syncs the file when somebody waits
// for that. After an error none of them is on record.
func (w *writer) append(records []record) error {
	if w.file != nil && w.taken() {
		w.close()
	}
	if w.file == nil { // an earlier write went wrong
		if err := w.open(); err != nil {
			return err
		}
	}
	b, newest, wait, count := w.buffer[:0], time.Time{}, false, int64(0)
	if w.torn {
		b = append(b, '\n')
	}
	for _, r := range records {
		wait = wait || r.waiter != nil
		for i := range r.events {
			b = appendLine(b, &r.events[i])
			count += max(1, r.events[i].Count) // one that is lost takes along those of which it tells
			if at := r.events[i].Time; at.After(newest) {
				newest = at
			}
		}
	}
	w.buffer = b[:0]
	w.rotate(int64(len(b)))
	n, err := w.file.Write(b)
	w.size += int64(n)
	if err == nil && wait {
		err = w.sync()
	}
	if err != nil {
		w.undo(int64(n))
		w.close() // the next write opens it again, should it have been another disk
		return err
	}
	if !wait {
		w.unsynced += count
	}
	w.torn = false
	if newest.After(w.newest) {
		w.newest = newest
	}
	w.publish()
	return nil
}

// sync asks the disk whether it has everything. The kernel says only once that it could not write what it
// had taken, and not what: so all is in doubt that was written since it was last asked.
func (w *writer) sync() error {
	err := w.file.Sync()
	if err != nil && w.unsynced > 0 {
		w.doubtful, w.doubt = w.doubtful+w.unsynced, err
	}
	w.unsynced = 0
	return err
}

// taken reports whether somebody has moved or removed the file.
func (w *writer) taken() bool {
	info, err := os.Stat(w.path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, w.info)
}

// undo takes back a part of a write, so that whoever was told that nothing was recorded was told
// the truth; where that fails too, the next write closes the line first.
func (w *writer) undo(n int64) {
	if n > 0 {
		_ = w.file.Truncate(w.size - n)
	}
}

// rotate moves the file out of the way when more octets would make it too long. What goes wrong
// here costs no event, but for those that the disk had lost before: the file becomes longer than it
// should, and the next write tries again.
func (w *writer) rotate(more int64) {
	if w.size == 0 || w.size+more <= w.options.MaxBytes {
		return
	}
	newest := w.options.Now()
	if w.newest.After(newest) {
		newest = w.newest
	}
	if err := w.sync(); err != nil {
		if w.doubtful == 0 {
			w.untidy = err
		}
		return
	}
	name, old, oldInfo, oldSize := free(w.path, newest), w.file, w.info, w.size
	if err := os.Rename(w.path, name); err != nil {
		w.untidy = err
		return
	}
	if err := w.open(); err != nil {
		w.untidy = errors.Join(err, os.Rename(name, w.path))
		w.file, w.info, w.size = old, oldInfo, oldSize
		return
	}
	_ = old.Close()
	w.newest = time.Time{}
	w.prune()
	w.older = sizeOf(w.path)
}

// prune removes the oldest rotated files, if only some are to be kept.
func (w *writer) prune() {
	old := rotated(w.path)
	if w.options.Keep == 0 || len(old) <= w.options.Keep {
		return
	}
	for _, name := range old[:len(old)-w.options.Keep] {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.untidy = errors.Join(w.untidy, fmt.Errorf("the oldest file stays: %w", err))
		}
	}
}

func (w *writer) close() {
	if w.file != nil {
		_, _ = w.sync(), w.file.Close()
		w.file = nil
	}
}
