//go:build soak

package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"otpgate/otp/redisstore/redistest"
)

const (
	soakChunk  = 20_000           // how many log in at a run of the generator, first of all; each run waits for late answers at its end
	soakPeriod = 15 * time.Second // the shortest, so that fewer devices make as many logins
	soakFresh  = "10m"            // so that everybody is asked for again some times, also while the directory is away
	soakLeast  = 3 * time.Minute  // less proves nothing about what grows
	soakBusy   = 0.95             // of the devices that log in: how many do so in each step
	soakCalm   = time.Minute      // that nothing is done for after each round, so that what goes wrong by itself has no excuse
)

// soakDevices is how many there are: as many as half of what two nodes can do takes on a fast machine. With the race detector
// that is less.
var soakDevices = map[bool]int{false: 120_000, true: 40_000}[raceEnabled]

// TestNodesSoak has people log in at two nodes on a Redis with a replica, at half the rate that they can do, for as long
// as $OTPGATE_SOAK says, while one node after the other thing is ended and comes back: the second node by SIGTERM and by
// SIGKILL, Redis by a failover, the directory. Every accepted code is sent once more to the other node.
//
//   - no code is accepted twice, and nobody is refused wrongly, by a late answer neither;
//   - of a thousand logins one may be lost, which three tries did not save; of a thousand codes that are sent once more
//     one may be without an answer;
//   - goroutines, descriptors, memory and heap of the first node, which runs all the time, are what they were;
//   - no line at Warn or Error is in the logs that expected has no reason for.
func TestNodesSoak(t *testing.T) {
	duration, err := time.ParseDuration(os.Getenv("OTPGATE_SOAK"))
	if err != nil {
		t.Fatal("OTPGATE_SOAK is no duration: make soak sets it")
	}
	duration = max(duration, soakLeast)
	s := newSoak(t)
	capacity := s.capacity()
	t.Logf("figures: the first node alone %.0f logins/s, both %.0f with 256 outstanding", s.most("64", s.steady), s.most("256", s.steady, s.other))
	rate := min(capacity/4, float64(soakDevices)/soakPeriod.Seconds()*soakBusy) // half of what they can do: each is sent once more
	s.people = min(soakDevices, int(rate*soakPeriod.Seconds()/soakBusy)+1)
	t.Logf("%.0f logins/s at most; %.0f of %d devices and as many replays from here on, for %s", capacity, rate, s.people, duration)

	around := newWatch(s.redis[0].Addr, s.redis[1].Addr)
	load := s.start("--replay", "at-once", "--new-step", "--rate", fmt.Sprintf("%.0f", rate), "--duration", duration.String(), "--max-lost", "-1")
	began := time.Now()
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	next := began.Add(20 * time.Second)
	for running := true; running; {
		select {
		case <-load.ended:
			running = false
		case <-tick.C:
			s.sample(time.Since(began))
			if now := time.Now(); now.After(next) && now.Before(began.Add(duration-30*time.Second)) {
				calm := s.disturb()
				next = time.Now().Add(calm + 15*time.Second + rand.N(10*time.Second))
			}
		}
	}
	r := load.report(t)
	s.hitches = around.end()
	seen := still(s.hitches)
	for _, e := range r.Expectations {
		if !e.Held && e.Name != "few_lost" { // which has another measure here
			t.Errorf("%s: %s", e.Name, e.Detail)
		}
	}
	if r.Load.ElapsedSeconds < duration.Seconds() {
		t.Errorf("the load ended after %.1f s", r.Load.ElapsedSeconds)
	}
	if t.Failed() {
		t.Logf("why people were refused: %s", s.why())
		for _, m := range r.Mistakes {
			t.Logf("%s: %s, %s", m.What, m.Account, m.detail())
		}
	}
	if most := r.Logins.Begun / 1000; r.Logins.Lost > most {
		t.Errorf("%d of %d logins were lost", r.Logins.Lost, r.Logins.Begun)
	}
	if unseen := r.Replays.Lost + r.Replays.LeftOut; unseen > r.Logins.Accepted/1000 {
		t.Errorf("nobody knows what became of %d of %d accepted codes that came once more", unseen, r.Logins.Accepted)
	}
	if len(s.events) < 4 {
		t.Errorf("too little happened to prove anything: %v", s.events)
	}
	for _, e := range seen {
		s.events[e.name]++
	}
	s.done = append(s.done, seen...)
	slices.SortFunc(s.done, func(a, b event) int { return a.at.Compare(b.at) })
	s.flat()
	s.explained()
	t.Logf("figures: soak %s at %.0f logins/s and as many replays (capacity %.0f/s) of %d devices: %d logins, %d accepted, %d lost, %d replays refused, %d accepted, %d lost, %d left out, %d late answers; p50 %s, p99 %s, longest silence %s; %s",
		duration, rate, capacity, s.people, r.Logins.Begun, r.Logins.Accepted, r.Logins.Lost, r.Replays.Refused, r.Replays.Accepted, r.Replays.Lost,
		r.Replays.LeftOut, r.Packets.Late, short(r.Latency["accepted"].P50), short(r.Latency["accepted"].P99), short(r.Load.Silence), strings.Join(s.table(), "; "))
}

