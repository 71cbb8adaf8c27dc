package radsec

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Defaults of [Options].
const (
	DefaultMaxConnections = 1024
	DefaultMaxPending     = 256 // as many as there are Identifiers
	DefaultHandshakeTime  = 10 * time.Second
	DefaultIdleTime       = 5 * time.Minute
	DefaultPacketTime     = 10 * time.Second
	DefaultWriteTime      = 10 * time.Second
	DefaultDrainTime      = 15 * time.Second
)

// A Handler knows the clients and works on what they send. It is called by many goroutines at once.
type Handler interface {
	// Identify reports whether a client has this certificate, whose signature and dates have been
	// verified. If not, the connection ends before a packet is read.
	Identify(certificate *x509.Certificate) bool
	// Receive gets the whole packets that one read has given, at least one, each of 20 to 4096
	// octets and as long as its Length says. Nothing else in them has been looked at. The octets
	// belong to the handler. It MUST NOT block, and MUST call Done for each packet, now or later.
	Receive(c *Conn, packets [][]byte)
}

// Options are what a server needs. Listen, Certificate, ClientCAs, Handler and Now must be there.
type Options struct {
	// Listen are TCP addresses "host:port". An empty host is every address of both families.
	Listen []string
	// Certificate returns the server's certificate. It is asked for every handshake, so that a
	// renewed one counts from then on.
	Certificate func() (*tls.Certificate, error)
	// ClientCAs returns the authorities of the clients' certificates. It is asked for every
	// handshake, and by [Server.Recheck]; it should return the same pool as long as nothing changed.
	ClientCAs func() (*x509.CertPool, error)
	Handler   Handler

	// MaxConnections is how many there may be; 0: DefaultMaxConnections. Of these, one address may
	// have a quarter in the handshake, and one certificate half. Where all are taken, the oldest of
	// those in the handshake is closed for one that comes.
	MaxConnections int
	// MaxPending is how many packets of one connection may be worked on or wait for their reply to
	// be written; 0: DefaultMaxPending. Reading pauses then.
	MaxPending int

	HandshakeTime time.Duration // for a handshake; 0: DefaultHandshakeTime
	IdleTime      time.Duration // without a packet; 0: DefaultIdleTime
	PacketTime    time.Duration // from a packet's first octet to its last; 0: DefaultPacketTime
	WriteTime     time.Duration // until the peer takes what is written; 0: DefaultWriteTime
	DrainTime     time.Duration // for the answers to what was read, once reading has ended; 0: DefaultDrainTime

	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: nothing is registered
	Now        func() time.Time
}

// complete fills in defaults, and says everything that is wrong.
func (o *Options) complete() error {
	if o.MaxConnections == 0 {
		o.MaxConnections = DefaultMaxConnections
	}
	if o.MaxPending == 0 {
		o.MaxPending = DefaultMaxPending
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	var errs []error
	for _, d := range []struct {
		value     *time.Duration
		name      string
		otherwise time.Duration
	}{
		{&o.HandshakeTime, "HandshakeTime", DefaultHandshakeTime},
		{&o.IdleTime, "IdleTime", DefaultIdleTime},
		{&o.PacketTime, "PacketTime", DefaultPacketTime},
		{&o.WriteTime, "WriteTime", DefaultWriteTime},
		{&o.DrainTime, "DrainTime", DefaultDrainTime},
	} {
		if *d.value == 0 {
			*d.value = d.otherwise
		}
		if *d.value < 0 {
			errs = append(errs, errors.New(d.name+" must not be negative"))
		}
	}
	for _, c := range []struct {
		wrong bool
		text  string
	}{
		{len(o.Listen) == 0, "no address to listen on"},
		{o.Certificate == nil, "Certificate is missing"},
		{o.ClientCAs == nil, "ClientCAs is missing"},
		{o.Handler == nil, "Handler is missing"},
		{o.MaxConnections < 0, "MaxConnections must not be negative"},
		{o.MaxPending < 0, "MaxPending must not be negative"},
		{o.Now == nil, "Now is missing"},
	} {
		if c.wrong {
			errs = append(errs, errors.New(c.text))
		}
	}
	return errors.Join(errs...)
}
