package directory

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/text/unicode/norm"
)

// A file is a directory from an LDIF file: for labs, for the demo, for the few accounts that must
// work when nothing else does. It is read once and behaves like a server with the same entries.
type file struct {
	config    Config
	entries   map[term][]*ldap.Entry // by attribute, in lower case, and folded value
	passwords map[string][]password  // by folded DN
	walk      walker
}

// A password is what userPassword holds: a hash and its salt, or, without a hash, the password.
type password struct {
	hash   func() hash.Hash
	digest []byte
	salt   []byte
}

// openFile reads the file. The error names it, and the line.
func openFile(c Config, logger *slog.Logger, now func() time.Time) (*file, error) {
	f := &file{
		config:    c,
		entries:   map[term][]*ldap.Entry{},
		passwords: map[string][]password{},
		walk:      walker{logger: logger, now: now},
	}
	r, err := os.Open(c.LDIF)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	records, err := readRecords(r)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", c.LDIF, err)
	}
	seen := map[string]int{} // folded DN, or id: the line where it was seen first
	for _, record := range records {
		if err := f.add(record, seen); err != nil {
			return nil, fmt.Errorf("%s:%w", c.LDIF, err)
		}
	}
	return f, nil
}

// add takes an entry in.
func (f *file) add(r record, seen map[string]int) error {
	dn, err := ldap.ParseDN(r.dn)
	if err != nil || len(dn.RDNs) == 0 {
		return badLine(r.line, "%q is not a distinguished name", r.dn)
	}
	key := foldDN(r.dn)
	if line, twice := seen[key]; twice {
		return badLine(r.line, "%q is on line %d already", r.dn, line)
	}
	seen[key] = r.line
	e := ldap.NewEntry(r.dn, nil)
	for _, v := range r.values {
		if strings.EqualFold(v.attribute, attrID) {
			id := strings.ToLower(v.value)
			if line, twice := seen[id]; twice {
				return badLine(v.line, "%s %q is on line %d already", attrID, v.value, line)
			}
			seen[id] = v.line
		}
		if strings.EqualFold(v.attribute, "userPassword") {
			p, err := parsePassword(v.value)
			if err != nil {
				return &lineError{v.line, err}
			}
			f.passwords[key] = append(f.passwords[key], p)
			continue
		}
		appendValue(e, v.attribute, v.value)
	}
	if e.GetEqualFoldAttributeValue(attrLocked) == lockedByHand {
		delete(f.passwords, key) // a server refuses them too
	}
	if e.GetEqualFoldAttributeValue(attrID) == "" {
		appendValue(e, attrID, idFromDN(f.config.Name, key))
	}
	if base, err := ldap.ParseDN(f.config.BaseDN); err != nil || !base.EqualFold(dn) && !base.AncestorOfFold(dn) {
		return nil // outside, as in a search below the base
	}
	for _, a := range e.Attributes {
		for _, v := range a.Values {
			t := foldTerm(term{a.Name, v})
			if !slices.Contains(f.entries[t], e) {
				f.entries[t] = append(f.entries[t], e)
			}
		}
	}
	return nil
}

func appendValue(e *ldap.Entry, attribute, value string) {
	for _, a := range e.Attributes {
		if strings.EqualFold(a.Name, attribute) {
			a.Values = append(a.Values, value)
			return
		}
	}
	e.Attributes = append(e.Attributes, ldap.NewEntryAttribute(attribute, []string{value}))
}

// foldTerm puts a term into the form in which values are equal that are equal to a server:
// distinguishedNameMatch, caseExactIA5Match for memberUid (RFC 2307), else caseIgnoreMatch.
func foldTerm(t term) term {
	attribute := strings.ToLower(t.attribute)
	switch attribute {
	case "member", "uniquemember":
		return term{attribute, foldDN(t.value)}
	case "memberuid":
		return term{attribute, t.value}
	}
	return term{attribute, strings.Join(strings.Fields(strings.ToLower(norm.NFKC.String(t.value))), " ")}
}

// idFromDN makes the id of an entry that has none: a version 5 UUID (RFC 9562 section 5.5) of the
// directory's name and its own. It changes when either is renamed: devices stay with the old id.
func idFromDN(directory, dn string) string {
	sum := sha1.Sum([]byte("otpgate ldif\x00" + directory + "\x00" + dn))
	sum[6] = sum[6]&0x0f | 0x50
	sum[8] = sum[8]&0x3f | 0x80
	x := hex.EncodeToString(sum[:16])
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}

// matching returns the entries of which one of the terms is true.
func (f *file) matching(terms []term) (found []*ldap.Entry) {
	for _, t := range terms {
		for _, e := range f.entries[foldTerm(t)] {
			if !slices.Contains(found, e) {
				found = append(found, e)
			}
		}
	}
	return found
}

// find implements [source].
func (f *file) find(_ context.Context, l lookup) (*Account, error) {
	found := f.matching(l.terms())
	switch {
	case len(found) == 0:
		return nil, ErrNotFound
	case len(found) > 1:
		return nil, ErrAmbiguous
	}
	a, err := accountFrom(found[0], f.config)
	if err != nil || !f.config.Groups {
		return a, err
	}
	err = f.walk.fill(a, found[0].GetEqualFoldAttributeValues("uid"), func(members []term) ([]Group, bool, error) {
		var groups []Group
		for _, e := range f.matching(members) {
			groups = append(groups, groupFrom(e))
		}
		return groups, false, nil
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// authenticate implements [source].
func (f *file) authenticate(_ context.Context, dn, typed string) error {
	if typed == "" {
		return ErrPasswordEmpty
	}
	right := 0
	for _, p := range f.passwords[foldDN(dn)] {
		right |= p.compare(typed)
	}
	if right != 1 {
		return ErrPasswordWrong
	}
	return nil
}

// health implements [source]: what was read is there.
func (f *file) health(context.Context) error { return nil }

// parsePassword reads a value of userPassword (RFC 2307 section 5.3). The error does not tell it.
func parsePassword(value string) (password, error) {
	scheme := regexp.MustCompile(`^\{[A-Za-z0-9_./-]+\}`).FindString(value)
	rest := value[len(scheme):]
	var p password
	switch strings.ToUpper(scheme) {
	case "", "{CLEARTEXT}":
		if rest == "" {
			return password{}, errors.New("userPassword is empty")
		}
		return password{digest: []byte(rest)}, nil
	case "{SSHA}":
		p.hash = sha1.New
	case "{SSHA256}":
		p.hash = sha256.New
	case "{SSHA384}":
		p.hash = sha512.New384
	case "{SSHA512}":
		p.hash = sha512.New
	default:
		return password{}, fmt.Errorf("userPassword has scheme %s: want {SSHA512}, {SSHA384}, {SSHA256}, {SSHA}, or plain text", scheme)
	}
	octets, err := base64.StdEncoding.DecodeString(rest)
	if size := p.hash().Size(); err == nil && len(octets) > size {
		p.digest, p.salt = octets[:size], octets[size:]
		return p, nil
	}
	return password{}, fmt.Errorf("userPassword is not %s with a hash and a salt in base64", scheme)
}

// compare returns 1 for the right password, and else 0, after the same time.
func (p password) compare(typed string) int {
	digest := []byte(typed)
	if p.hash != nil {
		h := p.hash()
		h.Write(digest)
		h.Write(p.salt)
		digest = h.Sum(nil)
	}
	return subtle.ConstantTimeCompare(digest, p.digest)
}
