package bench

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func TestCPU(t *testing.T) {
	for _, c := range []struct {
		name, stat string
		want       time.Duration
		bad        bool
	}{
		{name: "a usual one", stat: "12 (slapd) S 1 12 12 0 -1 4194304 1 2 3 4 150 50 7 8 20 0 1 0 99", want: 2 * time.Second},
		{name: "a name that looks like the end", stat: "12 (a) S (b) S 1 12 12 0 -1 4194304 1 2 3 4 150 50 7 8 20", want: 2 * time.Second},
		{name: "nothing", bad: true},
		{name: "cut", stat: "12 (slapd) S 1 12", bad: true},
		{name: "no number", stat: "12 (slapd) S 1 12 12 0 -1 4194304 1 2 3 4 x 50 7 8 20 0 1 0 99", bad: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := parseCPU(c.stat); got != c.want || (err != nil) != c.bad {
				t.Errorf("%s %v", got, err)
			}
		})
	}
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseCPU(string(text)); err != nil {
		t.Errorf("%s: %v", text, err)
	}
}

func TestMemory(t *testing.T) {
	if got, err := parseMemory("Name:\tslapd\nVmRSS:\t    2048 kB\nThreads:\t1\n"); got != 2<<20 || err != nil {
		t.Errorf("%d %v", got, err)
	}
	if _, err := parseMemory("Name:\tslapd\n"); err == nil {
		t.Error("nothing is missing")
	}
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := parseMemory(string(text)); got < 1<<20 || err != nil {
		t.Errorf("%d %v", got, err)
	}
}

func TestChosen(t *testing.T) {
	if all, err := chosen(nil); len(all) != len(cases()) || err != nil {
		t.Errorf("%d %v", len(all), err)
	}
	if some, err := chosen([]string{"redis", baseline}); len(some) != 2 || some[0].name != "redis" || err != nil {
		t.Errorf("%v %v", some, err)
	}
	if _, err := chosen([]string{"nothing"}); err == nil || !strings.Contains(err.Error(), "embedded") {
		t.Errorf("%v", err)
	}
}

// TestTable compares with what a person would write.
func TestTable(t *testing.T) {
	r := &Report{
		Date: time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC), Machine: []string{"a machine"}, Accounts: 300, Outstanding: 64,
		Cases: map[string][]Measurement{},
	}
	for i := range 3 {
		for _, c := range cases() {
			m := Measurement{PerSecond: float64(100 * (i + 1)), P50: 0.001, P99: 0.002, Held: i > 0, CPU: map[string]float64{c.server: 10}, Memory: 3 << 20}
			switch c.name {
			case "redis":
				m.PerSecond *= 6.5
				m.CPU["redis"] = float64(i)
			case "forged":
				m.P50, m.P99 = 0, 0
			}
			r.add(c, m)
		}
	}
	var b strings.Builder
	if err := r.Table(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Measured 2026-11-26; 300 accounts, 64 outstanding, median of 3 runs.",
		"- a machine",
		"| FreeRADIUS: codes, directory, replay check in Redis | 200 | 1.00 | 1.00 | 2.00 | 10.0 |  |  |  | 3 | 2 of 3 |",
		"| otpgate, Redis, account known | 1300 | 6.50 | 1.00 | 2.00 | 10.0 |  | 1.0 |  | 3 | 2 of 3 |",
		"| otpgate, Redis, account known, at a rate | 200 |  | 1.00 | 2.00 |",
		"| otpgate refusing packets with a wrong Message-Authenticator | 200 |  |  |  | 10.0 |",
	} {
		if !strings.Contains(b.String(), want+"\n") && !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// TestPlot draws what there is, inside its frame.
func TestPlot(t *testing.T) {
	r := &Report{Curves: map[string][]Point{
		baseline: {{Offered: 100, PerSecond: 100, P50: 0.002, P99: 0.01}, {Offered: 5400, PerSecond: 5300, P50: 0.011, P99: 0.4}},
		"redis":  {{Offered: 100, PerSecond: 100, P50: 0.0002, P99: 0.001}, {Offered: 36000, PerSecond: 35500, P50: 0.0006, P99: 0.021}, {}},
	}}
	var b strings.Builder
	if err := r.Plot(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Count(b.String(), "<polyline") != 4 || strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
		t.Error(b.String())
	}
	for _, want := range []string{">40000<", ">0.1 ms<", ">1000 ms<", "otpgate, Redis, account known"} {
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
	of := func(m Measurement) float64 { return m.PerSecond }
	for _, c := range []struct {
		all  []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		var ms []Measurement
		for _, v := range c.all {
			ms = append(ms, Measurement{PerSecond: v})
		}
		if got := median(ms, of); got != c.want {
			t.Errorf("%v: %v, want %v", c.all, got, c.want)
		}
	}
}

func TestNumbersAreNeeded(t *testing.T) {
	if _, err := Run(t.Context(), Options{}); err == nil {
		t.Error("measured nothing, and found nothing wrong")
	}
}
