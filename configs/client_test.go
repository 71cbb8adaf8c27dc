package configs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"otpgate/configs"
)

// client loads a configuration whose only client has these keys beside name, networks and secret.
func client(t *testing.T, keys string) (*configs.Config, configs.Client) {
	t.Helper()
	c := load(t, gateway(keys))
	return c, c.Radius.Clients[0]
}

func gateway(keys string) string {
	return strings.Replace(small, "long-enough-1}", "long-enough-1, "+keys+"}", 1)
}

const everyKey = `previous_secret: long-enough-0, profile: fortinet, message_authenticator: learn, accept_unsigned_proxy_state: true,
	  reply_only: [18, 24, 26], login: password-then-code, password_only_groups: [robots], charset: utf-8, challenge: understood,
	  challenge_prompt: "Código: ", timeout: 7s, directories: [corp], allow_groups: [staff], deny_groups: [guests],
	  hours: {zone: Europe/Lisbon, allow: ["Mon-Wed,Sat 07:00-20:00", "22:00-06:00"]}, failover_grace: 5s,
	  shared_code: {times: 6, within: 60s}, reply_groups: {tell: ["*"], attribute: Class, form: ou},
	  reply: [{attributes: {Class: "OU=staff", Session-Timeout: 28800}}, {group: netadmins, attributes: {Service-Type: Administrative-User, Cisco-AVPair: ["shell:priv-lvl=15", " kept "]}}]`

func TestEveryKeyOfAClientIsRead(t *testing.T) {
	_, c := client(t, everyKey)
	zone, err := time.LoadLocation("Europe/Lisbon")
	if err != nil {
		t.Fatal(err)
	}
	key := "radius.clients[0].reply[1].attributes."
	want := configs.Client{
		Name: "vpn", Networks: c.Networks, Secret: "long-enough-1", PreviousSecret: "long-enough-0", Profile: "fortinet",
		MessageAuthenticator: "learn", AcceptUnsignedProxyState: true, ReplyOnly: []int{18, 24, 26},
		Login: "password-then-code", PasswordOnlyGroups: []string{"robots"}, MPPE: "never", Charset: "utf-8", Challenge: "understood",
		ChallengePrompt: "Código: ", Timeout: 7 * time.Second,
		Directories: []string{"corp"}, AllowGroups: []string{"staff"}, DenyGroups: []string{"guests"},
		Hours: configs.Hours{Zone: zone, Spans: []configs.Span{
			{Days: 1<<time.Monday | 1<<time.Tuesday | 1<<time.Wednesday | 1<<time.Saturday, From: 7 * 60, To: 20 * 60},
			{Days: 1<<7 - 1, From: 22 * 60, To: 6 * 60},
		}},
		FailoverGrace: 5 * time.Second, SharedCode: configs.SharedCode{Times: 6, Within: time.Minute},
		ReplyGroups: configs.ReplyGroups{Tell: []string{"*"}, Attribute: "Class", Form: "ou"},
		Reply: []configs.ReplyRule{
			{Attributes: []configs.ReplyAttribute{
				{Name: "Class", Values: []string{"OU=staff"}, Key: "radius.clients[0].reply[0].attributes.Class"},
				{Name: "Session-Timeout", Values: []string{"28800"}, Key: "radius.clients[0].reply[0].attributes.Session-Timeout"},
			}},
			{Group: "netadmins", Attributes: []configs.ReplyAttribute{
				{Name: "Service-Type", Values: []string{"Administrative-User"}, Key: key + "Service-Type"},
				{Name: "Cisco-AVPair", Values: []string{"shell:priv-lvl=15", " kept "}, Key: key + "Cisco-AVPair"},
			}},
		},
	}
	pairs := c.Reply[1].Attributes
	if pairs[0].ValueKey(0) != key+"Service-Type" || pairs[1].ValueKey(1) != key+"Cisco-AVPair[1]" {
		t.Errorf("%s, %s", pairs[0].ValueKey(0), pairs[1].ValueKey(1))
	}
	want.Reply[1].Attributes[1] = pairs[1] // it knows that it is a list
	if !reflect.DeepEqual(pairs[1].Values, []string{"shell:priv-lvl=15", " kept "}) || pairs[1].Name != "Cisco-AVPair" {
		t.Errorf("%+v", pairs[1])
	}
	want.Origins = c.Origins
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got:\n%+v\nwant:\n%+v", c, want)
	}
}

