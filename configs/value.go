package configs

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
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
		o.bad(name, hint, "it is missing")
	}
	return s
}

// texts returns a list of texts, or otherwise.
func (o *object) texts(name string, otherwise ...string) []string {
	v := o.take(name)
	if v == nil {
		return otherwise
	}
	list, ok := v.(*ast.SequenceNode)
	if !ok {
		o.bad(name, "write a list: [one, two]", "%s where a list is expected", describe(v))
		return otherwise
	}
	out := make([]string, 0, len(list.Values))
	for i, item := range list.Values {
		s, ok := scalar(item)
		if !ok || strings.TrimSpace(s) == "" {
			o.r.problem(positionOf(item), fmt.Sprintf("%s[%d]", o.path(name), i), "", "%s where text is expected", describe(item))
			continue
		}
		out = append(out, strings.TrimSpace(s))
	}
	return out
}

// choice returns one of the allowed words; the first is the default.
func (o *object) choice(name string, allowed ...string) string {
	s := o.text(name, allowed[0])
	if slices.Contains(allowed, s) {
		return s
	}
	hint := "one of: " + strings.Join(allowed, ", ")
	if near := nearest(s, allowed); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	o.bad(name, hint, "%q is not a value it can have", s)
	return allowed[0]
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

// address checks "host:port"; the host may be empty, for all addresses.
func (o *object) address(name, s string) string {
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
	if err != nil {
		o.bad(name, `":1812" for all addresses, "192.0.2.1:1812" or "[2001:db8::1]:1812" for one`, "%q is not an address to listen on", s)
	}
	return s
}

// networks returns a list of networks in CIDR form.
func (o *object) networks(name string) []netip.Prefix {
	var out []netip.Prefix
	for i, s := range o.texts(name) {
		key := fmt.Sprintf("%s[%d]", o.path(name), i)
		p, err := netip.ParsePrefix(s)
		if a, addrErr := netip.ParseAddr(s); addrErr == nil {
			o.r.problem(o.position(name), key, fmt.Sprintf("for one address: %s/%d", a, a.BitLen()), "%q has no length", s)
			continue
		}
		if err != nil {
			o.r.problem(o.position(name), key, "such as 10.1.0.0/24 or 2001:db8:1::/64", "%q is not a network", s)
			continue
		}
		if p != p.Masked() {
			o.r.problem(o.position(name), key, fmt.Sprintf("write %s, or a longer length", p.Masked()), "%q has bits behind its length", s)
			continue
		}
		out = append(out, p)
	}
	return out
}

// existing returns the path of a file that must be there; "" when the key is not.
func (o *object) existing(name string) string {
	s := o.text(name, "")
	if s == "" {
		return ""
	}
	path := o.r.path(s)
	if info, err := os.Stat(path); err != nil {
		o.bad(name, "paths are relative to the configuration file", "%s: %v", s, withoutPath(err))
	} else if info.IsDir() {
		o.bad(name, "", "%s is a folder", s)
	}
	return path
}

// private is existing for a file that only its owner may read.
func (o *object) private(name string) string {
	path := o.existing(name)
	if path == "" {
		return ""
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		o.bad(name, "chmod 600 "+o.text(name, ""), "others can read %s (mode %04o)", o.text(name, ""), info.Mode().Perm())
	}
	return path
}

const maxSecret = 64 << 10

// secret returns a secret that is written in the file, in the environment, or in a file of its
// own; "" when it is nowhere.
func (o *object) secret(name string) Secret {
	fromFile := name + "_file"
	if o.has(name) && o.has(fromFile) {
		o.take(name)
		o.take(fromFile)
		o.bad(fromFile, "keep one of the two", "%s is there as well", name)
		return ""
	}
	if o.has(fromFile) {
		o.take(name)
		return o.secretFile(fromFile)
	}
	o.take(fromFile)
	s := o.text(name, "")
	if o.has(name) && s == "" {
		o.bad(name, "", "it is empty")
	}
	if !strings.HasPrefix(s, "${") || !strings.HasSuffix(s, "}") {
		return Secret(s)
	}
	variable := s[2 : len(s)-1]
	v, ok := o.r.lookupEnv(variable)
	if !ok || v == "" {
		o.bad(name, "set it where the service is started", "the environment variable %s is not set", variable)
	}
	return Secret(v)
}

func (o *object) secretFile(name string) Secret {
	path := o.private(name)
	if path == "" {
		return ""
	}
	data, err := readBounded(path, maxSecret)
	if err != nil {
		if !os.IsNotExist(err) {
			o.bad(name, "", "%s: %v", o.text(name, ""), withoutPath(err))
		}
		return ""
	}
	s := strings.TrimRight(string(data), "\r\n")
	if s == "" {
		o.bad(name, "", "%s is empty", o.text(name, ""))
	}
	return Secret(s)
}

// peer checks "host:port" of a server to ask.
func (o *object) peer(name, s string) {
	host, port, err := net.SplitHostPort(s)
	if n, portErr := strconv.Atoi(port); err != nil || portErr != nil || host == "" || n < 1 || n > 65535 {
		o.bad(name, "such as redis-1:6379", "%q is not host:port", s)
	}
}
