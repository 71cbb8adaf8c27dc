package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/otp/redisstore/redistest"
)

// soaking reports whether the long form of a test is wanted, with the figures that a quiet machine has.
func soaking() bool { return os.Getenv("OTPGATE_SOAK") != "" }

// mayGrow is by how many octets the memory of a node may grow in a test of overload: by fewer in the short form, to which
// fewer packets come.
func mayGrow() float64 {
	if soaking() {
		return 256 << 20
	}
	return 48 << 20
}

// series reads a metric of a node: all series whose name and labels match, added up.
func series(t *testing.T, metrics, pattern string) (sum float64) {
	t.Helper()
	answer, err := http.Get("http://127.0.0.1:" + metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile(`(?m)^`+pattern+` (\S+)$`).FindAllSubmatch(text, -1) {
		value, err := strconv.ParseFloat(string(found[len(found)-1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += value
	}
	return sum
}

// overloaded starts a node with so many devices on a store, for clients vpn and flooded.
func overloaded(t *testing.T, count int, store string) (w *world, metrics string) {
	t.Helper()
	binary, err := otpgate()
	if err != nil {
		t.Fatal(err)
	}
	port, metrics := freePort(t), freePort(t)
	w = &world{t: t, dir: t.TempDir(), addr: "127.0.0.1:" + port}
	status, _, errs := radload(t, "devices", "--master", "bench", "--count", fmt.Sprint(count), "--csv", w.path("devices.csv"), "--ldif", w.path("people.ldif"))
	if status != 0 {
		t.Fatal(errs)
	}
	w.write("otpgate.yaml", strings.NewReplacer("PORT", port, "METRICS", metrics, "SECRET", secret, "STORE", store).Replace(`
data_dir: data
radius:
  listen: ["127.0.0.1:PORT"]
  clients:
    - {name: vpn, networks: [127.0.0.1/32], secret: SECRET}
    - {name: flooded, networks: [127.0.0.9/32], secret: another-SECRET}
directories: [{name: lab, ldif_file: people.ldif, base_dn: "dc=lab"}]
STORE
log: {level: warn}
metrics: {listen: "127.0.0.1:METRICS"}
`))
	w.serve(binary, metrics)
	return w, metrics
}

// TestFloodsSoak floods a node with everything that it has to get rid of, while people log in: none of them is lost,
// the directory is spared, memory stays as it is, and all that was thrown away is counted by its reason.
// With $OTPGATE_SOAK it is 100,000 packets a second beside 1,000 logins, each kind by itself; a tenth of them, and no bound
// of the latency, where the race detector slows node and generator down: make soak runs it with and without.
func TestFloodsSoak(t *testing.T) {
	const guessed = 500
	count, rate, packets, long := 1500, 100, 2000, 4*time.Second
	if soaking() {
		count, rate, packets, long = 60000+guessed, 1000, map[bool]int{false: 100_000, true: 10_000}[raceEnabled], 8*time.Second
	}
	w, metrics := overloaded(t, count, "")
	discarded := func(reason string) float64 {
		return series(t, metrics, `otpgate_radius_packets_discarded_total\{reason="`+reason+`"\}`)
	}
	before := series(t, metrics, memoryMetric())
	limits := []string{"--count", fmt.Sprint(count), "--rate", fmt.Sprint(rate), "--duration", long.String()}
	for first, floods := range floodsOf(packets) {
		of := strings.Join(floods, ", ")
		var flooded sync.WaitGroup
		t.Cleanup(flooded.Wait)
		began := time.Now()
		beside := []string{}
		for _, f := range floods {
			if !strings.HasPrefix(f, "unknown") && !strings.HasPrefix(f, "guess") {
				beside = append(beside, "--flood", f)
				continue
			}
			// From a client of its own, whose secret the logins do not have, and about people who do not log in.
			flooded.Go(func() {
				status, out, errs := radload(t, "run", "--server", w.addr, "--secret", "another-"+secret, "--source", "127.0.0.9",
					"--master", "bench", "--count", fmt.Sprint(count), "--first", fmt.Sprint(count-guessed),
					"--flood", f+"@127.0.0.9", "--duration", long.String(), "--quiet", "--json")
				var r report
				if err := json.Unmarshal([]byte(out), &r); status != 0 || err != nil {
					t.Errorf("flood: status %d, %v\n%s", status, err, errs)
				}
				if err := enoughPackets(t, &r, packets); soaking() && err != nil {
					t.Error(err)
				}
			})
		}
		args := slices.Concat([]string{"--first", fmt.Sprint(first * rate * int(long/time.Second)), "--timeout", "3s", "--tries", "5"}, limits, beside)
		known := series(t, metrics, `otpgate_radius_attempts_total\{.*account_unknown"\}`)
		ready := watchReadiness(t.Context(), metrics)
		r, status := w.load(args...)
		flooded.Wait()
		if err := ready(); err != nil {
			t.Error(err)
		}
		if err := enoughPackets(t, &r, packets); soaking() && err != nil {
			t.Error(err)
		}
		searched := series(t, metrics, `otpgate_radius_attempts_total\{.*account_unknown"\}`) - known
		// Some 500 a second from each of two clients, and those before it is seen.
		if most := 1100 * (time.Since(began).Seconds() + 2); status != 0 || searched > most {
			t.Errorf("status %d, not held %q, %v searches for nobody, %v at most\n%+v\n%+v", status, unheld(r), searched, most, r.Logins, r.Packets)
		}
		p99 := time.Duration(r.Latency["accepted"].P99 * float64(time.Second))
		t.Logf("figures: %d logins/s beside %s: p50 %.2f ms, p99 %s, %d lost, %d sent again, %.0f dropped by the kernel", rate, of,
			r.Latency["accepted"].P50*1e3, p99, r.Logins.Lost, r.Packets.Resent, series(t, metrics, "otpgate_radius_packets_dropped_by_kernel_total"))
		if soaking() && !raceEnabled && p99 > 50*time.Millisecond {
			t.Errorf("p99 is %s", p99)
		}
	}
	if wrong := series(t, metrics, `otpgate_radius_attempts_total\{.*reason="(code_wrong|throttled)"\}`); wrong == 0 {
		t.Error("nobody guessed")
	}
	for _, reason := range []string{"wrong_code", "unknown_client", "bad_message_authenticator", "client_share"} {
		if discarded(reason) == 0 {
			t.Errorf("none is counted as %s", reason)
		}
	}
	after := series(t, metrics, memoryMetric())
	t.Logf("figures: memory %.0f MiB before the floods, %.0f after", before/(1<<20), after/(1<<20))
	if after-before > mayGrow() {
		t.Errorf("memory grew from %.0f to %.0f octets", before, after)
	}
}

// watchReadiness asks a node again and again whether logins pass there. The returned function ends that, and has an error if
// the node ever said no: one that has too much to do is not to be taken out of service (section 5.5 of the design).
func watchReadiness(ctx context.Context, metrics string) (end func() error) {
	ending, ended := make(chan struct{}), make(chan struct{})
	asked, unready := 0, []string{}
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second) // so long an answer is kept
		defer tick.Stop()
		client := &http.Client{Timeout: 5 * time.Second}
		for {
			select {
			case <-tick.C:
			case <-ending:
				return
			case <-ctx.Done():
				return
			}
			asked++
			answer, err := client.Get("http://127.0.0.1:" + metrics + "/readyz")
			if err != nil {
				unready = append(unready, err.Error())
				continue
			}
			text, _ := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				unready = append(unready, string(text))
			}
		}
	}()
	return func() error {
		close(ending)
		<-ended
		if asked == 0 || len(unready) > 0 {
			return fmt.Errorf("the node was asked %d times whether it is ready, and was not %d times: %q", asked, len(unready), unready)
		}
		return nil
	}
}

// TestAnUnreadyNodeIsSeen, and one that was never asked does not count as ready.
func TestAnUnreadyNodeIsSeen(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{http.StatusOK: true, http.StatusServiceUnavailable: false} {
		var asked atomic.Int32
		node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1); r.URL.Path == "/readyz" {
				w.WriteHeader(status)
			}
		}))
		_, port, _ := net.SplitHostPort(node.Listener.Addr().String())
		end := watchReadiness(t.Context(), port)
		await(t, "a question", nil, func() bool { return asked.Load() > 0 })
		if err := end(); (err == nil) != want {
			t.Errorf("%d: %v", status, err)
		}
		node.Close()
		if err := watchReadiness(t.Context(), port)(); err == nil {
			t.Error("nobody was asked")
		}
	}
}

