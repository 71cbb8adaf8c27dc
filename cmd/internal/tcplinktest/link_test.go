package tcplinktest

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// echo says again what it is told.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, l *Link) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// hears returns what comes back of "abcd", and how long it took.
func hears(c net.Conn, within time.Duration) (string, time.Duration, error) {
	begun := time.Now()
	_ = c.SetDeadline(begun.Add(within))
	if _, err := c.Write([]byte("abcd")); err != nil {
		return "", 0, err
	}
	b := make([]byte, 4)
	n, err := io.ReadFull(c, b)
	return string(b[:n]), time.Since(begun), err
}

func TestFaults(t *testing.T) {
	const patience = 20 * time.Second
	l := Start(t, echo(t))
	old := dial(t, l)
	works := func(what string, c net.Conn) {
		t.Helper()
		if got, _, err := hears(c, patience); got != "abcd" || err != nil {
			t.Fatalf("%s: %q, %v", what, got, err)
		}
	}
	works("nothing is wrong", old)

	l.Set(Hang)
	fresh := dial(t, l)
	for _, c := range []net.Conn{old, fresh} {
		if got, _, err := hears(c, 100*time.Millisecond); got != "" || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("it hangs: %q, %v", got, err)
		}
	}
	l.Set(None)
	for _, c := range []net.Conn{old, fresh} { // what was held arrives
		b := make([]byte, 4)
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(c, b); string(b) != "abcd" || err != nil {
			t.Fatalf("after it hung: %q, %v", b, err)
		}
	}

	l.Set(Drip)
	if got, took, err := hears(old, patience); got != "abcd" || err != nil || took < 4*DripEvery {
		t.Fatalf("it drips: %q after %v, %v", got, took, err)
	}

	l.Set(Reset)
	if _, _, err := hears(old, patience); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Fatalf("it resets an old one: %v", err)
	}
	if c, err := net.Dial("tcp", l.Addr); err == nil { // else it was reset even sooner
		if _, _, err := hears(c, patience); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			t.Fatalf("it resets a new one: %v", err)
		}
		_ = c.Close()
	}

	l.Set(None)
	old = dial(t, l)
	works("after it reset", old)
	l.Set(Refuse)
	if _, _, err := hears(old, patience); err == nil {
		t.Fatal("it refuses: an old connection works")
	}
	if _, err := net.Dial("tcp", l.Addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("it refuses: %v", err)
	}
	if other, err := net.Listen("tcp", l.Addr); err == nil {
		_ = other.Close()
		t.Fatal("somebody else gets its port")
	}
	l.Set(None)
	works("after it refused", dial(t, l))
}

// A peer that is not there is not there behind the link either.
func TestNoPeer(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	c, err := net.Dial("tcp", Start(t, gone.Addr().String()).Addr)
	if err == nil { // else the reset came before the connection was there for us
		defer func() { _ = c.Close() }()
		_, _, err = hears(c, 20*time.Second)
	}
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%v", err)
	}
}
