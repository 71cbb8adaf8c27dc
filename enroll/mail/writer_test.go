package mail_test

import (
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"otpgate/enroll/catalogue"
	"otpgate/enroll/mail"
)

func writer(t *testing.T) (*mail.Writer, *catalogue.Catalogue) {
	t.Helper()
	w, err := mail.NewWriter("Example & Sons", "https://otp.example.org/app/")
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	return w, c
}

const openURL = "https://otp.example.org/app/#code=ABCD-EFGH&email=a%2Bb%40example.org&needs=device"

// all writes every kind of mail.
func all(t *testing.T, w *mail.Writer, texts *catalogue.Texts) []mail.Message {
	t.Helper()
	var messages []mail.Message
	add := func(m mail.Message, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, m)
	}
	for _, needs := range []mail.Needs{mail.NeedsNothing, mail.NeedsDevice, mail.NeedsInvitation} {
		add(w.Code(texts, mail.CodeLetter{Name: "O'Brien <b>", Code: "ABCD-EFGH", Lifetime: time.Hour, Needs: needs}))
	}
	add(w.Code(texts, mail.CodeLetter{Name: "A", Code: "ABCD-EFGH", Lifetime: 15 * time.Minute}))
	add(w.Enrolled(texts, mail.EnrolledLetter{Name: "A", Device: `<script>alert("x")</script>`, At: stopped(), RevokeURL: "https://otp.example.org/revoke#t0ken", ValidFor: 30 * 24 * time.Hour}))
	add(w.Full(texts, "A"))
	add(w.Code(texts, mail.CodeLetter{
		Name: "A", Code: "ABCD-EFGH", Lifetime: time.Hour, Needs: mail.NeedsDevice, OpenURL: openURL,
		Devices: []mail.Known{{Label: "<b>Old & grey</b>", Since: stopped(), LastUsed: stopped().AddDate(0, 1, 0)}, {Label: "Tablet", Since: stopped()}},
	}))
	add(w.Enrolled(texts, mail.EnrolledLetter{
		Name: "A", Device: "New", At: stopped(), RevokeURL: "https://otp.example.org/revoke#t0ken", ValidFor: 30 * 24 * time.Hour,
		Retired: []string{"<b>Old</b>", "Older"}, Kept: []string{"Tablet"},
	}))
	for devices := range 3 {
		add(w.Link(texts, mail.LinkLetter{Name: "A", URL: "https://otp.example.org/devices#t0ken", ValidFor: 15 * time.Minute, Devices: devices}))
	}
	for _, by := range []mail.RemovedBy{mail.ByLink, mail.BySession, mail.ByDevice, mail.ByNewDevice} {
		add(w.Removed(texts, mail.RemovedLetter{Name: "A", Device: "<b>Lost</b>", At: stopped(), By: by}))
	}
	return messages
}

func TestMailsInEveryLanguage(t *testing.T) {
	w, c := writer(t)
	for _, language := range c.Languages() {
		texts, _ := c.In(language)
		for i, m := range all(t, w, texts) {
			for what, text := range map[string]string{"subject": m.Subject, "text": m.Text, "html": m.HTML} {
				if text == "" || regexp.MustCompile(`mail\.[a-z]+\.|<no value>|\{[a-z]+\}`).MatchString(strings.ReplaceAll(text, "mail.html", "")) {
					t.Errorf("%s %d: %s has a hole:\n%s", language, i, what, text)
				}
			}
			if strings.Contains(m.HTML, "<script") || strings.Contains(m.HTML, "<b>") || strings.Contains(m.HTML, "ZgotmplZ") {
				t.Errorf("%s %d: HTML from elsewhere:\n%s", language, i, m.HTML)
			}
			if regexp.MustCompile(`(?i)src=|<link|@import|url\(|<img|<iframe`).MatchString(m.HTML) {
				t.Errorf("%s %d: it loads something", language, i)
			}
			if !strings.Contains(m.HTML, `<html lang="`+language+`">`) || !strings.Contains(m.Subject, "Example & Sons") {
				t.Errorf("%s %d: language or issuer", language, i)
			}
			// Both alternatives say the same.
			for _, line := range strings.Split(m.Text, "\n") {
				line = strings.TrimPrefix(strings.TrimSuffix(strings.TrimSpace(line), ":"), "- ")
				if line != "" && line != "--" && line != openURL && !strings.Contains(html.UnescapeString(m.HTML), line) {
					t.Errorf("%s %d: the HTML does not say %q", language, i, line)
				}
			}
		}
	}
}

