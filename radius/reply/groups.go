package reply

import (
	"fmt"
	"slices"
	"strings"

	"otpgate/directory"
	"otpgate/radius/dictionary"
)

// A tell tells an account's groups. Without an attribute it tells none.
type tell struct {
	attribute *dictionary.Attribute
	form      Form
	all       bool
	names     []string
}

// separator stands between groups that share an attribute.
const separator = ";"

// groups compiles Options.Groups.
func (c *compiler) groups() {
	g := c.Groups
	if len(g.Names) == 0 {
		return
	}
	form := g.Form
	switch form {
	case "":
		form = Each
	case Each, Semicolon, OU:
	default:
		c.bad(InGroups, g.Attribute, -1, "one of: each, semicolon, ou", "%q is not a form", string(form))
	}
	a := c.settable(InGroups, g.Attribute)
	switch {
	case a == nil:
		return
	case a.Kind != dictionary.String && a.Kind != dictionary.Octets || a.Size > 0 || a.Vendor == nil && a.Number == rawVendor:
		c.bad(InGroups, g.Attribute, -1, "one of type string or octets, such as Class or Filter-Id", "groups are names, and %s is %s", a.Name, a.Kind)
		return
	}
	c.reply.tell = tell{attribute: a, form: form, all: slices.Contains(g.Names, "*"), names: slices.Clone(g.Names)}
	c.reply.groups, c.reply.isFixed = true, false
}

// add appends the attributes that tell the account's groups.
func (t *tell) add(wires []dictionary.Wire, a *directory.Account) ([]dictionary.Wire, error) {
	if t.attribute == nil {
		return wires, nil
	}
	for _, told := range t.texts(a) {
		encoded, err := t.attribute.EncodeText(0, told)
		if err != nil {
			return nil, fmt.Errorf("reply: groups: %w: %w", ErrValue, err)
		}
		wires = append(wires, encoded...)
	}
	return wires, nil
}

// called returns what a group is told as: by the names that the configuration has for it, as the
// directory spells them, or by its first one when all groups are told.
func (t *tell) called(g directory.Group) []string {
	if t.all {
		return []string{g.Name}
	}
	var names []string
	for _, wanted := range t.names {
		if name, is := g.Called(wanted); is {
			names = append(names, name)
		}
	}
	return names
}

// texts returns the values, each of which fits into one attribute. What is joined is divided between
// groups.
func (t *tell) texts(a *directory.Account) []string {
	room := t.attribute.Room()
	var told []string
	for _, g := range a.Groups {
		for _, name := range t.called(g) {
			if name != "" && len(name) <= room {
				told = append(told, name)
			}
		}
	}
	slices.Sort(told)
	told = slices.Compact(told)
	if t.form == Each {
		return told
	}
	prefix := ""
	if t.form == OU {
		prefix = "OU="
	}
	var joined []string
	for _, name := range told {
		last := len(joined) - 1
		switch {
		case strings.Contains(name, separator) || len(prefix)+len(name) > room:
		case last >= 0 && len(joined[last])+len(separator)+len(name) <= room:
			joined[last] += separator + name
		default:
			joined = append(joined, prefix+name)
		}
	}
	return joined
}
