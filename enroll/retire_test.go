package enroll_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"otpgate/enroll"
	"otpgate/otp"
)

// names are the labels in an answer.
func names(answer map[string]any, member string) []string {
	all := []string{}
	list, _ := answer[member].([]any)
	for _, l := range list {
		all = append(all, l.(string))
	}
	slices.Sort(all)
	return all
}

// TestNewPhoneRetiresTheOldOne: the one whose code confirms it, or all; at the limit too.
func TestNewPhoneRetiresTheOldOne(t *testing.T) {
	for _, c := range []struct {
		retire          string
		retired, others []string
	}{
		{"", []string{}, []string{"old", "spare"}},
		{"confirming", []string{"old"}, []string{"spare"}},
		{"others", []string{"old", "spare"}, []string{}},
	} {
		for _, another := range []bool{false, true} {
			t.Run(fmt.Sprintf("%q, another authenticator %t", c.retire, another), func(t *testing.T) {
				c := c
				w := start(t, nil)
				old, first := w.register("alice@corp.example", "old", nil)
				if len(names(first, "retired")) != 0 || len(names(first, "others")) != 0 || first["others"] == nil || first["retired"] == nil {
					t.Errorf("the first: %v", first)
				}
				if _, _, err := w.devices.Add(context.Background(), otp.NewDevice{Account: alice, Label: "spare"}); err != nil {
					t.Fatal(err)
				}
				if c.retire != "" { // the limit is three
					if _, _, err := w.devices.Add(context.Background(), otp.NewDevice{Account: alice, Label: "spare"}); err != nil {
						t.Fatal(err)
					}
					c.retired, c.others = again(c.retired), again(c.others)
				}
				code, m := w.request("alice@corp.example")
				members := map[string]string{"email": "alice@corp.example", "code": code, "label": "new", "confirmation": old.code(w.clock.now()), "retire": c.retire}
				if !another {
					members["public_key"] = publicKey(t)
				}
				status, answer := w.device(members)
				if status != http.StatusCreated || !slices.Equal(names(answer, "retired"), c.retired) || !slices.Equal(names(answer, "others"), c.others) {
					t.Fatalf("%d %v: retired %v, others %v", status, answer["type"], answer["retired"], answer["others"])
				}
				if n := w.count(alice); n != 1+len(c.others) {
					t.Errorf("%d devices", n)
				}
				mail := w.smtp.Wait(context.Background(), "alice@corp.example", m.Number)
				for !strings.Contains(mail.Text, "“new”") { // the one about the first may come late
					mail = w.smtp.Wait(context.Background(), "alice@corp.example", mail.Number)
				}
				for _, label := range slices.Concat(c.retired, c.others) {
					if !strings.Contains(mail.Text, label) {
						t.Errorf("the mail does not name %s:\n%s", label, mail.Text)
					}
				}
				revoked := 0
				for _, e := range w.trail.all() {
					if e.Action == "device_revoked" && e.Account == alice && strings.Contains(e.Detail, answer["device"].(string)) {
						revoked++
					}
				}
				if revoked != len(c.retired) {
					t.Errorf("%d removals on record", revoked)
				}
			})
		}
	}
}

// again doubles the spare device.
func again(labels []string) []string {
	if slices.Contains(labels, "spare") {
		return append(slices.Clone(labels), "spare")
	}
	return labels
}

// TestRetiringTakesACode: of a device that is there, and what is refused retires nothing.
func TestRetiringTakesACode(t *testing.T) {
	w := start(t, nil)
	old, _ := w.register("alice@corp.example", "old", nil)
	i, err := w.invite("alice")
	if err != nil {
		t.Fatal(err)
	}
	code, _ := w.request("alice@corp.example")
	members := func(confirmation, retire string) map[string]string {
		return map[string]string{"email": "alice@corp.example", "code": code, "label": "new", "confirmation": confirmation, "retire": retire, "public_key": publicKey(t)}
	}
	for what, m := range map[string]map[string]string{
		"an invitation": members(i.Code, "confirming"), "nothing": members("", "confirming"), "no such word": members(old.code(w.clock.now()), "all"),
	} {
		if status, answer := w.post("/v1/devices", m); status != http.StatusBadRequest || answer["type"] != "urn:otpgate:malformed" {
			t.Errorf("%s: %d %v", what, status, answer)
		}
	}
	w.refused(members("000000", "confirming"))
	w.refused(members("000000", "others"))
	w.refused(members("", "others"))
	if w.count(alice) != 1 {
		t.Fatal("the old one is gone")
	}
	status, answer := w.post("/v1/devices", members(i.Code, "others"))
	if status != http.StatusCreated || !slices.Equal(names(answer, "retired"), []string{"old"}) {
		t.Errorf("by invitation: %d %v", status, answer["type"])
	}
}

// TestRetiringWithoutNeed: where nothing confirms an enrollment, a code says which device is meant.
func TestRetiringWithoutNeed(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.Policy = enroll.Anyone })
	old, _ := w.register("alice@corp.example", "old", nil)
	w.register("alice@corp.example", "other", nil)
	code, _ := w.request("alice@corp.example")
	_, status, _ := w.tryRegister("alice@corp.example", code, "new", map[string]string{"confirmation": "000000", "retire": "confirming"})
	if status != http.StatusForbidden {
		t.Errorf("by a wrong code: %d", status)
	}
	_, status, answer := w.tryRegister("alice@corp.example", code, "new", map[string]string{"confirmation": old.code(w.clock.now()), "retire": "confirming"})
	if status != http.StatusCreated || !slices.Equal(names(answer, "retired"), []string{"old"}) || !slices.Equal(names(answer, "others"), []string{"other"}) {
		t.Errorf("%d %v", status, answer)
	}
	// Nobody has a code without a device.
	code, _ = w.request("wang@corp.example")
	if _, status, _ = w.tryRegister("wang@corp.example", code, "new", map[string]string{"confirmation": "123456", "retire": "confirming"}); status != http.StatusForbidden {
		t.Errorf("without a device: %d", status)
	}
}
