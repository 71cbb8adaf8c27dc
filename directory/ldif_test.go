package directory_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"hash"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otpgate/directory"
	"otpgate/directory/slapdtest"
)

func person(lines ...string) string {
	return "dn: uid=alice,dc=corp,dc=example\nuid: alice\n" + strings.Join(lines, "\n") + "\n"
}

func TestFileThatCannotBeReadIsToldByLine(t *testing.T) {
	now := newClock()
	for ldif, want := range map[string]string{
		"uid: alice\n":                          ":1: an entry begins with dn:, not with uid:",
		"version: 2\n":                          `:1: LDIF version "2"`,
		"# fine\n\n\ndn: alice\nuid: alice\n":   `:4: "alice" is not a distinguished name`,
		" folded\n":                             ":1: nothing before that this line could continue",
		person("no colon"):                      ":3: want attribute: value",
		person("cn:: ***"):                      ":3: cn:: is not followed by base64",
		person("cn:< file:///etc/passwd"):       ":3: cn:< asks for another file",
		person("changetype: modify"):            ":3: changetype: this file describes changes",
		person("dn: uid=bob,dc=corp"):           ":3: second dn: in an entry",
		person() + "\n" + person():              `:5: "uid=alice,dc=corp,dc=example" is on line 1 already`,
		person("userPassword: {CRYPT}x$secret"): ":3: userPassword has scheme {CRYPT}: want {SSHA512}",
		person("userPassword: {SHA}c2VjcmV0"):   ":3: userPassword has scheme {SHA}",
		person("userPassword: {SSHA}c2VjcmV0"):  ":3: userPassword is not {SSHA} with a hash and a salt",
		person("userPassword: {SSHA}!secret!"):  ":3: userPassword is not {SSHA}",
		person("userPassword:"):                 ":3: userPassword is empty",
		person("# a\n  comment\ncn: a\n b\nentryUUID: X") + "\ndn: cn=b\nentryuuid: x\n": `:10: entryUUID "x" is on line 7 already`,
	} {
		c := inFile(t, ldif)
		_, err := directory.New(directory.Options{Directories: []directory.Config{c}, Now: now.Now})
		if err == nil || !strings.Contains(err.Error(), c.LDIF+want) {
			t.Errorf("%q:\ngot  %v\nwant %s", ldif, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the password is in the error: %v", err)
		}
	}
	missing := directory.Config{Name: "corp", LDIF: filepath.Join(t.TempDir(), "missing.ldif")}
	if _, err := directory.New(directory.Options{Directories: []directory.Config{missing}, Now: now.Now}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestFileIsReadAsRFC2849SaysIt(t *testing.T) {
	ldif := "\ufeffversion: 1\r\n# comment\r\n  of two lines\r\n\r\n\r\ndn:: " + base64.StdEncoding.EncodeToString([]byte("uid=jörg,DC=Corp,DC=Example")) +
		"\r\nUID: jörg\r\nuid: second\r\ndisplayName: Jörg in\r\n  two lines\r\ndescription:\r\n# between\r\nmail;x-work: no@corp.example\r\nmail:j@corp.example\r\nUserPassword: top secret"
	s := open(t, newClock(), inFile(t, ldif))
	a := mustFind(t, s, "jörg")
	if a.Name != "jörg" || a.FullName != "Jörg in two lines" || a.Mail != "j@corp.example" {
		t.Errorf("%+v", a)
	}
	if mustFind(t, s, "SECOND").DN != a.DN {
		t.Error("not found by the second value")
	}
	if err := s.Authenticate(t.Context(), a, "top secret"); err != nil {
		t.Error(err)
	}
}

func TestEntryOfAFileWithoutIDGetsOne(t *testing.T) {
	id := func(name, ldif string) string {
		c := inFile(t, ldif)
		c.Name, c.BaseDN = name, ""
		return mustFind(t, open(t, newClock(), c), "alice").ID
	}
	first := id("corp", person())
	if len(first) != 36 || first[14] != '5' || strings.ToLower(first) != first {
		t.Errorf("%q is no UUID", first)
	}
	if again := id("corp", "dn: uid=other\nuid: other\n\n"+strings.ReplaceAll(person("cn: changed"), "uid=alice,dc=corp", "UID=Alice, DC=Corp")); again != first {
		t.Errorf("%q is now %q", first, again)
	}
	if other := id("lab", person()); other == first {
		t.Error("two directories give the same id")
	}
	if own := id("corp", person("entryUUID: 0A7D0000-0000-4000-8000-0000000000FF")); own != "0a7d0000-0000-4000-8000-0000000000ff" {
		t.Errorf("its own id became %q", own)
	}
}

func TestPasswordSchemesOfAFile(t *testing.T) {
	salted := func(h hash.Hash, scheme string) string {
		h.Write([]byte("right" + "salt"))
		return scheme + base64.StdEncoding.EncodeToString(append(h.Sum(nil), "salt"...))
	}
	for _, value := range []string{
		"right", "{CLEARTEXT}right", salted(sha1.New(), "{SSHA}"), salted(sha1.New(), "{ssha}"),
		salted(sha256.New(), "{SSHA256}"), salted(sha512.New384(), "{SSHA384}"), salted(sha512.New(), "{SSHA512}"),
	} {
		s := open(t, newClock(), inFile(t, person("userPassword: other", "userPassword: "+value)))
		a := mustFind(t, s, "alice")
		for _, right := range []string{"right", "other"} {
			if err := s.Authenticate(t.Context(), a, right); err != nil {
				t.Errorf("%s: %q: %v", value, right, err)
			}
		}
		for _, wrong := range []string{"wrong", "Right", "right ", "rightsalt", "{CLEARTEXT}right", ""} {
			if err := s.Authenticate(t.Context(), a, wrong); !errors.Is(err, directory.ErrPasswordWrong) && !errors.Is(err, directory.ErrPasswordEmpty) {
				t.Errorf("%s: %q: %v", value, wrong, err)
			}
		}
	}
}

func TestFileAndServerStandSideBySide(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{})
	lab := inFile(t, person("mail: alice@lab.example", "userPassword: lab")+"\ndn: cn=x,dc=corp,dc=example\nmail: carol@corp.example\n"+
		"\ndn: cn=y,dc=corp,dc=example\nmail: both@lab.example\nmail: guest@lab.example\n\ndn: cn=z,dc=corp,dc=example\nmail: both@lab.example\n")
	lab.Name, lab.Realms = "lab", []string{"lab.example"}
	guests := inFile(t, "dn: cn=guest,dc=corp,dc=example\nmail: guest@lab.example\n")
	guests.Name, guests.Realms = "guests", nil
	corp := over(server)
	corp.Fresh, corp.Stale, corp.Timeout = time.Minute, time.Hour, 5*time.Second
	now := newClock()
	s := open(t, now, corp, lab, guests)
	if a := mustFind(t, s, "alice"); a.Directory != "corp" {
		t.Errorf("without a realm: %q", a.Directory)
	}
	a := mustFind(t, s, "alice@lab.example")
	if a.Directory != "lab" || s.Authenticate(soon(t, patience), a, "lab") != nil {
		t.Errorf("%+v", a)
	}
	for _, twice := range []string{"carol@corp.example", "both@lab.example", "guest@lab.example"} { // in two directories, or in one
		_, err := s.FindMail(soon(t, patience), twice)
		wantError(t, err, directory.ErrAmbiguous, "")
	}
	if a, err := s.FindMail(soon(t, patience), "alice@lab.example"); err != nil || a.Directory != "lab" {
		t.Errorf("%v, %v", a, err)
	}
	server.Stop()
	now.Advance(time.Minute)
	if a := mustFind(t, s, "alice"); a.Directory != "corp" { // as long as Stale
		t.Errorf("%+v", a)
	}
	_, err := s.Find(soon(t, patience), "bob", nil)
	wantError(t, err, directory.ErrUnavailable, "")
	// It might be in the other as well; and nobody can tell by the answer which addresses two have.
	for _, mail := range []string{"alice@lab.example", "both@lab.example", "guest@lab.example", "nobody@lab.example"} {
		_, err := s.FindMail(soon(t, patience), mail)
		wantError(t, err, directory.ErrUnavailable, "")
	}
	mustFind(t, s, "alice@lab.example")
}

func FuzzLDIF(f *testing.F) {
	f.Add(slapdtest.Entries)
	f.Add(person("cn:: YQ==", "cn:", " x", "# y"))
	f.Add("version: 1\n\ndn:\n")
	now := newClock()
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, ldif string) {
		c := directory.Config{Name: "lab", LDIF: filepath.Join(dir, "fuzz.ldif")}
		if err := os.WriteFile(c.LDIF, []byte(ldif), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := directory.New(directory.Options{Directories: []directory.Config{c}, Now: now.Now})
		if err != nil {
			return
		}
		defer s.Close()
		if a, err := s.Find(t.Context(), "alice", nil); err == nil && (a.ID == "" || a.DN == "") {
			t.Errorf("%+v", a)
		}
	})
}
