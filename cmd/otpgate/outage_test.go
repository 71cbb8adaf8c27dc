package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"otpgate/cmd/internal/tcplinktest"
	"otpgate/directory/slapdtest"
	"otpgate/enroll/smtptest"
	"otpgate/otp/redisstore/redistest"
	"otpgate/radius/radiustest"
)

// These tests take away one peer of a node after the other, in every way in which a peer goes, and hold the
// node to what it has to do meanwhile: who is let in, who waits, what readiness says, how soon that is
// noticed, and how soon all is as before when the peer is back. Each prints its figures. In the short form a link
// hangs, and is reset, once.

const (
	noticed   = 6 * time.Second  // until readiness says what is wrong: a check of 2 s, asked for again and again
	started   = 15 * time.Second // until a node that starts without a peer says so
	recovered = 6 * time.Second  // until everything works again; mails are apart, which wait to be tried again
	budget    = 3 * time.Second  // after which no answer comes any more
	atOnce    = 250 * time.Millisecond
)

// outages is how often each fault comes: once, or for as long as $OTPGATE_SOAK says.
func outages(t *testing.T) func(round int) bool {
	t.Helper()
	until := time.Now()
	if soak := os.Getenv("OTPGATE_SOAK"); soak != "" {
		long, err := time.ParseDuration(soak)
		if err != nil {
			t.Fatal(err)
		}
		until = until.Add(long / 4) // there are four of these tests
	}
	return func(round int) bool { return round == 0 || time.Now().Before(until) }
}

// outage is a node with its peers behind links, and people who log in.
type outage struct {
	*rig
	node            *member
	slapd           *slapdtest.Server
	redis           *redistest.Server // nil: the embedded store
	smtp            *smtptest.Server
	ldap, store, mx *tcplinktest.Link // store: nil with the embedded one

	crowd     *crowd          // known to the node: their accounts were asked for lately
	usual     []time.Duration // that their logins take when nothing is wrong
	strangers int             // names that were never asked for
	posts     int
	vpn       *radiustest.Client // by code
	staff     *radiustest.Client // by password and code
	apart     *radiustest.Client // by code, for whoever is not known
}

// outagePeople is how many people there are. Each has a code a minute, and one more at the beginning.
func outagePeople() int {
	if soaking() {
		return 1000
	}
	return 300
}

// outageOptions say what kind of node it is.
type outageOptions struct {
	redis bool          // else the embedded store
	more  string        // of the configuration
	first func(*outage) // before anything is in its folder
}

// newOutage starts what a node needs, and the node.
func newOutage(t *testing.T, with outageOptions) *outage {
	t.Helper()
	o := &outage{rig: newRig(t), crowd: newCrowd(0, outagePeople())}
	if with.first != nil {
		with.first(o)
	}
	var people strings.Builder
	people.WriteString(slapdtest.Entries)
	for i := range outagePeople() {
		fmt.Fprintf(&people, "\ndn: uid=%[1]s,ou=people,%[2]s\nobjectClass: inetOrgPerson\nuid: %[1]s\ncn: %[1]s\nsn: %[1]s\nmail: %[1]s@corp.example\nuserPassword: %[1]s-secret\n",
			personName(i), slapdtest.BaseDN)
	}
	o.slapd = slapdtest.Start(t, slapdtest.Options{TLS: true, LDIF: people.String()})
	o.smtp = smtptest.Start(t, smtptest.Options{Username: "otp", Password: "smtp-secret"})
	o.ldap, o.mx = tcplinktest.Start(t, o.slapd.Addr()), tcplinktest.Start(t, o.smtp.Addr)
	store := ""
	if with.redis {
		o.redis = redistest.Start(t)
		o.store = tcplinktest.Start(t, o.redis.Addr)
		store = fmt.Sprintf("store: {redis: {addresses: [%q]}}\n", o.store.Addr)
	}
	o.node = o.member("n1")
	o.write("n1.yaml", fmt.Sprintf(`data_dir: data
radius:
  listen: [%q]
  accounting: [%q]
  reject_delay: 100ms
  clients:
    - {name: vpn, networks: [127.0.0.1/32], secret: testing-secret}
    - {name: staff, networks: [127.0.0.2/32], secret: staff-secret, login: password+code}
directories:
  - {name: corp, urls: ["ldap://%s"], start_tls: true, ca_file: %q, base_dn: %q, bind_dn: %q, bind_password: %q, cache: {fresh: 1m, stale: 1h}}
enroll:
  listen: %q
  public_url: "http://%s"
  policy: anyone
  mail: {from: "otp@corp.example", smtp: "smtp://%s", ca_file: %q, username: otp, password: smtp-secret}
metrics: {listen: %q}
%s%s`, o.node.radius, o.node.accounting, o.ldap.Addr, o.slapd.CAFile, o.slapd.BaseDN, o.slapd.ServiceDN, o.slapd.ServicePassword,
		o.node.enroll, o.node.enroll, o.mx.Addr, o.smtp.CAFile, o.node.metrics, store, with.more))
	o.node.start()
	o.node.becomes("ok")
	o.node.importPeople(outagePeople())
	o.vpn, o.staff, o.apart = o.node.gateway("127.0.0.1", "testing-secret"), o.node.gateway("127.0.0.2", "staff-secret"), o.node.gateway("127.0.0.1", "testing-secret")
	if got := o.login(o.vpn); got != "accept" {
		t.Fatalf("before anything is wrong: %s", got)
	}
	if got := o.password(budget); got != "accept" {
		t.Fatalf("before anything is wrong, with a password: %s", got)
	}
	o.usual = o.known(t, 20)
	return o
}

