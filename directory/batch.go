package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// errApart: many names cannot be looked up in one search of this directory, each has to be alone.
var errApart = errors.New("names have to be looked up one at a time")

// An outcome is the one entry that a lookup found, or why there is none.
type outcome struct {
	entry *ldap.Entry
	err   error
}

// together reports whether a lookup can share a search with others. Which of them an entry belongs to is
// told from its values, by our rules of what is equal; so only names take part for which a server's
// rules, which may be looser, make no difference: letters and digits of ASCII, and what stands between
// them in names. A hyphen is none of it: telephoneNumberMatch passes over it (RFC 4517 section 4.2.29).
func (l lookup) together() bool {
	for _, value := range l.values {
		for i := range len(value) {
			switch c := value[i]; {
			case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '_', c == '@':
			default:
				return false
			}
		}
	}
	return true
}

// entries looks up several names in one search: what each finds, in their order. The lookups are of the
// same attributes, and may all be together. It returns an error, and nothing else, when the search does
// not tell: errApart when the same questions may be answered one at a time.
func (s *servers) entries(ctx context.Context, lookups []lookup, attributes []string) ([]outcome, error) {
	var terms []term
	whose := map[term][]int{}
	for i, l := range lookups {
		for _, t := range l.terms() {
			folded := foldTerm(t)
			if whose[folded] == nil {
				terms = append(terms, t)
			}
			whose[folded] = append(whose[folded], i)
		}
	}
	found, more, err := s.searchAs(ctx, s.request(anyOf(terms...), 2*len(lookups), attributes...), refusal)
	switch {
	case more:
		return nil, fmt.Errorf("%w: the server has more to tell than it may", errApart)
	case errors.Is(err, errApart):
		return nil, err
	case err != nil:
		return nil, s.aboutBase(err)
	}
	outcomes := make([]outcome, len(lookups))
	for i := range outcomes {
		outcomes[i].err = ErrNotFound
	}
	for _, e := range found {
		if !assign(e, lookups[0].attributes, whose, outcomes) {
			return nil, fmt.Errorf("%w: %q may be anybody's", errApart, e.DN)
		}
	}
	return outcomes, nil
}

// refusal makes errApart of a server's answer that it does not do such a search. It may do each
// for itself: what is too much is the filter, or how many entries that is about. No other server has to try.
func refusal(err error) error {
	answer := (*ldap.Error)(nil)
	if errors.As(err, &answer) && answer.ResultCode < ldap.ErrorNetwork &&
		!ldap.IsErrorAnyOf(err, ldap.LDAPResultBusy, ldap.LDAPResultUnavailable, ldap.LDAPResultNoSuchObject) {
		return fmt.Errorf("%w: %v", errApart, err) // it may also be errBroken, and is not here
	}
	return err
}

// assign gives an entry to those who asked for it, and reports whether that is all for whom the server may have found it:
// not where nobody did, nor where a value has an option (RFC 4512 section 2.5.2), which a filter passes over.
func assign(e *ldap.Entry, attributes []string, whose map[term][]int, outcomes []outcome) (assigned bool) {
	for _, a := range e.Attributes {
		name, _, option := strings.Cut(a.Name, ";")
		if option && slices.ContainsFunc(attributes, func(other string) bool { return strings.EqualFold(name, other) }) {
			return false
		}
	}
	for _, attribute := range attributes {
		for _, value := range e.GetEqualFoldAttributeValues(attribute) {
			for _, i := range whose[foldTerm(term{attribute, value})] {
				o := &outcomes[i]
				if assigned = true; o.entry != e && o.err == nil {
					o.err = ErrAmbiguous
				} else if o.entry == nil {
					o.entry, o.err = e, nil
				}
			}
		}
	}
	return assigned
}

// ids implements [many].
func (s *servers) ids(ctx context.Context, lookups []lookup) ([]string, []error) {
	ids, errs := make([]string, len(lookups)), make([]error, len(lookups))
	var shared []lookup
	var of, alone []int
	for i, l := range lookups {
		if l.together() {
			shared, of = append(shared, l), append(of, i)
		} else {
			alone = append(alone, i)
		}
	}
	if len(shared) > 0 {
		attributes := append([]string{attrID}, shared[0].attributes...)
		outcomes, err := s.entries(ctx, shared, attributes)
		switch {
		case errors.Is(err, errApart):
			alone = append(alone, of...)
		case err != nil:
			for _, i := range of {
				errs[i] = err
			}
		}
		for j, o := range outcomes {
			ids[of[j]], errs[of[j]] = s.idOf(o)
		}
	}
	for _, i := range alone {
		o := s.entry(ctx, lookups[i], []string{attrID})
		ids[i], errs[i] = s.idOf(o)
	}
	return ids, errs
}

func (s *servers) idOf(o outcome) (string, error) {
	if o.err != nil {
		return "", o.err
	}
	a, err := accountFrom(o.entry, Config{Name: s.config.Name})
	if err != nil {
		return "", err
	}
	return a.ID, nil
}

// accounts implements [many].
func (s *servers) accounts(ctx context.Context, lookups []lookup, accounts []*Account, errs []error) error {
	if !s.shares() {
		return errApart
	}
	var outcomes []outcome
	if len(lookups) == 1 {
		outcomes = []outcome{s.entry(ctx, lookups[0], s.gather.attributes)}
	} else {
		var err error
		outcomes, err = s.entries(ctx, lookups, s.gather.attributes)
		if s.gather.ended(err); err != nil {
			return err
		}
	}
	for i, o := range outcomes {
		if errs[i] = o.err; o.err == nil {
			accounts[i], errs[i] = accountFrom(o.entry, s.config)
		}
	}
	return nil
}

// shares implements [many]. Groups take a search for each account anyway.
func (s *servers) shares() bool { return !s.config.Groups && !s.gather.parted() }

// accounts implements [many].
func (f *file) accounts(ctx context.Context, lookups []lookup, accounts []*Account, errs []error) error {
	for i, l := range lookups {
		accounts[i], errs[i] = f.find(ctx, l)
	}
	return nil
}

// shares implements [many].
func (f *file) shares() bool { return true }

// ids implements [many].
func (f *file) ids(ctx context.Context, lookups []lookup) ([]string, []error) {
	ids, errs := make([]string, len(lookups)), make([]error, len(lookups))
	for i, l := range lookups {
		found := f.matching(l.terms())
		switch {
		case len(found) == 0:
			errs[i] = ErrNotFound
		case len(found) > 1:
			errs[i] = ErrAmbiguous
		default:
			ids[i] = strings.ToLower(found[0].GetEqualFoldAttributeValue(attrID))
		}
		if err := ctx.Err(); err != nil {
			errs[i] = errors.Join(ErrUnavailable, err)
		}
	}
	return ids, errs
}
