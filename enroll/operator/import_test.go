package operator_test

import (
	"context"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/directory"
	"otpgate/enroll/operator"
	"otpgate/otp"
	"otpgate/otp/audit"
)

const header = "name,seed_base32,algorithm,digits,period,label\n"

// seedOf is a seed of 160 bits for a number.
func seedOf(i int) string {
	b := make([]byte, 20)
	binary.BigEndian.PutUint64(b, uint64(i)+1)
	return base32.StdEncoding.EncodeToString(b)
}

// imported is what an import said.
type imported struct {
	operator.Imported
	problems []string // line: cause
}

func (w *world) importText(text string) (imported, error) {
	w.t.Helper()
	return w.importFrom(context.Background(), strings.NewReader(text), nil)
}

func (w *world) importFrom(ctx context.Context, r io.Reader, progress func(done, failed int64)) (imported, error) {
	var im imported
	var err error
	im.Imported, err = w.client.ImportDevices(ctx, r, progress, func(p operator.LineProblem) {
		im.problems = append(im.problems, fmt.Sprintf("%d: %s", p.Line, p.Cause))
	})
	return im, err
}

func TestImport(t *testing.T) {
	w := start(t, 10, nil)
	im, err := w.importText("\ufeff" + strings.TrimSuffix(header, "\n") + "\r\n" +
		"alice," + seedOf(1) + ",SHA256,8,30,token one\r\n" + // CRLF, all columns
		"p1," + strings.ToLower(seedOf(2)) + ",,,,\n" + // LF, defaults, lower case
		"\r\n \n" + // nothing
		`p2,"` + seedOf(3) + `","sha-1","6","60","one, ""two"""` + "\n" + // quoted
		" p3@corp.example , " + seedOf(4) + " ,,,, spare \n" + // mail address, spaces around
		"p4," + seedOf(5) + ",,,,最後") // no end of line
	if err != nil || im.Imported != (operator.Imported{Added: 5}) || len(im.problems) != 0 {
		t.Fatalf("%+v, %v", im, err)
	}
	for name, want := range map[string]operator.Device{
		"alice": {Label: "token one", Algorithm: "SHA256", Digits: 8, Period: 30}, "p1": {Algorithm: "SHA1", Digits: 6, Period: 60},
		"p2": {Label: `one, "two"`, Algorithm: "SHA1", Digits: 6, Period: 60}, "p3": {Label: "spare", Algorithm: "SHA1", Digits: 6, Period: 60},
		"p4": {Label: "最後", Algorithm: "SHA1", Digits: 6, Period: 60},
	} {
		list, err := w.client.ListDevices(context.Background(), name)
		if err != nil || len(list) != 1 {
			t.Fatalf("%s: %v, %v", name, list, err)
		}
		got := operator.Device{Label: list[0].Label, Algorithm: list[0].Algorithm, Digits: list[0].Digits, Period: list[0].Period}
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if e := w.events()[6]; e.Action != "devices_imported" || e.Detail != "5 added, 0 there already, 0 left out" {
		t.Errorf("on record: %+v", e)
	}
}

// TestEachImportedDeviceIsOnRecord, with its account and who imported it, and whether it was there already.
func TestEachImportedDeviceIsOnRecord(t *testing.T) {
	w := start(t, 10, nil)
	for range 2 {
		if _, err := w.importText(header + "alice," + seedOf(1) + ",,,,\np1@corp.example," + seedOf(2) + ",,,,\n"); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string][]string{}
	for _, e := range w.events() {
		if e.Action == "device_imported" {
			if !strings.HasPrefix(e.Actor, "uid ") || !slices.ContainsFunc(w.list(e.Account), func(d otp.Device) bool { return d.ID == e.Device }) {
				t.Errorf("on record: %+v", e)
			}
			got[e.Account+" "+e.Name] = append(got[e.Account+" "+e.Name], e.Detail)
		}
	}
	want := []string{"", "", "it was there already"}
	if len(got) != 2 || !slices.Equal(got[alice+" alice"], want) || !slices.Equal(got["0c000000-0000-4000-8000-000000001001 p1@corp.example"], want) {
		t.Errorf("on record: %q", got)
	}
}

// failing is a trail that takes some calls, and fails the next.
type failing struct {
	operator.Trail
	takes atomic.Int64
}

func (f *failing) Record(ctx context.Context, events ...audit.Event) error {
	if f.takes.Add(-1) == -1 {
		return fmt.Errorf("disk full: %w", audit.ErrUnavailable)
	}
	return f.Trail.Record(ctx, events...)
}

// TestNoDeviceIsImportedOffTheRecord: the import ends at the first batch that the trail does not take, and an end
// that is not on record is told.
func TestNoDeviceIsImportedOffTheRecord(t *testing.T) {
	for takes, c := range map[int64]struct {
		fact string
		left int
	}{
		0: {"nothing was done", 0},
		1: {"devices cannot be put on record: disk full: audit trail unavailable; 0 added, 0 there already, 0 left out; broken off", 0},
		2: {"2 added, 0 there already, 0 left out; each device is on record, but not the end of the import", 2},
	} {
		w := start(t, 10, func(o *operator.Options) {
			f := &failing{Trail: o.Trail}
			f.takes.Store(takes)
			o.Trail = f
		})
		_, err := w.importText(header + "alice," + seedOf(1) + ",,,,\nalice," + seedOf(2) + ",,,,\n")
		wants(t, fmt.Sprintf("after %d calls", takes), err, c.fact)
		if n := w.count(alice); n != c.left {
			t.Errorf("after %d calls: %d devices", takes, n)
		}
	}
}

// TestBadLinesAreNamed: each is left out by its number, and the rest goes on.
func TestBadLinesAreNamed(t *testing.T) {
	w := start(t, 10, nil)
	lines := []struct{ text, cause string }{ // line 2 and on
		{"nobody," + seedOf(1) + ",,,,", "no such account: nobody"},
		{"twin," + seedOf(2) + ",,,,", "more than one account"},
		{"," + seedOf(3) + ",,,,", "the name is empty"},
		{"p1,not-base-32!,,,,", "seed"},
		{"p1,GEZDGNBV,,,,", "seed"},
		{"p1,,,,,", "seed"},
		{"p1," + seedOf(4) + ",MD5,,,", "algorithm"},
		{"p1," + seedOf(4) + ",,5,,", "digits"},
		{"p1," + seedOf(4) + ",,six,,", "digits"},
		{"p1," + seedOf(4) + ",,,0,", "period"},
		{"p1," + seedOf(4) + ",,,-60,", "period"},
		{"p1," + seedOf(4) + ",,,99999999999999999999,", "period"},
		{"p1," + seedOf(4) + ",,,", "5 columns"},
		{"p1," + seedOf(4) + ",,,,,", "7 columns"},
		{"p1;" + seedOf(4) + ";;;;", "1 columns"},
		{`p1,"` + seedOf(4) + `,,,,`, "quotation marks"},
		{`p1,a"b,,,,`, "quotation marks"},
		{"p1," + seedOf(4) + ",,,," + strings.Repeat("x", 65), "label"},
		{"p1," + seedOf(4) + ",,,,a\u202eb", "label"},
		{"p1," + seedOf(4) + ",,,,a\x07b", "label"},
		{"p1," + seedOf(4) + ",,,,\xff", "UTF-8"},
		{"p1," + strings.Repeat("A", 5000) + ",,,,", "longer than"},
		{"p1," + strings.Repeat("A", 300_000) + ",,,,", "longer than"},
		{"a\x00b," + seedOf(4) + ",,,,", "not a name"},
	}
	var text strings.Builder
	text.WriteString(header)
	for _, l := range lines {
		text.WriteString(l.text + "\n")
	}
	text.WriteString("p2," + seedOf(5) + ",,,,last\n")
	im, err := w.importText(text.String())
	if err != nil || im.Added != 1 || im.Failed != int64(len(lines)) || len(im.problems) != len(lines) {
		t.Fatalf("%+v, %v", im, err)
	}
	byLine := map[int]string{}
	for _, p := range im.problems {
		var line int
		_, cause, _ := strings.Cut(p, ": ")
		_, _ = fmt.Sscan(p, &line)
		byLine[line] = cause
		if strings.Contains(p, seedOf(4)) || strings.Contains(p, "GEZDGNBV") {
			t.Errorf("a seed is in %q", p)
		}
	}
	for i, l := range lines {
		if !strings.Contains(byLine[i+2], l.cause) {
			t.Errorf("line %d: %q, want %q", i+2, byLine[i+2], l.cause)
		}
	}
	if strings.Contains(w.logged.String(), seedOf(5)) || strings.Contains(fmt.Sprint(w.events()), seedOf(5)) {
		t.Error("a seed is in the log, or on record")
	}
}

func TestWrongHeader(t *testing.T) {
	w := start(t, 10, nil)
	for _, text := range []string{"", "\n", "name;seed_base32\n", "alice," + seedOf(1) + ",,,,\n", " " + header, strings.Repeat("x", 1<<20), "name,seed_base32,algorithm,digits,period\n"} {
		_, err := w.importText(text + "alice," + seedOf(1) + ",,,,\n")
		var e *operator.Error
		if !errors.As(err, &e) || e.Hint == "" && !strings.Contains(e.Fact, "longer") {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if w.count(alice) != 0 {
		t.Error("imported all the same")
	}
}

// TestTheSameTwice: in one file, and the file again; another seed is another device.
func TestTheSameTwice(t *testing.T) {
	w := start(t, 10, nil)
	text := header + "alice," + seedOf(1) + ",,,,a\nalice@corp.example," + strings.ToLower(seedOf(1)) + ",,,,again\nalice," + seedOf(2) + ",,,,b\np1," + seedOf(1) + ",,,,theirs\n"
	if im, err := w.importText(text); err != nil || im.Imported != (operator.Imported{Added: 3, Existing: 1}) {
		t.Fatalf("%+v, %v", im, err)
	}
	if im, err := w.importText(text); err != nil || im.Imported != (operator.Imported{Existing: 4}) || len(im.problems) != 0 {
		t.Errorf("again: %+v, %v", im, err)
	}
	// Who imports knows what there is: the limit per account is for those who enroll.
	im, err := w.importText(header + "alice," + seedOf(3) + ",,,,c\nalice," + seedOf(4) + ",,,,d\n")
	if err != nil || im.Added != 2 || w.count(alice) != 4 {
		t.Errorf("beyond the limit: %+v, %v", im, err)
	}
}

// rows is a CSV that is written while it is read: n rows, for so many accounts.
type rows struct {
	n, accounts int
	next        int
	left        []byte
	each        func(i int)
}

func (r *rows) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		switch {
		case r.next > r.n:
			return 0, io.EOF
		case r.next == 0:
			r.left = []byte(header)
		default:
			if r.each != nil {
				r.each(r.next)
			}
			r.left = fmt.Appendf(nil, "p%d,%s,,,,no %d\n", r.next%r.accounts, seedOf(r.next), r.next)
		}
		r.next++
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// TestImportTakesBoundedMemory: a hundred thousand rows pass through, and are not collected.
func TestImportTakesBoundedMemory(t *testing.T) {
	const n, accounts, most = 100_000, 40_000, 96 << 20
	w := start(t, accounts, nil)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, peak := heap(), uint64(0)
	im, err := w.importFrom(context.Background(), &rows{n: n, accounts: accounts, each: func(i int) {
		if i%20_000 == 0 {
			peak = max(peak, heap())
		}
	}}, nil)
	if err != nil || im.Imported != (operator.Imported{Added: n}) {
		t.Fatalf("%+v, %v", im, err)
	}
	if grown := int64(peak) - int64(before); grown > most {
		t.Errorf("%d MiB more than before", grown>>20)
	}
}

// TestImportIsCancelledInTheMiddle: what is stored stays, the node goes on, and another try adds
// the rest.
func TestImportIsCancelledInTheMiddle(t *testing.T) {
	const n, accounts = 20_000, 10_000
	w := start(t, accounts, nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if _, err := w.importFrom(ctx, &rows{n: n, accounts: accounts, each: func(i int) {
		if i == n/2 {
			cancel()
		}
	}}, nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	var last string
	eventually(t, "the break is on record", func() bool {
		all := w.events()
		if len(all) == 0 {
			return false
		}
		last = all[len(all)-1].Detail
		return strings.Contains(last, "broken off")
	})
	im, err := w.importFrom(context.Background(), &rows{n: n, accounts: accounts}, nil)
	if err != nil || im.Added+im.Existing != n || im.Existing == 0 || im.Failed != 0 {
		t.Errorf("again: %+v, %v; before: %s", im, err, last)
	}
}

// TestImportEndsWithTheNode: shutting down does not wait for a file that never ends.
func TestImportEndsWithTheNode(t *testing.T) {
	w := start(t, 10, nil)
	in, out := io.Pipe()
	defer out.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := w.importFrom(context.Background(), in, nil)
		ended <- err
	}()
	if _, err := io.WriteString(out, header+"alice,"+seedOf(1)+",,,,\n"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	_ = w.server.Shutdown(ctx)
	_ = out.Close()
	if err := <-ended; err == nil {
		t.Error("it ended well")
	}
}

// TestImportsAtTheSameTime: of the same file, by two people.
func TestImportsAtTheSameTime(t *testing.T) {
	const n, accounts = 3000, 1500
	w := start(t, accounts, nil)
	var added, existing atomic.Int64
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			im, err := w.importFrom(context.Background(), &rows{n: n, accounts: accounts}, nil)
			if err != nil {
				t.Error(err)
			}
			added.Add(im.Added)
			existing.Add(im.Existing)
		})
	}
	both.Wait()
	if added.Load() != n || existing.Load() != n {
		t.Errorf("%d added, %d there already", added.Load(), existing.Load())
	}
}

// flaky is a directory that is gone now and then.
type flaky struct {
	operator.Accounts
	asked, mails atomic.Int64
}

func (f *flaky) IDs(ctx context.Context, names []string) ([]string, []error) {
	ids, errs := f.Accounts.IDs(ctx, names)
	for i := range names {
		if f.asked.Add(1)%50 == 0 {
			ids[i], errs[i] = "", directory.ErrUnavailable
		}
	}
	return ids, errs
}

func (f *flaky) FindMail(ctx context.Context, mail string) (*directory.Account, error) {
	if f.mails.Add(1)%2 == 0 {
		return nil, directory.ErrUnavailable
	}
	return f.Accounts.FindMail(ctx, mail)
}

// TestImportByMailOutlastsABriefOutage: while it lasts, nobody knows that an address is nobody's.
func TestImportByMailOutlastsABriefOutage(t *testing.T) {
	w := start(t, 10, func(o *operator.Options) { o.Accounts = &flaky{Accounts: o.Accounts} })
	list := header
	for i := range 3 {
		list += fmt.Sprintf("p%d@corp.example,%s,,,,\n", i+1, seedOf(i))
	}
	im, err := w.importText(list)
	if err != nil || im.Added != 3 || len(im.problems) > 0 {
		t.Errorf("%+v, %v", im, err)
	}
}

func TestImportOutlastsABriefOutage(t *testing.T) {
	w := start(t, 100, func(o *operator.Options) { o.Accounts = &flaky{Accounts: o.Accounts} })
	told := int64(0)
	im, err := w.importFrom(context.Background(), &rows{n: 200, accounts: 100}, func(done, _ int64) { told = done })
	if err != nil || im.Imported != (operator.Imported{Added: 200}) || told != 200 {
		t.Errorf("%+v, %v, progress %d", im, err, told)
	}
}

// eventually waits for something to become true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 4000 {
		if ok() {
			return
		}
		<-tick.C
	}
	t.Fatalf("it never came true: %s", what)
}
