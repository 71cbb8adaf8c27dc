package app

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"otpgate/enroll/web"
)

const (
	manifest = "manifest.webmanifest"
	worker   = "sw.js"
)

var (
	imports = regexp.MustCompile(`(\bfrom ")\./([^"]+)(")`)
	entry   = regexp.MustCompile(`<script type="module" src="([^"?]+)"></script>`)
	link    = regexp.MustCompile(`<link rel="([a-z-]+)" href="([^"?]+)"`)
	meta    = regexp.MustCompile(`<meta name="(version|apple-mobile-web-app-title)" content="">`)
	image   = regexp.MustCompile(`<img([^>]*) src="([^"?]+)"`)
)

// builder puts an app together: what others refer to comes first, so that each file is named by
// what is in it, and by what is in those that it imports.
type builder struct {
	app     *App
	issuer  string
	sources map[string][]byte
	modules []string // in the order in which a browser has to hear of them: what is imported comes first
	err     error    // the first thing that did not work
}

func (b *builder) build() error {
	for name, octets := range b.sources {
		b.sources[name] = b.lean(name, octets)
	}
	for name, octets := range b.sources {
		if ext := path.Ext(name); ext != ".html" && ext != ".js" && ext != ".webmanifest" {
			b.add(name, octets)
		}
	}
	if err := b.manifest(); err != nil {
		return err
	}
	b.page()
	b.worker()
	return b.err
}

// lean leaves out what scripts and styles say to people only: lines that are a comment, and the room
// before lines. That is a fifth of what goes over the wire. A line must not be part of a text.
func (b *builder) lean(name string, octets []byte) []byte {
	if ext := path.Ext(name); ext != ".js" && ext != ".css" {
		return octets
	}
	var lines [][]byte
	for line := range bytes.Lines(octets) {
		line = bytes.TrimSpace(line)
		if bytes.Count(line, []byte("`"))%2 == 1 {
			b.fail("%s: a template of several lines", name)
		}
		if len(line) > 0 && !bytes.HasPrefix(line, []byte("//")) {
			lines = append(lines, line)
		}
	}
	return append(bytes.Join(lines, []byte("\n")), '\n')
}

func (b *builder) add(name string, octets []byte) *web.Document {
	d := web.NewDocument(path.Ext(name), octets)
	if text(name) {
		d = d.Compressed()
	}
	b.app.documents[name] = d
	return d
}

// fail keeps the first thing that did not work.
func (b *builder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf(format, args...)
	}
}

// address is where a file that there is is found, in this version.
func (b *builder) address(from, name string) string {
	d, ok := b.app.documents[name]
	if !ok {
		b.fail("%s: there is no %s", from, name)
		return name
	}
	return name + "?v=" + d.Version()
}

// integrity is the attribute for a file that there is.
func (b *builder) integrity(name string) string {
	if d, ok := b.app.documents[name]; ok {
		return ` integrity="` + d.Integrity() + `"`
	}
	return ""
}

// visit collects what a module needs, itself last, each once. Modules may need each other.
func (b *builder) visit(from, name string, needed []string) []string {
	if slices.Contains(needed, name) {
		return needed
	}
	octets, ok := b.sources[name]
	if !ok || path.Ext(name) != ".js" || name == worker {
		b.fail("%s: %s is no module that is there", from, name)
		return needed
	}
	at := len(needed)
	needed = append(needed, name)
	for _, m := range imports.FindAllSubmatch(octets, -1) {
		needed = b.visit(name, string(m[2]), needed)
	}
	return append(slices.Delete(needed, at, at+1), name)
}

// script adds a module and all that it needs. The version of each is a hash over all that it needs.
func (b *builder) script(name string) {
	b.modules = b.visit(page, name, nil)
	versions := map[string]string{}
	for _, m := range b.modules {
		h := sha256.New()
		for _, n := range slices.Sorted(slices.Values(b.visit(page, m, nil))) {
			fmt.Fprintf(h, "%q %x\n", n, sha256.Sum256(b.sources[n]))
		}
		versions[m] = hex.EncodeToString(h.Sum(nil)[:6])
	}
	for _, m := range b.modules {
		octets := replace(imports, b.sources[m], func(part []string) string {
			return part[1] + "./" + part[2] + "?v=" + versions[part[2]] + part[3]
		})
		b.app.documents[m] = web.NewDocument(path.Ext(m), octets).Versioned(versions[m]).Compressed()
	}
}

