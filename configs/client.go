package configs

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Client is one gateway, or several that are treated alike.
type Client struct {
	Name             string
	Networks         []netip.Prefix // none: it comes over RadSec only
	CertificateNames []string       // DNS names in its certificate, in lower case; none: it comes over UDP only
	Secret           Secret         // "": it has no networks
	PreviousSecret   Secret         // "": none is being replaced
	Profile          string         // "": none

	MessageAuthenticator     string // required | learn | optional | omit
	AcceptUnsignedProxyState bool
	ReplyOnly                []int // numbers of attributes; none: all

	Login              string // code | password+code | password-then-code | password
	PasswordOnlyGroups []string
	MPPE               string // never | inside_tls_or_ike
	Charset            string // auto | utf-8 | iso-8859-1
	Challenge          string // understood | refused
	ChallengePrompt    string
	Timeout            time.Duration // until the gateway sends again

	Directories []string
	AllowGroups []string
	DenyGroups  []string
	Hours       Hours

	FailoverGrace time.Duration // 0: off
	SharedCode    SharedCode

	ReplyGroups ReplyGroups
	Reply       []ReplyRule

	// Origins says where each setting comes from, by its key; see Explain.
	Origins map[string]Origin
}

// SharedCode lets one code in several times. Zero: it does not.
type SharedCode struct {
	Times  int
	Within time.Duration
}

// String is what a code is good for, in words.
func (s SharedCode) String() string {
	if s.Times == 0 {
		return "off"
	}
	return fmt.Sprintf("%d logins within %s", s.Times, short(s.Within))
}

// minRadiusSecret is the shortest secret that is let through. RFC 2865 section 3 wants 16 octets;
// what is shorter than 8 can be tried out from one captured packet within hours.
const minRadiusSecret = 8

const defaultPrompt = "Enter the code of your phone: "

func readClient(o *object) Client {
	c := Client{Name: o.required("name", "a word for logs and metrics, such as vpn"), Origins: map[string]Origin{}}
	c.readSender(o)
	c.Profile = o.oneOf("profile", "", Profiles()...)
	m := manners{profile: c.Profile, origins: c.Origins}

	c.MessageAuthenticator = o.oneOf("message_authenticator", m.of(o, "message_authenticator", "required"), "required", "learn", "optional", "omit")
	c.AcceptUnsignedProxyState = o.yes("accept_unsigned_proxy_state", false)
	c.ReplyOnly = o.attributeNumbers("reply_only", m.of(o, "reply_only", ""))
	c.Login = o.choice("login", "code", "password+code", "password-then-code", "password")
	c.PasswordOnlyGroups = o.texts("password_only_groups")
	c.MPPE = o.choice("mppe", "never", "inside_tls_or_ike")
	c.Charset = o.oneOf("charset", m.of(o, "charset", "auto"), "auto", "utf-8", "iso-8859-1")
	c.Challenge = o.oneOf("challenge", m.of(o, "challenge", "understood"), "understood", "refused")
	c.ChallengePrompt = o.prompt("challenge_prompt", defaultPrompt)
	c.Timeout = o.duration("timeout", m.time(o, "timeout", 3*time.Second), time.Second, time.Minute)

	c.Directories = o.texts("directories")
	c.AllowGroups = o.texts("allow_groups")
	c.DenyGroups = o.texts("deny_groups")
	if section := o.section("hours"); o.has("hours") {
		c.Hours = readHours(section)
	}
	c.FailoverGrace = o.duration("failover_grace", 0, 0, 30*time.Second)
	if section := o.section("shared_code"); o.has("shared_code") {
		c.SharedCode = readSharedCode(section)
	}
	c.ReplyGroups = readReplyGroups(o.section("reply_groups"), m)
	o.each("reply", func(rule *object) { c.Reply = append(c.Reply, readReplyRule(rule)) })
	c.checkTogether(o)
	for _, s := range c.Explain() {
		if _, known := m.origins[s.Key]; !known {
			m.given(o, s.Key)
		}
	}
	o.done()
	return c
}

// readSender reads what a packet is known by.
func (c *Client) readSender(o *object) {
	overTLS := o.has("certificate_names")
	overUDP := o.has("networks") || !overTLS
	if overUDP {
		c.Networks = o.networks("networks", o.some("networks", "where its packets come from: [10.1.0.0/24]; over RadSec, certificate_names instead"))
	}
	if overTLS {
		c.CertificateNames = o.certificateNames("certificate_names")
	}
	o.known = append(o.known, "networks", "certificate_names")
	given := o.has("secret") || o.has("secret_file")
	c.Secret, c.PreviousSecret = o.radiusSecret("secret"), o.radiusSecret("previous_secret")
	switch {
	case overUDP && !given:
		o.bad("secret", "the same as on the gateway, 16 random characters or more", "it is missing; so is secret_file")
	case !overUDP && given:
		o.bad(o.spelled("secret"), "remove it, or add networks: over TLS the certificate says who it is", "it has no use without networks")
	}
	if (o.has("previous_secret") || o.has("previous_secret_file")) && !given {
		o.bad(o.spelled("previous_secret"), "it is accepted beside secret, while gateways are changed over", "there is no secret that replaces it")
	}
}

