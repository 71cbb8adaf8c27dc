package configs

import (
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"strings"
	"time"
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
	}
	e.CertificateFile, e.KeyFile = o.identity("certificate_file", "key_file")
	e.checkEncryption(o)
	e.checkURL(o)
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
		"codes and seeds would travel to %q in clear text", e.Listen)
}

func (e *Enroll) checkURL(o *object) {
	if e.PublicURL == "" {
		return
	}
	u, err := url.Parse(e.PublicURL)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		o.bad("public_url", "such as https://otp.example.org, without a path", "%q is not the address of a site", e.PublicURL)
	case u.Scheme == "https":
	case u.Scheme == "http" && loopback(u.Hostname()):
	default:
		o.bad("public_url", "https://; browsers give cryptography and installation to nothing else, localhost apart", "%q is not safe to enroll over", e.PublicURL)
	}
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
