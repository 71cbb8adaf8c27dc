package radsec

import "time"

// read hands packets over until the connection ends, and says why.
func (c *Conn) read() {
	wait := c.newPatience()
	defer wait.stop()
	for {
		room := c.room()
		if room == 0 {
			return
		}
		packets, wrong := c.frames.take(room)
		if n := len(packets); n > 0 {
			c.begin(n)
			c.s.o.Handler.Receive(c, packets)
		}
		if wrong != nil {
			c.end(endOf(wrong, false))
			return
		}
		if len(packets) == room {
			wait.pause()
			continue // there may be more of them
		}
		wait.arm(c.frames.waiting() > 0, len(packets) > 0)
		if err := c.frames.fill(c.tls); err != nil {
			c.end(endOf(err, c.frames.waiting() > 0)) // which counts only if nobody has ended it before
			return
		}
	}
}

// patience ends a connection that sends nothing, or a packet that does not end. A packet's time runs
// from its first octet, and not anew with each, so that it cannot be sent for ever.
type patience struct {
	c            *Conn
	idle, packet *time.Timer
	inside       bool // packet runs
}

func (c *Conn) newPatience() *patience {
	return &patience{
		c:      c,
		idle:   time.AfterFunc(c.s.o.IdleTime, func() { c.end(idle) }),
		packet: stopped(time.AfterFunc(c.s.o.PacketTime, func() { c.end(slowPacket) })),
	}
}

func stopped(t *time.Timer) *time.Timer {
	t.Stop()
	return t
}

// arm begins to wait: inside a packet or not, which may be another one than before.
func (p *patience) arm(inside, another bool) {
	switch {
	case !inside:
		p.packet.Stop()
		p.idle.Reset(p.c.s.o.IdleTime)
	case another || !p.inside:
		p.idle.Stop()
		p.packet.Reset(p.c.s.o.PacketTime)
	}
	p.inside = inside
}

// pause is for while nothing is read, which is not the peer's fault.
func (p *patience) pause() {
	p.stop()
	p.inside = false
}

func (p *patience) stop() {
	p.idle.Stop()
	p.packet.Stop()
}
