package configs

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Origin is where a setting comes from.
type Origin string

// What stands in the file wins over the profile, and the profile wins over the default.
const (
	FromFile    Origin = "file"
	FromProfile Origin = "profile"
	FromDefault Origin = "default"
)

// habit is a row: what a profile sets a key to, and why.
type habit struct{ profile, key, value, why string }

// Whether Message-Authenticator comes depends on the release for most gateways, and for nearly all
// programs it does not come at all. Required would give those no answer, and optional would stay
// open after an upgrade, so they learn: what is proven to send it always must go on sending it.
const (
	byRelease = "it comes with the fix for CVE-2024-3596 only: older releases send it with EAP alone"
	sendsNone = "sends none with a password; once an upgrade does, it is required by itself"
	oneName   = ", and takes one: name in reply_groups.tell the groups that are such"
)

// habits is what we know of gateways. What was seen at real ones (Debian 12) says seen; the rest is
// the manufacturer's word. What is not here is as without a profile; charsets are not, because auto
// holds for all of these.
var habits = []habit{
	{"fortinet", "message_authenticator", "required", "FortiOS 7.2.10, 7.4.5 and 7.6.1 send it, and drop replies without; earlier ones need learn"},
	{"fortinet", "challenge", "understood", "in SSL VPN and at the administrator's login; IPsec XAuth needs the profile xauth"},
	{"fortinet", "timeout", "5s", "remoteauthtimeout is 5 s unless set"},
	{"fortinet", "reply_groups.attribute", "Fortinet-Group-Name", "a group of the FortiGate matches this one"},
	{"fortinet", "reply_groups.form", "each", "it matches each value by itself"},

	{"cisco-asa", "message_authenticator", "learn", byRelease},
	{"cisco-asa", "challenge", "understood", "Secure Client shows the prompt"},
	{"cisco-asa", "timeout", "10s", "retry-interval of an aaa-server host is 10 s unless set; its timeout is how long in all"},
	{"cisco-asa", "reply_groups.attribute", "ASA-Group-Policy", "it is the name of a group policy (from 8.2)" + oneName},
	{"cisco-asa", "reply_groups.form", "each", "a list would be a name that no group policy has"},

	{"cisco-ios", "message_authenticator", "learn", byRelease},
	{"cisco-ios", "challenge", "understood", "the prompt is shown at the login"},
	{"cisco-ios", "timeout", "5s", "radius-server timeout is 5 s unless set, with 3 retransmits"},

	{"paloalto", "message_authenticator", "learn", byRelease},
	{"paloalto", "challenge", "understood", "GlobalProtect shows the prompt"},
	{"paloalto", "timeout", "3s", "the timeout of a server profile is 3 s unless set, with 3 retries"},
	{"paloalto", "reply_groups.attribute", "PaloAlto-User-Group", "allow lists match this one"},
	{"paloalto", "reply_groups.form", "each", "it matches each value by itself"},

	{"juniper", "message_authenticator", "learn", byRelease},
	{"juniper", "timeout", "3s", "timeout of a radius-server is 3 s unless set"},
	{"juniper", "reply_groups.attribute", "Juniper-Local-User-Name", "it is the name of a template account" + oneName},
	{"juniper", "reply_groups.form", "each", "a list would be a name that no template has"},

	{"mikrotik", "message_authenticator", "learn", byRelease},
	{"mikrotik", "challenge", "refused", "neither PPP nor the login of RouterOS asks a second time"},
	{"mikrotik", "timeout", "3s", "set timeout=3s there: its own 300 ms end before a refusal leaves"},
	{"mikrotik", "reply_groups.attribute", "Mikrotik-Group", "it is the name of a group of RouterOS" + oneName},
	{"mikrotik", "reply_groups.form", "each", "a list would be a name that no group has"},

	{"citrix", "message_authenticator", "learn", byRelease},
	{"citrix", "challenge", "understood", "the gateway's page shows the prompt"},
	{"citrix", "timeout", "3s", "authTimeout of a radiusAction is 3 s unless set"},
	{"citrix", "reply_groups.attribute", "Citrix-User-Groups", "set vendor 66, attribute 16 and no prefix for groups there"},
	{"citrix", "reply_groups.form", "semicolon", "one value, split at the separator that is set there"},

	{"f5", "message_authenticator", "learn", byRelease},
	{"f5", "challenge", "understood", "the logon page of APM shows the prompt"},
	{"f5", "timeout", "5s", "the timeout of a RADIUS server in APM is 5 s unless set"},
	{"f5", "reply_groups.attribute", "Class", "access policies read it as session.radius.last.attr.class"},
	{"f5", "reply_groups.form", "each", "APM joins the values itself"},

	{"aruba", "message_authenticator", "learn", byRelease},
	{"aruba", "timeout", "5s", "radius-server timeout is 5 s unless set"},
	{"aruba", "reply_groups.attribute", "Aruba-User-Role", "it is the name of a role" + oneName},
	{"aruba", "reply_groups.form", "each", "a list would be a name that no role has"},

	{"checkpoint", "message_authenticator", "omit", "without sk182516 it drops replies that carry it; with that fix: required"},
	{"checkpoint", "challenge", "understood", "the VPN client shows the prompt"},
	{"checkpoint", "reply_groups.attribute", "Class", "groups RAD_name are matched by it, unless radius_groups_attr says otherwise"},
	{"checkpoint", "reply_groups.form", "each", "it matches each value by itself"},

	{"openvpn", "message_authenticator", "learn", "seen: radiusplugin " + sendsNone},
	{"openvpn", "challenge", "refused", "seen: radiusplugin takes it as a refusal; static-challenge with login: password+code asks for both; Access Server understands it"},
	{"openvpn", "timeout", "3s", "set wait=3 in radiusplugin.cnf: its sample has 1, which ends as a refusal leaves"},
	{"openvpn", "reply_groups.attribute", "Class", "post-auth scripts of Access Server read it"},

	{"ocserv", "message_authenticator", "learn", "seen: radcli 1.2.11 " + sendsNone},
	{"ocserv", "challenge", "understood", "seen: the second form shows the prompt"},
	{"ocserv", "timeout", "10s", "radius_timeout of radcli is 10 s in its sample"},
	{"ocserv", "reply_groups.attribute", "Class", "the only one that it reads groups from"},
	{"ocserv", "reply_groups.form", "ou", "fixed: OU=group1;group2 in one value"},

	{"strongswan", "message_authenticator", "required", "seen: charon 5.9.8 sends it always"},
	{"strongswan", "challenge", "refused", `seen: XAuth says "Access-Challenge not supported"`},
	{"strongswan", "timeout", "2s", "it sends again after 2 s first, then later and later, 4 times"},
	{"strongswan", "reply_groups.attribute", "Class", "class_group = yes makes groups of it"},
	{"strongswan", "reply_groups.form", "each", "each value is a group"},

	{"pam", "message_authenticator", "learn", "seen: pam_radius 2.0.0 " + sendsNone},
	{"pam", "challenge", "understood", "seen: the prompt is shown, in ssh by keyboard-interactive"},
	{"pam", "timeout", "3s", "timeout of a server is 3 s unless set"},

	{"xauth", "challenge", "refused", "IKEv1 asks once; what gateways do with a second question differs, and most end the login"},
	{"xauth", "message_authenticator", "learn", byRelease},

	{"squid", "message_authenticator", "learn", "seen: basic_radius_auth 5.7 " + sendsNone},
	{"squid", "challenge", "refused", "seen: it takes it as a refusal"},

	{"postgresql", "message_authenticator", "learn", "seen: version 15 " + sendsNone},
	{"postgresql", "challenge", "refused", "seen: it takes it as a refusal"},
	{"postgresql", "timeout", "3s", "it waits 3 s in all, and does not send again"},

	{"krb5", "message_authenticator", "learn", "seen: libkrad 1.20 " + sendsNone},
	{"krb5", "challenge", "refused", "kinit asks once"},
	{"krb5", "reply_only", "18 25", "seen: libkrad 1.20 drops replies with an attribute above 63; give reply_only: [] once it does not"},

	{"proftpd", "message_authenticator", "required", "seen: 1.3.8 sends it"},
	{"proftpd", "challenge", "refused", "seen: it takes it as a refusal"},
	{"proftpd", "reply_only", "80", "seen: 1.3.8 fails when another attribute follows it (its issue 1840), and on Session-Timeout"},
}

