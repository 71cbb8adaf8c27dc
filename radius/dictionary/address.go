package dictionary

import (
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// encodeOther encodes what is neither text nor a number.
func (a *Attribute) encodeOther(value string) ([]byte, error) {
	switch a.Kind {
	case IPAddr, IPv6Addr, ComboIP:
		return a.encodeAddress(value)
	case IPv4Prefix, IPv6Prefix:
		return a.encodePrefix(value)
	case Ether:
		mac, err := net.ParseMAC(value)
		if err != nil || len(mac) != 6 {
			return nil, a.bad("such as 00:53:00:0a:0b:0c", "%s is not an Ethernet address", quoted(value))
		}
		return mac, nil
	case IfID:
		return a.encodeInterface(value)
	case Date:
		return a.encodeDate(value)
	}
	return nil, a.bad("", "type %s has no values", a.Kind)
}

func (a *Attribute) encodeAddress(value string) ([]byte, error) {
	ip, err := netip.ParseAddr(value)
	fits := err == nil && ip.Zone() == "" && !ip.Is4In6()
	switch {
	case a.Kind == IPAddr && (!fits || !ip.Is4()):
		return nil, a.bad("such as 192.0.2.1", "%s is not an IPv4 address", quoted(value))
	case a.Kind == IPv6Addr && (!fits || !ip.Is6()):
		return nil, a.bad("such as 2001:db8::1", "%s is not an IPv6 address", quoted(value))
	case !fits:
		return nil, a.bad("such as 192.0.2.1 or 2001:db8::1", "%s is not an address", quoted(value))
	}
	return ip.AsSlice(), nil
}

// encodePrefix encodes a prefix: RFC 3162 section 2.3, and RFC 6572 section 4.8 for IPv4.
func (a *Attribute) encodePrefix(value string) ([]byte, error) {
	example, six := "192.0.2.0/24", a.Kind == IPv6Prefix
	if six {
		example = "2001:db8::/32"
	}
	p, err := netip.ParsePrefix(value)
	if err != nil || p.Addr().Is6() != six || p.Addr().Is4In6() {
		return nil, a.bad("such as "+example, "%s is not a prefix", quoted(value))
	}
	if p != p.Masked() {
		return nil, a.bad("write "+p.Masked().String(), "%s has bits behind its length", quoted(value))
	}
	return append([]byte{0, byte(p.Bits())}, p.Addr().AsSlice()...), nil
}

// encodeInterface encodes an interface id: RFC 3162 section 2.2.
func (a *Attribute) encodeInterface(value string) ([]byte, error) {
	parts := strings.Split(value, ":")
	var data []byte
	for _, part := range parts {
		n, err := strconv.ParseUint(part, 16, 16)
		if err != nil || len(parts) != 4 {
			return nil, a.bad("four groups of hexadecimal digits, such as 0:0:0:1", "%s is not an interface id", quoted(value))
		}
		data = appendNumber(data, n, 2)
	}
	return data, nil
}

func (a *Attribute) encodeDate(value string) ([]byte, error) {
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		var t time.Time
		t, err = time.Parse(time.RFC3339, value)
		seconds = t.Unix()
	}
	if err != nil || seconds < 0 || seconds > math.MaxUint32 {
		return nil, a.bad("seconds since 1970, or such as 2030-12-31T23:59:59Z", "%s is not a time", quoted(value))
	}
	return appendNumber(nil, uint64(seconds), 4), nil
}

// readOther is encodeOther the other way round; false when the octets are none.
func (k Kind) readOther(data []byte) (string, bool) {
	switch {
	case (k == IPAddr || k == ComboIP) && len(data) == 4, (k == IPv6Addr || k == ComboIP) && len(data) == 16:
		ip, ok := netip.AddrFromSlice(data)
		return ip.String(), ok
	case (k == IPv4Prefix || k == IPv6Prefix) && len(data) >= 2:
		return readPrefix(k, data)
	case k == Ether && len(data) == 6:
		return net.HardwareAddr(data).String(), true
	case k == IfID && len(data) == 8:
		b := binary.BigEndian
		return fmt.Sprintf("%x:%x:%x:%x", b.Uint16(data), b.Uint16(data[2:]), b.Uint16(data[4:]), b.Uint16(data[6:])), true
	case k == Date && len(data) == 4:
		return time.Unix(int64(binary.BigEndian.Uint32(data)), 0).UTC().Format(time.RFC3339), true
	}
	return "", false
}

// readPrefix reads a prefix, of which the last octets may be left out if it is IPv6.
func readPrefix(k Kind, data []byte) (string, bool) {
	full := make([]byte, 4)
	if k == IPv6Prefix {
		full = make([]byte, 16)
	} else if len(data) != 6 {
		return "", false
	}
	if len(data)-2 > len(full) || int(data[1]) > 8*len(full) {
		return "", false
	}
	copy(full, data[2:])
	ip, ok := netip.AddrFromSlice(full)
	return netip.PrefixFrom(ip, int(data[1])).String(), ok
}
