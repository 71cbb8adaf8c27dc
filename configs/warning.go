package configs

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// leastRejectDelay is how long a refusal has to wait so that what was done about it cannot be told by the time.
const leastRejectDelay = 500 * time.Millisecond

// Warnings is what works and gives something up, or does not what it seems to: each says what, and
// what would be better, in the order of the file. They are for a configuration without problems.
func (c *Config) Warnings() []Problem {
	var found Problems
	if r := c.Radius; r.RadSec != nil && !anyClient(r, func(client Client) bool { return len(client.CertificateNames) > 0 }) {
		found.Add(c.Problem("radius.radsec", "every connection is refused: no client has certificate_names",
			"certificate_names: [nas1.corp.example] at the client whose certificate says so"))
	}
	if d := c.Radius.RejectDelay; d < leastRejectDelay {
		found.Add(c.Problem("radius.reject_delay", fmt.Sprintf("with %s, how long a refusal takes tells which accounts there are, and which have a device", short(d)),
			fmt.Sprintf("%s or more: directory and store rarely take longer, and what does leaves at the next multiple of it", short(leastRejectDelay))))
	}
	for i, client := range c.Radius.Clients {
		warn := func(key, hint, form string, args ...any) {
			found.Add(c.Problem(clientKey(i)+"."+key, fmt.Sprintf(form, args...), hint))
		}
		client.warnOfForgery(warn)
		client.warnOfPasswords(warn)
		client.warnOfReuse(warn)
		client.warnOfGroups(warn, c.Directories)
		if most := c.Radius.RejectDelay + time.Second; client.Timeout < most {
			warn("timeout", "raise it there and here, or lower radius.reject_delay, though not below "+short(leastRejectDelay), "it sends again after %s, and a refusal may take %s", short(client.Timeout), short(most))
		}
		if client.PreviousSecret != "" {
			unproven := ""
			if client.MessageAuthenticator != "required" { // nothing else in such a packet is made with the secret
				unproven = "; CHAP and MS-CHAP without Message-Authenticator do not tell which of the two they were sent with, and are " +
					"always answered with the new one: gateways that have the old one do not take the answer"
			}
			warn(c.spelled(i, "previous_secret"), "finish: give the gateways the new one, see in the metrics that the old one is used no more, and remove it",
				"the secret that is being replaced still opens%s", unproven)
		}
	}
	if e := c.Enroll; e != nil && !e.trusted() {
		found.Add(c.Problem("enroll.public_url", fmt.Sprintf("not every browser trusts %s: one that does not gives its page neither cryptography nor installation, and nobody enrolls there", e.PublicURL),
			"https://, or http://localhost for a trial on this machine"))
	}
	return found.List
}

// trusted reports whether browsers take the address for that of a secure page: https, and of the
// plain ones those that each of them knows as its own machine's.
func (e *Enroll) trusted() bool {
	u, err := url.Parse(e.PublicURL)
	return err == nil && (u.Scheme == "https" || slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname()))
}

// warner takes a warning about a key of a client.
type warner func(key, hint, form string, args ...any)

// spelled is the key that a client's secret is under: its own, or the one of its file.
func (c *Config) spelled(client int, name string) string {
	if _, ok := c.where[clientKey(client)+"."+name+"_file"]; ok {
		return name + "_file"
	}
	return name
}

func anyClient(r Radius, is func(Client) bool) bool {
	for _, c := range r.Clients {
		if is(c) {
			return true
		}
	}
	return false
}

