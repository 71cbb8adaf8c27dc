package enroll

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"otpgate/directory"
	"otpgate/enroll/mail"
	"otpgate/otp"
	"otpgate/otp/audit"
)

// Policy says what enrolling takes besides an enrollment code, which proves that one can read the
// account's mail.
type Policy int

// The policies.
const (
	// FirstDevice: nothing for an account without a device; a code of one of its devices, or an
	// invitation, for one that has any.
	FirstDevice Policy = iota
	// Anyone: nothing, ever.
	Anyone
	// Invited: an invitation, always.
	Invited
)

// AppLock says whether the app is opened with the phone's own lock (WebAuthn): its fingerprint, its
// face or its code.
type AppLock int

// The ways to have it.
const (
	// LockOffered: whoever enrolls may choose it.
	LockOffered AppLock = iota
	// LockOff: it is not offered.
	LockOff
	// LockRequired: nobody enrolls without it, which leaves out other authenticators.
	LockRequired
)

// String is the word for it, in configurations and for the app; it returns "unknown" for what
// is none.
func (l AppLock) String() string {
	switch l {
	case LockOffered:
		return "offered"
	case LockOff:
		return "off"
	case LockRequired:
		return "required"
	}
	return "unknown"
}

// Accounts are the directories; [*directory.Set] is what they are.
type Accounts interface {
	FindID(ctx context.Context, id string) (*directory.Account, error)
	FindMail(ctx context.Context, mail string) (*directory.Account, error)
	Health(ctx context.Context) map[string]error
}

// Codes checks a code of a device that an account has already; [*otp.Verifier] does.
type Codes interface {
	Verify(ctx context.Context, a otp.Attempt) otp.Result
	Place(parts ...string) otp.Place
	Token(parts ...[]byte) otp.Token
}

// Tickets keeps enrollment codes and invitations; every [otp.Store] does.
type Tickets interface {
	PutTicket(ctx context.Context, t otp.Ticket) error
	CheckTicket(ctx context.Context, kind otp.TicketKind, account string, digest otp.Digest, now time.Time) (bool, error)
	TakeTicket(ctx context.Context, kind otp.TicketKind, account string, digest otp.Digest, now time.Time) (bool, error)
}

// Notes keeps what is to be remembered of an account; every [otp.Store] does.
type Notes interface {
	PutNotes(ctx context.Context, notes []otp.Note) error
	Notes(ctx context.Context, kind, key string, now time.Time) ([]otp.Note, error)
}

// Keys seals and makes digests; the keyset does.
type Keys interface {
	Seal(plain, ad []byte) ([]byte, error)
	Open(sealed, ad []byte) ([]byte, error)
	MAC(purpose string, parts ...[]byte) [32]byte
}

// Mailer sends a mail some time, without waiting for it; [*mail.Sender] does.
type Mailer interface {
	Send(m mail.Message) error
}

// Audit keeps the trail; [*audit.Log] does.
type Audit interface {
	Record(ctx context.Context, events ...audit.Event) error
}

// Options are what a [Server] is made of.
type Options struct {
	Listen string // host:port
	// Certificate is asked at every handshake, so that a new one is taken without a restart.
	// nil: plain HTTP, behind a proxy that ends TLS.
	Certificate    func() (*tls.Certificate, error)
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	PublicURL      string         // as people reach it: https://otp.example.org
	CodeLifetime   time.Duration  // of enrollment codes; 0: one hour
	Policy         Policy
	Issuer         string // what codes are for, in mails, pages and the app
	Contact        string // whom people ask: a mailto:, https: or tel: URL, or up to 200 characters of text; "": nobody
	AppLock        AppLock

	Accounts Accounts
	Devices  *otp.Devices
	Codes    Codes
	Tickets  Tickets
	Notes    Notes
	// Ping asks the store whether it is there, and a trail that is required whether it can be written; nil:
	// they always are. otp.Store.Ping is one.
	Ping   func(context.Context) (time.Time, error)
	Keys   Keys
	Mailer Mailer
	Audit  Audit

	// AnswerAfter is when a request for an enrollment code is answered, counted from its
	// arrival, and how long a refused enrollment takes at least, so that time tells nothing
	// about an account. 0: half a second.
	AnswerAfter time.Duration
	Limits      Limits

	Logger     *slog.Logger          // nil: none
	Registerer prometheus.Registerer // nil: none
	Now        func() time.Time
}

// Limits are how often somebody may ask, on this node. Zero fields take the defaults.
type Limits struct {
	SourceBurst  int           // calls of one address (IPv6: of one /64) at once; 0: 30
	SourceEvery  time.Duration // one more each; 0: 2 s
	MailboxBurst int           // mails of one kind (with a code, with a link, of no room) to one account at once; 0: 4
	MailboxEvery time.Duration // one more each; 0: 10 min
	Sources      int           // addresses remembered; 0: 100,000
	Mailboxes    int           // accounts remembered; 0: 100,000
	Connections  int           // open at once, whoever has them; more wait until one ends. 0: 4096
	// SourceConnections is how many of them one address may have (IPv6: one /64); more are closed at once. Proxies
	// may have all: TrustedProxies, and without a Certificate what runs on this machine. So many calls may be under
	// way for an address, too, also by a proxy: HTTP/2 has many on one connection. 0: 512
	SourceConnections int
	InFlight          int           // calls being worked on, whose body is there: documents are not among them. 0: 512
	ServerTimeout     time.Duration // for a request to arrive in full; 0: 10 s
}

func (l Limits) withDefaults() Limits {
	return Limits{
		SourceBurst: or(l.SourceBurst, 30), SourceEvery: or(l.SourceEvery, 2*time.Second),
		MailboxBurst: or(l.MailboxBurst, 4), MailboxEvery: or(l.MailboxEvery, 10*time.Minute),
		Sources: or(l.Sources, 100_000), Mailboxes: or(l.Mailboxes, 100_000),
		Connections: or(l.Connections, 4096), SourceConnections: or(l.SourceConnections, 512), InFlight: or(l.InFlight, 512), ServerTimeout: or(l.ServerTimeout, 10*time.Second),
	}
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// complete fills in the defaults and reports what is missing.
func (o Options) complete() (Options, error) {
	for name, missing := range map[string]bool{
		"Accounts": o.Accounts == nil, "Devices": o.Devices == nil, "Codes": o.Codes == nil, "Tickets": o.Tickets == nil, "Notes": o.Notes == nil,
		"Keys": o.Keys == nil, "Mailer": o.Mailer == nil, "Audit": o.Audit == nil, "Now": o.Now == nil, "Issuer": o.Issuer == "",
	} {
		if missing {
			return o, fmt.Errorf("the option %s is missing", name)
		}
	}
	if o.Policy < FirstDevice || o.Policy > Invited {
		return o, errors.New("there is no such policy")
	}
	if o.AppLock < LockOffered || o.AppLock > LockRequired {
		return o, errors.New("there is no such app lock")
	}
	if err := checkContact(o.Contact); err != nil {
		return o, err
	}
	u, err := url.Parse(o.PublicURL)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return o, errors.New("the public URL is not of the form https://host")
	}
	o.PublicURL = strings.TrimRight(o.PublicURL, "/")
	o.CodeLifetime = or(o.CodeLifetime, time.Hour)
	o.AnswerAfter = or(o.AnswerAfter, 500*time.Millisecond)
	o.Limits = o.Limits.withDefaults()
	if o.Ping == nil {
		now := o.Now
		o.Ping = func(context.Context) (time.Time, error) { return now(), nil }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}
