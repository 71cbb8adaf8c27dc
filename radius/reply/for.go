package reply

import (
	"errors"
	"fmt"
	"slices"

	"otpgate/directory"
	"otpgate/radius/dictionary"
)

var (
	// ErrValue: what the directory says about the account is no value of the attribute.
	ErrValue = errors.New("a value does not fit its attribute")
	// ErrTooLong: the attributes of the account do not fit into a packet.
	ErrTooLong = errors.New("the reply is too long")
	// ErrGroupsUnknown: the reply depends on groups, and not all groups of the account are known.
	ErrGroupsUnknown = errors.New("not all groups of the account are known")
)

// For returns the attributes for an account whose directory attributes and groups have been read,
// in the order in which they are sent. Nobody changes them.
//
// It returns an error wrapping [ErrValue], which names the attribute, [ErrTooLong] or
// [ErrGroupsUnknown]: then nothing is known about what the account may do, and the login MUST be refused.
func (r *Reply) For(a *directory.Account) ([]dictionary.Wire, error) {
	switch {
	case r == nil:
		return nil, nil
	case a == nil:
		return nil, fmt.Errorf("reply: %w: there is no account", ErrValue)
	case r.isFixed:
		return r.fixed, nil
	case r.groups && a.GroupsCut:
		return nil, fmt.Errorf("reply: %w", ErrGroupsUnknown)
	}
	return r.make(a)
}

func (r *Reply) make(a *directory.Account) (wires []dictionary.Wire, err error) {
	if r.most > 0 {
		wires = make([]dictionary.Wire, 0, r.most)
	}
	for i := range r.rules {
		rule := &r.rules[i]
		if rule.group != nil && !a.InAny(rule.group) {
			continue
		}
		for j := range rule.settings {
			if wires, err = rule.settings[j].add(wires, a); err != nil {
				return nil, err
			}
		}
	}
	if wires, err = r.tell.add(wires, a); err != nil {
		return nil, err
	}
	size := 0
	for _, w := range wires {
		size += w.Octets()
	}
	if size > maxReply {
		return nil, fmt.Errorf("reply: %w: %d octets of attributes, of %d at most", ErrTooLong, size, maxReply)
	}
	return wires, nil
}

// add appends the setting's attributes.
func (s *setting) add(wires []dictionary.Wire, a *directory.Account) ([]dictionary.Wire, error) {
	before := len(wires)
	for i := range s.values {
		v := &s.values[i]
		if v.template == nil {
			wires = append(wires, v.wires...)
			continue
		}
		result, err := v.template.run(a)
		if err != nil {
			return nil, fmt.Errorf("reply: %s: %w: %w", s.attribute.Name, ErrValue, err)
		}
		if result == "" {
			continue
		}
		encoded, err := s.attribute.EncodeText(v.tag, result)
		if err != nil {
			return nil, fmt.Errorf("reply: %w: %w", ErrValue, err)
		}
		wires = append(wires, encoded...)
	}
	if !s.replaces || len(wires) == before {
		return wires, nil
	}
	kept := slices.DeleteFunc(wires[:before], s.attribute.Is)
	return append(kept, wires[before:]...), nil
}
