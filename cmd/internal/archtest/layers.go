package archtest

import (
	"go/ast"
	"slices"
	"strings"
)

// layer is a row: which of our own packages a package may know.
type layer struct {
	pkg string
	may []string
	why string
}

// layers is the house; see also the diagram in each package's doc.go. Tests are free, but for what
// is cmd's and for loops, which the compiler refuses.
func layers() []layer {
	return []layer{
		{"otp", []string{"otp/recall"}, "decides about codes, for whoever asks"},
		{"otp/keyset", nil, "satisfies otp.Keys without knowing it"},
		{"otp/audit", []string{"otp"}, "an event carries a decision and its reason"},
		{"otp/recall", nil, "remembers, whatever it is"},
		{"otp/crew", nil, "runs, whatever it is"},
		{"otp/boltstore", []string{"otp", "otp/boltstore/wal", "otp/recall"}, "a store satisfies otp.Store"},
		{"otp/boltstore/wal", nil, "keeps octets, whatever they mean"},
		{"otp/redisstore", []string{"otp", "otp/crew"}, "a store satisfies otp.Store"},
		{"otp/redisstore/redistest", nil, "starts a server and knows nothing of what is kept there"},
		{"otp/storetest", []string{"otp"}, "holds any store to the contract, and none by name"},
		{"directory", []string{"otp/recall"}, "knows who, not with which code"},
		{"directory/directorytest", []string{"directory", "directory/slapdtest"}, "holds servers and files to one contract"},
		{"directory/slapdtest", nil, "starts a server and knows nothing of who looks there"},
		{"radius", []string{
			"directory", "otp", "otp/audit", "otp/crew", "radius/challenge", "radius/delay", "radius/dictionary", "radius/duplicates",
			"radius/hours", "radius/mmsg", "radius/overload", "radius/pace", "radius/posture", "radius/postmark", "radius/proof",
			"radius/quiet", "radius/radsec", "radius/reply", "radius/session", "radius/turns",
		}, "asks who and with which code, and says what it decided"},
		{"radius/mmsg", nil, "datagrams, whatever is in them"},
		{"radius/pace", nil, "waits, for whatever it is"},
		{"radius/delay", nil, "holds back what others made"},
		{"radius/duplicates", nil, "compares octets, and knows nothing of what they mean"},
		{"radius/turns", nil, "names, whatever they are of"},
		{"radius/overload", nil, "counts what is under way, whatever that is"},
		{"radius/postmark", nil, "reads what the kernel notes, and draws no conclusions"},
		{"radius/quiet", nil, "counts time, whatever is said"},
		{"radius/challenge", nil, "seals what it is given, with the keys that it is given"},
		{"radius/proof", []string{"otp"}, "what it makes of a packet satisfies otp.Proof"},
		{"radius/hours", nil, "the clock on the wall, and nothing of who asks"},
		{"radius/dictionary", nil, "names and numbers"},
		{"radius/posture", []string{"otp"}, "counts what others have verified, and keeps notes of it"},
		{"radius/probe", nil, "a client that shares no code with the server cannot share its mistakes"},
		{"radius/radsec", []string{"radius/quiet"}, "carries packets; whose they are and what is in them, others decide"},
		{"radius/radsec/radsectest", nil, "issues certificates"},
		{"radius/reply", []string{"directory", "radius/dictionary"}, "what an account is told of is named by the dictionary"},
		{"radius/session", []string{"otp"}, "reads octets, and keeps notes of sessions"},
		{"radius/linktest", nil, "carries datagrams badly, whatever is in them"},
		{"radius/radiustest", []string{"radius/probe"}, "as the probe, with faults"},
		{"enroll", []string{
			"directory", "otp", "otp/audit",
			"enroll/agreement", "enroll/app", "enroll/catalogue", "enroll/mail", "enroll/pages", "enroll/web",
		}, "gives an account that exists a device, and records it"},
		{"enroll/agreement", nil, "arithmetic"},
		{"enroll/app", []string{"enroll/web"}, "files, answered with as the web wants them"},
		{"enroll/browsertest", nil, "shows pages, whatever is on them"},
		{"enroll/catalogue", nil, "texts"},
		{"enroll/mail", []string{"enroll/catalogue"}, "mails have texts; who gets them, others decide"},
		{"enroll/operator", []string{"directory", "otp", "otp/audit", "enroll"}, "the help desk's hand on devices, invitations and the trail"},
		{"enroll/outbox", nil, "a mail server knows nothing of what passes through it"},
		{"enroll/pages", []string{"enroll/catalogue", "enroll/web"}, "the same for everybody; who asked, others know"},
		{"enroll/smtptest", []string{"enroll/outbox"}, "the outbox, with faults"},
		{"enroll/web", nil, "HTTP manners without a purpose"},
		{"configs", nil, "a file format; cmd translates it into options"},
		{"metrics", nil, "cmd hands it the checks, so that it need not know what it watches"},
		{"cmd/otpgate", []string{
			"configs", "metrics", "directory", "radius", "radius/challenge", "radius/dictionary", "radius/hours",
			"radius/posture", "radius/probe", "radius/reply", "radius/session", "otp", "otp/audit", "otp/boltstore",
			"otp/keyset", "otp/redisstore", "enroll", "enroll/agreement", "enroll/mail", "enroll/operator", "enroll/outbox",
			"cmd/internal/clock", "cmd/internal/console", "cmd/internal/loglines", "cmd/internal/operate",
		}, "the only place that wires"},
		{"cmd/internal/loglines", nil, "lines, whatever they say"},
		{"cmd/radload", []string{
			"cmd/internal/console", "cmd/radload/bench", "cmd/radload/flood", "cmd/radload/gateway", "cmd/radload/latency", "cmd/radload/packet",
			"cmd/radload/roster",
		}, "loads servers from outside, and knows nothing of ours but the words of the command line"},
		{"cmd/radload/bench", []string{"cmd/radload/bench/machine"}, "starts servers and the generator as anybody would, and reads what they print"},
		{"cmd/radload/bench/machine", nil, "processes and what they use, whatever they are"},
		{"cmd/radload/flood", []string{"cmd/radload/packet", "cmd/radload/port", "cmd/radload/roster", "radius/pace"}, "sends, and judges nothing but that nobody got in"},
		{"cmd/radload/gateway", []string{
			"cmd/radload/latency", "cmd/radload/packet", "cmd/radload/port", "cmd/radload/roster", "radius/pace",
		}, "logs in as a gateway does"},
		{"cmd/radload/latency", nil, "counts durations, whatever took them"},
		{"cmd/radload/packet", nil, "a client that shares no code with the server cannot share its mistakes"},
		{"cmd/radload/port", nil, "carries octets"},
		{"cmd/radload/roster", nil, "codes are computed once more, so that a mistake in ours is seen"},
		{"cmd/internal/operate", []string{"configs", "otp/audit", "enroll/operator", "cmd/internal/console", "cmd/internal/terminal"}, "asks the running node, and never its files"},
		{"cmd/internal/clock", nil, "compares times, whoever tells them"},
		{"cmd/internal/clock/clocktest", nil, "makes times, and knows nothing of who reads them"},
		{"cmd/internal/tcplinktest", nil, "passes octets on, or not, whoever says them"},
		{"cmd/internal/console", nil, "prints, whatever it is"},
		{"cmd/internal/terminal", nil, "draws for whoever looks"},
		{"cmd/internal/archtest", nil, "reads the tree as text"},
	}
}

