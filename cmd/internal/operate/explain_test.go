package operate_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"otpgate/cmd/internal/console"
	"otpgate/enroll/operator"
)

func TestExplain(t *testing.T) {
	var asked operator.ExplainRequest
	dk := open(t, func(o *operator.Options) {
		o.Explain = func(_ context.Context, q operator.ExplainRequest) (operator.Explanation, error) {
			asked = q
			return operator.Explanation{
				Steps: []operator.Step{
					{Name: "client", Outcome: operator.StepOK, Detail: "vpn, profile ocserv"},
					{Name: "account", Outcome: operator.StepUnknown, Detail: "the directory\x1b[1m is gone"},
					{Name: "code", Outcome: operator.StepStop, Detail: "no device has it"},
				},
				Decision: "reject", Reason: "code_wrong",
				Reply: []operator.ReplyAttribute{
					{Name: "Message-Authenticator", Value: "as the packet asks", Octets: "5012"}, {Name: "Class", Value: "OU=staff", Octets: "190a4f553d7374616666"},
				},
			}, nil
		}
	})
	const steps = `
ok    client   vpn, profile ocserv
?     account  the directory\x1b[1m is gone
STOP  code     no device has it
decision: reject (code_wrong)
`
	if err := dk.run(t, "", "explain", "--client", "vpn", "--account", "alice", "--code", "755224", "--station", "aa-bb"); err != nil {
		t.Fatal(err)
	}
	dk.shows(t, steps)
	if asked != (operator.ExplainRequest{Client: "vpn", Account: "alice", Code: "755224", Station: "aa-bb"}) {
		t.Errorf("%#v", asked)
	}
	if err := dk.run(t, "pass word 287082\r\nmore\n", "explain", "--client", "vpn", "--account", "alice", "--code", "-", "--reply"); err != nil {
		t.Fatal(err)
	}
	dk.shows(t, steps+`reply:
  Message-Authenticator  "as the packet asks"  5012
  Class                  "OU=staff"            190a4f553d7374616666
`)
	if asked.Code != "pass word 287082" || dk.err.Len() > 0 {
		t.Errorf("%q was read; said: %s", asked.Code, &dk.err)
	}
	if err := dk.run(t, "", "explain", "--client", "vpn", "--account", "alice", "--json"); err != nil || !strings.Contains(dk.out.String(), `"octets": "190a4f553d7374616666"`) || asked.Code != "" {
		t.Errorf("%v %s", err, &dk.out)
	}
	on, err := os.ReadFile(dk.trail)
	if err != nil || strings.Count(string(on), `"explained"`) != 3 || strings.Contains(string(on), "755224") || strings.Contains(string(on), "287082") {
		t.Errorf("on record: %s, %v", on, err)
	}
}

func TestWhatIsAskedToBeExplainedIsWhole(t *testing.T) {
	dk := open(t, func(*operator.Options) {})
	for _, args := range []string{
		"", "--client vpn", "--account alice", "--client= --account alice", "--client vpn --account=", "--client vpn --account alice --code=",
		"--client vpn --account alice --code -", "--client vpn --account alice --station=", "--client vpn --account alice bob",
	} {
		err := dk.run(t, "\n", append([]string{"explain"}, strings.Fields(args)...)...)
		if hint, _ := console.Hint(err); !console.IsUsage(err) || hint == "" {
			t.Errorf("%s: %v", args, err)
		}
	}
	err := dk.run(t, "", "explain", "--client", "vpn", "--account", "alice")
	if hint, _ := console.Hint(err); err == nil || console.IsUsage(err) || hint == "" {
		t.Errorf("nothing explains: %v", err)
	}
}
