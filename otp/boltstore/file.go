package boltstore

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"otpgate/otp"
)

var (
	metaBucket    = []byte("meta")
	devicesBucket = []byte("devices")
	statesBucket  = []byte("states")
	ticketsBucket = []byte("tickets")
	notesBucket   = []byte("notes")
	buckets       = [][]byte{metaBucket, devicesBucket, statesBucket, ticketsBucket, notesBucket}

	keysetKey  = []byte("keyset")
	pingKey    = []byte("ping")
	journalKey = []byte("journal")
)

// smallest is how long the shortest file is that can be a store: its two meta pages.
const smallest = 2 * 4096

// maxSpoiled bounds how often a file is opened whose opening ends in a panic: each time bbolt leaves a
// mapping behind, and a process can have 65,530 of them.
const maxSpoiled = 1000

// file is the open file.
type file struct {
	*bbolt.DB
	handle *os.File    // bbolt's own
	info   os.FileInfo // which file it is
	stuck  atomic.Bool // a panic has left bbolt's locks taken; whoever had it says so
}

// whole refuses a file that was cut off below what bbolt reads while it holds its locks, and one that was removed, or
// another put in its place: what is written there is written to nowhere.
func (f *file) whole() error {
	info, err := f.handle.Stat()
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink == 0 {
		return fmt.Errorf("%w: it was removed, or another put in its place", ErrDamaged)
	}
	if info.Size() < smallest {
		return cutOff(info.Size())
	}
	return nil
}

// at reports whether this is the file at a path, and not another that was put in its place.
func (f *file) at(path string) bool {
	there, err := os.Stat(path)
	return err == nil && os.SameFile(f.info, there)
}

func cutOff(size int64) error { return fmt.Errorf("%w: it is %d octets long", ErrDamaged, size) }

// close gives the lock of the file back in any case.
func (f *file) close() error {
	if f.stuck.Load() {
		return f.letGo()
	}
	return f.Close()
}

// letGo is for a file that bbolt cannot close any more. Its mapping stays, and would keep the lock.
func (f *file) letGo() error {
	return errors.Join(syscall.Flock(int(f.handle.Fd()), syscall.LOCK_UN), f.handle.Close())
}

// openFile opens the file, and brings the index and the journal in line with it. A file that was there
// before must be there again: an empty one in its place would know nobody.
func (s *Store) openFile(create bool) error {
	f, err := s.openAgain(create)
	if err != nil {
		return err
	}
	err = guarded(func() error { return s.adopt(f.DB) })
	if err == nil {
		s.db.Store(f)
		err = s.settleLoss()
	}
	if err != nil {
		s.db.Store(nil)
		_ = f.close()
		return fmt.Errorf("boltstore: open %s: %w", s.options.Path, damage(err))
	}
	return nil
}

// openAgain opens the file alone.
func (s *Store) openAgain(create bool) (*file, error) {
	path := s.options.Path
	if s.spoiled >= maxSpoiled {
		return nil, fmt.Errorf("boltstore: open %s: %w: it is not opened again before a restart", path, ErrDamaged)
	}
	f, err := openWith(path, create, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType, NoStatistics: true})
	if err == nil {
		return f, nil
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, lockedError(path)
	}
	if broken := (*panicked)(nil); errors.As(err, &broken) {
		s.spoiled++
	}
	return nil, fmt.Errorf("boltstore: open %s: %w", path, damage(err))
}

// reopen opens the file anew under what is known of it, which stays. Without it, or when another was put in its place,
// the next commit looks at everything.
func (s *Store) reopen() {
	before := s.db.Swap(nil)
	_ = before.close()
	f, err := s.openAgain(false)
	if err != nil {
		s.logger.Debug("store cannot be opened again yet", "error", err)
		return
	}
	if !os.SameFile(before.info, f.info) {
		_ = f.close()
		return
	}
	s.db.Store(f)
}

// settleLoss makes the file do without the generations that were given up, before any other is begun, and then
// forgets that they were.
func (s *Store) settleLoss() error {
	if s.lost {
		if err := s.hindered(); err != nil { // what the journal has of somebody else would go with it
			return err
		}
		f := s.journal.fold
		f.sort()
		s.beginSlice(len(f.entries))
		if err := s.endSlice(<-f.writing()); err != nil {
			return err
		}
	}
	return s.forgetLoss()
}

