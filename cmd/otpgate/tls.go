package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"time"
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
// needs no restart. While the new files do not fit together, the old certificate stays.
type certificateFiles struct {
	certificate, key string

	mu      sync.Mutex
	loaded  *tls.Certificate
	changed [2]time.Time
}

func (f *certificateFiles) get() (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var changed [2]time.Time
	for i, name := range []string{f.certificate, f.key} {
		info, err := os.Stat(name)
		if err != nil {
			return f.orLoaded(err)
		}
		changed[i] = info.ModTime()
	}
	if f.loaded != nil && changed == f.changed {
		return f.loaded, nil
	}
	c, err := tls.LoadX509KeyPair(f.certificate, f.key)
	if err != nil {
		return f.orLoaded(err)
	}
	f.loaded, f.changed = &c, changed
	return f.loaded, nil
}

func (f *certificateFiles) orLoaded(err error) (*tls.Certificate, error) {
	if f.loaded != nil {
		return f.loaded, nil
	}
	return nil, err
}