// acquaint has everybody log in once, so that the node knows them: an import asks the directory about people, and
// remembers none of them.
func (o *outage) acquaint() {
	o.t.Helper()
	const sides = 4
	var all sync.WaitGroup
	for range sides {
		c := o.node.gateway("127.0.0.1", "testing-secret")
		all.Go(func() {
			for range outagePeople() / sides {
				expect(o.t, "somebody's first login", o.login(c), "accept")
			}
		})
	}
	all.Wait()
	if known := o.node.metric("otpgate_directory_known_accounts"); known < float64(outagePeople()) {
		o.t.Fatalf("the node knows %v people, want %d", known, outagePeople())
	}
}

// login has somebody who is known log in with a fresh code.
func (o *outage) login(c *radiustest.Client) string {
	o.t.Helper()
	person, code := o.crowd.fresh(o.t)
	return verdict(c, c.Login(personName(person), code).Octets(), budget)
}

// password is login with a password before the code.
func (o *outage) password(within time.Duration) string {
	o.t.Helper()
	person, code := o.crowd.fresh(o.t)
	return verdict(o.staff, o.staff.Login(personName(person), personName(person)+"-secret"+code).Octets(), within)
}

// stranger asks about a name that the node has never heard: it is refused when the directory has none either.
func (o *outage) stranger(within time.Duration) string {
	o.strangers++
	return verdict(o.apart, o.apart.Login(fmt.Sprintf("stranger%d", o.strangers), "000000").Octets(), within)
}

// enrolls asks for a mail to nobody, and returns the status.
func (o *outage) enrolls() int {
	o.posts++
	return o.node.post(o.posts, fmt.Sprintf("nobody%d@corp.example", o.posts))
}

// figures are what a fault was measured at.
type figures struct {
	row, fault                  string
	notice, ready, login, total time.Duration // until noticed; until readiness, logins and everything are back
	latencies                   []time.Duration
	goroutines, files           float64 // more than before
}

func (f *figures) String() string {
	text := fmt.Sprintf("figures: outage row=%q fault=%q", f.row, f.fault)
	for _, part := range []struct {
		name string
		took time.Duration
	}{{"noticed", f.notice}, {"ready_again", f.ready}, {"logins_again", f.login}, {"all_again", f.total}} {
		if part.took > 0 {
			text += fmt.Sprintf(" %s=%s", part.name, ms(part.took))
		}
	}
	text += fmt.Sprintf(" goroutines=%+.0f files=%+.0f", f.goroutines, f.files)
	if n := len(f.latencies); n > 0 {
		slices.Sort(f.latencies)
		text += fmt.Sprintf(" known_logins=%d p50=%s p99=%s max=%s", n, ms(f.latencies[n/2]), ms(f.latencies[n*99/100]), ms(f.latencies[n-1]))
	}
	return text
}

func ms(d time.Duration) string { return d.Round(time.Millisecond).String() }

// level is how many goroutines and descriptors the node has when nothing is going on.
type level struct{ goroutines, files float64 }

func (o *outage) level() level {
	o.t.Helper()
	return level{o.node.metric("go_goroutines"), o.node.metric("process_open_fds")}
}

// settles waits until the node has no more goroutines and descriptors than before, but for a few that pools
// keep.
func (o *outage) settles(f *figures, before level) {
	o.t.Helper()
	const more = 10
	var now level
	if !eventually(func() bool {
		now = o.level()
		return now.goroutines <= before.goroutines+more && now.files <= before.files+more
	}) {
		o.t.Errorf("%s %s leaves something over: %+v, and %+v before", f.row, f.fault, now, before)
	}
	f.goroutines, f.files = now.goroutines-before.goroutines, now.files-before.files
}

// soon fails the test when something took too long, or never came.
func soon(t *testing.T, what string, most time.Duration, is func() bool) time.Duration {
	t.Helper()
	took, ok := after(patience, is)
	if !ok || took > slack(most) {
		t.Errorf("%s took %v, of %v at most (came: %t)", what, took, slack(most), ok)
	}
	return took
}

