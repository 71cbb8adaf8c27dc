package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"otpgate/configs"
)

// rootsFrom reads the authorities of a PEM file; nil, for the system's, without a file.
func rootsFrom(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return pool, nil
}

// certificateFiles is a certificate that is read again when its files change, so that a renewal
// needs no restart. While the new files cannot be read, or do not fit together, the old certificate stays, and the log and
// a gauge tell. A new key that is open to others is used, because the old certificate ends; the log tells.
type certificateFiles struct {
	certificate, key string
	logger           *slog.Logger

	mu      sync.Mutex
	loaded  *tls.Certificate
	changed [2]time.Time // of what is loaded
	refused [2]time.Time // of what was read last, if that is no good
	wrong   error        // about what was read last
}

func (f *certificateFiles) get() (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var changed [2]time.Time
	var mode os.FileMode // of the key, which is the last
	for i, name := range []string{f.certificate, f.key} {
		info, err := os.Stat(name)
		if err != nil {
			return f.refuse(err, [2]time.Time{})
		}
		changed[i], mode = info.ModTime(), info.Mode()
	}
	if f.loaded != nil && changed == f.changed {
		f.wrong = nil
		return f.loaded, nil
	}
	c, err := tls.LoadX509KeyPair(f.certificate, f.key)
	if err != nil {
		return f.refuse(err, changed)
	}
	if f.loaded != nil && configs.Exposed(mode) { // configs has looked at the first one
		f.logger.Warn("others can read or change the key of the new certificate, which is in use", "key", f.key,
			"mode", fmt.Sprintf("%04o", mode.Perm()), "hint", "chmod 600 it, and let what renews it do so; the next start would refuse it")
	}
	f.loaded, f.changed, f.wrong = &c, changed, nil
	return f.loaded, nil
}

// refuse keeps what there was, and says so once for each new pair of files.
func (f *certificateFiles) refuse(err error, changed [2]time.Time) (*tls.Certificate, error) {
	if f.loaded == nil {
		return nil, err
	}
	if f.wrong == nil || changed != f.refused {
		f.logger.Error("the new certificate cannot be used: the old one stays in force", "certificate", f.certificate, "key", f.key,
			"error", err, "until", f.loaded.Leaf.NotAfter)
	}
	f.refused, f.wrong = changed, err
	return f.loaded, nil
}

// stale reports whether the files cannot be used and the certificate is not theirs.
func (f *certificateFiles) stale() bool {
	_, _ = f.get() // which looks at them
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wrong != nil
}

// authorityFile are the authorities of clients' certificates, in a file that is read again when it
// changes. While the new file is no good, the old authorities stay, and the log and a gauge tell.
type authorityFile struct {
	file   string
	logger *slog.Logger // nil: nothing is logged

	mu     sync.Mutex
	loaded *x509.CertPool
	stamp  fileStamp // of what was read last, good or not
	wrong  error     // about what was read last
}

// fileStamp is what tells a file from what it was before.
type fileStamp struct {
	changed time.Time
	size    int64
}

// get returns the authorities: the same pool as long as nothing changed. It returns an error only
// when there has never been a good file.
func (f *authorityFile) get() (*x509.CertPool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.file)
	if err != nil {
		return f.refuse(err, fileStamp{})
	}
	stamp := fileStamp{info.ModTime(), info.Size()}
	if stamp == f.stamp {
		return f.last()
	}
	data, err := os.ReadFile(f.file)
	if err != nil {
		return f.refuse(err, fileStamp{}) // whose rights may change without a new stamp
	}
	pool, err := configs.ClientAuthorities(data)
	if err != nil {
		return f.refuse(fmt.Errorf("%s: %w", f.file, err), stamp)
	}
	if f.loaded != nil && f.logger != nil {
		f.logger.Info("the authorities of clients were read again", "file", f.file)
	}
	f.loaded, f.stamp, f.wrong = pool, stamp, nil
	return pool, nil
}

// refuse keeps what there was, and says so once for each new file.
func (f *authorityFile) refuse(err error, stamp fileStamp) (*x509.CertPool, error) {
	if f.loaded != nil && f.logger != nil && (f.wrong == nil || stamp != f.stamp) {
		f.logger.Error("the new authorities of clients cannot be used: the old ones stay in force", "file", f.file, "error", err)
	}
	f.stamp, f.wrong = stamp, err
	return f.last()
}

func (f *authorityFile) last() (*x509.CertPool, error) {
	if f.loaded != nil {
		return f.loaded, nil
	}
	return nil, f.wrong
}

// stale reports whether the old authorities are in force because the file is no good.
func (f *authorityFile) stale() bool {
	_, _ = f.get()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wrong != nil
}
