package operator_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/directory"
	"otpgate/enroll"
	"otpgate/enroll/operator"
	"otpgate/otp"
	"otpgate/otp/audit"
	"otpgate/otp/boltstore"
)

func TestDevicesComeAndGo(t *testing.T) {
	w, ctx := start(t, 0, nil), context.Background()
	added, err := w.client.AddDevice(ctx, operator.NewDevice{Name: "alice@corp.example", Label: "token", Algorithm: "SHA256", Digits: 8, Period: 30})
	if err != nil {
		t.Fatal(err)
	}
	if added.Account != alice || added.Name != "alice" || added.Digits != 8 || added.Period != 30 || added.Algorithm != "SHA256" ||
		!added.Created.Equal(noon()) || added.LastUsed != nil || !strings.HasPrefix(added.URI, "otpauth://totp/Example:alice?") {
		t.Errorf("%+v", added)
	}
	list, err := w.client.ListDevices(ctx, "alice")
	if err != nil || len(list) != 1 || list[0] != added.Device {
		t.Errorf("%+v, %v", list, err)
	}
	gone, err := w.client.RevokeDevice(ctx, "alice", "token")
	if err != nil || gone != added.Device || w.count(alice) != 0 {
		t.Errorf("%+v, %v", gone, err)
	}
	var actions []string
	for _, e := range w.events() {
		actions = append(actions, e.Action)
		if e.Kind != audit.Operator || e.Account != alice || e.Name != "alice" || !strings.HasPrefix(e.Actor, "uid ") || !e.Time.Equal(noon()) {
			t.Errorf("on record: %+v", e)
		}
	}
	if got := strings.Join(actions, " "); got != "device_added devices_listed device_revoked" {
		t.Errorf("on record: %s", got)
	}
	_, seed, _ := strings.Cut(added.URI, "secret=")
	seed, _, _ = strings.Cut(seed, "&")
	if on := fmt.Sprint(w.events()) + w.logged.String(); seed == "" || strings.Contains(on, seed) {
		t.Error("the seed is on record, or in the log")
	}
}

