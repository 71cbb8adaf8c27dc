package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"otpgate/otp/redisstore/redistest"
)

var update = flag.Bool("update", false, "write testdata/metrics.golden anew")

// TestMetrics holds what dashboards and alerts are built on: the name, type, labels and help of
// every metric, after an enrollment, an accept and a reject. A change of it is a [CHANGE] line in
// CHANGELOG.md.
func TestMetrics(t *testing.T) {
	t.Parallel()
	embedded, redis := scrapeDemo(t), scrapeRedis(t)
	for _, want := range []string{
		`otpgate_radius_attempts_total{client="gateway",decision="accept",reason="ok"} 1`,
		`otpgate_radius_attempts_total{client="gateway",decision="reject",reason="code_used"} 1`,
		`otpgate_radius_stage_duration_seconds_count{client="gateway",stage="total"} 2`,
		`otpgate_enroll_requests_total{code="201",route="v1_devices"} 1`,
		`otpgate_enroll_mails_total{result="refused"} 0`, // there before it happens
	} {
		if !strings.Contains(embedded, "\n"+want+"\n") {
			t.Errorf("/metrics does not say %s", want)
		}
	}
	for _, secret := range []string{"alice", "127.0.0.1", demoSecret} {
		if strings.Contains(embedded, secret) {
			t.Errorf("/metrics holds %q: no account, no address and no secret belongs there", secret)
		}
	}
	for _, text := range []string{embedded, redis} {
		problems, err := promlint.New(strings.NewReader(text)).Lint()
		if err != nil {
			t.Error(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}

	all, other := metricsIn(embedded), metricsIn(redis)
	for name, m := range other {
		if all[name] == "" {
			all[name] = m + "    Not in the demonstration: with Redis, or with TLS.\n"
		}
	}
	for name := range all {
		if other[name] == "" {
			all[name] += "    Only with the embedded store.\n"
		}
	}
	var got strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		got.WriteString(all[name])
	}
	golden := filepath.Join("testdata", "metrics.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("the metrics are not those of %s; if that is meant, run this test with -update (-want +got):\n%s", golden, diff)
	}
}

// scrapeDemo lets the person of the demonstration enroll, log in and be refused, and asks for the
// metrics then.
func scrapeDemo(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d := &demo{rt: &runtime{out: io.Discard, err: t.Output(), lookupEnv: os.LookupEnv, now: time.Now}}
	defer func() {
		if err := d.stop(ctx); err != nil {
			t.Error(err)
		}
	}()
	if err := d.start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := d.play(ctx); err != nil {
		t.Fatal(err)
	}
	return scrape(t, d.node)
}

// scrapeRedis asks a node that keeps its devices in Redis, and has a certificate.
func scrapeRedis(t *testing.T) string {
	t.Helper()
	config := filepath.Join(t.TempDir(), "otpgate.yaml")
	text := fmt.Sprintf(`data_dir: data
radius:
  listen: ["127.0.0.1:0"]
  radsec: {listen: ["127.0.0.1:0"], certificate_file: web.crt, key_file: web.key, client_ca_file: web.crt}
  clients: [{name: gateway, networks: [127.0.0.1/32], secret: %s}]
directories: [{name: nobody, urls: ["ldaps://127.0.0.1:1"], base_dn: "dc=demo,dc=example"}]
store: {redis: {addresses: [%q]}}
enroll: {listen: "127.0.0.1:0", public_url: "https://127.0.0.1", certificate_file: web.crt, key_file: web.key, mail: {from: otp@demo.example, smtp: "smtp://127.0.0.1:1"}}
metrics: {listen: "127.0.0.1:0"}
`, demoSecret, redistest.Start(t).Addr)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(config)
	if err := writeCertificate(filepath.Join(dir, "web.crt"), filepath.Join(dir, "web.key"), loopback(time.Now().Add(time.Hour)), nil); err != nil {
		t.Fatal(err)
	}
	rt := &runtime{out: io.Discard, err: t.Output(), lookupEnv: os.LookupEnv, now: time.Now, configPath: config}
	cfg, err := rt.load()
	if err != nil {
		t.Fatal(err)
	}
	n, err := rt.wire(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.stop(); err != nil {
			t.Error(err)
		}
	}()
	return scrape(t, n)
}

func scrape(t *testing.T, n *node) string {
	t.Helper()
	status, text, err := ask("GET", "http://"+n.metrics.Addr().String()+"/metrics", "")
	if err != nil || status != 200 {
		t.Fatalf("/metrics: status %d, %v", status, err)
	}
	return string(text)
}

var (
	metricLine = regexp.MustCompile(`^# (HELP|TYPE) (otpgate_\S+) (.*)$`)
	sampleLine = regexp.MustCompile(`^(otpgate_\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? \S+$`)
	labelName  = regexp.MustCompile(`(\w+)="(?:[^"\\]|\\.)*"`)
)

// metricsIn returns our metrics of a scrape by name: type, labels and help.
func metricsIn(text string) map[string]string {
	help, kind, labels := map[string]string{}, map[string]string{}, map[string]map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := metricLine.FindStringSubmatch(line); m != nil {
			into := map[string]map[string]string{"HELP": help, "TYPE": kind}[m[1]]
			into[m[2]] = m[3]
			labels[m[2]] = map[string]bool{}
		}
		if m := sampleLine.FindStringSubmatch(line); m != nil {
			for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
				if l[1] != "le" {
					labels[m[1]][l[1]] = true
				}
			}
		}
	}
	all := map[string]string{}
	for name := range help {
		of := strings.Join(slices.Sorted(maps.Keys(labels[name])), ", ")
		all[name] = fmt.Sprintf("%s %s {%s}\n    %s\n", name, kind[name], of, help[name])
	}
	return all
}
