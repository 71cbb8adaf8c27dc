package reply_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"otpgate/directory"
	"otpgate/radius/dictionary"
	"otpgate/radius/reply"
)

// builtIn is made once: nobody changes it.
var builtIn = sync.OnceValues(func() (*dictionary.Dictionary, error) { return dictionary.New() })

func words(t testing.TB) *dictionary.Dictionary {
	t.Helper()
	d, err := builtIn()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// set is a setting: set("Class", "a", "b").
func set(name string, values ...string) reply.Setting {
	return reply.Setting{Name: name, Values: values}
}

func rule(group string, settings ...reply.Setting) reply.Rule {
	return reply.Rule{Group: group, Attributes: settings}
}

func compile(t testing.TB, o reply.Options) *reply.Reply {
	t.Helper()
	o.Dictionary = words(t)
	r, problems := reply.Compile(o)
	if len(problems) > 0 {
		t.Fatalf("%+v", problems)
	}
	return r
}

// describe is a reply as people read it.
func describe(t testing.TB, r *reply.Reply, a *directory.Account) []string {
	t.Helper()
	wires, err := r.For(a)
	if err != nil {
		t.Fatal(err)
	}
	d, all := words(t), []string{}
	for _, w := range wires {
		name, value := d.Describe(w)
		all = append(all, name+"="+value)
	}
	return all
}

func alice(groups ...string) *directory.Account {
	a := &directory.Account{
		ID: "1", Name: "alice", Mail: "alice@corp.example", FullName: "Alice Ärcher", DN: "uid=alice,dc=corp",
		Attributes: map[string][]string{"employeetype": {"staff", "second"}, "hours": {"8"}, "binary": {"\xff"}, "hex": {"0x41"}},
	}
	for _, g := range groups {
		a.Groups = append(a.Groups, directory.Group{Name: g, DN: "cn=" + g + ",dc=corp"})
	}
	return a
}

func TestRules(t *testing.T) {
	r := compile(t, reply.Options{Rules: []reply.Rule{
		rule("", set("Class", "OU=staff"), set("Session-Timeout", "28800"), set("Service-Type", "NAS-Prompt-User")),
		rule("netadmins", set("Service-Type", "Administrative-User"), set("Cisco-AVPair", "shell:priv-lvl=15", "shell:roles=a")),
		rule("CN=vlans, DC=corp", set("Tunnel-Type", ":1:VLAN"), set("Tunnel-Private-Group-Id", ":1:42")),
		rule("vlans", set("Class", "second"), set("Tunnel-Type", ":2:VLAN")),
		rule("nobody", set("Filter-Id", "x")),
	}})
	for _, c := range []struct {
		groups []string
		want   []string
	}{
		{nil, []string{"Class=OU=staff", "Session-Timeout=28800", "Service-Type=NAS-Prompt-User"}},
		{[]string{"NetAdmins"}, []string{
			"Class=OU=staff", "Session-Timeout=28800", "Service-Type=Administrative-User", "Cisco-AVPair=shell:priv-lvl=15", "Cisco-AVPair=shell:roles=a",
		}},
		{[]string{"vlans"}, []string{
			"Class=OU=staff", "Session-Timeout=28800", "Service-Type=NAS-Prompt-User",
			"Tunnel-Type=:1:VLAN", "Tunnel-Private-Group-Id=:1:42", "Class=second", "Tunnel-Type=:2:VLAN",
		}},
	} {
		if diff := cmp.Diff(c.want, describe(t, r, alice(c.groups...))); diff != "" {
			t.Errorf("in %v: want -, got +\n%s", c.groups, diff)
		}
	}
	if !r.NeedsGroups() || r.DirectoryAttributes() != nil {
		t.Errorf("needs groups %v, attributes %v", r.NeedsGroups(), r.DirectoryAttributes())
	}
	if _, err := r.For(nil); err == nil {
		t.Error("attributes for nobody")
	}
	wires, _ := r.For(alice("netadmins"))
	if w := wires[3]; w.Type != 26 || hex.EncodeToString(w.Value) != "000000090113"+hex.EncodeToString([]byte("shell:priv-lvl=15")) {
		t.Errorf("priv-lvl is %x", w)
	}
	var none *reply.Reply
	if wires, err := none.For(alice()); wires != nil || err != nil || none.NeedsGroups() || none.DirectoryAttributes() != nil {
		t.Errorf("no reply: %v, %v", wires, err)
	}
	if got := describe(t, compile(t, reply.Options{}), alice()); len(got) > 0 {
		t.Errorf("nothing configured: %v", got)
	}
}

func TestTemplates(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"Class", "{{.Name}}", "Class=alice"},
		{"Class", "{{.Mail}} {{.DN}}", "Class=alice@corp.example uid=alice,dc=corp"},
		{"Reply-Message", "Hello {{.FullName}}", "Reply-Message=Hello Alice Ärcher"},
		{"Filter-Id", `{{.Attribute "employeeType"}}`, "Filter-Id=staff"},
		{"Filter-Id", `x{{.Attribute "title"}}`, "Filter-Id=x"},
		{"Filter-Id", `{{.Attribute "title"}}`, ""},
		{"Filter-Id", `{{if .Attribute "title"}}a{{else if eq (.Attribute "employeeType") "staff"}}b{{else}}c{{end}}`, "Filter-Id=b"},
		{"Filter-Id", `{{if and (ne .Name "bob") (not (.Attribute "title"))}}{{.Name | upper}}{{end}}`, "Filter-Id=ALICE"},
		{"Filter-Id", `{{or (.Attribute "title") .Name "x" | lower}}`, "Filter-Id=alice"},
		{"Filter-Id", `{{"constant"}}{{/* note */}}`, "Filter-Id=constant"},
		{"Filter-Id", "no { template }}", "Filter-Id=no { template }}"},
		{"Idle-Timeout", `{{.Attribute "hours"}}00`, "Idle-Timeout=800"},
		{"Service-Type", `{{if .Name}}Administrative{{end}}-User`, "Service-Type=Administrative-User"},
		{"Tunnel-Private-Group-Id", `:3:{{.Attribute "hours"}}`, "Tunnel-Private-Group-Id=:3:8"},
		{"Class", `{{.Attribute "hex"}}`, "Class=0x30783431"}, // the text 0x41, not the letter A
	} {
		r := compile(t, reply.Options{Rules: []reply.Rule{rule("", set(c.name, c.value))}})
		want := []string{c.want}
		if c.want == "" {
			want = []string{}
		}
		if diff := cmp.Diff(want, describe(t, r, alice())); diff != "" {
			t.Errorf("%s: want -, got +\n%s", c.value, diff)
		}
	}
	r := compile(t, reply.Options{Rules: []reply.Rule{rule("",
		set("Class", `{{.Attribute "employeeType"}}`, `{{if .Name}}{{.Attribute "Title"}}{{end}}`), set("Filter-Id", `{{.Attribute "EMPLOYEETYPE" | lower}}`))}})
	if diff := cmp.Diff([]string{"EMPLOYEETYPE", "Title"}, r.DirectoryAttributes()); diff != "" || r.NeedsGroups() {
		t.Errorf("attributes of the directory: want -, got +\n%s", diff)
	}
	// A later rule's number takes the place of the first, unless it came out empty.
	r = compile(t, reply.Options{Rules: []reply.Rule{
		rule("", set("Session-Timeout", "100")), rule("", set("Session-Timeout", `{{.Attribute "hours"}}`)),
	}})
	if got := describe(t, r, alice()); !slices.Equal(got, []string{"Session-Timeout=8"}) {
		t.Errorf("%v", got)
	}
	if got := describe(t, r, &directory.Account{}); !slices.Equal(got, []string{"Session-Timeout=100"}) {
		t.Errorf("%v", got)
	}
}