// openWith opens a file in which somebody may have damaged anything.
func openWith(path string, create bool, o *bbolt.Options) (*file, error) {
	f := &file{}
	o.OpenFile = func(name string, flag int, mode os.FileMode) (handle *os.File, err error) {
		if !create {
			flag &^= os.O_CREATE
		}
		if handle, err = os.OpenFile(name, flag, mode); err != nil {
			return nil, err
		}
		info, err := handle.Stat()
		if err == nil && info.Size() < smallest && (!create || info.Size() > 0) {
			err = cutOff(info.Size())
		}
		if err != nil {
			return nil, errors.Join(err, handle.Close())
		}
		f.handle, f.info = handle, info
		return handle, nil
	}
	err := guarded(func() (err error) {
		f.DB, err = bbolt.Open(path, 0o600, o)
		return err
	})
	var broken *panicked
	if errors.As(err, &broken) {
		_ = f.letGo() // nobody else does
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// with runs what reads the file, or changes it, in one transaction. Nothing is changed unless run says so.
func (f *file) with(writable bool, run func(*bbolt.Tx) (changed bool, err error)) error {
	var tx *bbolt.Tx
	err := guarded(func() (err error) {
		if tx, err = f.Begin(writable); err != nil {
			return err
		}
		if changed, err := run(tx); err != nil || !changed {
			return errors.Join(err, tx.Rollback())
		}
		return tx.Commit()
	})
	// A panic has left the transaction open. One in Begin, or in Rollback, leaves locks that nobody can
	// take any more.
	var broken *panicked
	if errors.As(err, &broken) && (tx == nil || errors.As(guarded(tx.Rollback), &broken)) {
		f.stuck.Store(true)
	}
	return err
}

func (s *Store) adopt(db *bbolt.DB) error {
	if info, err := os.Stat(s.options.Path); err != nil {
		return err
	} else if info.Mode().Perm()&0o077 != 0 {
		s.logger.Warn("store was accessible to others, closing it to them", "path", s.options.Path, "mode", info.Mode().Perm().String())
		if err := os.Chmod(s.options.Path, 0o600); err != nil {
			return err
		}
	}
	if err := createBuckets(db); err != nil {
		return err
	}
	s.closeJournal()
	s.lost = false
	found, j, err := s.replay(db)
	if err != nil {
		return fmt.Errorf("replay the journal: %w", err)
	}
	j.broken = s.journal.broken // opening the file has mended nothing
	j.unsure = true             // the last process may have ended, or an fsync failed, before all of it was on disk
	if entries := s.index.reset(found); len(entries) > 0 || j.first <= j.last {
		j.fold = newFold(entries, j.last) // at once: the first claims wait for a slice of it, the others do not
	}
	s.journal = j
	for key, t := range found.unreadable {
		s.notice([]byte(key), t.err)
	}
	return nil
}

// createBuckets writes nothing to a file that has them all.
func createBuckets(db *bbolt.DB) error {
	missing := false
	if err := db.View(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			missing = missing || tx.Bucket(name) == nil
		}
		return nil
	}); err != nil || !missing {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
}

// Bound returns the fingerprint of the keyset that the store at path belongs to, "" when there is no
// store or it is nobody's yet. Unlike [Store.Bind] it changes nothing. It returns an error that wraps
// [otpgate/otp.ErrLocked] while a process uses the store.
func Bound(path string) (fingerprint string, err error) {
	if info, err := os.Stat(path); errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return "", nil
	}
	f, err := openWith(path, false, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if errors.Is(err, berrors.ErrTimeout) {
		return "", lockedError(path)
	}
	if err == nil {
		err = guarded(func() error {
			return f.View(func(tx *bbolt.Tx) error {
				if meta := tx.Bucket(metaBucket); meta != nil {
					fingerprint = string(meta.Get(keysetKey))
				}
				return nil
			})
		})
		err = errors.Join(err, f.close())
	}
	if err != nil {
		return "", fmt.Errorf("boltstore: open %s: %w", path, damage(err))
	}
	return fingerprint, nil
}

// lockedError tells who has the file open, as far as the kernel tells us.
func lockedError(path string) error {
	who := ""
	if pid := lockHolder(path); pid > 0 {
		who = fmt.Sprintf(" (pid %d)", pid)
	}
	return fmt.Errorf("boltstore: %s: %w%s", path, otp.ErrLocked, who)
}

// lockHolder finds the process that holds the lock of the file in /proc/locks; 0 when it is not
// told, for instance because that process is in another container.
func lockHolder(path string) int {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return 0
	}
	defer func() { _ = locks.Close() }()
	inode := ":" + strconv.FormatUint(stat.Ino, 10)
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		// 1: FLOCK  ADVISORY  WRITE 4711 fe:01:1234 0 EOF
		fields := strings.Fields(lines.Text())
		if len(fields) >= 6 && fields[1] == "FLOCK" && strings.HasSuffix(fields[5], inode) {
			if pid, err := strconv.Atoi(fields[4]); err == nil && pid > 0 {
				return pid
			}
		}
	}
	return 0
}
