package directory

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// errEntryUnusable: the directory answered, with an entry that cannot be an account.
var errEntryUnusable = errors.New("entry cannot be used")

const (
	attrID       = "entryUUID"            // RFC 4530
	attrLocked   = "pwdAccountLockedTime" // draft-behera-ldap-password-policy section 5.3.3
	lockedByHand = "000001010000Z"        // "locked permanently": only an administrator unlocks it
)

// Bounds of what an account keeps of an attribute that the configuration asks for. Further values are
// left out. With a longer value the attribute is not kept at all: what is cut off would be another
// value, and of the others nobody could say which is the first.
const (
	maxValues      = 16
	maxValueOctets = 4096  // of one
	maxKeptOctets  = 16384 // of all
)

// find implements [source]. Without groups it is one search at most.
func (s *servers) find(ctx context.Context, l lookup) (*Account, error) {
	var o outcome
	if l.operation == opFind {
		o = s.gather.find(ctx, l)
	} else {
		o = s.entry(ctx, l, s.gather.attributes)
	}
	if o.err != nil {
		return nil, o.err
	}
	a, err := accountFrom(o.entry, s.config)
	if err != nil || !s.config.Groups {
		return a, err
	}
	err = s.walk.fill(a, o.entry.GetEqualFoldAttributeValues("uid"), func(members []term) ([]Group, bool, error) {
		entries, more, err := s.search(ctx, s.request(anyOf(members...), maxGroups, "cn"))
		groups := make([]Group, len(entries))
		for i, e := range entries {
			groups[i] = groupFrom(e)
		}
		return groups, more, err
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// entry looks up one name in a search of its own.
func (s *servers) entry(ctx context.Context, l lookup, attributes []string) outcome {
	entries, more, err := s.search(ctx, s.request(anyOf(l.terms()...), 2, attributes...))
	switch {
	case err != nil:
		return outcome{err: s.aboutBase(err)}
	case more || len(entries) > 1:
		return outcome{err: ErrAmbiguous}
	case len(entries) == 0:
		return outcome{err: ErrNotFound}
	}
	return outcome{entry: entries[0]}
}

// health implements [source]: it looks whether the base is there, as every find needs it.
func (s *servers) health(ctx context.Context) error {
	request := s.request("(objectClass=*)", 1, "1.1") // RFC 4511 section 4.5.1.8: no attributes
	request.Scope = ldap.ScopeBaseObject
	entries, _, err := s.search(ctx, request)
	if err == nil && len(entries) == 0 {
		return fmt.Errorf("%w: base %q may not be read", ErrUnavailable, s.config.BaseDN)
	}
	return s.aboutBase(err)
}

// aboutBase says of a search's error that the base is not there, if that is what it means.
func (s *servers) aboutBase(err error) error {
	if !ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
		return err
	}
	return fmt.Errorf("base %q does not exist, or may not be read: %w", s.config.BaseDN, err)
}

// request returns a search below the base. The server stops by itself when nobody waits any more.
func (s *servers) request(filter string, limit int, attributes ...string) *ldap.SearchRequest {
	seconds := int(math.Ceil(s.config.Timeout.Seconds()))
	r := ldap.NewSearchRequest(s.config.BaseDN, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases,
		limit, seconds, false, filter, attributes, nil)
	r.EnforceSizeLimit = true
	return r
}

// accountAttributes returns what is read of an account's entry, and nothing else.
func accountAttributes(c Config) []string {
	attributes := []string{attrID, "cn", "displayName", "preferredLanguage", attrLocked}
	if c.Groups {
		attributes = append(attributes, "uid")
	}
	for _, more := range slices.Concat(c.LoginAttributes, c.MailAttributes, c.Attributes) {
		if !slices.ContainsFunc(attributes, func(a string) bool { return strings.EqualFold(a, more) }) {
			attributes = append(attributes, more) // some servers refuse one that is asked for twice
		}
	}
	return attributes
}

// accountFrom makes an account of an entry.
func accountFrom(e *ldap.Entry, c Config) (*Account, error) {
	first := func(attributes ...string) string {
		for _, a := range attributes {
			if v := e.GetEqualFoldAttributeValue(a); v != "" {
				return v
			}
		}
		return ""
	}
	a := &Account{
		ID:        strings.ToLower(first(attrID)),
		Directory: c.Name,
		DN:        e.DN,
		Name:      first(c.LoginAttributes...),
		Mail:      first(c.MailAttributes...),
		FullName:  first("displayName", "cn"),
		Language:  first("preferredLanguage"),
		Disabled:  first(attrLocked) == lockedByHand,
		GroupsCut: true, // until they have been looked up
	}
	a.Attributes, a.Oversized = kept(e, c.Attributes)
	if a.ID == "" {
		return nil, fmt.Errorf("%w: %w: %q has no %s, or the searcher may not read it: let bind_dn read it (RFC 4530); "+
			"accounts of a directory without it, such as Active Directory, cannot be used",
			ErrUnavailable, errEntryUnusable, e.DN, attrID)
	}
	return a, nil
}

// kept returns what an account keeps of the attributes that the configuration asks for, nil when the
// entry has none of them, and those that have a value that is too long.
func kept(e *ldap.Entry, attributes []string) (found map[string][]string, oversized []string) {
	for _, attribute := range attributes {
		name := strings.ToLower(attribute)
		all := e.GetEqualFoldAttributeValues(attribute)
		if slices.ContainsFunc(all, func(v string) bool { return len(v) > maxValueOctets }) {
			oversized = append(oversized, name)
			continue
		}
		var values []string
		octets := 0
		for _, v := range all {
			if octets += len(v); v != "" && octets <= maxKeptOctets && len(values) < maxValues {
				values = append(values, v)
			}
		}
		if len(values) == 0 {
			continue
		}
		if found == nil {
			found = make(map[string][]string, len(attributes))
		}
		found[name] = values
	}
	return found, oversized
}
