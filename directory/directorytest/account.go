package directorytest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"otpgate/directory"
	"otpgate/directory/slapdtest"
)

// patience is the deadline of everything that is expected to succeed, on a busy machine.
const patience = 20 * time.Second

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func find(t *testing.T, s *directory.Set, name string) *directory.Account {
	t.Helper()
	a, err := s.Find(within(t), name, nil)
	if err != nil {
		t.Fatalf("Find(%q): %v", name, err)
	}
	return a
}

// refused expects an error for a name, and no account with it.
func refused(t *testing.T, s *directory.Set, name string, want error) {
	t.Helper()
	if a, err := s.Find(within(t), name, nil); !errors.Is(err, want) || a != nil {
		t.Errorf("Find(%q) = %v, %v; want %v", name, a, err, want)
	}
}

func testAccounts(t *testing.T, open Open) {
	s := open(t, nil)
	dn := slapdtest.PersonDN
	for _, want := range []*directory.Account{
		{
			ID: "0a7d0000-0000-4000-8000-000000000009", Directory: Directory, DN: dn("alice"),
			Name: "alice", Mail: "alice@corp.example", FullName: "Alice", Language: "en",
			Groups: []directory.Group{{Name: "vpn-users", DN: slapdtest.GroupDN("vpn-users")}},
		},
		{
			ID: "0a7d0000-0000-4000-8000-000000000012", Directory: Directory, DN: dn("müller"),
			Name: "müller", Mail: "mueller@corp.example", FullName: "Jürgen Müller", Language: "de",
		},
		{
			ID: "0a7d0000-0000-4000-8000-000000000016", Directory: Directory, DN: dn("frank"),
			Name: "frank", Mail: "frank@corp.example", FullName: "Frank Frozen", Disabled: true,
		},
		{
			ID: "0a7d0000-0000-4000-8000-000000000017", Directory: Directory, DN: dn("grace"),
			Name: "grace", FullName: "Grace Bare",
		},
	} {
		if diff := cmp.Diff(want, find(t, s, want.Name)); diff != "" {
			t.Errorf("%s: want -, got +\n%s", want.Name, diff)
		}
	}
	refused(t, s, "nobody", directory.ErrNotFound)
	refused(t, s, "twin", directory.ErrAmbiguous)
	if err := s.Health(within(t))[Directory]; err != nil {
		t.Errorf("Health: %v", err)
	}
	below := open(t, func(c *directory.Config) { c.BaseDN = "OU=Contractors," + slapdtest.BaseDN })
	find(t, below, "twin")
	refused(t, below, "alice", directory.ErrNotFound)
	byMail := open(t, func(c *directory.Config) { c.LoginAttributes = []string{"uid", "mail"} })
	if a := find(t, byMail, "archer@corp.example"); a.Name != "alice" {
		t.Errorf("found %q by mail", a.Name)
	}
	refused(t, byMail, "shared@corp.example", directory.ErrAmbiguous)
}

