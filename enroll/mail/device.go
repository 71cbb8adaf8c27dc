package mail

import (
	"fmt"
	"strconv"
	"time"

	"otpgate/enroll/catalogue"
)

// An EnrolledLetter is a mail about a new device.
type EnrolledLetter struct {
	Name      string // of the person
	Device    string // its label
	At        time.Time
	RevokeURL string
	ValidFor  time.Duration // the URL
	Retired   []string      // labels of what it took the place of
	Kept      []string      // labels of what the account has besides
}

// Enrolled writes the mail that says that there is a new device.
func (w *Writer) Enrolled(t *catalogue.Texts, e EnrolledLetter) (Message, error) {
	l := w.letter(t, "mail.enrolled", e.Name)
	l.Intro = t.Text("mail.enrolled.intro", "issuer", w.issuer, "device", oneLine(e.Device), "time", moment(e.At))
	l.list(t.Text("mail.enrolled.retired"), labels(e.Retired))
	l.list(t.Text("mail.enrolled.kept"), labels(e.Kept))
	l.say(t.Text("mail.enrolled.was_you"))
	l.say(t.Text("mail.enrolled.not_you", "days", strconv.Itoa(int(e.ValidFor/(24*time.Hour)))))
	l.ActionLabel, l.ActionURL = t.Text("mail.enrolled.open"), e.RevokeURL
	return w.render(l)
}

// Full writes the mail that says that a device was not added, for there are too many.
func (w *Writer) Full(t *catalogue.Texts, name string) (Message, error) {
	l := w.letter(t, "mail.full", name)
	l.Intro = t.Text("mail.full.intro", "issuer", w.issuer)
	l.say(t.Text("mail.full.next"))
	return w.render(l)
}

// A LinkLetter is a mail with a link to the page of the account's devices.
type LinkLetter struct {
	Name     string // of the person
	URL      string
	ValidFor time.Duration
	Devices  int // how many the account has
}

// Link writes the mail with a link to the page of the account's devices.
func (w *Writer) Link(t *catalogue.Texts, k LinkLetter) (Message, error) {
	l := w.letter(t, "mail.link", k.Name)
	l.Intro = t.Text("mail.link.intro", "issuer", w.issuer)
	switch k.Devices {
	case 0:
		l.say(t.Text("mail.link.none"))
	case 1:
		l.say(t.Text("mail.link.one"))
	default:
		l.say(t.Text("mail.link.several", "count", strconv.Itoa(k.Devices)))
	}
	l.say(t.Text("mail.link.valid", "minutes", minutes(k.ValidFor)))
	l.ActionLabel, l.ActionURL = t.Text("mail.link.open"), k.URL
	l.Fine = t.Text("mail.link.ignore")
	return w.render(l)
}

// RemovedBy is how a device was removed.
type RemovedBy int

// The ways.
const (
	ByLink      RemovedBy = iota // the link in the mail that told of it
	BySession                    // the page that a mailed link opened
	ByDevice                     // the app of that device
	ByNewDevice                  // a new one that took its place
)

// A RemovedLetter is a mail about a device that is no more.
type RemovedLetter struct {
	Name   string // of the person
	Device string // its label
	At     time.Time
	By     RemovedBy
}

// Removed writes the mail that says that a device was removed.
func (w *Writer) Removed(t *catalogue.Texts, r RemovedLetter) (Message, error) {
	how := map[RemovedBy]string{
		ByLink: "mail.removed.by_link", BySession: "mail.removed.by_session", ByDevice: "mail.removed.by_device", ByNewDevice: "mail.removed.by_new_device",
	}[r.By]
	if how == "" {
		return Message{}, fmt.Errorf("mail: no device is removed by %d", r.By)
	}
	l := w.letter(t, "mail.removed", r.Name)
	l.Intro = t.Text("mail.removed.intro", "issuer", w.issuer, "device", oneLine(r.Device), "time", moment(r.At))
	l.say(t.Text(how))
	l.say(t.Text("mail.removed.was_you"))
	l.say(t.Text("mail.removed.not_you"))
	return w.render(l)
}

// labels are the names of devices, as people wrote them, each held to its line.
func labels(names []string) []string {
	var lines []string
	for _, name := range names {
		lines = append(lines, oneLine(name))
	}
	return lines
}
