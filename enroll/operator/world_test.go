package operator_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"otpgate/directory"
	"otpgate/enroll"
	"otpgate/enroll/operator"
	"otpgate/otp"
	"otpgate/otp/audit"
	"otpgate/otp/boltstore"
	"otpgate/otp/keyset"
)

const alice = "0c000000-0000-4000-8000-000000000001"

func noon() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }

// people is a directory of n accounts besides alice and her namesakes: p0, p1, …
func people(t testing.TB, n int) string {
	t.Helper()
	var b strings.Builder
	entry := func(uid, mail string, id int) {
		fmt.Fprintf(&b, "dn: cn=%[3]d,dc=corp,dc=example\nobjectClass: inetOrgPerson\nuid: %[1]s\ncn: %[1]s\nsn: %[1]s\nmail: %[2]s\nentryUUID: 0c000000-0000-4000-8000-%012[3]d\n\n", uid, mail, id)
	}
	b.WriteString("dn: dc=corp,dc=example\nobjectClass: domain\ndc: corp\nentryUUID: 0c000000-0000-4000-8000-000000000000\n\n")
	entry("alice", "alice@corp.example", 1)
	entry("twin", "one@corp.example", 2)
	entry("twin", "two@corp.example", 3)
	for i := range n {
		entry(fmt.Sprintf("p%d", i), fmt.Sprintf("p%d@corp.example", i), 1000+i)
	}
	path := filepath.Join(t.TempDir(), "people.ldif")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// world is an operator's socket in front of a real directory, store, keyset and audit trail.
type world struct {
	t       testing.TB
	path    string
	server  *operator.Server
	client  *operator.Client
	store   *boltstore.Store
	devices *otp.Devices
	log     *audit.Log
	logged  *syncBuffer
}

// syncBuffer takes what several goroutines log.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start makes a world with some accounts; change may alter the options.
func start(t testing.TB, accounts int, change func(*operator.Options)) *world {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	w := &world{t: t, path: filepath.Join(dir, operator.SocketName), logged: &syncBuffer{}}
	keys, _, err := keyset.Open(filepath.Join(dir, "keys"))
	must(err)
	w.store, err = boltstore.Open(boltstore.Options{Path: filepath.Join(dir, "store.db")})
	must(err)
	t.Cleanup(func() { _ = w.store.Close() })
	w.devices, err = otp.NewDevices(otp.DevicesOptions{
		Store: w.store, Keys: keys, Issuer: "Example", Algorithm: otp.SHA1, Digits: 6, Period: time.Minute, MaxDevices: 3, Now: noon,
	})
	must(err)
	set, err := directory.New(directory.Options{Now: noon, Directories: []directory.Config{{
		Name: "corp", LDIF: people(t, accounts), BaseDN: "dc=corp,dc=example", Timeout: 10 * time.Second,
	}}})
	must(err)
	t.Cleanup(func() { _ = set.Close() })
	w.log, err = audit.Open(audit.Options{Dir: filepath.Join(dir), Required: true, Now: noon})
	must(err)
	t.Cleanup(func() { _ = w.log.Close(context.Background()) })
	o := operator.Options{
		Path: w.path, Accounts: set, Devices: w.devices, Keys: keys, Trail: w.log, Now: noon,
		Logger: slog.New(slog.NewJSONHandler(w.logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Status: func(context.Context) operator.Status {
			return operator.Status{Version: "v1", Started: noon(), Checks: []operator.Check{{Name: "store", State: "ok"}}}
		},
		Invite: func(_ context.Context, a *directory.Account) (enroll.Invitation, error) {
			if a.ID != alice {
				return enroll.Invitation{}, fmt.Errorf("enroll: %w", directory.ErrNotFound)
			}
			return enroll.Invitation{Account: alice, Name: "alice", Code: "ABCDE-FGHJK", Expires: noon()}, nil
		},
	}
	if change != nil {
		change(&o)
	}
	w.server, err = operator.New(o)
	must(err)
	served := make(chan error, 1)
	go func() { served <- w.server.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := errors.Join(w.server.Shutdown(ctx), <-served); err != nil {
			t.Error(err)
		}
	})
	w.client = operator.Dial(w.path)
	t.Cleanup(w.client.Close)
	return w
}

// raw sends what our own client never would.
func (w *world) raw(method, path, body string, headers ...string) *http.Response {
	w.t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", w.path)
	}}}
	req, err := http.NewRequest(method, "http://otpgate"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	octets, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(octets))
	return res
}

// events returns what is on record, oldest first.
func (w *world) events() []audit.Event {
	w.t.Helper()
	var all []audit.Event
	err := w.log.Read(context.Background(), audit.Filter{}, false, nil, func(e audit.Event) error { all = append(all, e); return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func (w *world) list(account string) []otp.Device {
	w.t.Helper()
	list, err := w.devices.List(context.Background(), account)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func (w *world) count(account string) int {
	w.t.Helper()
	return len(w.list(account))
}

// wants checks that an error is one for operators, and says something.
func wants(t testing.TB, what string, err error, fact string) {
	t.Helper()
	var e *operator.Error
	if !errors.As(err, &e) || !strings.Contains(e.Fact, fact) || e.Hint == "" {
		t.Errorf("%s: %v, want %q with a hint", what, err, fact)
	}
}
