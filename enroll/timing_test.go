package enroll_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"otpgate/directory"
	"otpgate/enroll"
	"otpgate/otp"
)

// How much is measured, and how it is judged.
//
// Half of the requests name somebody, half nobody, in an order that is drawn at random, so that
// whatever the machine does meanwhile happens to both alike: if the time of an answer does not depend
// on which of the two it is, every order was as likely, and the statistics are distributed as the
// books say, however the times themselves are, and however much they depend on one another. The
// bounds are then passed by chance in fewer than one of a million comparisons each. With 2,000 of each
// kind a shift by a fifth of the standard deviation is seen.
//
// What the hold cannot hide is work that takes longer than it: such an answer leaves at the next
// multiple. On a machine that is busy with something else that may happen here, and more often to
// those who are known. So a comparison that passes a bound is made again, twice, each time with a
// quarter as many requests at once: a difference that is not the crowd's at the door stays.
const (
	perKind      = 2000
	people       = 250
	boundRanks   = 4.90 // two-sided p = 1e-6 of a normal distribution
	boundLargest = 2.70 // p = 2 exp(-2 d²) = 1e-6
)

// tell says in what two samples differ, "" if they do not.
func tell(a, b []float64) string {
	if z := mannWhitney(a, b); z > boundRanks || z < -boundRanks {
		return fmt.Sprintf("one is later than the other: z = %.1f", z)
	}
	if d := kolmogorovSmirnov(a, b); d > boundLargest {
		return fmt.Sprintf("they are distributed differently: d = %.1f", d)
	}
	return ""
}

// question is a call that must not tell who is known. The i-th request is for one of two.
type question struct {
	path    string
	members func(i int, known bool) map[string]string
}

// address is one that somebody has, or nobody; both look alike.
func address(i int, known bool) string {
	return fmt.Sprintf("%s%03d@crowd.example", map[bool]string{true: "p", false: "q"}[known], i%people)
}

// account is the id of one that is there, or not.
func account(i int, known bool) string {
	return fmt.Sprintf("0b000000-0000-4000-%d000-%012d", map[bool]int{true: 8, false: 9}[known], i%people)
}

// questions are all of them: about somebody, and about nobody.
func (c *crowd) questions() map[string]question {
	email := func(more map[string]string) func(int, bool) map[string]string {
		return func(i int, known bool) map[string]string {
			members := map[string]string{"email": address(i, known)}
			maps.Copy(members, more)
			return members
		}
	}
	proof := func(more map[string]string) func(int, bool) map[string]string {
		return func(i int, known bool) map[string]string {
			members := map[string]string{
				"account": account(i, known), "device": c.devices[i%people], "at": fmt.Sprint(time.Now().UnixMilli()), "proof": strings.Repeat("A", 27),
			}
			maps.Copy(members, more)
			return members
		}
	}
	return map[string]question{
		"a code is requested":   {"/v1/enrollments", email(nil)},
		"a link is requested":   {"/v1/links", email(nil)},
		"a wrong code is tried": {"/v1/devices", email(map[string]string{"code": "0000-0000", "label": "phone"})},
		"a removal is tried":    {"/v1/devices/remove", proof(nil)},
		"a new name is tried":   {"/v1/devices/rename", proof(map[string]string{"label": "phone"})},
	}
}

// crowd is a world with many people, each with a device and a code that can be tried, and a directory
// that takes its time over those that it knows.
type crowd struct {
	*world
	devices []string // ids, one of each account
}

