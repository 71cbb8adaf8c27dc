package reply

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"text/template/parse"

	"otpgate/directory"
	"otpgate/radius/dictionary"
)

// A text is a template that has been checked: it ends, and reads nothing but the account.
type text struct{ template *template.Template }

// An account is what a template sees of a [directory.Account].
type account struct{ a *directory.Account }

func (v account) Name() string     { return v.a.Name }
func (v account) Mail() string     { return v.a.Mail }
func (v account) FullName() string { return v.a.FullName }
func (v account) DN() string       { return v.a.DN }

// Attribute ends the template with an error when what it should read is not known: what is left out
// may be what restricts.
func (v account) Attribute(name string) (string, error) { return v.a.Attribute(name) }

var errResult = fmt.Errorf("the template's result has more than %d octets", maxResult)

// A bounded collects what a template writes.
type bounded struct{ strings.Builder }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxResult {
		return 0, errResult
	}
	return b.Builder.Write(p)
}

// run returns what the template makes of an account.
func (t *text) run(a *directory.Account) (string, error) {
	var out bounded
	if err := t.template.Execute(&out, account{a}); err != nil {
		if errors.Is(err, errResult) {
			return "", errResult
		}
		return "", err
	}
	return out.String(), nil
}

// template compiles a value that is one.
func (c *compiler) template(rule, i int, name string, a *dictionary.Attribute, written string) (value, bool) {
	tag, rest, err := a.SplitTag(written)
	if err != nil {
		c.unfit(rule, i, name, err)
		return value{}, false
	}
	if a.Kind == dictionary.Octets && strings.HasPrefix(rest, "0x") {
		c.bad(rule, name, i, "without the 0x it is sent as text", "a template makes text, not hexadecimal digits")
		return value{}, false
	}
	if len(rest) > maxResult {
		c.bad(rule, name, i, fmt.Sprintf("%d at most", maxResult), "the template has %d octets", len(rest))
		return value{}, false
	}
	parsed, err := template.New(name).Option("missingkey=error").
		Funcs(template.FuncMap{"lower": strings.ToLower, "upper": strings.ToUpper}).Parse(rest)
	if err != nil {
		c.bad(rule, name, i, `such as {{.Name}} or {{.Attribute "employeeType"}}`, "it is no template: %v", err)
		return value{}, false
	}
	w := walk{compiler: c}
	w.list(parsed.Root)
	if len(parsed.Templates()) > 1 {
		w.bad("write it where it is used", "a template cannot define others")
	}
	if w.message != "" {
		c.bad(rule, name, i, w.hint, "%s", w.message)
		return value{}, false
	}
	t := &text{parsed}
	// Two accounts show whether it works at all; the one has nothing, the other everything.
	full := &directory.Account{Name: "1", Mail: "1", FullName: "1", DN: "1", Attributes: map[string][]string{}}
	for _, known := range w.attributes {
		full.Attributes[strings.ToLower(known)] = []string{"1"}
	}
	for _, who := range []*directory.Account{{}, full} {
		result, err := t.run(who)
		if err != nil {
			c.bad(rule, name, i, `such as {{.Name}} or {{.Attribute "employeeType"}}`, "it fails: %v", err)
			return value{}, false
		}
		if anyText := (a.Kind == dictionary.String || a.Kind == dictionary.Octets) && a.Size == 0; anyText && result != "" {
			if _, err := a.EncodeText(tag, result); err != nil {
				c.unfit(rule, i, name, err)
				return value{}, false
			}
		}
	}
	if !w.reads { // the same for everybody
		return c.constant(rule, i, name, a, t, tag)
	}
	for _, known := range w.attributes {
		c.directory[strings.ToLower(known)] = known
	}
	return value{template: t, tag: tag}, true
}

// constant encodes a template that does not read the account.
func (c *compiler) constant(rule, i int, name string, a *dictionary.Attribute, t *text, tag int) (value, bool) {
	result, err := t.run(&directory.Account{})
	if err != nil {
		c.bad(rule, name, i, "", "it fails: %v", err)
		return value{}, false
	}
	wires, err := a.EncodeText(tag, result)
	if err != nil {
		c.unfit(rule, i, name, err)
		return value{}, false
	}
	return value{wires: wires}, true
}

