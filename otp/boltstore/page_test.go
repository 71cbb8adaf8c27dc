package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otpgate/otp"
	"otpgate/otp/storetest"
)

const (
	page     = 4096
	accounts = 1500
)

func accountName(n int) string { return fmt.Sprintf("account-%05d", n) }

// filled makes a store of many pages, and closes it.
func filled(t *testing.T) (path string, content []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "otp.db")
	s, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	devices := make([]otp.Device, accounts)
	claims := make([]otp.Claim, accounts)
	for n := range devices {
		devices[n] = otp.Device{Account: accountName(n), ID: "device", Sealed: make([]byte, 53), Algorithm: otp.SHA1, Digits: 6, Period: time.Minute}
		claims[n] = useStep(accountName(n), 100, 1)
	}
	if errs, err := s.AddDevices(context.Background(), devices, 0); errors.Join(append(errs, err)...) != nil {
		t.Fatal(errs, err)
	}
	s.Claim(context.Background(), claims)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, content
}

// wantDamaged fails unless the error says what an operator needs, and lets nobody in.
func wantDamaged(t *testing.T, what, path string, err error) {
	t.Helper()
	if !errors.Is(err, ErrDamaged) || !errors.Is(err, otp.ErrUnavailable) {
		t.Errorf("%s: %v", what, err)
	}
	if path != "" && !strings.Contains(err.Error(), path) {
		t.Errorf("%s: %v does not name the file", what, err)
	}
}

// readAll reads all accounts, and returns how many cannot be read.
func readAll(t *testing.T, s *Store) (bad int) {
	t.Helper()
	for n := range accounts {
		if _, err := s.Devices(context.Background(), accountName(n)); err != nil {
			wantDamaged(t, "Devices", "", err)
			bad++
		}
	}
	return bad
}

var damages = map[string]func(b []byte){
	"header of ones": func(b []byte) { copy(b, bytes.Repeat([]byte{0xff}, 16)) },
	"zeros":          func(b []byte) { clear(b) },
	"ones":           func(b []byte) { copy(b, bytes.Repeat([]byte{0xff}, page)) },
	"text":           func(b []byte) { copy(b, bytes.Repeat([]byte("bad page"), page/8)) },
	"end of ones":    func(b []byte) { copy(b[16:], bytes.Repeat([]byte{0xff}, page-16)) },
}

// TestNoPageEndsTheProcess damages one page after another before the store is opened.
func TestNoPageEndsTheProcess(t *testing.T) {
	path, content := filled(t)
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			opened, unread := 0, 0
			for n := 2; n < len(content)/page; n += 7 {
				changed := bytes.Clone(content)
				damage(changed[n*page : (n+1)*page])
				if err := os.WriteFile(path, changed, 0o600); err != nil {
					t.Fatal(err)
				}
				s, err := Open(Options{Path: path})
				if err != nil {
					if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) {
						t.Errorf("page %d: Open: %v", n, err)
					}
					continue
				}
				opened++
				bad := readAll(t, s)
				unread += bad
				if _, err := s.Ping(context.Background()); bad > 0 {
					wantDamaged(t, fmt.Sprintf("page %d: Ping", n), path, err)
				}
				for n := 0; n < accounts; n += 50 { // what a commit touches may be bad, too
					if r := claimOne(s, useStep(accountName(n), 100, 2)); r.Answer == otp.Claimed {
						t.Errorf("account %d, page %d: the used step is claimed again", n, n)
					}
				}
				_ = s.Close()
			}
			if opened == 0 || unread == 0 {
				t.Errorf("%d opened, %d records could not be read: nothing is proven", opened, unread)
			}
		})
	}
}

// spoil damages the heads of all pages in which the name is, those that are free now among them; mend puts all
// pages back that were there.
func spoil(t *testing.T, path string, content []byte, name string) {
	t.Helper()
	for at := 2 * page; at < len(content); at += page {
		if bytes.Contains(content[at:at+page], []byte(name)) {
			writeAt(t, path, bytes.Repeat([]byte{0xff}, 16), at)
		}
	}
}

func mend(t *testing.T, path string, content []byte) {
	t.Helper()
	for at := 2 * page; at < len(content); at += page {
		now := make([]byte, 16)
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.ReadAt(now, int64(at)); err != nil || f.Close() != nil {
			t.Fatal(err)
		}
		if bytes.Equal(now, bytes.Repeat([]byte{0xff}, 16)) {
			writeAt(t, path, content[at:at+16], at)
		}
	}
}

func writeAt(t *testing.T, path string, b []byte, at int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, int64(at)); err != nil || f.Close() != nil {
		t.Fatal(err)
	}
}

