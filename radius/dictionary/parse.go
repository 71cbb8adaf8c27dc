package dictionary

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// An Error is one thing that is wrong with a dictionary file.
type Error struct {
	File          string
	Line          int    // 0: the file as a whole
	Message, Hint string // Hint: what would be right
}

func (e *Error) Error() string {
	where := e.File
	if e.Line > 0 {
		where += ":" + strconv.Itoa(e.Line)
	}
	if e.Hint == "" {
		return where + ": " + e.Message
	}
	return where + ": " + e.Message + " (" + e.Hint + ")"
}

// maxErrors is how many are told of one file.
const maxErrors = 20

// A parser reads one file into a dictionary.
type parser struct {
	d      *Dictionary
	file   string
	line   int
	vendor *Vendor // between BEGIN-VENDOR and END-VENDOR
	begun  int     // its line
	errs   []error
}

// read adds what a file defines, and returns all that is wrong with it.
func (d *Dictionary) read(file, text string) []error {
	p := &parser{d: d, file: file}
	for line := range strings.SplitSeq(text, "\n") {
		p.line++
		if len(p.errs) == maxErrors {
			p.bad("", "there is more, which is not told")
			break
		}
		if !utf8.ValidString(line) {
			p.bad("dictionary files are UTF-8", "it is not text")
			continue
		}
		line, _, _ = strings.Cut(line, "#")
		if fields := strings.Fields(line); len(fields) > 0 {
			p.statement(strings.ToUpper(fields[0]), fields[1:])
		}
	}
	if p.vendor != nil {
		p.line = p.begun
		p.bad("END-VENDOR "+p.vendor.Name, "BEGIN-VENDOR without its end")
	}
	return p.errs
}

func (p *parser) bad(hint, form string, args ...any) {
	p.errs = append(p.errs, &Error{p.file, p.line, fmt.Sprintf(form, args...), hint})
}

func (p *parser) statement(keyword string, fields []string) {
	need := func(least, most int, form string) bool {
		if len(fields) < least || len(fields) > most {
			p.bad(form, "%s with %d words", keyword, len(fields))
			return false
		}
		return true
	}
	switch keyword {
	case "ATTRIBUTE":
		if need(3, 4, "ATTRIBUTE Name number type [flags]") {
			p.attribute(fields)
		}
	case "VALUE":
		if need(3, 3, "VALUE Attribute-Name Value-Name number") {
			p.value(fields[0], fields[1], fields[2])
		}
	case "VENDOR":
		if need(2, 3, "VENDOR Name number [format=1,1]") {
			p.newVendor(fields)
		}
	case "BEGIN-VENDOR":
		if need(1, 1, "BEGIN-VENDOR Name") {
			p.beginVendor(fields[0])
		}
	case "END-VENDOR":
		if need(1, 1, "END-VENDOR Name") {
			p.endVendor(fields[0])
		}
	case "$INCLUDE", "$INCLUDE-":
		p.bad("name that file in dictionary_files, before this one", "$INCLUDE is not followed")
	case "BEGIN-TLV", "END-TLV", "STRUCT", "MEMBER", "FLAGS", "BEGIN", "END", "ALIAS", "PROTOCOL", "BEGIN-PROTOCOL", "END-PROTOCOL", "DEFINE", "ENUM":
		p.bad("remove it, and what belongs to it", "%s is not supported", keyword)
	default:
		p.bad("ATTRIBUTE, VALUE, VENDOR, BEGIN-VENDOR or END-VENDOR", "%s is no keyword", quoted(keyword))
	}
}

// number reads a number from 0 to most.
func (p *parser) number(text string, most uint64) (uint64, bool) {
	n, err := parseNumber(text)
	switch {
	case len(text) > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9':
		p.bad("0o17 for octal, 17 for decimal", "%s begins with a zero", quoted(text))
	case strings.Contains(text, "."):
		p.bad("remove the line, if you do not need the attribute", "%s is a part of another attribute: tlv is not supported", quoted(text))
	case err != nil:
		p.bad("such as 17, 0x11 or 0o21", "%s is not a number", quoted(text))
	case n > most:
		p.bad(fmt.Sprintf("%d at most", most), "%s is too large", quoted(text))
	default:
		return n, true
	}
	return 0, false
}