// soak is what runs, and what was seen of it.
type soak struct {
	*rig
	steady, other *target
	redis         [2]*redistest.Server // the first is the master
	sentinel      string
	generator     string
	people        int // who log in: no more than the rate takes, so that a node that was started has met them all after a step
	events        map[string]int
	done          []event // as they came
	hitches       []event // however short
	turn          int
	samples       []sample
	nodes         []string // metrics of the steady node that have to be flat
}

// event is something that was done to a node or its peers.
type event struct {
	at, over time.Time
	name     string
}

// Names of events that a line may be expected after.
const (
	stopped            = "node stopped"
	killed             = "node killed"
	failedOver         = "redis failed over"
	replicaKilled      = "redis replica killed"
	directoryRestarted = "directory restarted"
)

// sample is what the steady node said at a time.
type sample struct {
	at     time.Duration
	values map[string]float64
}

// flatness is what may be between the beginning and the end: a part, and something more.
type flatness struct {
	metric string
	part   float64
	more   float64
}

// bounds of what may grow. Caches are full when it is first looked at. Of goroutines a crew keeps 16 that have nothing to do,
// if it had work for them a while ago; one descriptor that stays with each fail-over of an hour is more than 10: some
// 12 of the 17 lie between the first and the last quarter.
func bounds() []flatness {
	return []flatness{
		{"go_goroutines", 0, 16},
		{"process_open_fds", 0, 10},
		{memoryMetric(), 0.15, 32 << 20},
		{"go_memstats_heap_inuse_bytes", 0.25, 24 << 20},
	}
}

// A reason is why a line at Warn or Error is to be expected.
type reason struct {
	line  *regexp.Regexp
	why   string
	after []string // one of these events went on, or was over for less than aftermath; nil: at any time
}

// aftermath is how long what was done has consequences: until a node that was started knows its accounts again, and all
// have found the new master.
const aftermath = 25 * time.Second

// explains reports whether the line is what the reason is for, in the log of either node at that time: while one is away all
// comes to the other, and one that starts takes the processors that both have.
func (r *reason) explains(line string, at time.Time, done []event) bool {
	return r.line.MatchString(line) && (r.after == nil || slices.ContainsFunc(done, func(e event) bool {
		return slices.Contains(r.after, e.name) && !at.Before(e.at.Truncate(time.Millisecond)) && at.Before(e.over.Add(aftermath))
	}))
}

