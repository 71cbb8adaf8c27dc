package directory

import (
	"errors"
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
	Disabled  bool   // the directory says that nobody may log in with it
	Groups    []Group
}

// A Group is one that an account belongs to, directly or through other groups.
type Group struct {
	Name string // cn
	DN   string
}

// InAny reports whether the account is in one of the named groups. A name is a cn, or a DN,
// which is recognised by its "=". An empty list has no members: the caller decides what
// "no restriction" means.
func (a *Account) InAny(names []string) bool {
	for _, want := range names {
		for _, g := range a.Groups {
			if strings.Contains(want, "=") && equalDN(want, g.DN) || strings.EqualFold(want, g.Name) {
				return true
			}
		}
	}
	return false
}