func TestMailsSayWhatTheyMust(t *testing.T) {
	w, c := writer(t)
	english, _ := c.In("en")
	m := all(t, w, english)
	for i, want := range map[int]string{
		0: "for one hour", 1: "code that your present phone shows", 2: "asks for an invitation", 3: "for 15 minutes",
		4: "https://otp.example.org/revoke#t0ken", 5: "too many devices",
		6: "\n  - Tablet: set up on 2027-01-15, not used yet\n", 7: "no longer accepted:\n  - <b>Old</b>\n  - Older\n",
		8: "you have no device", 9: "you have one device", 10: "you have 2 devices", 11: "with the link in the mail",
		12: "page “My devices”", 13: "in the app on that device", 14: "a new device took its place",
	} {
		if !strings.Contains(m[i].Text+m[i].HTML, want) {
			t.Errorf("%d does not say %q:\n%s", i, want, m[i].Text)
		}
	}
	if strings.Contains(m[0].Text, "invitation") {
		t.Error("the simplest mail asks for more")
	}
	if !strings.Contains(m[0].Text, "\nhttps://otp.example.org/app/\n") || !strings.Contains(m[6].Text, "\n"+openURL+"\n") ||
		!strings.Contains(html.UnescapeString(m[6].HTML), `href="`+openURL+`"`) {
		t.Errorf("where the app is:\n%s\n%s", m[6].Text, m[6].HTML)
	}
	if !strings.Contains(m[6].Text, "  - <b>Old & grey</b>: set up on 2027-01-15, last used on 2027-02-15\n") || !strings.Contains(m[7].Text, "still accepted:\n  - Tablet\n") {
		t.Errorf("which devices there are:\n%s\n%s", m[6].Text, m[7].Text)
	}
	if strings.Contains(m[4].Text, "accepted:") || strings.Contains(m[0].Text, "already:") {
		t.Error("a list of nothing")
	}
	if !strings.Contains(m[8].Text, "https://otp.example.org/devices#t0ken") || !strings.Contains(m[8].Text, "15 minutes") || !strings.Contains(m[11].Text, "“<b>Lost</b>”") {
		t.Errorf("link or name:\n%s\n%s", m[8].Text, m[11].Text)
	}
	if _, err := w.Removed(english, mail.RemovedLetter{By: mail.ByNewDevice + 1}); err == nil {
		t.Error("a way that there is not")
	}
	if !strings.Contains(m[4].HTML, `href="https://otp.example.org/revoke#t0ken"`) {
		t.Error("the link is not one")
	}
}

// TestNamesKeepTheirPlace: what people call themselves and their phones does not shape the mail.
func TestNamesKeepTheirPlace(t *testing.T) {
	w, c := writer(t)
	english, _ := c.In("en")
	m, err := w.Enrolled(english, mail.EnrolledLetter{
		Name: "A\r\n\r\nYour code is 123", Device: "x\u2028y\u202ez\u0085\u009b2J\u2066\n" + strings.Repeat("z", 500), At: stopped(), RevokeURL: "https://otp.example.org/revoke#t", ValidFor: time.Hour,
	})
	long := strings.Repeat("y", 500)
	for what, write := range map[string]func() (mail.Message, error){
		"known": func() (mail.Message, error) {
			return w.Code(english, mail.CodeLetter{Devices: []mail.Known{{Label: "x\n" + long}}})
		},
		"retired": func() (mail.Message, error) {
			return w.Enrolled(english, mail.EnrolledLetter{Retired: []string{"x\n" + long}})
		},
		"kept": func() (mail.Message, error) {
			return w.Enrolled(english, mail.EnrolledLetter{Kept: []string{"x\n" + long}})
		},
		"removed": func() (mail.Message, error) { return w.Removed(english, mail.RemovedLetter{Device: "x\n" + long}) },
	} {
		if m, err := write(); err != nil || strings.Contains(m.Text, "\ny") || strings.Contains(m.Text, strings.Repeat("y", 100)) {
			t.Errorf("%s: %v:\n%s", what, err, m.Text)
		}
	}
	if err != nil || strings.Contains(m.Text, "\nYour code") || strings.ContainsAny(m.Text, "\u2028\u202e\u0085\u009b\u2066") || strings.Contains(m.Text, strings.Repeat("z", 100)) {
		t.Errorf("%v:\n%s", err, m.Text)
	}
}

func TestBackoffGrowsAndEnds(t *testing.T) {
	last := time.Duration(0)
	for tries := 1; tries < 100; tries++ {
		d := mail.Backoff(tries)
		if d < last || d <= 0 || d > 5*time.Minute {
			t.Fatalf("after %d tries: %v, before: %v", tries, d, last)
		}
		last = d
	}
	if mail.Backoff(1) != 5*time.Second || last != 5*time.Minute {
		t.Errorf("from %v to %v", mail.Backoff(1), last)
	}
}
