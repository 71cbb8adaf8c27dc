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

// Needs is what an enrollment wants besides the code in the mail.
type Needs int

// The needs.
const (
	NeedsNothing    Needs = iota
	NeedsDevice           // a code of a device that the account has, or an invitation
	NeedsInvitation       // an invitation
)

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
	Code                                        string   // shown large
	Notes                                       []string // a paragraph each
	ActionLabel, ActionURL                      string
	Fine                                        string // small print
	Footer                                      string
}

// A CodeLetter is a mail with an enrollment code.
type CodeLetter struct {
	Name     string // of the person
	Code     string // as it is typed
	Lifetime time.Duration
	Needs    Needs
}

// Code writes the mail with an enrollment code.
func (w *Writer) Code(t *catalogue.Texts, c CodeLetter) (Message, error) {
	l := w.letter(t, "mail.code", c.Name)
	l.Intro = t.Text("mail.code.intro", "issuer", w.issuer)
	l.Code = c.Code
	if c.Lifetime == time.Hour {
		l.Notes = append(l.Notes, t.Text("mail.code.valid_hour"))
	} else {
		l.Notes = append(l.Notes, t.Text("mail.code.valid_minutes", "minutes", strconv.Itoa(int(c.Lifetime.Minutes()))))
	}
	switch c.Needs {
	case NeedsDevice:
		l.Notes = append(l.Notes, t.Text("mail.code.needs_device"))
	case NeedsInvitation:
		l.Notes = append(l.Notes, t.Text("mail.code.needs_invitation"))
	}
	l.ActionLabel, l.ActionURL = t.Text("mail.code.open"), w.app
	l.Fine = t.Text("mail.code.ignore")
	return w.render(l)
}

// An EnrolledLetter is a mail about a new device.
type EnrolledLetter struct {
	Name      string // of the person
	Device    string // its label
	At        time.Time
	RevokeURL string
	ValidFor  time.Duration // the URL
}

// Enrolled writes the mail that says that there is a new device.
func (w *Writer) Enrolled(t *catalogue.Texts, e EnrolledLetter) (Message, error) {
	l := w.letter(t, "mail.enrolled", e.Name)
	l.Intro = t.Text("mail.enrolled.intro", "issuer", w.issuer, "device", oneLine(e.Device),
		"time", e.At.UTC().Format("2006-01-02 15:04 UTC"))
	days := strconv.Itoa(int(e.ValidFor / (24 * time.Hour)))
	l.Notes = []string{t.Text("mail.enrolled.was_you"), t.Text("mail.enrolled.not_you", "days", days)}
	l.ActionLabel, l.ActionURL = t.Text("mail.enrolled.open"), e.RevokeURL
	return w.render(l)
}

// Full writes the mail that says that a device was not added, for there are too many.
func (w *Writer) Full(t *catalogue.Texts, name string) (Message, error) {
	l := w.letter(t, "mail.full", name)
	l.Intro = t.Text("mail.full.intro", "issuer", w.issuer)
	l.Notes = []string{t.Text("mail.full.next")}
	return w.render(l)
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
