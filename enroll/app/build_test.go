package app

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"otpgate/enroll/web"
)

// small is an app of a few files.
func small() map[string][]byte {
	return map[string][]byte{
		"index.html": []byte(`<title>x</title><meta name="version" content=""><meta name="apple-mobile-web-app-title" content="">
<link rel="icon" href="icon.svg" type="image/svg+xml"><link rel="manifest" href="manifest.webmanifest">
<link rel="stylesheet" href="a.css"><script type="module" src="main.js"></script><img class="x" src="icon.svg" alt="">`),
		"a.css": []byte("a{}"), "icon.svg": []byte("<svg/>"), "icon.png": []byte("png"), "sw.js": []byte("work();"),
		"main.js":              []byte("import * as one from \"./one.js\";\nimport {\n  two,\n} from \"./two.js\";\n"),
		"one.js":               []byte(`import * as two from "./two.js"; export { x } from "./three.js";`),
		"two.js":               []byte("// says what it is\n\n2;\n  // and why\n  3; // here\n"),
		"three.js":             []byte(`import * as four from "./four.js";`),
		"four.js":              []byte(`import * as three from "./three.js"; import * as two from "./two.js";`),
		"manifest.webmanifest": []byte(`{"name": "", "icons": [{"src": "icon.png", "sizes": "1x1"}]}`),
	}
}

func built(sources map[string][]byte, o Options) (*App, error) {
	a := &App{version: version(o, sources), documents: map[string]*web.Document{}, texts: map[string]*web.Document{}}
	for language, texts := range o.Texts {
		a.texts[language] = web.NewDocument(".json", texts)
	}
	return a, (&builder{app: a, issuer: o.Issuer, sources: sources}).build()
}

// get is what is answered to a browser that asks for an address below /app/.
func get(t *testing.T, a *App, address string) (string, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/app/"+address, nil)
	if !a.Serve(w, r, strings.TrimPrefix(r.URL.Path, "/app/")) {
		t.Fatalf("there is no %s", address)
	}
	return w.Body.String(), w.Header()
}

var element = regexp.MustCompile(`<(?:script type="module" src|link rel="stylesheet" href)="([^"]+)"([^>]*)>`)

// holdsTogether checks that everything that is loaded has the hash that the page says, and that
// what is imported is among it, under the same address, before the one that imports but for those
// that import each other.
func holdsTogether(t *testing.T, a *App) (modules []string) {
	t.Helper()
	page, header := get(t, a, "")
	if header.Get("Cache-Control") != "no-cache" {
		t.Error("the page is kept without asking")
	}
	told, later := map[string]bool{}, map[string]bool{}
	for _, m := range element.FindAllStringSubmatch(page, -1) {
		octets, header := get(t, a, m[1])
		sum := sha512.Sum384([]byte(octets))
		if want := ` integrity="sha384-` + base64.StdEncoding.EncodeToString(sum[:]) + `"`; m[2] != want {
			t.Errorf("%s: %s, want %s", m[1], m[2], want)
		}
		if !strings.Contains(header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %s", m[1], header.Get("Cache-Control"))
		}
		if _, header := get(t, a, m[1]+"0"); strings.Contains(header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: another version is kept for ever", m[1])
		}
		told[m[1]] = true
		if strings.Contains(m[1], ".js?") {
			modules = append(modules, m[1])
		}
		for _, i := range regexp.MustCompile(`from "\./([^"]+)"`).FindAllStringSubmatch(octets, -1) {
			if !told[i[1]] {
				later[i[1]] = true
			}
			if back, _ := get(t, a, i[1]); !told[i[1]] && !strings.Contains(back, `from "./`) {
				t.Errorf("%s imports %s, of which the browser was not told before", m[1], i[1])
			}
		}
	}
	for address := range later {
		if !told[address] {
			t.Errorf("the browser is not told of %s", address)
		}
	}
	return modules
}

