package main

import (
	"crypto/hmac"
	"crypto/md5"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"otpgate/configs"
	"otpgate/radius/probe"
	"otpgate/radius/radiustest"
)

// profileReply is what a gateway of a profile gets for a login of ada, who is in the groups staff
// and vpn and told so where the profile can be, in the octets of each attribute but State:
// Message-Authenticator as "80".
type profileReply struct {
	unsigned bool   // a login without Message-Authenticator is answered
	reply    string // with one
}

// The numbers are those of the manufacturers: vendor, type, length, and then what is told.
func profileReplies() map[string]profileReply {
	each := func(vendor, kind string) string {
		return "80 26=" + vendor + kind + "07" + "7374616666 26=" + vendor + kind + "05" + "76706e"
	}
	class := "80 25=7374616666 25=76706e"
	return map[string]profileReply{
		"fortinet":   {false, each("00003044", "01")},
		"cisco-asa":  {true, each("00000c04", "19")},
		"cisco-ios":  {true, class},
		"paloalto":   {true, each("00006375", "05")},
		"juniper":    {true, each("00000a4c", "01")},
		"mikrotik":   {true, each("00003a8c", "03")},
		"citrix":     {true, "80 26=0000004210" + "0b" + "73746166663b76706e"},
		"f5":         {true, class},
		"aruba":      {true, each("000039e7", "01")},
		"checkpoint": {true, "25=7374616666 25=76706e"},
		"openvpn":    {true, class},
		"ocserv":     {true, "80 25=4f553d73746166663b76706e"},
		"strongswan": {false, class},
		"pam":        {true, class},
		"xauth":      {true, class},
		"squid":      {true, class},
		"postgresql": {true, class},
		"krb5":       {true, "25=7374616666 25=76706e"},
		"proftpd":    {false, "80"},
	}
}

// TestEveryProfile logs in through a gateway of each profile, each with an address of its own, over
// UDP: with and without Message-Authenticator, and looks at every octet that comes back.
func TestEveryProfile(t *testing.T) {
	t.Parallel()
	want := profileReplies()
	names := configs.Profiles()
	if len(names) != len(want) {
		t.Errorf("%d profiles, %d expectations", len(names), len(want))
	}
	dir := t.TempDir()
	var clients strings.Builder
	for i, name := range names {
		tell := "staff, vpn"
		if name == "proftpd" { // its reply_only has no room for groups: to tell them is a problem
			tell = ""
		}
		fmt.Fprintf(&clients, "    - {name: %s, profile: %[1]s, networks: [127.0.1.%d/32], secret: %s, login: password, reply_groups: {tell: [%s]}}\n",
			name, i+1, profileSecret(name), tell)
	}
	text := "data_dir: data\nradius:\n  listen: [\"127.0.0.1:0\"]\n  reject_delay: 0\n  clients:\n" + clients.String() +
		"directories: [{name: lab, ldif_file: people.ldif}]\nmetrics: {listen: \"127.0.0.1:0\"}\n"
	for name, text := range map[string]string{"otpgate.yaml": text, "people.ldif": profilePeople} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rt := &runtime{out: t.Output(), err: t.Output(), lookupEnv: os.LookupEnv, now: time.Now, configPath: filepath.Join(dir, "otpgate.yaml")}
	cfg, err := rt.load()
	if err != nil {
		t.Fatal(err)
	}
	n, err := rt.wire(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.stop(); err != nil {
			t.Error(err)
		}
	}()
	server := n.radius.Load().Addrs()[0].String()
	learned := func() { n.learnOnce(t.Context()) }
	learned() // until the store was read, unsigned logins of gateways that are learned are discarded
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			c := radiustest.DialFrom(t, fmt.Sprintf("127.0.1.%d", i+1), server, profileSecret(name))
			request := probe.Login(profileSecret(name), "ada", "ada-secret").Octets()
			c.Send(request)
			if got, err := answerTo(c, request, profileSecret(name), radiustest.Patience); err != nil || got != want[name].reply {
				t.Errorf("signed: %q, %v, want %q", got, err, want[name].reply)
			}
			bare := probe.NewRequest(probe.AccessRequest, profileSecret(name)).Add(probe.UserName, "ada").Password("ada-secret").Octets()
			c.Send(bare)
			patience := radiustest.Patience
			if !want[name].unsigned {
				patience = silenceTime
			}
			got, err := answerTo(c, bare, profileSecret(name), patience)
			switch {
			case want[name].unsigned && (err != nil || got != want[name].reply):
				t.Errorf("unsigned: %q, %v, want %q", got, err, want[name].reply)
			case !want[name].unsigned && !errors.Is(err, radiustest.ErrSilence):
				t.Errorf("unsigned: %q, %v, want silence", got, err)
			}
		})
	}
}

func profileSecret(name string) string { return "secret of " + name }

// answerTo receives an Access-Accept, checks its Response Authenticator and, if it is there, that
// Message-Authenticator is right and first, and returns its attributes.
func answerTo(c *radiustest.Client, request []byte, secret string, patience time.Duration) (string, error) {
	octets, err := c.Receive(patience)
	if err != nil {
		return "", err
	}
	sum := md5.Sum(slices.Concat(octets[:4], request[4:20], octets[20:], []byte(secret)))
	if octets[0] != probe.AccessAccept || octets[1] != request[1] || !hmac.Equal(sum[:], octets[4:20]) {
		return "", fmt.Errorf("code %d, or a wrong authenticator", octets[0])
	}
	var words []string
	for b := octets[20:]; len(b) > 1; b = b[b[1]:] {
		if b[0] == probe.MessageAuthenticator {
			words = append(words, "80")
			if _, err := probe.Check(request, octets, secret); err != nil {
				return "", err
			}
			continue
		}
		words = append(words, fmt.Sprintf("%d=%x", b[0], b[2:b[1]]))
	}
	return strings.Join(words, " "), nil
}

const profilePeople = `dn: dc=lab
objectClass: dcObject
dc: lab

dn: uid=ada,dc=lab
objectClass: inetOrgPerson
entryUUID: 6a3f1d0e-5b7c-4c1a-9d52-0000000000a1
uid: ada
cn: Ada
sn: Ada
userPassword: ada-secret

dn: cn=staff,dc=lab
objectClass: groupOfNames
cn: staff
member: uid=ada,dc=lab

dn: cn=vpn,dc=lab
objectClass: groupOfNames
cn: vpn
member: uid=ada,dc=lab

dn: cn=other,dc=lab
objectClass: groupOfNames
cn: other
member: uid=ada,dc=lab
`
