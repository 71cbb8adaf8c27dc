package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otpgate/cmd/radload/bench"
)

// measured runs the bench with few accounts. The figures are of no worth; that there are some is.
func measured(t *testing.T, change func(*bench.Options)) *bench.Report {
	t.Helper()
	binary, err := otpgate()
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "radload")
	build(t, own, "otpgate/cmd/radload")
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	var log strings.Builder
	o := bench.Options{
		Dir: t.TempDir(), Files: os.DirFS("testdata"), Radload: own, Otpgate: binary, Accounts: 500, Scale: 300, Small: 60, Bursts: 1, Runs: 1,
		Duration: time.Second, Period: 15 * time.Second, Rate: 50, Flood: 2000, Outstanding: 8, Workers: 4, ServerCores: "0", LoadCores: "1",
		Log: &log, Now: time.Now,
	}
	change(&o)
	r, err := bench.Run(ctx, o)
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	for name, ms := range r.Cases {
		for _, m := range ms {
			if !m.Held || m.PerSecond < 1 || m.Decided < 20 || m.Memory < 1<<20 || m.CPU["radload"] <= 0 || m.Busy <= 0 {
				t.Errorf("%s: %+v", name, m)
			}
		}
	}
	return r
}

// TestBench measures everything that is compared, breaks off, and goes on.
func TestBench(t *testing.T) {
	t.Parallel()
	dir, record := t.TempDir(), filepath.Join(t.TempDir(), "bench.json")
	r := measured(t, func(o *bench.Options) {
		o.Dir, o.Record, o.KeepServers = dir, record, true
		o.Only = []string{"freeradius", "stranger", "forged", "redis-open", "redis", "embedded"}
	})
	if len(r.Cases) != 6 || r.Cases["forged"][0].CPU["otpgate"] <= 0 || r.Cases["redis"][0].CPU["redis"] <= 0 || r.Cases["redis"][0].CPU["otpgate"] <= 0 {
		t.Errorf("%+v", r.Cases)
	}
	file, plot := filepath.Join(dir, "RESULTS.md"), filepath.Join(dir, "latency.svg")
	// What is in the record is not measured again, and the databases are used again.
	r = measured(t, func(o *bench.Options) {
		o.Dir, o.Record, o.Resume = dir, record, true
		o.Only = []string{"freeradius", "stranger", "forged", "redis-open", "redis", "redis-search", "embedded"}
	})
	if len(r.Cases) != 7 || len(r.Cases["redis"]) != 1 {
		t.Errorf("%+v", r.Cases)
	}
	status, out, errs := radload(t, "bench", "report", record, "--results", file, "--plot", plot)
	if status != 0 || !strings.Contains(out, "### Targets") || !strings.Contains(out, "| `redis-search` |") {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), "### Targets") {
		t.Errorf("%v\n%s", err, text)
	}
	if status, _, errs := radload(t, "bench", "report", record, file); status != 1 {
		t.Errorf("status %d: something else was read as a record\n%s", status, errs)
	}
}

// TestBenchOfNodes measures several nodes on a Redis and on a cluster, and on a Redis each.
func TestBenchOfNodes(t *testing.T) {
	t.Parallel()
	r := measured(t, func(o *bench.Options) { o.Only = []string{"nodes"} })
	if len(r.Cases) != 7 || r.Cases["nodes-cluster-3"][0].CPU["redis"] <= 0 || r.Cases["nodes-apart-3"][0].CPU["redis"] <= 0 {
		t.Errorf("%+v", r.Cases)
	}
}

// TestBenchOfScale measures two sizes, and finds what the large one takes.
func TestBenchOfScale(t *testing.T) {
	t.Parallel()
	r := measured(t, func(o *bench.Options) { o.Only = []string{"scale"} })
	large := r.Cases["scale-redis-large"]
	if len(r.Cases) != 6 || len(large) != 1 {
		t.Fatalf("%+v", r.Cases)
	}
	for _, name := range []string{"start_seconds", "import_seconds", "first_logins_per_second", "redis_octets_per_device", "redis_octets_per_account"} {
		if large[0].Figures[name] <= 0 {
			t.Errorf("no %s: %+v", name, large[0].Figures)
		}
	}
}
