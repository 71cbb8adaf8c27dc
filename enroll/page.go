package enroll

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/boombuler/barcode/qr"

	"otpgate/enroll/app"
	"otpgate/enroll/catalogue"
	"otpgate/enroll/web"
)

//go:embed pages
var pageFiles embed.FS

// openAPI describes the calls, for whoever writes another app.
//
//go:embed openapi.yaml
var openAPI []byte

// pages are what people look at in a browser.
type pages struct {
	issuer, appURL string
	templates      *template.Template
	qr             []byte // SVG
	assets, app    fs.FS
}

// view is what the templates are filled with.
type view struct {
	*catalogue.Texts
	Issuer, AppURL string
}

func newPages(issuer, publicURL string) (*pages, error) {
	p := &pages{issuer: issuer, appURL: publicURL + "/app/", app: app.Files()}
	var err error
	if p.templates, err = template.ParseFS(pageFiles, "pages/*.html"); err != nil {
		return nil, err
	}
	if p.assets, err = fs.Sub(pageFiles, "pages/assets"); err != nil {
		return nil, err
	}
	p.qr, err = drawQR(p.appURL)
	return p, err
}

// drawQR draws a text as a QR code (ISO/IEC 18004, error correction level M) with its quiet zone.
func drawQR(text string) ([]byte, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return nil, fmt.Errorf("QR code: %w", err)
	}
	const quiet = 4
	side := code.Bounds().Dx()
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[1]d" shape-rendering="crispEdges">`, side+2*quiet)
	fmt.Fprintf(&b, `<rect width="%[1]d" height="%[1]d" fill="#fff"/><path d="`, side+2*quiet)
	for y := range side {
		for x := range side {
			if r, _, _, _ := code.At(x, y).RGBA(); r == 0 {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x+quiet, y+quiet)
			}
		}
	}
	b.WriteString(`" fill="#000"/></svg>`)
	return b.Bytes(), nil
}

func (s *Server) showHome(w http.ResponseWriter, r *http.Request, _ *call) *web.Problem {
	return s.showPage(w, r, "home.html")
}

func (s *Server) showRevoke(w http.ResponseWriter, r *http.Request, _ *call) *web.Problem {
	return s.showPage(w, r, "revoke.html")
}

// showPage answers with a page in the browser's language.
func (s *Server) showPage(w http.ResponseWriter, r *http.Request, name string) *web.Problem {
	texts := s.texts.Pick("", r.Header.Get("Accept-Language"))
	var b bytes.Buffer
	if err := s.pages.templates.ExecuteTemplate(&b, name, view{texts, s.pages.issuer, s.pages.appURL}); err != nil {
		s.logger.Error("page not written", "page", name, "error", err)
		return web.Internal
	}
	w.Header().Set("Content-Language", texts.Language())
	w.Header().Add("Vary", "Accept-Language")
	file(w, r, ".html", b.Bytes())
	return nil
}

func (s *Server) showQR(w http.ResponseWriter, r *http.Request, _ *call) *web.Problem {
	file(w, r, ".svg", s.pages.qr)
	return nil
}

func (s *Server) showOpenAPI(w http.ResponseWriter, r *http.Request, _ *call) *web.Problem {
	file(w, r, ".yaml", openAPI)
	return nil
}

func (s *Server) showAsset(w http.ResponseWriter, r *http.Request, _ *call) *web.Problem {
	return showFile(w, r, s.pages.assets, strings.TrimPrefix(r.URL.Path, "/assets/"))
}

func (s *Server) showApp(w http.ResponseWriter, r *http.Request, _ *call) *web.Problem {
	return showFile(w, r, s.pages.app, or(strings.TrimPrefix(r.URL.Path, "/app/"), "index.html"))
}

func (s *Server) showAppTexts(w http.ResponseWriter, r *http.Request, _ *call) *web.Problem {
	texts := s.texts.Pick("", r.Header.Get("Accept-Language"))
	w.Header().Set("Content-Language", texts.Language())
	w.Header().Add("Vary", "Accept-Language")
	file(w, r, ".json", texts.App())
	return nil
}

// showFile answers with a file that is part of the program.
func showFile(w http.ResponseWriter, r *http.Request, files fs.FS, name string) *web.Problem {
	octets, err := fs.ReadFile(files, name)
	if err != nil {
		return web.NotFound
	}
	file(w, r, path.Ext(name), octets)
	return nil
}

// file answers with octets that the browser may keep as long as they are the same.
func file(w http.ResponseWriter, r *http.Request, ext string, octets []byte) {
	sum := sha256.Sum256(octets)
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "no-cache")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", contentType(ext))
	h.Set("Content-Length", fmt.Sprint(len(octets)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(octets)
	}
}

// contentType does not depend on what the machine has in its MIME tables, for the few there are.
func contentType(ext string) string {
	switch ext {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".json":
		return "application/json"
	case ".yaml":
		return "application/yaml" // RFC 9512
	case ".webmanifest":
		return "application/manifest+json"
	}
	return or(mime.TypeByExtension(ext), "application/octet-stream")
}
