package configs

import (
	"fmt"
	"strings"
	"time"
)

// Warnings is what works and gives something up, or does not what it seems to: each says what, and
// what would be better, in the order of the file. They are for a configuration without problems.
func (c *Config) Warnings() []Problem {
	var found Problems
	if r := c.Radius; r.RadSec != nil && !anyClient(r, func(client Client) bool { return len(client.CertificateNames) > 0 }) {
		found.Add(c.Problem("radius.radsec", "every connection is refused: no client has certificate_names",
			"certificate_names: [nas1.corp.example] at the client whose certificate says so"))
	}
	for i, client := range c.Radius.Clients {
		warn := func(key, hint, form string, args ...any) {
			found.Add(c.Problem(clientKey(i)+"."+key, fmt.Sprintf(form, args...), hint))
		}
		client.warnOfForgery(warn)
		client.warnOfPasswords(warn)
		client.warnOfReuse(warn)
		if most := c.Radius.RejectDelay + time.Second; client.Timeout < most {
			warn("timeout", "raise it there and here, or lower radius.reject_delay", "it sends again after %s, and a refusal may take %s", short(client.Timeout), short(most))
		}
		if client.PreviousSecret != "" {
			warn(c.spelled(i, "previous_secret"), "finish: give the gateways the new one, see in the metrics that the old one is used no more, and remove it",
				"the secret that is being replaced still opens")
		}
	}
	return found.List
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
}

// warnOfReuse is about codes that are good for more than one login.
func (c Client) warnOfReuse(warn warner) {
	if c.FailoverGrace > 0 {
		warn("failover_grace", "0s if the gateway can be told to wait, or to send the same packet to the second server",
			"for %s a code that was accepted is accepted again, from the same place: also from whoever has seen it there", short(c.FailoverGrace))
	}
	if c.SharedCode.Times > 0 {
		warn("shared_code", "give the automation a client of its own, so that people's codes are good for one login",
			"one code is good for %s: also for whoever has seen it, from the same place", c.SharedCode)
	}
}
