package bench

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"
)

// server is what is loaded.
type server struct {
	*process
	port int
}

// startFreeRADIUS starts FreeRADIUS with one of its configurations.
func (b *bench) startFreeRADIUS(ctx context.Context, configuration string, workers int) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if err := b.configure(configuration, "radiusd.conf", "PORT", fmt.Sprint(port), "WORKERS", fmt.Sprint(workers)); err != nil {
		return nil, err
	}
	p, err := b.start("freeradius", b.ServerCores, "freeradius", "-f", "-d", b.Dir, "-n", "radiusd", "-l", "stdout")
	if err != nil {
		return nil, err
	}
	return b.ready(ctx, &server{p, port}, "30s")
}

// ready waits until a server logs the last device in: so long it may take to read them all.
func (b *bench) ready(ctx context.Context, s *server, period string) (*server, error) {
	err := s.await(ctx, func() bool {
		err := b.once(ctx, b.Radload, "run", "--quiet", "--server", s.address(), "--secret", secret, "--master", master,
			"--count", fmt.Sprint(b.Accounts), "--first", fmt.Sprint(b.Accounts-1), "--period", period, "--outstanding", "1",
			"--logins", "1", "--timeout", "500ms", "--tries", "1", "--linger", "0s", "--max-lost", "0", "--message-authenticator", "optional",
			"--reuse", "refused")
		return err == nil
	})
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// startOtpgate starts a node. The first time with a store, the devices are imported.
func (b *bench) startOtpgate(ctx context.Context, c benchCase) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	metrics, err := freePort()
	if err != nil {
		return nil, err
	}
	data, store := b.path("data-"+c.store), "# store: left out, so devices are kept in data_dir"
	if c.store == "redis" {
		store = fmt.Sprintf("store: {redis: {addresses: [\"127.0.0.1:%d\"]}}", b.redisPort)
	}
	fresh := "1h"
	if c.search {
		fresh = "0s"
	}
	if err := b.configure("otpgate.yaml", "otpgate.yaml", "PORT", fmt.Sprint(port), "METRICS", fmt.Sprint(metrics), "DATA", data,
		"STORE", store, "FRESH", fresh); err != nil {
		return nil, err
	}
	_, statErr := os.Stat(data)
	p, err := b.start("otpgate", b.ServerCores, b.Otpgate, "serve", "--config", b.path("otpgate.yaml"))
	if err != nil {
		return nil, err
	}
	err = p.await(ctx, func() bool {
		answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", metrics))
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	if err == nil && statErr != nil {
		began := b.Now()
		err = b.once(ctx, b.Otpgate, "device", "import", "--csv", b.path("devices.csv"), "--config", b.path("otpgate.yaml"))
		b.say("  %d devices imported in %s", b.Accounts, b.Now().Sub(began).Round(time.Millisecond))
	}
	if err != nil {
		p.stop()
		return nil, err
	}
	return &server{p, port}, nil
}
