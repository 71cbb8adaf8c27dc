package app

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"

	"otpgate/enroll/web"
)

//go:embed files
var files embed.FS

// page is the app itself.
const page = "index.html"

// Options are what the app is made of, besides its files.
type Options struct {
	Issuer string            // what codes are for
	Texts  map[string][]byte // JSON, by language
}

// An App is everything below /app/ that is the same for everybody. It is safe for concurrent use.
type App struct {
	version   string
	documents map[string]*web.Document // by their names, without folders
	texts     map[string]*web.Document
}

// New puts the files together: each refers to the others by what is in them.
func New(o Options) (*App, error) {
	sources, err := read()
	if err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	a := &App{version: version(o, sources), documents: map[string]*web.Document{}, texts: map[string]*web.Document{}}
	for language, texts := range o.Texts {
		a.texts[language] = web.NewDocument(".json", texts).Compressed()
	}
	b := &builder{app: a, issuer: o.Issuer, sources: sources}
	if err := b.build(); err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	return a, nil
}

// Version changes with everything that is part of the app.
func (a *App) Version() string { return a.version }

// Texts is the texts of one of the languages that there are.
func (a *App) Texts(language string) (*web.Document, bool) {
	d, ok := a.texts[language]
	return d, ok
}

// Serve answers with a file, "" being the page, and reports whether there is one.
func (a *App) Serve(w http.ResponseWriter, r *http.Request, name string) bool {
	if name == "" {
		name = page
	}
	d, ok := a.documents[name]
	if ok {
		d.Serve(w, r)
	}
	return ok
}

// Files are the files as they were written.
func Files() fs.FS {
	sub, err := fs.Sub(files, "files")
	if err != nil {
		return embed.FS{} // cannot be: the name is a valid one
	}
	return sub
}

func read() (map[string][]byte, error) {
	sources := map[string][]byte{}
	entries, err := fs.ReadDir(Files(), ".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if sources[e.Name()], err = fs.ReadFile(Files(), e.Name()); err != nil {
			return nil, err
		}
	}
	return sources, nil
}

// version is a hash over all that can be different in another version.
func version(o Options, sources map[string][]byte) string {
	h := sha256.New()
	for _, all := range []map[string][]byte{sources, o.Texts, {"issuer": []byte(o.Issuer)}} {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			sum := sha256.Sum256(all[name])
			fmt.Fprintf(h, "%q %x\n", name, sum)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// text says which files are worth compressing.
func text(name string) bool { return path.Ext(name) != ".png" }