// The order of attributes is that of the file, in which a gateway gets them.
func TestAttributesKeepTheirOrderAndPlace(t *testing.T) {
	c := load(t, `radius:
  clients:
    - name: vpn
      networks: [10.0.0.0/8]
      secret: long-enough-1
      reply:
        - attributes:
            Zeta: 1
            Alpha: [one,
              two]
            Mid: x
directories: [{name: corp, urls: ["ldaps://dc1"], base_dn: "dc=corp"}]
`)
	var names []string
	attributes := c.Radius.Clients[0].Reply[0].Attributes
	for _, a := range attributes {
		names = append(names, a.Name)
	}
	if !slices.Equal(names, []string{"Zeta", "Alpha", "Mid"}) {
		t.Errorf("%q", names)
	}
	for key, place := range map[string]string{attributes[0].ValueKey(0): "8:13", attributes[1].ValueKey(1): "10:15"} {
		if p := c.Problem(key, "m", "h"); fmt.Sprintf("%d:%d", p.Line, p.Column) != place || p.Key != key {
			t.Errorf("%s: %+v", key, p)
		}
	}
}

func TestAClientMayComeOverRadSecAlone(t *testing.T) {
	path := write(t, "otpgate.yaml", `radius:
  accounting: [":1813"]
  dictionary_files: [acme.dictionary]
  radsec: {certificate_file: radsec.crt, key_file: radsec.key, client_ca_file: radsec.crt, max_connections: 7, idle_timeout: 10s}
  clients: [{name: vpn, certificate_names: [NAS1.corp.example, nas2]}]
directories: [{name: corp, urls: ["ldaps://dc1"], base_dn: "dc=corp"}]
`)
	dir := filepath.Dir(path)
	certificate, key := selfSigned(t)
	for name, content := range map[string]string{"radsec.crt": certificate, "radsec.key": key, "acme.dictionary": "VENDOR Acme 1\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := configs.Load(path, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	want := &configs.RadSec{
		Listen: []string{":2083"}, CertificateFile: filepath.Join(dir, "radsec.crt"), KeyFile: filepath.Join(dir, "radsec.key"),
		ClientCAFile: filepath.Join(dir, "radsec.crt"), MaxConnections: 7, IdleTimeout: 10 * time.Second,
	}
	r := c.Radius
	if !reflect.DeepEqual(r.RadSec, want) || !slices.Equal(r.Accounting, []string{":1813"}) || !slices.Equal(r.DictionaryFiles, []string{filepath.Join(dir, "acme.dictionary")}) {
		t.Errorf("%+v, %+v", r, r.RadSec)
	}
	if names := r.Clients[0].CertificateNames; !slices.Equal(names, []string{"nas1.corp.example", "nas2"}) || len(r.Clients[0].Networks) > 0 || r.Clients[0].Secret != "" {
		t.Errorf("%+v", r.Clients[0])
	}
	if warnings := c.Warnings(); len(warnings) > 0 {
		t.Errorf("%v", warnings)
	}

	other := *c
	other.Radius.RadSec, other.Radius.Accounting = nil, nil
	if names := configs.RestartNeeded(c, &other); !slices.Equal(names, []string{"radius.accounting", "radius.radsec"}) {
		t.Errorf("%v", names)
	}
}