func TestWhichDeviceIsMeant(t *testing.T) {
	w, ctx := start(t, 0, nil), context.Background()
	var ids []string
	for _, label := range []string{"phone", "phone", ""} {
		a, err := w.client.AddDevice(ctx, operator.NewDevice{Name: "alice", Label: label})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, a.ID)
	}
	_, err := w.client.RevokeDevice(ctx, "alice", "phone")
	wants(t, "two of that name", err, "2 devices")
	_, err = w.client.RevokeDevice(ctx, "alice", "tablet")
	wants(t, "none of that name", err, `no device "tablet"`)
	_, err = w.client.RevokeDevice(ctx, "alice", "")
	wants(t, "no name", err, "device")
	if n := w.count(alice); n != 3 {
		t.Fatalf("%d devices", n)
	}
	_, err = w.client.AddDevice(ctx, operator.NewDevice{Name: "alice"})
	wants(t, "a fourth", err, "as many devices")
	if d, err := w.client.RevokeDevice(ctx, "alice", ids[1]); err != nil || d.ID != ids[1] || w.count(alice) != 2 {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestWhatCannotBeAdded(t *testing.T) {
	w, ctx := start(t, 0, nil), context.Background()
	for what, n := range map[string]operator.NewDevice{
		"algorithm": {Name: "alice", Algorithm: "MD5"}, "digits": {Name: "alice", Digits: 5}, "many digits": {Name: "alice", Digits: 11},
		"period": {Name: "alice", Period: -1}, "long period": {Name: "alice", Period: 1 << 62},
		"label": {Name: "alice", Label: strings.Repeat("x", 65)}, "control": {Name: "alice", Label: "a\nb"}, "right to left": {Name: "alice", Label: "a\u202eb"},
		"nobody": {Name: "nobody"}, "empty": {}, "name": {Name: "a\x00b"}, "twins": {Name: "twin"},
	} {
		if _, err := w.client.AddDevice(ctx, n); err == nil {
			t.Errorf("%s: added", what)
		} else {
			wants(t, what, err, "")
		}
	}
	if n := w.count(alice); n != 0 {
		t.Errorf("%d devices", n)
	}
	last := map[string]string{} // by device
	for _, e := range w.events() {
		last[e.Device] = e.Detail
	}
	for device, detail := range last {
		if !strings.HasPrefix(detail, "not done: ") {
			t.Errorf("of %s, which was not added, the last on record is %q", device, detail)
		}
	}
}

func TestNamesThatFindNobody(t *testing.T) {
	w, ctx := start(t, 0, nil), context.Background()
	_, err := w.client.ListDevices(ctx, "nobody")
	wants(t, "nobody", err, "no such account: nobody")
	_, err = w.client.ListDevices(ctx, "twin")
	wants(t, "twins", err, "more than one account is called twin")
	_, err = w.client.ListDevices(ctx, "")
	wants(t, "empty", err, "not a name")
	_, err = w.client.Invite(ctx, "nobody")
	wants(t, "invite", err, "no such account: nobody")
	_, err = w.client.RevokeDevice(ctx, "nobody", "x")
	wants(t, "revoke", err, "no such account: nobody")
}

func TestInvite(t *testing.T) {
	w := start(t, 0, nil)
	i, err := w.client.Invite(context.Background(), "alice")
	if err != nil || i.Code != "ABCDE-FGHJK" || i.Name != "alice" {
		t.Errorf("%+v, %v", i, err)
	}
	if on := fmt.Sprint(w.events()) + w.logged.String(); strings.Contains(on, i.Code) || !strings.Contains(on, "invited") {
		t.Errorf("on record: %s", on)
	}
	w = start(t, 0, func(o *operator.Options) { o.Invite = nil })
	_, err = w.client.Invite(context.Background(), "alice")
	wants(t, "no enrollment", err, "no enrollment")
}

// TestRequestsThatOurClientNeverSends: another version, or somebody with curl.
func TestRequestsThatOurClientNeverSends(t *testing.T) {
	w := start(t, 0, nil)
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/unknown", "", 404}, {"GET", "/", "", 404}, {"POST", "/unlock", "{}", 404}, {"PUT", "/devices", "{}", 405}, {"POST", "/status", "{}", 405},
		{"POST", "/devices", "", 400}, {"POST", "/devices", "[]", 400}, {"POST", "/devices", "{", 400}, {"POST", "/devices", `{"name":1}`, 400},
		{"POST", "/devices", `{"name":"alice","seed":"x"}`, 400}, {"POST", "/devices", `{"name":"` + strings.Repeat("x", 200<<10) + `"}`, 400},
		{"POST", "/devices", `{"name":"` + strings.Repeat("x", 8<<20) + `"}`, 400}, // which is answered while it is still written
		{"POST", "/invitations", strings.Repeat("[", 200<<10), 400}, {"POST", "/invitations", "\xff", 400},
		{"GET", "/audit?last=x", "", 400}, {"GET", "/audit?since=yesterday", "", 400}, {"GET", "/audit?until=1", "", 400},
	} {
		res := w.raw(c.method, c.path, c.body)
		if res.StatusCode != c.status {
			t.Errorf("%s %s %.20q: %d, want %d", c.method, c.path, c.body, res.StatusCode, c.status)
		}
		var e operator.Error
		if err := json.NewDecoder(res.Body).Decode(&e); c.status == 400 && (err != nil || e.Fact == "" || e.Hint == "") {
			t.Errorf("%s %s: %+v, %v", c.method, c.path, e, err)
		}
	}
	if w.count(alice) != 0 || len(w.events()) != 0 {
		t.Errorf("something was done: %v", w.events())
	}
}