func TestFilesReferToEachOtherByWhatIsInThem(t *testing.T) {
	texts := map[string][]byte{"en": []byte(`{"a":"b"}`)}
	a, err := built(small(), Options{Issuer: `A "&" <B>`, Texts: texts})
	if err != nil {
		t.Fatal(err)
	}
	if modules := holdsTogether(t, a); len(modules) != 5 {
		t.Error(modules)
	}
	if text, _ := get(t, a, "two.js"); text != "2;\n3; // here\n" {
		t.Errorf("%q", text)
	}
	page, _ := get(t, a, "")
	for _, want := range []string{
		`<meta name="version" content="` + a.Version() + `">`, `content="A &#34;&amp;&#34; &lt;B&gt;"`,
		`<link rel="manifest" href="manifest.webmanifest">`, `<img class="x" src="icon.svg?v=`, `<link rel="icon" href="icon.svg?v=`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is not in\n%s", want, page)
		}
	}
	description, _ := get(t, a, "manifest.webmanifest")
	if !strings.Contains(description, `"short_name":"A \"\u0026\" \u003cB\u003e"`) || !strings.Contains(description, `"src":"icon.png?v=`) {
		t.Error(description)
	}
	script, _ := get(t, a, "sw.js")
	m := regexp.MustCompile(`^const version = "` + a.Version() + `", shell = (.*);\nwork\(\);\n$`).FindStringSubmatch(script)
	if m == nil {
		t.Fatal(script)
	}
	var shell [][2]string
	if err := json.Unmarshal([]byte(m[1]), &shell); err != nil || len(shell) != 10 { // all but the worker and the PNG, the page as ./, and texts
		t.Errorf("%v %v", err, shell)
	}
	for _, s := range shell {
		if !strings.HasPrefix(s[1], "sha384-") {
			t.Errorf("no hash: %v", s)
		}
	}
}

// TestEveryChangeIsAnotherVersion: of any file, of the texts, of the issuer; and of nothing, none.
func TestEveryChangeIsAnotherVersion(t *testing.T) {
	o := Options{Issuer: "x", Texts: map[string][]byte{"en": []byte("{}")}}
	first, err := built(small(), o)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{first.version: "the first"}
	check := func(what string, sources map[string][]byte, o Options) {
		t.Helper()
		a, err := built(sources, o)
		if err != nil {
			t.Fatal(err)
		}
		if is := seen[a.version]; is != "" {
			t.Errorf("%s: the version is still that of %s", what, is)
		}
		seen[a.version] = what
		one, _ := get(t, first, "sw.js")
		if two, _ := get(t, a, "sw.js"); one == two {
			t.Errorf("%s: the worker stays the same", what)
		}
	}
	for name := range small() {
		sources := small()
		sources[name] = append(sources[name], "x \n"...)
		if strings.HasSuffix(name, ".webmanifest") {
			sources[name] = append(small()[name], ' ')
		}
		check(name, sources, o)
	}
	check("texts", small(), Options{Issuer: "x", Texts: map[string][]byte{"en": []byte("{ }")}})
	check("languages", small(), Options{Issuer: "x", Texts: map[string][]byte{"pt": []byte("{}")}})
	check("issuer", small(), Options{Issuer: "y", Texts: o.Texts})
	if again, err := built(small(), o); err != nil || again.version != first.version {
		t.Errorf("%v: %s and %s", err, again.version, first.version)
	}
}

