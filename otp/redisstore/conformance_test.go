package redisstore_test

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/otp"
	"otpgate/otp/redisstore"
	"otpgate/otp/redisstore/redistest"
	"otpgate/otp/storetest"
)

func TestMain(m *testing.M) {
	redisstore.SilenceLibrary()
	os.Exit(m.Run())
}

// patient is a timeout for a machine that is busy with other tests.
const patient = 10 * time.Second

// open opens a store that is closed with the test.
func open(t testing.TB, o redisstore.Options) *redisstore.Store {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = patient
	}
	if o.Now == nil {
		o.Now = atNoon
	}
	s, err := redisstore.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// firstVersion is that of an account which was added at noon, as by the stores of these tests.
var firstVersion = uint64(noon.Unix())

func atNoon() time.Time { return noon }

// opened opens stores on these servers: empty each with a key prefix of its own, again with that of the last one, as
// another node does.
func opened(addresses ...string) (empty, again storetest.Open) {
	var n atomic.Int32
	again = func(t *testing.T) otp.Store {
		t.Helper()
		return open(t, redisstore.Options{Addresses: addresses, KeyPrefix: fmt.Sprintf("test-%d:", n.Load())})
	}
	empty = func(t *testing.T) otp.Store {
		t.Helper()
		n.Add(1)
		return again(t)
	}
	return empty, again
}

func TestStore(t *testing.T) {
	server := redistest.Start(t)
	empty, again := opened(server.Addr)
	storetest.Run(t, empty)
	storetest.RunConcurrent(t, empty, again)
}

func TestStoreInCluster(t *testing.T) {
	var addresses []string
	for _, node := range redistest.StartCluster(t) {
		addresses = append(addresses, node.Addr)
	}
	empty, again := opened(addresses...)
	storetest.Run(t, empty)
	storetest.RunConcurrent(t, empty, again)
}

func TestStoreCrash(t *testing.T) {
	storetest.RunCrash(t, storetest.Crash{
		Start: func(t *testing.T) string { return redistest.Start(t).Addr },
		Open: func(addr string) (otp.Store, error) {
			return redisstore.Open(redisstore.Options{Addresses: strings.Fields(addr), Timeout: patient, Now: atNoon})
		},
		Shared: true,
		Rounds: 8,
	})
}

func TestServerCrash(t *testing.T) {
	server := redistest.Start(t)
	empty, _ := opened(server.Addr)
	storetest.RunPeerCrash(t, empty, storetest.Peer{Kill: server.Kill, Start: server.Start}, 4)
}