func TestStatus(t *testing.T) {
	w := start(t, 0, nil)
	s, err := w.client.Status(context.Background())
	if err != nil || s.Version != "v1" || len(s.Checks) != 1 || !s.Started.Equal(noon()) {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestAuditTrail(t *testing.T) {
	w, ctx := start(t, 0, nil), context.Background()
	for _, name := range []string{"alice", "bob"} {
		if err := w.log.Record(ctx, audit.Event{Time: noon(), Kind: audit.Login, Action: "access", Name: name, Decision: "reject", Reason: otp.ReasonCodeWrong}); err != nil {
			t.Fatal(err)
		}
	}
	read := func(f audit.Filter) (names []string) {
		t.Helper()
		if err := w.client.Audit(ctx, f, false, func(e audit.Event) error { names = append(names, e.Name); return nil }); err != nil {
			t.Fatal(err)
		}
		return names
	}
	filter := audit.Filter{Kind: audit.Login, Name: "alice", Decision: "reject", Reason: otp.ReasonCodeWrong, Since: noon().Add(-time.Second), Until: noon().Add(time.Second)}
	if got := read(filter); len(got) != 1 || got[0] != "alice" {
		t.Errorf("alice: %v", got)
	}
	if got := read(audit.Filter{Client: "another"}); len(got) != 0 {
		t.Errorf("another client: %v", got)
	}
	if got := read(audit.Filter{Kind: audit.Login, Last: 1}); len(got) != 1 || got[0] != "bob" {
		t.Errorf("the last one: %v", got)
	}
	stop := errors.New("enough")
	if err := w.client.Audit(ctx, audit.Filter{}, false, func(audit.Event) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
	reads := 0
	for _, e := range w.events() {
		if e.Action == "audit_read" {
			reads++
		}
	}
	if reads != 4 {
		t.Errorf("%d readings on record", reads)
	}
}

func TestAuditTrailIsFollowed(t *testing.T) {
	w := start(t, 0, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	seen, ended := make(chan audit.Event, 10), make(chan error, 1)
	go func() {
		ended <- w.client.Audit(ctx, audit.Filter{}, true, func(e audit.Event) error { seen <- e; return nil })
	}()
	if e := <-seen; e.Action != "audit_read" {
		t.Errorf("%+v", e)
	}
	if _, err := w.client.AddDevice(ctx, operator.NewDevice{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	if e := <-seen; e.Action != "device_added" {
		t.Errorf("%+v", e)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// brokenTrail keeps nothing.
type brokenTrail struct{}

func (brokenTrail) Record(context.Context, ...audit.Event) error { return errors.New("disk full") }
func (brokenTrail) Read(context.Context, audit.Filter, bool, func(), func(audit.Event) error) error {
	return errors.New("disk broken")
}

func TestWhatCannotBePutOnRecordIsNotDone(t *testing.T) {
	invited := 0
	w, ctx := start(t, 0, func(o *operator.Options) {
		o.Trail = brokenTrail{}
		invite := o.Invite
		o.Invite = func(ctx context.Context, a *directory.Account) (enroll.Invitation, error) {
			invited++
			return invite(ctx, a)
		}
	}), context.Background()
	_, err := w.client.AddDevice(ctx, operator.NewDevice{Name: "alice"})
	wants(t, "add", err, "nothing was done")
	_, err = w.client.Invite(ctx, "alice")
	wants(t, "invite", err, "nothing was done")
	_, err = w.client.ListDevices(ctx, "alice")
	wants(t, "list", err, "nothing was done")
	_, err = w.client.ImportDevices(ctx, strings.NewReader("name,seed_base32,algorithm,digits,period,label\nalice,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,,,,\n"), nil, nil)
	wants(t, "import", err, "nothing was done")
	if devices, err := w.devices.List(ctx, alice); err != nil || len(devices) != 0 || invited != 0 {
		t.Errorf("%d devices, %d invitations, %v", len(devices), invited, err)
	}
	// But a lost phone does not wait for a disk.
	d, _, err := w.devices.Add(ctx, otp.NewDevice{Account: alice})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.RevokeDevice(ctx, "alice", d.ID); err != nil {
		t.Error(err)
	}
	if devices, err := w.devices.List(ctx, alice); err != nil || len(devices) != 0 {
		t.Errorf("%d devices, %v", len(devices), err)
	}
	err = w.client.Audit(ctx, audit.Filter{}, false, func(audit.Event) error { return nil })
	wants(t, "audit", err, "cannot be read")
}

// brokenAccounts is a directory that cannot be asked, or panics.
type brokenAccounts struct{ panics bool }

func (b brokenAccounts) Find(context.Context, string, []string) (*directory.Account, error) {
	if b.panics {
		panic("out of order")
	}
	return nil, directory.ErrUnavailable
}
func (b brokenAccounts) IDs(_ context.Context, names []string) ([]string, []error) {
	if b.panics {
		panic("out of order")
	}
	errs := make([]error, len(names))
	for i := range errs {
		errs[i] = directory.ErrUnavailable
	}
	return make([]string, len(names)), errs
}
func (b brokenAccounts) FindMail(context.Context, string) (*directory.Account, error) {
	return nil, directory.ErrUnavailable
}

func TestDirectoryGone(t *testing.T) {
	w, ctx := start(t, 0, func(o *operator.Options) { o.Accounts = brokenAccounts{} }), context.Background()
	_, err := w.client.ListDevices(ctx, "alice@corp.example")
	wants(t, "list", err, "directory cannot be asked")
	_, err = w.client.ImportDevices(ctx, strings.NewReader(header+"alice,"+seedOf(1)+",,,,\n"), nil, nil)
	wants(t, "import", err, "directory cannot be asked")
}

// halfAccounts answers what it is asked by name and by mail address with an error each, unless that is nil.
type halfAccounts struct {
	operator.Accounts
	name, mail error
}

func (h halfAccounts) Find(ctx context.Context, name string, allowed []string) (*directory.Account, error) {
	if h.name != nil {
		return nil, fmt.Errorf("directory: %w", h.name)
	}
	return h.Accounts.Find(ctx, name, allowed)
}

func (h halfAccounts) FindMail(ctx context.Context, mail string) (*directory.Account, error) {
	if h.mail != nil {
		return nil, fmt.Errorf("directory: %w", h.mail)
	}
	return h.Accounts.FindMail(ctx, mail)
}

func (h halfAccounts) IDs(ctx context.Context, names []string) ([]string, []error) {
	errs := make([]error, len(names))
	for i := range errs {
		errs[i] = h.name
	}
	return make([]string, len(names)), errs
}

// TestNobodyElseIsMeant: a name of which the directory cannot tell whose it is may be somebody's, and the mail
// address of somebody else.
func TestNobodyElseIsMeant(t *testing.T) {
	const theirs = "alice@corp.example"
	for what, c := range map[string]struct {
		name, mail error
		fact       string
	}{
		"the name cannot be asked for":    {directory.ErrUnavailable, nil, "the directory cannot be asked"},
		"the name is that of two":         {directory.ErrAmbiguous, nil, "more than one account"},
		"the address cannot be asked for": {directory.ErrNotFound, directory.ErrUnavailable, "the directory cannot be asked"},
	} {
		w, ctx := start(t, 0, func(o *operator.Options) { o.Accounts = halfAccounts{o.Accounts, c.name, c.mail} }), context.Background()
		d, _, err := w.devices.Add(ctx, otp.NewDevice{Account: alice, Label: "hers"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.client.AddDevice(ctx, operator.NewDevice{Name: theirs})
		wants(t, what+": add", err, c.fact)
		_, err = w.client.Invite(ctx, theirs)
		wants(t, what+": invite", err, c.fact)
		_, err = w.client.RevokeDevice(ctx, theirs, "hers")
		wants(t, what+": revoke", err, c.fact)
		if list, err := w.devices.List(ctx, alice); err != nil || len(list) != 1 || list[0].ID != d.ID || len(w.events()) != 0 {
			t.Errorf("%s: %+v, %v; on record: %+v", what, list, err, w.events())
		}
		r, _ := w.client.ImportDevices(ctx, strings.NewReader(header+theirs+","+seedOf(1)+",,,,\n"), nil, nil)
		if r.Added != 0 || w.count(alice) != 1 {
			t.Errorf("%s: imported: %+v", what, r)
		}
	}
	// A name that nobody can have is an address at most.
	w := start(t, 0, func(o *operator.Options) { o.Accounts = halfAccounts{o.Accounts, directory.ErrNameInvalid, nil} })
	if d, err := w.client.AddDevice(context.Background(), operator.NewDevice{Name: theirs}); err != nil || d.Account != alice {
		t.Errorf("%+v, %v", d, err)
	}
}

// unbound is a store that takes devices, and cannot say whose it is: in a cluster another master has that.
type unbound struct {
	*boltstore.Store
	answers atomic.Bool
}

func (u *unbound) Bind(ctx context.Context, fingerprint string) error {
	if !u.answers.Load() {
		return fmt.Errorf("no master: %w", otp.ErrUnavailable)
	}
	return u.Store.Bind(ctx, fingerprint)
}

func (u *unbound) count(t *testing.T, account string) int {
	t.Helper()
	stored, err := u.Devices(context.Background(), account)
	if err != nil {
		t.Fatal(err)
	}
	return len(stored.Devices)
}

// startUnbound starts a world whose store is not known to be its own until it answers.
func startUnbound(t *testing.T, accounts int, change func(*operator.Options)) (*world, *unbound) {
	t.Helper()
	store, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "store.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	u := &unbound{Store: store}
	return start(t, accounts, func(o *operator.Options) {
		if o.Devices, err = otp.NewDevices(otp.DevicesOptions{
			Store: u, Keys: o.Keys.(otp.Keys), Issuer: "Example", Algorithm: otp.SHA1, Digits: 6, Period: time.Minute, MaxDevices: 3, Now: noon,
		}); err != nil {
			t.Fatal(err)
		}
		o.Bound = func() error {
			if u.Bind(context.Background(), "this keyset") == nil {
				return nil
			}
			return &operator.Error{Fact: "it is not known whose the store is", Hint: "wait until it is"}
		}
		change(o)
	}), u
}

// TestNothingIsAddedToAStoreThatMayBeAnothers, until it has told whose it is; a lost phone does not wait for that.
func TestNothingIsAddedToAStoreThatMayBeAnothers(t *testing.T) {
	invited := 0
	w, u := startUnbound(t, 0, func(o *operator.Options) {
		o.Invite = func(context.Context, *directory.Account) (enroll.Invitation, error) {
			invited++
			return enroll.Invitation{}, nil
		}
	})
	ctx, csv := context.Background(), header+"alice,"+seedOf(1)+",,,,\n"
	_, err := w.client.AddDevice(ctx, operator.NewDevice{Name: "alice"})
	wants(t, "add", err, "not known whose the store is")
	_, err = w.client.Invite(ctx, "alice")
	wants(t, "invite", err, "not known whose the store is")
	_, err = w.client.ImportDevices(ctx, strings.NewReader(csv), nil, nil)
	wants(t, "import", err, "not known whose the store is")
	if n := u.count(t, alice); n != 0 || invited != 0 || len(w.events()) != 0 {
		t.Errorf("%d devices, %d invitations; on record: %+v", n, invited, w.events())
	}
	u.answers.Store(true)
	if _, err = w.client.AddDevice(ctx, operator.NewDevice{Name: "alice", Label: "token"}); err != nil {
		t.Error(err)
	}
	if _, err = w.client.ImportDevices(ctx, strings.NewReader(csv), nil, nil); err != nil || u.count(t, alice) != 2 {
		t.Errorf("%d devices, %v", u.count(t, alice), err)
	}
	u.answers.Store(false)
	if _, err = w.client.RevokeDevice(ctx, "alice", "token"); err != nil || u.count(t, alice) != 1 {
		t.Errorf("%d devices, %v", u.count(t, alice), err)
	}
}

// TestEachBatchAsksWhoseTheStoreIs: an import is as long as its file.
func TestEachBatchAsksWhoseTheStoreIs(t *testing.T) {
	asked := make(chan struct{}, 10)
	w, u := startUnbound(t, 1, func(o *operator.Options) {
		bound := o.Bound
		o.Bound = func() error {
			err := bound()
			asked <- struct{}{}
			return err
		}
	})
	u.answers.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	in, out := io.Pipe()
	go func() {
		_, _ = io.WriteString(out, header+"p0,"+seedOf(1)+",,,,\n")
		select {
		case <-asked: // the import has begun, and no batch is full
		case <-ctx.Done():
		}
		u.answers.Store(false)
		_ = out.Close()
	}()
	_, err := w.client.ImportDevices(ctx, in, nil, nil)
	wants(t, "import", err, "not known whose the store is")
	if n := u.count(t, "0c000000-0000-4000-8000-000000001000"); n != 0 {
		t.Errorf("%d devices", n)
	}
}

func TestStoreGone(t *testing.T) {
	w, ctx := start(t, 0, nil), context.Background()
	_ = w.store.Close()
	_, err := w.client.ListDevices(ctx, "alice")
	wants(t, "list", err, "store cannot be asked")
	_, err = w.client.AddDevice(ctx, operator.NewDevice{Name: "alice"})
	wants(t, "add", err, "store cannot be asked")
	_, err = w.client.ImportDevices(ctx, strings.NewReader(header+"alice,"+seedOf(1)+",,,,\n"), nil, nil)
	wants(t, "import", err, "store cannot be asked")
}

// TestAPanicIsOneRequestsProblem: the node goes on.
func TestAPanicIsOneRequestsProblem(t *testing.T) {
	w, ctx := start(t, 0, func(o *operator.Options) { o.Accounts = brokenAccounts{panics: true} }), context.Background()
	_, err := w.client.ListDevices(ctx, "alice")
	wants(t, "list", err, "a mistake in otpgate")
	_, err = w.client.ImportDevices(ctx, strings.NewReader(header+"alice,"+seedOf(1)+",,,,\n"), nil, nil)
	wants(t, "import", err, "a mistake in otpgate")
	if log := w.logged.String(); strings.Count(log, `"msg":"panic"`) != 2 || strings.Contains(log, "out of order") {
		t.Errorf("log: %s", log)
	}
	if _, err := w.client.Status(ctx); err != nil {
		t.Error(err)
	}
}

func TestAnotherVersionsAnswer(t *testing.T) {
	w := start(t, 0, nil)
	res := w.raw("GET", "/unknown", "")
	if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusNotFound || strings.Contains(string(body), "{") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}