// enoughPackets has an error if a flood was not nearly as many packets a second as it was to be, as on a machine that has
// something else to do. Guesses are as many as the generator can make, which seals each of them as a gateway does.
func enoughPackets(t *testing.T, r *report, packets int) error {
	var errs []error
	for _, f := range r.Floods {
		t.Logf("figures: %.0f packets/s of %s", f.PerSecond, f.Kind)
		if f.Kind != "guess" && f.PerSecond < 0.9*float64(packets) {
			errs = append(errs, fmt.Errorf("%.0f packets/s of %s, not %d", f.PerSecond, f.Kind, packets))
		}
	}
	return errors.Join(errs...)
}

// TestATrickleIsNoFlood: with too few packets a test of floods shows nothing.
func TestATrickleIsNoFlood(t *testing.T) {
	for rate, want := range map[float64]bool{1000: true, 901: true, 899: false, 0: false} {
		r := &report{Floods: []floodReport{{Kind: "forged", PerSecond: 1000}, {Kind: "garbage", PerSecond: rate}, {Kind: "guess", PerSecond: 1}}}
		if err := enoughPackets(t, r, 1000); (err == nil) != want {
			t.Errorf("%v packets a second: %v", rate, err)
		}
	}
}

// floodsOf are the floods of each run: all at once, or one after the other.
func floodsOf(packets int) [][]string {
	garbage, forged := fmt.Sprintf("garbage:%d", packets), fmt.Sprintf("forged:%d", packets)
	stranger, unknown, guess := fmt.Sprintf("stranger:%d@127.0.0.99", packets), fmt.Sprintf("unknown:%d", packets), fmt.Sprintf("guess:%d", packets)
	if !soaking() {
		return [][]string{{unknown, guess, garbage, forged, stranger}}
	}
	return [][]string{{garbage}, {forged}, {stranger}, {unknown}, {guess}}
}

