package radius

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"otpgate/otp"
	"otpgate/otp/audit"
	"otpgate/radius/radiustest"
)

// benchWorld is a server whose fakes answer at once, with nothing logged.
func benchWorld(b *testing.B) *world {
	return newWorld(b, func(o *Options, w *world) {
		o.Logger = slog.New(slog.DiscardHandler)
		o.Audit = noTrail{}
		w.codes.result = &otp.Result{OK: true, Reason: otp.ReasonOK}
	})
}

// noTrail keeps nothing.
type noTrail struct{}

func (noTrail) Record(context.Context, ...audit.Event) error { return nil }
func (noTrail) Keep(context.Context, ...audit.Event) error   { return nil }

// BenchmarkLogin is the whole way over loopback: 64 logins under way at a time, account and
// devices known, claims in memory. The generator runs on the same cores.
func BenchmarkLogin(b *testing.B) {
	w := benchWorld(b)
	addr := w.serve(b)
	const gateways = 64
	var left atomic.Int64
	left.Store(int64(b.N))
	var clients []*radiustest.Client
	for range gateways {
		clients = append(clients, radiustest.Dial(b, addr, testSecret))
	}
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				packet := c.Login("alice", testCode).Octets()
				if _, err := retransmit(c, packet); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "logins/s")
}

// BenchmarkBatch is the same without sockets: what one login costs this package, by batch size.
func BenchmarkBatch(b *testing.B) {
	for _, size := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			w := benchWorld(b)
			r, out := newWire(w.Server)
			in := make([]ipv4.Message, size)
			var port uint32
			packet := goodLogin("alice", testCode)
			for i := range in {
				in[i] = datagramFrom(vpnAddr, packet)
			}
			b.ReportAllocs()
			for n := 0; n < b.N; n += size {
				for i := range in {
					port++
					from := netip.AddrFrom4([4]byte{127, byte(port >> 16), byte(port >> 8), byte(port)})
					in[i].Addr.(*net.UDPAddr).IP = from.AsSlice()
				}
				w.login(context.Background(), r.sort(in))
				out.take()
			}
		})
	}
}

// BenchmarkStranger is what a packet from nobody costs.
func BenchmarkStranger(b *testing.B) {
	w := benchWorld(b)
	r, _ := newWire(w.Server)
	m := datagramFrom(fromNobody, goodLogin("alice", testCode))
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		r.datagram(r.socket, &m, now)
	}
}