func startCrowd(t *testing.T, answerAfter time.Duration) *crowd {
	t.Helper()
	var ldif strings.Builder
	ldif.WriteString("dn: dc=crowd\nobjectClass: domain\ndc: crowd\n")
	for i := range people {
		fmt.Fprintf(&ldif, "\ndn: uid=p%03[1]d,dc=crowd\nobjectClass: inetOrgPerson\nuid: p%03[1]d\ncn: P\nsn: P\nmail: p%03[1]d@crowd.example\nentryUUID: %[2]s\n", i, account(i, true))
	}
	file := filepath.Join(t.TempDir(), "crowd.ldif")
	if err := os.WriteFile(file, []byte(ldif.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	accounts, err := directory.New(directory.Options{Now: time.Now, Directories: []directory.Config{{
		Name: "crowd", LDIF: file, BaseDN: "dc=crowd", LoginAttributes: []string{"uid"}, MailAttributes: []string{"mail"},
		Fresh: time.Minute, Stale: time.Hour, Timeout: 10 * time.Second,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = accounts.Close() })
	w := start(t, func(_ *world, o *enroll.Options) {
		o.AnswerAfter, o.Now, o.Accounts = answerAfter, time.Now, &slowFor{accounts, 5 * time.Millisecond}
		o.Limits.MailboxBurst = 1
	})
	c := &crowd{w, make([]string, people)}
	var adding sync.WaitGroup
	for i := range people {
		adding.Go(func() {
			a, err := accounts.FindMail(context.Background(), address(i, true))
			if err != nil {
				t.Error(err)
				return
			}
			dev, _, err := w.devices.Add(context.Background(), otp.NewDevice{Account: a.ID, Label: "phone"})
			c.devices[i] = dev.ID
			err = errors.Join(err, w.store.PutTicket(context.Background(), otp.Ticket{
				Kind: otp.EnrollmentTicket, Account: a.ID, Tries: 1 << 20, Expires: time.Now().Add(time.Hour),
			}))
			if err != nil || a.ID != account(i, true) {
				t.Errorf("%s: %v", a.ID, err)
			}
		})
	}
	adding.Wait()
	return c
}

// meant is the key under which a request's context says that somebody is.
type meant struct{}

// course is how questions are asked: of whom, how many at once, and how far apart at first.
type course struct {
	handler http.Handler
	atOnce  int
	pace    time.Duration
	tries   int // how often all must be told apart to be called so
}

// pause lets time pass that nothing is waited for in.
func pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

// asked is what a question takes, in seconds, about somebody and about nobody.
type asked struct{ known, unknown []float64 }

// measure asks each question as often as is said above, all of them at random among each other, and
// checks that all answers to one are the same to the octet.
func measure(t *testing.T, c course, all map[string]question) map[string]asked {
	t.Helper()
	type one struct {
		name  string
		i     int
		known bool
	}
	var order []one
	for name := range all {
		for i := range perKind {
			order = append(order, one{name, i, true}, one{name, i, false})
		}
	}
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	took := make([]float64, len(order))
	answers := make([]string, len(order))
	next := make(chan int)
	var workers sync.WaitGroup
	for range c.atOnce {
		workers.Go(func() {
			pause(rand.N(c.pace)) // not in step
			for at := range next {
				o := order[at]
				text, err := json.Marshal(all[o.name].members(o.i, o.known))
				if err != nil {
					t.Error(err)
				}
				r := httptest.NewRequest(http.MethodPost, all[o.name].path, strings.NewReader(string(text)))
				r.Header.Set("Content-Type", "application/json")
				if all[o.name].path == "/v1/devices" { // else most would be one too many of one source
					r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:1", at>>16, at>>8&0xff, at&0xff)
				}
				r = r.WithContext(context.WithValue(r.Context(), meant{}, o.known)) // which no server sees
				recorder := httptest.NewRecorder()
				began := time.Now()
				c.handler.ServeHTTP(recorder, r)
				took[at] = time.Since(began).Seconds()
				res := recorder.Result()
				answers[at] = res.Status + "\n" + headers(res) + recorder.Body.String()
			}
		})
	}
	for at := range order {
		next <- at
	}
	close(next)
	workers.Wait()
	found, first := map[string]asked{}, map[string]string{}
	for at, o := range order {
		f := found[o.name]
		if o.known {
			f.known = append(f.known, took[at])
		} else {
			f.unknown = append(f.unknown, took[at])
		}
		found[o.name] = f
		if first[o.name] == "" {
			first[o.name] = answers[at]
		}
		if answers[at] != first[o.name] {
			t.Fatalf("%s: two answers:\n%s\n%s", o.name, first[o.name], answers[at])
		}
	}
	return found
}

// toldApart are the questions whose time tells who is known, again and again.
func toldApart(t *testing.T, c course, all map[string]question) map[string]string {
	t.Helper()
	told := map[string]string{}
	for try := range c.tries {
		told = map[string]string{}
		fewer := c
		fewer.atOnce = max(1, c.atOnce>>(2*try))
		for name, a := range measure(t, fewer, all) {
			told[name] = tell(a.known, a.unknown)
			slices.Sort(a.known)
			slices.Sort(a.unknown)
			t.Logf("%s, try %d: medians %.2f and %.2f ms, z = %.2f, d = %.2f %s", name, try+1,
				1000*a.known[perKind/2], 1000*a.unknown[perKind/2], mannWhitney(a.known, a.unknown), kolmogorovSmirnov(a.known, a.unknown), told[name])
		}
		maps.DeleteFunc(told, func(_, how string) bool { return how == "" })
		again := map[string]question{}
		for name := range told {
			again[name] = all[name]
		}
		if all = again; len(all) == 0 {
			break
		}
	}
	return told
}

// TestTimeTellsNobodyApart: see above. What is left of the work is hidden by the hold: answers leave
// at multiples of a time that is the same for all, counted from when each request came.
func TestTimeTellsNobodyApart(t *testing.T) {
	t.Parallel()
	const answerAfter = 400 * time.Millisecond
	c := startCrowd(t, answerAfter)
	for name, how := range toldApart(t, course{c.server.Handler(), 480, answerAfter, 3}, c.questions()) {
		t.Errorf("%s: %s", name, how)
	}
}

// TestTimeWouldTellApart: the same measurement finds what it is there to find: work that is not hidden,
// and a hold that depends, by a few thousandths of a second, on who is meant.
func TestTimeWouldTellApart(t *testing.T) {
	t.Parallel()
	t.Run("without the hold", func(t *testing.T) {
		t.Parallel()
		name := "a wrong code is tried" // mails are made beside their answer, and what proofs take is not much
		c := startCrowd(t, time.Microsecond)
		all := map[string]question{name: c.questions()[name]}
		if told := toldApart(t, course{c.server.Handler(), 4, time.Millisecond, 1}, all); told[name] == "" {
			t.Errorf("%s: not told apart", name)
		}
	})
	t.Run("with a hold that depends on the account", func(t *testing.T) {
		t.Parallel()
		const answerAfter = 100 * time.Millisecond
		c := startCrowd(t, answerAfter)
		leaky := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			c.server.Handler().ServeHTTP(rw, r)
			if r.Context().Value(meant{}) == true {
				pause(3 * time.Millisecond)
			}
		})
		all := c.questions()
		told := toldApart(t, course{leaky, 100, answerAfter, 1}, all)
		for name := range all {
			if told[name] == "" {
				t.Errorf("%s: not told apart", name)
			}
		}
	})
}