// expected are the lines at Warn and Error that this soak provokes, each with the reason.
func expected() []reason {
	always := func(line, why string) reason { return reason{line: regexp.MustCompile(line), why: why} }
	after := func(line, why string, what ...string) reason { return reason{regexp.MustCompile(line), why, what} }
	hindered := []string{stopped, killed, failedOver, replicaKilled, directoryRestarted, stoodStill, redisSlow}
	return []reason{
		always(`a new keyset was made`, "the first node makes one"),
		always(`insecure_plaintext|passwords travel unencrypted`, "the directory of the soak has no TLS"),
		always(`takes writes that no replica has`, "its Redis does, which a node says when it begins"),
		always(`little room for packets`, "this machine's kernel keeps fewer than a node asks for"),
		after(`msg="Redis has another master"`, "its replica is the master then", failedOver),
		after(`msg="store unavailable, attempts get no reply"`, "Redis is away until its replica is the master, and those who wait for it say so",
			failedOver, replicaKilled, stopped, killed, stoodStill, redisSlow),
		after(`msg="attempts run out of time and get no reply"`, "those who wait for Redis, or for the directory, say so", hindered...),
		after(`msg="(directory (server failed|unavailable(, attempts get no reply)?)"|names are looked up one at a time)`, "the directory is stopped for a few seconds, or asked for everybody "+
			"by a node that has just started", directoryRestarted, stopped, killed, stoodStill),
		after(`reason=(too_slow|overload)`, "what is under way takes longer than gateways wait, or there is more of it than a node takes: while Redis fails "+
			"over, or a node has just started, which knows no account and asks for all of them", hindered...),
		after(`reason=client_share`, "all come through one gateway, which has most of the places when so many wait at a node that has just started, "+
			"or for Redis, or come at once when the machine has stood still", stopped, killed, failedOver, stoodStill, redisSlow),
	}
}

func newSoak(t *testing.T) *soak {
	s := &soak{rig: newRig(t, soakDevices, soakPeriod.String(), false), people: soakDevices, events: map[string]int{}}
	s.fresh = soakFresh
	master, replica, sentinel := redistest.StartSentinel(t)
	s.redis, s.sentinel = [2]*redistest.Server{master, replica}, sentinel.Addr
	s.patience(time.Minute) // a machine that is busy is no reason to fail over: nobody but this test is to begin it
	store := fmt.Sprintf("store: {redis: {addresses: [%q], master_name: %s}}\nlog: {level: warn}\naudit: {keep: 1}", sentinel.Addr, redistest.MasterName)
	s.steady, s.other = s.node("steady", store), s.node("other", store)
	s.steady.serve().enroll()
	if err := os.MkdirAll(s.path("data-other"), 0o700); err != nil {
		t.Fatal(err)
	}
	keys, err := os.ReadFile(s.path("data-steady/keyset.json"))
	if err != nil {
		t.Fatal(err)
	}
	s.write("data-other/keyset.json", string(keys))
	s.other.serve()
	s.generator = s.path("radload")
	build(t, s.generator, "otpgate/cmd/radload")
	return s
}

// loading is a generator that runs.
type loading struct {
	cmd       *exec.Cmd
	out, errs bytes.Buffer
	ended     chan struct{}
}

// start loads both nodes, in turn.
func (s *soak) start(args ...string) *loading {
	return s.load(append([]string{"--server", s.steady.addr, "--server", s.other.addr, "--spread"}, args...)...)
}

func (s *soak) load(args ...string) *loading {
	s.t.Helper()
	l := &loading{ended: make(chan struct{})}
	l.cmd = exec.Command(s.generator, append([]string{
		"run", "--secret", secret, "--master", "bench",
		"--count", fmt.Sprint(s.people), "--period", s.period, "--json", "--quiet", "--linger", "5s",
	}, args...)...)
	l.cmd.Stdout, l.cmd.Stderr = &l.out, &l.errs
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := l.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		_ = l.cmd.Wait()
		close(l.ended)
	}()
	s.t.Cleanup(func() {
		_ = l.cmd.Process.Kill()
		<-l.ended
	})
	return l
}

func (l *loading) report(t *testing.T) (r report) {
	t.Helper()
	<-l.ended
	if err := json.Unmarshal(l.out.Bytes(), &r); err != nil {
		t.Fatalf("%v\n%s", err, l.errs.String())
	}
	return r
}

// capacity is how many logins a second both nodes do with 64 outstanding in all, when nothing happens to them, and
// all accounts are known.
func (s *soak) capacity() float64 {
	s.t.Helper()
	for _, node := range []*target{s.steady, s.other} {
		for first := 0; first < soakDevices; first += soakChunk {
			s.load("--server", node.addr, "--first", fmt.Sprint(first), "--logins", fmt.Sprint(soakChunk), "--outstanding", "64", "--duration", "5m", "--reuse", "refused").report(s.t)
		}
	}
	return s.most("64", s.steady, s.other)
}

