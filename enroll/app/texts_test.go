package app_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// chosen are the beginnings of keys whose end the app puts together.
var chosen = []string{"code.confirmation.", "code.device.", "account.remove.", "clock."}

// TestTextsAreThere: the app would show the key of a text that nobody has written, and a text that
// is never shown has been forgotten. That all languages have the same ones is tested where they are.
func TestTextsAreThere(t *testing.T) {
	octets, err := os.ReadFile(filepath.Join("..", "catalogue", "texts", "en.json"))
	if err != nil {
		t.Fatal(err)
	}
	var written map[string]string
	if err := json.Unmarshal(octets, &written); err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join("files", "*"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	var all strings.Builder
	for _, path := range paths {
		if ext := filepath.Ext(path); ext != ".js" && ext != ".html" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	source := all.String()
	shown := regexp.MustCompile(`(?:\btext|\bcount)\("([a-z_.]+[a-z_])"|data-(?:text|label)="([^"]+)"`).FindAllStringSubmatch(source, -1)
	if len(shown) < 50 {
		t.Fatalf("%d texts are shown: the pattern no longer finds them", len(shown))
	}
	for _, m := range shown {
		if key := m[1] + m[2]; written["app."+key] == "" {
			t.Errorf("%s is shown, and in no catalogue", key)
		}
	}
	for key := range written {
		key, ours := strings.CutPrefix(key, "app.")
		if ours && !used(source, strings.TrimSuffix(key, ".one")) {
			t.Errorf("app.%s is never shown", key)
		}
	}
}

func used(source, key string) bool {
	if strings.Contains(source, `"`+key+`"`) {
		return true
	}
	for _, c := range chosen {
		if end, ok := strings.CutPrefix(key, c); ok && end != "" && strings.Contains(source, `"`+strings.TrimSuffix(c, ".")) {
			return true
		}
	}
	return false
}