// radiusSecret is a secret that is long enough not to be tried out.
func (o *object) radiusSecret(name string) Secret {
	s := o.secret(name)
	if n := len(s); n > 0 && n < minRadiusSecret {
		o.bad(o.spelled(name), "16 random characters or more (RFC 2865 section 3)", "a secret of %d octets can be guessed", n)
	}
	return s
}

// spelled is the key that a secret is under: its own, or the one of its file.
func (o *object) spelled(name string) string {
	if o.has(name + "_file") {
		return name + "_file"
	}
	return name
}

// checkTogether finds settings that do not go together.
func (c *Client) checkTogether(o *object) {
	if c.AcceptUnsignedProxyState && c.MessageAuthenticator == "required" {
		o.bad("accept_unsigned_proxy_state", "learn, optional or omit as message_authenticator, or false",
			"message_authenticator: required lets in nothing without it")
	}
	if c.MPPE != "never" && c.Login != "code" {
		o.bad("mppe", "keys come from MS-CHAPv2, which needs login: code", "login: %s has no keys to give", c.Login)
	}
	if c.Login == "password" {
		for _, name := range []string{"failover_grace", "shared_code"} {
			if name == "failover_grace" && c.FailoverGrace > 0 || name == "shared_code" && o.has(name) {
				o.bad(name, "remove it", "with login: password there is no code that could be used again")
			}
		}
		if len(c.PasswordOnlyGroups) > 0 {
			o.bad("password_only_groups", "remove it, or ask the others for a code: login: code", "with login: password everybody logs in without a code")
		}
	}
	c.checkReplyOnly(o)
	for i, group := range c.DenyGroups {
		if slices.ContainsFunc(c.AllowGroups, func(allowed string) bool { return fold(allowed) == fold(group) }) {
			o.r.problem(o.r.at(o.itemKey("deny_groups", i)), o.itemKey("deny_groups", i), "keep it in one of the two; who is in both is denied", "%q is in allow_groups too", group)
		}
	}
}

// checkReplyOnly finds attributes that the login needs and the client is not to get.
func (c *Client) checkReplyOnly(o *object) {
	if c.Login == "password-then-code" && (c.leavesOut(18) || c.leavesOut(24)) {
		o.bad("reply_only", "add 18 and 24, or ask for both at once: login: password+code", "a challenge needs Reply-Message (18) and State (24)")
	}
	if c.MPPE != "never" && c.leavesOut(26) {
		o.bad("reply_only", "add 26", "MPPE keys are vendor attributes (26)")
	}
}

// itemKey is the key of one item of a list.
func (o *object) itemKey(name string, i int) string {
	return o.path(name) + "[" + strconv.Itoa(i) + "]"
}

// maxShared is the most logins that one code is good for: otp.MaxShareTimes, which this package does not know.
const maxShared = 50

func readSharedCode(o *object) SharedCode {
	s := SharedCode{
		Times:  o.number("times", 2, 2, maxShared),
		Within: o.duration("within", time.Second, time.Second, 5*time.Minute),
	}
	for _, need := range []struct{ name, hint string }{
		{"times", fmt.Sprintf("how many logins one code is good for, from 2 to %d", maxShared)},
		{"within", "how long after the first of them, from 1s to 5m"},
	} {
		if !o.has(need.name) {
			o.lacks(need.name, need.hint)
		}
	}
	o.done()
	return s
}

// certificateNames returns DNS names, in lower case because case means nothing there.
func (o *object) certificateNames(name string) []string {
	list := o.some(name, "the DNS names in its certificate: [nas1.corp.example]")
	for i, it := range list {
		if !hostName(it.text) {
			it.bad("a DNS name of its certificate, in full: nas1.corp.example", "%q is not the name of a machine", it.text)
		}
		list[i].text = strings.ToLower(it.text)
	}
	return values(list)
}

// hostName reports whether s is a DNS name as a certificate has it: RFC 1123 section 2.1, without a
// dot at the end, and not an address. A star would be a name for machines that nobody has named.
func hostName(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if len(label) < 1 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, b := range []byte(label) {
			if b != '-' && b != '_' && (b < '0' || b > '9') && (b|0x20 < 'a' || b|0x20 > 'z') {
				return false
			}
		}
	}
	return true
}

// attributeNumbers returns the types of attributes, or the otherwise of a profile: "18 25".
func (o *object) attributeNumbers(name, otherwise string) []int {
	var out []int
	for _, it := range o.items(name, strings.Fields(otherwise)...) {
		n, err := strconv.Atoi(it.text)
		switch {
		case err != nil || n < 1 || n > 255:
			it.bad("a number from 1 to 255: 18 is Reply-Message, 25 Class, 26 those of vendors, 80 Message-Authenticator", "%q is not the number of an attribute", it.text)
		case slices.Contains(out, n):
			it.bad("remove one of them", "%d is there twice", n)
		default:
			out = append(out, n)
		}
	}
	return out
}

// A prompt is one Reply-Message (RFC 2865 section 5.18).
const (
	promptRunes  = 200
	promptOctets = 253
)

// prompt returns what people are asked with; blanks at its end are kept.
func (o *object) prompt(name, otherwise string) string {
	s := o.text(name, otherwise)
	n := utf8.RuneCountInString(s)
	if n < 1 || n > promptRunes || len(s) > promptOctets || strings.TrimSpace(s) == "" || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		o.bad(name, "one line of 1 to 200 printable characters, and not more than 253 octets", "it is no prompt")
		return otherwise
	}
	return s
}