// TestUnfitMeansNoReply: there are no attributes at all when one of them does not fit.
func TestUnfitMeansNoReply(t *testing.T) {
	long := strings.Repeat("x", 1000)
	a := alice()
	for i := range 6 {
		a.Attributes[fmt.Sprintf("long%d", i)] = []string{long}
	}
	a.FullName = strings.Repeat("x", 247) + "shell:priv-lvl=15" // its second half would be an attribute of its own
	a.Attributes["lines"] = []string{"a\nb"}
	a.Attributes["nul"] = []string{"\x00"}
	a.Attributes["c1"] = []string{"a\u009b31m"}
	a.Attributes["line"] = []string{"a\u2028"}
	a.Attributes["full"] = []string{strings.Repeat("y", 250)}
	for _, c := range []struct {
		name  string
		value string
		want  error
	}{
		{"Session-Timeout", "{{.Name}}", reply.ErrValue},
		{"Framed-IP-Address", `{{.Attribute "hours"}}`, reply.ErrValue},
		{"Service-Type", `{{.Attribute "employeeType"}}`, reply.ErrValue},
		{"Class", `{{.Attribute "binary"}}`, reply.ErrValue},
		{"Filter-Id", `{{.Attribute "long0"}}{{.Attribute "long1"}}{{.Attribute "long2"}}{{.Attribute "long3"}}{{.Attribute "long4"}}`, reply.ErrValue},
		{"Cisco-AVPair", "{{.FullName}}", reply.ErrValue},
		{"Cisco-AVPair", "shell:priv-lvl={{.Attribute \"lines\"}}", reply.ErrValue},
		{"Class", `{{.Attribute "lines"}}`, reply.ErrValue},
		{"Class", `{{.Attribute "nul"}}`, reply.ErrValue},
		{"Class", `{{.Attribute "c1"}}`, reply.ErrValue},
		{"Class", `{{.Attribute "line"}}`, reply.ErrValue},
		{"Class", `{{.Attribute "full"}}{{.Name}}`, reply.ErrValue},
		{"Tunnel-Private-Group-Id", `:1:{{.Attribute "full"}}abc`, reply.ErrValue},
	} {
		r := compile(t, reply.Options{Rules: []reply.Rule{rule("", set("Class", "first"), set(c.name, c.value))}})
		wires, err := r.For(a)
		if !errors.Is(err, c.want) || wires != nil {
			t.Errorf("%s = %s: %v, %v", c.name, c.value, wires, err)
		}
		if c.want == reply.ErrValue && (err == nil || !strings.Contains(err.Error(), c.name)) {
			t.Errorf("%s is not named: %v", c.name, err)
		}
	}
	unread := alice()
	unread.Oversized = []string{"title"}
	r := compile(t, reply.Options{Rules: []reply.Rule{rule("", set("Class", "first"), set("Filter-Id", `{{if .Attribute "Title"}}x{{end}}`))}})
	if wires, err := r.For(unread); !errors.Is(err, reply.ErrValue) || !errors.Is(err, directory.ErrOversized) || wires != nil || !strings.Contains(err.Error(), "Filter-Id") {
		t.Errorf("an attribute that is too long: %v, %v", wires, err)
	}
	if wires, err := r.For(alice()); err != nil || len(wires) != 1 {
		t.Errorf("an attribute that is not there: %v, %v", wires, err)
	}
	many := set("Filter-Id")
	for range 16 {
		many.Values = append(many.Values, `{{.Attribute "full"}}`)
	}
	r = compile(t, reply.Options{Rules: []reply.Rule{rule("", many)}})
	if wires, err := r.For(a); !errors.Is(err, reply.ErrTooLong) || wires != nil {
		t.Errorf("sixteen long values: %v, %v", wires, err)
	}
	var rules []reply.Rule
	in := alice()
	for i := range 10 {
		name := fmt.Sprintf("g%d", i)
		rules = append(rules, rule(name, set("Class", strings.Repeat("y", 500))))
		in.Groups = append(in.Groups, directory.Group{Name: name})
	}
	r = compile(t, reply.Options{Rules: rules})
	if _, err := r.For(in); !errors.Is(err, reply.ErrTooLong) {
		t.Errorf("in ten groups: %v", err)
	}
	in.Groups = in.Groups[:5]
	if wires, err := r.For(in); err != nil || len(wires) != 10 {
		t.Errorf("in five groups: %d, %v", len(wires), err)
	}
}

