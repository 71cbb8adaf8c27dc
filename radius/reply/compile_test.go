package reply_test

import (
	"strings"
	"testing"
	"time"

	"otpgate/directory"
	"otpgate/radius/reply"
)

func TestProblems(t *testing.T) {
	d := words(t)
	long := strings.Repeat("x", 1900)
	for _, c := range []struct {
		name, value, message, hint string
	}{
		{"Sesion-Timeout", "1", "there is no attribute of this name", "did you mean Session-Timeout?"},
		{"Quux", "1", "there is no attribute", "dictionary_files"},
		{"Tunnel-Type:1", "VLAN", "there is no attribute", `write the tag before the value: {Tunnel-Type: ":1:…"}`},
		{"Session-Timeout", "an hour", `"an hour" is not a number`, "a whole number from 0 to 4294967295"},
		{"Service-Type", "Admin-User", "is not the name of a value", "did you mean"},
		{"Framed-IP-Address", "here", "is not an IPv4 address", "such as 192.0.2.1"},
		{"Class", "", "the value is empty", ""},
		{"User-Password", "x", "the server itself sends User-Password", "leave it out"},
		{"CHAP-Password", "x", "the server itself sends", ""},
		{"CHAP-Challenge", "x", "the server itself sends", ""},
		{"state", "x", "the server itself sends State", ""},
		{"Proxy-State", "x", "the server itself sends", ""},
		{"EAP-Message", "x", "the server itself sends", ""},
		{"Message-Authenticator", "x", "the server itself sends", ""},
		{"MS-CHAP2-Success", "x", "the server itself sends", ""},
		{"MS-CHAP-Error", "x", "the server itself sends", ""},
		{"MS-MPPE-Send-Key", "x", "the server itself sends", ""},
		{"MS-MPPE-Encryption-Policy", "1", "the server itself sends", ""},
		{"Tunnel-Password", "x", "has to be encrypted", "leave it out"},
		{"Tunnel-Password", "{{.Name}}", "has to be encrypted", ""},
		{"Vendor-Specific", "0x00000137" + "1a0341", "no attribute of a vendor that may be set", "name the vendor's attribute"},
		{"Vendor-Specific", "0x0000", "no attribute of a vendor", ""},
		{"Vendor-Specific", "{{.Name}}", "takes no template", ""},
		{"Class", "{{.Name", "it is no template: template: Class:1:", "such as {{.Name}}"},
		{"Class", "{{.Nmae}}", `an account has no ".Nmae"`, ".FullName"},
		{"Class", "{{.Password}}", "an account has no", ""},
		{"Class", "{{.a}}", "an account has no", ""},
		{"Class", "{{.Name.Len}}", "cannot use", ""},
		{"Class", `{{.Name "x"}}`, "takes nothing behind it", ""},
		{"Class", `{{.Attribute}}`, "takes the name of one attribute in quotes", `.Attribute "employeeType"`},
		{"Class", `{{.Attribute .Name}}`, "takes the name of one attribute in quotes", ""},
		{"Class", `{{.Attribute "a" "b"}}`, "takes the name of one attribute in quotes", ""},
		{"Class", `{{.Attribute "a=*)(b"}}`, "takes the name of one attribute in quotes", ""},
		{"Class", `{{.Attribute ""}}`, "takes the name of one attribute in quotes", ""},
		{"Class", `{{"x" | .Attribute}}`, "cannot use", ""},
		{"Class", `{{eq .Attribute "a"}}`, "needs parentheses", `(.Attribute "employeeType")`},
		{"Class", `{{.Attribute "userPassword"}}`, "holds a password or a key", "another attribute"},
		{"Class", `{{if .Name}}{{else}}{{.Attribute "UNICODEPWD"}}{{end}}`, "holds a password or a key", ""},
		{"Class", "{{.}}", "cannot use", ""},
		{"Class", "{{$}}", "cannot use", ""},
		{"Class", "{{$.Name}}", "cannot use", ""},
		{"Class", "{{$x := .Name}}{{$x}}", "cannot have variables", ""},
		{"Class", "{{range 1000000000}}x{{end}}", "cannot have range", "reply_groups"},
		{"Class", "{{range .Name}}x{{end}}", "cannot have range", ""},
		{"Class", "{{with .Name}}{{.}}{{end}}", "cannot have with", "{{if"},
		{"Class", `{{define "x"}}{{template "x"}}{{end}}{{template "x"}}`, "cannot have", ""},
		{"Class", `{{define "x"}}x{{end}}`, "cannot define others", ""},
		{"Class", `{{define "Class"}}{{template "Class"}}{{end}}`, "cannot have", ""},
		{"Class", `{{block "x" .}}{{end}}`, "cannot have", ""},
		{"Class", `{{printf "%1000000d" 1}}`, "cannot use printf", "and, or, not, eq, ne, lower, upper"},
		{"Class", `{{call .Name}}`, "cannot use call", ""},
		{"Class", `{{lower (html .Name)}}`, "cannot use html", ""},
		{"Class", `{{lower (lower 1)}}`, "it fails", ""},
		{"Class", `{{(.Attribute "x").Foo}}`, "cannot use", ""},
		{"Class", `{{eq .Name 1}}`, "it fails", ""},
		{"Class", `0x{{.Name}}`, "not hexadecimal digits", ""},
		{"Class", `{{/* nothing */}}`, "the value is empty", ""},
		{"Class", "{{.Name}}\n", "cannot have line breaks or other control characters", ">- and |-"},
		{"Class", "{{if .Name}}a{{else}}\u2028{{end}}", "cannot have line breaks", ""},
		{"Session-Timeout", "{{.Name}}\x00", "cannot have line breaks", ""},
		{"Class", `{{"\n"}}`, "holds a control character", ""},
		{"Class", `{{.Name}}{{"\u009b"}}`, "holds a control character", ""},
		{"Class", "{{.Name}}" + strings.Repeat("x", 253), "254 octets, of 253 at most", "never divided"},
		{"Cisco-AVPair", strings.Repeat("x", 248) + "{{.Name}}", "248 octets, of 247 at most", "never divided"},
		{"Filter-Id", `{{"x"}}` + strings.Repeat("x", 253), "254 octets, of 253 at most", "never divided"},
		{"Tunnel-Type", `:32:{{.Name}}`, "is not a tag", ""},
		{"Session-Timeout", `{{"x"}}`, "is not a number", ""},
		{"Class", "{{.Name}}" + strings.Repeat("x", 4096), "the template has", "4096 at most"},
	} {
		r, problems := reply.Compile(reply.Options{Dictionary: d, Rules: []reply.Rule{
			rule("", set("Class", "good")), rule("", set("Class", "good"), set(c.name, c.value)),
		}})
		if r != nil || len(problems) != 1 {
			t.Errorf("%s = %q: %v, %+v", c.name, c.value, r, problems)
			continue
		}
		p := problems[0]
		if p.Rule != 1 || p.Attribute != c.name || !strings.Contains(p.Message, c.message) || !strings.Contains(p.Hint, c.hint) {
			t.Errorf("%s = %q: %+v; want %q, %q", c.name, c.value, p, c.message, c.hint)
		}
		if len(p.Message)+len(p.Hint) > 500 {
			t.Errorf("%s: a message of %d octets", c.name, len(p.Message))
		}
	}
	for _, c := range []struct {
		options reply.Options
		want    reply.Problem
	}{
		{reply.Options{Rules: []reply.Rule{rule("", set("Class"))}}, reply.Problem{Rule: 0, Attribute: "Class", Value: -1, Message: "it has no value"}},
		{reply.Options{Rules: []reply.Rule{rule("", set("Class", "a", ""))}}, reply.Problem{Rule: 0, Attribute: "Class", Value: 1, Message: "the value is empty"}},
		{reply.Options{Rules: []reply.Rule{rule("", set("Class", long)), rule("g", set("Class", long))}}, reply.Problem{Rule: 1, Value: -1, Message: "its attributes, with those for everybody, are 3832 octets, of 3800 at most"}},
		{reply.Options{Only: []int{25, 256}}, reply.Problem{Rule: reply.InOnly, Value: 1, Message: "256 is not the number of an attribute"}},
		{reply.Options{Rules: make([]reply.Rule, 257)}, reply.Problem{Rule: 256, Value: -1, Message: "there are 257 rules"}},
		{reply.Options{Groups: reply.Tell{Names: []string{"*"}, Attribute: "Clas"}}, reply.Problem{Rule: reply.InGroups, Attribute: "Clas", Value: -1, Message: "there is no attribute of this name"}},
		{reply.Options{Groups: reply.Tell{Names: []string{"*"}, Attribute: "NAS-Port"}}, reply.Problem{Rule: reply.InGroups, Attribute: "NAS-Port", Value: -1, Message: "groups are names, and NAS-Port is integer"}},
		{reply.Options{Groups: reply.Tell{Names: []string{"*"}, Attribute: "Vendor-Specific"}}, reply.Problem{Rule: reply.InGroups, Attribute: "Vendor-Specific", Value: -1, Message: "groups are names, and Vendor-Specific is octets"}},
		{reply.Options{Groups: reply.Tell{Names: []string{"*"}, Attribute: "State"}}, reply.Problem{Rule: reply.InGroups, Attribute: "State", Value: -1, Message: "the server itself sends State where it is needed"}},
		{reply.Options{Groups: reply.Tell{Names: []string{"*"}, Attribute: "Class", Form: "list"}}, reply.Problem{Rule: reply.InGroups, Attribute: "Class", Value: -1, Message: `"list" is not a form`}},
	} {
		c.options.Dictionary = d
		r, problems := reply.Compile(c.options)
		for i := range problems {
			problems[i].Hint = ""
		}
		if r != nil || len(problems) != 1 || problems[0] != c.want {
			t.Errorf("%+v; want %+v", problems, c.want)
		}
	}
	if _, problems := reply.Compile(reply.Options{}); len(problems) != 1 {
		t.Errorf("without a dictionary: %+v", problems)
	}
	many := rule("")
	for range 200 {
		many.Attributes = append(many.Attributes, set("Quux", "x"))
	}
	if _, problems := reply.Compile(reply.Options{Dictionary: d, Rules: []reply.Rule{many}}); len(problems) != 100 {
		t.Errorf("%d problems are told", len(problems))
	}
	values := reply.Setting{Name: "Filter-Id", Values: make([]string, 1100)}
	for i := range values.Values {
		values.Values[i] = "{{.Name}}"
	}
	if _, problems := reply.Compile(reply.Options{Dictionary: d, Rules: []reply.Rule{rule("", values)}}); len(problems) != 1 || problems[0].Value != 1024 {
		t.Errorf("1,100 templates: %+v", problems)
	}
	raw := set("Vendor-Specific", "0x00007ed9"+"010341")
	if got := describe(t, compile(t, reply.Options{Rules: []reply.Rule{rule("", raw)}}), alice()); got[0] != "Attr-26.32473.1=0x41" {
		t.Errorf("another vendor's octets: %v", got)
	}
}

