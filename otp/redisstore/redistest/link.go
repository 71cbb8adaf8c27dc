package redistest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// A Link carries connections to a server until it is cut: then what is sent arrives nowhere, and neither side
// is told.
type Link struct {
	Addr string // where it begins

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

// StartLink makes a link to the server at an address. It ends with the test.
func StartLink(t testing.TB, to string) *Link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Link{Addr: listener.Addr().String()}
	t.Cleanup(func() {
		_ = listener.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, c := range l.conns {
			_ = c.Close()
		}
	})
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			l.mu.Lock()
			l.conns = append(l.conns, near, far)
			l.mu.Unlock()
			go l.carry(near, far)
			go l.carry(far, near)
		}
	}()
	return l
}

// Cut makes the link swallow everything, for good.
func (l *Link) Cut() {
	l.mu.Lock()
	l.cut = true
	l.mu.Unlock()
}

func (l *Link) carry(from, to net.Conn) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		l.mu.Lock()
		if l.cut {
			n = 0
		}
		_, wrong := to.Write(b[:n])
		swallows := l.cut
		l.mu.Unlock()
		if err == nil && wrong == nil {
			continue
		}
		if !swallows {
			_ = to.Close()
		}
		_, _ = io.Copy(io.Discard, from)
		return
	}
}