func TestGroups(t *testing.T) {
	long := strings.Repeat("x", 254)
	a := alice("vpn", "admins", "a;b", "0x41", ":1:x", long, "vpn")
	for _, c := range []struct {
		tell reply.Tell
		want []string
	}{
		{reply.Tell{}, []string{}},
		{reply.Tell{Names: []string{"*"}, Attribute: "Filter-Id"}, []string{"Filter-Id=0x41", "Filter-Id=:1:x", "Filter-Id=a;b", "Filter-Id=admins", "Filter-Id=vpn"}},
		{reply.Tell{Names: []string{"VPN", "cn=admins,dc=CORP", "other"}, Attribute: "class", Form: reply.Each}, []string{"Class=admins", "Class=vpn"}},
		{reply.Tell{Names: []string{"*"}, Attribute: "Class", Form: reply.Semicolon}, []string{"Class=0x" + hex.EncodeToString([]byte("0x41;:1:x;admins;vpn"))}},
		{reply.Tell{Names: []string{"vpn", "admins", "a;b", long}, Attribute: "Class", Form: reply.OU}, []string{"Class=OU=admins;vpn"}},
		{reply.Tell{Names: []string{"a;b"}, Attribute: "Class", Form: reply.OU}, []string{}},
		{reply.Tell{Names: []string{"vpn"}, Attribute: "Fortinet-Group-Name"}, []string{"Fortinet-Group-Name=vpn"}},
		{reply.Tell{Names: []string{"admins"}, Attribute: "Tunnel-Private-Group-Id"}, []string{"Tunnel-Private-Group-Id=admins"}},
	} {
		r := compile(t, reply.Options{Groups: c.tell})
		if diff := cmp.Diff(c.want, describe(t, r, a)); diff != "" {
			t.Errorf("%+v: want -, got +\n%s", c.tell, diff)
		}
		if r.NeedsGroups() != (len(c.tell.Names) > 0) {
			t.Errorf("%+v: needs groups %v", c.tell, r.NeedsGroups())
		}
	}
}

