package archtest

import (
	"go/ast"
	"regexp"
	"slices"
	"strings"
)

// library is a row: who may use a library, besides _test files if tests is set.
type library struct {
	path   string // and all below it
	places []string
	tests  bool
	why    string
}

func libraries() []library {
	return []library{
		{"layeh.com/radius", []string{"radius", "radius/proof"}, false, "a codec that may have to be replaced; nobody else sees its types"},
		{"github.com/go-ldap", []string{"directory"}, false, "filters are escaped in one place"},
		{"github.com/redis/go-redis", []string{"otp/redisstore/..."}, false, "every command to Redis keeps the claim's rules"},
		{"github.com/pquerna/otp", []string{"otp"}, true, "its validator must not be used by anyone; in tests it is the phone"},
		{"go.etcd.io/bbolt", []string{"otp/boltstore"}, false, "one writer, which syncs before it reports"},
		{"github.com/tink-crypto/tink-go", []string{"otp/keyset"}, false, "keys are handled in one place"},
		{"github.com/wneessen/go-mail", []string{"enroll/mail"}, false, "mails leave through one queue"},
		{"github.com/emersion/go-smtp", []string{"enroll/outbox", "enroll/smtptest"}, false, "takes mails in for the demo and tests"},
		{"github.com/emersion/go-sasl", []string{"enroll/outbox", "enroll/smtptest"}, false, "comes with go-smtp"},
		{"github.com/spf13/cobra", []string{"cmd/..."}, false, "the command line is cmd's"},
		{"github.com/goccy/go-yaml", []string{"configs"}, true, "one file format, read strictly in one place"},
		{"github.com/boombuler/barcode", []string{"enroll", "cmd/..."}, false, "QR codes are for people"},
		{"github.com/prometheus/client_golang/prometheus/promhttp", []string{"metrics"}, false, "one place shows numbers"},
		{"github.com/prometheus/client_golang/prometheus/collectors", []string{"metrics"}, false, "one registry"},
		{"github.com/prometheus/client_golang/prometheus/testutil", nil, true, "for tests"},
		{"github.com/prometheus/client_golang", []string{"radius/...", "directory", "otp/...", "enroll/...", "metrics", "cmd/..."}, true, "every package measures itself"},
		{"github.com/rogpeppe/go-internal", nil, true, "scripts are tests"},
		{"github.com/google/go-cmp", nil, true, "for tests: it panics"},
		{"github.com/chromedp/chromedp", []string{"enroll/browsertest"}, false, "drives the browser, for tests"},
		{"github.com/chromedp/cdproto", []string{"enroll/browsertest"}, false, "comes with chromedp"},
		{"golang.org/x/net", []string{"radius", "radius/mmsg", "enroll", "cmd/radload/port"}, true, "batches of packets with the address that each came to; bounded listeners"},
		{"golang.org/x/sync", []string{"otp", "directory", "enroll/operator"}, true, "one question for all who ask the same; work side by side, bounded"},
		{"golang.org/x/sys", []string{"enroll/operator", "radius/postmark", "radius/pace", "cmd/radload/bench/machine", "cmd/internal/terminal"}, true, "who is at the other end of a socket; what the kernel notes beside a datagram; its timers; processor time of others; what a terminal shows"},
		{"golang.org/x/text", []string{"directory", "enroll/catalogue"}, true, "names as RFC 8265 has them; languages"},
	}
}

// librariesInPlace says where a library is used that the table does not allow there.
func librariesInPlace(s source) []string {
	var found []string
	s.imports(func(spec *ast.ImportSpec, p string) {
		first, _, _ := strings.Cut(p, "/")
		if !strings.Contains(first, ".") { // standard library, and ours
			return
		}
		rows := libraries()
		i := rowOf(rows, p)
		switch {
		case i < 0:
			found = append(found, s.at(spec, "library %s has no row in cmd/internal/archtest/libraries.go", p))
		case !within(s.pkg(), rows[i].places) && !(rows[i].tests && s.forTests()):
			found = append(found, s.at(spec, "library %s is for %v (%s)", p, rows[i].places, rows[i].why))
		}
	})
	return found
}

