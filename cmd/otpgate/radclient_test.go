package main

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// asked is what a gateway was told to send, and to whom.
type asked struct {
	kind       string // auth, acct or status, as radclient calls them
	port       string // the variable that holds it
	secret     string
	proof      string // the attribute that the password goes into
	password   string // the directory's, with a code
	signed     bool   // with Message-Authenticator
	unsigned   bool   // a reply without one is what is wanted
	attributes []string
}

// options takes what the commands below have in common:
//
//	secret=S                      another secret than testing-secret
//	port=VARIABLE                 another port than the usual one
//	from=ADDRESS                  another gateway: 127.0.0.2 and so on
//	proof=pap|chap|mschap         what becomes of the password
//	static-challenge=PASSWORD     the password is a code, and goes with this one as OpenVPN sends both
//	message-authenticator=none    the request carries none
//	reply=unsigned                the reply has to carry none; else it has to begin with one
//	Attribute=value               as FreeRADIUS calls it; octets as 0x...; as often as needed
func (q *asked) options(ts *testscript.TestScript, args []string) {
	q.secret, q.signed = "testing-secret", q.kind != "acct"
	for _, option := range args {
		key, value, ok := strings.Cut(option, "=")
		switch {
		case !ok:
			ts.Fatalf("radclient: %q is no key=value", option)
		case key == "secret":
			q.secret = value
		case key == "port":
			q.port = value
		case key == "from":
			q.attributes = append(q.attributes, "Packet-Src-IP-Address = "+value)
		case key == "static-challenge":
			q.password = value
		case key == "proof":
			q.proof = map[string]string{"pap": "User-Password", "chap": "CHAP-Password", "mschap": "MS-CHAP-Password"}[value]
		case option == "message-authenticator=none":
			q.signed = false
		case option == "reply=unsigned":
			q.unsigned = true
		default:
			q.add(key, value)
		}
	}
}

func (q *asked) add(name, value string) {
	if !strings.HasPrefix(value, "0x") {
		value = fmt.Sprintf("%q", value)
	}
	q.attributes = append(q.attributes, name+" = "+value)
}

// cmdRadclient logs in with FreeRADIUS's radclient and checks what comes of it. The reply, as
// radclient shows it, is stdout for the commands that follow.
//
//	radclient accept|challenge|reject|silence USER PASSWORD [option...]
func cmdRadclient(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 3, "radclient accept|challenge|reject|silence USER PASSWORD [key=value...]")
	q := asked{kind: "auth", port: "RADIUS", proof: "User-Password"}
	q.options(ts, args[3:])
	q.add("User-Name", args[1])
	q.add(q.proof, q.typed(ts, args[2]))
	q.expect(ts, args[0])
}

// typed is what goes into the packet: the code itself, or "SCRV1:password:code", the two in base64,
// which is what OpenVPN makes of the answers to static-challenge.
func (q *asked) typed(ts *testscript.TestScript, code string) string {
	if q.password == "" {
		return code
	}
	both := "SCRV1:" + base64.StdEncoding.EncodeToString([]byte(q.password)) + ":" + base64.StdEncoding.EncodeToString([]byte(code))
	b := benchOf(ts)
	b.secrets = append(b.secrets, both)
	return both
}

// cmdAccounting reports a session, or the start of a gateway, with radclient.
//
//	accounting ack|silence Start|Interim-Update|Stop|Accounting-On|Accounting-Off [option...]
func cmdAccounting(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "accounting ack|silence STATUS-TYPE [key=value...]")
	q := asked{kind: "acct", port: "ACCOUNTING"}
	q.options(ts, args[2:])
	q.add("Acct-Status-Type", args[1])
	q.expect(ts, args[0])
}

// cmdStatusServer asks whether a port is alive (RFC 5997).
//
//	status-server accept|ack|silence [option...]
func cmdStatusServer(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "status-server accept|ack|silence [key=value...]")
	q := asked{kind: "status", port: "RADIUS"}
	q.options(ts, args[1:])
	q.expect(ts, args[0])
}

// expect has radclient send it and checks the outcome: what the code of the reply is called, or
// silence. radclient itself checks the authenticators of a reply.
func (q *asked) expect(ts *testscript.TestScript, want string) {
	if q.signed {
		q.add("Message-Authenticator", "0x00")
	}
	// An answer is waited for as gateways do, who send again when a node could not tell in time.
	// Silence is proved by waiting, so it is worth a second.
	tries, timeout := "3", "4"
	if want == "silence" {
		tries, timeout = "1", "1.5"
	}
	cmd := bounded(ts, "radclient", "-x", "-r", tries, "-t", timeout, "127.0.0.1:"+ts.Getenv(q.port), q.kind, q.secret)
	cmd.Stdin = strings.NewReader(strings.Join(q.attributes, ", ") + "\n")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		ts.Fatalf("radclient (Debian package freeradius-utils): %v", err)
	}
	got, reply := outcome(string(out))
	if got != want {
		ts.Fatalf("radclient: %s, want %s\n%s\n%s", got, want, out, lastLines(ts, 6))
	}
	switch {
	case got == "silence" || got == "ack":
	case q.unsigned && strings.Contains(reply, "Message-Authenticator"):
		ts.Fatalf("radclient: the reply has a Message-Authenticator\n%s", out)
	case !q.unsigned && !beginsSigned(reply):
		ts.Fatalf("radclient: the reply does not begin with Message-Authenticator\n%s", out)
	}
	_, err = ts.Stdout().Write([]byte(reply))
	ts.Check(err)
}

// outcome reads what radclient says: its name here, and the part that is about the reply.
func outcome(out string) (name, reply string) {
	if at := strings.Index(out, "Received "); at >= 0 {
		reply = out[at:]
	}
	for code, name := range map[string]string{
		"Access-Accept": "accept", "Access-Challenge": "challenge", "Access-Reject": "reject", "Accounting-Response": "ack",
	} {
		if strings.HasPrefix(reply, "Received "+code+" ") {
			return name, reply
		}
	}
	if strings.Contains(out, "No reply from server") {
		return "silence", ""
	}
	return "something else", reply
}

// beginsSigned reports whether the first attribute of a reply is Message-Authenticator, which is what
// radclient -b of newer versions asks for (draft-ietf-radext-deprecating-radius section 5.2.4).
func beginsSigned(reply string) bool {
	return regexp.MustCompile(`^[^\n]*\n\s+Message-Authenticator = 0x[0-9a-f]{32}\n`).MatchString(reply)
}

// lastLines is the end of what the nodes and the proxies said, and who of them has ended, for a test that
// failed.
func lastLines(ts *testscript.TestScript, n int) string {
	var out strings.Builder
	b := benchOf(ts)
	for _, started := range []map[string]*process{b.nodes, b.proxies} {
		for _, p := range started {
			lines := strings.Split(strings.TrimSpace(ts.ReadFile(p.log)), "\n")
			fmt.Fprintf(&out, "%s:\n%s\n", p.log, strings.Join(lines[max(0, len(lines)-n):], "\n"))
			select {
			case <-p.exited:
				fmt.Fprintf(&out, "%s has ended: %v\n", p.cmd.Path, p.cmd.ProcessState)
			default:
			}
		}
	}
	return out.String()
}