func testNames(t *testing.T, open Open) {
	s := open(t, nil)
	for typed, want := range map[string]string{
		"ALICE": "alice", "ａｌｉｃｅ": "alice", " alice ": "alice",
		"mu\u0308ller": "müller", "MÜLLER": "müller",
		`we(ird)*\,n`: `we(ird)*\,n`, `WE(ird)*\,N`: `we(ird)*\,n`,
		"alice@corp.example": "alice", "alice@CORP.Example": "alice", "alice＠corp.example": "alice",
		`CORP\alice`: "alice", `corp\ALICE`: "alice", "müller@corp": "müller", `corp\we(ird)*\,n`: `we(ird)*\,n`,
		"heidi@corp.example": "heidi@corp.example",
	} {
		if a := find(t, s, typed); a.Name != want {
			t.Errorf("%q found %q", typed, a.Name)
		}
	}
	for _, typed := range []string{ // were any octet of these part of the filter, it would match
		"*", "a*", "*e", "al*ce", "alice*", `\2a`, `a\2ace`, "a)(uid=*", "alice)(uid=*", "*)(uid=alice",
		"nobody)(|(uid=alice", "alice)", "(alice", "alice)(objectClass=*", `we(ird)*\2cn`, `we(ird)\2a\5c,n`,
		"alice,ou=people", "uid=alice", slapdtest.PersonDN("alice"), "al ice",
		"heidi", "alice@other.example", `OTHER\alice`, "alice@", "alice@corp.example@corp.example", `CORP\alice@corp.example`,
		"álice", "аlice", // the second begins with a Cyrillic letter
	} {
		refused(t, s, typed, directory.ErrNotFound)
	}
	for _, typed := range []string{
		"", " ", "@corp.example", `CORP\`, "alice\x00", "\x00", "alice\n", "\xff", "al\u200bice", "ﬁ", "אalice",
		string(make([]byte, 300)),
	} {
		refused(t, s, typed, directory.ErrNameInvalid)
		if a, known := s.FindKnown(typed, nil); known {
			t.Errorf("FindKnown(%q) = %v", typed, a)
		}
	}
	ctx := within(t)
	for _, typed := range []string{"alice", "alice@corp.example"} {
		if _, err := s.Find(ctx, typed, []string{"other"}); !errors.Is(err, directory.ErrUnavailable) || errors.Is(err, directory.ErrNotFound) {
			t.Errorf("%s in a directory that is not here: %v", typed, err)
		}
	}
	if _, err := s.Find(ctx, "alice", []string{"other", Directory}); !errors.Is(err, directory.ErrUnavailable) {
		t.Errorf("in the second of the allowed directories, when the first is not here: %v", err)
	}
}

// testID: an account is found by its id in any case, and by nothing that is not one.
func testID(t *testing.T, s *directory.Set) {
	t.Helper()
	alice, err := s.FindMail(within(t), "alice@corp.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{alice.ID, strings.ToUpper(alice.ID)} {
		if a, err := s.FindID(within(t), id); err != nil || a.ID != alice.ID || a.Mail != alice.Mail {
			t.Errorf("FindID(%q) = %v, %v", id, a, err)
		}
	}
	for id, want := range map[string]error{
		"0b000000-0000-4000-8000-00000000ffff": directory.ErrNotFound, "*": directory.ErrNotFound, "alice": directory.ErrNotFound,
		alice.ID + ")(uid=*": directory.ErrNotFound, "": directory.ErrNameInvalid, "\xff": directory.ErrNameInvalid, "a\nb": directory.ErrNameInvalid,
	} {
		if a, err := s.FindID(within(t), id); !errors.Is(err, want) || a != nil {
			t.Errorf("FindID(%q) = %v, %v; want %v", id, a, err, want)
		}
	}
}

func testMail(t *testing.T, open Open) {
	s := open(t, nil)
	for mail, want := range map[string]string{
		"alice@corp.example": "alice", "ALICE@Corp.Example": "alice", "archer@corp.example": "alice", " bob@corp.example\n": "bob",
	} {
		a, err := s.FindMail(within(t), mail)
		if err != nil || a.Name != want {
			t.Errorf("FindMail(%q) = %v, %v", mail, a, err)
		}
	}
	for mail, want := range map[string]error{
		"nobody@corp.example": directory.ErrNotFound, "*@corp.example": directory.ErrNotFound,
		"alice@corp.example)(mail=*": directory.ErrNotFound, "müller@corp.example": directory.ErrNotFound,
		"shared@corp.example": directory.ErrAmbiguous,
		"":                    directory.ErrNameInvalid, "alice": directory.ErrNameInvalid, "@corp.example": directory.ErrNameInvalid,
		"alice@": directory.ErrNameInvalid, "alice@corp\x00.example": directory.ErrNameInvalid, "\xff@corp.example": directory.ErrNameInvalid,
	} {
		if a, err := s.FindMail(within(t), mail); !errors.Is(err, want) || a != nil {
			t.Errorf("FindMail(%q) = %v, %v; want %v", mail, a, err, want)
		}
	}
	testID(t, s)
	other := open(t, func(c *directory.Config) { c.MailAttributes = []string{"displayName", "uid"} })
	if a, err := other.FindMail(within(t), "heidi@corp.example"); err != nil || a.Mail != "heidi@corp.example" {
		t.Errorf("by another attribute: %v, %v", a, err)
	}
}

func testGroups(t *testing.T, open Open) {
	s := open(t, nil)
	for name, want := range map[string][]string{
		"alice": {"vpn-users"},
		"bob":   {"netadmins", "vpn-users"},
		"carol": {"cn=vpn-users,ou=groups,dc=corp,dc=example", "auditors", "wheel", "wheel-holders"},
		"dave":  {"ring-a", "ring-b"},
		"erin":  nil,
	} {
		var got []string
		for _, g := range find(t, s, name).Groups {
			got = append(got, g.Name)
			if !strings.Contains(g.Name, "=") && g.DN != slapdtest.GroupDN(g.Name) {
				t.Errorf("%s has the name %q", g.Name, g.DN)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("groups of %s: want -, got +\n%s", name, diff)
		}
	}
	bob := find(t, s, "bob")
	for _, in := range []string{"vpn-users", "VPN-Users", "CN=vpn-users, OU=groups, dc=corp,dc=EXAMPLE", "cn=vpn-\\75sers,ou=groups,dc=corp,dc=example"} {
		if !bob.InAny([]string{"nothing", in}) {
			t.Errorf("bob is not in %q", in)
		}
	}
	for _, in := range []string{"", "auditors", "vpn", "cn=vpn-users", "cn=vpn-users,ou=groups", "=", "vpn-users,ou=groups," + slapdtest.BaseDN} {
		if bob.InAny([]string{in}) {
			t.Errorf("bob is in %q", in)
		}
	}
	carol := find(t, s, "carol") // in a group that has two names, and in one whose cn reads as another's DN
	for in, want := range map[string]bool{
		"wheel": true, "Roots": true, "roo": false, slapdtest.GroupDN("roots"): false, slapdtest.GroupDN("wheel"): true,
		slapdtest.GroupDN("vpn-users"): false, "CN=vpn-users, OU=groups, dc=corp,dc=EXAMPLE": false, "vpn-users": false,
	} {
		if carol.InAny([]string{in}) != want {
			t.Errorf("carol is in %q: %v", in, !want)
		}
	}
	if bob.GroupsCut || find(t, s, "erin").GroupsCut {
		t.Error("all groups are known, and it does not say so")
	}
	if a := find(t, open(t, func(c *directory.Config) { c.Groups = false }), "alice"); len(a.Groups) > 0 || !a.GroupsCut {
		t.Errorf("groups that nobody asked for: %v, cut: %v", a.Groups, a.GroupsCut)
	}
	if a, err := s.FindMail(within(t), "bob@corp.example"); err != nil || len(a.Groups) != 2 || a.GroupsCut {
		t.Errorf("found by mail: %v, %v", a, err)
	}
}

func testPasswords(t *testing.T, open Open) {
	s := open(t, nil)
	people := map[string]*directory.Account{}
	for _, name := range []string{"alice", "carol", "müller", `we(ird)*\,n`, "frank", "grace"} {
		people[name] = find(t, s, name)
	}
	check := func(name, password string, want error) {
		t.Helper()
		if err := s.Authenticate(within(t), people[name], password); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s with %q: %v; want %v", name, password, err, want)
		}
	}
	for _, name := range []string{"alice", "carol", "müller", `we(ird)*\,n`} {
		right := slapdtest.Password(name)
		check(name, right, nil)
		for _, wrong := range []string{right + " ", " " + right, right[1:], right + "\x00", right[:len(right)-1] + "T", "*", "wrong", slapdtest.Password("bob")} {
			check(name, wrong, directory.ErrPasswordWrong)
		}
		check(name, "", directory.ErrPasswordEmpty)
		check(name, "\x00", directory.ErrPasswordEmpty)
		check(name, "\x00"+right, directory.ErrPasswordEmpty)
		check(name, right, nil) // the failures have done no harm
	}
	check("frank", slapdtest.Password("frank"), directory.ErrPasswordWrong) // locked
	check("grace", slapdtest.Password("grace"), directory.ErrPasswordWrong) // has none
	for _, dn := range []string{slapdtest.PersonDN("nobody"), slapdtest.BaseDN, "", "not a name", "uid=alice"} {
		a := &directory.Account{Directory: Directory, DN: dn}
		if err := s.Authenticate(within(t), a, "alice-secret"); !errors.Is(err, directory.ErrPasswordWrong) {
			t.Errorf("as %q: %v", dn, err)
		}
	}
	if err := s.Authenticate(within(t), nil, "alice-secret"); !errors.Is(err, directory.ErrPasswordWrong) {
		t.Errorf("as nobody: %v", err)
	}
	elsewhere := *people["alice"]
	elsewhere.Directory = "other"
	if err := s.Authenticate(within(t), &elsewhere, "alice-secret"); !errors.Is(err, directory.ErrUnavailable) {
		t.Errorf("in a directory that is not there: %v", err)
	}
}

func testMemory(t *testing.T, open Open) {
	s := open(t, func(c *directory.Config) { c.Fresh = time.Hour })
	if _, known := s.FindKnown("alice", nil); known {
		t.Error("known before it was asked for")
	}
	first := find(t, s, "alice")
	for _, same := range []string{"alice", "Alice", "ａlice"} {
		if a, known := s.FindKnown(same, nil); !known || a != first {
			t.Errorf("FindKnown(%q) = %v, %v", same, a, known)
		}
	}
	if a, known := s.FindKnown("alice", []string{"other"}); known {
		t.Errorf("known to a client that may not use the directory: %v", a)
	}
	refused(t, s, "nobody", directory.ErrNotFound)
	if a, known := s.FindKnown("nobody", nil); known {
		t.Errorf("FindKnown of nobody = %v", a)
	}
	never := open(t, nil)
	find(t, never, "alice")
	if _, known := never.FindKnown("alice", nil); known {
		t.Error("known, with Fresh 0")
	}
}

func testConcurrent(t *testing.T, open Open) {
	s := open(t, nil)
	var all sync.WaitGroup
	names := []string{"alice", "bob", "carol", "müller", `we(ird)*\,n`, "dave", "erin", "grace"}
	for i := range 64 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			name := names[i%len(names)]
			a, err := s.Find(ctx, name, nil)
			if err != nil || a.Name != name {
				t.Errorf("Find(%q) = %v, %v", name, a, err)
				return
			}
			if i%4 != 0 || name == "grace" {
				return
			}
			if err := s.Authenticate(ctx, a, slapdtest.Password(name)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := s.Authenticate(ctx, a, "wrong"); !errors.Is(err, directory.ErrPasswordWrong) {
				t.Errorf("%s with a wrong password: %v", name, err)
			}
		})
	}
	all.Wait()
}
