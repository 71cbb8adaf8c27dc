package enroll_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"otpgate/directory"
	"otpgate/enroll"
)

// slowFor is a directory that takes its time over whoever it knows.
type slowFor struct {
	enroll.Accounts
	delay time.Duration
}

func (s *slowFor) FindMail(ctx context.Context, mail string) (*directory.Account, error) {
	a, err := s.Accounts.FindMail(ctx, mail)
	if err == nil {
		timer := time.NewTimer(s.delay)
		defer timer.Stop()
		<-timer.C
	}
	return a, err
}

// TestTimeTellsNothing: a request for a code is answered at a fixed time, a refusal at a multiple
// of it, however long the work for an account takes.
func TestTimeTellsNothing(t *testing.T) {
	const answerAfter, slack = 400 * time.Millisecond, 200 * time.Millisecond
	w := start(t, func(_ *world, o *enroll.Options) {
		o.AnswerAfter, o.Now = answerAfter, time.Now
		o.Accounts = &slowFor{o.Accounts, 150 * time.Millisecond}
	})
	for _, path := range []string{"/v1/enrollments", "/v1/devices"} {
		for _, email := range []string{"alice@corp.example", "nobody@corp.example", "gone@corp.example", "twins@corp.example", ""} {
			members := map[string]string{"email": email}
			if path == "/v1/devices" {
				members["code"], members["label"] = "0000-0000", "phone"
			}
			takes(t, path+" for "+email, answerAfter, slack, func() { w.post(path, members) })
		}
	}
}

// TestTimeOfLongerWork: what takes longer than the fixed time is answered at the next multiple.
func TestTimeOfLongerWork(t *testing.T) {
	const answerAfter = 300 * time.Millisecond
	w := start(t, func(_ *world, o *enroll.Options) {
		o.AnswerAfter, o.Now = answerAfter, time.Now
		o.Accounts = &slowFor{o.Accounts, answerAfter + 50*time.Millisecond}
	})
	takes(t, "a refusal", 2*answerAfter, 200*time.Millisecond, func() {
		w.refused(map[string]string{"email": "alice@corp.example", "code": "0000-0000", "label": "phone"})
	})
}

// takes checks that something never takes less than a time, and not much more either, unless the
// machine is busy with something else five times in a row.
func takes(t *testing.T, what string, want, slack time.Duration, do func()) {
	t.Helper()
	var took time.Duration
	for range 5 {
		began := time.Now()
		do()
		if took = time.Since(began); took < want-time.Millisecond {
			break
		}
		if took < want+slack {
			return
		}
	}
	t.Errorf("%s took %v, not %v", what, took, want)
}

// TestNothingOfACodeIsKept: in no file of the node is a code, an invitation, or a seed.
func TestNothingOfACodeIsKept(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.Policy = enroll.Invited })
	code, _ := w.request("alice@corp.example")
	i, err := w.invite("alice")
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{code, strings.ReplaceAll(code, "-", ""), i.Code, strings.ReplaceAll(i.Code, "-", "")}
	search := func(when string) {
		t.Helper()
		files := 0
		err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			files++
			octets, err := os.ReadFile(path)
			for _, secret := range secrets {
				if bytes.Contains(octets, []byte(secret)) {
					t.Errorf("%s: a secret is in %s", when, filepath.Base(path))
				}
			}
			return err
		})
		if err != nil || files < 2 {
			t.Fatalf("%d files, %v", files, err)
		}
	}
	search("before")
	status, answer := w.device(map[string]string{"email": "alice@corp.example", "code": code, "label": "x", "confirmation": i.Code})
	if status != http.StatusCreated {
		t.Fatalf("%d %v", status, answer)
	}
	uri, _ := answer["otpauth"].(string)
	secrets = append(secrets, seedOf(uri))
	search("after")
	for _, secret := range secrets {
		if strings.Contains(w.logged.String(), secret) || strings.Contains(fmt.Sprint(w.trail.all()), secret) {
			t.Error("a secret is in the log, or on record")
		}
	}
}

// TestAnswerDoesNotTellWhatIsNeeded: with or without a device, invited or not, the answers are the
// same to the octet; the mails are not.
func TestAnswerDoesNotTellWhatIsNeeded(t *testing.T) {
	w := start(t, nil)
	w.enroll("alice@corp.example")
	answers := map[string]bool{}
	for _, email := range []string{"alice@corp.example", "wang@corp.example", "nobody@corp.example"} {
		for path, body := range map[string]string{
			"/v1/enrollments": `{"email":"` + email + `"}`,
			"/v1/devices":     `{"email":"` + email + `","code":"0000-0000","label":"x"}`,
		} {
			res := w.do(http.MethodPost, path, body, "Content-Type", "application/json")
			answers[path+" "+res.Status+" "+headers(res)+read(t, res)] = true
		}
	}
	if len(answers) != 2 {
		t.Errorf("%d different answers: %v", len(answers), answers)
	}
}

