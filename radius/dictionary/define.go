package dictionary

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// kindOf returns the kind of a type's name, and for octets[N] its size.
func (p *parser) kindOf(name string) (kind Kind, size int, ok bool) {
	low := strings.ToLower(name)
	if digits, sized := strings.CutPrefix(low, "octets["); sized {
		n, err := strconv.Atoi(strings.TrimSuffix(digits, "]"))
		if err != nil || n < 1 || n > maxAttribute || !strings.HasSuffix(digits, "]") {
			p.bad(fmt.Sprintf("octets[1] to octets[%d]", maxAttribute), "%s has no such length", quoted(name))
			return 0, 0, false
		}
		return Octets, n, true
	}
	switch low {
	case "text":
		return String, 0, true
	case "uint8":
		return Byte, 0, true
	case "uint16":
		return Short, 0, true
	case "uint32":
		return Integer, 0, true
	case "uint64":
		return Integer64, 0, true
	case "int32":
		return Signed, 0, true
	case "ipv4addr":
		return IPAddr, 0, true
	case "tlv", "struct", "vsa", "extended", "long-extended", "evs", "abinary", "group":
		p.bad("remove the line, if you do not need the attribute", "type %s is not supported", low)
		return 0, 0, false
	}
	for kind := String; kind <= Signed; kind++ {
		if low == kind.String() {
			return kind, 0, true
		}
	}
	var known []string
	for kind := String; kind <= Signed; kind++ {
		known = append(known, kind.String())
	}
	hint := "one of: " + strings.Join(known, ", ")
	if near := nearest(low, known); near != "" {
		hint = fmt.Sprintf("did you mean %s?", near)
	}
	p.bad(hint, "%s is not a type", quoted(name))
	return 0, 0, false
}

func (p *parser) attribute(fields []string) {
	a := &Attribute{Name: fields[0], Vendor: p.vendor, origin: fmt.Sprintf("%s:%d", p.file, p.line)}
	if !p.named(a.Name) {
		return
	}
	var ok bool
	if a.Kind, a.Size, ok = p.kindOf(fields[2]); !ok {
		return
	}
	if len(fields) == 4 && !p.flags(a, fields[3]) {
		return
	}
	most := uint64(255)
	if a.Vendor != nil {
		most = 1<<(8*a.Vendor.TypeOctets) - 1
	}
	n, ok := p.number(fields[1], most)
	if !ok {
		return
	}
	if n == 0 && a.Vendor == nil {
		p.bad("1 to 255", "attribute %s has the number 0", a.Name)
		return
	}
	a.Number = uint32(n)
	if a.Size > a.Room() {
		p.bad(fmt.Sprintf("octets[%d] at most", a.Room()), "%s does not fit into the vendor's format", fields[2])
		return
	}
	p.define(a)
}

// flags reads what stands behind the type: flags with commas between them or, as it was once
// written, the vendor.
func (p *parser) flags(a *Attribute, text string) bool {
	for flag := range strings.SplitSeq(text, ",") {
		switch low := strings.ToLower(flag); low {
		case "has_tag":
			if a.Kind != String && a.Kind != Integer {
				p.bad("only string and integer can have one: RFC 2868 section 3", "%s with a tag", a.Kind)
				return false
			}
			a.Tagged = true
		case "concat":
			a.Concat = true
		case "secret": // FreeRADIUS does not print it
		case "encrypt=1", "encrypt=user-password":
			a.Encrypt = 1
		case "encrypt=2", "encrypt=tunnel-password":
			a.Encrypt = 2
		case "encrypt=3", "encrypt=ascend-secret":
			a.Encrypt = 3
		default:
			v := p.d.vendors[low]
			if v == nil || a.Vendor != nil && a.Vendor.ID != v.ID {
				p.bad("has_tag, concat, encrypt=1, encrypt=2, encrypt=3", "%s is not a flag", quoted(flag))
				return false
			}
			a.Vendor = v
		}
	}
	return true
}

// define takes an attribute in. One that is built in gives way, one of a file does not.
func (p *parser) define(a *Attribute) {
	key := strings.ToLower(a.Name)
	if old := p.d.byName[key]; old != nil {
		switch {
		case old.sameAs(a):
			p.d.byNumber[number{vendorID(a.Vendor), a.Number}] = old
			return
		case old.origin != "":
			p.bad("give it another name, or remove one of them", "%s is defined at %s already, and not like this", a.Name, old.origin)
			return
		}
		if was := (number{vendorID(old.Vendor), old.Number}); p.d.byNumber[was] == old {
			delete(p.d.byNumber, was)
		}
	}
	if len(p.d.byName) >= maxAttributes {
		p.bad("leave out the vendors that you do not need", "there are more than %d attributes", maxAttributes)
		return
	}
	p.d.byName[key] = a
	p.d.byNumber[number{vendorID(a.Vendor), a.Number}] = a
}

func (p *parser) value(attribute, name, text string) {
	a := p.d.byName[strings.ToLower(attribute)]
	if a == nil {
		hint := "ATTRIBUTE, before"
		if near := p.d.Nearest(attribute); near != "" {
			hint = fmt.Sprintf("did you mean %s?", near)
		}
		p.bad(hint, "attribute %s is not known", quoted(attribute))
		return
	}
	width := a.Kind.width()
	if width == 0 {
		p.bad("only whole numbers have names: integer, byte, short, integer64, signed", "%s is %s", a.Name, a.Kind)
		return
	}
	if _, err := parseNumber(name); err == nil || len(name) > maxName {
		p.bad("a name that is not a number", "%s is not a name of a value", quoted(name))
		return
	}
	most := uint64(math.MaxUint64) >> (64 - 8*width)
	if a.Kind == Signed {
		most = math.MaxInt32
	}
	n, ok := p.number(text, most)
	if !ok {
		return
	}
	if a.names == nil {
		a.names, a.values = map[string]uint64{}, map[uint64]string{}
	}
	low := strings.ToLower(name)
	if old, there := a.names[low]; there && old != n && a.origin != "" {
		p.bad("give it another name, or remove one of them", "%s of %s is %d already", quoted(name), a.Name, old)
		return
	} else if there && old != n && strings.EqualFold(a.values[old], name) {
		delete(a.values, old)
	}
	a.names[low] = n
	if a.values[n] == "" {
		a.values[n] = name
	}
}
