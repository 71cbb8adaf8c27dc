package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"otpgate/configs"
	"otpgate/enroll/operator"
	"otpgate/otp"
	"otpgate/otp/boltstore"
	"otpgate/otp/redisstore"
)

// embeddedName is the embedded store's file in data_dir.
const embeddedName = "devices.db"

func openStore(cfg *configs.Config, log *slog.Logger, reg prometheus.Registerer, now func() time.Time) (otp.Store, error) {
	r := cfg.Store.Redis
	if r == nil {
		s, err := boltstore.Open(boltstore.Options{
			Path: filepath.Join(cfg.DataDir, embeddedName), Logger: log, Registerer: reg, Now: now,
			Remembered: cfg.KnownAccounts,
		})
		if hint := damageHint(err, fmt.Sprintf("%g minutes, or longer where devices have a longer period,", goodFor(cfg.OTP).Minutes())); hint != "" {
			err = withHint(err, "%s", hint)
		}
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	o := redisstore.Options{
		Addresses: r.Addresses, MasterName: r.MasterName, Username: r.Username, Password: r.Password.Reveal(),
		KeyPrefix: r.KeyPrefix, MinReplicas: r.MinReplicas, Now: now, Logger: log, Registerer: reg,
	}
	if r.TLS != nil {
		roots, err := rootsFrom(r.TLS.CAFile)
		if err != nil {
			return nil, withHint(err, "a file with certificates in PEM: %s", cfg.Where("store.redis.tls.ca_file"))
		}
		o.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return redisstore.Open(o)
}

const (
	bindTimeout = 2 * time.Second
	bindEvery   = time.Second
)

// bind makes sure that the store's seeds are sealed with this node's keyset, and then starts what
// lets people in. A store that does not answer is asked again until it does: a node starts without
// it, and recovers by itself. A store of another keyset ends the process.
func (n *node) bind(ctx context.Context, rt *runtime) error {
	err := n.bindOnce(ctx)
	switch {
	case err == nil:
		n.open()
		return nil
	case !errors.Is(err, otp.ErrUnavailable):
		return n.foreign(err)
	}
	n.log.Error("the store cannot be asked; logins are not answered until it can", "error", withWords(err))
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	n.life.onStop("waiting for the store", func(context.Context) error {
		cancel()
		<-ended
		return nil
	})
	go func() {
		defer close(ended)
		n.keepBinding(ctx)
	}()
	return nil
}

func (n *node) keepBinding(ctx context.Context) {
	tick := time.NewTicker(bindEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		switch err := n.bindOnce(ctx); {
		case err == nil:
			n.open()
			return
		case !errors.Is(err, otp.ErrUnavailable):
			n.life.fail(n.foreign(err))
			return
		}
	}
}

func (n *node) bindOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bindTimeout)
	defer cancel()
	return n.store.Bind(ctx, n.keys.Fingerprint())
}

func (n *node) foreign(err error) error {
	if !errors.Is(err, otp.ErrForeignKeyset) {
		return err
	}
	return withHint(fmt.Errorf("%w; this node's is %s", err, n.keys.Fingerprint()), "%s", foreignHint(n.cfg))
}

// mayAdd says to operators why nothing is added to the store yet: sealed with a keyset that is not the store's, a
// device would be there for good, and let nobody in.
func (n *node) mayAdd() error {
	if n.bound.Load() {
		return nil
	}
	return &operator.Error{
		Fact: "nothing was added, because the store has not told yet whether its keyset is this node's",
		Hint: "see otpgate status, and try again when the store is ready; or ask a node that is",
	}
}

// open starts what lets people in: the store is known to be ours.
func (n *node) open() {
	n.bound.Store(true)
	n.learn()
	server := n.radius.Load()
	n.life.run("radius", server.Serve)
	if n.enroll != nil {
		n.life.run("enrollment", n.enroll.Serve)
	}
	n.log.Info("answering", "radius", addresses(server.Addrs()), "radsec", addresses(server.StreamAddrs()), "keyset", n.keys.Fingerprint())
}
