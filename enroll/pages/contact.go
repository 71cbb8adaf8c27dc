package pages

import (
	"html/template"
	"net/url"
	"strings"
)

// A person is whom people ask.
type person struct {
	Text string
	URL  template.URL // "": nothing to press
}

// contact makes a link of what is one of a kind that we make, and text of anything else. The
// template's own list of harmless schemes has no tel:, so what is in a URL here was looked at.
func contact(s string) person {
	scheme, rest, _ := strings.Cut(s, ":")
	u, err := url.Parse(s)
	if err != nil || rest == "" {
		return person{Text: s}
	}
	switch scheme {
	case "mailto":
		address, _, _ := strings.Cut(rest, "?")
		if plain, err := url.PathUnescape(address); err == nil {
			address = plain
		}
		return person{address, template.URL(u.String())}
	case "tel":
		return person{rest, template.URL(u.String())}
	case "https":
		if u.Host != "" {
			return person{strings.TrimSuffix(u.Host+u.Path, "/"), template.URL(u.String())}
		}
	}
	return person{Text: s}
}
