package dictionary

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Describe returns the name of an attribute and its value as [Attribute.Encode] takes it. An
// attribute that is not known is called Attr-N, or Attr-26.vendor.N; a value that does not fit its
// type, and one that would not survive being printed, is 0x and hexadecimal digits. Of an encrypted
// attribute, the value is "(encrypted)".
func (d *Dictionary) Describe(w Wire) (name, value string) {
	if w.Type != vendorSpecific {
		a := d.byNumber[number{0, uint32(w.Type)}]
		if a == nil {
			return fmt.Sprintf("Attr-%d", w.Type), hexadecimal(w.Value)
		}
		return a.Name, a.describe(w.Value)
	}
	v := &Vendor{TypeOctets: 1, LengthOctets: 1}
	if len(w.Value) >= 4 {
		if known := d.vendorByID[uint32(readNumber(w.Value[:4]))]; known != nil {
			v = known
		}
	}
	id, n, data, ok := v.open(w.Value)
	if !ok {
		return "Vendor-Specific", hexadecimal(w.Value)
	}
	a := d.byNumber[number{id, n}]
	if a == nil || id == 0 {
		return fmt.Sprintf("Attr-%d.%d.%d", vendorSpecific, id, n), hexadecimal(data)
	}
	return a.Name, a.describe(data)
}

func (a *Attribute) describe(data []byte) string {
	if a.Encrypt > 0 {
		return "(encrypted)"
	}
	if a.Kind.isText() {
		return a.describeText(data)
	}
	width := a.Kind.width()
	if width == 0 {
		if value, ok := a.Kind.readOther(data); ok {
			return value
		}
		return hexadecimal(data)
	}
	if len(data) != width {
		return hexadecimal(data)
	}
	prefix := ""
	if a.Tagged {
		if data[0] > 0 {
			prefix = fmt.Sprintf(":%d:", data[0])
		}
		data = data[1:]
	}
	n := readNumber(data)
	if name := a.values[n]; name != "" {
		return prefix + name
	}
	if a.Kind == Signed {
		return strconv.Itoa(int(int32(uint32(n))))
	}
	return prefix + strconv.FormatUint(n, 10)
}

func (a *Attribute) describeText(data []byte) string {
	prefix := ""
	if a.Tagged && len(data) > 1 && data[0] > 0 && data[0] <= maxTag {
		prefix, data = fmt.Sprintf(":%d:", data[0]), data[1:]
	}
	text := string(data)
	switch {
	case a.Kind == String && utf8.ValidString(text) && printable(text):
		return prefix + text
	case a.Kind == Octets && utf8.ValidString(text) && printable(text) && !strings.HasPrefix(text, "0x"):
		return text
	case a.Kind == String && utf8.ValidString(text):
		return prefix + strconv.Quote(text)
	}
	return prefix + hexadecimal(data)
}

func printable(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

func hexadecimal(data []byte) string { return "0x" + hex.EncodeToString(data) }
