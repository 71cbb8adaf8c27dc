package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// stampLayout is how a moment is written in the name of a rotated file: it sorts as text does.
const stampLayout = "20060102T150405.000000"

// lastNumber is the highest number in such a name: more digits would sort before it.
const lastNumber = 9999

func rotatedName(path, stamp string, n int) string {
	return filepath.Join(filepath.Dir(path), fmt.Sprintf("audit-%s-%04d.jsonl", stamp, n))
}

// rotated lists the rotated files beside path, the oldest first.
func rotated(path string) []string {
	names, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "audit-*-*.jsonl"))
	slices.Sort(names)
	return names
}

// stampOf is the stamp in the name of a rotated file; "" when somebody else has named it.
func stampOf(name string) string {
	stamp, ok := strings.CutPrefix(filepath.Base(name), "audit-")
	i := strings.LastIndexByte(stamp, '-')
	if !ok || i < 0 {
		return ""
	}
	return stamp[:i]
}

// ended reports whether a rotated file is known to hold nothing from at on: its stamp is not before
// any event in it.
func ended(name string, at time.Time) bool {
	stamp, err := time.Parse(stampLayout, stampOf(name))
	return err == nil && !stamp.Add(time.Microsecond).After(at) // the stamp was cut to microseconds
}

// free is a name for a rotated file that sorts behind all others, with a stamp not before newest.
func free(path string, newest time.Time) string {
	stamp, n := newest.UTC().Format(stampLayout), 0
	if old := rotated(path); len(old) > 0 {
		last := old[len(old)-1]
		if then := stampOf(last); then >= stamp { // the clock went back
			stamp, n = then, numberOf(last)+1 // and not a lower one that is free again: it would be the oldest
		}
	}
	for ; ; n++ {
		if at, err := time.Parse(stampLayout, stamp); n > lastNumber && err == nil {
			stamp, n = at.Add(time.Microsecond).Format(stampLayout), 0
		}
		if name := rotatedName(path, stamp, n); !exists(name) {
			return name
		}
	}
}

// numberOf is the number in the name of a rotated file; -1 when somebody else has named it.
func numberOf(name string) int {
	n, err := strconv.Atoi(strings.TrimSuffix(name[strings.LastIndexByte(name, '-')+1:], ".jsonl"))
	if err != nil {
		return -1
	}
	return n
}

// exists reports whether there is a file.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// sizeOf is how many octets all rotated files beside path have.
func sizeOf(path string) (n int64) {
	for _, name := range rotated(path) {
		if info, err := os.Lstat(name); err == nil {
			n += info.Size()
		}
	}
	return n
}