// Each row of the table of profiles is a value that the file could have, and is used.
func TestProfilesSetWhatTheySay(t *testing.T) {
	for _, name := range []string{
		"fortinet", "cisco-asa", "cisco-ios", "paloalto", "juniper", "mikrotik", "citrix", "f5", "aruba", "checkpoint", "openvpn", "ocserv",
		"strongswan", "pam", "xauth", "squid", "postgresql",
	} {
		if !slices.Contains(configs.Profiles(), name) {
			t.Errorf("there is no profile %s", name)
		}
	}
	_, plain := client(t, "login: code")
	for _, name := range configs.Profiles() {
		_, c := client(t, "profile: "+name)
		seen := 0
		for i, s := range c.Explain() {
			if s.Origin != configs.FromProfile {
				if was := plain.Explain()[i]; s.Value != was.Value && s.Key != "profile" {
					t.Errorf("%s: %+v, and was %+v", name, s, was)
				}
				continue
			}
			seen++
			if len(s.Why) < 10 || strings.HasSuffix(s.Why, ".") {
				t.Errorf("%s: %s for no reason: %q", name, s.Key, s.Why)
			}
			// The file can say the same, and then it is the file's.
			said := strings.Replace(s.Key, "reply_groups.", "reply_groups: {", 1) + ": " + s.Value
			if strings.Contains(said, "{") {
				said += "}"
			}
			_, same := client(t, said)
			if got := same.Explain()[i]; got.Value != s.Value || got.Origin != configs.FromFile || got.Why != "" {
				t.Errorf("%s: %+v in the file is %+v", name, s, got)
			}
		}
		if seen == 0 {
			t.Errorf("%s sets nothing", name)
		}
	}
}

// The habits that a gateway does not work without.
func TestProfilesKnowTheirGateway(t *testing.T) {
	for _, c := range []struct{ profile, key, want string }{
		{"fortinet", "message_authenticator", "required"},
		{"fortinet", "reply_groups.attribute", "Fortinet-Group-Name"},
		{"fortinet", "timeout", "5s"},
		{"strongswan", "message_authenticator", "required"},
		{"strongswan", "challenge", "refused"},
		{"checkpoint", "message_authenticator", "omit"},
		{"citrix", "reply_groups.form", "semicolon"},
		{"ocserv", "reply_groups.form", "ou"},
		{"ocserv", "challenge", "understood"},
		{"pam", "challenge", "understood"},
		{"pam", "message_authenticator", "learn"},
		{"openvpn", "challenge", "refused"},
		{"xauth", "challenge", "refused"},
		{"squid", "challenge", "refused"},
		{"postgresql", "challenge", "refused"},
		{"krb5", "reply_only", "[18, 25]"},
		{"proftpd", "reply_only", "[80]"},
		{"", "message_authenticator", "required"},
		{"", "challenge", "understood"},
		{"", "timeout", "3s"},
	} {
		keys := "login: code"
		if c.profile != "" {
			keys = "profile: " + c.profile
		}
		_, got := client(t, keys)
		if s := setting(t, got, c.key); s.Value != c.want {
			t.Errorf("%s: %+v", c.profile, s)
		}
	}
}

func setting(t *testing.T, c configs.Client, key string) configs.Setting {
	t.Helper()
	for _, s := range c.Explain() {
		if s.Key == key {
			return s
		}
	}
	t.Fatalf("no setting %s", key)
	return configs.Setting{}
}

// What stands in the file wins over the profile, also when it says nothing.
func TestTheFileWinsOverTheProfile(t *testing.T) {
	_, c := client(t, "profile: krb5, reply_only: [], message_authenticator: required, timeout: 9s")
	if len(c.ReplyOnly) != 0 || c.MessageAuthenticator != "required" || c.Timeout != 9*time.Second || c.Challenge != "refused" {
		t.Errorf("%+v", c)
	}
	for key, origin := range map[string]configs.Origin{
		"reply_only": configs.FromFile, "challenge": configs.FromProfile, "charset": configs.FromDefault, "networks": configs.FromFile,
		"profile": configs.FromFile, "hours": configs.FromDefault, "reply_groups.tell": configs.FromDefault, "reply": configs.FromDefault,
	} {
		if s := setting(t, c, key); s.Origin != origin || (s.Why != "") != (origin == configs.FromProfile) {
			t.Errorf("%s: %+v", key, s)
		}
	}
}