// layersHold says which imports of our own packages the table does not allow.
func layersHold(s source) []string {
	rows := layers()
	i := slices.IndexFunc(rows, func(l layer) bool { return l.pkg == s.pkg() })
	if i < 0 {
		return []string{s.at(s.file, "package %s has no row in cmd/internal/archtest/layers.go", s.pkg())}
	}
	var found []string
	s.imports(func(spec *ast.ImportSpec, p string) {
		ours, ok := strings.CutPrefix(p, module+"/")
		if !ok || s.test() && ours == s.pkg() {
			return
		}
		inCmd := within(s.pkg(), []string{"cmd/..."})
		switch {
		case (ours == "configs" || ours == "metrics" || strings.HasPrefix(ours, "cmd/")) && !inCmd:
			found = append(found, s.at(spec, "only cmd imports %s", ours))
		case support(ours) && !s.forTests():
			found = append(found, s.at(spec, "%s is for tests", ours))
		case !s.test() && !slices.Contains(rows[i].may, ours):
			found = append(found, s.at(spec, "%s may not know %s: it %s", s.pkg(), ours, rows[i].why))
		}
	})
	return found
}

// everyLayerIsUsed says which rows name a package that is not there, or allow what nobody does.
func everyLayerIsUsed(all []source) []string {
	there, known := map[string]bool{}, map[[2]string]bool{}
	for _, s := range all {
		there[s.pkg()] = true
		s.imports(func(_ *ast.ImportSpec, p string) {
			if !s.test() {
				known[[2]string{s.pkg(), strings.TrimPrefix(p, module+"/")}] = true
			}
		})
	}
	var found []string
	for _, l := range layers() {
		if !there[l.pkg] {
			found = append(found, "layers.go: there is no package "+l.pkg)
			continue
		}
		for _, may := range l.may {
			if !known[[2]string{l.pkg, may}] {
				found = append(found, "layers.go: "+l.pkg+" does not import "+may)
			}
		}
	}
	return found
}
