package catalogue

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func load(t *testing.T) *Catalogue {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

func placeholders(s string) string {
	found := placeholder.FindAllString(s, -1)
	slices.Sort(found)
	return strings.Join(slices.Compact(found), " ")
}

func TestLanguagesAreComplete(t *testing.T) {
	c := load(t)
	entries, err := os.ReadDir("texts")
	if err != nil || len(entries) != len(c.Languages()) {
		t.Errorf("%d files, %d languages: %v", len(entries), len(c.Languages()), err)
	}
	english, _ := c.In("en")
	for _, name := range c.Languages() {
		texts, ok := c.In(name)
		if !ok {
			t.Fatal(name)
		}
		for key, text := range english.texts {
			other, ok := texts.texts[key]
			switch {
			case !ok:
				t.Errorf("%s: %s is missing", name, key)
			case strings.TrimSpace(other) == "" || other != strings.TrimSpace(other):
				t.Errorf("%s: %s is empty, or has spaces around it", name, key)
			case placeholders(text) != placeholders(other):
				t.Errorf("%s: %s has %s, want %s", name, key, placeholders(other), placeholders(text))
			case name != "en" && other == text && strings.Contains(text, " ") && key != "page.home.android":
				t.Errorf("%s: %s is still English", name, key)
			}
		}
		for key, text := range texts.texts {
			if _, ok := english.texts[key]; !ok {
				t.Errorf("%s: nobody knows %s", name, key)
			}
			if strings.ContainsFunc(text, unicode.IsControl) {
				t.Errorf("%s: %s has a line break", name, key)
			}
		}
	}
}

// TestKeysOccurOnce: JSON would quietly take the last one.
func TestKeysOccurOnce(t *testing.T) {
	for _, name := range languages {
		octets, err := os.ReadFile("texts/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, m := range regexp.MustCompile(`(?m)^\s*"([^"]+)":`).FindAllStringSubmatch(string(octets), -1) {
			if seen[m[1]] {
				t.Errorf("%s: %s is there twice", name, m[1])
			}
			seen[m[1]] = true
		}
		if len(seen) == 0 {
			t.Error(name)
		}
	}
}

// TestTraditional holds the Chinese texts to traditional characters.
func TestTraditional(t *testing.T) {
	octets, err := os.ReadFile("texts/zh-Hant.json")
	if err != nil {
		t.Fatal(err)
	}
	if at := strings.IndexAny(string(octets), "码请输设备为动册应这个没变发过邮电话连网页开关键时间题务验证错误录钥机"); at >= 0 {
		rest := []rune(string(octets)[at:])
		// 機 and 碼 are; 机 and 码 are not.
		t.Errorf("a simplified character: %c", rest[0])
	}
}

func TestPick(t *testing.T) {
	c := load(t)
	for _, test := range []struct{ preferred, accept, want string }{
		{"", "", "en"},
		{"", "de", "en"},
		{"", "fr, de;q=0.9, pt;q=0.1", "pt"},
		{"", "zh-TW,zh;q=0.9,en;q=0.8", "zh-Hant"},
		{"", "zh-HK", "zh-Hant"},
		{"", "zh-Hant-MO", "zh-Hant"},
		{"", "pt-BR,pt;q=0.9", "pt"},
		{"", "pt-PT", "pt"},
		{"", "en-GB,en;q=0.5", "en"},
		{"zh-TW", "pt", "zh-Hant"},
		{"pt-BR", "zh-TW", "pt"},
		{"en", "zh-TW", "en"},
		{"de", "zh-TW", "zh-Hant"},
		{"pt-br, en-us;q=0.8", "", "pt"},
		{"{}", "pt", "pt"},
		{"", "*", "en"},
		{"", strings.Repeat("zh-TW,", 5000), "zh-Hant"}, // longer than what is read
		{"", strings.Repeat("zh-TW-", 5000), "en"},
	} {
		if got := c.Pick(test.preferred, test.accept).Language(); got != test.want {
			t.Errorf("%q %q: %s, want %s", test.preferred, test.accept, got, test.want)
		}
	}
}

func TestText(t *testing.T) {
	c := load(t)
	english, _ := c.In("en")
	if got := english.Text("mail.footer", "issuer", "{name} %s"); got != "This mail was sent automatically by {name} %s." {
		t.Error(got)
	}
	if got := english.Text("no.such.key"); got != "no.such.key" {
		t.Error(got)
	}
	var app map[string]string
	if err := json.Unmarshal(english.App(), &app); err != nil || app["email.next"] != "Next" || app["mail.footer"] != "" {
		t.Errorf("%v %v", app, err)
	}
}
