package operate_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"otpgate/directory"
	"otpgate/enroll"
	"otpgate/enroll/operator"
)

func TestAccountShow(t *testing.T) {
	dk := open(t, func(o *operator.Options) {
		o.Sessions = func(context.Context, string) ([]operator.Session, error) {
			return []operator.Session{
				{Client: "vpn", NAS: "fw1", Station: "aa-bb", Address: "10.0.0.9", Since: noon(), Updated: noon().Add(time.Minute), In: 999, Out: 999_950},
				{Client: "vpn", NAS: "fw\x1b1", Since: noon(), Updated: noon(), In: 1 << 63, Out: 12_345_678, Stale: true},
			}, nil
		}
	})
	if err := dk.run(t, "", "device", "add", "alice", "--label", "blue phone"); err != nil {
		t.Fatal(err)
	}
	id, _, _ := strings.Cut(dk.out.String(), " ")
	if err := dk.run(t, "", "account", "show", "alice@lab.example"); err != nil {
		t.Fatal(err)
	}
	dk.shows(t, `
account    alice
name       Alice \x1b[1m
mail       alice@lab.example
state      may log in
directory  lab
dn         uid=alice,dc=lab
id         `+alice+`

1 devices
ID                LABEL       CODE                 ENROLLED          LAST USED
`+id+`  blue phone  SHA1, 6 digits, 60s  2026-07-01 12:00  never

2 open sessions
CLIENT  NAS      STATION  ADDRESS   SINCE             LAST TOLD         IN      OUT
vpn     fw1      aa-bb    10.0.0.9  2026-07-01 12:00  2026-07-01 12:01  999 B   1.0 MB
vpn     fw\x1b1  -        -         2026-07-01 12:00  2026-07-01 12:00  9.2 EB  12.3 MB  stale
`)
	var v operator.AccountView
	if err := dk.run(t, "", "account", "show", "alice", "--json"); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(dk.out.Bytes(), &v); err != nil || v.ID != alice || len(v.Devices) != 1 || len(v.Sessions) != 2 || v.Groups == nil {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestStatusShowsClients(t *testing.T) {
	dk := open(t, func(o *operator.Options) {
		o.Status = func(context.Context) operator.Status {
			return operator.Status{Version: "v1", Started: noon().Add(-time.Hour), Checks: []operator.Check{{Name: "store", State: "ok"}}, Clients: []operator.ClientStatus{
				{Name: "vpn", Policy: "learn", Sentence: "seen in 10,432 of 10,432 packets for 14 days: safe to require", CurrentSecret: 10000, PreviousSecret: 432, PreviousSecretUsed: noon()},
				{Name: "switches", Policy: "required", CurrentSecret: 3},
				{Name: "old", Policy: "omit", Sentence: "not looked for", PreviousSecret: 3},
				{Name: "new", Policy: "optional", Sentence: "no packets yet"},
			}}
		}
	})
	if err := dk.run(t, "", "status"); err != nil {
		t.Fatal(err)
	}
	dk.shows(t, `
otpgate v1, up 1h0m0s, ready
store  ready

CLIENT    SECRET                                              MESSAGE-AUTHENTICATOR
vpn       current 10000, previous 432, last 2026-07-01 12:00  learn                  seen in 10,432 of 10,432 packets for 14 days: safe to require
switches  current                                             required
old       previous only                                       omit                   not looked for
new       not seen yet                                        optional               no packets yet
`)
	if err := dk.run(t, "", "status", "--json"); err != nil || !strings.Contains(dk.out.String(), `"previous_secret": 432`) {
		t.Errorf("%v %s", err, &dk.out)
	}
}

// TestWhatADirectorySaysDoesNothingToATerminal: names, addresses and the words of a server are not ours.
func TestWhatADirectorySaysDoesNothingToATerminal(t *testing.T) {
	dk := open(t, func(o *operator.Options) {
		o.Invite = func(_ context.Context, a *directory.Account) (enroll.Invitation, error) {
			return enroll.Invitation{Account: a.ID, Name: a.Name, Mail: a.Mail, Code: "ABCDE-FGHJK", Expires: noon()}, nil
		}
		o.Status = func(context.Context) operator.Status {
			return operator.Status{Started: noon(), Checks: []operator.Check{{Name: "directories", State: "degraded", Detail: "corp: \x1b[2J\rgone"}}}
		}
	})
	for _, c := range []struct{ command, want string }{
		{"invite eve", `invitation for eve\x1b[2J\r (eve\x1b[2J\rroot@lab.example): ABCDE-FGHJK`},
		{"device add eve --label phone", ` of eve\x1b[2J\r (SHA1, `},
		{"device revoke eve phone", ` "phone" of eve\x1b[2J\r`},
		{"status", `corp: \x1b[2J\rgone`},
	} {
		err := dk.run(t, "", strings.Fields(c.command)...)
		if got := dk.out.String(); err != nil || !strings.Contains(got, c.want) || strings.ContainsAny(got, "\x1b\r") {
			t.Errorf("%s: %v %q, want %q", c.command, err, got, c.want)
		}
	}
}
