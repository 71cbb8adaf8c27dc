package radius

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/net/ipv4"

	"otpgate/radius/mmsg"
)

// fullWire is a socket in memory whose send buffer is full now and then. A write that is left to
// wait for it fails the test: the kernel knows no deadline.
type fullWire struct {
	wire
	t    testing.TB
	full int // how many writes from now on find no room
	most int // how many datagrams one write takes
	asks int // how many writes there were
}

func (w *fullWire) WriteBatch(ms []ipv4.Message, flags int) (int, error) {
	if flags&syscall.MSG_DONTWAIT == 0 {
		w.t.Error("a write that may wait for ever")
	}
	w.asks++
	if w.full != 0 {
		w.full--
		return -1, os.NewSyscallError("sendmmsg", syscall.EAGAIN)
	}
	return w.wire.WriteBatch(ms[:min(len(ms), w.most)], flags)
}

func TestAFullSendBufferIsWaitedForWithinBounds(t *testing.T) {
	const always = -1
	for _, c := range []struct {
		name                       string
		full, most, sent, notTaken int
	}{
		{"room", 0, 64, 5, 0},
		{"room for some", 0, 2, 5, 0},
		{"full for a while", writePauses, 2, 5, 0},
		{"full for too long", writePauses + 1, 2, 0, 5},
		{"full for ever", always, 2, 0, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			out := &fullWire{t: t, full: c.full, most: c.most}
			k := &socket{batchConn: out}
			k.pool.New = func() any { return new(mmsg.Outgoing) }
			answers := make([]answer, 5)
			for i := range answers {
				answers[i] = answer{via: k, octets: bytes.Repeat([]byte("x"), i+1)} // each a message of its own
			}
			w.transmit(k, answers)
			if got := len(out.take()); got != c.sent {
				t.Errorf("%d sent, want %d", got, c.sent)
			}
			if got := testutil.ToFloat64(w.metrics.unsent[unsentFailed]); got != float64(c.notTaken) {
				t.Errorf("%v counted as not sent, want %d", got, c.notTaken)
			}
			if said := strings.Contains(w.logged.String(), "write failed"); said != (c.notTaken > 0) {
				t.Errorf("logged: %s", w.logged)
			}
		})
	}
}

// countingWire counts the messages that are made for it, of which it takes as many at once as the kernel does, or none.
type countingWire struct {
	wire
	refuses bool
	made    int
}

func (w *countingWire) WriteBatch(ms []ipv4.Message, flags int) (int, error) {
	w.made += len(ms)
	if w.refuses {
		return -1, os.NewSyscallError("sendmmsg", syscall.EPERM)
	}
	return w.wire.WriteBatch(ms[:min(len(ms), 1024)], flags)
}

// TestEachAnswerCostsTheSame, however many there are: a flood of refusals is due at once, each for a place of its own.
func TestEachAnswerCostsTheSame(t *testing.T) {
	for _, refuses := range []bool{false, true} {
		for _, n := range []int{4096, 32768} {
			out := &countingWire{refuses: refuses}
			k := &socket{batchConn: out}
			k.pool.New = func() any { return new(mmsg.Outgoing) }
			answers := make([]answer, n)
			for i := range answers {
				answers[i] = answer{peer: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), uint16(1024+i)), octets: []byte("no")}
			}
			begun := time.Now()
			unsent, err := k.write(answers)
			took := time.Since(begun)
			most, want := n, 0 // each is in one message, once
			if refuses {
				most, want = n*writeWindow, n
			}
			if sent := len(out.take()); unsent != want || sent != n-want || (err != nil) != refuses {
				t.Errorf("refuses %t: %d of %d sent, %d not: %v", refuses, sent, n, unsent, err)
			}
			if out.made > most {
				t.Errorf("refuses %t: %d messages were made of %d answers, in %v", refuses, out.made, n, took)
			}
		}
	}
}

// TestAFullSendBufferIsWaitedForTwice: of all replies of a batch, and not for each part that leaves by itself.
func TestAFullSendBufferIsWaitedForTwice(t *testing.T) {
	w := newWorld(t)
	var packets []ipv4.Message
	for i := range batchSize {
		name := fmt.Sprintf("user%d", i)
		w.accounts.known[name], w.codes.codes[name+"-id"] = account(name), []string{testCode}
		packets = append(packets, datagramFrom(fmt.Sprintf("192.0.2.1:%d", 2000+i), goodLogin(name, testCode)))
	}
	r, _ := newWire(w.Server)
	out := &fullWire{t: t, full: -1, most: batchSize}
	r.socket.batchConn = out
	w.login(t.Context(), r.sort(packets))
	if got := testutil.ToFloat64(w.metrics.unsent[unsentFailed]); got != batchSize {
		t.Errorf("%v counted as not sent, want %d", got, batchSize)
	}
	if want := 2 * (writePauses + 1); out.asks != want {
		t.Errorf("%d writes, want %d", out.asks, want)
	}
}

