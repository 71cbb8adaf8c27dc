package radius

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/otp/audit"
	"otpgate/otp/keyset"
	"otpgate/radius/probe"
)

// yesStore has one device of each account, and claims whatever it is asked for.
type yesStore struct {
	otp.Store
	devices map[string]otp.Device
}

func (s *yesStore) Devices(_ context.Context, account string) (otp.Snapshot, error) {
	return otp.Snapshot{Account: account, Version: 1, Devices: []otp.Device{s.devices[account]}}, nil
}

func (s *yesStore) AddDevices(_ context.Context, devices []otp.Device, _ int) ([]error, error) {
	for _, d := range devices {
		s.devices[d.Account] = d
	}
	return make([]error, len(devices)), nil
}

func (s *yesStore) Claim(_ context.Context, claims []otp.Claim) []otp.Receipt {
	receipts := make([]otp.Receipt, len(claims))
	for i := range receipts {
		receipts[i].Answer = otp.Claimed
	}
	return receipts
}

// wholeWorld is a server with all of the parts that a node has, but for the store. It returns one login of each
// account, in a packet of the size that gateways send.
func wholeWorld(b testing.TB, accounts int) (*world, [][]byte) {
	dir := b.TempDir()
	var people strings.Builder
	for i := range accounts {
		fmt.Fprintf(&people, "dn: uid=user%06d,dc=bench\nobjectClass: inetOrgPerson\nuid: user%06d\ncn: u\nsn: u\nentryUUID: 00000000-0000-4000-8000-%012d\n\n", i, i, i)
	}
	file := filepath.Join(dir, "people.ldif")
	if err := os.WriteFile(file, []byte(people.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	keys, _, err := keyset.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	set, err := directory.New(directory.Options{
		Directories: []directory.Config{{Name: "corp", LDIF: file, BaseDN: "dc=bench", Fresh: time.Hour, Stale: 2 * time.Hour}}, Now: time.Now,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = set.Close() })
	store := &yesStore{devices: map[string]otp.Device{}}
	codes, err := otp.New(otp.Options{Store: store, Keys: keys, Window: 1, MaxDrift: 3, Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	devices, err := otp.NewDevices(otp.DevicesOptions{
		Store: store, Keys: keys, Issuer: "bench", Algorithm: otp.SHA1, Digits: 6, Period: otp.MaxPeriod, MaxDevices: 5,
		Forget: codes.Forget, Now: time.Now,
	})
	if err != nil {
		b.Fatal(err)
	}
	trail, err := audit.Open(audit.Options{Dir: dir, Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = trail.Close(context.Background()) })
	w := newWorld(b, func(o *Options, w *world) {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
		o.Accounts, o.Codes, o.Previews, o.Factors, o.Audit = set, codes, codes, codes, trail
	})
	var packets [][]byte
	for i := range accounts {
		name := fmt.Sprintf("user%06d", i)
		a, err := set.Find(b.Context(), name, nil)
		if err != nil {
			b.Fatal(err)
		}
		packets = append(packets, wholeLogin(b, devices, codes, a.ID, name))
	}
	return w, packets
}

func wholeLogin(b testing.TB, devices *otp.Devices, codes *otp.Verifier, account, name string) []byte {
	seed := []byte("0123456789abcdefghij")
	_, _, err := devices.Add(b.Context(), otp.NewDevice{
		Account: account, Label: "phone", Seed: seed, Algorithm: otp.SHA1, Digits: 6, Period: otp.MaxPeriod,
	})
	if err != nil {
		b.Fatal(err)
	}
	code := otp.CodeAt(otp.SHA1, seed, 6, otp.MaxPeriod, time.Now())
	if _, err := codes.Walk(b.Context(), otp.Attempt{Account: account, Proof: otp.TypedCode(code)}); err != nil {
		b.Fatal(err)
	}
	return probe.Login(testSecret, name, code).Add(31, "02-00-00-00-00-01").Add(5, "\x00\x00\x00\x01").Add(32, "vpn.example").Octets()
}

// BenchmarkWhole is what one login costs the node, without sockets and store: the work of all its parts, in
// processor time. Those of many accounts come in an order that has nothing to do with where they lie in memory.
func BenchmarkWhole(b *testing.B) {
	for _, c := range []struct{ size, accounts int }{{1, 1024}, {16, 1024}, {64, 1024}, {64, 90_000}} {
		size := c.size
		w, packets := wholeWorld(b, c.accounts)
		rand.New(rand.NewPCG(1, 2)).Shuffle(len(packets), func(i, j int) { packets[i], packets[j] = packets[j], packets[i] })
		for i := range packets { // which have just come, and lie together
			packets[i] = bytes.Clone(packets[i])
		}
		b.Run(fmt.Sprintf("%d of %d", size, c.accounts), func(b *testing.B) {
			r, out := newWire(w.Server)
			in := make([]ipv4.Message, size)
			for i := range in {
				in[i] = datagramFrom(vpnAddr, packets[i])
			}
			var port uint32
			b.ReportAllocs()
			b.ResetTimer()
			began := processorTime(b)
			for n := 0; n < b.N; n += size {
				for i := range in {
					port++
					from := netip.AddrFrom4([4]byte{127, byte(port >> 16), byte(port >> 8), byte(port)})
					in[i].Addr.(*net.UDPAddr).IP = from.AsSlice()
					packet := packets[int(port)%len(packets)]
					in[i].Buffers[0], in[i].N = packet, len(packet)
				}
				w.login(context.Background(), r.sort(in))
				out.take()
			}
			b.ReportMetric(float64(processorTime(b)-began)/float64(b.N), "cpu-ns/op")
		})
	}
}

// processorTime is what this process has used.
func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
