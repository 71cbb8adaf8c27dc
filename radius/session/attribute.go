package session

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ErrMalformed is wrapped by the error for a packet that is not as the RFCs have it.
var ErrMalformed = errors.New("malformed accounting")

// The attributes that are read (RFC 2865, 2866, 2869, 3162).
const (
	typeUserName         = 1
	typeNASIPAddress     = 4
	typeFramedIPAddress  = 8
	typeCallingStationID = 31
	typeNASIdentifier    = 32
	typeStatusType       = 40
	typeDelayTime        = 41
	typeInputOctets      = 42
	typeOutputOctets     = 43
	typeSessionID        = 44
	typeSessionTime      = 46
	typeTerminateCause   = 49
	typeInputGigawords   = 52
	typeOutputGigawords  = 53
	typeEventTimestamp   = 55
	typeNASIPv6Address   = 95
	typeFramedIPv6Prefix = 97
)

// How many octets of a text are kept.
const (
	maxName    = 253
	maxNAS     = 96
	maxSession = 96
	maxStation = 64
	maxClient  = 64
)

// Read reads an Accounting-Request, of which get returns the first attribute of a type. An error
// wraps [ErrMalformed] and names the attribute: a value has another length than its type has, or
// Acct-Status-Type is missing.
func Read(get func(kind byte) ([]byte, bool)) (Record, error) {
	in := attributes{get: get}
	if _, ok := get(typeStatusType); !ok {
		return Record{}, fmt.Errorf("%w: Acct-Status-Type is missing", ErrMalformed)
	}
	r := Record{
		Status:  Status(in.number(typeStatusType, "Acct-Status-Type")),
		Session: identity(in.octets(typeSessionID), maxSession),
		Name:    printable(in.octets(typeUserName), maxName),
		NAS:     in.nas(),
		Station: printable(in.octets(typeCallingStationID), maxStation),
		Address: in.framed(),
		Lasted:  in.seconds(typeSessionTime, "Acct-Session-Time"),
		In:      in.number(typeInputGigawords, "Acct-Input-Gigawords")<<32 | in.number(typeInputOctets, "Acct-Input-Octets"),
		Out:     in.number(typeOutputGigawords, "Acct-Output-Gigawords")<<32 | in.number(typeOutputOctets, "Acct-Output-Octets"),
		Cause:   Cause(in.number(typeTerminateCause, "Acct-Terminate-Cause")),
		Delay:   in.seconds(typeDelayTime, "Acct-Delay-Time"),
	}
	if at := in.number(typeEventTimestamp, "Event-Timestamp"); at != 0 {
		r.Stamp = time.Unix(int64(at), 0).UTC()
	}
	if in.err != nil {
		return Record{}, in.err
	}
	return r, nil
}

// attributes are those of a packet, and the first thing that is wrong with them.
type attributes struct {
	get func(kind byte) ([]byte, bool)
	err error
}

func (a *attributes) octets(kind byte) []byte {
	octets, _ := a.get(kind)
	return octets
}

// sized returns a value of least to most octets; nil when it is absent or has another length.
func (a *attributes) sized(kind byte, name string, least, most int) []byte {
	octets, ok := a.get(kind)
	if !ok {
		return nil
	}
	if len(octets) < least || len(octets) > most {
		want := fmt.Sprint(least)
		if most > least {
			want = fmt.Sprintf("%d to %d", least, most)
		}
		a.wrong("%s has %d octets, not %s", name, len(octets), want)
		return nil
	}
	return octets
}

func (a *attributes) wrong(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
	}
}

// number is an unsigned value of 32 bits; 0 when it is absent.
func (a *attributes) number(kind byte, name string) uint64 {
	if octets := a.sized(kind, name, 4, 4); octets != nil {
		return uint64(binary.BigEndian.Uint32(octets))
	}
	return 0
}

func (a *attributes) seconds(kind byte, name string) time.Duration {
	return time.Duration(a.number(kind, name)) * time.Second
}

// nas is what the gateway calls itself: RFC 2866 section 4.1 wants a name or an address.
func (a *attributes) nas() string {
	four := a.sized(typeNASIPAddress, "NAS-IP-Address", 4, 4)
	six := a.sized(typeNASIPv6Address, "NAS-IPv6-Address", 16, 16)
	if name := identity(a.octets(typeNASIdentifier), maxNAS); name != "" {
		return name
	}
	if addr, ok := netip.AddrFromSlice(four); ok {
		return addr.String()
	}
	if addr, ok := netip.AddrFromSlice(six); ok {
		return addr.String()
	}
	return ""
}

// framed is the address that the person was given. Two values of Framed-IP-Address are none
// (RFC 2865 section 5.8).
func (a *attributes) framed() string {
	four := a.sized(typeFramedIPAddress, "Framed-IP-Address", 4, 4)
	prefix := a.prefix(a.sized(typeFramedIPv6Prefix, "Framed-IPv6-Prefix", 2, 18))
	if addr, ok := netip.AddrFromSlice(four); ok && binary.BigEndian.Uint32(four) < 0xfffffffe {
		return addr.String()
	}
	return prefix
}

// prefix reads a prefix as RFC 3162 section 2.3 has it: a reserved octet, its length in bits, and
// no more octets than it needs, or all 16.
func (a *attributes) prefix(octets []byte) string {
	if octets == nil {
		return ""
	}
	bits, given := int(octets[1]), octets[2:]
	if bits > 128 || (bits+7)/8 > len(given) {
		a.wrong("Framed-IPv6-Prefix has %d bits in %d octets", bits, len(given))
		return ""
	}
	var whole [16]byte
	copy(whole[:], given)
	return netip.PrefixFrom(netip.AddrFrom16(whole), bits).Masked().String()
}

// bounded is r with its texts as [Read] leaves them, in case that somebody else has made it.
func (r Record) bounded() Record {
	r.Session, r.NAS = identity([]byte(r.Session), maxSession), identity([]byte(r.NAS), maxNAS)
	r.Name, r.Station = printable([]byte(r.Name), maxName), printable([]byte(r.Station), maxStation)
	r.Address = printable([]byte(r.Address), maxStation)
	return r
}

// printable is text from a packet as it is shown: no control characters, at most so many octets.
func printable(octets []byte, most int) string {
	text := strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, string(octets))
	return cut(text, most)
}

func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

// identity is printable text that differs where the octets do: what does not fit or cannot be printed
// leaves its hash behind.
func identity(octets []byte, most int) string {
	text := printable(octets, most)
	if text == string(octets) {
		return text
	}
	sum := sha256.Sum256(octets)
	tail := fmt.Sprintf("~%x", sum[:8])
	return cut(text, most-len(tail)) + tail
}