func TestNoSecretIsExplained(t *testing.T) {
	_, c := client(t, "previous_secret: long-enough-0")
	if s := fmt.Sprintf("%+v", c.Explain()); strings.Contains(s, "long-enough") || strings.Contains(s, "secret") {
		t.Errorf("%s", s)
	}
	if s := fmt.Sprintf("%+v", load(t, gateway("previous_secret: long-enough-0")).Warnings()); strings.Contains(s, "long-enough") {
		t.Errorf("%s", s)
	}
}

func TestHoursAreExplainedAsPeopleWriteThem(t *testing.T) {
	_, c := client(t, `hours: {zone: UTC, allow: ["sat-MON 00:00-24:00", "22:00-00:00"]}`)
	if s := setting(t, c, "hours").Value; s != "[Mon,Sat,Sun 00:00-24:00, 22:00-00:00], UTC" {
		t.Errorf("%s", s)
	}
}

// Each warning names its key and place, what is given up, and what would be better.
func TestWarningsSayWhatIsGivenUp(t *testing.T) {
	for _, c := range []struct{ keys, key, says string }{
		{"login: password-then-code, challenge: refused", "login", "the client takes a challenge as a refusal"},
		{"login: password-then-code, profile: strongswan", "login", "profile strongswan takes a challenge as a refusal"},
		{"message_authenticator: optional", "message_authenticator", "CVE-2024-3596"},
		{"message_authenticator: omit", "message_authenticator", "CVE-2024-3596"},
		{"profile: checkpoint", "profile", "sk182516"},
		{"profile: pam", "profile", "pam_radius"},
		{"message_authenticator: learn, accept_unsigned_proxy_state: true", "accept_unsigned_proxy_state", "Proxy-State"},
		{"login: password", "login", "no code is asked for"},
		{"password_only_groups: [robots, door]", "password_only_groups", "robots, door"},
		{"failover_grace: 5s", "failover_grace", "for 5s"},
		{"failover_grace: 5s", "failover_grace", "without Calling-Station-Id the same place is the whole gateway"},
		{"shared_code: {times: 6, within: 1m}", "shared_code", "6 logins within 1m"},
		{"shared_code: {times: 6, within: 1m}", "shared_code", "without Calling-Station-Id the same place is the whole gateway"},
		{"reply_only: [18, 25, 26]", "reply_only", "replies go unsigned"},
		{"reply_only: [18, 25, 80]", "reply_only", "nobody gets in with MS-CHAPv2"},
		{"profile: krb5, message_authenticator: required", "profile", "replies go unsigned, without Message-Authenticator (80): who sits between can make an accept of a refusal (CVE-2024-3596); profile krb5: seen: libkrad"},
		{"mppe: inside_tls_or_ike", "mppe", "protect nothing by themselves"},
		{"timeout: 1s", "timeout", "may take 2s"},
		{"previous_secret: long-enough-0", "previous_secret", "still opens"},
		{"previous_secret: long-enough-0, message_authenticator: learn", "previous_secret", "always answered with the new one"},
	} {
		cfg := load(t, gateway(c.keys))
		var found []configs.Problem
		for _, w := range cfg.Warnings() {
			if w.Key == "radius.clients[0]."+c.key {
				found = append(found, w)
			}
		}
		if len(found) != 1 || !strings.Contains(found[0].Message, c.says) || found[0].Hint == "" || found[0].Line != 2 || found[0].Column < 30 {
			t.Errorf("%s: %+v", c.keys, cfg.Warnings())
		}
		if !strings.HasPrefix(c.keys, "profile") && !strings.Contains(c.keys, "profile:") && len(cfg.Warnings()) != 1 {
			t.Errorf("%s: %+v", c.keys, cfg.Warnings())
		}
	}
	for _, keys := range []string{"login: code", "login: password-then-code", "profile: fortinet", "message_authenticator: learn", "timeout: 2s",
		"reply_only: [26, 80]", "reply_only: [18, 80], login: password+code", "profile: proftpd", "profile: krb5, message_authenticator: required, reply_only: []",
		"password_only_groups: [], reply: [{group: a, attributes: {Class: x}}]"} {
		if warnings := load(t, gateway(keys)).Warnings(); len(warnings) > 0 {
			t.Errorf("%s: %v", keys, warnings)
		}
	}
}

