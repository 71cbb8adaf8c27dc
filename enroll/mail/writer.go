package mail

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"strconv"
	"strings"
	"text/template"
	"time"
	"unicode"

	"otpgate/enroll/catalogue"
)

//go:embed templates/*
var templates embed.FS

// A Writer writes mails. It is safe for concurrent use.
type Writer struct {
	issuer, app string
	text        *template.Template
	html        *htmltemplate.Template
}

// NewWriter returns a Writer for mails of an issuer, whose app is at a URL.
func NewWriter(issuer, appURL string) (*Writer, error) {
	w := &Writer{issuer: oneLine(issuer), app: appURL}
	if w.issuer == "" || appURL == "" {
		return nil, errors.New("mail: issuer and app URL must be given")
	}
	var err error
	if w.text, err = template.ParseFS(templates, "templates/mail.txt"); err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	if w.html, err = htmltemplate.ParseFS(templates, "templates/mail.html"); err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return w, nil
}

// letter is what the templates are filled with.
type letter struct {
	Language, Subject, Heading, Greeting, Intro string
	Code                                        string // shown large
	Notes                                       []note
	ActionLabel, ActionURL                      string
	Fine                                        string // small print
	Footer                                      string
}

// A note is a paragraph, and what it introduces if that is a list.
type note struct {
	Text  string
	Items []string
}

// say adds a paragraph.
func (l *letter) say(text string) { l.Notes = append(l.Notes, note{Text: text}) }

// list adds a paragraph with a list after it, and nothing for an empty list.
func (l *letter) list(text string, items []string) {
	if len(items) > 0 {
		l.Notes = append(l.Notes, note{text, items})
	}
}

// letter begins a letter with what all have.
func (w *Writer) letter(t *catalogue.Texts, kind, name string) letter {
	return letter{
		Language: t.Language(),
		Subject:  t.Text(kind+".subject", "issuer", w.issuer),
		Heading:  t.Text(kind + ".heading"),
		Greeting: t.Text(kind+".greeting", "name", oneLine(name)),
		Footer:   t.Text("mail.footer", "issuer", w.issuer),
	}
}

func (w *Writer) render(l letter) (Message, error) {
	var text, html bytes.Buffer
	if err := w.text.Execute(&text, l); err != nil {
		return Message{}, fmt.Errorf("mail: %w", err)
	}
	if err := w.html.Execute(&html, l); err != nil {
		return Message{}, fmt.Errorf("mail: %w", err)
	}
	return Message{Subject: l.Subject, Text: text.String(), HTML: html.String()}, nil
}

// moment is a time as a mail names it.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// day is a date as a mail names it.
func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

// minutes is a lifetime as a mail names it.
func minutes(d time.Duration) string { return strconv.Itoa(int(d.Minutes())) }

// oneLine keeps what comes from elsewhere (names, labels) from shaping the mail: no control
// characters, nothing that changes the direction of what follows, and not longer than a line.
func oneLine(s string) string {
	const most = 100
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == 0x2028 || r == 0x2029 || unicode.Is(unicode.Bidi_Control, r)
	}), " ")
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most-1]) + "…"
	}
	return s
}
