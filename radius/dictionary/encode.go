package dictionary

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A ValueError says why a text is no value of an attribute.
type ValueError struct {
	Attribute     string
	Message, Hint string // Hint: what would be right
}

func (e *ValueError) Error() string {
	if e.Hint == "" {
		return e.Attribute + ": " + e.Message
	}
	return e.Attribute + ": " + e.Message + " (" + e.Hint + ")"
}

func (a *Attribute) bad(hint, form string, args ...any) error {
	return &ValueError{a.Name, fmt.Sprintf(form, args...), hint}
}

// Encode returns the attributes that carry a value as it is written in a configuration; see the
// package comment. Only texts can be several. The error is a [*ValueError].
func (a *Attribute) Encode(value string) ([]Wire, error) {
	tag, rest, err := a.SplitTag(value)
	if err != nil {
		return nil, err
	}
	digits, isHex := strings.CutPrefix(rest, "0x")
	if a.Kind != Octets || !isHex {
		return a.encode(tag, rest)
	}
	octets, err := hex.DecodeString(digits)
	if err != nil || len(octets) == 0 {
		return nil, a.bad("0x and an even number of hexadecimal digits, such as 0x0a1b", "%s is not hexadecimal", quoted(rest))
	}
	if err := a.encodable(); err != nil {
		return nil, err
	}
	if a.Size > 0 && len(octets) != a.Size {
		return nil, a.bad("", "%d octets, and it has %d", len(octets), a.Size)
	}
	most := a.Room()
	switch {
	case len(octets) <= most:
		return []Wire{a.wire(octets)}, nil
	case !a.Concat:
		return nil, a.bad("", "%d octets, of %d at most", len(octets), most)
	case len(octets) > maxText:
		return nil, a.bad("", "%d octets: a packet has no room for them", len(octets))
	}
	var wires []Wire
	for len(octets) > 0 {
		n := min(most, len(octets))
		wires = append(wires, a.wire(octets[:n]))
		octets = octets[n:]
	}
	return wires, nil
}

// SplitTag returns the tag that a value begins with, such as the 1 of ":1:VLAN", and what follows
// it. It is 0 when there is none, and for attributes without tags, whose values may begin so.
func (a *Attribute) SplitTag(value string) (tag int, rest string, err error) {
	inner, colon := strings.CutPrefix(value, ":")
	digits, rest, ok := strings.Cut(inner, ":")
	if !a.Tagged || !colon || !ok || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, value, nil
	}
	tag, err = strconv.Atoi(digits)
	if err != nil || tag > maxTag {
		return 0, "", a.bad(fmt.Sprintf(":1:value, up to :%d:value", maxTag), "%s is not a tag", quoted(digits))
	}
	return tag, rest, nil
}

// maxTag is the largest: RFC 2868 section 3.1. 0 is none.
const maxTag = 0x1f

// encodable returns an error for attributes that Encode cannot make.
func (a *Attribute) encodable() error {
	if a.Encrypt > 0 {
		return a.bad("only the server itself sends such attributes", "it has to be encrypted")
	}
	return nil
}

// EncodeText is [Attribute.Encode] for a text that nobody wrote into a configuration: it holds no
// tag and no 0x, whatever it looks like. Tag is 0 to 31; 0: none.
//
// Whoever wrote it must not get to write attributes. It is therefore one attribute, or several pieces
// of one value when the attribute has concat; a longer text is an error, because its end would be
// read as an attribute of its own, and so is one with a control character or a line break ([IsControl]).
func (a *Attribute) EncodeText(tag int, text string) ([]Wire, error) {
	most := a.Room()
	if tag > 0 {
		most--
	}
	switch {
	case strings.ContainsFunc(text, IsControl):
		return nil, a.bad("", "%s holds a control character", quoted(text))
	case a.Kind.isText() && !a.Concat && len(text) > most:
		return nil, a.bad("a text from elsewhere is never divided", "%d octets, of %d at most", len(text), most)
	}
	return a.encode(tag, text)
}

