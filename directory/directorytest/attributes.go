package directorytest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"otpgate/directory"
)

func testAttributes(t *testing.T, open Open) {
	s := open(t, func(c *directory.Config) {
		c.Attributes = []string{"EmployeeType", "departmentNumber", "roomNumber", "carLicense", "title"}
	})
	alice := find(t, s, "alice")
	for name, want := range map[string]string{
		"employeeType": "staff", "EMPLOYEETYPE": "staff", "departmentNumber": "42",
		"title": "", "sn": "", "mail": "", "": "", // not there; not asked for
	} {
		if got := alice.Attribute(name); got != want {
			t.Errorf("%s of alice is %q, want %q", name, got, want)
		}
	}
	want := map[string][]string{"employeetype": {"staff", "on call"}, "departmentnumber": {"42"}}
	if diff := cmp.Diff(want, alice.Attributes); diff != "" {
		t.Errorf("attributes of alice: want -, got +\n%s", diff)
	}
	bob := find(t, s, "bob")
	if got := bob.Attribute("employeeType"); got != "約聘" {
		t.Errorf("employeeType of bob is %q", got)
	}
	if got := bob.Attribute("roomNumber"); got != "" {
		t.Errorf("a value of %d octets was kept", len(got))
	}
	if n := len(bob.Attributes["carlicense"]); n != 16 {
		t.Errorf("%d values were kept of 20", n)
	}
	if a := find(t, s, "grace"); a.Attributes != nil || a.Attribute("title") != "" {
		t.Errorf("grace has %v", a.Attributes)
	}
	byMail, err := s.FindMail(within(t), "alice@corp.example")
	if err != nil || byMail.Attribute("employeeType") != "staff" {
		t.Errorf("found by mail: %v, %v", byMail, err)
	}
	if a := find(t, open(t, nil), "alice"); a.Attributes != nil {
		t.Errorf("attributes that nobody asked for: %v", a.Attributes)
	}
}