// most is how many logins a second nodes do with so many outstanding in all.
func (s *soak) most(outstanding string, nodes ...*target) float64 {
	s.t.Helper()
	args := []string{"--outstanding", outstanding, "--duration", "10s", "--new-step", "--spread"}
	for _, n := range nodes {
		args = append(args, "--server", n.addr)
	}
	return s.load(args...).report(s.t).Load.LoginsPerSecond
}

// disturb does one thing after the other, and says how long nothing else should be done after that beside the usual pause.
func (s *soak) disturb() (calm time.Duration) {
	s.t.Helper()
	disturbances := []struct {
		name string
		do   func()
	}{
		{stopped, func() { s.restart(syscall.SIGTERM) }},
		{failedOver, s.failOver},
		{killed, func() { s.restart(syscall.SIGKILL) }},
		{directoryRestarted, s.restartDirectory},
		{killed, func() { s.restart(syscall.SIGKILL) }},
		{replicaKilled, func() {
			s.redis[1].Kill()
			s.redis[1].Start()
		}},
	}
	d := disturbances[s.turn%len(disturbances)]
	s.turn++
	began := time.Now()
	d.do()
	s.done = append(s.done, event{began, time.Now(), d.name})
	s.events[d.name]++
	if s.turn%len(disturbances) == 0 {
		return soakCalm
	}
	return 0
}

// restart ends the second node, and starts it again.
func (s *soak) restart(signal syscall.Signal) {
	s.t.Helper()
	s.other.end(signal)
	s.other.serve()
}

// failOver stops the master, as an operator does: it hands on what its replica lacks, and the sentinel makes that the
// master. When it has told everybody, the old one comes back as a replica: had it been there before, nodes could have gone on
// with it, and what it was told would be lost. What a master takes along that dies is not for this test.
func (s *soak) failOver() {
	s.t.Helper()
	host, port, _ := net.SplitHostPort(s.redis[1].Addr)
	s.patience(2 * time.Second)
	defer s.patience(time.Minute)
	s.redis[0].Stop()
	await(s.t, "a new master", nil, func() bool {
		return strings.Contains(ask(s.redis[1].Addr, "ROLE"), "master") &&
			strings.Contains(ask(s.sentinel, "SENTINEL get-master-addr-by-name "+redistest.MasterName), port)
	})
	s.redis[0].Start()
	s.redis[0], s.redis[1] = s.redis[1], s.redis[0]
	await(s.t, "the old master as a replica", nil, func() bool {
		ask(s.redis[1].Addr, "REPLICAOF "+host+" "+port) // which a sentinel does as well, in its own time
		return strings.Contains(ask(s.redis[1].Addr, "ROLE"), "connected")
	})
}

// patience is how long the sentinel waits for the master. A failover of its own while this test kills the replica leaves
// two replicas and no master: what is started again here is what it was at first.
func (s *soak) patience(d time.Duration) {
	s.t.Helper()
	if answer := ask(s.sentinel, fmt.Sprintf("SENTINEL SET %s down-after-milliseconds %d", redistest.MasterName, d.Milliseconds())); !strings.HasPrefix(answer, "+OK") {
		s.t.Fatalf("the sentinel says %q", answer)
	}
}

// ask is the beginning of what a Redis answers to a command; "" when it does not.
func ask(addr, command string) string {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return ""
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := c.Write([]byte(command + "\r\n")); err != nil {
		return ""
	}
	room := make([]byte, 512)
	n, _ := c.Read(room)
	return string(room[:n])
}

func (s *soak) restartDirectory() {
	s.t.Helper()
	s.own[0].end(syscall.SIGTERM)
	pause := time.NewTimer(3 * time.Second)
	<-pause.C
	s.own[0] = s.launch("slapd", sbin("slapd"), "-d", "0", "-f", s.path("slapd.conf"), "-h", "ldap://127.0.0.1:"+s.ldap)
	await(s.t, "slapd", s.own[0].ended, func() bool { return listens(s.ldap) })
}

