package app_test

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"otpgate/enroll/app"
)

// files returns the app as it is served.
func files(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(app.Files(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		if d.IsDir() {
			t.Errorf("%s: a folder", path)
			return fs.SkipDir
		}
		octets, err := fs.ReadFile(app.Files(), path)
		all[path] = string(octets)
		return err
	})
	if err != nil || all["index.html"] == "" {
		t.Fatal(err)
	}
	return all
}

// TestNothingFromElsewhere: no other host, nothing that makes code or HTML of text.
func TestNothingFromElsewhere(t *testing.T) {
	host := regexp.MustCompile(`https?://[^\s"'<>)]+`)
	sink := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|setHTML|HTMLUnsafe|document\.write|DOMParser|createContextualFragment|\beval\s*\(|new Function|srcdoc|dangerously|importScripts|javascript:|setTimeout\("`)
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|<script>|\son[a-z]+="|javascript:`)
	for name, text := range files(t) {
		for _, h := range host.FindAllString(text, -1) {
			if !strings.HasPrefix(h, "http://www.w3.org/") { // a namespace, which nobody opens
				t.Errorf("%s: %s", name, h)
			}
		}
		if found := sink.FindString(text); found != "" {
			t.Errorf("%s: %s", name, found)
		}
		if found := inline.FindString(text); strings.HasSuffix(name, ".html") && found != "" {
			t.Errorf("%s: %s", name, found)
		}
	}
}

// TestWhatIsReferredToIsThere: files, modules, and elements by their ids.
func TestWhatIsReferredToIsThere(t *testing.T) {
	all := files(t)
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(all["index.html"], -1) {
		if _, ok := all[m[1]]; !ok {
			t.Errorf("index.html: there is no %s", m[1])
		}
	}
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(`\sid="([^"]+)"`).FindAllStringSubmatch(all["index.html"], -1) {
		if ids[m[1]] {
			t.Errorf("the id %s is there twice", m[1])
		}
		ids[m[1]] = true
	}
	for name, text := range all {
		for _, m := range regexp.MustCompile(`from "\./([^"]+)"`).FindAllStringSubmatch(text, -1) {
			if _, ok := all[m[1]]; !ok {
				t.Errorf("%s: there is no %s", name, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`(?:\$|\bgo|\bsay|\bsubmit)\("([a-z-]+)"`).FindAllStringSubmatch(text, -1) {
			if !ids[m[1]] {
				t.Errorf("%s: there is no element %s", name, m[1])
			}
		}
	}
	for _, m := range regexp.MustCompile(`for="([^"]+)"`).FindAllStringSubmatch(all["index.html"], -1) {
		if !ids[m[1]] {
			t.Errorf("a label for %s, which is not there", m[1])
		}
	}
}

// TestKeysStayInTheBrowser: none is made to be exported, and only the public one ever is. Nobody
// but key.js has to do with how keys are made.
func TestKeysStayInTheBrowser(t *testing.T) {
	all := files(t)
	text := all["key.js"]
	exports := regexp.MustCompile(`exportKey\(([^)]*)\)`).FindAllStringSubmatch(text, -1)
	if len(exports) != 1 || exports[0][1] != `"raw", pair.publicKey` {
		t.Errorf("exported: %v", exports)
	}
	if regexp.MustCompile(`,\s*true\s*,\s*\[`).MatchString(text) || regexp.MustCompile(`deriveBits|wrapKey|importKey\("(?:jwk|pkcs8)`).MatchString(text) {
		t.Error("a key can be exported")
	}
	if n := len(regexp.MustCompile(`,\s*false\s*,\s*\[`).FindAllString(text, -1)); n != 4 {
		t.Errorf("%d keys that cannot be exported, want 4", n)
	}
	for name, text := range all {
		if found := regexp.MustCompile(`subtle\.|extractable|deriveBits|exportKey`).FindString(text); found != "" && name != "key.js" {
			t.Errorf("%s: %s", name, found)
		}
	}
}

// TestOnePolicyForOneAddress: Trusted Types take one script address, and no HTML, from anybody.
func TestOnePolicyForOneAddress(t *testing.T) {
	n := 0
	for name, text := range files(t) {
		found := regexp.MustCompile(`createPolicy\(.*`).FindAllString(text, -1)
		n += len(found)
		for _, f := range found {
			if name != "install.js" || !strings.HasPrefix(f, `createPolicy("otpgate-worker", { createScriptURL: () => "sw.js" })`) {
				t.Errorf("%s: %s", name, f)
			}
		}
	}
	if n != 1 {
		t.Errorf("%d policies", n)
	}
}

// TestNothingSecretIsKeptAsText: what is in localStorage anybody can read who has the phone's files.
func TestNothingSecretIsKeptAsText(t *testing.T) {
	for name, text := range files(t) {
		if regexp.MustCompile(`localStorage|sessionStorage|document\.cookie`).MatchString(text) && !slices.Contains([]string{"clock.js", "vault.js", "memory.js"}, name) {
			t.Errorf("%s keeps texts", name)
		}
		if regexp.MustCompile(`document\.cookie|sessionStorage`).MatchString(text) {
			t.Errorf("%s: not there, either", name)
		}
	}
}
