package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"otpgate/configs"
)

// noProfile are the pages about something that has none.
var noProfile = []string{"radius-proxy"}

// gatewayPages returns what is in configs/gateways, by the name of the file.
func gatewayPages(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(top, "configs", "gateways", "*.md"))
	if err != nil || len(paths) < 20 {
		t.Fatalf("%d pages, %v", len(paths), err)
	}
	pages := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		pages[filepath.Base(path)] = string(text)
	}
	return pages
}

func TestEveryProfileHasAPage(t *testing.T) {
	pages := gatewayPages(t)
	want := append(configs.Profiles(), noProfile...)
	slices.Sort(want)
	if got := configs.Gateways(); !slices.Equal(got, want) {
		t.Errorf("pages for\n%v, want\n%v", got, want)
	}
	for _, name := range want {
		if !strings.Contains(pages["README.md"], "["+name+"]("+name+".md)") {
			t.Errorf("README.md does not link to %s.md", name)
		}
		page, profile := pages[name+".md"], "profile `"+name+"`"
		if slices.Contains(noProfile, name) {
			profile = "no profile"
		}
		if !strings.Contains(strings.ToLower(page), profile) {
			t.Errorf("%s.md does not say %q", name, profile)
		}
		for _, need := range []string{"SECRET", "192.0.2.11", "decision=accept reason=ok"} {
			if !strings.Contains(page, need) {
				t.Errorf("%s.md says nothing of %q", name, need)
			}
		}
		for _, heading := range []string{"# ", "## In otpgate.yaml", "## When it works\n", "## When it does not\n"} {
			if !strings.Contains("\n"+page, "\n"+heading) {
				t.Errorf("%s.md has no heading %q", name, heading)
			}
		}
	}
}

// TestPagesLoad puts each configuration of each page into a whole one, and checks that.
func TestPagesLoad(t *testing.T) {
	for file, page := range gatewayPages(t) {
		t.Run(file, func(t *testing.T) {
			name := strings.TrimSuffix(file, ".md")
			blocks := slices.DeleteFunc(fenced(t, file, page), func(b fence) bool { return b.language != "yaml" })
			if len(blocks) == 0 && name != "README" {
				t.Error("no configuration")
			}
			for i, b := range blocks {
				cfg, path := loadBlock(t, file, b)
				for _, w := range cfg.Warnings() {
					if strings.HasSuffix(w.Key, ".login") || strings.HasSuffix(w.Key, ".timeout") {
						t.Errorf("%s:%d: %s: %s", file, b.line, w.Key, w.Message)
					}
				}
				if status, said := typeHere(t, "check", "--config", path); status != 0 {
					t.Errorf("%s:%d: status %d\n%s", file, b.line, status, said)
				}
				if c := cfg.Radius.Clients[0]; i == 0 && c.Profile != name && !slices.Contains(noProfile, name) {
					t.Errorf("%s:%d: profile %q", file, b.line, c.Profile)
				}
			}
		})
	}
}

// loadBlock reads a block: a whole section, or items of radius.clients.
func loadBlock(t *testing.T, file string, b fence) (cfg *configs.Config, path string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "otpgate.yaml")
	text := b.text
	if strings.HasPrefix(text, "- ") {
		text = "radius:\n  clients:\n    " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n    ") + "\n"
	}
	text = "data_dir: data\n" + text + "directories: [{name: lab, ldif_file: people.ldif, base_dn: \"dc=demo,dc=example\"}]\n"
	for name, content := range map[string][]byte{"otpgate.yaml": []byte(text), "people.ldif": configs.DemoPeople} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := namedFiles(dir, text); err != nil {
		t.Fatal(err)
	}
	cfg, problems := configs.Read(path, func(string) (string, bool) { return "", false })
	if len(problems.List) > 0 || len(cfg.Radius.Clients) == 0 {
		t.Fatalf("%s:%d:\n%v", file, b.line, problems)
	}
	return cfg, path
}

