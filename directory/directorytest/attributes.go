package directorytest

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"otpgate/directory"
)

func testAttributes(t *testing.T, open Open) {
	s := open(t, func(c *directory.Config) {
		c.Attributes = []string{"EmployeeType", "departmentNumber", "roomNumber", "carLicense", "title", "description"}
	})
	alice := find(t, s, "alice")
	for name, want := range map[string]string{
		"employeeType": "staff", "EMPLOYEETYPE": "staff", "departmentNumber": "42",
		"title": "", "sn": "", "mail": "", "": "", // not there; not asked for
	} {
		if got, err := alice.Attribute(name); got != want || err != nil {
			t.Errorf("%s of alice is %q, %v, want %q", name, got, err, want)
		}
	}
	want := map[string][]string{"employeetype": {"staff", "on call"}, "departmentnumber": {"42"}}
	if diff := cmp.Diff(want, alice.Attributes); diff != "" {
		t.Errorf("attributes of alice: want -, got +\n%s", diff)
	}
	bob := find(t, s, "bob")
	if got, err := bob.Attribute("employeeType"); got != "約聘" || err != nil {
		t.Errorf("employeeType of bob is %q, %v", got, err)
	}
	if got, err := bob.Attribute("description"); len(got) != 4096 || err != nil {
		t.Errorf("%d octets were kept of 4,096, %v", len(got), err)
	}
	// One value is too long, and there is a short one beside it: neither is taken for the first.
	if got, err := bob.Attribute("roomNumber"); got != "" || !errors.Is(err, directory.ErrOversized) {
		t.Errorf("a value of %d octets was kept, %v", len(got), err)
	}
	if diff := cmp.Diff([]string{"roomnumber"}, bob.Oversized); diff != "" {
		t.Errorf("too long: want -, got +\n%s", diff)
	}
	if n := len(bob.Attributes["carlicense"]); n != 16 {
		t.Errorf("%d values were kept of 20", n)
	}
	if a := find(t, s, "grace"); a.Attributes != nil || a.Oversized != nil {
		t.Errorf("grace has %v, %v", a.Attributes, a.Oversized)
	}
	byMail, err := s.FindMail(within(t), "alice@corp.example")
	if err != nil || len(byMail.Attributes["employeetype"]) != 2 {
		t.Errorf("found by mail: %v, %v", byMail, err)
	}
	if a := find(t, open(t, nil), "alice"); a.Attributes != nil {
		t.Errorf("attributes that nobody asked for: %v", a.Attributes)
	}
}