// TestLanguageOfMails: the person's own first, then the browser's.
func TestLanguageOfMails(t *testing.T) {
	for _, c := range []struct{ email, accept, code, second string }{
		{"alice@corp.example", "", "Your enrollment code", "A new phone"},
		{"alice@corp.example", "pt-BR,pt;q=0.9", "código de registo", "novo telemóvel"},
		{"alice@corp.example", "zh-TW", "註冊碼", "新的手機"},
		{"alice@corp.example", "de", "Your enrollment code", "A new phone"},
		{"wang@corp.example", "pt-BR", "註冊碼", "新的手機"},
		{"bia@corp.example", "zh-TW", "código de registo", "novo telemóvel"},
	} {
		w := start(t, nil)
		body := func(members string) string { return `{"email":"` + c.email + `"` + members + `}` }
		w.do(http.MethodPost, "/v1/enrollments", body(""), "Content-Type", "application/json", "Accept-Language", c.accept)
		m := w.smtp.Wait(context.Background(), c.email, 0)
		res := w.do(http.MethodPost, "/v1/devices", body(`,"label":"x","code":"`+codeInMail.FindString(m.Text)+`","public_key":"`+publicKey(t)+`"`), "Content-Type", "application/json", "Accept-Language", c.accept)
		second := w.smtp.Wait(context.Background(), c.email, m.Number)
		if res.StatusCode != http.StatusCreated || !strings.Contains(m.Subject, c.code) || !strings.Contains(second.Subject, c.second) {
			t.Errorf("%s, %q: %d, %q, %q", c.email, c.accept, res.StatusCode, m.Subject, second.Subject)
		}
	}
}

// TestLabelsThatAreRefused spend nothing, and the others come back as they were.
func TestLabels(t *testing.T) {
	w := start(t, nil)
	code, m := w.request("alice@corp.example")
	for _, label := range []string{"a\u202eb", "a\u0007b", "a\nb", "a\u2028b", "a\u009bb", "\u2066x", "a\x00b", "\ufffd", strings.Repeat("x", 65), strings.Repeat("機", 22)} {
		status, answer := w.device(map[string]string{"email": "alice@corp.example", "code": code, "label": label})
		if status != http.StatusBadRequest || answer["type"] != "urn:otpgate:malformed" {
			t.Errorf("%q: %d %v", label, status, answer)
		}
	}
	const label = `<img src=x onerror=alert(1)> "O'Brien" & 我的手機`
	status, answer := w.device(map[string]string{"email": "alice@corp.example", "code": code, "label": "  " + label + " "})
	if status != http.StatusCreated || answer["label"] != label {
		t.Fatalf("%d %v", status, answer)
	}
	second := w.smtp.Wait(context.Background(), "alice@corp.example", m.Number)
	if strings.Contains(second.HTML, "<img") || !strings.Contains(second.HTML, "&lt;img") || !strings.Contains(second.Text, label) {
		t.Errorf("the mail:\n%s\n%s", second.Text, second.HTML)
	}
}

// TestTypedAddressIsWrittenSafely: what nobody has is on record without what terminals obey.
func TestTypedAddressIsWrittenSafely(t *testing.T) {
	w := start(t, nil)
	w.post("/v1/enrollments", map[string]string{"email": "a\x1b[2J\u009b2J\u202e\n@" + strings.Repeat("語", 1000)})
	eventually(t, "on record", func() bool { return len(w.trail.all()) == 1 })
	if name := w.trail.all()[0].Name; strings.ContainsAny(name, "\x1b\u009b\u202e\n") || len(name) > 110 {
		t.Errorf("%q", name)
	}
}

// TestOverload: what does not fit is told so at once, and nothing of it is begun.
func TestOverload(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) {
		o.Limits.InFlight, o.AnswerAfter = 3, 300*time.Millisecond
	})
	var all sync.WaitGroup
	var mu sync.Mutex
	count := map[int]int{}
	for range 40 {
		all.Go(func() {
			status, _ := w.post("/v1/enrollments", map[string]string{"email": "nobody@corp.example"})
			mu.Lock()
			defer mu.Unlock()
			count[status]++
		})
	}
	all.Wait()
	if count[http.StatusAccepted] < 3 || count[http.StatusTooManyRequests] == 0 || count[http.StatusAccepted]+count[http.StatusTooManyRequests] != 40 {
		t.Errorf("%v", count)
	}
	if status, _ := w.post("/v1/enrollments", map[string]string{"email": "nobody@corp.example"}); status != http.StatusAccepted {
		t.Errorf("after it: %d", status)
	}
}

// TestClockJumps: back, and nothing is given away; forward, and codes are over.
func TestClockJumps(t *testing.T) {
	w := start(t, nil)
	code, _ := w.request("alice@corp.example")
	w.clock.advance(-48 * time.Hour)
	w.refused(map[string]string{"email": "alice@corp.example", "code": "0000-0000", "label": "x"})
	if status, _ := w.post("/v1/enrollments", map[string]string{"email": "wang@corp.example"}); status != http.StatusAccepted {
		t.Error(status)
	}
	w.clock.advance(96 * time.Hour)
	w.refused(map[string]string{"email": "alice@corp.example", "code": code, "label": "x"})
	if n := w.count(alice); n != 0 {
		t.Errorf("%d devices", n)
	}
}

// FuzzRevocationToken: nothing but a token that we made is one.
func FuzzRevocationToken(f *testing.F) {
	w := start(f, nil)
	token, err := w.server.RevocationToken(alice, "alice", "aaaaaaaaaaaaaaaa")
	if err != nil {
		f.Fatal(err)
	}
	if !w.server.IsRevocationToken(token) {
		f.Fatal("a token that we made is none: nothing can be proved")
	}
	f.Add(token[:len(token)-1])
	f.Add(token + "\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, typed string) {
		if typed != token && w.server.IsRevocationToken(typed) {
			t.Fatalf("%q is taken for a token", typed)
		}
	})
}