// Profiles returns the names of all profiles.
func Profiles() []string {
	var names []string
	for _, h := range habits {
		if !slices.Contains(names, h.profile) {
			names = append(names, h.profile)
		}
	}
	return names
}

// habitOf returns what a profile sets a key to; false when it leaves it alone.
func habitOf(profile, key string) (habit, bool) {
	i := slices.IndexFunc(habits, func(h habit) bool { return h.profile == profile && h.key == key })
	if i < 0 {
		return habit{}, false
	}
	return habits[i], true
}

// manners are the defaults of one client, and a record of which were used.
type manners struct {
	profile string
	origins map[string]Origin
}

// given records where a setting comes from. Its key is from the client on, such as
// reply_groups.form; o is the object that its last word is a key of.
func (m manners) given(o *object, key string) {
	from := FromDefault
	if _, ok := habitOf(m.profile, key); ok {
		from = FromProfile
	}
	if o.has(key[strings.LastIndexByte(key, '.')+1:]) {
		from = FromFile
	}
	m.origins[key] = from
}

// of returns the default of a setting: the profile's, or otherwise.
func (m manners) of(o *object, key, otherwise string) string {
	m.given(o, key)
	if h, ok := habitOf(m.profile, key); ok {
		return h.value
	}
	return otherwise
}