// TestPageThatGoesBadIsOneAccountsTrouble damages a page under a store that is open, and mends it.
func TestPageThatGoesBadIsOneAccountsTrouble(t *testing.T) {
	path, content := filled(t)
	var logged bytes.Buffer
	s, err := Open(Options{Path: path, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	spoil(t, path, content, accountName(700))
	batch := []otp.Claim{useStep(accountName(700), 101, 1), useStep(accountName(1), 101, 1)}
	receipts := s.Claim(context.Background(), batch)
	wantDamaged(t, "claim of the bad account", "", receipts[0].Err)
	if receipts[1].Answer != otp.Claimed {
		t.Errorf("claim of another account: %+v", receipts[1])
	}
	if bad := readAll(t, s); bad == 0 || bad > accounts/2 {
		t.Errorf("%d of %d accounts cannot be read", bad, accounts)
	}
	_, err = s.Ping(context.Background())
	wantDamaged(t, "Ping", path, err)
	if n := strings.Count(logged.String(), "level=ERROR"); n != 1 || !strings.Contains(logged.String(), "hint=") {
		t.Errorf("%d errors are logged:\n%s", n, logged.String())
	}
	mend(t, path, content)
	if _, err := s.Ping(context.Background()); err != nil {
		t.Errorf("Ping after the page was mended: %v", err)
	}
	if bad := readAll(t, s); bad > 0 {
		t.Errorf("%d accounts cannot be read after the page was mended", bad)
	}
}

// TestFileThatIsCutOff shortens the file under a store that is open, and puts the whole one back.
func TestFileThatIsCutOff(t *testing.T) {
	for _, size := range []int64{0, 100, page, smallest, 10 * page, 40*page + 17} {
		t.Run(fmt.Sprint(size, " octets"), func(t *testing.T) {
			path, content := filled(t)
			s := openAt(t, path)
			if err := os.Truncate(path, size); err != nil {
				t.Fatal(err)
			}
			if bad := readAll(t, s); bad == 0 {
				t.Error("all accounts can be read")
			}
			_, err := s.Ping(context.Background())
			wantDamaged(t, "Ping", path, err)
			for range 3 {
				if r := claimOne(s, useStep(accountName(accounts-1), 100, 2)); r.Answer == otp.Claimed {
					t.Errorf("the used step is claimed again: %+v", r)
				}
			}
			if info, err := os.Stat(path); err != nil || size < smallest && info.Size() != size {
				t.Errorf("a new store was made in place of the old one: %v, %v", info, err)
			}
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			_, _ = s.Ping(context.Background()) // a store that did not notice while it wrote opens the file anew now
			if _, err := s.Ping(context.Background()); err != nil {
				t.Fatalf("Ping after the file was put back: %v", err)
			}
			if bad := readAll(t, s); bad > 0 {
				t.Errorf("%d accounts cannot be read after the file was put back", bad)
			}
			if r := claimOne(s, useStep(accountName(accounts-1), 100, 2)); r.Answer != otp.Used {
				t.Errorf("%+v", r)
			}
		})
	}
}

// TestFileThatIsGoneIsNotMadeAnew: an empty store would tell everybody that they have no device.
func TestFileThatIsGoneIsNotMadeAnew(t *testing.T) {
	path, _ := filled(t)
	s := openAt(t, path)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		storetest.WantUnavailable(t, s, context.Background(), "removed", useStep(accountName(1), 101, 1))
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there again: %v", err)
	}
}

// TestWriterSurvivesAPanic: whatever is wrong with one call, or with what it finds.
func TestWriterSurvivesAPanic(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "otp.db"))
	addDevice(t, s, "a")
	for range 3 {
		err := s.do(context.Background(), &request{run: func(*commit) { panic("a page that is none") }})
		wantDamaged(t, "a call that panics", "", err)
		if r := claimOne(s, useStep("a", 100, 1)); r.Answer != otp.Claimed {
			t.Fatalf("after a panic: %+v", r)
		}
	}
	s.db.Load().stuck.Store(true) // as after a panic that left bbolt's locks taken
	if err := s.do(context.Background(), &request{run: func(c *commit) { c.fail(errors.New("no")) }}); !errors.Is(err, otp.ErrUnavailable) {
		t.Fatal(err)
	}
	if r := claimOne(s, useStep("a", 101, 2)); r.Answer != otp.Claimed {
		t.Fatalf("after the file was let go: %+v", r)
	}
}

// TestReadsThatHangAreBounded: each of them would hold a thread.
func TestReadsThatHangAreBounded(t *testing.T) {
	path, _ := filled(t)
	s := openAt(t, path)
	for range cap(s.readers) {
		s.readers <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if _, err := s.Devices(ctx, accountName(1)); !errors.Is(err, otp.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v", err)
	}
	<-s.readers
	for n := range 3 {
		if _, err := s.Devices(context.Background(), accountName(n)); err != nil {
			t.Fatal(err)
		}
	}
}
