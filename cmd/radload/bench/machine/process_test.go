package machine

import (
	"os"
	"testing"
	"time"
)

// TestCPU burns some processor time of a process, and finds it.
func TestCPU(t *testing.T) {
	p, err := Start("burner", t.TempDir(), "0", "sh", "-c", "while :; do :; done")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	var last time.Duration
	err = p.Await(t.Context(), func() bool {
		used, err := p.CPU()
		if err != nil || used < last {
			t.Errorf("%s after %s, %v", used, last, err)
		}
		last = used
		return used > 20*time.Millisecond
	})
	if err != nil {
		t.Error(err)
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