// TestTheTableOfPagesIsTheProfiles compares the README's table with what the profiles set.
func TestTheTableOfPagesIsTheProfiles(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| \\[([a-z0-9-]+)\\]\\([^)]*\\) \\| `([^`]*)` \\| (\\S+) \\| (\\S+) \\| (\\S+), (\\S+) \\| (\\S+) \\|$")
	pages := gatewayPages(t)
	rows := row.FindAllStringSubmatch(pages["README.md"], -1)
	if len(rows) != len(configs.Profiles()) {
		t.Errorf("%d rows for %d profiles", len(rows), len(configs.Profiles()))
	}
	for _, r := range rows {
		b := fence{text: "- {name: x, networks: [10.0.0.0/8], secret: long-enough-1, profile: " + r[1] + "}\n"}
		cfg, _ := loadBlock(t, "README.md", b)
		is := map[string]string{}
		for _, s := range cfg.Radius.Clients[0].Explain() {
			is[s.Key] = s.Value
		}
		for i, key := range []string{"challenge", "message_authenticator", "reply_groups.attribute", "reply_groups.form", "timeout"} {
			if is[key] != r[3+i] {
				t.Errorf("%s: %s: the table says %q, the profile %q", r[1], key, r[3+i], is[key])
			}
		}
		if !strings.Contains(pages[r[1]+".md"], "login: "+r[2]) {
			t.Errorf("%s: the page has no login: %s", r[1], r[2])
		}
	}
}

// TestPagesTypeWhatExists runs every command of ours that a page mentions as far as its help.
func TestPagesTypeWhatExists(t *testing.T) {
	mentioned := regexp.MustCompile("(?m)`otpgate ([^`]*)`|^    otpgate (.*)$")
	all := 0
	for file, page := range gatewayPages(t) {
		for _, m := range mentioned.FindAllStringSubmatch(page, -1) {
			all++
			command, _, _ := strings.Cut(m[1]+m[2], " | ")
			if status, said := typeHere(t, append(strings.Fields(command), "--help")...); status != 0 {
				t.Errorf("%s: otpgate %s: %s", file, command, said)
			}
		}
	}
	if all < 20 {
		t.Errorf("only %d commands found", all)
	}
}

// TestNoSecretIsTypedIntoACommandLine, where the list of processes shows it: radclient reads it from a file.
func TestNoSecretIsTypedIntoACommandLine(t *testing.T) {
	pages := gatewayPages(t)
	readme, err := os.ReadFile(filepath.Join(top, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages["../../README.md"] = string(readme)
	command := regexp.MustCompile(`\| radclient (.*)`)
	all := 0
	for file, page := range pages {
		for _, m := range command.FindAllStringSubmatch(page, -1) {
			all++
			if !regexp.MustCompile(`^-x -S \S+\.secret \S+ auth$`).MatchString(m[1]) {
				t.Errorf("%s: radclient %s", file, m[1])
			}
		}
	}
	if all < 2 {
		t.Errorf("only %d commands found", all)
	}
}

// TestPagesLinkToWhatIsThere follows links to files and headings.
func TestPagesLinkToWhatIsThere(t *testing.T) {
	pages := gatewayPages(t)
	link, heading := regexp.MustCompile(`\]\(([^)#]*)(?:#([^)]*))?\)`), regexp.MustCompile(`(?m)^#+ (.*)$`)
	for file, page := range pages {
		for _, m := range link.FindAllStringSubmatch(page, -1) {
			text, there := pages[m[1]]
			if !there {
				t.Errorf("%s links to %s", file, m[1])
				continue
			}
			found := m[2] == ""
			for _, h := range heading.FindAllStringSubmatch(text, -1) {
				found = found || strings.ReplaceAll(strings.ToLower(h[1]), " ", "-") == m[2]
			}
			if !found {
				t.Errorf("%s links to %s#%s", file, m[1], m[2])
			}
		}
	}
}

func TestGatewaysArePrinted(t *testing.T) {
	pages := gatewayPages(t)
	for _, name := range configs.Gateways() {
		status, said := typeHere(t, "example", "gateway", name)
		if status != 0 || !strings.HasPrefix(said, "- name: ") || !strings.Contains(pages[name+".md"], "```yaml\n"+said+"```\n") {
			t.Errorf("%s: %d %q", name, status, said)
		}
		if status, said := typeHere(t, "example", "gateway", name, "--page"); status != 0 || said != pages[name+".md"] {
			t.Errorf("%s: %d, %d octets", name, status, len(said))
		}
	}
	for _, args := range [][]string{{}, {"README"}, {"fortigate"}, {"../demo"}, {"fortinet", "f5"}} {
		if status, said := typeHere(t, append([]string{"example", "gateway"}, args...)...); status != 2 {
			t.Errorf("%v: %d %s", args, status, said)
		}
	}
	if status, said := typeHere(t, "__complete", "example", "gateway", "cisco"); status != 0 || !strings.HasPrefix(said, "cisco-asa\ncisco-ios\n") {
		t.Errorf("%d %s", status, said)
	}
}

// TestPagesUseOurWords looks for reasons, outcomes and metrics that a page names in what the program
// says: each is a literal of its own somewhere.
func TestPagesUseOurWords(t *testing.T) {
	var source strings.Builder
	for _, below := range []string{"otp/*.go", "radius/*.go", "radius/radsec/*.go"} {
		paths, err := filepath.Glob(filepath.Join(top, below))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v", below, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(text)
		}
	}
	all := 0
	said := func(file, word string) {
		all++
		if !strings.Contains(source.String(), `"`+word+`"`) {
			t.Errorf("%s: nothing says %s", file, word)
		}
	}
	word := regexp.MustCompile(`\b(?:reason|decision|outcome)="?([a-z0-9_]+)|\b(otpgate_[a-z_]+)`)
	row := regexp.MustCompile("(?m)^\\| (`[a-z0-9_]+`(?:, `[a-z0-9_]+`)*) \\|")
	for file, page := range gatewayPages(t) {
		for _, m := range word.FindAllStringSubmatch(page, -1) {
			said(file, m[1]+m[2])
		}
		for _, m := range row.FindAllStringSubmatch(page, -1) {
			for w := range strings.SplitSeq(m[1], ", ") {
				said(file, strings.Trim(w, "`"))
			}
		}
	}
	if all < 200 {
		t.Errorf("only %d words found", all)
	}
}
