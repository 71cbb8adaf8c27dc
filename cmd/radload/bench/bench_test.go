package bench

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"otpgate/cmd/radload/bench/machine"
)

func TestCounters(t *testing.T) {
	got := parseCounters("# HELP a_total what it is\n# TYPE a_total counter\na_total{reason=\"one two\"} 3\na_total{reason=\"b\"} 1e3\nb 2.5\n\nnonsense\nc x\n")
	if len(got) != 2 || got["a_total"] != 1003 || got["b"] != 2.5 {
		t.Errorf("%v", got)
	}
}

func TestChosen(t *testing.T) {
	if all, err := chosen(nil); len(all) != len(cases()) || err != nil {
		t.Errorf("%d %v", len(all), err)
	}
	if some, err := chosen([]string{"redis", baseline, "redis"}); len(some) != 2 || some[0].name != baseline || some[1].name != "redis" || err != nil {
		t.Errorf("%v %v", some, err)
	}
	if some, err := chosen([]string{groupNodes}); len(some) != 2*maxNodes+1 || err != nil {
		t.Errorf("%v %v", some, err)
	}
	if _, err := chosen([]string{"nothing"}); err == nil || !strings.Contains(err.Error(), "embedded") || !strings.Contains(err.Error(), groupScale) {
		t.Errorf("%v", err)
	}
}

// TestOutstanding loads each of several servers as one is.
func TestOutstanding(t *testing.T) {
	b := &bench{Options: Options{Outstanding: 64}}
	for servers, want := range map[int]string{1: "--outstanding 64", 3: "--outstanding 64 --each"} {
		if got := strings.Join(b.outstanding(servers), " "); got != want {
			t.Errorf("%d: %s, want %s", servers, got, want)
		}
	}
}

// TestLedger never gives a code out twice, nor one whose time is too short.
func TestLedger(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(1_800_000_000+seconds), 0) } // where a minute begins
	file := filepath.Join(t.TempDir(), "codes")
	l := openLedger(population{accounts: 100, period: time.Minute}, file, at(0))
	use := func(now time.Time, first, count int) {
		t.Helper()
		if err := l.used(now, first, count); err != nil {
			t.Error(err)
		}
	}
	take := func(second, count, long, want int, ok bool) {
		t.Helper()
		first, got := l.free(at(second), count, time.Duration(long)*time.Second)
		if got != ok || ok && first != want {
			t.Errorf("at %d: %d %v, want %d %v", second, first, got, want, ok)
		}
	}
	take(1, 50, 10, 0, true)
	use(at(11), 0, 40)
	take(12, 60, 10, 40, true)
	take(12, 61, 10, 0, false)
	take(49, 10, 10, 0, false) // it would not be over before the step is
	take(49, 10, 60, 40, true) // what is longer than a step cannot wait for one
	take(60, 100, 10, 0, true)
	use(at(119), 0, 100)
	take(119, 1, 0, 0, false)
	use(at(121), 0, 250) // begun in the step before: where exactly it went on is not known
	take(122, 1, 0, 0, false)
	take(180, 100, 0, 0, true)
	use(at(190), 0, 1)
	l = openLedger(l.population, file, at(191)) // of the next bench
	take(191, 1, 0, 0, false)
	take(240, 100, 0, 0, true)
}

// TestPace says what is left by what it took.
func TestPace(t *testing.T) {
	b := &bench{Options: Options{Accounts: 4000, Runs: 3, Duration: 10 * time.Second, Period: time.Minute, Scale: 4000, Small: 100, Bursts: 4},
		report: &Report{Cases: map[string][]Measurement{}}}
	some, err := chosen([]string{baseline, "redis", "redis-open"})
	if err != nil {
		t.Fatal(err)
	}
	each, once := b.plan(some)
	if len(each) != 2 || len(once) != 0 || len(each[1].cases) != 2 {
		t.Fatalf("%d groups, %d once", len(each), len(once))
	}
	if left := b.pace.remaining(); left < 3*time.Minute || left > 10*time.Minute {
		t.Errorf("%s at first", left)
	}
	b.pace.took(each[0], time.Second)
	b.pace.took(each[1], 2*time.Second)
	b.pace.skip(each[1])
	if left := b.pace.remaining(); left > 15*time.Second {
		t.Errorf("%s at the end", left)
	}
}

