package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"otpgate/otp/redisstore/redistest"
	"otpgate/radius/radiustest"
)

// People by number: the first log in by phones that are right while a clock is set, the next ones by phones that
// are as wrong as the node, and the last when all is over.
const (
	rightPeople  = 500
	wrongPeople  = 100
	restedPeople = 40
	clockPeople  = rightPeople + wrongPeople + restedPeople
)

// clockSteps are what the clock of a node is set by, and in the long form some of them again: codes of another
// time come back, as those of the right time do in the end.
func clockSteps() []time.Duration {
	steps := []time.Duration{time.Second, time.Minute, -time.Minute, time.Hour, -time.Hour, time.Hour, -time.Second, 0}
	if !soaking() {
		steps = slices.Delete(steps, 5, 6)
	}
	return steps
}

// clockDwell is how long the clock stays as it was set: not long, or as $OTPGATE_SOAK says.
func clockDwell(t *testing.T) time.Duration {
	t.Helper()
	soak := os.Getenv("OTPGATE_SOAK")
	if soak == "" {
		return 500 * time.Millisecond
	}
	long, err := time.ParseDuration(soak)
	if err != nil {
		t.Fatal(err)
	}
	return max(long/time.Duration(2*len(clockSteps())), time.Second)
}

// wrongClock is a node whose clock is set, beside one whose clock is right where they share a store.
type wrongClock struct {
	*rig
	right, wrong *member // the same one with the embedded store
	storm        *storm
	off          time.Duration

	codes []used // that got in by phones as wrong as the node
	next  int    // of those people
	ahead int    // one of them who got in when it was an hour ahead; 0: nobody
}

func newWrongClock(t *testing.T, redis bool) *wrongClock {
	t.Helper()
	w := &wrongClock{rig: newRig(t), storm: &storm{people: rightPeople, accepted: map[attemptKey][16]byte{}}}
	store, names := "", []string{"n1"}
	if redis {
		store, names = fmt.Sprintf("store: {redis: {addresses: [%q]}}\n", redistest.Start(t).Addr), []string{"n1", "n2"}
	}
	var people strings.Builder
	for i := range clockPeople {
		fmt.Fprintf(&people, "dn: uid=%s,dc=lab\nobjectClass: inetOrgPerson\nuid: %[1]s\n\n", personName(i))
	}
	w.write("people.ldif", people.String())
	w.write("clock", "0s")
	for _, name := range names {
		m := w.member(name)
		w.write(name+".yaml", fmt.Sprintf(`data_dir: %s
radius:
  listen: [%q]
  reject_delay: 100ms
  clients: [{name: vpn, networks: [127.0.0.0/8], secret: testing-secret}]
directories: [{name: lab, ldif_file: people.ldif, base_dn: "dc=lab"}]
metrics: {listen: %q}
log: {level: warn}
%s`, name, m.radius, m.metrics, store))
		if w.right == nil {
			w.right = m
		} else {
			w.write(name+"/keyset.json", w.read("n1/keyset.json"))
		}
		w.wrong = m
		if name == names[len(names)-1] {
			m.program, m.env = "otpgate-set", []string{"CLOCK=" + w.path("clock")}
		}
		m.start()
		m.becomes("ok")
	}
	w.right.importPeople(clockPeople)
	return w
}

