package configs

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile is how large a configuration file may be.
const maxFile = 4 << 20

// reader collects what is wrong while the sections ask for their keys.
type reader struct {
	file      string
	dir       string
	lookupEnv func(string) (string, bool)
	mode      os.FileMode // of the file
	exposed   bool        // that others can read the secrets in it was said
	problems  Problems
	where     map[string]position // of every key that was read
}

// position is a place in the file, both from 1.
type position struct{ line, column int }

func positionOf(n ast.Node) position {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return position{1, 1}
	}
	p := n.GetToken().Position
	return position{max(p.Line, 1), max(p.Column, 1)}
}

func (r *reader) problem(at position, key, hint, form string, args ...any) {
	r.problems.List = append(r.problems.List, Problem{
		File: r.file, Line: at.line, Column: at.column, Key: key, Message: fmt.Sprintf(form, args...), Hint: hint,
	})
}

// parse reads the file's syntax and returns its top; nil after a problem.
func (r *reader) parse(path string) *object {
	data, mode, err := readBounded(path, maxFile)
	r.mode = mode
	if err != nil {
		r.problem(position{}, "", "name the configuration with --config; otpgate example prints one to start from", "%v", withoutPath(err))
		return nil
	}
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey()) // object tells about those
	if err != nil {
		var syntax yaml.Error
		at, message := position{1, 1}, "it is not YAML"
		if errors.As(err, &syntax) {
			message = syntax.GetMessage()
			if t := syntax.GetToken(); t != nil && t.Position != nil {
				at = position{max(t.Position.Line, 1), max(t.Position.Column, 1)}
			}
		}
		r.problem(at, "", "YAML wants spaces, not tabs, and quotes around text with a colon", "%s", message)
		return nil
	}
	if len(file.Docs) > 1 {
		r.problem(positionOf(file.Docs[1].Body), "", "one file is one configuration", "there is a second document")
		return nil
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		r.problem(position{1, 1}, "", "start from what otpgate example prints", "the file is empty")
		return nil
	}
	return r.object("", file.Docs[0].Body)
}

// object is a mapping whose keys are being asked for.
type object struct {
	r      *reader
	key    string
	at     position
	values map[string]ast.Node
	keys   map[string]position
	order  []string // of the keys in the file
	known  []string
}

// object makes one of a mapping; after a problem it is empty, and every key has its default.
func (r *reader) object(key string, n ast.Node) *object {
	o := &object{r: r, key: key, at: positionOf(n), values: map[string]ast.Node{}, keys: map[string]position{}}
	var entries []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		entries = m.Values
		if m.IsFlowStyle && len(entries) > 0 {
			o.at = positionOf(m)
		}
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{m}
	default:
		r.problem(o.at, key, "write keys with values, such as name: value", "%s where keys are expected", describe(n))
		return o
	}
	for _, e := range entries {
		name, ok := plainKey(e.Key)
		at := positionOf(e.Key)
		switch {
		case !ok:
			r.problem(at, key, "keys are plain words", "%s as a key", describe(e.Key))
		case o.values[name] != nil:
			r.problem(at, o.path(name), "remove one of them", "the key is there twice")
		default:
			o.values[name], o.keys[name] = e.Value, at
			o.order = append(o.order, name)
			r.where[o.path(name)] = at
		}
	}
	return o
}

func plainKey(k ast.MapKeyNode) (string, bool) {
	s, ok := k.(*ast.StringNode)
	if !ok {
		return "", false
	}
	return s.Value, true
}

// path is the name of one of the object's keys from the top of the file.
func (o *object) path(name string) string {
	if o.key == "" {
		return name
	}
	return o.key + "." + name
}

// has reports whether a key is there.
func (o *object) has(name string) bool { return o.values[name] != nil }

// position is where a key is, else where the object is.
func (o *object) position(name string) position {
	if at, ok := o.keys[name]; ok {
		return at
	}
	return o.at
}

// bad reports a problem with the value of a key.
func (o *object) bad(name, hint, form string, args ...any) {
	at := o.position(name)
	if v := o.values[name]; v != nil {
		if _, scalar := v.(ast.ScalarNode); scalar {
			at = positionOf(v)
		}
	}
	o.r.problem(at, o.path(name), hint, form, args...)
}

// sound reports whether nothing is known to be wrong with a key.
func (o *object) sound(name string) bool {
	key := o.path(name)
	return !slices.ContainsFunc(o.r.problems.List, func(p Problem) bool { return p.Key == key })
}

// take returns the value of a key and marks the key as known; nil when it is not there.
func (o *object) take(name string) ast.Node {
	o.known = append(o.known, name)
	v := o.values[name]
	switch v.(type) {
	case nil:
		return nil
	case *ast.NullNode:
		o.bad(name, "give it a value, or leave the key out", "it has no value")
		return nil
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		o.bad(name, "write the value itself", "anchors, aliases and tags are not used here")
		return nil
	}
	return v
}

// section returns the object under a key; an empty one when it is not there.
func (o *object) section(name string) *object {
	v := o.take(name)
	if v == nil {
		return &object{r: o.r, key: o.path(name), at: o.position(name), values: map[string]ast.Node{}, keys: map[string]position{}}
	}
	return o.r.object(o.path(name), v)
}

// each calls f with every object of a list.
func (o *object) each(name string, f func(*object)) {
	v := o.take(name)
	if v == nil {
		return
	}
	list, ok := v.(*ast.SequenceNode)
	if !ok {
		o.bad(name, "begin each entry with a hyphen", "%s where a list is expected", describe(v))
		return
	}
	for i, item := range list.Values {
		entry := o.r.object(fmt.Sprintf("%s[%d]", o.path(name), i), item)
		o.r.where[entry.key] = entry.at
		f(entry)
	}
}

// done reports every key that nobody asked for.
func (o *object) done() {
	for name, at := range o.keys {
		if slices.Contains(o.known, name) {
			continue
		}
		hint := "known keys here: " + strings.Join(slices.Compact(slices.Sorted(slices.Values(o.known))), ", ")
		if near := nearest(name, o.known); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		o.r.problem(at, o.path(name), hint, "unknown key")
	}
}

// describe says in words what somebody wrote, without its value.
func describe(n ast.Node) string {
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	case *ast.NullNode, nil:
		return "nothing"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys"
	case *ast.AnchorNode, *ast.AliasNode:
		return "an anchor or alias"
	case *ast.TagNode:
		return "a tag"
	}
	return "something else"
}
