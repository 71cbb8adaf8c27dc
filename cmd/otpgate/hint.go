package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"otpgate/cmd/internal/console"
	"otpgate/configs"
	"otpgate/enroll/operator"
	"otpgate/otp"
	"otpgate/otp/boltstore"
	"otpgate/otp/keyset"
	"otpgate/otp/redisstore"
)

// withHint is [console.WithHint], which is needed at every turn here.
func withHint(err error, format string, args ...any) error {
	return console.WithHint(err, format, args...)
}

// hintFor is the likely cause of an error and the next action: what was said about it where it was
// met, or else what its kind says. "" when there is nothing to say. Errors of packages state facts;
// hints are said here, so that there is one of them.
func hintFor(err error) string {
	if hint, ok := console.Hint(err); ok {
		return hint
	}
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &authority):
		return "name the authority that signed its certificate in ca_file, in PEM"
	case errors.As(err, &name):
		return "use the name that is in its certificate, in the file and in the name service"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew its certificate, and see that the clock here is right"
	case errors.As(err, &invalid):
		return "its certificate is not one for a server, or of an authority that may not sign it"
	}
	if hint := damageHint(err, ""); hint != "" {
		return hint
	}
	for _, kind := range []struct {
		is   error
		hint string
	}{
		{keyset.ErrExposed, "chmod 600 it, and find out who has read it: it opens every seed in the store"},
		{keyset.ErrDamaged, "restore it from a backup, or copy it from another node of this store"},
		{redisstore.ErrEvicts, "set maxmemory-policy noeviction in Redis: an evicted account would accept its used codes again"},
		{otp.ErrLocked, "one node uses an embedded store at a time: stop the other one, or give this one a data_dir of its own"},
		{syscall.ENOSPC, "free space on its file system"},
		{syscall.EROFS, "its file system is read-only: mount it to be written, or choose another folder"},
		{fs.ErrPermission, "run this as the user that the file belongs to, or let that user have it"},
	} {
		if errors.Is(err, kind.is) {
			return kind.hint
		}
	}
	return ""
}

// damageHint is what to do about an embedded store that is damaged, with how long codes of before are good if that is
// known; "" when it is not.
func damageHint(err error, good string) string {
	wait := strings.TrimSpace("wait "+good) + " until all codes of before are too old to be used again"
	switch {
	case errors.Is(err, boltstore.ErrNoJournal):
		return "put the journal back from the backup that the store is from; if it is lost, and with it all that logins have changed since it was last folded, " +
			wait + ", and start again with an empty file beside the store that has its name and .journal.lost"
	case errors.Is(err, boltstore.ErrDamaged):
		return "restore it from a backup, with the journal beside it, and " + wait +
			": what was used and revoked since is forgotten; without one, move it away, and everybody enrolls again"
	}
	return ""
}

// goodFor is how long a code may be good: every step of the window, for a phone whose clock is wrong by as much as is followed, to
// either side, because what was learned of it may be forgotten too. Imported devices may have longer periods.
func goodFor(c configs.OTP) time.Duration {
	return time.Duration(2*(c.Window+c.MaxDrift)+1) * c.Period
}

// writable is the hint for a data_dir that cannot be written, unless the error says more.
func writable(err error, cfg *configs.Config) error {
	if err == nil || hintFor(err) != "" && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return withHint(err, "data_dir must be a folder that the service may write to: %s", cfg.Where("data_dir"))
}

// socketInTheWay is the hint for an operator socket that cannot be made, unless the error says more.
func socketInTheWay(err error, cfg *configs.Config) error {
	switch {
	case errors.Is(err, operator.ErrRunning), errors.Is(err, syscall.EAGAIN): // one that is busy
		return withHint(err, "is another node running with the same data_dir? %s", cfg.Where("data_dir"))
	case hintFor(err) != "":
		return err
	}
	return withHint(err, "%s is the node's own: move away what is in its place in data_dir: %s", operator.SocketName, cfg.Where("data_dir"))
}

// keysetLost refuses to make a keyset beside an embedded store that is sealed with another one.
func keysetLost(cfg *configs.Config) error {
	if cfg.Store.Redis != nil || !absent(filepath.Join(cfg.DataDir, keyset.Name)) {
		return nil
	}
	store := filepath.Join(cfg.DataDir, embeddedName)
	whose, err := boltstore.Bound(store)
	if err != nil || whose == "" {
		return nil // whoever opens the store tells
	}
	return withHint(fmt.Errorf("%s is sealed with keyset %s, and there is no %s beside it", store, whose, keyset.Name), "%s", foreignHint(cfg))
}

// foreignHint says where the keyset of a store is to be found.
func foreignHint(cfg *configs.Config) string {
	file := filepath.Join(cfg.DataDir, keyset.Name)
	if cfg.Store.Redis == nil {
		return fmt.Sprintf("restore %s from the backup that belongs to %s", file, embeddedName)
	}
	return fmt.Sprintf("copy %s from a node that uses this store, with mode 0600, over %s here", keyset.Name, file)
}

// absent reports whether a file is known not to be there.
func absent(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}