func (r *rig) read(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(r.path(name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// underLoad has gateways log people in at both nodes, every code twice, until stop.
func (w *wrongClock) underLoad() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var gateways sync.WaitGroup
	for range 4 {
		one, other := w.right.gateway("127.0.0.1", "testing-secret"), w.wrong.gateway("127.0.0.1", "testing-secret")
		gateways.Go(func() {
			for ctx.Err() == nil {
				w.storm.gateways(ctx, one, other)
			}
		})
	}
	return func() {
		cancel()
		gateways.Wait()
	}
}

// set sets the clock of the wrong node.
func (w *wrongClock) set(by time.Duration) {
	w.off = by
	w.write("clock", by.String())
}

// asWrong has people log in at the wrong node, whose phones show the codes of its time.
func (w *wrongClock) asWrong(c *radiustest.Client, number int) (let int) {
	w.t.Helper()
	for range number {
		person := rightPeople + w.next%wrongPeople
		w.next++
		code := codeOf(person, time.Now().Add(w.off).Unix()/60)
		if verdict(c, c.Login(personName(person), code).Octets(), budget) == "accept" {
			w.codes = append(w.codes, used{person, code})
			let++
			if w.off == time.Hour {
				w.ahead = person
			}
		}
	}
	return let
}

// replay sends codes that got in once more, to both nodes: so many of those of phones that are right, and all
// of the others.
func (w *wrongClock) replay(number int) {
	w.t.Helper()
	all := append([]used{}, w.codes...)
	w.storm.mu.Lock()
	for key := range w.storm.accepted { // in no order
		if len(all) >= len(w.codes)+number {
			break
		}
		all = append(all, used{key.person, codeOf(key.person, key.step)})
	}
	w.storm.mu.Unlock()
	var both sync.WaitGroup
	for _, m := range []*member{w.right, w.wrong} {
		for part := range slices.Chunk(all, len(all)/16+1) { // a refusal takes 100 ms
			c := m.gateway("127.0.0.1", "testing-secret")
			both.Go(func() {
				for _, u := range part {
					if got := verdict(c, c.Login(personName(u.person), u.code).Octets(), budget); got == "accept" {
						w.t.Errorf("off by %v: %s gets in by a code that was used, at %s", w.off, personName(u.person), m.name)
					}
				}
			})
		}
	}
	both.Wait()
}

// retransmitted sends a packet that was answered before the clock was set once more: it is the same packet, and
// gets the same answer.
func (w *wrongClock) retransmitted(c *radiustest.Client, to time.Duration) {
	w.t.Helper()
	person := rightPeople + w.next%wrongPeople
	w.next++
	code := codeOf(person, time.Now().Add(w.off).Unix()/60)
	packet := c.Login(personName(person), code).Octets()
	if verdict(c, packet, budget) != "accept" {
		w.set(to)
		return // it is the same minute as when the clock stood there before
	}
	w.codes = append(w.codes, used{person, code})
	from := w.off
	w.set(to)
	if got := verdict(c, packet, budget); got != "accept" {
		w.t.Errorf("set from %v to %v: a packet that was accepted gets %s", from, to, got)
	}
}

// TestClockIsSetSoak sets the clock of one of two nodes on one Redis, forward and back, while people log in at
// both: no code gets in twice, the alarm is raised and lowered, nobody whose node is right notices, and
// everything is as before when the clock is.
func TestClockIsSetSoak(t *testing.T) {
	t.Parallel()
	w := newWrongClock(t, true)
	stop := w.underLoad()
	c := w.wrong.gateway("127.0.0.1", "testing-secret")
	for _, by := range clockSteps() {
		w.retransmitted(c, by)
		state := "ok"
		if by.Abs() > period/2 {
			state = "degraded"
		}
		raised := soon(t, "the alarm", noticed, func() bool { // of this time, and not of the one before, which had one as well
			got, words := w.wrong.health("store")
			off := time.Duration(w.wrong.metric("otpgate_clock_offset_seconds") * float64(time.Second))
			return got == state && strings.Contains(words, "this clock and the store's differ by") == (state == "degraded") && (off-by).Abs() <= 2*time.Second
		})
		let := w.asWrong(c, 5)
		if let == 0 && by >= 0 {
			t.Errorf("set by %v: nobody gets in with the codes of that time", by)
		}
		pause(context.Background(), clockDwell(t))
		w.replay(60)
		expect(t, "readiness of the node whose clock is right", w.right.says("ok"), true)
		t.Logf("figures: clock set_by=%s store=redis readiness=%q after=%s let_in_by_codes_of_that_time=%d", by, state, ms(raised), let)
	}
	stop()
	w.afterwards(t)
	raised, lowered := strings.Count(w.wrong.log.String(), "is not the store's"), strings.Count(w.wrong.log.String(), "is the store's again")
	if raised == 0 || raised < lowered {
		t.Errorf("the alarm was raised %d times in the log, and lowered %d times", raised, lowered)
	}
}

// TestClockIsSetAloneSoak is the same with the embedded store, which has no clock to compare with: that the
// clock was set is told.
func TestClockIsSetAloneSoak(t *testing.T) {
	t.Parallel()
	w := newWrongClock(t, false)
	stop := w.underLoad()
	c := w.wrong.gateway("127.0.0.1", "testing-secret")
	for _, by := range clockSteps() {
		w.retransmitted(c, by)
		let := w.asWrong(c, 5)
		pause(context.Background(), clockDwell(t))
		if by == time.Hour { // it looks every ten seconds, and all may be over before it does
			soon(t, "that the clock was set", 15*time.Second, func() bool { return w.wrong.metric("otpgate_clock_set_total") > 0 })
		}
		w.replay(60)
		t.Logf("figures: clock set_by=%s store=embedded let_in_by_codes_of_that_time=%d", by, let)
	}
	stop()
	w.afterwards(t)
	expect(t, "the log says so", strings.Contains(w.wrong.log.String(), "this node's clock was set"), true)
}

// afterwards is what has to be so when the clock is right again: nobody waits for a time that the clock showed
// once, no code got in twice, and nothing took less than no time.
func (w *wrongClock) afterwards(t *testing.T) {
	t.Helper()
	w.set(0)
	if len(w.storm.twice) > 0 {
		t.Errorf("codes that got in twice: %v", w.storm.twice)
	}
	w.replay(300)
	// At the node whose clock was wrong, everybody gets in who did nothing meanwhile. Of those who logged in there
	// some have to wait for a minute: what they see now was used, and the next code is in no window of a device that
	// has learned to be slow.
	c := w.wrong.gateway("127.0.0.1", "testing-secret")
	again := func(from, to int) (let, tried int, refused []int) {
		for person := from; person < to && tried < restedPeople; person++ {
			step := time.Now().Unix() / 60
			if _, ok := w.storm.accepted[attemptKey{person, step + 1}]; ok {
				continue // the code after that is not good yet
			}
			if _, ok := w.storm.accepted[attemptKey{person, step}]; ok {
				step++
			}
			tried++
			if verdict(c, c.Login(personName(person), codeOf(person, step)).Octets(), budget) == "accept" {
				let++
			} else {
				refused = append(refused, person)
			}
		}
		return let, tried, refused
	}
	rested, all, _ := again(rightPeople+wrongPeople, clockPeople)
	expect(t, "those who get in when the clock is right again", rested, all)
	let, tried, refused := again(0, rightPeople)
	if let < tried/2 {
		t.Errorf("the clock is right again, and %d of %d get in who logged in meanwhile", let, tried)
	}
	for person, ahead := range map[int]bool{w.ahead: true, clockPeople - 1: false} {
		says := w.wrong.run("explain", "--client", "vpn", "--account", personName(person))
		if strings.Contains(says, "a clock was ahead") != ahead {
			t.Errorf("explained of one who got in an hour ahead, %v:\n%s", ahead, says)
		}
	}
	waited := w.waited(c, refused)
	for _, m := range []*member{w.right, w.wrong} {
		for _, sum := range regexp.MustCompile(`(?m)^(otpgate_\S+_seconds_sum\S*) (\S+)$`).FindAllStringSubmatch(m.scrape(), -1) {
			if value, err := strconv.ParseFloat(sum[2], 64); err != nil || value < 0 || value > 3600 {
				t.Errorf("%s: %s is %s", m.name, sum[1], sum[2])
			}
		}
	}
	t.Logf("figures: clock requests=%d accepted=%d refused=%d silent=%d twice=%d in_afterwards=%d_of_%d in_again=%d_of_%d in_after_two_minutes=%d_of_%d",
		w.storm.requests.Load(), len(w.storm.accepted), w.storm.refused.Load(), w.storm.silent.Load(), len(w.storm.twice), rested, all, let, tried, waited, len(refused))
}

// waited has people log in whom the node refused when its clock was right again, with what right phones show two minutes
// later, when all steps are past that anybody has used. The node does not wait for them: its clock is set, and
// theirs with it. No right code is wrong then, nor used, whatever their devices have learned; who has been wrong
// too often has to wait for longer. It returns how many get in.
func (w *wrongClock) waited(c *radiustest.Client, people []int) (let int) {
	w.t.Helper()
	const end = 5 * time.Second // of a minute, in which one may begin another minute than the other
	if left := time.Minute - time.Since(time.Unix(0, 0))%time.Minute; left < end {
		pause(context.Background(), left)
	}
	w.set(2 * time.Minute)
	reject := func(reason string) float64 {
		return w.wrong.metric(fmt.Sprintf(`otpgate_radius_attempts_total{client="vpn",decision="reject",reason=%q}`, reason))
	}
	reasons := []string{"code_wrong", "code_used", "throttled"}
	before := make(map[string]float64)
	for _, reason := range reasons {
		before[reason] = reject(reason)
	}
	for _, person := range people {
		code := codeOf(person, time.Now().Add(w.off).Unix()/60)
		if verdict(c, c.Login(personName(person), code).Octets(), budget) == "accept" {
			let++
		}
	}
	for _, reason := range reasons[:2] {
		expect(w.t, "right codes after two minutes that are "+reason, reject(reason)-before[reason], 0)
	}
	expect(w.t, "those who get in after two minutes, or have to wait", float64(let)+reject("throttled")-before["throttled"], float64(len(people)))
	return let
}