// TestManyGroups: what is joined is divided between groups, never inside of one.
func TestManyGroups(t *testing.T) {
	a := alice()
	for i := range 60 {
		a.Groups = append(a.Groups, directory.Group{Name: fmt.Sprintf("group-%02d-%s", (i*7)%60, strings.Repeat("ü", i%20))})
	}
	for _, form := range []reply.Form{reply.Semicolon, reply.OU} {
		r := compile(t, reply.Options{Groups: reply.Tell{Names: []string{"*"}, Attribute: "Class", Form: form}})
		wires, err := r.For(a)
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, w := range wires {
			text, ou := strings.CutPrefix(string(w.Value), "OU=")
			if ou != (form == reply.OU) || len(w.Value) > 253 {
				t.Errorf("%s: %q", form, w.Value)
			}
			told = append(told, strings.Split(text, ";")...)
		}
		var want []string
		for _, g := range a.Groups {
			want = append(want, g.Name)
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("%s: want -, got +\n%s", form, diff)
		}
	}
	for _, name := range []string{"nul\x00", "a\nb", "\u0085", "\u2028"} {
		in := alice(name)
		for _, form := range []reply.Form{reply.Each, reply.Semicolon, reply.OU} {
			r := compile(t, reply.Options{Groups: reply.Tell{Names: []string{"*"}, Attribute: "Class", Form: form}})
			if wires, err := r.For(in); !errors.Is(err, reply.ErrValue) || wires != nil {
				t.Errorf("a group with %q: %v", name, err)
			}
		}
	}
}

func TestOnly(t *testing.T) {
	r := compile(t, reply.Options{
		Rules:  []reply.Rule{rule("", set("Class", "a"), set("Cisco-AVPair", `{{.Attribute "hours"}}`))},
		Groups: reply.Tell{Names: []string{"*"}, Attribute: "Class"},
		Only:   []int{25, 26},
	})
	if got := describe(t, r, alice("g")); !slices.Equal(got, []string{"Class=a", "Cisco-AVPair=8", "Class=g"}) {
		t.Errorf("%v", got)
	}
	// What is left out may be what restricts: it is never left out in silence.
	for _, by := range []string{"", "profile krb5"} {
		_, problems := reply.Compile(reply.Options{
			Dictionary: words(t),
			Rules:      []reply.Rule{rule("", set("Class", "a"), set("session-timeout", "1")), rule("g", set("Filter-Id", "f", "g"), set("Cisco-AVPair", `{{.Attribute "x"}}`))},
			Groups:     reply.Tell{Names: []string{"*"}, Attribute: "Filter-Id"},
			Only:       []int{25, 18},
			OnlyBy:     by,
		})
		hint := func(string) string { return "add it there, or leave the attribute out" }
		whose := "reply_only"
		if by != "" {
			whose = "reply_only of profile krb5"
			hint = func(with string) string {
				return "leave the attribute out; or reply_only: [" + with + "] at the client, if its release takes that"
			}
		}
		want := []reply.Problem{
			{Rule: 0, Attribute: "session-timeout", Value: -1, Message: whose + " lacks 27: Session-Timeout would never be sent", Hint: hint("18, 25, 27")},
			{Rule: 1, Attribute: "Filter-Id", Value: -1, Message: whose + " lacks 11: Filter-Id would never be sent", Hint: hint("11, 18, 25")},
			{Rule: 1, Attribute: "Cisco-AVPair", Value: -1, Message: whose + " lacks 26, for attributes of vendors: Cisco-AVPair would never be sent", Hint: hint("18, 25, 26")},
			{Rule: reply.InGroups, Attribute: "Filter-Id", Value: -1, Message: whose + " lacks 11: Filter-Id would never be sent", Hint: hint("11, 18, 25")},
		}
		if diff := cmp.Diff(want, problems); diff != "" {
			t.Errorf("want -, got +\n%s", diff)
		}
	}
	// Nothing is told, so nothing is left out.
	compile(t, reply.Options{Groups: reply.Tell{Attribute: "Filter-Id"}, Only: []int{80}})
}