// FuzzTemplate: whatever a configuration and a directory say, compiling and answering end, and the
// reply has its bounds.
func FuzzTemplate(f *testing.F) {
	d := words(f)
	for _, seed := range []string{
		"{{.Name}}", `:1:{{.Attribute "x"}}{{if and .Mail (eq .DN "a")}}{{.FullName | upper}}{{else}}b{{end}}`,
		"{{range 9}}x{{end}}", `{{define "x"}}{{end}}`, "{{((((.Name))))}}", "0x00ff", "{{- .Name -}}",
	} {
		f.Add(uint16(25), seed, "alice", "group;a")
		f.Add(uint16(0), seed, "0x41", ":1:x")
	}
	names := d.Names()
	f.Fuzz(func(t *testing.T, which uint16, value, name, group string) {
		if len(value) > 5000 || len(name) > 2000 || len(group) > 2000 {
			return
		}
		attribute := names[int(which)%len(names)]
		begin := time.Now()
		r, problems := reply.Compile(reply.Options{
			Dictionary: d,
			Rules:      []reply.Rule{rule("", set(attribute, value)), rule(group, set(attribute, value, "1"))},
			Groups:     reply.Tell{Names: []string{"*", group}, Attribute: "Class", Form: []reply.Form{reply.Each, reply.Semicolon, reply.OU}[len(name)%3]},
		})
		if (r == nil) != (len(problems) > 0) {
			t.Fatalf("%v, %v", r, problems)
		}
		for _, p := range problems {
			if p.Message == "" || len(p.Message)+len(p.Hint) > 8000 {
				t.Fatalf("%+v", p)
			}
		}
		a := &directory.Account{
			Name: name, Mail: group, FullName: name + group, DN: "cn=" + name,
			Groups: []directory.Group{{Name: group}, {Name: name}}, Attributes: map[string][]string{"x": {name}},
		}
		wires, err := r.For(a)
		if err != nil && wires != nil {
			t.Fatal("attributes with an error")
		}
		size := 0
		for _, w := range wires {
			size += w.Octets()
			if len(w.Value) > 253 || len(w.Value) == 0 {
				t.Fatalf("%x", w)
			}
			d.Describe(w)
		}
		if size > 3800 {
			t.Fatalf("%d octets", size)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Fatalf("took %v", took)
		}
	})
}