// A walk checks a template, and keeps the first thing that is wrong.
type walk struct {
	*compiler
	attributes    []string // of the directory
	reads         bool     // anything of the account
	message, hint string
}

func (w *walk) bad(hint, form string, args ...any) {
	if w.message == "" {
		w.message, w.hint = fmt.Sprintf(form, args...), hint
	}
}

func (w *walk) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.CommentNode:
		case *parse.TextNode:
			if bytes.ContainsFunc(n.Text, dictionary.IsControl) {
				w.bad("write it without; in YAML, >- and |- leave out the last line break", "a template cannot have line breaks or other control characters")
			}
		case *parse.ActionNode:
			w.pipe(n.Pipe)
		case *parse.IfNode:
			w.pipe(n.Pipe)
			w.list(n.List)
			w.list(n.ElseList)
		case *parse.RangeNode:
			w.bad("groups are told by reply_groups", "a template cannot have range")
		case *parse.WithNode:
			w.bad(`{{if .Attribute "x"}}{{.Attribute "x"}}{{end}}`, "a template cannot have with")
		default:
			w.bad("actions, and if", "a template cannot have %q", brief(n))
		}
	}
}

func (w *walk) pipe(p *parse.PipeNode) {
	if p == nil {
		return
	}
	if len(p.Decl) > 0 {
		w.bad("write it where it is used", "a template cannot have variables")
		return
	}
	for i, command := range p.Cmds {
		w.command(command, i > 0)
	}
}

// command checks a command, which may get a value from the one before it.
func (w *walk) command(n *parse.CommandNode, piped bool) {
	switch first := n.Args[0].(type) {
	case *parse.FieldNode:
		w.field(first, n.Args[1:], piped)
		return
	case *parse.IdentifierNode:
		switch first.Ident {
		case "and", "or", "not", "eq", "ne", "lower", "upper":
		default:
			w.bad("and, or, not, eq, ne, lower, upper", "a template cannot use %s", first.Ident)
		}
	default:
		w.argument(first)
	}
	for _, argument := range n.Args[1:] {
		w.argument(argument)
	}
}

func (w *walk) argument(n parse.Node) {
	switch n := n.(type) {
	case *parse.StringNode, *parse.NumberNode, *parse.BoolNode:
	case *parse.PipeNode:
		w.pipe(n)
	case *parse.FieldNode:
		if len(n.Ident) == 1 && n.Ident[0] == "Attribute" {
			w.bad(`(.Attribute "employeeType")`, "Attribute needs parentheses here")
			return
		}
		w.field(n, nil, false)
	default:
		w.bad(`.Name, .Mail, .FullName, .DN, .Attribute "employeeType"`, "a template cannot use %q", brief(n))
	}
}

// field checks what is read of the account.
func (w *walk) field(n *parse.FieldNode, arguments []parse.Node, piped bool) {
	const known = `.Name, .Mail, .FullName, .DN, .Attribute "employeeType"`
	w.reads = true
	if piped || len(n.Ident) != 1 {
		w.bad(known, "a template cannot use %q so", brief(n))
		return
	}
	switch n.Ident[0] {
	case "Name", "Mail", "FullName", "DN":
		if len(arguments) > 0 {
			w.bad(known, "%s takes nothing behind it", n)
		}
	case "Attribute":
		var name string
		if len(arguments) == 1 {
			if s, ok := arguments[0].(*parse.StringNode); ok {
				name = s.Text
			}
		}
		switch {
		case !w.attribute.MatchString(name):
			w.bad(`.Attribute "employeeType"`, "Attribute takes the name of one attribute in quotes")
		case directory.HoldsSecret(name):
			w.bad("another attribute", "attribute %s holds a password or a key, which is never sent", name)
		default:
			w.attributes = append(w.attributes, name)
		}
	default:
		w.bad(known, "an account has no %q", brief(n))
	}
}

// brief is what a part of a template looks like, for a message.
func brief(n parse.Node) string {
	const most = 40
	s := n.String()
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
