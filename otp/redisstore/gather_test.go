package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"otpgate/otp"
	"otpgate/otp/redisstore"
	"otpgate/otp/redisstore/redistest"
)

// TestCallersShareAPipeline has many callers claim at once while Redis hangs for a moment, some of whom leave:
// each of the others gets its own answer, and they need few commands' worth of round trips.
func TestCallersShareAPipeline(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}, Registerer: prometheus.NewRegistry()})
	const callers = 60
	for n := range callers {
		addDevice(t, s, fmt.Sprint("account-", n))
		if r := claimOne(background(t), s, useStep(fmt.Sprint("account-", n), int64(100+n%2), 1)); r.Answer != otp.Claimed {
			t.Fatalf("%+v", r)
		}
	}
	server.Freeze()
	var all sync.WaitGroup
	for n := range callers {
		all.Go(func() {
			ctx := background(t)
			if n%10 == 9 {
				short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
				if r := claimOne(short, s, useStep(fmt.Sprint("account-", n), 101, 2)); !errors.Is(r.Err, otp.ErrUnavailable) {
					t.Errorf("%d: %+v", n, r)
				}
				return
			}
			want := []otp.Answer{otp.Claimed, otp.Used}[n%2] // 101 was used by every second one
			if r := claimOne(ctx, s, useStep(fmt.Sprint("account-", n), 101, 2)); r.Answer != want {
				t.Errorf("%d: %+v, want %d", n, r, want)
			}
			if snap, err := s.Devices(ctx, fmt.Sprint("account-", n)); err != nil || len(snap.Devices) != 1 || snap.Devices[0].LastStep != 101 {
				t.Errorf("%d: %+v, %v", n, snap, err)
			}
		})
	}
	time.AfterFunc(300*time.Millisecond, server.Thaw)
	all.Wait()
}

// TestManyAccountsAreReadAtOnce: each as it is read alone, also one that is not there.
func TestManyAccountsAreReadAtOnce(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}})
	var accounts []string
	for n := range 20 {
		account := fmt.Sprint("account-", n)
		if accounts = append(accounts, account); n != 7 {
			addDevice(t, s, account)
		}
	}
	got, errs := s.AllDevices(background(t), accounts)
	for i, account := range accounts {
		want, err := s.Devices(background(t), account)
		if err != nil || errs[i] != nil || !reflect.DeepEqual(got[i], want) {
			t.Errorf("%s: %+v, %v; alone %+v, %v", account, got[i], errs[i], want, err)
		}
	}
	server.Stop()
	_, errs = s.AllDevices(background(t), accounts)
	for i, err := range errs {
		if !errors.Is(err, otp.ErrUnavailable) {
			t.Errorf("%d: %v", i, err)
		}
	}
}
