package web

import (
	"net"
	"net/http"
	"sync"
)

// Unasked are the connections of a server on which nothing has been asked yet. The zero value is ready. Browsers open one ahead, to have it at
// hand; net/http gives those five seconds when it shuts down, which is as long as a node has for that.
type Unasked struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
	ended bool
}

// Note is told of every change of a connection ([http.Server.ConnState]).
func (u *Unasked) Note(c net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if state != http.StateNew {
		delete(u.conns, c)
		return
	}
	if u.ended {
		_ = c.Close() // one that was let in at the last moment
		return
	}
	if u.conns == nil {
		u.conns = map[net.Conn]struct{}{}
	}
	u.conns[c] = struct{}{}
}

// End closes them, and those to come. Nobody waits for an answer there.
func (u *Unasked) End() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
	for c := range u.conns {
		_ = c.Close()
	}
}
