package radius

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"otpgate/radius/probe"
)

var update = flag.Bool("update", false, "write testdata/wire anew")

// TestWireCorpus runs every packet of testdata/wire through a server and holds the outcome
// against the "expect:" line. The files are made from corpus() by
//
//	go test ./radius -run TestWireCorpus -update
//
// and are read, not made, by the test: a change of the generator cannot hide a change of behaviour.
func TestWireCorpus(t *testing.T) {
	const dir = "testdata/wire"
	if *update {
		for _, c := range corpus() {
			if err := os.WriteFile(filepath.Join(dir, c.name+".txt"), []byte(c.text()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	files, err := filepath.Glob(dir + "/*.txt")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d packets in %s, %v", len(files), dir, err)
	}
	generated := map[string]string{}
	for _, c := range corpus() {
		generated[c.name] = c.text()
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if want, ok := generated[strings.TrimSuffix(filepath.Base(file), ".txt")]; ok && want != string(text) {
				t.Errorf("the file is not what corpus() makes; run with -update, and look at the difference")
			}
			from, expect, packet := readCorpus(t, string(text))
			if got := outcome(t, from, packet); got != expect {
				t.Errorf("outcome %q, want %q", got, expect)
			}
		})
	}
}

// outcome sends one packet to a fresh server and says what became of it: "accept ok",
// "reject REASON", "discard REASON", "status". A reply is checked in full.
func outcome(t testing.TB, from string, packet []byte) string {
	t.Helper()
	w := newWorldQuick(t)
	replies := w.feed(from, packet)
	if n := len(w.trail.all()); n > 1 {
		t.Fatalf("%d attempts", n)
	}
	for _, r := range replies {
		if _, err := probe.Check(packet, r, testSecret); err != nil {
			t.Errorf("the reply is wrong: %v", err)
		}
	}
	for d := range discardReasons {
		if testutil.ToFloat64(w.metrics.discarded[d]) == 1 {
			if len(replies) > 0 {
				t.Errorf("a discarded packet was answered")
			}
			return "discard " + d.String()
		}
	}
	if testutil.ToFloat64(w.metrics.statusServer) == 1 {
		return "status"
	}
	word := w.trail.last(t)
	want := map[string]byte{"accept": probe.AccessAccept, "reject": probe.AccessReject}
	if code := want[strings.Fields(word)[0]]; len(replies) != 1 || replies[0][0] != code {
		t.Errorf("%s, and %d replies", word, len(replies))
	}
	return word
}

// readCorpus reads "key: value" lines, then hex; "#" begins a comment anywhere.
func readCorpus(t testing.TB, text string) (from, expect string, packet []byte) {
	t.Helper()
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if v, ok := strings.CutPrefix(line, "from:"); ok {
			from = strings.TrimSpace(v)
		} else if v, ok := strings.CutPrefix(line, "expect:"); ok {
			expect = strings.TrimSpace(v)
		} else {
			b, err := hex.DecodeString(strings.ReplaceAll(line, " ", ""))
			if err != nil {
				t.Fatalf("line %q: %v", line, err)
			}
			packet = append(packet, b...)
		}
	}
	return from, expect, packet
}

// wireCase is one packet of the corpus.
type wireCase struct {
	name, about, expect string
	from                string // "": client vpn
	octets              []byte
}

// text is the file of a case: comments, outcome, and the octets with each attribute on a line.
func (c wireCase) text() string {
	var b strings.Builder
	from := c.from
	if from == "" {
		from = fromVPN
	}
	fmt.Fprintf(&b, "# %s\n# secret: %s\nfrom: %s\nexpect: %s\n\n", c.about, testSecret, from, c.expect)
	rest := c.octets
	line := func(n int, comment string) {
		n = min(n, len(rest))
		fmt.Fprintf(&b, "% x", rest[:n])
		if comment != "" {
			b.WriteString(" # " + comment)
		}
		b.WriteString("\n")
		rest = rest[n:]
	}
	line(4, "code, identifier, length")
	line(16, "authenticator")
	for len(rest) > 0 {
		n := len(rest)
		if len(rest) > 1 {
			n = max(int(rest[1]), 2)
		}
		line(n, "attribute "+fmt.Sprint(rest[0]))
	}
	return b.String()
}
