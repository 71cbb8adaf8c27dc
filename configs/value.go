package configs

import (
	"cmp"
	"fmt"
	"math"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
)

// scalar returns a value as it was written. Numbers and words are text too: a password may be 1234.
func scalar(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, utf8.ValidString(v.Value)
	case *ast.LiteralNode:
		return v.Value.Value, utf8.ValidString(v.Value.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return v.GetToken().Value, true
	}
	return "", false
}

// text returns the text under a key, or otherwise.
func (o *object) text(name, otherwise string) string {
	v := o.take(name)
	if v == nil {
		return otherwise
	}
	s, ok := scalar(v)
	if !ok {
		o.bad(name, "", "%s where text is expected", describe(v))
		return otherwise
	}
	return s
}

// required is text that must be there and not be empty.
func (o *object) required(name, hint string) string {
	s := strings.TrimSpace(o.text(name, ""))
	if s == "" {
		o.lacks(name, hint)
	}
	return s
}

// filled is text that must not be empty when the key is there, or otherwise.
func (o *object) filled(name, otherwise, hint string) string {
	s := strings.TrimSpace(o.text(name, otherwise))
	if s == "" {
		o.bad(name, hint, "it is empty")
		return otherwise
	}
	return s
}

// texts returns a list of texts, or otherwise.
func (o *object) texts(name string, otherwise ...string) []string {
	return values(o.items(name, otherwise...))
}

// item is one text of a list, with its own place.
type item struct {
	r    *reader
	key  string // such as radius.listen[0]
	at   position
	text string
}

// items returns a list of texts with their places, or otherwise.
func (o *object) items(name string, otherwise ...string) []item {
	v := o.take(name)
	list, ok := v.(*ast.SequenceNode)
	if !ok {
		if v != nil {
			o.bad(name, "write a list: [one, two]", "%s where a list is expected", describe(v))
		}
		out := make([]item, len(otherwise))
		for i, s := range otherwise {
			out[i] = item{o.r, o.path(name), o.position(name), s}
		}
		return out
	}
	out := make([]item, 0, len(list.Values))
	for i, n := range list.Values {
		s, ok := scalar(n)
		it := item{o.r, fmt.Sprintf("%s[%d]", o.path(name), i), positionOf(n), strings.TrimSpace(s)}
		switch {
		case !ok:
			it.bad("", "%s where text is expected", describe(n))
		case it.text == "":
			it.bad("", "it is empty")
		default:
			o.r.where[fmt.Sprintf("%s[%d]", o.path(name), len(out))] = it.at
			out = append(out, it)
		}
	}
	return out
}

// some is items with one at least: an empty list is a problem, and so is none without otherwise.
func (o *object) some(name, hint string, otherwise ...string) []item {
	had := len(o.r.problems.List)
	list := o.items(name, otherwise...)
	if len(list) == 0 && len(o.r.problems.List) == had {
		o.lacks(name, hint)
	}
	return list
}

// lacks reports a key without which there is nothing to do.
func (o *object) lacks(name, hint string) {
	if o.has(name) {
		o.bad(name, hint, "it is empty")
		return
	}
	o.bad(name, hint, "it is missing")
}

func (i item) bad(hint, form string, args ...any) { i.r.problem(i.at, i.key, hint, form, args...) }

func values(list []item) []string {
	if list == nil {
		return nil
	}
	out := make([]string, len(list))
	for i, it := range list {
		out[i] = it.text
	}
	return out
}

// choice returns one of the allowed words; the first is the default.
func (o *object) choice(name string, allowed ...string) string {
	return o.oneOf(name, allowed[0], allowed...)
}

// oneOf returns one of the allowed words, or otherwise when the key is not there.
func (o *object) oneOf(name, otherwise string, allowed ...string) string {
	if !o.has(name) {
		o.take(name)
		return otherwise
	}
	s := o.text(name, otherwise)
	if slices.Contains(allowed, s) {
		return s
	}
	hint := "one of: " + strings.Join(allowed, ", ")
	if near := nearest(s, allowed); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	o.bad(name, hint, "%q is not a value it can have", s)
	return otherwise
}

// yes returns true or false.
func (o *object) yes(name string, otherwise bool) bool {
	v := o.take(name)
	if v == nil {
		return otherwise
	}
	b, ok := v.(*ast.BoolNode)
	if !ok {
		o.bad(name, "true or false", "%s where true or false is expected", describe(v))
		return otherwise
	}
	return b.Value
}

// number returns a whole number between least and most.
func (o *object) number(name string, otherwise, least, most int) int {
	s := o.text(name, strconv.Itoa(otherwise))
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		o.bad(name, fmt.Sprintf("a whole number from %d to %d", least, most), "%q is not in range", s)
		return otherwise
	}
	return n
}

// duration returns a time such as 90s or 1h between least and most.
func (o *object) duration(name string, otherwise, least, most time.Duration) time.Duration {
	if !o.has(name) {
		o.take(name)
		return otherwise
	}
	s := o.text(name, otherwise.String())
	d, err := time.ParseDuration(s)
	if s == "0" {
		d, err = 0, nil
	}
	if err != nil || d < least || d > most {
		o.bad(name, fmt.Sprintf("a time from %s to %s, with its unit: 500ms, 60s, 5m, 1h", short(least), short(most)), "%q is not in range", s)
		return otherwise
	}
	return d
}

// short is a duration as people write it: 1h, not 1h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

var units = []struct {
	name string
	size int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}}

