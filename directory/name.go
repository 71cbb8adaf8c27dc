package directory

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/secure/bidirule"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// maxName is the most octets that a name may have: what fits into a User-Name attribute (RFC
// 2865 section 5.1).
const maxName = 253

// DecodeName turns the octets of a User-Name into text: UTF-8 as RFC 2865 section 5 wants it, or
// Latin-1 when the octets are not valid UTF-8, because older gateways send what the keyboard
// gave them. It returns an error wrapping [ErrNameInvalid] when there are none, more than 253, or
// a control character among them.
func DecodeName(octets []byte) (string, error) {
	if len(octets) == 0 {
		return "", fmt.Errorf("%w: empty", ErrNameInvalid)
	}
	if len(octets) > maxName {
		return "", fmt.Errorf("%w: longer than %d octets", ErrNameInvalid, maxName)
	}
	text := string(octets)
	if !utf8.Valid(octets) {
		var err error
		if text, err = charmap.ISO8859_1.NewDecoder().String(text); err != nil {
			return "", fmt.Errorf("%w: neither UTF-8 nor Latin-1", ErrNameInvalid)
		}
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return "", fmt.Errorf("%w: control character", ErrNameInvalid)
	}
	return text, nil
}

// A wanted is a name that was routed: where to look, and for what.
type wanted struct {
	directory int      // index into Set.directories
	values    []string // what a login attribute must be equal to, any of them
	// key is what the cache files the answer under: all values, and so the whole question. A key of
	// the name alone would be the same for the realm's account and for somebody who is called so.
	key string
}

// names takes login names apart and puts them into the form in which they are compared.
type names struct {
	profile     *precis.Profile
	directories []string       // their names, by index
	realms      map[string]int // folded realm to index of its directory
}

func newNames(configs []Config) (*names, error) {
	n := &names{
		// UsernameCaseMapped of RFC 8265 section 3.3, but for its fifth rule: the library applies
		// the Bidi Rule to every string that is not ASCII, and so refuses 7müller. See enforce.
		profile: precis.NewIdentifier(precis.FoldWidth, precis.LowerCase(), precis.Norm(norm.NFC)),
		realms:  map[string]int{},
	}
	for i, c := range configs {
		if slices.Contains(n.directories, c.Name) {
			return nil, fmt.Errorf("two directories have the name %q", c.Name)
		}
		n.directories = append(n.directories, c.Name)
		for _, realm := range c.Realms {
			if other, taken := n.realms[foldRealm(realm)]; taken && other != i {
				return nil, fmt.Errorf("realm %q belongs to %q and to %q", realm, configs[other].Name, c.Name)
			}
			n.realms[foldRealm(realm)] = i
		}
	}
	return n, nil
}

// route finds out which directory a name belongs to. A realm after the last @ (RFC 7542), or else
// before the first backslash, says so if it is known; whatever follows an @ otherwise is part of
// the name, because names may be mail addresses. Such a name, and one without, is for the first of
// the allowed directories.
//
// ok is false when the realm's directory is not among them, or one of them does not exist: see nowhere.
func (n *names) route(name string, allowed []string) (w wanted, ok bool, err error) {
	if len(name) > 2*maxName || !utf8.ValidString(name) { // 2: Latin-1 as UTF-8
		return wanted{}, false, fmt.Errorf("%w: too long, or not UTF-8", ErrNameInvalid)
	}
	if !isASCII(name) {
		name = width.Fold.String(name) // before the separators are looked for: a wide @ is one too
	}
	if strings.IndexByte(name, ' ') >= 0 { // so that a space at the end does not hide the realm
		name = strings.Join(strings.FieldsFunc(name, isSpace), " ")
	}
	prefix, local, suffix, home := n.split(name)
	value, err := n.enforce(local)
	if err != nil {
		return wanted{}, false, err
	}
	if n.missing(allowed) {
		return wanted{}, false, nil
	}
	if home < 0 {
		home = n.first(allowed)
	}
	if home < 0 || len(allowed) > 0 && !slices.Contains(allowed, n.directories[home]) {
		return wanted{}, false, nil
	}
	w = wanted{directory: home, key: value, values: []string{value}}
	if prefix != "" || suffix != "" { // the directory may hold the name with its realm
		w.key = value + "\x00" + foldRealm(prefix) + value + foldRealm(suffix) // no name holds a NUL
		w.values = append(w.values, w.key[len(value)+1:])
	}
	return w, true, nil
}

