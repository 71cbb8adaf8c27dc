package enroll_test

import (
	"context"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"otpgate/enroll/browsertest"
	"otpgate/otp"
)

// visited is a world whose pages a browser looks at.
type visited struct {
	*world
	*browsertest.Browser
	url string
}

func visit(t *testing.T) *visited {
	t.Helper()
	v := &visited{world: start(t, nil), Browser: browsertest.Start(t, browsertest.Options{Language: "en-GB"})}
	s := httptest.NewServer(v.server.Handler())
	t.Cleanup(s.Close)
	v.url = s.URL
	return v
}

// must takes what the steps of a browser return.
func (v *visited) must(steps ...error) {
	v.t.Helper()
	for _, err := range steps {
		if err != nil {
			v.t.Fatal(err)
		}
	}
}

// link is where the newest mail with a link to the devices leads.
func (v *visited) link(after int) string {
	v.t.Helper()
	found := ""
	eventually(v.t, "a mail with a link", func() bool {
		for _, m := range v.smtp.Mails() {
			if at := regexp.MustCompile(`https://otp\.example\.org(/devices#\S+)`).FindStringSubmatch(m.Text); at != nil && m.Number > after {
				found = v.url + at[1]
				return true
			}
		}
		return false
	})
	return found
}

func (v *visited) last() int {
	all := v.smtp.Mails()
	return all[len(all)-1].Number
}

func (v *visited) labels() string {
	v.t.Helper()
	devices, err := v.devices.List(context.Background(), alice)
	if err != nil {
		v.t.Fatal(err)
	}
	slices.SortFunc(devices, func(a, b otp.Device) int { return a.Created.Compare(b.Created) })
	var all []string
	for _, d := range devices {
		all = append(all, d.Label)
	}
	return strings.Join(all, ", ")
}

// TestDevicesPage is what a person does with a lost phone, from the form to the mail that tells of it.
func TestDevicesPage(t *testing.T) {
	v := visit(t)
	old, _ := v.register("alice@corp.example", "old <b>phone</b>", nil)
	v.clock.advance(time.Minute)
	v.register("alice@corp.example", "tablet", map[string]string{"confirmation": old.code(v.clock.now())})
	before := v.last()
	v.must(
		v.Open(v.url+"/devices"), v.Fill("#email-input", "alice"), v.Press("#ask-form button"), v.See("#message", "in full"),
		v.Fill("#email-input", "alice@corp.example"), v.Press("#ask-form button"), v.See("#sent-text", "If alice@corp.example is known here"),
	)
	link := v.link(before)
	// Opened, as scanners of mail do, and opened again: nothing is spent before the button is pressed.
	v.must(v.Open(link), v.See("#open-button", "Show my devices"), v.Await(`location.hash === ""`), v.Reload(), v.See("#ask", "only with a link"), v.Open(link))
	v.must(v.Press("#open-button"), v.See("#owner", "alice"), v.See("#countdown", "Closes in 1"), v.Await(`document.querySelectorAll("#devices > li").length === 2`),
		v.See("#devices > li:first-child h2", "old <b>phone</b>"), v.See("#devices .used", "2027"), v.See("#devices > li:last-child .used", "Not used yet"), v.See("#devices .since", "15 Jan 2027"))

	v.must(v.Press("#devices > li:first-child .rename"), v.Fill("#devices > li:first-child .renaming input", "lost phone"), v.Key("Enter"), v.See("#message", "“lost phone”"))
	if got := v.labels(); got != "lost phone, tablet" {
		t.Errorf("renamed: %s", got)
	}
	// Another language, in the middle of the session.
	v.must(v.Press(`.languages a[lang="pt"]`), v.See("h1", "Os meus dispositivos"), v.See("#message", "chama-se agora “lost phone”"), v.See("#countdown", "Fecha em 1"),
		v.See("#devices > li:first-child .remove", "Remover"), v.Await(`document.documentElement.lang === "pt" && location.search === "?lang=pt"`))
	// Not without being sure.
	v.must(v.Press("#devices > li:first-child .remove"), v.See("#devices > li:first-child .sure", "Tem a certeza?"), v.Press("#devices > li:first-child .removing .cancel"))
	if got := v.labels(); got != "lost phone, tablet" {
		t.Errorf("removed before one was sure: %s", got)
	}
	v.must(v.Press("#devices > li:first-child .remove"), v.Press("#devices > li:first-child .removing .danger"), v.See("#message", "“lost phone” foi removido"), v.Gone("#devices > li:nth-child(2)"))
	if got := v.labels(); got != "tablet" {
		t.Errorf("left: %s", got)
	}
	eventually(t, "a mail about it, in the language of the page", func() bool {
		all := v.smtp.Mails()
		return strings.Contains(all[len(all)-1].Text, "“lost phone” foi removido")
	})
	// The link was good once.
	v.must(v.Open(link), v.Press("#open-button"), v.See("#message", "not valid"), v.See("#ask", "only with a link"))
	if faults := v.Faults(); len(faults) > 0 {
		t.Error(strings.Join(faults, "\n"))
	}
}