// size returns a number of octets such as 64MiB between least and most.
func (o *object) size(name string, otherwise, least, most int64) int64 {
	if !o.has(name) {
		o.take(name)
		return otherwise
	}
	s := o.text(name, "")
	factor := int64(1)
	digits := s
	for _, u := range units {
		if strings.HasSuffix(s, u.name) {
			digits, factor = strings.TrimSuffix(s, u.name), u.size
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if err != nil || n > math.MaxInt64/factor || n*factor < least || n*factor > most {
		o.bad(name, fmt.Sprintf("a size from %d KiB to %d GiB: 64MiB", least>>10, most>>30), "%q is not in range", s)
		return otherwise
	}
	return n * factor
}

// address returns "host:port", to listen on.
func (o *object) address(name, otherwise string) string {
	s := o.text(name, otherwise)
	if !listenable(s) {
		o.bad(name, listenHint, "%q is not an address to listen on", withoutLogin(s))
	}
	return s
}

// addresses returns a list of them, with one at least.
func (o *object) addresses(name, otherwise string) []string {
	list := o.some(name, listenHint, otherwise)
	for _, it := range list {
		if !listenable(it.text) {
			it.bad(listenHint, "%q is not an address to listen on", withoutLogin(it.text))
		}
	}
	return values(list)
}

const listenHint = `":1812" for all addresses, "192.0.2.1:1812" or "[2001:db8::1]:1812" for one`

// listenable checks "host:port"; the host may be empty, for all addresses.
func listenable(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err == nil {
		var n int
		n, err = strconv.Atoi(port)
		if n < 0 || n > 65535 {
			err = strconv.ErrRange
		}
	}
	if err == nil && host != "" && host != "localhost" {
		_, err = netip.ParseAddr(host)
	}
	return err == nil
}

// A door is an address to listen on.
type door struct {
	key  string // that says so: radius.listen[0]
	list string // the same without the number
	at   position
	text string

	port  int
	host  netip.Addr // none: localhost, of which nobody here knows the family
	every bool       // every address of the family of host; of both, if that is none
}

// doors reads what a key says as those do who listen: over UDP "0.0.0.0" is every address of IPv4, and over TCP it is, as package
// net has it, every one of both families. What is no address was told before.
func (r *reader) doors(key string, tcp bool, addresses ...string) (list []door) {
	for i, text := range addresses {
		if !listenable(text) {
			continue
		}
		d := door{key: fmt.Sprintf("%s[%d]", key, i), list: key, text: text}
		if _, is := r.where[d.key]; !is { // no list, or the default
			d.key = key
		}
		d.at = r.where[d.key]
		host, port, _ := net.SplitHostPort(text)
		d.port, _ = strconv.Atoi(port)
		d.host, _ = netip.ParseAddr(host)
		d.host = d.host.Unmap()
		if d.every = host == "" || d.host.IsUnspecified(); d.every && tcp {
			d.host = netip.Addr{}
		}
		list = append(list, d)
	}
	return list
}

// meets reports whether it is known that two cannot be listened on beside each other.
func (d door) meets(other door) bool {
	switch {
	case d.port != other.port || d.port == 0: // for 0 the system finds one that is free
		return false
	case d.every && !d.host.IsValid() || other.every && !other.host.IsValid():
		return true
	case d.every || other.every:
		return d.host.BitLen() == other.host.BitLen()
	}
	return d.host == other.host
}

// apart finds addresses that others of the same transport keep from being listened on, each of which would end the node at
// every start. It is held against the one that comes later in the file.
func (r *reader) apart(list []door) {
	slices.SortStableFunc(list, func(a, b door) int {
		return cmp.Or(a.at.line-b.at.line, a.at.column-b.at.column)
	})
	for i, d := range list {
		if other := slices.IndexFunc(list[:i], d.meets); other >= 0 {
			r.problem(r.at(d.key), d.key, `give it another port; an address without a host, such as ":1812", is every address of this machine`,
				"%s has %q already", list[other].list, withoutLogin(list[other].text))
		}
	}
}

// networks returns the networks of a list, in CIDR form.
func (o *object) networks(name string, list []item) []netip.Prefix {
	var out []netip.Prefix
	for _, it := range list {
		p, err := netip.ParsePrefix(it.text)
		if a, addrErr := netip.ParseAddr(it.text); addrErr == nil {
			it.bad(fmt.Sprintf("for one address: %s/%d", a, a.BitLen()), "%q has no length", withoutLogin(it.text))
			continue
		}
		if err != nil {
			it.bad("such as 10.1.0.0/24 or 2001:db8:1::/64", "%q is not a network", withoutLogin(it.text))
			continue
		}
		if p != p.Masked() {
			it.bad(fmt.Sprintf("write %s, or a longer length", p.Masked()), "%q has bits behind its length", it.text)
			continue
		}
		o.r.where[fmt.Sprintf("%s[%d]", o.path(name), len(out))] = it.at
		out = append(out, p)
	}
	return out
}

// peer returns the host in "host:port" of a server to ask, "" after a problem. What stands before an @ would
// be taken for a part of its name, and be in the log with it.
func (i item) peer() string {
	host, port, err := net.SplitHostPort(i.text)
	if n, portErr := strconv.Atoi(port); err != nil || portErr != nil || host == "" || strings.Contains(host, "@") || n < 1 || n > 65535 {
		i.bad("such as redis-1:6379; username and password are keys of their own", "%q is not host:port", withoutLogin(i.text))
		return ""
	}
	return host
}

// urlBegins is what is before the host of a URL, but for who logs in.
var urlBegins = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)

// withoutLogin is a URL or an address as it may be printed: people write passwords before the @, and
// problems go to the log. It has to do with what is no URL at all, so it takes out more rather than less.
func withoutLogin(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return s
	}
	begins := len(urlBegins.FindString(s[:at]))
	return s[:begins] + "…" + s[at:]
}