// sample asks the steady node.
func (s *soak) sample(at time.Duration) {
	s.t.Helper()
	answer, err := http.Get("http://" + s.steady.metrics + "/metrics")
	if err != nil {
		s.t.Fatalf("the steady node does not answer: %v", err)
	}
	defer func() { _ = answer.Body.Close() }()
	var text bytes.Buffer
	if _, err := text.ReadFrom(answer.Body); err != nil {
		s.t.Fatal(err)
	}
	values := map[string]float64{}
	for line := range strings.Lines(text.String()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if slices.ContainsFunc(bounds(), func(b flatness) bool { return b.metric == name }) {
			values[name], _ = strconv.ParseFloat(value, 64)
		}
	}
	if len(values) != len(bounds()) {
		s.t.Fatalf("of %d metrics there are %v", len(bounds()), values)
	}
	s.samples = append(s.samples, sample{at, values})
}

// ends are the least values of a metric in the first and in the last quarter, without the first eighth of all: what
// leaks raises them, and what a failover makes wait does not.
func (s *soak) ends(metric string) (first, last float64) {
	all := s.samples[len(s.samples)/8:]
	least := func(some []sample) float64 {
		return slices.MinFunc(some, func(a, b sample) int { return cmp.Compare(a.values[metric], b.values[metric]) }).values[metric]
	}
	return least(all[:len(all)/4]), least(all[len(all)*3/4:])
}

// flat fails the test when something has grown by more than its bounds.
func (s *soak) flat() {
	s.t.Helper()
	for _, b := range bounds() {
		if first, last := s.ends(b.metric); last > first*(1+b.part)+b.more {
			s.t.Errorf("%s has grown from %.0f to %.0f, by more than %.0f %% and %.0f", b.metric, first, last, b.part*100, b.more)
		}
	}
}

// table is what happened, and what was measured at both ends.
func (s *soak) table() (lines []string) {
	for name, count := range s.events {
		lines = append(lines, fmt.Sprintf("%d times %s", count, name))
	}
	slices.Sort(lines)
	for _, b := range bounds() {
		first, last := s.ends(b.metric)
		if strings.HasSuffix(b.metric, "_bytes") {
			lines = append(lines, fmt.Sprintf("%s %.1f to %.1f MiB", b.metric, first/(1<<20), last/(1<<20)))
			continue
		}
		lines = append(lines, fmt.Sprintf("%s %.0f to %.0f", b.metric, first, last))
	}
	return lines
}

// why counts the refusals in the trails by their reasons.
func (s *soak) why() string {
	reasons := map[string]int{}
	found := regexp.MustCompile(`"decision":"reject".*?"reason":"([a-z_]+)"`)
	for _, n := range []*target{s.steady, s.other} {
		files, _ := filepath.Glob(s.path("data-" + n.name + "/audit*"))
		for _, file := range files {
			text, _ := os.ReadFile(file)
			for _, m := range found.FindAllSubmatch(text, -1) {
				reasons[string(m[1])]++
			}
		}
	}
	return fmt.Sprint(reasons)
}

// toldAt is the time of a line of a log; zero when it does not tell.
func toldAt(line string) time.Time {
	text, _, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
	at, _ := time.Parse(time.RFC3339, text)
	return at
}

// between says what was done, or happened, last before a line of a log, and next after it.
func (s *soak) between(at time.Time) string {
	if at.IsZero() {
		return "at a time that it does not tell"
	}
	what := "before anything was done"
	for _, e := range s.done {
		if e.at.After(at) {
			return fmt.Sprintf("%s, and %s before %s", what, e.at.Sub(at).Round(time.Millisecond), e.name)
		}
		what = fmt.Sprintf("%s after %s", at.Sub(e.at).Round(time.Millisecond), e.name)
	}
	return what
}