// warnOfForgery is about packets that prove nothing. TLS proves them all.
func (c Client) warnOfForgery(warn warner) {
	if len(c.Networks) == 0 {
		return
	}
	const better = "make the gateway send it and insist on it; then message_authenticator: required. Until then learn, a tunnel, or RadSec"
	key, whose := "message_authenticator", ""
	if c.Origins[key] == FromProfile {
		key = "profile"
		h, _ := habitOf(c.Profile, "message_authenticator")
		whose = fmt.Sprintf("; profile %s: %s", c.Profile, h.why)
	}
	switch {
	case c.MessageAuthenticator == "omit":
		warn(key, "install the fix of the gateway; then message_authenticator: required. Until then a tunnel, or RadSec",
			"who sits between can make an accept of a refusal (CVE-2024-3596)%s", whose)
	case c.MessageAuthenticator == "optional":
		warn(key, better, "a packet without it proves nothing: who can use an address of the client can ask, and who sits between can make an accept of a refusal (CVE-2024-3596)%s", whose)
	case whose != "" && c.MessageAuthenticator == "learn":
		warn(key, better, "message_authenticator: learn takes packets without it until the client is proven to send it (CVE-2024-3596)%s", whose)
	}
	if c.AcceptUnsignedProxyState {
		warn("accept_unsigned_proxy_state", "let the proxy send Message-Authenticator; then remove the key",
			"Proxy-State is room for the octets that a forged reply needs (CVE-2024-3596)")
	}
	if c.leavesOut(80) && c.MessageAuthenticator != "omit" {
		key, whose := "reply_only", ""
		if c.Origins[key] == FromProfile {
			h, _ := habitOf(c.Profile, key)
			key, whose = "profile", fmt.Sprintf("; profile %s: %s", c.Profile, h.why)
		}
		warn(key, "add 80 to reply_only if the gateway takes it; until then a tunnel, or RadSec",
			"replies go unsigned, without Message-Authenticator (80): who sits between can make an accept of a refusal (CVE-2024-3596)%s", whose)
	}
}

// leavesOut reports whether reply_only lacks the number of an attribute.
func (c Client) leavesOut(number int) bool {
	return len(c.ReplyOnly) > 0 && !slices.Contains(c.ReplyOnly, number)
}

// warnOfPasswords is about logins that no code is asked for, or nobody gets through.
func (c Client) warnOfPasswords(warn warner) {
	if c.Login == "password-then-code" && c.Challenge == "refused" {
		whose := "the client"
		if c.Origins["challenge"] == FromProfile {
			whose = "profile " + c.Profile
		}
		warn("login", "login: password+code, or code; challenge: understood if yours does ask a second time",
			"nobody gets in: %s takes a challenge as a refusal", whose)
	}
	if c.Login == "password" {
		warn("login", "code, password+code or password-then-code", "no code is asked for: who has somebody's password is let in")
	}
	if len(c.PasswordOnlyGroups) > 0 {
		warn("password_only_groups", "give their members devices, and remove the key",
			"no code is asked of members of %s: who has the password of one is let in", strings.Join(c.PasswordOnlyGroups, ", "))
	}
	if c.MPPE == "inside_tls_or_ike" {
		warn("mppe", "only inside TLS (SSTP) or IKE (L2TP over IPsec, IKEv2); never PPTP",
			"keys that are made of a code of some digits protect nothing by themselves: who records a login tries all codes in a moment")
	}
	// A profile that leaves it out is of a gateway that sends passwords only.
	if c.Login == "code" && c.leavesOut(26) && c.Origins["reply_only"] == FromFile {
		warn("reply_only", "add 26, unless the gateway sends passwords and CHAP only",
			"nobody gets in with MS-CHAPv2: what proves the answer is a vendor's attribute (26)")
	}
}

// wholeGateway is what a place is when the gateway does not say where people are.
const wholeGateway = "; without Calling-Station-Id the same place is the whole gateway, and anybody there who has seen the code gets in"

// warnOfGroups is about names of groups that are not those of one directory.
func (c Client) warnOfGroups(warn warner, all []Directory) {
	n := len(c.Directories)
	if n == 0 {
		n = len(all)
	}
	if n < 2 {
		return
	}
	tell := func(key, what string, groups ...string) {
		groups = slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return strings.Contains(g, "=") })
		if len(groups) > 0 {
			warn(key, "the full DN of the group, or directories with one name",
				"%s in any of %d directories %s: so does who may make a group of that name in one of them", strings.Join(groups, ", "), n, what)
		}
	}
	tell("password_only_groups", "lets in without a code", c.PasswordOnlyGroups...)
	for i, rule := range c.Reply {
		if rule.Group != "" {
			tell(fmt.Sprintf("reply[%d].group", i), "gives these attributes", rule.Group)
		}
	}
}

// warnOfReuse is about codes that are good for more than one login.
func (c Client) warnOfReuse(warn warner) {
	if c.FailoverGrace > 0 {
		warn("failover_grace", "0s if the gateway can be told to wait, or to send the same packet to the second server",
			"for %s a code that was accepted is accepted again, from the same place: also from whoever has seen it there"+wholeGateway, short(c.FailoverGrace))
	}
	if c.SharedCode.Times > 0 {
		warn("shared_code", "give the automation a client of its own, so that people's codes are good for one login",
			"one code is good for %s: also for whoever has seen it, from the same place"+wholeGateway, c.SharedCode)
	}
}
