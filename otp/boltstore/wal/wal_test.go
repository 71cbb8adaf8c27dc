package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"otpgate/otp/boltstore/wal"
)

var ours = wal.ID{1, 2, 3}

// written makes a log with these entries, numbered from 1.
func written(t *testing.T, entries ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	f, err := wal.Create(path, ours, 7)
	if err != nil {
		t.Fatal(err)
	}
	for n, e := range entries {
		if err := f.Append(uint64(n+1), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// read is what a log holds.
func read(path string, id wal.ID, generation uint64) (entries [][]byte, err error) {
	_, err = wal.Read(path, id, generation, func(sequence uint64, payload []byte) error {
		if sequence != uint64(len(entries)+1) {
			return fmt.Errorf("entry %d has number %d", len(entries)+1, sequence)
		}
		entries = append(entries, bytes.Clone(payload))
		return nil
	})
	return entries, err
}

// beginning is the first pages of a log, in which its entries are.
func beginning(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content[:8192]
}

// overwrite puts the beginning of a log back, or something else in its place.
func overwrite(t *testing.T, path string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, 0); err != nil || f.Close() != nil {
		t.Fatal(err)
	}
}

// sample are entries of many sizes, more than a file has room for at first.
func sample() (entries [][]byte) {
	for _, n := range []int{0, 1, 479, 480, 481, 512, 5000, 1, 262_144, 100, 300_000, 7} {
		entries = append(entries, bytes.Repeat([]byte{byte(n), 0xa5}, n)[:n])
	}
	return entries
}

func same(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }

func TestWhatIsAppendedIsRead(t *testing.T) {
	want := sample()
	path := written(t, want...)
	got, err := read(path, ours, 7)
	if err != nil || !same(got, want) {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if got, err := read(written(t), ours, 7); err != nil || len(got) != 0 {
		t.Errorf("an empty log: %d entries, %v", len(got), err)
	}
}

func TestWhatIsAnothersIsNotRead(t *testing.T) {
	path := written(t, []byte("entry"))
	for what, read := range map[string]func() ([][]byte, error){
		"another store's":    func() ([][]byte, error) { return read(path, wal.ID{9}, 7) },
		"another generation": func() ([][]byte, error) { return read(path, ours, 8) },
	} {
		if got, err := read(); !errors.Is(err, wal.ErrDamaged) || len(got) > 0 {
			t.Errorf("%s: %d entries, %v", what, len(got), err)
		}
	}
	if _, err := read(path+"2", ours, 7); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestACrashAtAnyOctet cuts the last entry off, and leaves zeros or what was there before in its place.
func TestACrashAtAnyOctet(t *testing.T) {
	want := [][]byte{[]byte("first"), bytes.Repeat([]byte("second"), 300), bytes.Repeat([]byte("third"), 150)}
	path := written(t, want...)
	content := beginning(t, path)
	last := bytes.Index(content, want[2]) - 32
	for n := 0; n < 32+len(want[2]); n++ {
		for name, rest := range map[string]byte{"zeros": 0, "ones": 0xff} {
			torn := bytes.Clone(content)
			for i := last + n; i < len(torn); i++ {
				torn[i] = rest
			}
			overwrite(t, path, torn)
			if got, err := read(path, ours, 7); err != nil || !same(got, want[:2]) {
				t.Fatalf("%d octets of the last entry and %s: %d entries, %v", n, name, len(got), err)
			}
		}
	}
}

// TestAnyOctetThatIsWrong: an entry that is not the last is missed.
func TestAnyOctetThatIsWrong(t *testing.T) {
	want := [][]byte{[]byte("first"), bytes.Repeat([]byte("second"), 200), []byte("third")}
	path := written(t, want...)
	content := beginning(t, path)
	third := bytes.Index(content, want[2]) - 32
	for n := 0; n < third; n++ {
		wrong := bytes.Clone(content)
		wrong[n] ^= 0x10
		overwrite(t, path, wrong)
		got, err := read(path, ours, 7)
		if inPadding(n) {
			if err != nil || !same(got, want) {
				t.Fatalf("octet %d, which says nothing: %d entries, %v", n, len(got), err)
			}
		} else if !errors.Is(err, wal.ErrDamaged) {
			t.Fatalf("octet %d is wrong: %d entries, %v", n, len(got), err)
		}
	}
}

// inPadding reports whether an octet is one of the zeros behind an entry.
func inPadding(n int) bool {
	for _, end := range []int{512 + 32 + len("first"), 1024 + 32 + 200*len("second")} {
		next := (end + 511) / 512 * 512
		if n >= end && n < next {
			return true
		}
	}
	return false
}

func TestAFileThatIsCutOff(t *testing.T) {
	path := written(t, []byte("first"), bytes.Repeat([]byte("second"), 300))
	for _, size := range []int64{4096, 512, 511, 100, 0} {
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		if _, err := read(path, ours, 7); !errors.Is(err, wal.ErrDamaged) {
			t.Errorf("%d octets: %v", size, err)
		}
	}
}

// TestNothingIsAppendedBehindAFailure, and a file that is gone takes nothing.
func TestNothingIsAppendedBehindAFailure(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"removed": os.Remove,
		"cut off": func(path string) error { return os.Truncate(path, 1000) },
	} {
		path := filepath.Join(t.TempDir(), "log")
		f, err := wal.Create(path, ours, 7)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Append(1, []byte("first")); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := spoil(path); err != nil {
			t.Fatal(err)
		}
		if err := f.Append(2, []byte("second")); !errors.Is(err, wal.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := f.Append(3, []byte("third")); err == nil {
			t.Errorf("%s: something was appended behind a failure", name)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if got, err := read(path, ours, 7); err != nil || len(got) != 1 {
			t.Errorf("%s: %d entries, %v", name, len(got), err)
		}
	}
}

func TestWhatTakesNothingIsAnError(t *testing.T) {
	failed := errors.New("failed")
	if _, err := wal.Read(written(t, []byte("entry")), ours, 7, func(uint64, []byte) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("%v", err)
	}
	if _, err := wal.Create(filepath.Join(t.TempDir(), "absent", "log"), ours, 7); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// FuzzRead: whatever is in a file is read, or refused, without fail.
func FuzzRead(f *testing.F) {
	path := filepath.Join(f.TempDir(), "log")
	w, err := wal.Create(path, ours, 7)
	if err != nil {
		f.Fatal(err)
	}
	for n := range 3 {
		if err := w.Append(uint64(n+1), bytes.Repeat([]byte{byte(n)}, 300*n)); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(content[:4096], 0, byte(0))
	f.Add(content[:4096], 1024, byte(0xff))
	f.Add(content[:600], 516, byte(0xff))
	f.Fuzz(func(t *testing.T, b []byte, at int, with byte) {
		if at >= 0 && at < len(b) {
			b[at] ^= with
		}
		if err := errors.Join(os.WriteFile(path, b, 0o600), os.Truncate(path, max(int64(len(b)), 256<<10))); err != nil {
			t.Fatal(err)
		}
		var last uint64
		octets := 0
		_, err := wal.Read(path, ours, 7, func(sequence uint64, payload []byte) error {
			if sequence <= last {
				t.Fatalf("entry %d behind %d", sequence, last)
			}
			last, octets = sequence, octets+len(payload)
			return nil
		})
		if octets > len(b) || err != nil && !errors.Is(err, wal.ErrDamaged) {
			t.Fatalf("%d octets of %d, %v", octets, len(b), err)
		}
	})
}