// rowOf returns the first row for an import path or a module, or -1.
func rowOf(rows []library, p string) int {
	return slices.IndexFunc(rows, func(l library) bool { return p == l.path || strings.HasPrefix(p, l.path+"/") })
}

// everyLibraryIsUsed says which rows name a library that nobody imports.
func everyLibraryIsUsed(all []source) []string {
	rows := libraries()
	used := make([]bool, len(rows))
	for _, s := range all {
		s.imports(func(_ *ast.ImportSpec, p string) {
			if i := rowOf(rows, p); i >= 0 {
				used[i] = true
			}
		})
	}
	var found []string
	for i, l := range rows {
		if !used[i] {
			found = append(found, "libraries.go: nobody imports "+l.path)
		}
	}
	return found
}

var requirement = regexp.MustCompile(`(?m)^(?:require|\t)[ ]?([a-z0-9.-]+\.[a-z]+/\S+) v\S+$`) // but for // indirect

// requirementsHaveARow says which libraries that go.mod asks for have no reason here.
func requirementsHaveARow(gomod string) []string {
	var found []string
	for _, m := range requirement.FindAllStringSubmatch(gomod, -1) {
		if rowOf(libraries(), m[1]) < 0 {
			found = append(found, "go.mod: "+m[1]+" has no row in cmd/internal/archtest/libraries.go")
		}
	}
	return found
}

// layehNames are what may be used of layeh.com/radius: its codec. Its server and client lack what
// RFC 5080 asks for, and _Set and _Get panic or hide errors.
var layehNames = regexp.MustCompile(`^(Packet|Attributes|AVP|Attribute|Type|Code[A-Za-z]*|Parse|UserPassword|NewVendorSpecific|NewTLV)$`)

// layehAccessors are what may be used of the generated packages: accessors, types and constants.
var layehAccessors = regexp.MustCompile(`(_Lookup(String)?|_Gets|_GetStrings|_Add(String)?|_Type|_Value_[A-Za-z0-9_]+)$`)

// layehCodecOnly says which other identifiers of layeh.com/radius a file uses.
func layehCodecOnly(s source) []string {
	const root = "layeh.com/radius"
	var found []string
	s.imports(func(spec *ast.ImportSpec, p string) {
		if strings.HasPrefix(p, root+"/") && !strings.HasPrefix(p, root+"/rfc") {
			found = append(found, s.at(spec, "%s: only the codec and its rfc packages are used", p))
		}
		if p == root && (spec.Name == nil || spec.Name.Name != "layeh") {
			found = append(found, s.at(spec, "import %s as layeh: its name is ours", p))
		}
		if p == "github.com/pquerna/otp" && (spec.Name == nil || spec.Name.Name != "pquerna") {
			found = append(found, s.at(spec, "import %s as pquerna: its name is ours", p))
		}
	})
	s.uses(s.file, func(at ast.Node, pkg, name string) {
		if pkg == root && !layehNames.MatchString(name) ||
			strings.HasPrefix(pkg, root+"/rfc") && strings.Contains(name, "_") && !layehAccessors.MatchString(name) {
			found = append(found, s.at(at, "layeh's %s is not on the list of what is sound", name))
		}
	})
	ast.Inspect(s.file, func(n ast.Node) bool { // methods of its packets
		if sel, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(sel.Sel.Name, "IsAuthentic") {
			found = append(found, s.at(sel, "%s compares in variable time: check authenticators ourselves", sel.Sel.Name))
		}
		return true
	})
	return found
}

// instrumentsInTheirFile says where an instrument is made outside metrics.go, where a reader looks
// for all the names of a package.
func instrumentsInTheirFile(s source) []string {
	if s.forTests() || s.name() == "metrics.go" || s.pkg() == "metrics" {
		return nil
	}
	cmd := within(s.pkg(), []string{"cmd/..."})
	const root = "github.com/prometheus/client_golang/prometheus"
	var found []string
	s.uses(s.file, func(at ast.Node, pkg, name string) {
		if name == "NewRegistry" && cmd {
			return // holds instruments, and is none
		}
		if pkg == root+"/promauto" || pkg == root && strings.HasPrefix(name, "New") {
			found = append(found, s.at(at, "%s belongs in metrics.go", name))
		}
	})
	return found
}
