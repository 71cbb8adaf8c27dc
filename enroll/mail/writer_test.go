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
				line = strings.TrimSuffix(strings.TrimSpace(line), ":")
				if line != "" && line != "--" && !strings.Contains(html.UnescapeString(m.HTML), line) {
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
	} {
		if !strings.Contains(m[i].Text+m[i].HTML, want) {
			t.Errorf("%d does not say %q:\n%s", i, want, m[i].Text)
		}
	}
	if strings.Contains(m[0].Text, "invitation") {
		t.Error("the simplest mail asks for more")
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
