package dictionary

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// A Kind is the type of an attribute's value.
type Kind uint8

// The kinds, named as in FreeRADIUS's files.
const (
	String Kind = iota + 1
	Octets
	Integer
	IPAddr
	IPv6Addr
	IPv6Prefix
	IPv4Prefix
	ComboIP // an IPv4 or IPv6 address, told apart by its length
	Date
	Ether
	IfID
	Byte
	Short
	Integer64
	Signed
)

func (k Kind) String() string {
	names := [...]string{
		String: "string", Octets: "octets", Integer: "integer", IPAddr: "ipaddr", IPv6Addr: "ipv6addr",
		IPv6Prefix: "ipv6prefix", IPv4Prefix: "ipv4prefix", ComboIP: "combo-ip", Date: "date", Ether: "ether",
		IfID: "ifid", Byte: "byte", Short: "short", Integer64: "integer64", Signed: "signed",
	}
	if int(k) < len(names) && names[k] != "" {
		return names[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// isText reports whether values are texts, of any length.
func (k Kind) isText() bool { return k == String || k == Octets }

// width is how many octets a whole number has; 0: it is none.
func (k Kind) width() int {
	switch k {
	case Byte:
		return 1
	case Short:
		return 2
	case Integer, Signed:
		return 4
	case Integer64:
		return 8
	}
	return 0
}

// A Vendor has attributes of its own, inside Vendor-Specific (RFC 2865 section 5.26).
type Vendor struct {
	Name string
	ID   uint32 // SMI enterprise number
	// TypeOctets and LengthOctets are how many the vendor uses for each: 1, 2 or 4, and 0, 1 or 2.
	// Nearly all use one.
	TypeOctets, LengthOctets int
}

// An Attribute is one of a [Dictionary]. Nobody changes it.
type Attribute struct {
	Name    string
	Vendor  *Vendor // nil: a standard attribute
	Number  uint32  // the vendor's, or 1 to 255
	Kind    Kind
	Tagged  bool // has_tag: RFC 2868 section 3
	Encrypt int  // encrypt=N; 0: in clear text
	Concat  bool // several instances are one value, in pieces
	Size    int  // octets[Size]; 0: any

	origin string            // file:line that defined it; empty: built in
	names  map[string]uint64 // VALUE names in lower case
	values map[uint64]string // the first VALUE name of each number
}

// vendorSpecific is the attribute that vendors' attributes are inside of.
const vendorSpecific = 26

// Most octets of an attribute's value, and of all instances of one text: RFC 2865 section 3.
const (
	maxAttribute = 253
	maxText      = 4096
)

// A Wire is an attribute as it stands in a packet, without its length. Nobody changes Value.
type Wire struct {
	Type  byte
	Value []byte // at most 253 octets
}

// Octets is how many octets of a packet it takes.
func (w Wire) Octets() int { return 2 + len(w.Value) }

// Type is the number of the attribute that stands in the packet: 26 for a vendor's.
func (a *Attribute) Type() byte {
	if a.Vendor != nil {
		return vendorSpecific
	}
	return byte(a.Number)
}

// Is reports whether w is this attribute.
func (a *Attribute) Is(w Wire) bool {
	if w.Type != a.Type() {
		return false
	}
	if a.Vendor == nil {
		return true
	}
	vendor, number, _, ok := a.Vendor.open(w.Value)
	return ok && vendor == a.Vendor.ID && number == a.Number
}

// Room is how many octets of data fit into one instance, its tag included.
func (a *Attribute) Room() int {
	if a.Vendor == nil {
		return maxAttribute
	}
	return maxAttribute - 4 - a.Vendor.TypeOctets - a.Vendor.LengthOctets
}

// wire packs data, which has to fit.
func (a *Attribute) wire(data []byte) Wire {
	if a.Vendor == nil {
		return Wire{Type: byte(a.Number), Value: data}
	}
	v := a.Vendor
	header := v.TypeOctets + v.LengthOctets
	value := binary.BigEndian.AppendUint32(make([]byte, 0, 4+header+len(data)), v.ID)
	value = appendNumber(value, uint64(a.Number), v.TypeOctets)
	value = appendNumber(value, uint64(header+len(data)), v.LengthOctets)
	return Wire{Type: vendorSpecific, Value: append(value, data...)}
}

// open unpacks the value of Vendor-Specific: false when it does not hold exactly one attribute.
func (v *Vendor) open(value []byte) (vendor, number uint32, data []byte, ok bool) {
	header := v.TypeOctets + v.LengthOctets
	if len(value) < 4+header {
		return 0, 0, nil, false
	}
	vendor, rest := binary.BigEndian.Uint32(value), value[4:]
	if v.LengthOctets > 0 && readNumber(rest[v.TypeOctets:header]) != uint64(len(rest)) {
		return 0, 0, nil, false
	}
	return vendor, uint32(readNumber(rest[:v.TypeOctets])), rest[header:], true
}

// appendNumber appends the last octets of n, in network order.
func appendNumber(to []byte, n uint64, octets int) []byte {
	for i := octets - 1; i >= 0; i-- {
		to = append(to, byte(n>>(8*i)))
	}
	return to
}

func readNumber(octets []byte) (n uint64) {
	for _, o := range octets {
		n = n<<8 | uint64(o)
	}
	return n
}

// sameAs reports whether two definitions mean the same on the wire.
func (a *Attribute) sameAs(b *Attribute) bool {
	return a.Number == b.Number && a.Kind == b.Kind && a.Tagged == b.Tagged && a.Encrypt == b.Encrypt &&
		a.Size == b.Size && vendorID(a.Vendor) == vendorID(b.Vendor)
}

func vendorID(v *Vendor) uint32 {
	if v == nil {
		return 0
	}
	return v.ID
}

// valueNames returns the names of its values, in no order.
func (a *Attribute) valueNames() []string {
	names := make([]string, 0, len(a.values))
	for _, name := range a.values {
		names = append(names, name)
	}
	return names
}

// number returns what a VALUE name stands for.
func (a *Attribute) number(name string) (uint64, bool) {
	n, ok := a.names[strings.ToLower(name)]
	return n, ok
}