// With required, the packet itself says which secret it was sent with.
func TestOnlyUnprovenPacketsHideTheirSecret(t *testing.T) {
	for _, w := range load(t, gateway("previous_secret: long-enough-0")).Warnings() {
		if strings.Contains(w.Message, "CHAP") {
			t.Errorf("%+v", w)
		}
	}
}

// A cn names a group in whichever directory an account is; a DN, in one.
func TestGroupsOfSeveralDirectoriesAreWarnedOf(t *testing.T) {
	const keys = `password_only_groups: [robots, "cn=door,dc=corp"], reply: [{attributes: {Class: x}}, {group: admins, attributes: {Class: y}}, {group: "cn=a,dc=corp", attributes: {Class: z}}]`
	for more, want := range map[string][]string{
		"":                            {"password_only_groups: robots in any of 2 directories lets in without a code", "reply[1].group: admins in any of 2 directories gives these attributes"},
		", directories: [corp, more]": {"password_only_groups: robots in", "reply[1].group: admins in"},
		", directories: [corp]":       nil,
	} {
		text := strings.Replace(gateway(keys+more), "directories: [{name: corp", `directories: [{name: more, urls: ["ldaps://dc2"], base_dn: "dc=more"}, {name: corp`, 1)
		var got []string
		for _, w := range load(t, text).Warnings() {
			if strings.Contains(w.Message, "in any of") {
				got = append(got, strings.TrimPrefix(w.Key, "radius.clients[0].")+": "+w.Message)
				if w.Line != 2 || w.Column < 30 || w.Hint == "" {
					t.Errorf("%+v", w)
				}
			}
		}
		if len(got) != len(want) {
			t.Errorf("%q: %q", more, got)
			continue
		}
		for i := range want {
			if !strings.HasPrefix(got[i], want[i]) {
				t.Errorf("%q: %q, want %q", more, got[i], want[i])
			}
		}
	}
}

// Warnings are in the order of the file, whatever they are about.
func TestWarningsAreInTheOrderOfTheFile(t *testing.T) {
	warnings := load(t, gateway("timeout: 1s, mppe: inside_tls_or_ike, message_authenticator: optional")).Warnings()
	if len(warnings) != 3 || !slices.IsSortedFunc(warnings, func(a, b configs.Problem) int { return a.Column - b.Column }) {
		t.Errorf("%v", warnings)
	}
}

func TestRadSecWithoutClientsIsWarnedOf(t *testing.T) {
	c := load(t, small)
	c.Radius.RadSec = &configs.RadSec{}
	if w := c.Warnings(); len(w) != 1 || w[0].Key != "radius.radsec" {
		t.Errorf("%v", w)
	}
}

// A refusal that leaves at once tells by its time how far it got, and with that which accounts there are.
func TestRefusalsWithoutDelayAreWarnedOf(t *testing.T) {
	for value, want := range map[string]int{"0": 1, "5ms": 1, "499ms": 1, "500ms": 0, "1s": 0} {
		c := load(t, strings.Replace(gateway("message_authenticator: optional"), "radius: {", "radius: {reject_delay: "+value+", ", 1))
		found := c.Warnings()
		if len(found) != want+1 {
			t.Errorf("%s: %+v", value, found)
			continue
		}
		if w := found[0]; want == 1 && (w.Key != "radius.reject_delay" || !strings.Contains(w.Message, "which accounts there are") || w.Hint == "" || w.Line != 2) {
			t.Errorf("%s: %+v", value, w)
		}
	}
}
