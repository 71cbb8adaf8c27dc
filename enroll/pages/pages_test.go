package pages_test

import (
	"crypto/sha512"
	"encoding/base64"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"otpgate/enroll/catalogue"
	"otpgate/enroll/pages"
	"otpgate/enroll/web"
)

var all = []string{"home", "devices", "revoke"}

func write(t *testing.T, change func(*pages.Options)) (*pages.Pages, *catalogue.Catalogue) {
	t.Helper()
	c, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	o := pages.Options{Issuer: "Example <b>& Sons", PublicURL: "https://otp.example.org", Contact: "mailto:help@example.org", Catalogue: c}
	if change != nil {
		change(&o)
	}
	p, err := pages.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p, c
}

func document(t *testing.T, p *pages.Pages, name, language string) string {
	t.Helper()
	d, ok := p.Document(name, language)
	if !ok {
		t.Fatalf("no page %s in %s", name, language)
	}
	return served(t, d, "text/html; charset=utf-8")
}

// served is what a browser gets.
func served(t *testing.T, d *web.Document, kind string) string {
	t.Helper()
	w := httptest.NewRecorder()
	d.Serve(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusOK || w.Body.Len() == 0 || w.Header().Get("Content-Type") != kind {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	return w.Body.String()
}

func assets(t *testing.T, p *pages.Pages) map[string]string {
	t.Helper()
	found := map[string]string{}
	entries, err := os.ReadDir("assets")
	if err != nil || len(entries) < 5 {
		t.Fatalf("%d files: %v", len(entries), err)
	}
	for _, e := range entries {
		d, ok := p.Asset(e.Name())
		kind := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}[path.Ext(e.Name())]
		if !ok || kind == "" {
			t.Fatal(e.Name())
		}
		found[e.Name()] = served(t, d, kind)
	}
	return found
}

func TestPagesInEveryLanguage(t *testing.T) {
	p, c := write(t, nil)
	hole := regexp.MustCompile(`page\.[a-z]+\.?[a-z]*|<no value>|ZgotmplZ|<b>`)
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|<script>|\son[a-z]+=|javascript:`)
	for _, name := range all {
		marked := map[int]bool{}
		for _, language := range c.Languages() {
			text := document(t, p, name, language)
			if found := hole.FindString(strings.ReplaceAll(text, "/assets/page.css", "")); found != "" && found != "page.css" {
				t.Errorf("%s %s: %s", name, language, found)
			}
			if found := inline.FindString(text); found != "" {
				t.Errorf("%s %s: inline: %s", name, language, found)
			}
			if !strings.Contains(text, `<html lang="`+language+`">`) {
				t.Errorf("%s %s: another language", name, language)
			}
			for _, other := range c.Languages() {
				current := ""
				if other == language {
					current = ` aria-current="true"`
				}
				if !strings.Contains(text, `<a href="?lang=`+other+`" hreflang="`+other+`" lang="`+other+`"`+current+`>`) {
					t.Errorf("%s %s: no way to %s", name, language, other)
				}
			}
			marked[strings.Count(text, "data-text")] = true
		}
		// The script that changes the language in place takes them one by one.
		if len(marked) != 1 {
			t.Errorf("%s: languages differ in how many texts they mark: %v", name, marked)
		}
	}
	if _, ok := p.Document("home", "de"); ok {
		t.Error("a page in a language that there is not")
	}
	if _, ok := p.Document("frame", "en"); ok {
		t.Error("a page that there is not")
	}
	if _, ok := p.Asset("../home.html"); ok {
		t.Error("a file that is no asset")
	}
}

// TestIntegrity: a page names all that it loads with what it has to be, and before who imports it.
func TestIntegrity(t *testing.T) {
	p, c := write(t, nil)
	files := assets(t, p)
	loaded := regexp.MustCompile(`(?:src|href)="/assets/([a-z.]+)"([^>]*)>`)
	imported := regexp.MustCompile(`from "\./([a-z]+\.js)"`)
	used := map[string]bool{}
	for _, name := range all {
		for _, language := range c.Languages() {
			var before []string
			for _, m := range loaded.FindAllStringSubmatch(document(t, p, name, language), -1) {
				sum := sha512.Sum384([]byte(files[m[1]]))
				want := `integrity="sha384-` + base64.StdEncoding.EncodeToString(sum[:]) + `"`
				if files[m[1]] == "" || !strings.Contains(html.UnescapeString(m[2]), want) {
					t.Errorf("%s %s: %s has%s, want %s", name, language, m[1], m[2], want)
				}
				for _, i := range imported.FindAllStringSubmatch(files[m[1]], -1) {
					if !slices.Contains(before, i[1]) {
						t.Errorf("%s: %s imports %s, which was not loaded before it", name, m[1], i[1])
					}
				}
				before = append(before, m[1])
				used[m[1]] = true
			}
			if len(before) < 2 {
				t.Errorf("%s: only %v", name, before)
			}
		}
	}
	for name := range files {
		if !used[name] {
			t.Errorf("%s is on no page", name)
		}
	}
}

// TestScripts: no way from a text to HTML or code, nothing from elsewhere, nothing kept, and what they look for is on
// their page.
func TestScripts(t *testing.T) {
	p, _ := write(t, nil)
	files := assets(t, p)
	sink := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|srcdoc|dangerously|https?://|localStorage|sessionStorage|document\.cookie|console\.`)
	for name, text := range files {
		if found := sink.FindString(text); found != "" {
			t.Errorf("%s: %s", name, found)
		}
	}
	page := document(t, p, "devices", "en")
	for _, name := range []string{"devices.js", "rows.js", "words.js"} {
		for _, m := range regexp.MustCompile(`(?:\bword|\bsay)\((?:again \? )?"([a-z.]+)"`).FindAllStringSubmatch(files[name], -1) {
			if !strings.Contains(page, `data-word="`+m[1]+`"`) {
				t.Errorf("%s says %s, which is no word of the page", name, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`(?:\$|getElementById)\("([a-z-]+)"\)`).FindAllStringSubmatch(files[name], -1) {
			if strings.Count(page, ` id="`+m[1]+`"`) != 1 {
				t.Errorf("%s looks for %s", name, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`part\("\.([a-z]+)`).FindAllStringSubmatch(files[name], -1) {
			if !regexp.MustCompile(`class="[a-z ]*\b` + m[1] + `\b`).MatchString(page) {
				t.Errorf("%s looks for the class %s", name, m[1])
			}
		}
	}
	for _, m := range regexp.MustCompile(`data-word="([a-z.]+)"`).FindAllStringSubmatch(page, -1) {
		if !strings.Contains(files["devices.js"]+files["rows.js"], `"`+m[1]+`"`) && !strings.Contains(files["call.js"], m[1]) {
			t.Errorf("nobody says %s", m[1])
		}
	}
	outcomes := regexp.MustCompile(`data-outcome="([a-z]+)"`).FindAllStringSubmatch(document(t, p, "revoke", "en"), -1)
	for _, want := range []string{"working", "done", "invalid", "missing", "failed", "network", "many"} {
		if !slices.ContainsFunc(outcomes, func(m []string) bool { return m[1] == want }) {
			t.Errorf("the page about a new device cannot say %s", want)
		}
	}
}

func TestContact(t *testing.T) {
	for _, test := range []struct{ contact, want string }{
		{"mailto:help@example.org", `<a href="mailto:help@example.org">help@example.org</a>`},
		{"mailto:help@example.org?subject=Codes", `<a href="mailto:help@example.org?subject=Codes">help@example.org</a>`},
		{"tel:+351-21-000", `<a href="tel:&#43;351-21-000">&#43;351-21-000</a>`},
		{"https://help.example.org/otp/", `<a href="https://help.example.org/otp/">help.example.org/otp</a>`},
		{"Room 5 <script>", "</span>Room 5 &lt;script&gt;</p>"},
		{"javascript:alert(1)", "</span>javascript:alert(1)</p>"},
		{"JavaScript:alert(1)", "</span>JavaScript:alert(1)</p>"},
		{"http://help.example.org/", "</span>http://help.example.org/</p>"},
		{"https:nowhere", "</span>https:nowhere</p>"},
		{"mailto:", "</span>mailto:</p>"},
		{`mailto:a"onclick=x@example.org`, `>a&#34;onclick=x@example.org</a>`},
	} {
		p, _ := write(t, func(o *pages.Options) { o.Contact = test.contact })
		for _, name := range all {
			text := document(t, p, name, "en")
			if !strings.Contains(text, test.want) || regexp.MustCompile(`href="(?i:javascript)|"onclick`).MatchString(text) {
				_, footer, _ := strings.Cut(text, "<footer>")
				t.Errorf("%s: %s:\n%s", test.contact, name, footer)
			}
		}
	}
	p, _ := write(t, func(o *pages.Options) { o.Contact = "" })
	for _, name := range all {
		if strings.Contains(document(t, p, name, "en"), "Ask here") {
			t.Errorf("%s: nobody is asked", name)
		}
	}
}

// TestWhereItIsSecure: the explanation leads to https if people reach the server so.
func TestWhereItIsSecure(t *testing.T) {
	for public, want := range map[string]string{
		"https://otp.example.org": `<a href="https://otp.example.org/">`, "http://127.0.0.1:8080": "begins with https",
	} {
		p, _ := write(t, func(o *pages.Options) { o.PublicURL = public })
		for _, name := range all {
			_, note, ok := strings.Cut(document(t, p, name, "en"), `data-insecure hidden>`)
			if note, _, _ = strings.Cut(note, "</div>"); !ok || !strings.Contains(note, want) {
				t.Errorf("%s: %s: %s", public, name, note)
			}
		}
	}
}
