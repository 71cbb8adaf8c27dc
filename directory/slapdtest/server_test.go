package slapdtest_test

import (
	"os/exec"
	"strings"
	"testing"

	"otpgate/directory/slapdtest"
)

// search asks with OpenLDAP's own client, and returns what it prints.
func search(t *testing.T, s *slapdtest.Server, args ...string) string {
	t.Helper()
	cmd := exec.Command("ldapsearch", append([]string{"-x", "-LLL", "-b", s.BaseDN,
		"-D", s.ServiceDN, "-w", s.ServicePassword, "-o", "nettimeout=10"}, args...)...)
	cmd.Env = append(cmd.Environ(), "LDAPTLS_CACERT="+s.CAFile)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("ldapsearch %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestServerAnswersOverAllTransports(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Options{TLS: true})
	for _, args := range [][]string{
		{"-H", s.URL()},
		{"-H", s.URL(), "-ZZ"},
		{"-H", s.LDAPSURL()},
	} {
		if out := search(t, s, append(args, "(uid=alice)", "entryUUID")...); !strings.Contains(out, "entryUUID: 0a7d") {
			t.Errorf("%v: %s", args, out)
		}
	}
}

func TestServerKeepsItsDataOverARestart(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Options{})
	s.Modify("dn: " + slapdtest.PersonDN("alice") + "\nchangetype: modify\nreplace: displayName\ndisplayName: Changed\n")
	s.Stop()
	s.Stop()
	s.Start()
	if out := search(t, s, "-H", s.URL(), "(uid=alice)", "displayName"); !strings.Contains(out, "displayName: Changed") {
		t.Error(out)
	}
	s.Freeze()
	s.Thaw()
	search(t, s, "-H", s.URL(), "(uid=alice)")
}
