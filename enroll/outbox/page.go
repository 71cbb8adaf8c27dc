package outbox

import (
	_ "embed"
	"html/template"
	"net/http"
	"slices"
	"strconv"
)

//go:embed page.html
var pageText string

// Page shows what is kept, the newest first, at /outbox/. It is for the demonstration: whoever
// can open it reads everybody's mail.
func (s *Server) Page() http.Handler {
	page := template.Must(template.New("outbox").Parse(pageText))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/outbox/", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /outbox/{$}", func(w http.ResponseWriter, _ *http.Request) {
		mails := s.Mails()
		slices.Reverse(mails)
		secure(w, "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'")
		_ = page.Execute(w, mails)
	})
	mux.HandleFunc("GET /outbox/{number}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.PathValue("number"))
		mails := s.Mails()
		i := slices.IndexFunc(mails, func(m Mail) bool { return m.Number == n })
		if err != nil || i < 0 {
			http.NotFound(w, r)
			return
		}
		// As a mail program shows it: no script, nothing from elsewhere.
		secure(w, "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:")
		_, _ = w.Write([]byte(mails[i].HTML))
	})
	return mux
}

func secure(w http.ResponseWriter, policy string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
}
