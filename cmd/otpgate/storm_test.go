package main

import (
	"context"
	"encoding/base32"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"otpgate/otp"
	"otpgate/radius/probe"
	"otpgate/radius/radiustest"
)

// cmdPeople makes people of a directory and tokens of theirs: people.ldif and tokens.csv.
func cmdPeople(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "people NUMBER")
	number, err := strconv.Atoi(args[0])
	ts.Check(err)
	var people, tokens strings.Builder
	table := csv.NewWriter(&tokens)
	ts.Check(table.Write([]string{"name", "seed_base32", "algorithm", "digits", "period", "label"}))
	for i := range number {
		fmt.Fprintf(&people, "dn: uid=%s,dc=lab\nobjectClass: inetOrgPerson\nuid: %[1]s\n\n", personName(i))
		ts.Check(table.Write([]string{personName(i), base32.StdEncoding.EncodeToString(personSeed(i)), "SHA1", "6", "60", "storm"}))
	}
	table.Flush()
	ts.Check(os.WriteFile(ts.MkAbs("people.ldif"), []byte(people.String()), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("tokens.csv"), []byte(tokens.String()), 0o600))
}

func personName(i int) string { return fmt.Sprintf("person%05d", i) }
func personSeed(i int) []byte { return fmt.Appendf(nil, "seed-of-person-%05d", i) }

// cmdStorm has gateways log people in, all at once and with every code twice, while the node is
// killed and reloaded. It fails when a code passes twice, and when hardly anybody gets in.
//
//	storm NODE PEOPLE DURATION otpgate arguments...
//
// $OTPGATE_SOAK replaces the duration: see make soak.
func cmdStorm(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 4, "storm NODE PEOPLE DURATION otpgate arguments...")
	people, err := strconv.Atoi(args[1])
	ts.Check(err)
	long := args[2]
	if soak := os.Getenv("OTPGATE_SOAK"); soak != "" {
		long = soak
	}
	duration, err := time.ParseDuration(long)
	ts.Check(err)

	b := benchOf(ts)
	s := &storm{people: people, accepted: map[attemptKey][16]byte{}}
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	var gateways sync.WaitGroup
	for range 16 {
		dial := func() *radiustest.Client {
			return radiustest.Dial(b.tb(ts), "127.0.0.1:"+ts.Getenv("RADIUS"), "testing-secret")
		}
		one, other := dial(), dial()
		gateways.Go(func() { s.gateways(ctx, one, other) })
	}
	kills := 0
	for ctx.Err() == nil {
		pause(ctx, 200*time.Millisecond+rand.N(1500*time.Millisecond))
		p := b.nodes[args[0]]
		if kills > 0 && rand.N(3) == 0 {
			ts.Check(p.cmd.Process.Signal(syscall.SIGHUP))
			continue
		}
		ts.Check(p.cmd.Process.Kill())
		p.wait(ts, args[0])
		b.start(ts, args[0], args[3:])
		kills++
		cmdReady(ts, false, []string{"200"})
	}
	gateways.Wait()
	ts.Logf("%d requests, %d accepted, %d refused, %d without an answer, %d kills",
		s.requests.Load(), len(s.accepted), s.refused.Load(), s.silent.Load(), kills)
	if len(s.twice) > 0 {
		ts.Fatalf("codes that passed twice: %v", s.twice)
	}
	if len(s.accepted) < people/4 || s.refused.Load() == 0 || kills == 0 {
		ts.Fatalf("too little happened to prove anything")
	}
}

// storm is the gateways' common view of what was let in.
type storm struct {
	people                    int
	requests, refused, silent atomic.Int64

	mu       sync.Mutex
	accepted map[attemptKey][16]byte // Request Authenticator of the packet that got in
	twice    []attemptKey
}

// attemptKey is a code of somebody.
type attemptKey struct {
	person int
	step   int64
}

// gateways log people in, each of them at two gateways with the same code: at once, or one after
// the other.
func (s *storm) gateways(ctx context.Context, one, other *radiustest.Client) {
	for ctx.Err() == nil {
		person := rand.N(s.people)
		at := time.Now().Add(time.Duration(rand.N(3)-1) * time.Minute)
		key := attemptKey{person, at.Unix() / 60}
		code := otp.CodeAt(otp.SHA1, personSeed(person), 6, time.Minute, at)
		var both sync.WaitGroup
		both.Go(func() { s.login(ctx, one, key, code) })
		if rand.N(2) == 0 {
			both.Wait()
		}
		both.Go(func() { s.login(ctx, other, key, code) })
		both.Wait()
	}
}

// login sends one packet until it is answered, as a gateway does.
func (s *storm) login(ctx context.Context, client *radiustest.Client, key attemptKey, code string) {
	request := client.Login(personName(key.person), code)
	octets := request.Octets()
	for range 8 {
		s.requests.Add(1)
		reply, err := client.Try(octets, 400*time.Millisecond)
		switch {
		case err == nil && reply.Is(probe.AccessAccept):
			s.letIn(key, request.Authenticator)
			return
		case err == nil:
			s.refused.Add(1)
			return
		case ctx.Err() != nil:
			return
		}
		s.silent.Add(1)
	}
}

func (s *storm) letIn(key attemptKey, packet [16]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before, ok := s.accepted[key]; ok && before != packet {
		s.twice = append(s.twice, key)
	}
	s.accepted[key] = packet
}

// cmdSettles waits until a metric of the node, read twice, is back at most at a value: what grew
// under load has to shrink.
func cmdSettles(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "settles METRIC MOST")
	most, err := strconv.ParseFloat(args[1], 64)
	ts.Check(err)
	re, err := regexp.Compile(`(?m)^` + regexp.QuoteMeta(args[0]) + ` (\S+)$`)
	ts.Check(err)
	last := "nothing"
	if !eventually(func() bool {
		_, text, err := ask("GET", "http://127.0.0.1:"+ts.Getenv("METRICS")+"/metrics", "")
		m := re.FindSubmatch(text)
		if err != nil || m == nil {
			return false
		}
		last = string(m[1])
		value, err := strconv.ParseFloat(last, 64)
		return err == nil && value <= most
	}) {
		ts.Fatalf("%s is %s, want %s at most", args[0], last, args[1])
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
