package enroll

import (
	_ "embed"
	"fmt"
	"net/http"
	"strings"

	"otpgate/enroll/app"
	"otpgate/enroll/catalogue"
	"otpgate/enroll/pages"
	"otpgate/enroll/web"
)

// openAPI describes the calls, for whoever writes another app.
//
//go:embed openapi.yaml
var openAPI []byte

// content is what is served as it is, and the pages that people look at in a browser.
type content struct {
	*pages.Pages
	qr  *web.Document
	app *app.App
}

func newContent(o Options, texts *catalogue.Catalogue) (*content, error) {
	c := &content{}
	var err error
	if c.app, err = app.New(app.Options{Issuer: o.Issuer, Texts: appTexts(texts)}); err != nil {
		return nil, err
	}
	if c.Pages, err = pages.New(pages.Options{Issuer: o.Issuer, PublicURL: o.PublicURL, Contact: o.Contact, Catalogue: texts}); err != nil {
		return nil, err
	}
	qr, err := drawQR(o.PublicURL + "/app/")
	c.qr = web.NewDocument(".svg", qr).Compressed()
	return c, err
}

// appTexts are the app's texts in all languages.
func appTexts(texts *catalogue.Catalogue) map[string][]byte {
	all := map[string][]byte{}
	for _, language := range texts.Languages() {
		if t, ok := texts.In(language); ok {
			all[language] = t.App()
		}
	}
	return all
}

// drawQR draws a text as a QR code.
func drawQR(text string) ([]byte, error) {
	code, err := traceQR(text)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[1]d" shape-rendering="crispEdges">`+
		`<rect width="%[1]d" height="%[1]d" fill="#fff"/><path d="%[2]s" fill="#000"/></svg>`, code.Size, code.Path), nil
}

func (s *Server) showHome(w http.ResponseWriter, r *http.Request, _ *call) *web.Problem {
	return s.showPage(w, r, "home")
}

func (s *Server) showDevices(w http.ResponseWriter, r *http.Request, _ *call) *web.Problem {
	return s.showPage(w, r, "devices")
}

func (s *Server) showRevoke(w http.ResponseWriter, r *http.Request, _ *call) *web.Problem {
	return s.showPage(w, r, "revoke")
}

// showPage answers with a page in the language asked for.
func (s *Server) showPage(w http.ResponseWriter, r *http.Request, name string) *web.Problem {
	texts := s.speak(w, r)
	document, ok := s.pages.Document(name, texts.Language())
	if !ok {
		return web.NotFound
	}
	document.Serve(w, r)
	return nil
}

// speak picks the language of an answer: what the address asks for (?lang=pt), or else the browser.
func (s *Server) speak(w http.ResponseWriter, r *http.Request) *catalogue.Texts {
	texts := s.texts.Pick(r.URL.Query().Get("lang"), r.Header.Get("Accept-Language"))
	w.Header().Set("Content-Language", texts.Language())
	w.Header().Add("Vary", "Accept-Language")
	return texts
}

func (s *Server) showQR(w http.ResponseWriter, r *http.Request, _ *call) *web.Problem {
	s.pages.qr.Serve(w, r)
	return nil
}

func (s *Server) showOpenAPI(w http.ResponseWriter, r *http.Request, _ *call) *web.Problem {
	file(w, r, ".yaml", openAPI)
	return nil
}

func (s *Server) showAsset(w http.ResponseWriter, r *http.Request, _ *call) *web.Problem {
	asset, ok := s.pages.Asset(strings.TrimPrefix(r.URL.Path, "/assets/"))
	if !ok {
		return web.NotFound
	}
	asset.Serve(w, r)
	return nil
}

func (s *Server) showApp(w http.ResponseWriter, r *http.Request, _ *call) *web.Problem {
	if !s.pages.app.Serve(w, r, strings.TrimPrefix(r.URL.Path, "/app/")) {
		return web.NotFound
	}
	return nil
}

func (s *Server) showAppTexts(w http.ResponseWriter, r *http.Request, _ *call) *web.Problem {
	d, ok := s.pages.app.Texts(s.speak(w, r).Language())
	if !ok {
		return web.NotFound
	}
	d.Serve(w, r)
	return nil
}

// file answers with octets that the browser may keep as long as they are the same.
func file(w http.ResponseWriter, r *http.Request, ext string, octets []byte) {
	web.NewDocument(ext, octets).Serve(w, r)
}
