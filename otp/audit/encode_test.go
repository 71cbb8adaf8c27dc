package audit

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// marshalled is the line that the library would make.
func marshalled(t *testing.T, e Event) string {
	t.Helper()
	v := reflect.ValueOf(&e).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.String {
			f.SetString(bounded(f.String()))
		}
	}
	if e.Traffic != nil {
		c := *e.Traffic
		c.Address, c.Cause = bounded(c.Address), bounded(c.Cause)
		e.Traffic = &c
	}
	line, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(line) + "\n"
}

// TestLinesAreWhatTheLibraryMakes: readers and filters of the trail, ours and others', take JSON as it
// writes it. Every field of Event is set somewhere, which reflection sees to: a new one that the encoder does
// not know fails here.
func TestLinesAreWhatTheLibraryMakes(t *testing.T) {
	texts := []string{
		"", "plain", "with \"quotes\" and \\", "<b>&amp;</b>", "tab\tline\nnul\x00", "müller", "\u2028\u2029", "\xff\xfe",
		strings.Repeat("x", 600), strings.Repeat("ü", 400), "\x7f",
	}
	random := rand.New(rand.NewPCG(1, 2))
	numbers := []float64{0, 0.001, 0.123, 1, 12.5, 2500.017, 1e9}
	for range 2000 {
		var e Event
		fill(reflect.ValueOf(&e).Elem(), random, texts, numbers)
		e.Time = time.Unix(random.Int64N(4e9), random.Int64N(1e9)).In(time.FixedZone("", int(random.Int64N(24))*1800))
		want := marshalled(t, e)
		if got := string(appendLine([]byte("before"), &e)); got != "before"+want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}

// fill sets some of the fields.
func fill(v reflect.Value, random *rand.Rand, texts []string, numbers []float64) {
	for i := range v.NumField() {
		f := v.Field(i)
		if random.IntN(3) == 0 || f.Type() == reflect.TypeFor[time.Time]() {
			continue
		}
		switch f.Kind() {
		case reflect.String:
			f.SetString(texts[random.IntN(len(texts))])
		case reflect.Int64:
			f.SetInt(random.Int64())
		case reflect.Uint32, reflect.Uint64:
			f.SetUint(random.Uint64N(1 << 32))
		case reflect.Float64:
			f.SetFloat(numbers[random.IntN(len(numbers))])
		case reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
			fill(f.Elem(), random, texts, numbers)
		}
	}
}

func TestWhatCannotBeWrittenStillIsALine(t *testing.T) {
	e := Event{Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), Action: "x"}
	if got := string(appendLine(nil, &e)); got != `{"kind":"system","action":"unwritable_event"}`+"\n" || !e.Time.IsZero() {
		t.Errorf("got %s", got)
	}
	e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	if got := string(appendLine([]byte("before\n"), &e)); got != "before\n"+`{"kind":"system","action":"unwritable_event"}`+"\n" {
		t.Errorf("behind another got %s", got)
	}
	for _, f := range []float64{1e-9, 1e300, -1e22} {
		e := Event{Stages: &Stages{Total: f}}
		if got := appendLine(nil, &e); !json.Valid(got) {
			t.Errorf("%v became %s", f, got)
		}
	}
}
