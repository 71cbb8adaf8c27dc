package directory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

var (
	// ErrNotFound: the directory was asked, and has no such account.
	ErrNotFound = errors.New("no such account")
	// ErrAmbiguous: more than one entry fits the name. Nobody is let in on a guess.
	ErrAmbiguous = errors.New("more than one account has this name")
	// ErrUnavailable: the directory could not be asked, or did not answer in time.
	ErrUnavailable = errors.New("directory unavailable")
	// ErrNameInvalid: no account can have a name of such octets.
	ErrNameInvalid = errors.New("not a valid name")
	// ErrPasswordWrong: the directory refused the password.
	ErrPasswordWrong = errors.New("password refused")
	// ErrPasswordEmpty: an empty password is refused before any bind, because RFC 4513 section
	// 5.1.2 lets a directory answer such a bind with success.
	ErrPasswordEmpty = errors.New("empty password")
)

// An Account is a person or service as the directory knows it. It is shared between
// goroutines: nobody changes it.
type Account struct {
	ID        string // immutable: entryUUID in lower case; never a name
	Directory string // the configured name of the directory it came from
	DN        string
	Name      string // the login name as the directory spells it: the first login attribute's first value
	Mail      string // the first mail address; may be empty
	FullName  string // displayName, else cn
	Language  string // preferredLanguage; may be empty
	Disabled  bool   // it is locked for good, as OpenLDAP has it; other ways to disable one are not looked for
	Groups    []Group
	// GroupsCut says that Groups are not all that the account is in: it has more than are looked up,
	// or none were looked up, because [Config.Groups] is false. Then that it is not in a group means
	// nothing: whoever lets in those who are not in one MUST refuse.
	GroupsCut bool
	// Attributes are what [Config.Attributes] asked for and the entry has: their first values, by
	// name in lower case. [Account.Attribute] reads it.
	Attributes map[string][]string
	// Oversized are those of them, in lower case, that are not in Attributes because they have a value
	// of more than 4,096 octets: they are there, and not known.
	Oversized []string
}

// ErrOversized: the entry has the attribute, with a value that is too long to be read.
var ErrOversized = errors.New("a value has more than 4096 octets")

// Attribute returns the first value of an attribute that [Config.Attributes] asked for, without
// regard to the case of its name; "" when the entry has none. It may be any octets, 4,096 at most.
// The error wraps [ErrOversized] when the entry has it and what it says is not known.
func (a *Account) Attribute(name string) (string, error) {
	name = strings.ToLower(name)
	if slices.Contains(a.Oversized, name) {
		return "", fmt.Errorf("attribute %s: %w", name, ErrOversized)
	}
	if values := a.Attributes[name]; len(values) > 0 {
		return values[0], nil
	}
	return "", nil
}

// A Group is one that an account belongs to, directly or through other groups.
type Group struct {
	Name    string   // the first cn
	Aliases []string // the other values of cn, which are its names as well; nil for most groups
	DN      string
}

// InAny reports whether the account is in one of the named groups, each named as [Group.Is] takes
// it. An empty list has no members: the caller decides what "no restriction" means. False says
// nothing when the groups are cut ([Account.GroupsCut]).
func (a *Account) InAny(names []string) bool {
	for _, name := range names {
		wanted := readGroupName(name)
		for _, g := range a.Groups {
			if _, is := wanted.of(g); is {
				return true
			}
		}
	}
	return false
}

// Is reports whether the group has this name: a cn, any that it has, or a DN. What can be read as a
// DN is one, and is not compared with a cn: a group whose cn is spelled as the DN of another is not
// that other one.
func (g Group) Is(name string) bool {
	_, is := g.Called(name)
	return is
}

// Called is [Group.Is], with the name as the directory spells it: the cn that was meant, or the first
// one for a DN.
func (g Group) Called(name string) (string, bool) { return readGroupName(name).of(g) }
