package radius

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"otpgate/otp"
	"otpgate/radius/hours"
	"otpgate/radius/reply"
)

// Login says which factors a client asks for.
type Login uint8

// The kinds of login.
const (
	// LoginCode: the proof is the code and nothing else; by User-Password, CHAP or MS-CHAPv2.
	LoginCode Login = iota
	// LoginPasswordCode: User-Password is the directory's password with the code right after it, or
	// OpenVPN's static challenge, which holds both.
	LoginPasswordCode
	// LoginPasswordThenCode: User-Password is the directory's password. The code is asked for by
	// Access-Challenge.
	LoginPasswordThenCode
	// LoginPassword: User-Password is the directory's password, and no code is asked for.
	LoginPassword
	logins // how many there are
)

// String returns the word of the configuration.
func (l Login) String() string {
	if l >= logins {
		return "unknown"
	}
	return [logins]string{"code", "password+code", "password-then-code", "password"}[l]
}

// MessageAuthenticator says what a client must do about the attribute of that name.
type MessageAuthenticator uint8

// The policies. A Message-Authenticator that is there is always verified.
const (
	// Required: an Access-Request without it is discarded (CVE-2024-3596).
	Required MessageAuthenticator = iota
	// Optional: it may be missing, unless the packet carries Proxy-State or EAP-Message.
	Optional
	// Learn: Optional until the client has proven that it always sends it, then Required.
	Learn
	// Omit: Optional, and replies carry none, for gateways that do not take such a reply.
	Omit
	policies // how many there are
)

// String returns the word of the configuration.
func (m MessageAuthenticator) String() string {
	if m >= policies {
		return "unknown"
	}
	return [policies]string{"required", "optional", "learn", "omit"}[m]
}

// Charset says how a client's names and passwords are read.
type Charset uint8

// The charsets.
const (
	CharsetAuto   Charset = iota // UTF-8 when it is that, else ISO 8859-1
	CharsetUTF8                  // anything else is no name
	CharsetLatin1                // ISO 8859-1
	charsets                     // how many there are
)

// A Client is a gateway, switch or proxy that may ask, known by the address it asks from or, over
// TLS, by its certificate.
type Client struct {
	Name     string         // unique; used in logs, metrics and audit
	Networks []netip.Prefix // the longest prefix over all clients wins; host bits are ignored
	// CertificateNames are DNS names in the certificate that the client shows over RadSec.
	CertificateNames []string
	Secret           []byte // the shared secret over UDP; not empty when there are networks
	PreviousSecret   []byte // accepted too, while a secret is being replaced; empty: none

	MessageAuthenticator MessageAuthenticator
	UnsignedProxyState   bool   // Proxy-State without Message-Authenticator is let in where the latter may be missing
	ReplyOnly            []byte // the attribute types that a reply may have, State and Proxy-State aside; none: any

	Login              Login
	PasswordOnlyGroups []string // members log in by password, without a code
	// MPPE: replies to MS-CHAPv2 carry keys that are made of six digits and protect nothing by
	// themselves. Only for tunnels that are encrypted already: SSTP, and L2TP or EAP inside IKE.
	MPPE            bool
	Charset         Charset
	ChallengePrompt string        // what is shown to whoever is asked for a code; "": a default
	Timeout         time.Duration // after which the gateway sends again: an attempt takes no longer; 0: Options.Budget decides

	Directories []string     // names of the directories that may be asked; empty: all
	AllowGroups []string     // cn or DN; empty: everybody
	DenyGroups  []string     // cn or DN; who is in one of them is refused
	Hours       *hours.Hours // when logins pass; nil: always

	// FailoverGrace is how long the same name, code, client and Calling-Station-Id get the first
	// answer again although the packet is another: for gateways that ask their second server with a
	// new packet. 0 to 30 s; 0: not at all. The same packet, sent again to another node, has no longer
	// either, and otp.ClaimLifetime without a grace: one that is shorter than all the gateway's tries at a
	// server together refuses retransmissions that would be let in without it.
	FailoverGrace time.Duration
	// Share lets automation open several sessions with one code, from one place.
	Share otp.Share

	Reply *reply.Reply // the attributes of an Access-Accept; nil: none
}

// String keeps the secret out of anything that is printed.
func (c Client) String() string { return fmt.Sprintf("client %q %v", c.Name, c.Networks) }

// GoString keeps the secret out of anything that is printed.
func (c Client) GoString() string { return c.String() }

// maxPrompt is what fits into one Reply-Message, in octets.
const maxPrompt = 253

// check returns everything that is wrong with one client by itself.
func (c Client) check() error {
	var errs []error
	for _, p := range []struct {
		wrong bool
		text  string
	}{
		{c.Name == "", "the name is empty"},
		{len(c.Networks) > 0 && len(c.Secret) == 0, "the secret is empty"},
		{len(c.Networks) == 0 && len(c.CertificateNames) == 0, "no networks and no certificate names"},
		{c.MessageAuthenticator >= policies, fmt.Sprintf("unknown message authenticator policy %d", c.MessageAuthenticator)},
		{c.Login >= logins, fmt.Sprintf("unknown login %d", c.Login)},
		{c.Charset >= charsets, fmt.Sprintf("unknown charset %d", c.Charset)},
		{c.MPPE && c.Login != LoginCode, "MPPE keys come from a code by MS-CHAPv2, which this login does not take"},
		{len(c.ChallengePrompt) > maxPrompt, "the prompt is longer than an attribute"},
		{c.Timeout < 0, "the timeout is negative"},
		{c.FailoverGrace < 0 || c.FailoverGrace > otp.ClaimLifetime, "the fail-over grace must be between 0 and 30s"},
		{c.Share.Times != 0 && (c.Share.Times < 2 || c.Share.Times > otp.MaxShareTimes), fmt.Sprintf("a shared code is good for 2 to %d logins", otp.MaxShareTimes)},
	} {
		if p.wrong {
			errs = append(errs, fmt.Errorf("client %q: %s", c.Name, p.text))
		}
	}
	return errors.Join(errs...)
}

// CheckClients returns everything that is wrong with clients, or nil; what it finds nothing wrong with,
// [Server.SetClients] takes.
func CheckClients(clients []Client) error {
	var errs []error
	names, owners := make(map[string]bool), make(map[string]string)
	own := func(what, name, client string) {
		if owner, ok := owners[what+name]; ok {
			errs = append(errs, fmt.Errorf("client %q: %s %s belongs to client %q already", client, what, name, owner))
		}
		owners[what+name] = client
	}
	for _, c := range clients {
		if err := c.check(); err != nil {
			errs = append(errs, err)
		}
		if names[c.Name] {
			errs = append(errs, fmt.Errorf("client %q: the name is used twice", c.Name))
		}
		names[c.Name] = true
		for _, p := range c.Networks {
			p, err := unmapPrefix(p)
			if err != nil {
				errs = append(errs, fmt.Errorf("client %q: %w", c.Name, err))
				continue
			}
			own("network", p.String(), c.Name)
		}
		for _, n := range c.CertificateNames {
			own("certificate name", strings.ToLower(n), c.Name)
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("radius: %w", errors.Join(errs...))
	}
	return nil
}

// unmapPrefix gives a network its one spelling: masked, and as IPv4 when it is v4-mapped
// (RFC 4291 section 2.5.5.2), because that is how addresses of senders are looked up.
func unmapPrefix(p netip.Prefix) (netip.Prefix, error) {
	if !p.IsValid() {
		return p, errors.New("a network is not valid")
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return p, fmt.Errorf("network %v is wider than the v4-mapped addresses", p)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}
