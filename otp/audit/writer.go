package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// writer appends lines to the file and rotates it. It belongs to one goroutine.
type writer struct {
	path    string
	options Options
	file    *os.File
	size    int64
	torn    bool // the file may end in the middle of a line
	buffer  []byte
}

func openWriter(path string, o Options) (*writer, error) {
	w := &writer{path: path, options: o}
	return w, w.open()
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
	w.file, w.size, w.torn = f, info.Size(), false
	if w.size > 0 {
		last := make([]byte, 1)
		_, err := f.ReadAt(last, w.size-1)
		w.torn = err != nil || last[0] != '\n'
	}
	return nil
}

// append writes the events of all records with one call, and syncs the file when somebody waits
// for that. It returns how many events there were.
func (w *writer) append(records []record) (count int, err error) {
	b := w.buffer[:0]
	if w.file == nil { // an earlier write or rotation went wrong
		if err := w.open(); err != nil {
			return countOf(records), err
		}
	}
	if w.torn {
		b = append(b, '\n')
	}
	wait := false
	for _, r := range records {
		wait = wait || r.done != nil
		for _, e := range r.events {
			b, count = appendLine(b, e), count+1
		}
	}
	w.buffer = b[:0]
	if err := w.rotate(int64(len(b))); err != nil {
		return count, err
	}
	n, err := w.file.Write(b)
	w.size += int64(n)
	if err != nil {
		w.undo(int64(n))
		w.close() // the next write opens it again, should it have been another disk
		return count, err
	}
	w.torn = false
	if wait {
		err = w.file.Sync()
	}
	return count, err
}

func countOf(records []record) (n int) {
	for _, r := range records {
		n += len(r.events)
	}
	return n
}

// undo takes back a part of a write, so that whoever was told that nothing was recorded was told
// the truth; where that fails too, the next write closes the line first.
func (w *writer) undo(n int64) {
	if n > 0 {
		_ = w.file.Truncate(w.size - n)
	}
}

// appendLine appends one event as one line of JSON, whatever its strings hold.
func appendLine(b []byte, e Event) []byte {
	for _, s := range []*string{&e.Action, &e.ID, &e.Account, &e.Name, &e.Client, &e.Source, &e.Device, &e.Decision, &e.Detail, &e.Actor} {
		*s = bounded(*s)
	}
	line, err := json.Marshal(e) // escapes control characters, and invalid UTF-8 as U+FFFD
	if err != nil {
		line = []byte(`{"kind":"system","action":"unwritable_event"}`) // a time outside year 1 to 9999
	}
	return append(append(b, line...), '\n')
}

// maxText is how many octets of a text are kept: what arrives in a packet is never longer.
const maxText = 512

func bounded(s string) string {
	if len(s) <= maxText {
		return s
	}
	cut := maxText
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// rotate moves the file out of the way when more octets would make it too long.
func (w *writer) rotate(more int64) error {
	if w.size == 0 || w.size+more <= w.options.MaxBytes {
		return nil
	}
	if err := errors.Join(w.file.Sync(), w.file.Close()); err != nil {
		w.file = nil
		return err
	}
	w.file = nil
	if err := os.Rename(w.path, w.free()); err != nil {
		return errors.Join(err, w.open())
	}
	if err := w.open(); err != nil {
		return err
	}
	return w.prune()
}

// free is a name for a rotated file that sorts behind all others.
func (w *writer) free() string {
	stamp := w.options.Now().UTC().Format("20060102T150405.000000")
	name := rotatedName(w.path, stamp, 0)
	if old := rotated(w.path); len(old) > 0 && name <= old[len(old)-1] { // the clock went back
		last := old[len(old)-1]
		stamp = strings.TrimPrefix(strings.TrimSuffix(filepath.Base(last), ".jsonl"), "audit-")
		stamp = stamp[:strings.LastIndexByte(stamp, '-')]
	}
	for n := 0; ; n++ {
		if name = rotatedName(w.path, stamp, n); !exists(name) {
			return name
		}
	}
}

func rotatedName(path, stamp string, n int) string {
	return filepath.Join(filepath.Dir(path), fmt.Sprintf("audit-%s-%04d.jsonl", stamp, n))
}

// rotated lists the rotated files beside path, the oldest first.
func rotated(path string) []string {
	names, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "audit-*-*.jsonl"))
	slices.Sort(names)
	return names
}

func (w *writer) prune() error {
	old := rotated(w.path)
	if w.options.Keep == 0 || len(old) <= w.options.Keep {
		return nil
	}
	var errs []error
	for _, name := range old[:len(old)-w.options.Keep] {
		errs = append(errs, os.Remove(name))
	}
	return errors.Join(errs...)
}

func (w *writer) close() {
	if w.file != nil {
		_ = w.file.Sync()
		_ = w.file.Close()
		w.file = nil
	}
}