// slack is how long something may take on a machine that is busy with other tests.
func slack(d time.Duration) time.Duration { return 2 * d }

// trouble is a way in which a peer goes.
type trouble struct {
	name        string
	begin, over func()
	silent      bool // of a disk: it refuses nothing, so that nothing is lost
}

// troubles are those of a link, and those of the process behind it; in the short form the two that differ most.
func troubles(l *tcplinktest.Link, more ...trouble) []trouble {
	faults := []tcplinktest.Fault{tcplinktest.Hang, tcplinktest.Reset}
	if soaking() {
		faults = append(faults, tcplinktest.Drip, tcplinktest.Refuse)
	} else {
		more = nil
	}
	var all []trouble
	for _, f := range faults {
		all = append(all, trouble{name: f.String(), begin: func() { l.Set(f) }, over: func() { l.Set(tcplinktest.None) }})
	}
	return append(all, more...)
}

// during runs what has to be so while a peer is away, all at once, so that nobody waits for another.
func during(checks ...func()) {
	var all sync.WaitGroup
	for _, check := range checks {
		all.Go(check)
	}
	all.Wait()
}

// expect fails the test when something else came.
func expect[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// goOn has people who are known log in, one after the other, and expects that all get in, as soon as they do
// while nothing is wrong, or in no time at all.
func (o *outage) goOn(t *testing.T, f *figures, number int) {
	t.Helper()
	f.latencies = o.known(t, number)
	if now, most := nineOfTen(f.latencies), max(atOnce, 5*nineOfTen(o.usual)); now > most {
		t.Errorf("nine of ten logins of people who are known take up to %v, of %v at most", now, most)
	}
}

// known has people who are known log in, and returns how long each took.
func (o *outage) known(t *testing.T, number int) []time.Duration {
	t.Helper()
	c := o.node.gateway("127.0.0.1", "testing-secret")
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	took := make([]time.Duration, number)
	for i := range took {
		<-pace.C
		begun := time.Now()
		got := o.login(c)
		took[i] = time.Since(begun)
		expect(t, "somebody who is known", got, "accept")
	}
	slices.Sort(took)
	return took
}

func nineOfTen(sorted []time.Duration) time.Duration { return sorted[len(sorted)*9/10] }

// eachFault has a peer go and come back in every way, once or for as long as a soak takes.
func eachFault(t *testing.T, all []trouble, without func(*testing.T, trouble)) {
	for round, more := 0, outages(t); more(round); round++ {
		for _, fault := range all {
			t.Run(fault.name, func(t *testing.T) { without(t, fault) })
		}
	}
}

// TestDirectoryOutageSoak: people whose accounts were seen lately go on; whoever needs the directory gets no
// answer, so that the gateway asks another node, and nobody enrolls.
func TestDirectoryOutageSoak(t *testing.T) {
	t.Parallel()
	o := newOutage(t, outageOptions{})
	o.acquaint()
	all := troubles(o.ldap,
		trouble{name: "stopped (SIGSTOP)", begin: o.slapd.Freeze, over: o.slapd.Thaw},
		trouble{name: "ended", begin: o.slapd.Stop, over: o.slapd.Start})
	eachFault(t, all, o.withoutDirectory)
	o.startsWithout(t, "directory", o.ldap, "degraded")
}

func (o *outage) withoutDirectory(t *testing.T, fault trouble) {
	f := &figures{row: "directory", fault: fault.name}
	before := o.level()
	fault.begin()
	during(
		func() { f.notice = soon(t, "noticing", noticed, func() bool { return o.node.says("degraded") }) },
		func() { o.goOn(t, f, 50) },
		func() { expect(t, "somebody whom the node has not met", o.stranger(budget), "silence") },
		func() { expect(t, "a login with a password", o.password(budget), "silence") },
		func() {
			soon(t, "enrollment", noticed, func() bool { return o.enrolls() == 503 })
		},
	)
	begun := time.Now()
	fault.over()
	during(
		func() { f.ready = soon(t, "readiness", recovered, func() bool { return o.node.says("ok") }) },
		func() {
			f.login = soon(t, "a stranger's login", recovered, func() bool { return o.stranger(500*time.Millisecond) == "reject" })
		},
		func() {
			soon(t, "a login with a password", recovered, func() bool { return o.password(time.Second) == "accept" })
		},
		func() { soon(t, "enrollment", recovered, func() bool { return o.enrolls() == 202 }) },
	)
	f.total = time.Since(begun)
	o.settles(f, before)
	t.Log(f)
}

// says reports whether the node calls itself so.
func (m *member) says(state string) bool {
	got, _ := m.health("")
	return got == state
}

// startsWithout starts the node while a peer hangs: it comes up, says what is wrong, and works when the peer does.
// In the short form it does not.
func (o *outage) startsWithout(t *testing.T, row string, l *tcplinktest.Link, state string) {
	t.Helper()
	if !soaking() {
		return
	}
	o.node.stop()
	l.Set(tcplinktest.Hang)
	o.node.start()
	up := soon(t, "the start", started, func() bool { return o.node.says(state) })
	l.Set(tcplinktest.None)
	back := soon(t, "readiness", recovered, func() bool { return o.node.says("ok") })
	again := soon(t, "a login", recovered, func() bool { return o.login(o.vpn) == "accept" })
	t.Logf("figures: outage row=%q fault=\"hangs at the start\" up_after=%s ready_after=%s logins_after=%s", row, ms(up), ms(back), ms(again))
}

// TestStoreOutageSoak: without the store nobody is let in, and nobody who could be is refused: the gateway asks another
// node. Whom the directory does not know is refused as ever (radius/doc.go).
func TestStoreOutageSoak(t *testing.T) {
	t.Parallel()
	o := newOutage(t, outageOptions{redis: true})
	all := troubles(o.store,
		trouble{name: "stopped (SIGSTOP)", begin: o.redis.Freeze, over: o.redis.Thaw},
		trouble{name: "ended", begin: o.redis.Stop, over: o.redis.Start})
	eachFault(t, all, o.withoutStore)
	o.startsWithout(t, "store", o.store, "not_ready")
}

func (o *outage) withoutStore(t *testing.T, fault trouble) {
	f := &figures{row: "store", fault: fault.name}
	before := o.level()
	person, code := o.crowd.fresh(t)
	first := o.vpn.Login(personName(person), code).Octets()
	fault.begin()
	during(
		func() { f.notice = soon(t, "noticing", noticed, func() bool { return o.node.says("not_ready") }) },
		func() { expect(t, "somebody who is known", verdict(o.vpn, first, budget), "silence") },
		func() {
			expect(t, "a name that nobody has, for which no store is needed", o.stranger(budget), "reject")
		},
		func() { expect(t, "a login with a password", o.password(budget), "silence") },
		func() { soon(t, "enrollment", noticed, func() bool { return o.enrolls() == 503 }) },
	)
	begun := time.Now()
	fault.over()
	during(
		func() { f.ready = soon(t, "readiness", recovered, func() bool { return o.node.says("ok") }) },
		func() {
			// The same packet, as the gateway sends it again: whether or not its claim has reached Redis, the
			// person gets in.
			last := ""
			f.login = soon(t, "the login that got no answer", recovered, func() bool {
				last = verdict(o.vpn, first, 500*time.Millisecond)
				return last != "silence"
			})
			expect(t, "the login that got no answer", last, "accept")
		},
		func() {
			soon(t, "a login with a password", recovered, func() bool { return o.password(time.Second) == "accept" })
		},
		func() { soon(t, "enrollment", recovered, func() bool { return o.enrolls() == 202 }) },
	)
	f.total = time.Since(begun)
	expect(t, "the same code in another packet", verdict(o.vpn, o.vpn.Login(personName(person), code).Octets(), budget), "reject")
	o.settles(f, before)
	t.Log(f)
}

// TestMailOutageSoak: whoever logs in does not notice, whoever enrolls gets the mail when the server is back,
// once.
func TestMailOutageSoak(t *testing.T) {
	t.Parallel()
	o := newOutage(t, outageOptions{})
	for round, more := 0, outages(t); more(round) && round < 4; round++ { // an account gets a few mails, and no more
		for i, fault := range troubles(o.mx) {
			t.Run(fault.name, func(t *testing.T) { o.withoutMail(t, fault, personName(10*round+i)+"@corp.example") })
		}
	}
	o.startsWithout(t, "mail", o.mx, "ok")
}

func (o *outage) withoutMail(t *testing.T, fault trouble, address string) {
	const mailed = 15 * time.Second // a mail that was not taken is tried again after 5 s, and then after 10 s
	f := &figures{row: "mail", fault: fault.name}
	before, had := o.level(), len(o.smtp.To(address))
	fault.begin()
	o.posts++
	expect(t, "enrollment", o.node.post(o.posts, address), 202)
	during(
		func() { o.goOn(t, f, 50) },
		func() { expect(t, "a login with a password", o.password(budget), "accept") },
		func() {
			state, _ := o.node.health("")
			expect(t, "readiness", state, "ok")
		},
	)
	expect(t, "mails while the server is away", len(o.smtp.To(address)), had)
	begun := time.Now()
	fault.over()
	soon(t, "the mail", mailed, func() bool { return len(o.smtp.To(address)) > had })
	f.total = time.Since(begun)
	o.settles(f, before)
	expect(t, "mails", len(o.smtp.To(address)), had+1)
	t.Log(f)
}
