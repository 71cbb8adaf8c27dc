package configs

import (
	"regexp"
	"strings"
)

// RFC 4512 section 1.4: descr, or numericoid.
var (
	attributeName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`)
	attributeOID  = regexp.MustCompile(`^\d+(\.\d+)+$`)
)

// attributes returns names of attributes, or otherwise; an empty list is a problem.
func (o *object) attributes(name, otherwise string) []string {
	list := o.some(name, "name one at least, or leave the key out", otherwise)
	for _, it := range list {
		if !attributeName.MatchString(it.text) {
			it.bad("such as uid or mail", "%q is not the name of an attribute", it.text)
		}
	}
	return values(list)
}

// realms returns what may stand behind the @ of a name, or before its backslash.
func (o *object) realms(name string) []string {
	list := o.items(name)
	for _, it := range list {
		if strings.ContainsAny(it.text, `@\`) {
			it.bad(`without @ and \: corp.example for alice@corp.example, CORP for CORP\alice`, "%q is not a realm", it.text)
		}
	}
	return values(list)
}

// distinguished reports whether s is written as a distinguished name is: RFC 4514 section 3. A
// bind_dn is not held to it, because Active Directory takes names such as otpgate@corp.example.
func distinguished(s string) bool {
	for _, relative := range unescapedFields(s, ",") {
		for _, part := range unescapedFields(relative, "+") {
			attribute, value, ok := strings.Cut(part, "=")
			attribute = strings.TrimSpace(attribute)
			if !ok || !attributeName.MatchString(attribute) && !attributeOID.MatchString(attribute) || !escaped(value) {
				return false
			}
		}
	}
	return true
}

// unescapedFields splits s where sep has no backslash before it.
func unescapedFields(s, sep string) []string {
	var fields []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == sep[0]:
			fields, start = append(fields, s[start:i]), i+1
		}
	}
	return append(fields, s[start:])
}

// escaped reports whether every special character of a value has its backslash.
func escaped(value string) bool {
	const special, hex = "\"+,;<>\\ #=", "0123456789abcdefABCDEF"
	for i := 0; i < len(value); i++ {
		switch {
		case value[i] == '\\' && i+1 < len(value) && strings.IndexByte(special, value[i+1]) >= 0:
			i++
		case value[i] == '\\' && i+2 < len(value) && strings.IndexByte(hex, value[i+1]) >= 0 && strings.IndexByte(hex, value[i+2]) >= 0:
			i += 2
		case strings.IndexByte("\"+,;<>\\\x00", value[i]) >= 0:
			return false
		}
	}
	return true
}