// example is a report of three runs, in which almost everything is met.
func example() *Report {
	r := &Report{
		Date: time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC), Machine: machine.Machine{Processor: "a <processor>", Cores: 2}, Accounts: 300_000, Outstanding: 64,
		Rate: 5000, Scale: 1_000_000, Small: 1000, Cases: map[string][]Measurement{}, Curves: map[string][]Point{},
	}
	for i := range 3 {
		for _, c := range cases() {
			m := Measurement{
				PerSecond: float64(1000 * (i + 1)), P50: 0.0005, P99: 0.002, Held: true, CPU: map[string]float64{c.server: 10, "radload": 5},
				Memory: 3 << 20, Busy: 0.5, Figures: map[string]float64{figureRedisUsed: 512},
			}
			switch c.name {
			case "redis":
				m.PerSecond *= 6.5
				m.CPU["redis"] = float64(i)
			case "redis-search":
				m.PerSecond *= 1.4
				m.Held = i > 0
			case "forged":
				m.P50, m.P99, m.PerSecond = 0, 0, m.PerSecond*60
				m.CPU[c.server] = 1
			case "embedded":
				m.Busy = 0.95
			case nodesCase(inCluster, 3):
				m.CPU[c.server] = 12
			}
			if c.name != groupCurves {
				r.Cases[c.name] = append(r.Cases[c.name], m)
			}
		}
		slow := float64(i + 1)
		r.Curves[baseline] = append(r.Curves[baseline], Point{0.1, 100, 100, 0.002 * slow, 0.01, 0}, Point{1, 5400, 5300, 0.011, 0.4, 0.02})
		r.Curves["redis"] = append(r.Curves["redis"], Point{0.1, 100, 100, 0.0002, 0.001, 0}, Point{1, 36000, 35500, 0.0006, 0.021, 0.01}, Point{1.2, 40000, 0, 0, 0, 0})
	}
	return r
}

