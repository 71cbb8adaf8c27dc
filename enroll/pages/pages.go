package pages

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strings"

	"otpgate/enroll/catalogue"
	"otpgate/enroll/web"
)

//go:embed *.html assets
var files embed.FS

// names are the pages there are: NAME.html each.
var names = []string{"home", "devices", "revoke"}

// Options are what the pages say besides their texts.
type Options struct {
	Issuer    string // what codes are for
	PublicURL string // as people reach the server, without a slash at the end
	Contact   string // whom people ask: a mailto:, https: or tel: URL, or text; "": nobody
	Catalogue *catalogue.Catalogue
}

// Pages are the pages in all languages. They are safe for concurrent use.
type Pages struct {
	documents map[string]*web.Document // by name and language
	assets    map[string]*web.Document
}

// New writes all pages.
func New(o Options) (*Pages, error) {
	p := &Pages{documents: map[string]*web.Document{}, assets: map[string]*web.Document{}}
	if err := p.readAssets(); err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	templates, err := template.New("pages").Funcs(template.FuncMap{"integrity": p.integrity}).ParseFS(files, "*.html")
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	for _, language := range o.Catalogue.Languages() {
		texts, _ := o.Catalogue.In(language)
		v := view{Texts: texts, Issuer: o.Issuer, AppURL: o.PublicURL + "/app/", Contact: contact(o.Contact), catalogue: o.Catalogue}
		if strings.HasPrefix(o.PublicURL, "https:") {
			v.SecureURL = o.PublicURL
		}
		for _, name := range names {
			var b bytes.Buffer
			if err := templates.ExecuteTemplate(&b, name+".html", v); err != nil {
				return nil, fmt.Errorf("pages: %w", err)
			}
			p.documents[name+" "+language] = web.NewDocument(".html", b.Bytes()).Compressed()
		}
	}
	return p, nil
}

// readAssets takes what pages refer to.
func (p *Pages) readAssets() error {
	entries, err := files.ReadDir("assets")
	if err != nil {
		return err
	}
	for _, e := range entries {
		octets, err := fs.ReadFile(files, "assets/"+e.Name())
		if err != nil {
			return err
		}
		p.assets[e.Name()] = web.NewDocument(path.Ext(e.Name()), octets).Compressed()
	}
	return nil
}

// Document returns a page (home, devices or revoke) in one of the catalogue's languages.
func (p *Pages) Document(name, language string) (*web.Document, bool) {
	d, ok := p.documents[name+" "+language]
	return d, ok
}

// Asset returns the script or style that pages refer to as /assets/NAME.
func (p *Pages) Asset(name string) (*web.Document, bool) {
	d, ok := p.assets[name]
	return d, ok
}

// integrity is what a browser checks an asset against.
func (p *Pages) integrity(name string) (string, error) {
	d, ok := p.assets[name]
	if !ok {
		return "", fmt.Errorf("there is no %s", name)
	}
	return d.Integrity(), nil
}

// view is what the templates are filled with.
type view struct {
	*catalogue.Texts
	Issuer, AppURL string
	SecureURL      string // "": people reach the server without TLS
	Contact        person
	catalogue      *catalogue.Catalogue
}

// A tongue is a language that the page can be had in.
type tongue struct {
	Tag, Name string
	Current   bool
}

// Tongues are all of them, each under the name that its readers have for it.
func (v view) Tongues() []tongue {
	var all []tongue
	for _, tag := range v.catalogue.Languages() {
		texts, _ := v.catalogue.In(tag)
		all = append(all, tongue{tag, texts.Text("page.language"), tag == v.Language()})
	}
	return all
}