// nowhere is why route leads a name nowhere. A client that may use a directory which is not here is one of before a
// reload, and the directory is gone, or has another name now: nobody can tell which account was meant, as it may be
// another one's name in the directories that are left.
func (n *names) nowhere(allowed []string) error {
	if n.missing(allowed) {
		return fmt.Errorf("directory: %w: a directory of this client is not here", ErrUnavailable)
	}
	return fmt.Errorf("directory: %w in the directories of this client", ErrNotFound)
}

// split takes one known realm off a name, with its separator; without one, home is -1.
func (n *names) split(name string) (prefix, local, suffix string, home int) {
	if at := strings.LastIndexByte(name, '@'); at >= 0 {
		if i, known := n.realms[foldRealm(name[at+1:])]; known {
			return "", name[:at], name[at:], i
		}
	}
	if at := strings.IndexByte(name, '\\'); at >= 0 {
		if i, known := n.realms[foldRealm(name[:at])]; known {
			return name[:at+1], name[at+1:], "", i
		}
	}
	return "", name, "", -1
}

// missing reports whether one of the allowed directories does not exist.
func (n *names) missing(allowed []string) bool {
	for _, name := range allowed {
		if !slices.Contains(n.directories, name) {
			return true
		}
	}
	return false
}

// first returns the index of the first allowed directory, or -1 where there is none.
func (n *names) first(allowed []string) int {
	if len(allowed) > 0 {
		return slices.Index(n.directories, allowed[0])
	}
	if len(n.directories) > 0 {
		return 0
	}
	return -1
}

// enforce returns a name as RFC 8265 section 3.3 (UsernameCaseMapped) would have it compared.
// Spaces separate parts that are names each (section 3.1); how many there are is not significant,
// as in LDAP (RFC 4518 section 2.6.1).
func (n *names) enforce(name string) (string, error) {
	if isPlain(name) {
		return strings.ToLower(name), nil
	}
	parts := strings.FieldsFunc(name, isSpace)
	for i, part := range parts {
		enforced, err := n.profile.String(part)
		if err != nil {
			return "", fmt.Errorf("%w: RFC 8265: %w", ErrNameInvalid, err)
		}
		if hasRightToLeft(enforced) && !bidirule.ValidString(enforced) {
			return "", fmt.Errorf("%w: RFC 8265: letters of both directions", ErrNameInvalid)
		}
		parts[i] = enforced
	}
	if len(parts) == 0 {
		return "", fmt.Errorf("%w: empty", ErrNameInvalid)
	}
	return strings.Join(parts, " "), nil
}

func isSpace(r rune) bool { return r == ' ' }

// isPlain reports whether RFC 8265 would only lower the case of a name: printable ASCII, no space.
func isPlain(name string) bool {
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' {
			return false
		}
	}
	return name != ""
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// hasRightToLeft reports whether the Bidi Rule is to be applied at all: RFC 8265 section 3.3.3
// applies it to strings with right-to-left code points, which RFC 5893 section 1.4 defines.
func hasRightToLeft(s string) bool {
	for _, r := range s {
		properties, _ := bidi.LookupRune(r)
		switch properties.Class() {
		case bidi.R, bidi.AL, bidi.AN:
			return true
		}
	}
	return false
}

// foldRealm puts a realm, or a realm and its separator, into the form in which realms are compared.
func foldRealm(realm string) string { return strings.ToLower(norm.NFC.String(realm)) }