// TestDevicesPageEnds: by the page's clock, and by the server's word before it.
func TestDevicesPageEnds(t *testing.T) {
	v := visit(t)
	p, _ := v.register("alice@corp.example", "phone", nil)
	ask := func() string {
		before := v.last()
		v.post("/v1/links", map[string]string{"email": "alice@corp.example"})
		return v.link(before)
	}
	v.must(v.Open(ask()), v.Press("#open-button"), v.See("#owner", "alice"), v.JumpClock(14*time.Minute+10*time.Second), v.See("#message", "one minute"),
		v.JumpClock(time.Minute), v.See("#message", "15 minutes are over"), v.See("#ask", "Send me a link"), v.Gone("#devices > li"))
	// A second link in the same window; then the device is gone, and then the session.
	second := ask()
	v.must(v.Run(`void (location.hash = "`+second[strings.Index(second, "#"):]+`")`, nil), v.Press("#open-button"), v.See("#devices h2", "phone"))
	if err := v.devices.Remove(context.Background(), p.account, p.device); err != nil {
		t.Fatal(err)
	}
	v.must(v.Press("#devices .rename"), v.Fill("#devices .renaming input", "x"), v.Press("#devices .renaming .button"), v.See("#message", "“phone” was gone already"), v.See("#none", "no device"))
	v.register("alice@corp.example", "phone", nil)
	v.must(v.Open(ask()), v.Press("#open-button"), v.See("#devices h2", "phone"))
	v.clock.advance(16 * time.Minute)
	v.must(v.Press("#devices .remove"), v.Press("#devices .removing .danger"), v.See("#message", "15 minutes are over"))
	v.clock.advance(-16 * time.Minute)

	v.must(v.Open(ask()), v.See("#open-button", ""), v.Offline(true), v.Press("#open-button"), v.See("#message", "no connection"),
		v.Offline(false), v.Press("#open-button"), v.See("#devices h2", "phone"))
}

// TestPagesExplainPlainHTTP: opened where browsers give no secure context.
func TestPagesExplainPlainHTTP(t *testing.T) {
	v := visit(t)
	address := strings.Replace(v.url, "127.0.0.1", "otp.test", 1)
	for page, hidden := range map[string]string{"/": ".get", "/devices#token": "#open", "/revoke#token": "#revoke"} {
		v.must(v.Open(address+page), v.See("[data-insecure]", "not secure"), v.See("[data-insecure] a", "https://otp.example.org/"), v.Gone(hidden))
	}
	for _, fault := range v.Faults() {
		if !strings.Contains(fault, "Cross-Origin-Opener-Policy header has been ignored") { // as it is there
			t.Error(fault)
		}
	}
}
