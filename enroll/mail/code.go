package mail

import (
	"time"

	"otpgate/enroll/catalogue"
)

// Needs is what an enrollment wants besides the code in the mail.
type Needs int

// The needs.
const (
	NeedsNothing    Needs = iota
	NeedsDevice           // a code of a device that the account has, or an invitation
	NeedsInvitation       // an invitation
)

// A Known device is one that the account has already.
type Known struct {
	Label           string
	Since, LastUsed time.Time // LastUsed zero: never
}

// A CodeLetter is a mail with an enrollment code.
type CodeLetter struct {
	Name     string // of the person
	Code     string // as it is typed
	Lifetime time.Duration
	Needs    Needs
	OpenURL  string  // opens the app with the code filled in; "": the app
	Devices  []Known // that the account has
}

// Code writes the mail with an enrollment code.
func (w *Writer) Code(t *catalogue.Texts, c CodeLetter) (Message, error) {
	l := w.letter(t, "mail.code", c.Name)
	l.Intro = t.Text("mail.code.intro", "issuer", w.issuer)
	l.Code = c.Code
	if c.Lifetime == time.Hour {
		l.say(t.Text("mail.code.valid_hour"))
	} else {
		l.say(t.Text("mail.code.valid_minutes", "minutes", minutes(c.Lifetime)))
	}
	switch c.Needs {
	case NeedsDevice:
		l.say(t.Text("mail.code.needs_device"))
	case NeedsInvitation:
		l.say(t.Text("mail.code.needs_invitation"))
	}
	l.list(t.Text("mail.code.devices"), known(t, c.Devices))
	l.ActionLabel, l.ActionURL = t.Text("mail.code.open"), w.app
	if c.OpenURL != "" {
		l.say(t.Text("mail.code.open_fills"))
		l.ActionURL = c.OpenURL
	}
	l.Fine = t.Text("mail.code.ignore")
	return w.render(l)
}

// known is a line for each device.
func known(t *catalogue.Texts, devices []Known) []string {
	var lines []string
	for _, d := range devices {
		key, used := "mail.code.device_used", day(d.LastUsed)
		if d.LastUsed.IsZero() {
			key, used = "mail.code.device_unused", ""
		}
		lines = append(lines, t.Text(key, "device", oneLine(d.Label), "since", day(d.Since), "used", used))
	}
	return lines
}
