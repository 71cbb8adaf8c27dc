package radsec

import (
	"time"
)

// batchSize bounds what is written together.
const batchSize = 2 * maxPacket

// write writes what is queued until nothing is. There is one writer at most, and none while there
// is nothing to write.
func (c *Conn) write() {
	watch := time.AfterFunc(c.s.o.WriteTime, func() { c.abort(unread) })
	defer watch.Stop()
	var batch []byte
	for {
		replies := c.queued()
		if len(replies) == 0 {
			return
		}
		for len(replies) > 0 {
			n, octets := together(replies, &batch)
			watch.Reset(c.s.o.WriteTime)
			if _, err := c.tls.Write(octets); err != nil {
				c.abort(writeFailed)
			}
			replies = replies[n:]
			c.written(n)
		}
	}
}

// queued returns the replies that wait. If there are none, there is no writer any more.
func (c *Conn) queued() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	replies := c.queue
	c.queue = nil
	if len(replies) == 0 {
		c.writing = false
		c.changed.Broadcast()
	}
	return replies
}

func (c *Conn) written(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unsent -= n
	c.changed.Broadcast()
}

// together returns how many of the replies go into one write, and their octets. One alone is not
// copied.
func together(replies [][]byte, batch *[]byte) (int, []byte) {
	n, size := 0, 0
	for n < len(replies) && size+len(replies[n]) <= batchSize {
		size += len(replies[n])
		n++
	}
	if n == 1 {
		return 1, replies[0]
	}
	*batch = (*batch)[:0]
	for _, r := range replies[:n] {
		*batch = append(*batch, r...)
	}
	return n, *batch
}
