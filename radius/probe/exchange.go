package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// How a gateway retransmits: the same octets, after a while, a few times.
const (
	retransmitAfter = 3 * time.Second
	tries           = 4
)

// ErrNoReply: the server did not answer, which is what it does when it cannot tell, or when the
// packet is not authentic to it.
var ErrNoReply = errors.New("no reply")

// Exchange sends a request to a server at "host:port", again if need be, and returns the reply,
// which has been checked. Datagrams that are no right reply are passed over, as RFC 2865 section 3
// wants; if only such came, the error says what was wrong with the last one.
func Exchange(ctx context.Context, server string, r *Request) (Reply, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", server)
	if err != nil {
		return Reply{}, err
	}
	defer conn.Close()
	octets, last := r.Octets(), ErrNoReply
	for range tries {
		if _, err := conn.Write(octets); err != nil {
			return Reply{}, err
		}
		reply, err := receive(ctx, conn, octets, string(r.Secret))
		switch {
		case err == nil:
			return reply, nil
		case ctx.Err() != nil:
			return Reply{}, ctx.Err()
		}
		last = err
	}
	return Reply{}, fmt.Errorf("%s: %w", server, last)
}

// receive waits for a right reply until it is time to send again.
func receive(ctx context.Context, conn net.Conn, request []byte, secret string) (Reply, error) {
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return Reply{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, retransmitAfter)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })() // long past: ends the read
	last := ErrNoReply
	b := make([]byte, 1<<16)
	for {
		n, err := conn.Read(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return Reply{}, last
		}
		if err != nil {
			return Reply{}, err // such as: nobody listens there
		}
		reply, err := Check(request, b[:n], secret)
		if err == nil {
			return reply, nil
		}
		last = err
	}
}

// CodeName returns the name of a packet's code (RFC 2865 section 4).
func CodeName(code byte) string {
	switch code {
	case AccessRequest:
		return "Access-Request"
	case AccessAccept:
		return "Access-Accept"
	case AccessReject:
		return "Access-Reject"
	case StatusServer:
		return "Status-Server"
	}
	return fmt.Sprintf("code %d", code)
}