// explained fails the test for every line at Warn or Error that nobody expects, and for every panic.
func (s *soak) explained() {
	s.t.Helper()
	reasons, unexplained := expected(), 0
	for _, n := range []*target{s.steady, s.other} {
		text, err := os.ReadFile(n.log)
		if err != nil {
			s.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			usual := !strings.Contains(line, "level=WARN") && !strings.Contains(line, "level=ERROR")
			at := toldAt(line)
			if strings.Contains(line, "panic") || !usual && !slices.ContainsFunc(reasons, func(r reason) bool { return r.explains(line, at, s.done) }) {
				if unexplained++; unexplained <= 10 {
					s.t.Errorf("%s: nobody expects this line, %s%s: %s", n.name, s.between(at), longest(s.hitches, at), line)
				}
			}
		}
	}
	if unexplained > 10 {
		s.t.Errorf("%d such lines in all", unexplained)
	}
}

// TestReasonsSoak: a line that is expected after something was done is so for a while, and after nothing else.
func TestReasonsSoak(t *testing.T) {
	at := time.Date(2026, 11, 27, 1, 0, 0, 0, time.UTC)
	done := []event{
		{at, at.Add(time.Second), replicaKilled},
		{at.Add(time.Minute), at.Add(time.Minute + 2*time.Second), killed},
		{at.Add(30 * time.Minute), at.Add(30*time.Minute + time.Second), directoryRestarted},
		{at.Add(time.Hour), at.Add(time.Hour + time.Second), failedOver},
		{at.Add(2 * time.Hour), at.Add(2*time.Hour + time.Second), stoodStill},
	}
	for _, c := range []struct {
		line  string
		since time.Duration
		want  bool
	}{
		{"level=WARN reason=client_share", time.Minute + time.Second, true},
		{"level=WARN reason=client_share", time.Minute + aftermath + time.Second, true},
		{"level=WARN reason=client_share", time.Minute + aftermath + 2*time.Second, false},
		{"level=WARN reason=client_share", time.Hour, true},
		{"level=WARN reason=client_share", 2 * time.Hour, true},
		{"level=WARN reason=client_share", time.Second, false},
		{"level=WARN reason=client_share", -time.Second, false},
		{"level=WARN reason=malformed", time.Minute + time.Second, false},
		{"level=WARN reason=too_slow", time.Second, true},
		{"level=WARN reason=too_slow", 10 * time.Minute, false},
		{"level=ERROR msg=\"store unavailable, attempts get no reply\" component=radius", time.Hour, true},
		{"level=ERROR msg=\"store unavailable, attempts get no reply\" component=radius", 30 * time.Minute, false},
		{"level=WARN msg=\"Redis has another master\" component=redisstore", time.Hour, true},
		{"level=WARN msg=\"Redis has another master\" component=redisstore", time.Minute + time.Second, false},
		{"level=WARN msg=\"Redis may evict keys\" component=redisstore", time.Hour, false},
		{"level=ERROR msg=\"this node's clock is not the store's\" component=clock", time.Hour, false},
		{"level=ERROR msg=\"attempts run out of time and get no reply\" component=radius", time.Hour, true},
		{"level=ERROR msg=\"directory unavailable\" component=directory", 30 * time.Minute, true},
		{"level=ERROR msg=\"directory unavailable\" component=directory", time.Hour, false},
		{"level=WARN msg=\"passwords travel unencrypted to this server\" component=directory", 10 * time.Minute, true},
	} {
		got := slices.ContainsFunc(expected(), func(r reason) bool { return r.explains(c.line, at.Add(c.since), done) })
		if got != c.want {
			t.Errorf("%s at %s: %v", c.line, c.since, got)
		}
	}
	s := &soak{done: done}
	for since, want := range map[time.Duration]string{
		-time.Second: "before anything was done, and 1s before redis replica killed",
		time.Second:  "1s after redis replica killed, and 59s before node killed", 3 * time.Hour: "1h0m0s after machine stood still",
	} {
		if got := s.between(at.Add(since)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if told := toldAt("time=2026-11-27T01:00:00.000Z level=WARN"); !told.Equal(at) || !toldAt("level=WARN").IsZero() {
		t.Errorf("told at %s", told)
	}
}
