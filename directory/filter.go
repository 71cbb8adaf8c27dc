package directory

import (
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// A term says that an attribute has a value.
type term struct{ attribute, value string }

// anyOf returns the filter (RFC 4515) for entries of which one of the terms is true. It is the one
// place where filters are made, and where values are escaped: once, because escaping what is
// escaped already makes another name of it. The attributes come from the configuration, which
// checks them.
func anyOf(terms ...term) string {
	var b strings.Builder
	if len(terms) > 1 {
		b.WriteString("(|")
	}
	for _, t := range terms {
		b.WriteString("(" + t.attribute + "=" + ldap.EscapeFilter(t.value) + ")")
	}
	if len(terms) > 1 {
		b.WriteString(")")
	}
	return b.String()
}
