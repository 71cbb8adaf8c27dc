package directory

import (
	"strings"
	"testing"
	"unicode"

	"github.com/go-ldap/ldap/v3"
)

// FuzzEntry: whatever a directory answers becomes an account within our bounds, or an error.
func FuzzEntry(f *testing.F) {
	f.Add("uid=alice,dc=corp", "entryUUID", "6A3F1D0E", "uid", "alice", "mail", "a@corp.example")
	f.Add("", "entryuuid", "", "UID", "\xff", "department", strings.Repeat("x", 5000))
	f.Add("cn=x", "ENTRYUUID", "1", "department", "\x00", "department", "")
	c := Config{Name: "corp", LoginAttributes: []string{"uid"}, MailAttributes: []string{"mail"}, Attributes: []string{"department"}}
	f.Fuzz(func(t *testing.T, dn, a, av, b, bv, d, dv string) {
		account, err := accountFrom(ldap.NewEntry(dn, map[string][]string{a: {av, dv}, b: {bv}, d: {dv, bv, av}}), c)
		if err != nil {
			if account != nil {
				t.Fatalf("%+v, %v", account, err)
			}
			return
		}
		octets := 0
		for _, values := range account.Attributes {
			for _, v := range values {
				octets += len(v)
			}
		}
		if account.ID == "" || octets > maxKeptOctets {
			t.Fatalf("%d octets of %+v", octets, account)
		}
	})
}

// FuzzGroupName: a group is what it is called, in any spelling that is the same, and folding twice is folding once.
func FuzzGroupName(f *testing.F) {
	f.Add("vpn", "cn=vpn,dc=corp")
	f.Add("CN=VPN , DC=corp", "cn=vpn,dc=corp")
	f.Add("cn=a\\,b+uid=1,dc=x", "=,=")
	f.Add("cn=#0401", "cn=\\")
	f.Fuzz(func(t *testing.T, name, dn string) {
		g := groupFrom(ldap.NewEntry(dn, map[string][]string{"cn": {name}}))
		if _, is := readGroupName(name).of(Group{Name: name, DN: name}); !is && name != "" {
			t.Fatalf("%q is not called that", name)
		}
		_, _ = readGroupName(name).of(g)
		if once := foldDN(dn); foldDN(once) != once {
			t.Fatalf("%q becomes %q becomes %q", dn, once, foldDN(once))
		}
	})
}

// FuzzPassword: what a file has for a password is refused, or one that its own text in the clear fits.
func FuzzPassword(f *testing.F) {
	f.Add("{SSHA}", "geheim")
	f.Add("{SSHA512}AAAA", "")
	f.Add("{CLEARTEXT}geheim", "geheim")
	f.Add("geheim", "{")
	f.Fuzz(func(t *testing.T, value, typed string) {
		p, err := parsePassword(value)
		if err != nil {
			return
		}
		right := p.compare(typed) == 1
		if p.hash == nil && right != (typed == string(p.digest)) {
			t.Fatalf("%q and %q", value, typed)
		}
		if right && typed == "" {
			t.Fatalf("%q takes no password at all", value)
		}
	})
}

// FuzzShared: of what is found for several names together each gets the entry that has its name, and no other one.
func FuzzShared(f *testing.F) {
	f.Add("alice", "bob", "uid", " Alice", "mail", "bob")
	f.Add("a.b", "a", "uid;lang-de", "a", "UID", "a.b")
	f.Add("", "k", "uid", "K", "mail", "  ")
	f.Add("alice", "alice", "uid", "alice", "mail", "ALICE")
	f.Fuzz(func(t *testing.T, one, other, a, av, b, bv string) {
		lookups := []lookup{{values: []string{one}}, {values: []string{other}}}
		whose, outcomes := map[term][]int{}, make([]outcome, len(lookups))
		for i := range lookups {
			lookups[i].attributes = []string{"uid", "mail"}
			if !lookups[i].together() {
				return
			}
			for _, wanted := range lookups[i].terms() {
				whose[foldTerm(wanted)] = append(whose[foldTerm(wanted)], i)
			}
			outcomes[i].err = ErrNotFound
		}
		if strings.ContainsFunc(av+bv, func(r rune) bool { return r > unicode.MaxASCII }) {
			return // what they equal is for a library to say
		}
		first := ldap.NewEntry("cn=first,dc=corp", map[string][]string{a: {av}})
		second := ldap.NewEntry("cn=second,dc=corp", map[string][]string{b: {bv}})
		_, _ = assign(first, lookups[0].attributes, whose, outcomes), assign(second, lookups[0].attributes, whose, outcomes)
		for i, l := range lookups {
			var want outcome
			switch in, too := named(a, av, l.values[0]), named(b, bv, l.values[0]); {
			case in && too:
				want = outcome{first, ErrAmbiguous}
			case in:
				want.entry = first
			case too:
				want.entry = second
			default:
				want.err = ErrNotFound
			}
			if got := outcomes[i]; got != want {
				t.Fatalf("%q of %q and %q, where %q is %q and %q is %q: got %v and %v, want %v and %v", l.values[0], one, other, a, av, b, bv, got.entry, got.err, want.entry, want.err)
			}
		}
	})
}

// named reports whether a value of ASCII is a name, to a server.
func named(attribute, value, name string) bool {
	return (strings.EqualFold(attribute, "uid") || strings.EqualFold(attribute, "mail")) && strings.EqualFold(strings.Trim(value, " \t\n\v\f\r"), name)
}
