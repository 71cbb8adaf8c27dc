package radius

import (
	"crypto/x509"
	"errors"
	"net/netip"

	"otpgate/radius/duplicates"
	"otpgate/radius/radsec"
)

// transport is what a packet came by and its reply leaves by; its values can be compared. *socket
// and stream are transports.
type transport interface {
	// write sends answers that leave by it, and returns how many could not be sent.
	write(answers []answer) (unsent int, err error)
	// ended is told once of every packet that it brought, when nothing more will be done about it.
	ended()
	// String is where it is, for the log.
	String() string
}

// answer is a sealed reply with the way that it has to go.
type answer struct {
	via     transport
	peer    netip.AddrPort    // over UDP
	control []byte            // over UDP: makes the reply leave from the address that was asked
	entry   duplicates.Handle // zero: nothing is remembered of it
	octets  []byte
}

// errNotTaken: a connection has ended, or does not take what is sent.
var errNotTaken = errors.New("radius: the connection does not take replies")

// stream is a connection of RadSec as a transport.
type stream struct{ *radsec.Conn }

// write implements [transport].
func (k stream) write(answers []answer) (unsent int, err error) {
	for _, a := range answers {
		if !k.Send(a.octets) {
			unsent, err = unsent+1, errNotTaken
		}
	}
	return unsent, err
}

// ended implements [transport]: the connection reads on.
func (k stream) ended() { k.Done(1) }

// String implements [transport].
func (k stream) String() string { return k.Remote().String() }

// streams takes packets from connections of RadSec; it is a [radsec.Handler].
type streams struct{ *Server }

// Identify implements [radsec.Handler].
func (s streams) Identify(c *x509.Certificate) bool { return s.table.Load().certified(c) != nil }

// Receive implements [radsec.Handler]. Whose certificate it is is looked up each time, so that a
// reload that takes a client away takes its connections too.
func (s streams) Receive(c *radsec.Conn, packets [][]byte) {
	now := s.now()
	via := stream{c}
	s.metrics.receivedTLS.Add(float64(len(packets)))
	k := s.table.Load().certified(c.Certificate())
	r := &reader{Server: s.Server, takes: forLogins | forAccounting}
	for _, octets := range packets {
		r.take(via, func(p *arrival) bool {
			*p = arrival{
				octets: octets, client: k, source: c.Remote(), local: c.Local(), tls: true,
				way: answer{via: via}, now: now,
			}
			return true
		})
	}
	r.answer()
	r.start(s.base, false)
	switch {
	case k == nil:
		c.Close()
	case r.broken: // RFC 6613 section 2.6.4: who sends that will not be understood any more
		c.CloseMalformed()
	}
}