func TestStaticRepliesCostNothing(t *testing.T) {
	r := compile(t, reply.Options{Rules: []reply.Rule{rule("", set("Class", "a", "b"), set("Session-Timeout", "1"))}})
	a := alice()
	if n := testing.AllocsPerRun(100, func() { _, _ = r.For(a) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	wires, _ := r.For(a)
	_ = append(wires, dictionary.Wire{Type: 1})
	if again, _ := r.For(a); len(again) != 3 || cap(again) != 3 {
		t.Error("what one caller appends, others see")
	}
	r = compile(t, reply.Options{Rules: []reply.Rule{rule("", set("Class", "a")), rule("g", set("Class", "b"))}})
	in := alice("f", "g")
	if n := testing.AllocsPerRun(100, func() { _, _ = r.For(in) }); n > 1 {
		t.Errorf("%v allocations with a group", n)
	}
}

// TestGroupsThatAreCut: a group that is not known may be the one that restricts.
func TestGroupsThatAreCut(t *testing.T) {
	a := alice("staff")
	a.GroupsCut = true
	for name, c := range map[string]struct {
		options reply.Options
		want    error
	}{
		"rule":              {reply.Options{Rules: []reply.Rule{rule("guests", set("Filter-Id", "slow"))}}, reply.ErrGroupsUnknown},
		"rule of its group": {reply.Options{Rules: []reply.Rule{rule("staff", set("Filter-Id", "fast"))}}, reply.ErrGroupsUnknown},
		"told":              {reply.Options{Groups: reply.Tell{Names: []string{"*"}, Attribute: "Class"}}, reply.ErrGroupsUnknown},
		"everybody":         {reply.Options{Rules: []reply.Rule{rule("", set("Class", "a"))}}, nil},
		"template":          {reply.Options{Rules: []reply.Rule{rule("", set("Class", "{{.Name}}"))}}, nil},
	} {
		wires, err := compile(t, c.options).For(a)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || (err != nil) != (wires == nil) {
			t.Errorf("%s: %v, %v", name, wires, err)
		}
	}
}

// TestOtherNamesOfGroups: a group is told as it was asked for, whichever of its names is the first.
func TestOtherNamesOfGroups(t *testing.T) {
	a := alice()
	a.Groups = []directory.Group{{Name: "wheel", Aliases: []string{"Roots", "admins"}, DN: "cn=wheel,dc=corp"}}
	for _, c := range []struct {
		names, want []string
	}{
		{[]string{"*"}, []string{"Class=wheel"}}, {[]string{"roots"}, []string{"Class=Roots"}}, {[]string{"WHEEL", "admins"}, []string{"Class=admins", "Class=wheel"}},
		{[]string{"CN=wheel, DC=corp"}, []string{"Class=wheel"}}, {[]string{"cn=roots,dc=corp"}, []string{}},
	} {
		r := compile(t, reply.Options{Groups: reply.Tell{Names: c.names, Attribute: "Class"}})
		if diff := cmp.Diff(c.want, describe(t, r, a)); diff != "" {
			t.Errorf("%v: want -, got +\n%s", c.names, diff)
		}
	}
	r := compile(t, reply.Options{Rules: []reply.Rule{rule("roots", set("Class", "x"))}})
	if got := describe(t, r, a); !slices.Equal(got, []string{"Class=x"}) {
		t.Errorf("a rule for its second name: %v", got)
	}
}