// TestThreeTimesTheCapacitySoak offers three times what the store answers, which is as much as its line carries, as
// gateways that send again. What gets through is not less than before, and in time: nobody is let in whose
// gateway has given up. Without $OTPGATE_SOAK the machine may have other work, and less will do.
func TestThreeTimesTheCapacitySoak(t *testing.T) {
	octets, count, long, tries := 50_000.0, 6_000, 4*time.Second, "2" // octets a second
	least, sterile, tardy := 0.5, 1.0, 0.02                           // parts: of the capacity, and of what is accepted
	if soaking() {
		octets, count, long, tries = 100_000, 60_000, 40*time.Second, "3"
		least, sterile, tardy = 0.8, 0.25, 0
	}
	line := newLine(t, redistest.Start(t).Addr)
	w, metrics := overloaded(t, count, `store: {redis: {addresses: ["`+line.addr+`"]}}`)
	line.narrow(octets)
	devices := []string{"--count", fmt.Sprint(count), "--max-lost", "-1"}
	most, status := w.load(append(devices, "--outstanding", "64", "--duration", "3s", "--timeout", "20s")...)
	if status != 0 {
		t.Fatalf("status %d, not held %q\n%+v", status, unheld(most), most.Logins)
	}
	capacity := most.Load.LoginsPerSecond
	before := series(t, metrics, memoryMetric())
	ready := watchReadiness(t.Context(), metrics)
	r, status := w.load(append(devices, "--first", fmt.Sprint(int(most.Logins.Begun)+64), "--rate", fmt.Sprintf("%.0f", 3*capacity),
		"--duration", long.String(), "--timeout", "3s", "--tries", tries)...)
	if err := ready(); err != nil {
		t.Error(err)
	}
	in := r.Load.LoginsPerSecond
	accepted := series(t, metrics, `otpgate_radius_request_duration_seconds_count\{decision="accept"\}`)
	inTime := series(t, metrics, `otpgate_radius_request_duration_seconds_bucket\{decision="accept",le="2.5"\}`)
	late := series(t, metrics, `otpgate_radius_attempts_total\{.*decision="drop".*\}`)
	turned := series(t, metrics, `otpgate_radius_packets_discarded_total\{reason="(too_slow|overload|client_share|stale)"\}`)
	t.Logf("figures: %.0f logins/s at most; of %.0f offered %.0f got in, p50 %.2f s, p99 %.2f s; %.0f too late for a claim or their store, %.0f turned away, %d lost",
		capacity, 3*capacity, in, r.Latency["accepted"].P50, r.Latency["accepted"].P99, late, turned, r.Logins.Lost)
	if status != 0 || in < least*capacity {
		t.Errorf("status %d, not held %q: %.0f logins/s got in, of %.0f that could", status, unheld(r), in, capacity)
	}
	if accepted-inTime > tardy*accepted || turned == 0 || late > sterile*accepted {
		t.Errorf("%.0f accepted, %.0f of them in time; %.0f turned away, %.0f came to nothing", accepted, inTime, turned, late)
	}
	if after := series(t, metrics, memoryMetric()); after-before > mayGrow() {
		t.Errorf("memory grew from %.0f to %.0f octets", before, after)
	}
}

// line is a connection to a server that carries so many octets a second from it, over all connections together.
type line struct {
	addr string

	mu   sync.Mutex
	rate float64 // octets per second; 0: as many as there are
	free time.Time
}

// newLine listens, and ends with the test.
func newLine(t *testing.T, to string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{addr: listener.Addr().String()}
	var all sync.WaitGroup
	ending := make(chan struct{})
	t.Cleanup(func() {
		close(ending)
		_ = listener.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			all.Go(func() { l.carry(near, far, ending) })
			all.Go(func() {
				_, _ = io.Copy(far, near)
				_, _ = near.Close(), far.Close()
			})
			all.Go(func() { // connections end with the test
				<-ending
				_, _ = near.Close(), far.Close()
			})
		}
	})
	return l
}

// narrow makes the line as narrow as so many octets a second.
func (l *line) narrow(rate float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate = rate
}

// carry passes on what the server says, when there is room on the line.
func (l *line) carry(near, far net.Conn, ending <-chan struct{}) {
	defer func() { _, _ = near.Close(), far.Close() }()
	b := make([]byte, 64<<10) // an answer takes its place on the line once, however long it is
	for {
		n, err := far.Read(b)
		if err != nil {
			return
		}
		select {
		case <-time.After(l.wait(n)):
		case <-ending:
			return
		}
		if _, err := near.Write(b[:n]); err != nil {
			return
		}
	}
}

// wait is how long it takes until so many octets are through, behind those of others.
func (l *line) wait(n int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate == 0 {
		return 0
	}
	now := time.Now()
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(float64(n) / l.rate * float64(time.Second)))
	return l.free.Sub(now)
}