// TestTable compares with what a person would write.
func TestTable(t *testing.T) {
	var b strings.Builder
	if err := example().Table(&b, "latency.svg"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"- a <processor>, 2 cores",
		"300,000 accounts, 64 logins outstanding",
		"| at least 6 times `freeradius` | 6.50 times (13,000/s to 2,000/s) | met |",
		"| at least 1.5 times `freeradius` | 1.40 times (2,800/s to 2,000/s), but 1 of 6 runs did not hold | **not met** |",
		"CPU of node and Redis per login | at most 35 µs | 11.00 µs | met |",
		"| at most 600 octets | 512 octets | met |",
		"a Redis Cluster: CPU of node per login | at most 10 % more | +20.0 % (10.0 to 12.0 µs) | **not met** |",
		"1,000,000 accounts instead of 1,000, the embedded store: logins/s | within 10 % | +0.0 %; CPU of the node +0.0 % | met |",
		"- `embedded`, run 1: the generator used 95 % of its core",
		"- `redis-search`, run 1: not all held that was expected",
		"| `freeradius` | FreeRADIUS: codes, directory, replay check in Redis | 2,000 (1,000 to 3,000) | 1.00 | 0.50 | 2.00 | 10.00 |  |  | 10.0 | 5.00 | 50 % | 3 | 3 of 3 |",
		"| `redis` | otpgate, Redis, account known | 13,000 (6,500 to 19,500) | 6.50 | 0.50 | 2.00 | 10.00 |  | 1.00 | 11.0 | 5.00 | 50 % | 3 | 3 of 3 |",
		"| `forged` | otpgate refusing packets with a wrong Message-Authenticator | 120,000 (60,000 to 180,000) |  |  |  | 1.00 |",
		"(latency.svg)",
		"| FreeRADIUS: codes, directory, replay check in Redis | 100 | 100 | 4.00 | 10.00 | 0.0 % |",
		"| FreeRADIUS: codes, directory, replay check in Redis | 5,400 | 5,300 | 11.00 | over 1000 | 2.0 % |",
		"| otpgate, Redis, account known | 36,000 | 35,500 | 0.60 | 21.00 | 1.0 % |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// TestNothingIsMetThatWasNotMeasured prints targets without figures.
func TestNothingIsMetThatWasNotMeasured(t *testing.T) {
	r := &Report{Cases: map[string][]Measurement{baseline: {{PerSecond: 1, CPU: map[string]float64{baseline: 1}}}}}
	var b strings.Builder
	if err := r.Table(&b, ""); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "met |") || !strings.Contains(b.String(), "| not measured |") {
		t.Error(b.String())
	}
}

// TestNothingIsMetThatDidNotHold has a run of each case in which not all was as it should be.
func TestNothingIsMetThatDidNotHold(t *testing.T) {
	r := example()
	for name := range r.Cases {
		r.Cases[name][1].Held = false
	}
	for _, target := range r.targets() {
		if target.met || !target.known {
			t.Errorf("%+v", target)
		}
	}
}

// TestWhoHasNoAnswerWaitedLonger than those who have one.
func TestWhoHasNoAnswerWaitedLonger(t *testing.T) {
	for _, c := range []struct{ unanswered, p50, p99 float64 }{{0, 0.1, 0.2}, {0.01, 0.1, 0.2}, {0.011, 0.1, 1}, {0.5, 0.1, 1}, {0.51, 1, 1}, {1, 1, 1}} {
		r := &Report{Curves: map[string][]Point{"redis": {{Share: 1, Offered: 9, P50: 0.1, P99: 0.2, Unanswered: c.unanswered}}}}
		if got := r.points("redis"); len(got) != 1 || got[0].P50 != c.p50 || got[0].P99 != c.p99 || got[0].Unanswered != c.unanswered {
			t.Errorf("%+v: %+v", c, got)
		}
	}
	var l loaded
	l.Logins.Begun, l.Logins.Lost, l.Logins.Omitted = 80, 10, 20
	if got := l.measurement().Unanswered; got != 0.3 {
		t.Errorf("%v unanswered", got)
	}
}

// TestPlot draws what there is, inside its frame.
func TestPlot(t *testing.T) {
	var b strings.Builder
	if err := example().Plot(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Count(b.String(), "<polyline") != 4 || strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
		t.Error(b.String())
	}
	for _, want := range []string{">35,000<", ">0.1<", ">1,000<", "otpgate, Redis, account known", "per second", "milliseconds", "at 100 logins per second"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	d := xml.NewDecoder(strings.NewReader(b.String()))
	for {
		token, err := d.Token()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
		e, ok := token.(xml.StartElement)
		if !ok || e.Name.Local != "polyline" {
			continue
		}
		for place := range strings.FieldsSeq(e.Attr[0].Value) {
			var x, y float64
			if _, err := fmt.Sscanf(place, "%f,%f", &x, &y); err != nil || x < plotLeft || x > plotRight || y < plotTop || y > plotBottom {
				t.Errorf("%s is outside: %v", place, err)
			}
		}
	}
	var nothing strings.Builder
	if err := (&Report{}).Plot(&nothing); err != nil || nothing.Len() > 0 {
		t.Errorf("%q %v", nothing.String(), err)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		all  []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		var ms []Measurement
		for _, v := range c.all {
			ms = append(ms, Measurement{PerSecond: v})
		}
		if got := median(ms, perSecond); got != c.want {
			t.Errorf("%v: %v, want %v", c.all, got, c.want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// TestResultsStay writes the same file twice: what a person wrote is there still, and what the bench wrote is there once.
func TestResultsStay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "RESULTS.md")
	r := example()
	if err := r.WriteResults(file, ""); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.Replace(string(text), "# Results\n", "# Results\n\nBy hand.\n", 1) + "\n## Why\n\nBy hand too.\n"
	if err := os.WriteFile(file, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	r.Machine.Processor = "another processor"
	if err := r.WriteResults(file, ""); err != nil {
		t.Fatal(err)
	}
	text, err = os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	if !strings.Contains(got, "By hand.\n") || !strings.HasSuffix(got, "## Why\n\nBy hand too.\n") || strings.Count(got, "### Targets") != 1 ||
		strings.Contains(got, "a <processor>") || !strings.Contains(got, "another processor") {
		t.Error(got)
	}
	for _, bad := range []string{"", resultsBegin + "\n", resultsEnd + "\n" + resultsBegin + "\n", strings.Repeat(resultsBegin+"\n"+resultsEnd+"\n", 2)} {
		if _, err := between(bad, "x"); err == nil {
			t.Errorf("%q has no one place for results", bad)
		}
	}
}

// TestRecordIsGoneOnWith keeps what was measured, and refuses to mix what cannot be compared.
func TestRecordIsGoneOnWith(t *testing.T) {
	dir := t.TempDir()
	o := Options{
		Dir: dir, Accounts: 100, Scale: 200, Small: 10, Outstanding: 8, Rate: 50, Record: filepath.Join(dir, "record.json"),
		Otpgate: "/bin/true", Log: io.Discard, Now: time.Now,
	}
	begin := func(o Options) (*bench, error) {
		b := &bench{Options: o}
		var err error
		b.report, err = b.begun(t.Context())
		return b, err
	}
	b, err := begin(o)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := caseOf("redis")
	if err := b.add(c, Measurement{PerSecond: 7}); err != nil {
		t.Fatal(err)
	}
	if _, err := begin(o); err == nil || !strings.Contains(err.Error(), "--resume") {
		t.Errorf("what was measured was to be overwritten: %v", err)
	}
	o.Resume = true
	b, err = begin(o)
	if err != nil || len(b.report.Cases["redis"]) != 1 || b.report.Cases["redis"][0].PerSecond != 7 {
		t.Fatalf("%v %+v", err, b.report)
	}
	other, err := Read(o.Record)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.report.Merge(other); err != nil || len(b.report.Cases["redis"]) != 2 {
		t.Errorf("%v %+v", err, b.report.Cases)
	}
	o.Accounts = 101
	if _, err := begin(o); err == nil || !strings.Contains(err.Error(), "accounts") {
		t.Errorf("another number of accounts was gone on with: %v", err)
	}
	if err := os.WriteFile(o.Record, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := begin(o); err == nil {
		t.Error("half a record was read")
	}
}

// TestDataAreUsedAgain makes what is not complete anew, and nothing else.
func TestDataAreUsedAgain(t *testing.T) {
	b := &bench{Options: Options{Dir: t.TempDir(), Log: io.Discard, Now: time.Now}, seen: map[string]bool{}}
	times := 0
	fails := errors.New("on purpose")
	build := func(err error) func(string) error {
		return func(dir string) error {
			times++
			return errors.Join(err, os.WriteFile(filepath.Join(dir, "data"), nil, 0o600))
		}
	}
	if _, err := b.made("x", build(fails)); !errors.Is(err, fails) {
		t.Errorf("%v", err)
	}
	for range 2 {
		if _, err := b.made("x", build(nil)); err != nil {
			t.Error(err)
		}
	}
	if times != 2 {
		t.Errorf("made %d times", times)
	}
}

// TestSamples has everybody of a small node in every burst, and others every time of a large one.
func TestSamples(t *testing.T) {
	b := &bench{Options: Options{Dir: t.TempDir(), Small: 10, Bursts: 3, Log: io.Discard, Now: time.Now}, seen: map[string]bool{}}
	for _, c := range []struct{ accounts, different int }{{10, 10}, {100, 30}} {
		p := population{c.accounts, shortPeriod}
		var lines []string
		for i := range c.accounts {
			lines = append(lines, fmt.Sprintf("person%d,x", i))
		}
		if _, err := b.made("people-"+p.String(), func(dir string) error {
			return writeLines(filepath.Join(dir, "devices.csv"), "account,seed", lines)
		}); err != nil {
			t.Fatal(err)
		}
		files, err := b.samples(t.Context(), p)
		if err != nil || len(files) != 3 {
			t.Fatalf("%v %v", files, err)
		}
		var all []string
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Split(strings.TrimSpace(string(text)), "\n")
			if len(got) != 11 || got[0] != "account,seed" {
				t.Errorf("%s: %v", f, got)
			}
			all = append(all, got[1:]...)
		}
		slices.Sort(all)
		if got := len(slices.Compact(all)); got != c.different {
			t.Errorf("of %d accounts %d logged in", c.accounts, got)
		}
	}
}

func TestNumbersAreNeeded(t *testing.T) {
	if _, err := Run(t.Context(), Options{}); err == nil {
		t.Error("measured nothing, and found nothing wrong")
	}
}