// parseNumber reads a whole number: decimal, 0x or 0o.
func parseNumber(text string) (uint64, error) {
	digits, base := text, 10
	if len(text) > 2 && text[0] == '0' {
		switch text[1] {
		case 'x', 'X':
			digits, base = text[2:], 16
		case 'o', 'O':
			digits, base = text[2:], 8
		}
	}
	return strconv.ParseUint(digits, base, 64)
}

// maxName is the longest name of an attribute or a vendor, and of a value.
const maxName = 128

// named checks a name.
func (p *parser) named(name string) bool {
	other := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune("-._/+", r)
	}
	if name == "" || len(name) > maxName || strings.IndexFunc(name, other) >= 0 {
		p.bad("letters, digits and -._/+, 128 at most", "%s is not a name", quoted(name))
		return false
	}
	return true
}

func (p *parser) newVendor(fields []string) {
	v := &Vendor{Name: fields[0], TypeOctets: 1, LengthOctets: 1}
	id, ok := p.number(fields[1], 1<<24-1) // RFC 2865 section 5.26: the high-order octet is 0
	if !ok || !p.named(v.Name) {
		return
	}
	if id == 0 {
		p.bad("its SMI enterprise number", "vendor %s has the number 0", v.Name)
		return
	}
	v.ID = uint32(id)
	if len(fields) == 3 && !p.format(v, fields[2]) {
		return
	}
	if old := p.d.vendors[strings.ToLower(v.Name)]; old != nil && *old != *v {
		p.bad(fmt.Sprintf("VENDOR %s %d format=%d,%d", old.Name, old.ID, old.TypeOctets, old.LengthOctets), "vendor %s is known already, and not like this", v.Name)
		return
	}
	if old := p.d.vendorByID[v.ID]; old == nil {
		p.d.vendorByID[v.ID] = v
	} else if old.TypeOctets != v.TypeOctets || old.LengthOctets != v.LengthOctets {
		p.bad(fmt.Sprintf("format=%d,%d", old.TypeOctets, old.LengthOctets), "vendor %d is known as %s already, with another format", v.ID, old.Name)
		return
	}
	p.d.vendors[strings.ToLower(v.Name)] = v
}

func (p *parser) format(v *Vendor, flag string) bool {
	octets, ok := strings.CutPrefix(strings.ToLower(flag), "format=")
	octets, continued := strings.CutSuffix(octets, ",c")
	switch {
	case ok && continued:
		p.bad("remove the vendor, if you do not need it", "a continuation octet is not supported")
		return false
	case ok && len(octets) == 3 && octets[1] == ',' && strings.IndexByte("124", octets[0]) >= 0 && strings.IndexByte("012", octets[2]) >= 0:
		v.TypeOctets, v.LengthOctets = int(octets[0]-'0'), int(octets[2]-'0')
		return true
	}
	p.bad("format=t,l: t is 1, 2 or 4, l is 0, 1 or 2", "%s is not a format", quoted(flag))
	return false
}

func (p *parser) beginVendor(name string) {
	v := p.d.vendors[strings.ToLower(name)]
	switch {
	case p.vendor != nil:
		p.bad("END-VENDOR "+p.vendor.Name, "the block of vendor %s, on line %d, has not ended", p.vendor.Name, p.begun)
	case v == nil:
		p.bad("VENDOR name number, before", "vendor %s is not known", quoted(name))
	default:
		p.vendor, p.begun = v, p.line
	}
}

func (p *parser) endVendor(name string) {
	switch {
	case p.vendor == nil:
		p.bad("BEGIN-VENDOR name, before", "no vendor's block has begun")
	case !strings.EqualFold(p.vendor.Name, name):
		p.bad("END-VENDOR "+p.vendor.Name, "the block is of vendor %s", p.vendor.Name)
	default:
		p.vendor = nil
	}
}

// quoted is what somebody wrote, for a message: not longer than a line.
func quoted(s string) string {
	const most = 60
	if len(s) <= most {
		return strconv.Quote(s)
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.Quote(s[:cut]) + "..."
}