// page adds the page. Every module has an element of its own, because only those can have a hash:
// a browser takes what is imported from the modules that it has been told of. None is told of
// after the one that imports it, unless they import each other.
func (b *builder) page() {
	octets := replace(entry, b.sources[page], func(m []string) string {
		b.script(m[1])
		var lines []string
		for _, name := range b.modules {
			lines = append(lines, `<script type="module" src="`+b.address(page, name)+`"`+b.integrity(name)+`></script>`)
		}
		return strings.Join(lines, "\n")
	})
	if len(b.modules) == 0 {
		b.fail("%s: there is no script", page)
	}
	octets = replace(link, octets, func(m []string) string {
		switch m[1] {
		case "stylesheet":
			return `<link rel="stylesheet" href="` + b.address(page, m[2]) + `"` + b.integrity(m[2])
		case "manifest": // browsers know an installed app by this address
			b.address(page, m[2])
			return m[0]
		}
		return `<link rel="` + m[1] + `" href="` + b.address(page, m[2]) + `"`
	})
	octets = replace(image, octets, func(m []string) string {
		return `<img` + m[1] + ` src="` + b.address(page, m[2]) + `"`
	})
	octets = replace(meta, octets, func(m []string) string {
		content := map[string]string{"version": b.app.version, "apple-mobile-web-app-title": b.issuer}[m[1]]
		return `<meta name="` + m[1] + `" content="` + html.EscapeString(content) + `">`
	})
	b.add(page, octets)
}

// manifest adds the description that phones install the app by.
func (b *builder) manifest() error {
	var m struct {
		ID         string `json:"id"`
		Name       string `json:"name"`
		ShortName  string `json:"short_name"`
		StartURL   string `json:"start_url"`
		Scope      string `json:"scope"`
		Display    string `json:"display"`
		Background string `json:"background_color"`
		Theme      string `json:"theme_color"`
		Icons      []struct {
			Source  string `json:"src"`
			Sizes   string `json:"sizes"`
			Type    string `json:"type"`
			Purpose string `json:"purpose"`
		} `json:"icons"`
	}
	d := json.NewDecoder(bytes.NewReader(b.sources[manifest]))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return fmt.Errorf("%s: %w", manifest, err)
	}
	m.Name, m.ShortName = b.issuer, b.issuer
	for i := range m.Icons {
		m.Icons[i].Source = b.address(manifest, m.Icons[i].Source)
	}
	octets, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("%s: %w", manifest, err)
	}
	b.add(manifest, octets)
	return nil
}

// worker adds the service worker, and tells it which addresses make up this version.
func (b *builder) worker() {
	var shell [][2]string
	for _, name := range slices.Sorted(maps.Keys(b.app.documents)) {
		d, address := b.app.documents[name], b.address(worker, name)
		switch path.Ext(name) {
		case ".html":
			address = "./"
		case ".webmanifest":
			address = name
		case ".png": // for the phone, once, when the app is installed
			continue
		}
		shell = append(shell, [2]string{address, d.Integrity()})
	}
	for _, language := range slices.Sorted(maps.Keys(b.app.texts)) {
		shell = append(shell, [2]string{"texts.json?lang=" + language, b.app.texts[language].Integrity()})
	}
	list, err := json.Marshal(shell)
	if err != nil {
		b.fail("%s: %w", worker, err)
	}
	b.add(worker, fmt.Appendf(nil, "const version = %q, shell = %s;\n%s", b.app.version, list, b.sources[worker]))
}

// replace puts what with makes in the place of each match.
func replace(pattern *regexp.Regexp, octets []byte, with func(match []string) string) []byte {
	return pattern.ReplaceAllFunc(octets, func(found []byte) []byte {
		m := pattern.FindSubmatch(found)
		s := make([]string, len(m))
		for i, part := range m {
			s[i] = string(part)
		}
		return []byte(with(s))
	})
}
