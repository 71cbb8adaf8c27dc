package operator

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"otpgate/otp"
)

// FuzzRows: whatever is read, every line is a row or a problem with its number, and no problem
// tells a seed.
func FuzzRows(f *testing.F) {
	f.Add(csvHeader + "\nalice,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,SHA1,6,60,phone\n")
	f.Add("\ufeff" + csvHeader + "\r\n\"al\"\"ice\",GEZD GNBV GY3T QOJQ,sha-256,8,30,\"a,b\"\r\n\r\n,,,,,")
	f.Add(csvHeader + "\n\"\na,b,c,d,e,f\n" + strings.Repeat("x", 5000))
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := newRowReader(strings.NewReader(text))
		if err != nil {
			return
		}
		lines, last := int64(strings.Count(text, "\n")+1), int64(1)
		for {
			r, err := rows.read()
			if errors.Is(err, io.EOF) {
				return
			}
			var bad *lineError
			line := r.line
			switch {
			case errors.As(err, &bad):
				if line = bad.line; len(bad.cause) > 200 || bad.cause == "" {
					t.Fatalf("line %d: %q", line, bad.cause)
				}
			case err != nil:
				t.Fatal(err)
			case r.name == "" || strings.TrimSpace(r.name) != r.name || len(r.fresh.Seed) < 10 || r.fresh.Digits < 0 || r.fresh.Digits > 8 || r.fresh.Period < 0:
				t.Fatalf("line %d: %+v", line, r)
			}
			if line <= last || line > lines {
				t.Fatalf("line %d after %d of %d", line, last, lines)
			}
			last = line
		}
	})
}

// endless is a file without an end of line.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	n := min(len(p), e.left)
	for i := range n {
		p[i] = 'x'
	}
	if e.left -= n; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// TestALongLineIsNotKept: 128 MiB without a line break costs what a line may have.
func TestALongLineIsNotKept(t *testing.T) {
	var before, after runtime.MemStats
	rows, err := newRowReader(io.MultiReader(strings.NewReader(csvHeader+"\n"), &endless{128 << 20}, strings.NewReader("\na,GEZDGNBVGY3TQOJQ,,,,\n")))
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&before)
	_, err = rows.read()
	runtime.ReadMemStats(&after)
	var bad *lineError
	if !errors.As(err, &bad) || bad.line != 2 || after.TotalAlloc-before.TotalAlloc > 1<<20 {
		t.Errorf("%v, %d octets", err, after.TotalAlloc-before.TotalAlloc)
	}
	if r, err := rows.read(); err != nil || r.name != "a" || r.line != 3 {
		t.Errorf("the line after it: %+v, %v", r, err)
	}
}

func TestLinesOfTheLongestLength(t *testing.T) {
	for length, want := range map[int]bool{maxLine - 1: true, maxLine: true, maxLine + 1: false} {
		name := strings.Repeat("n", length-len(",GEZDGNBVGY3TQOJQ,,,,"))
		rows, err := newRowReader(strings.NewReader(csvHeader + "\n" + name + ",GEZDGNBVGY3TQOJQ,,,,\n"))
		if err != nil {
			t.Fatal(err)
		}
		if r, err := rows.read(); (err == nil) != want || (want && r.name != name) {
			t.Errorf("%d octets: %v", length, err)
		}
	}
	if _, err := otp.ParseSeed("GEZDGNBVGY3TQOJQ"); err != nil {
		t.Fatal(err)
	}
}
