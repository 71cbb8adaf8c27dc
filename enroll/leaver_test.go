package enroll_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	"otpgate/directory"
	"otpgate/enroll"
)

// leaving is a directory whose people leave: from then on their accounts are disabled.
type leaving struct {
	enroll.Accounts
	left atomic.Bool
}

func (l *leaving) FindID(ctx context.Context, id string) (*directory.Account, error) {
	a, err := l.Accounts.FindID(ctx, id)
	if err != nil || !l.left.Load() {
		return a, err
	}
	b := *a
	b.Disabled = true
	return &b, nil
}

// TestWhoHasLeftOpensNoLink that was mailed before.
func TestWhoHasLeftOpensNoLink(t *testing.T) {
	var l *leaving
	w := start(t, func(_ *world, o *enroll.Options) {
		l = &leaving{Accounts: o.Accounts}
		o.Accounts = l
	})
	w.register("alice@corp.example", "hers", nil)
	token := w.link("alice@corp.example")
	l.left.Store(true)
	if status, answer := w.session(token); status != http.StatusForbidden || answer["type"] != "urn:otpgate:link-invalid" {
		t.Errorf("%d %v", status, answer["type"])
	}
	l.left.Store(false)
	if status, _ := w.session(token); status != http.StatusCreated {
		t.Errorf("back again: %d", status)
	}
}
