package audit

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzTrail: whatever is in the file, the log opens, what it records is read back, and what cannot be read is
// passed over.
func FuzzTrail(f *testing.F) {
	at := time.Date(2027, 1, 2, 3, 4, 5, 678, time.UTC)
	f.Add(appendLine(nil, &Event{Time: at, Kind: Login, Name: "alice", Source: "10.1.2.3 aa"}))
	f.Add([]byte("{\"time\":\"2027-01-02T03:04:05Z\",\"kind\":\"login\"}\n\n{}\nnull\n[1]\n\x00\xff\n{\"time\":\"2027"))
	f.Add([]byte("{\"time\":1,\"kind\":{}}"))
	f.Fuzz(func(t *testing.T, trail []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, Name), trail, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Open(Options{Dir: dir, Required: true, Now: func() time.Time { return at }})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close(context.Background()) }()
		if err := l.Record(context.Background(), Event{Kind: System, Action: "the last"}); err != nil {
			t.Fatal(err)
		}
		for _, filter := range []Filter{{}, {Last: 3}, {Last: 1, Kind: System}, {Since: at.Add(-time.Hour), Name: "alice"}} {
			var got []Event
			if err := l.Read(context.Background(), filter, false, nil, func(e Event) error {
				got = append(got, e)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if most := bytes.Count(trail, []byte("\n")) + 2; len(got) > most {
				t.Fatalf("%d events of %d lines", len(got), most)
			}
			if filter.Name == "" && (len(got) == 0 || got[len(got)-1].Action != "the last") {
				t.Fatalf("%+v does not find what was recorded last, but %+v", filter, got)
			}
		}
	})
}
