package operator_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"otpgate/directory"
	"otpgate/enroll/operator"
)

func TestAccountIsShown(t *testing.T) {
	open := operator.Session{
		Client: "vpn", NAS: "fw1", ID: "81a0", Station: "aa-bb", Address: "10.0.0.9", Since: noon(), Updated: noon(), In: 1 << 40, Out: 7, Stale: true,
	}
	w, ctx := start(t, 0, func(o *operator.Options) {
		o.Sessions = func(_ context.Context, account string) ([]operator.Session, error) {
			if account != alice {
				return nil, errors.New("whose sessions?")
			}
			return []operator.Session{open}, nil
		}
	}), context.Background()
	added, err := w.client.AddDevice(ctx, operator.NewDevice{Name: "alice", Label: "token"})
	if err != nil {
		t.Fatal(err)
	}
	v, err := w.client.Account(ctx, "alice@corp.example")
	want := operator.AccountView{
		ID: alice, Directory: "corp", DN: "cn=1,dc=corp,dc=example", Name: "alice", FullName: "alice", Mail: "alice@corp.example",
		Groups: []operator.Group{}, Devices: []operator.Device{added.Device}, Sessions: []operator.Session{open},
	}
	if err != nil || !reflect.DeepEqual(v, want) {
		t.Errorf("%+v, %v\nwant %+v", v, err, want)
	}
	all := w.events()
	if e := all[len(all)-1]; e.Action != "account_shown" || e.Account != alice || e.Name != "alice" {
		t.Errorf("on record: %+v", e)
	}
	_, err = w.client.Account(ctx, "p0")
	wants(t, "nobody", err, "no such account: p0")
}

// belongs puts an account into a group, and disables it.
type belongs struct{ operator.Accounts }

func (b belongs) Find(ctx context.Context, name string, allowed []string) (*directory.Account, error) {
	a, err := b.Accounts.Find(ctx, name, allowed)
	if err != nil {
		return nil, err
	}
	changed := *a
	changed.Disabled, changed.Groups = true, []directory.Group{{Name: "staff", DN: "cn=staff,dc=corp,dc=example"}}
	return &changed, nil
}

func TestAccountIsShownWithoutSessionsAndDevices(t *testing.T) {
	w, ctx := start(t, 0, func(o *operator.Options) { o.Accounts = belongs{o.Accounts} }), context.Background()
	v, err := w.client.Account(ctx, "alice")
	if err != nil || v.Sessions == nil || v.Devices == nil || len(v.Sessions)+len(v.Devices) != 0 || !v.Disabled ||
		len(v.Groups) != 1 || v.Groups[0] != (operator.Group{Name: "staff", DN: "cn=staff,dc=corp,dc=example"}) {
		t.Errorf("%+v, %v", v, err)
	}
}

// Half a view would look like a whole one.
func TestAccountIsNotShownInPart(t *testing.T) {
	w, ctx := start(t, 0, func(o *operator.Options) {
		o.Sessions = func(context.Context, string) ([]operator.Session, error) { return nil, errors.New("unreadable") }
	}), context.Background()
	_, err := w.client.Account(ctx, "alice")
	wants(t, "sessions", err, "unreadable")
	_ = w.store.Close()
	_, err = w.client.Account(ctx, "alice")
	wants(t, "devices", err, "store cannot be asked")
	if all := w.events(); len(all) != 4 || !strings.HasPrefix(all[3].Detail, "not done: ") {
		t.Errorf("on record: %+v", all)
	}
}

func TestStatusTellsOfClients(t *testing.T) {
	want := []operator.ClientStatus{
		{Name: "vpn", Policy: "learn", Sentence: "seen in 7 of 7 packets", Signed: 7, Total: 7, Since: noon(), Proven: true, CurrentSecret: 5, PreviousSecret: 2, PreviousSecretUsed: noon()},
		{Name: "quiet", Policy: "required"},
	}
	w := start(t, 0, func(o *operator.Options) {
		o.Status = func(context.Context) operator.Status { return operator.Status{Clients: want} }
	})
	s, err := w.client.Status(context.Background())
	if err != nil || !reflect.DeepEqual(s.Clients, want) {
		t.Errorf("%+v, %v", s.Clients, err)
	}
}
