package radsec

import (
	"io"
	"time"
)

// lingerTime is how long a connection that has been closed in order is read on, so that what the
// peer has sent meanwhile does not make the kernel throw away what it has not read yet.
const lingerTime = time.Second

// finish lets out what is pending, if that is possible in time, and closes the connection.
func (c *Conn) finish() {
	if c.drain() {
		c.sayGoodbye()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeLocked()
}

// drain waits until every packet is done and every reply is written. After it nothing is sent. It is
// false when the socket is closed already.
func (c *Conn) drain() bool {
	select {
	case <-c.s.closing: // the shutdown has its own end
	default:
		watch := time.AfterFunc(c.s.o.DrainTime, func() { c.abort(c.why) })
		defer watch.Stop()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for (c.pending > 0 || c.writing) && !c.closed {
		c.changed.Wait()
	}
	c.drained = true
	return !c.closed
}

// sayGoodbye ends both directions in order: close_notify, FIN, and then the peer's.
func (c *Conn) sayGoodbye() {
	watch := time.AfterFunc(c.s.o.WriteTime, func() { c.abort(unread) })
	defer watch.Stop()
	if c.tls.CloseWrite() != nil {
		return
	}
	if half, ok := c.tcp.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		return
	}
	watch.Reset(lingerTime)
	_ = c.tcp.SetReadDeadline(time.Time{})
	_, _ = io.Copy(io.Discard, c.tcp)
}
