package radsec

import (
	"errors"
	"io"
)

// ending is why a connection that had been accepted ended.
type ending uint8

const (
	byPeer      ending = iota // with close_notify
	cut                       // without it
	idle                      // nothing came for IdleTime
	slowPacket                // one packet took longer than PacketTime
	shortLength               // a Length below 20
	longLength                // a Length above 4096
	truncated                 // the stream ended inside a packet
	malformed                 // the handler found a packet that closes the connection
	unread                    // the peer did not read what was sent for WriteTime
	writeFailed               // nothing could be sent
	clientGone                // the handler closed it, or no client has the certificate any more
	notVerified               // the certificate does not verify any more
	panicked                  // a panic was recovered
	shutdown                  // the server ended
	endings                   // how many there are
)

func (e ending) String() string {
	return [endings]string{
		"peer", "cut", "idle", "slow_packet", "short_length", "long_length", "truncated", "malformed",
		"unread", "write_failed", "client_gone", "not_verified", "panic", "shutdown",
	}[e]
}

// hint says what happened where somebody has to know, and what to do about it.
func (e ending) hint() string {
	return [endings]string{
		slowPacket:  "a packet began and did not end: see what is between the gateway and here",
		shortLength: "what the client sends is not RADIUS: a Length below 20",
		longLength:  "what the client sends is not RADIUS: a Length above 4096",
		truncated:   "the connection ended inside a packet: see the gateway's log",
		malformed:   "a packet was not right, or not meant for this client: see the log lines about it",
		unread:      "the client does not read its replies: see what is wrong with the gateway",
		notVerified: "the client's certificate has expired, or its authority is no longer in client_ca_file: renew it",
	}[e]
}

// endOf says why reading ended with an error; inside tells whether that was inside a packet.
func endOf(err error, inside bool) ending {
	switch {
	case errors.Is(err, errShort):
		return shortLength
	case errors.Is(err, errLong):
		return longLength
	case inside && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)):
		return truncated
	case errors.Is(err, io.EOF):
		return byPeer
	}
	return cut
}
