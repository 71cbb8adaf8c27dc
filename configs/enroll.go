package configs

import (
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Enroll is the section about enrollment by e-mail.
type Enroll struct {
	Listen          string
	CertificateFile string // "": plain HTTP, behind a proxy
	KeyFile         string
	TrustedProxies  []netip.Prefix
	PublicURL       string
	CodeLifetime    time.Duration
	Policy          string // first_device | anyone | invited
	Contact         string // mailto:, https: or tel: URL, or text of up to 200 characters; "": none
	AppLock         string // offered | off | required
	Mail            Mail
}

// Mail says how mails are sent.
type Mail struct {
	From     string
	SMTP     string
	Username string
	Password Secret
	CAFile   string
}

func readEnroll(o *object) *Enroll {
	e := &Enroll{
		Listen:         o.address("listen", ":8443"),
		TrustedProxies: o.networks("trusted_proxies", o.items("trusted_proxies")),
		PublicURL:      o.required("public_url", "the address that people open: https://otp.example.org"),
		CodeLifetime:   o.duration("code_lifetime", time.Hour, 5*time.Minute, aDay),
		Policy:         o.choice("policy", "first_device", "anyone", "invited"),
		Contact:        strings.TrimSpace(o.text("contact", "")),
		AppLock:        o.choice("app_lock", "offered", "off", "required"),
	}
	e.CertificateFile, e.KeyFile = o.identity("certificate_file", "key_file")
	e.checkEncryption(o)
	e.checkURL(o)
	e.checkContact(o)
	e.PublicURL = strings.TrimRight(e.PublicURL, "/")
	e.Mail = readMail(o.section("mail"))
	o.done()
	return e
}

// checkEncryption refuses codes and seeds in clear text: without a certificate somebody else must do
// TLS, on this machine or as a proxy that is named. Its name is needed in any case, or everybody
// behind it is one source to the rate limits.
func (e *Enroll) checkEncryption(o *object) {
	host, _, err := net.SplitHostPort(e.Listen)
	if o.has("certificate_file") || o.has("key_file") || len(e.TrustedProxies) > 0 || err != nil || loopback(host) {
		return
	}
	o.bad("listen", `give certificate_file and key_file; behind a TLS proxy, name it in trusted_proxies, or listen on "127.0.0.1:8443" for one on this machine`,
		"codes and seeds would travel to %q in clear text", withoutLogin(e.Listen))
}

func (e *Enroll) checkURL(o *object) {
	if e.PublicURL == "" {
		return
	}
	u, err := url.Parse(e.PublicURL)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		o.bad("public_url", "such as https://otp.example.org, without a path", "%q is not the address of a site", withoutLogin(e.PublicURL))
	case u.Scheme == "https":
	case u.Scheme == "http" && loopback(u.Hostname()):
	default:
		o.bad("public_url", "https://; browsers give cryptography and installation to nothing else, localhost apart", "%q is not safe to enroll over", e.PublicURL)
	}
}

// maxContact is how many characters the contact may have: it is one line of a small screen, or two.
const maxContact = 200

// checkContact takes what the app can show, and makes a link of nothing but the three kinds that do
// what they say. A word with a colon behind it and no space is a URL, as whoever wrote it meant one.
func (e *Enroll) checkContact(o *object) {
	if n := utf8.RuneCountInString(e.Contact); n > maxContact {
		o.bad("contact", fmt.Sprintf("%d characters or less; a link can lead to more", maxContact), "it has %d characters", n)
		return
	}
	if strings.ContainsFunc(e.Contact, func(r rune) bool { return !unicode.IsPrint(r) }) {
		o.bad("contact", "one line of text", "a character in it cannot be printed")
		return
	}
	scheme, rest, isURL := strings.Cut(e.Contact, ":")
	if !isURL || strings.HasPrefix(rest, " ") || strings.Contains(scheme, " ") {
		return
	}
	shown := e.Contact
	if strings.HasPrefix(rest, "//") { // and no mail address
		shown = withoutLogin(shown)
	}
	switch {
	case scheme == "mailto" && isMailURL(rest), scheme == "https" && isPageURL(e.Contact), scheme == "tel" && phoneNumber.MatchString(rest):
	case scheme == "mailto" || scheme == "https" || scheme == "tel":
		o.bad("contact", "such as mailto:help@example.org, https://help.example.org/otp or tel:+351-210-000-000", "%q is not a %s: link", shown, scheme)
	default:
		o.bad("contact", "mailto:, https:// or tel:; in text, write a space behind the colon", "%q would be a link that the app does not make", shown)
	}
}

// phoneNumber is one with its separators (RFC 3966 section 3), local or global.
var phoneNumber = regexp.MustCompile(`^\+?[().-]*[0-9][0-9().-]*$`)

// isMailURL checks what is behind mailto: (RFC 6068): one address, and a subject or the like.
func isMailURL(rest string) bool {
	to, query, _ := strings.Cut(rest, "?")
	to, err := url.PathUnescape(to)
	if err != nil || strings.ContainsAny(rest, " <>\"") {
		return false
	}
	a, err := mail.ParseAddress(to)
	_, queryErr := url.ParseQuery(query)
	return err == nil && a.Name == "" && queryErr == nil
}

// isPageURL checks a URL of a page.
func isPageURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Hostname() != "" && u.User == nil && !strings.ContainsAny(text, " <>\"")
}

func readMail(o *object) Mail {
	m := Mail{
		From:     o.required("from", `who the mails are from: "OTP <otp@example.org>"`),
		SMTP:     o.required("smtp", "the server that takes mails: smtp://mail.example.org:587"),
		Username: o.text("username", ""),
		Password: o.secret("password"),
		CAFile:   o.authorities("ca_file"),
	}
	if m.From != "" {
		if _, err := mail.ParseAddress(m.From); err != nil {
			o.bad("from", `such as "OTP <otp@example.org>"`, "%q is not a mail address", m.From)
		}
	}
	if m.SMTP != "" {
		u, err := url.Parse(m.SMTP)
		switch {
		case err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "":
			o.bad("smtp", "such as smtp://mail.example.org:587; username and password are keys of their own", "it is not the URL of a server")
		case u.Scheme != "smtp" && u.Scheme != "smtps" && u.Scheme != "smtp+insecure":
			o.bad("smtp", "smtp:// (STARTTLS), smtps:// (TLS), or smtp+insecure:// if this network may read enrollment codes", "%q is not a scheme of mail servers", u.Scheme)
		}
	}
	if (m.Username == "") != (m.Password == "") && !(o.has("password") || o.has("password_file")) {
		o.bad("username", "give password_file too", "it has no password")
	}
	if m.Username == "" && m.Password != "" {
		o.bad("password", "say whose password it is", "there is no username")
	}
	o.done()
	return m
}