// apartWire does not take what goes together, for this reason.
type apartWire struct {
	wire
	why      error
	together int // messages of more than one datagram that were tried
}

func (w *apartWire) WriteBatch(ms []ipv4.Message, flags int) (int, error) {
	if len(ms[0].Buffers) > 1 {
		w.together++
		return -1, os.NewSyscallError("sendmmsg", w.why)
	}
	n := 1
	for n < len(ms) && len(ms[n].Buffers) == 1 {
		n++
	}
	return w.wire.WriteBatch(ms[:n], flags)
}

// TestAnswersThatCannotGoTogether go each by itself; where the kernel or the way is to blame, from then on.
func TestAnswersThatCannotGoTogether(t *testing.T) {
	for _, c := range []struct {
		why   error
		tried int
	}{{syscall.EIO, 1}, {syscall.EMSGSIZE, 1}, {syscall.ENETUNREACH, 3}} {
		out := &apartWire{why: c.why}
		k := &socket{batchConn: out}
		k.pool.New = func() any { return new(mmsg.Outgoing) }
		for range 3 {
			answers := []answer{{octets: []byte("other")}, {octets: []byte("one")}, {octets: []byte("two")}, {octets: []byte("three")}}
			if unsent, err := k.write(answers); unsent != 0 || err != nil {
				t.Fatalf("%v: %d unsent, %v", c.why, unsent, err)
			}
			if got := string(bytes.Join(out.take(), []byte(" "))); len(got) != len("other one two three") || !strings.Contains(got, "one") || !strings.Contains(got, "three") {
				t.Fatalf("%v: sent %q", c.why, got)
			}
		}
		if out.together != c.tried {
			t.Errorf("%v: %d messages were tried together", c.why, out.together)
		}
	}
}

// TestPortZeroDoesNotKeepAnswersApart: the kernel sends nothing there, and says so with the error that it has for
// messages that it cannot cut.
func TestPortZeroDoesNotKeepAnswersApart(t *testing.T) {
	for network, loopback := range map[string]string{"udp4": "127.0.0.1", "udp6": "::1"} {
		k, err := bind(t.Context(), network, net.JoinHostPort(loopback, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		good, err := net.ListenUDP(network, &net.UDPAddr{IP: net.ParseIP(loopback)})
		if err != nil {
			t.Fatal(err)
		}
		defer good.Close()
		peer := good.LocalAddr().(*net.UDPAddr).AddrPort()
		nowhere := netip.AddrPortFrom(peer.Addr(), 0)
		for _, peers := range [][]netip.AddrPort{{nowhere, peer, nowhere, peer}, {peer, nowhere, peer, nowhere}} {
			var answers []answer
			for _, to := range peers {
				answers = append(answers, answer{peer: to, octets: []byte("answer")})
			}
			if unsent, err := k.write(answers); unsent != 2 || !errors.Is(err, syscall.EINVAL) {
				t.Errorf("%s: %d unsent, %v", network, unsent, err)
			}
			for range 2 {
				b := make([]byte, 16)
				if err := good.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
					t.Fatal(err)
				}
				if n, err := good.Read(b); err != nil || string(b[:n]) != "answer" {
					t.Errorf("%s: %q, %v", network, b[:n], err)
				}
			}
			if k.apart.Load() {
				t.Errorf("%s: all answers go apart from now on", network)
			}
		}
	}
}

// deafWire is a socket whose read heeds no deadline.
type deafWire struct {
	wire
	reading, closed chan struct{}
}

func (w *deafWire) ReadBatch([]ipv4.Message, int) (int, error) {
	close(w.reading)
	<-w.closed
	return 0, net.ErrClosed
}

func (w *deafWire) Close() error {
	close(w.closed)
	return nil
}

// TestShutdownDoesNotWaitForASocketForEver: whatever a socket does, shutdown ends with its context.
func TestShutdownDoesNotWaitForASocketForEver(t *testing.T) {
	w := newWorld(t)
	deaf := &deafWire{reading: make(chan struct{}), closed: make(chan struct{})}
	w.sockets = append(w.sockets, &socket{batchConn: deaf})
	served := make(chan error, 1)
	go func() { served <- w.Serve() }()
	<-deaf.reading
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	err := w.Shutdown(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "still being read") {
		t.Errorf("shutdown: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
	w.stopErr = nil // it has been looked at
}
