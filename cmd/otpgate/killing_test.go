package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"otpgate/radius/probe"
	"otpgate/radius/radiustest"
)

// cmdKilling kills the node n1, whose configuration is otpgate.yaml, while somebody works with it, so many
// times, or the second number in the long form. Each time it starts again.
//
//	killing import TIMES TIMES-IN-THE-LONG-FORM        devices of tokens.csv
//	killing enrollment TIMES TIMES-IN-THE-LONG-FORM    the first code of a person's authenticator
func cmdKilling(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 3, "killing import|enrollment TIMES TIMES-IN-THE-LONG-FORM")
	number := args[1]
	if soaking() {
		number = args[2]
	}
	times, err := strconv.Atoi(number)
	ts.Check(err)
	switch args[0] {
	case "import":
		killingImport(ts, times)
	case "enrollment":
		killingEnrollment(ts, times)
	default:
		ts.Fatalf("killing: import or enrollment")
	}
}

// killSoon kills the node within a time, by chance, and starts it again.
func killSoon(ts *testscript.TestScript, within time.Duration) {
	b := benchOf(ts)
	p := b.nodes["n1"]
	wait(p.exited, rand.N(within))
	ts.Check(p.cmd.Process.Kill())
	p.wait(ts, "n1")
	b.start(ts, "n1", []string{"serve", "--config", "otpgate.yaml"})
	cmdReady(ts, false, []string{"200"})
}

var imported = regexp.MustCompile(`^(\d+) added, (\d+) were there already, 0 not imported`)

// killingImport imports a file again and again. What it holds is there in the end, once.
func killingImport(ts *testscript.TestScript, times int) {
	file := []string{"device", "import", "--csv", "tokens.csv", "--config", "otpgate.yaml"}
	broken, long := 0, 2*time.Second // long: half of what an import takes here
	for range times {
		var out bytes.Buffer
		cmd := otpgateCommand(ts, file)
		cmd.Stdout = &out
		began := time.Now()
		ts.Check(cmd.Start())
		killSoon(ts, long)
		if err := cmd.Wait(); err != nil {
			broken++
			continue
		}
		long = max(time.Since(began)/2, 100*time.Millisecond)
	}
	for _, last := range []bool{false, true} {
		out, err := once(ts, file)
		ts.Check(err)
		m := imported.FindSubmatch(out)
		if m == nil {
			ts.Fatalf("import says %q", out)
		}
		added, err := strconv.Atoi(string(m[1]))
		ts.Check(err)
		existing, err := strconv.Atoi(string(m[2]))
		ts.Check(err)
		if total := strconv.Itoa(added + existing); total != ts.Getenv("FAMILY") || last && added > 0 {
			ts.Fatalf("%d added and %d there, of %s", added, existing, ts.Getenv("FAMILY"))
		}
		ts.Logf("figures: killing: %d imports, %d of them broken off; then %s", times, broken, bytes.TrimSpace(out))
	}
	// Each of them once. (The first people of the family may have enrolled besides.)
	family := familyOf(ts)
	for i := family.Len() / 2; i < family.Len(); i += family.Len() / 10 {
		if n := devicesOf(ts, string(family.Name(i))); n != 1 {
			ts.Fatalf("%s has %d devices", family.Name(i), n)
		}
	}
}

// devicesOf is how many devices an account has.
func devicesOf(ts *testscript.TestScript, name string) int {
	list, err := once(ts, []string{"device", "list", name, "--config", "otpgate.yaml", "--json"})
	ts.Check(err)
	var devices []struct{}
	ts.Check(json.Unmarshal(list, &devices))
	return len(devices)
}

// killingEnrollment has people confirm an authenticator while the node dies, and again when it lives. A
// person who is refused then has no device, and gets one with another code by mail.
func killingEnrollment(ts *testscript.TestScript, times int) {
	var confirmed, there, again, anew int
	family := familyOf(ts)
	for i := range times {
		name := string(family.Name(i))
		o := offerTo(ts, name)
		answered := make(chan int, 1)
		go func() {
			status, _, _ := ask("POST", o.confirmation, o.body) // it may well fail
			answered <- status
		}()
		killSoon(ts, 40*time.Millisecond)
		first := <-answered
		devices := devicesOf(ts, name)
		second, _, err := ask("POST", o.confirmation, o.body)
		ts.Check(err)
		switch {
		case first == 201 && devices != 1:
			ts.Fatalf("%s was told of a device, and has %d", name, devices)
		case first == 201:
			confirmed++
		case devices == 1:
			there++ // and the answer died with the node; the authenticator has its seed
		case second == 201:
			again++
		default: // the mailed code is gone
			anew++
			o = offerTo(ts, name)
			status, text, err := ask("POST", o.confirmation, o.body)
			ts.Check(err)
			if status != 201 {
				ts.Fatalf("%s gets no device with a new code: status %d, %s", name, status, text)
			}
		}
		if n := devicesOf(ts, name); n != 1 {
			ts.Fatalf("%s has %d devices", name, n)
		}
		gateway := radiustest.Dial(benchOf(ts).tb(ts), "127.0.0.1:"+ts.Getenv("RADIUS"), "testing-secret")
		login := gateway.Login(name, oathtool(ts, o.seed, period, time.Now())).Octets()
		if !eventually(func() bool {
			r, err := gateway.Try(login, 3*time.Second)
			return err == nil && r.Is(probe.AccessAccept)
		}) {
			ts.Fatalf("%s is not let in by the authenticator", name)
		}
	}
	ts.Logf("figures: killing: %d enrollments: %d answered, %d with a device and no answer, %d confirmed again, %d with a new code",
		times, confirmed, there, again, anew)
}

// authenticatorOffer is what a person got to set up an authenticator, and the call that confirms it.
type authenticatorOffer struct{ seed, confirmation, body string }

var mailedCode = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b`)

// offerTo has a person ask for a code by mail, and for an authenticator with it.
func offerTo(ts *testscript.TestScript, name string) (o authenticatorOffer) {
	b := benchOf(ts)
	server, address := "http://127.0.0.1:"+ts.Getenv("ENROLL"), name+"@example.org"
	post := func(path string, want int, body map[string]string) []byte {
		text, err := json.Marshal(body)
		ts.Check(err)
		status, answer, err := ask("POST", server+path, string(text))
		ts.Check(err)
		if status != want {
			ts.Fatalf("POST %s: status %d, want %d\n%s", path, status, want, answer)
		}
		return answer
	}
	before := len(b.peers.smtp.Mails())
	post("/v1/enrollments", 202, map[string]string{"email": address})
	code := ""
	if !eventually(func() bool {
		for _, m := range b.peers.smtp.Mails()[before:] {
			if strings.EqualFold(m.To, address) {
				code = mailedCode.FindString(m.Text)
			}
		}
		return code != ""
	}) {
		ts.Fatalf("no mail to %s", address)
	}
	var answer struct{ Token, OTPAuth string }
	ts.Check(json.Unmarshal(post("/v1/devices", 202, map[string]string{"email": address, "code": code, "label": "phone"}), &answer))
	uri, err := url.Parse(answer.OTPAuth)
	ts.Check(err)
	o.seed, o.confirmation = uri.Query().Get("secret"), server+"/v1/confirmations"
	o.body = fmt.Sprintf(`{"token":%q,"code":%q}`, answer.Token, oathtool(ts, o.seed, period, time.Now()))
	return o
}