// IsControl reports whether a character is one that a gateway, its log or its terminal may act upon,
// rather than show: the controls of ASCII and Latin-1, and the separators of lines and paragraphs.
func IsControl(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// encode encodes a text whose tag has been taken off.
func (a *Attribute) encode(tag int, text string) ([]Wire, error) {
	if err := a.encodable(); err != nil {
		return nil, err
	}
	if tag < 0 || tag > maxTag || tag > 0 && !a.Tagged {
		return nil, a.bad("", "tag %d", tag)
	}
	if a.Kind.isText() {
		return a.encodeText(tag, text)
	}
	value := strings.TrimSpace(text)
	var data []byte
	var err error
	switch {
	case value == "":
		err = a.bad("", "the value is empty")
	case a.Kind.width() > 0:
		data, err = a.encodeNumber(tag, value)
	default:
		data, err = a.encodeOther(value)
	}
	if err != nil {
		return nil, err
	}
	return []Wire{a.wire(data)}, nil
}

// encodeText divides a text between as many attributes as it needs, between characters.
func (a *Attribute) encodeText(tag int, text string) ([]Wire, error) {
	switch {
	case text == "": // RFC 2865 section 5: it MUST NOT be sent
		return nil, a.bad("", "the value is empty")
	case !utf8.ValidString(text):
		return nil, a.bad("", "%s is not UTF-8", quoted(text))
	case strings.IndexByte(text, 0) >= 0: // where a gateway written in C would end it
		return nil, a.bad("", "%s holds a NUL", quoted(text))
	case a.Tagged && tag == 0 && text[0] <= maxTag: // RFC 2868 section 3.3: it would be read as one
		return nil, a.bad("write a tag before it, such as :1:", "%s begins with an octet that is read as a tag", quoted(text))
	case a.Size > 0 && len(text) != a.Size:
		return nil, a.bad("", "%s has %d octets, and it has %d", quoted(text), len(text), a.Size)
	case len(text) > maxText:
		return nil, a.bad("", "%d octets: a packet has no room for them", len(text))
	}
	most := a.Room()
	if tag > 0 {
		most--
	}
	wires := make([]Wire, 0, 1+len(text)/most)
	for text != "" {
		n := min(most, len(text))
		for n < len(text) && n > utf8.UTFMax && !utf8.RuneStart(text[n]) {
			n--
		}
		data := make([]byte, 0, n+1)
		if tag > 0 {
			data = append(data, byte(tag))
		}
		wires = append(wires, a.wire(append(data, text[:n]...)))
		text = text[n:]
	}
	return wires, nil
}

// encodeNumber encodes a number, or the name of one. A tag takes the place of its first octet, and
// so does none: RFC 2868 section 3.1.
func (a *Attribute) encodeNumber(tag int, value string) ([]byte, error) {
	width := a.Kind.width()
	bits := 8 * width
	if a.Tagged {
		bits -= 8
	}
	if a.Kind == Signed {
		if n, err := strconv.ParseInt(value, 10, 32); err == nil {
			return appendNumber(nil, uint64(n), width), nil
		}
	}
	n, err := parseNumber(value)
	if err != nil {
		var known bool
		if n, known = a.number(value); !known {
			return nil, a.noNumber(value, bits)
		}
	}
	if n > math.MaxUint64>>(64-bits) || a.Kind == Signed && n > math.MaxInt32 {
		return nil, a.bad(a.span(bits), "%s is too large", quoted(value))
	}
	data := appendNumber(nil, n, width)
	if a.Tagged {
		data[0] = byte(tag)
	}
	return data, nil
}

// noNumber says what a number, or a name of one, could have been.
func (a *Attribute) noNumber(value string, bits int) error {
	if len(a.values) == 0 {
		return a.bad(a.span(bits), "%s is not a number", quoted(value))
	}
	hint := "one of its names, or " + a.span(bits)
	if near := nearest(value, a.valueNames()); near != "" {
		hint = fmt.Sprintf("did you mean %s?", near)
	}
	return a.bad(hint, "%s is not the name of a value", quoted(value))
}

// span says which numbers fit.
func (a *Attribute) span(bits int) string {
	if a.Kind == Signed {
		return fmt.Sprintf("a whole number from %d to %d", math.MinInt32, math.MaxInt32)
	}
	return fmt.Sprintf("a whole number from 0 to %d", uint64(math.MaxUint64)>>(64-bits))
}
