package configs

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// ReplyGroups says how the groups of an account are told to the gateway.
type ReplyGroups struct {
	Tell      []string // names of groups, or "*" for all; none: they are not told
	Attribute string
	Form      string // each | semicolon | ou
}

// ReplyRule is what an accept carries: for everybody, or for the members of a group.
type ReplyRule struct {
	Group      string // "": everybody
	Attributes []ReplyAttribute
}

// ReplyAttribute is an attribute with its values, both as they were written: what they mean, the
// dictionary knows.
type ReplyAttribute struct {
	Name   string
	Values []string
	Key    string // of the attribute, for Problem: radius.clients[0].reply[1].attributes.Class
	list   bool
}

// ValueKey is the key of a value, for Problem: with its number when the file has a list.
func (a ReplyAttribute) ValueKey(i int) string {
	if a.list {
		return fmt.Sprintf("%s[%d]", a.Key, i)
	}
	return a.Key
}

func readReplyGroups(o *object, m manners) ReplyGroups {
	list := o.items("tell")
	for _, it := range list {
		if it.text == "*" && len(list) > 1 {
			it.bad("keep it alone, or the names", "* is all groups, and others are named beside it")
		}
	}
	g := ReplyGroups{
		Tell:      values(list),
		Attribute: o.filled("attribute", m.of(o, "reply_groups.attribute", "Class"), "the name of an attribute, such as Class or Filter-Id"),
		Form:      o.oneOf("form", m.of(o, "reply_groups.form", "each"), "each", "semicolon", "ou"),
	}
	m.given(o, "reply_groups.tell")
	o.done()
	return g
}

func readReplyRule(o *object) ReplyRule {
	rule := ReplyRule{Group: strings.TrimSpace(o.text("group", ""))}
	if rule.Group == "" && o.has("group") && o.sound("group") {
		o.bad("group", "cn or full DN of a group; without the key: everybody", "it is empty")
	}
	attributes := o.section("attributes")
	for _, name := range attributes.order {
		rule.Attributes = append(rule.Attributes, attributes.replyAttribute(name))
	}
	if len(attributes.order) == 0 && o.sound("attributes") {
		o.lacks("attributes", "such as {Class: staff, Session-Timeout: 28800}")
	}
	o.done()
	return rule
}

// replyAttribute reads a value, or a list of them. Nothing is trimmed: it is sent as it stands.
func (o *object) replyAttribute(name string) ReplyAttribute {
	a := ReplyAttribute{Name: name, Key: o.path(name)}
	nodes := []ast.Node{o.take(name)}
	if list, ok := nodes[0].(*ast.SequenceNode); ok {
		a.list, nodes = true, list.Values
		if len(nodes) == 0 {
			o.bad(name, "give it a value, or leave the attribute out", "it is empty")
		}
	}
	for i, n := range nodes {
		if n == nil {
			continue // and take has said so
		}
		it := item{o.r, a.ValueKey(i), positionOf(n), ""}
		if a.list {
			o.r.where[it.key] = it.at
		}
		s, ok := scalar(n)
		switch {
		case !ok:
			it.bad("a text or a number, or a list of them", "%s where a value is expected", describe(n))
		case strings.TrimSpace(s) == "":
			it.bad("give it a value, or leave the attribute out", "it is empty")
		default:
			a.Values = append(a.Values, s)
		}
	}
	return a
}
