package directory

import (
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-ldap/ldap/v3"
)

const (
	maxGroupDepth = 16  // groups in groups in groups
	maxGroups     = 500 // per account
	termsAtOnce   = 100 // in the filter of one search
)

// A walker finds the groups of an account, upward from what it is a member of.
type walker struct {
	logger *slog.Logger
	warned atomic.Int64 // unix nanoseconds of the last warning
	now    func() time.Time
}

// fill puts into an account the groups that its DN or one of uids is a member of, directly or through
// other groups, each once, the direct ones first. parents returns the groups with one of these
// members, and whether there are more than it returns. What lies beyond the bounds is left out, told
// to the log, and said by GroupsCut: a group that is not known must neither let anybody in nor, where
// being in it is what keeps people out, fail to.
func (w *walker) fill(a *Account, uids []string, parents func([]term) ([]Group, bool, error)) error {
	var found []Group
	cut := false
	seen := map[string]bool{foldDN(a.DN): true}
	members := memberTerms(a.DN, uids)
	for depth := 0; len(members) > 0; depth++ {
		var next []term
		for batch := range slices.Chunk(members, termsAtOnce) {
			level, more, err := parents(batch)
			if err != nil {
				return err
			}
			cut = cut || more
			for _, g := range level {
				key := foldDN(g.DN)
				if seen[key] {
					continue
				}
				if len(found) == maxGroups || depth == maxGroupDepth { // the last level only looks whether there is more
					cut = true
					break
				}
				seen[key] = true
				found = append(found, g)
				next = append(next, memberTerms(g.DN, nil)...)
			}
		}
		members = next
	}
	if cut {
		w.warn(a.DN)
	}
	a.Groups, a.GroupsCut = found, cut
	return nil
}

// memberTerms says how a group names its members: groupOfNames and its kin by DN, groupOfUniqueNames
// by DN in another attribute, posixGroup by uid (RFC 2307).
func memberTerms(dn string, uids []string) []term {
	terms := []term{{"member", dn}, {"uniqueMember", dn}}
	for _, uid := range uids {
		terms = append(terms, term{"memberUid", uid})
	}
	return terms
}

// warn tells the log that an account has more groups than are looked up, once a minute.
func (w *walker) warn(dn string) {
	last, now := w.warned.Load(), w.now()
	since := now.Sub(time.Unix(0, last))
	if (last == 0 || since < 0 || since >= time.Minute) && w.warned.CompareAndSwap(last, now.UnixNano()) {
		w.logger.Warn("account has more groups than are looked up", "dn", dn,
			"max_groups", maxGroups, "max_depth", maxGroupDepth)
	}
}

func groupFrom(e *ldap.Entry) Group {
	g := Group{DN: e.DN}
	if names := e.GetEqualFoldAttributeValues("cn"); len(names) > 0 {
		g.Name, g.Aliases = names[0], append(g.Aliases, names[1:]...)
	}
	if dn, err := ldap.ParseDN(e.DN); g.Name == "" && err == nil && len(dn.RDNs) > 0 {
		g.Name = dn.RDNs[0].Attributes[0].Value
	}
	return g
}

// A groupName is what a configuration calls a group.
type groupName struct {
	text string
	dn   *ldap.DN // nil: it is a cn
}

func readGroupName(text string) groupName {
	if strings.Contains(text, "=") {
		if dn, err := ldap.ParseDN(text); err == nil && len(dn.RDNs) > 0 {
			return groupName{text, dn}
		}
	}
	return groupName{text: text}
}

// of reports whether it is the name of the group, and how the directory spells it. Distinguished
// names are compared without regard to case and spelling (RFC 4517 section 4.2.15).
func (n groupName) of(g Group) (string, bool) {
	if n.dn != nil {
		dn, err := ldap.ParseDN(g.DN)
		return g.Name, err == nil && n.dn.EqualFold(dn)
	}
	if n.text == "" {
		return "", false
	}
	if strings.EqualFold(n.text, g.Name) {
		return g.Name, true
	}
	for _, alias := range g.Aliases {
		if strings.EqualFold(n.text, alias) {
			return alias, true
		}
	}
	return "", false
}

// foldDN returns a key that is the same for equal distinguished names.
func foldDN(dn string) string {
	parsed, err := ldap.ParseDN(dn)
	if err != nil {
		return dn
	}
	for _, rdn := range parsed.RDNs {
		for _, a := range rdn.Attributes {
			a.Value = strings.ToLower(a.Value)
		}
	}
	return parsed.String()
}
