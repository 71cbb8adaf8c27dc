package reply

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"otpgate/directory"
	"otpgate/radius/dictionary"
)

// A Reply is compiled [Options]. It is safe for concurrent use.
type Reply struct {
	rules      []rule
	tell       tell
	attributes []string          // of the directory
	groups     bool              // whether an account needs its groups
	most       int               // how many attributes without templates there can be
	fixed      []dictionary.Wire // the answer for everybody, if it depends on nothing
	isFixed    bool
}

// A rule has its group in a slice, as [directory.Account.InAny] takes it; nil: everybody.
type rule struct {
	group    []string
	settings []setting
}

type setting struct {
	attribute *dictionary.Attribute
	values    []value
	replaces  bool // what earlier rules set
}

// A value is either encoded already, or a template.
type value struct {
	wires    []dictionary.Wire
	template *text
	tag      int
}

// A compiler makes a Reply, and collects what is wrong.
type compiler struct {
	Options
	attribute *regexp.Regexp // the name of one of the directory
	only      [256]bool
	reply     *Reply
	seen      map[[2]uint32]bool // vendor and number of what rules so far set
	values    int
	directory map[string]string // attributes of the directory by name in lower case
	problems  []Problem
}

// Compile returns the reply, or nil and all that is wrong.
func Compile(o Options) (*Reply, []Problem) {
	c := &compiler{
		Options: o, reply: &Reply{isFixed: true}, seen: map[[2]uint32]bool{}, directory: map[string]string{},
		attribute: regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`), // RFC 4512 section 1.4, keystring
	}
	if o.Dictionary == nil {
		return nil, []Problem{{Rule: InOnly, Value: -1, Message: "Options.Dictionary is missing"}}
	}
	c.readOnly()
	if len(o.Rules) > maxRules {
		c.bad(maxRules, "", -1, fmt.Sprintf("%d at most", maxRules), "there are %d rules", len(o.Rules))
	} else {
		sizes := make([]int, len(o.Rules))
		for i, r := range o.Rules {
			sizes[i] = c.rule(i, r)
		}
		c.fits(sizes)
	}
	c.groups()
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	r := c.reply
	for _, name := range c.directory {
		r.attributes = append(r.attributes, name)
	}
	slices.Sort(r.attributes)
	if r.isFixed {
		fixed, err := r.make(&directory.Account{})
		if err != nil {
			return nil, []Problem{{Rule: 0, Value: -1, Message: err.Error()}}
		}
		r.fixed = slices.Clip(fixed)
	}
	return r, nil
}

func (c *compiler) bad(rule int, attribute string, value int, hint, form string, args ...any) {
	if len(c.problems) < maxProblem {
		c.problems = append(c.problems, Problem{rule, attribute, value, fmt.Sprintf(form, args...), hint})
	}
}

// readOnly reads Options.Only.
func (c *compiler) readOnly() {
	for i := range c.only {
		c.only[i] = len(c.Only) == 0
	}
	for i, n := range c.Only {
		if n < 1 || n > 255 {
			c.bad(InOnly, "", i, "1 to 255; 26 for those of vendors", "%d is not the number of an attribute", n)
			continue
		}
		c.only[n] = true
	}
}

// rule compiles a rule and returns how many octets its values without templates have.
func (c *compiler) rule(i int, r Rule) (size int) {
	compiled := rule{}
	if r.Group != "" {
		compiled.group = []string{r.Group}
		c.reply.groups, c.reply.isFixed = true, false
	}
	for _, s := range r.Attributes {
		a := c.settable(i, s.Name)
		if a == nil {
			continue
		}
		if len(s.Values) == 0 {
			c.bad(i, s.Name, -1, "give it one, or leave the attribute out", "it has no value")
			continue
		}
		key := [2]uint32{0, a.Number}
		if a.Vendor != nil {
			key[0] = a.Vendor.ID
		}
		once := a.Kind != dictionary.String && a.Kind != dictionary.Octets && !a.Tagged
		set := setting{attribute: a, replaces: once && c.seen[key]}
		c.seen[key] = true
		for j, text := range s.Values {
			if c.values++; c.values > maxValues {
				c.bad(i, s.Name, j, fmt.Sprintf("%d at most", maxValues), "there are too many values")
				break
			}
			v, ok := c.value(i, j, s.Name, a, text)
			if !ok {
				continue
			}
			for _, w := range v.wires {
				size += w.Octets()
			}
			c.reply.most += max(1, len(v.wires))
			set.values = append(set.values, v)
			c.reply.isFixed = c.reply.isFixed && v.template == nil
		}
		if len(set.values) > 0 {
			compiled.settings = append(compiled.settings, set)
		}
	}
	if len(compiled.settings) > 0 {
		c.reply.rules = append(c.reply.rules, compiled)
	}
	return size
}

// settable returns the attribute with a name, if a reply may set it.
func (c *compiler) settable(rule int, name string) *dictionary.Attribute {
	a, ok := c.Dictionary.Lookup(name)
	if !ok {
		hint := "name a file that defines it in dictionary_files"
		base, tag, tagged := strings.Cut(name, ":")
		if near := c.Dictionary.Nearest(name); near != "" {
			hint = fmt.Sprintf("did you mean %s?", near)
		}
		if known, ok := c.Dictionary.Lookup(base); ok && tagged {
			hint = fmt.Sprintf("write the tag before the value: {%s: \":%s:…\"}", known.Name, tag)
		}
		c.bad(rule, name, -1, hint, "there is no attribute of this name")
		return nil
	}
	switch {
	case madeByServer(a):
		c.bad(rule, name, -1, "leave it out", "the server itself sends %s where it is needed", a.Name)
		return nil
	case a.Encrypt > 0:
		c.bad(rule, name, -1, "leave it out", "%s has to be encrypted, which is not supported", a.Name)
		return nil
	case !c.only[a.Type()]:
		c.leftOut(rule, name, a)
		return nil
	}
	return a
}

// leftOut tells that Options.Only lacks an attribute: what is left out may be what restricts.
func (c *compiler) leftOut(rule int, name string, a *dictionary.Attribute) {
	number := strconv.Itoa(int(a.Type()))
	if a.Vendor != nil {
		number += ", for attributes of vendors"
	}
	if c.OnlyBy == "" {
		c.bad(rule, name, -1, "add it there, or leave the attribute out", "reply_only lacks %s: %s would never be sent", number, a.Name)
		return
	}
	all := append(slices.Clone(c.Only), int(a.Type()))
	slices.Sort(all)
	listed := strings.ReplaceAll(fmt.Sprint(all), " ", ", ")
	c.bad(rule, name, -1, "leave the attribute out; or reply_only: "+listed+" at the client, if its release takes that",
		"reply_only of %s lacks %s: %s would never be sent", c.OnlyBy, number, a.Name)
}

// microsoft has the vendor id under which RFC 2548 has its attributes.
const microsoft = 311

// madeByServer reports whether an attribute is a proof, a key, or the protocol's own, whatever a
// dictionary file calls it.
func madeByServer(a *dictionary.Attribute) bool {
	var numbers []uint32
	switch {
	case a.Vendor == nil: // User-Password, CHAP-Password, State, Proxy-State, CHAP-Challenge, EAP-Message, Message-Authenticator
		numbers = []uint32{2, 3, 24, 33, 60, 79, 80}
	case a.Vendor.ID == microsoft: // MS-CHAP-…, MS-MPPE-…, MS-CHAP2-…
		numbers = []uint32{1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 16, 17, 25, 26, 27}
	}
	return slices.Contains(numbers, a.Number)
}

// rawVendor is Vendor-Specific itself, with which a vendor's attribute is written in octets.
const rawVendor = 26

// value compiles a value.
func (c *compiler) value(rule, i int, name string, a *dictionary.Attribute, written string) (value, bool) {
	raw := a.Vendor == nil && a.Number == rawVendor
	if strings.Contains(written, "{{") {
		if raw {
			c.bad(rule, name, i, "name the vendor's attribute", "%s takes no template", a.Name)
			return value{}, false
		}
		return c.template(rule, i, name, a, written)
	}
	wires, err := a.Encode(written)
	if err != nil {
		c.unfit(rule, i, name, err)
		return value{}, false
	}
	for _, w := range wires {
		if raw && (len(w.Value) < 7 || [4]byte(w.Value) == [4]byte{0, 0, microsoft >> 8, microsoft & 0xff}) {
			c.bad(rule, name, i, "name the vendor's attribute", "these octets are no attribute of a vendor that may be set")
			return value{}, false
		}
	}
	return value{wires: wires}, true
}

// unfit tells why a value is none of its attribute.
func (c *compiler) unfit(rule, i int, name string, err error) {
	if bad := (*dictionary.ValueError)(nil); errors.As(err, &bad) {
		c.bad(rule, name, i, bad.Hint, "%s", bad.Message)
		return
	}
	c.bad(rule, name, i, "", "%v", err)
}

// fits checks that somebody who is in one of the groups gets a reply at all. Whoever is in several
// is found at login time, because the sum over all groups is nobody's reply.
func (c *compiler) fits(sizes []int) {
	everybody := 0
	for i, r := range c.Rules {
		if r.Group == "" {
			everybody += sizes[i]
		}
	}
	for i, r := range c.Rules {
		size := everybody
		if r.Group != "" {
			size += sizes[i]
		}
		if size > maxReply {
			c.bad(i, "", -1, "leave some out", "its attributes, with those for everybody, are %d octets, of %d at most", size, maxReply)
			return
		}
	}
}

// DirectoryAttributes returns the attributes of the directory that templates read, sorted.
func (r *Reply) DirectoryAttributes() []string {
	if r == nil {
		return nil
	}
	return slices.Clone(r.attributes)
}

// NeedsGroups reports whether an account's groups make a difference.
func (r *Reply) NeedsGroups() bool { return r != nil && r.groups }