// time is of for a duration. A test reads every row, so that none can be wrong here.
func (m manners) time(o *object, key string, otherwise time.Duration) time.Duration {
	d, err := time.ParseDuration(m.of(o, key, otherwise.String()))
	if err != nil {
		return otherwise
	}
	return d
}

// Setting is one of a client's, for people to read.
type Setting struct {
	Key    string `json:"key"` // from the client on, such as reply_groups.form
	Value  string `json:"value"`
	Origin Origin `json:"origin"`
	Why    string `json:"why,omitempty"` // the profile's reason
}

// Explain lists the settings of a client in the order of the example, and where each comes from.
// Secrets are not among them.
func (c Client) Explain() []Setting {
	list := []Setting{
		{Key: "networks", Value: listed(c.Networks)},
		{Key: "certificate_names", Value: listed(c.CertificateNames)},
		{Key: "profile", Value: orElse(c.Profile, "none")},
		{Key: "message_authenticator", Value: c.MessageAuthenticator},
		{Key: "accept_unsigned_proxy_state", Value: fmt.Sprint(c.AcceptUnsignedProxyState)},
		{Key: "reply_only", Value: listed(c.ReplyOnly)},
		{Key: "login", Value: c.Login},
		{Key: "password_only_groups", Value: listed(c.PasswordOnlyGroups)},
		{Key: "mppe", Value: c.MPPE},
		{Key: "charset", Value: c.Charset},
		{Key: "challenge", Value: c.Challenge},
		{Key: "challenge_prompt", Value: fmt.Sprintf("%q", c.ChallengePrompt)},
		{Key: "timeout", Value: short(c.Timeout)},
		{Key: "directories", Value: listed(c.Directories)},
		{Key: "allow_groups", Value: listed(c.AllowGroups)},
		{Key: "deny_groups", Value: listed(c.DenyGroups)},
		{Key: "hours", Value: c.Hours.String()},
		{Key: "failover_grace", Value: short(c.FailoverGrace)},
		{Key: "shared_code", Value: c.SharedCode.String()},
		{Key: "reply_groups.tell", Value: listed(c.ReplyGroups.Tell)},
		{Key: "reply_groups.attribute", Value: c.ReplyGroups.Attribute},
		{Key: "reply_groups.form", Value: c.ReplyGroups.Form},
		{Key: "reply", Value: fmt.Sprintf("%d rules", len(c.Reply))},
	}
	for i, s := range list {
		list[i].Origin = c.Origins[s.Key]
		if h, ok := habitOf(c.Profile, s.Key); ok && list[i].Origin == FromProfile {
			list[i].Why = h.why
		}
	}
	return list
}

// listed is a list as the file would have it.
func listed[T any](list []T) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = fmt.Sprint(v)
	}
	return "[" + strings.Join(words, ", ") + "]"
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