// TestOneChangeChangesAllThatImportIt, and no other address.
func TestOneChangeChangesAllThatImportIt(t *testing.T) {
	before, err := built(small(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	sources := small()
	sources["three.js"] = []byte(`import * as fore from "./four.js";`)
	after, err := built(sources, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"three.js": true, "four.js": true, "one.js": true, "main.js": true, "two.js": false, "a.css": false} {
		if got := before.documents[name].Version() != after.documents[name].Version(); got != want {
			t.Errorf("%s: another address: %v, want %v", name, got, want)
		}
	}
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	for want, change := range map[string]map[string]string{
		"one.js: five.js is no module that is there":         {"one.js": `import x from "./five.js";`},
		"two.js: a.css is no module that is there":           {"two.js": `import a from "./a.css";`},
		"two.js: a template of several lines":                {"two.js": "const x = `one\n// two`;"},
		"two.js: sw.js is no module that is there":           {"two.js": `import a from "./sw.js";`},
		"index.html: none.js is no module that is there":     {"index.html": `<script type="module" src="none.js"></script>`},
		"index.html: there is no script":                     {"index.html": `<title></title>`},
		"index.html: there is no none.css":                   {"index.html": `<link rel="stylesheet" href="none.css"><script type="module" src="two.js"></script>`},
		"manifest.webmanifest: there is no none.png":         {"manifest.webmanifest": `{"icons": [{"src": "none.png"}]}`},
		"manifest.webmanifest: json: unknown field \"scop\"": {"manifest.webmanifest": `{"scop": "/"}`},
	} {
		sources := small()
		for name, text := range change {
			sources[name] = []byte(text)
		}
		if _, err := built(sources, Options{}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestTheAppHoldsTogether: the real one, of which no file is left over.
func TestTheAppHoldsTogether(t *testing.T) {
	a, err := New(Options{Issuer: "Example", Texts: map[string][]byte{"en": []byte("{}")}})
	if err != nil {
		t.Fatal(err)
	}
	holdsTogether(t, a)
	sources, err := read()
	if err != nil {
		t.Fatal(err)
	}
	for name := range maps.Keys(sources) {
		if a.documents[name] == nil {
			t.Errorf("nothing refers to %s", name)
		}
	}
	page, _ := get(t, a, "")
	for _, m := range regexp.MustCompile(`<(script|link|img)[^>]*>`).FindAllString(page, -1) {
		if !strings.Contains(m, "?v=") && !strings.Contains(m, `rel="manifest"`) {
			t.Errorf("without its version: %s", m)
		}
		if (strings.HasPrefix(m, "<script") || strings.Contains(m, "stylesheet")) && !strings.Contains(m, " integrity=") {
			t.Errorf("without its hash: %s", m)
		}
	}
	for _, name := range []string{"version", "apple-mobile-web-app-title"} {
		if !strings.Contains(page, `<meta name="`+name+`" content="`) || strings.Contains(page, `<meta name="`+name+`" content="">`) {
			t.Errorf("the page does not say its %s", name)
		}
	}
}

// TestTheManifestIsOneThatPhonesInstall: what Chromium and Safari ask for.
func TestTheManifestIsOneThatPhonesInstall(t *testing.T) {
	a, err := New(Options{Issuer: "Example"})
	if err != nil {
		t.Fatal(err)
	}
	text, header := get(t, a, manifest)
	var m struct {
		ID, Name, Scope, Display string
		Short                    string `json:"short_name"`
		Start                    string `json:"start_url"`
		Icons                    []struct{ Src, Sizes, Type, Purpose string }
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	if m.ID != "/app/" || m.Start != "/app/" || m.Scope != "/app/" || m.Display != "standalone" || m.Name != "Example" || m.Short != "Example" {
		t.Errorf("%+v", m)
	}
	if header.Get("Content-Type") != "application/manifest+json" || header.Get("Cache-Control") != "no-cache" {
		t.Error(header)
	}
	there := map[string]bool{}
	for _, i := range m.Icons {
		there[i.Purpose+" "+i.Sizes] = true
		if _, header := get(t, a, i.Src); header.Get("Content-Type") != i.Type {
			t.Errorf("%+v: %v", i, header)
		}
	}
	for _, want := range []string{"any 192x192", "any 512x512", "maskable 192x192", "maskable 512x512"} {
		if !there[want] {
			t.Errorf("there is no icon %s", want)
		}
	}
}
