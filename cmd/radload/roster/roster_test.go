package roster

import (
	"bytes"
	"encoding/base32"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// TestCodesAsTheRFCHasThem holds the arithmetic to RFC 6238 appendix B.
func TestCodesAsTheRFCHasThem(t *testing.T) {
	const twenty = "12345678901234567890"
	seeds := map[Algorithm]string{
		SHA1:   twenty,
		SHA256: twenty + "123456789012",
		SHA512: twenty + twenty + twenty + "1234",
	}
	g := NewGenerator()
	for _, c := range []struct {
		unix int64
		want [3]string
	}{
		{59, [3]string{"94287082", "46119246", "90693936"}},
		{1111111109, [3]string{"07081804", "68084774", "25091201"}},
		{1111111111, [3]string{"14050471", "67062674", "99943326"}},
		{1234567890, [3]string{"89005924", "91819424", "93441116"}},
		{2000000000, [3]string{"69279037", "90698825", "38618901"}},
		{20000000000, [3]string{"65353130", "77737706", "47863826"}},
	} {
		for a, seed := range seeds {
			if got := g.code(nil, a, []byte(seed), c.unix/30, 8); string(got) != c.want[a] {
				t.Errorf("%s at %d: %s, want %s", a, c.unix, got, c.want[a])
			}
		}
	}
}

func family(t testing.TB, count int, o Options) *Roster {
	t.Helper()
	r, err := Derive(Family{Master: []byte("master"), Count: count}, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRepeats looks at a device that shows one code for half a minute.
func TestRepeats(t *testing.T) {
	r, err := Derive(Family{Master: []byte("radload bench"), Count: 1768, Period: 15 * time.Second}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	step := time.Date(2026, 11, 26, 5, 8, 30, 0, time.UTC).Unix() / 15
	for _, c := range []struct {
		device int
		offset int64
		want   bool
	}{{1767, 0, true}, {1767, -1, true}, {1767, 1, false}, {1767, -2, false}, {1766, 0, false}} {
		if got := r.Repeats(NewGenerator(), Turn{Device: c.device, Step: step + c.offset}); got != c.want {
			t.Errorf("device %d, %d steps on: %v", c.device, c.offset, got)
		}
	}
}

// TestOncePerStep lets everybody log in, and nobody twice.
func TestOncePerStep(t *testing.T) {
	r := family(t, 3, Options{})
	for i := range 3 {
		if turn, ok := r.Next(600); !ok || turn != (Turn{Device: i, Step: 10}) {
			t.Errorf("turn %d: %v %v", i, turn, ok)
		}
	}
	if turn, ok := r.Next(659); ok {
		t.Errorf("%v logs in again", turn)
	}
	if turn, ok := r.Next(660); !ok || turn != (Turn{Step: 11}) {
		t.Errorf("%v %v", turn, ok)
	}
	if turn, ok := r.Next(0); !ok || turn.Device != 1 {
		t.Logf("%v", turn)
	} else {
		t.Errorf("the clock went back, and device 1 logs in with step %d again", turn.Step)
	}
}

func TestReuseIsSaid(t *testing.T) {
	r := family(t, 1, Options{Reuse: true})
	for i := range 3 {
		if turn, ok := r.Next(600); !ok || turn.Again != (i > 0) || turn.Step != 10 {
			t.Errorf("turn %d: %v %v", i, turn, ok)
		}
	}
}

// TestSkip leaves out the first device.
func TestSkip(t *testing.T) {
	r := family(t, 3, Options{})
	if err := r.Skip(1); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 2, 1} {
		if turn, ok := r.Next(60 * int64(1+i)); !ok || turn.Device != want || r.Len() != 2 {
			t.Errorf("%v, want %d", turn, want)
		}
	}
	for _, first := range []int{-1, 3} {
		if r.Skip(first) == nil {
			t.Errorf("device %d is there", first)
		}
	}
}

// TestWritten reads back what was written, and compares a code with another library's.
func TestWritten(t *testing.T) {
	r := family(t, 20, Options{Password: "pass-{name}!"})
	var file bytes.Buffer
	if err := r.WriteCSV(&file); err != nil {
		t.Fatal(err)
	}
	got, err := Read(&file, Options{Password: "pass-{name}!"})
	if err != nil {
		t.Fatal(err)
	}
	g := NewGenerator()
	for i := range 20 {
		if !bytes.Equal(r.Name(i), got.Name(i)) || !bytes.Equal(r.seed(i), got.seed(i)) {
			t.Errorf("device %d has changed", i)
		}
		if want := fmt.Sprintf("pass-person%07d!", i); string(got.Password(nil, i)) != want {
			t.Errorf("password %s, want %s", got.Password(nil, i), want)
		}
		want, err := totp.GenerateCodeCustom(base32.StdEncoding.EncodeToString(r.seed(i)), time.Unix(60*1000, 0), totp.ValidateOpts{Period: 60, Digits: 6})
		if err != nil {
			t.Fatal(err)
		}
		if code := got.Code(nil, g, Turn{Device: i, Step: 1000}); string(code) != want {
			t.Errorf("code %s, want %s", code, want)
		}
	}
	if got.Period() != time.Minute || got.Len() != 20 {
		t.Errorf("%d devices, %s", got.Len(), got.Period())
	}
}

func TestOtherFiles(t *testing.T) {
	r := family(t, 2, Options{Password: "pw"})
	var freeradius, ldif bytes.Buffer
	if err := r.WriteFreeRADIUS(&freeradius); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteLDIF(&ldif, "ou=people,dc=lab", "description"); err != nil {
		t.Fatal(err)
	}
	if want := "person0000001\tTOTP-Secret := \"" + r.base32(1) + "\"\n"; !strings.HasSuffix(freeradius.String(), want) {
		t.Errorf("%s", freeradius.String())
	}
	for _, want := range []string{"dn: uid=person0000001,ou=people,dc=lab\n", "\nuserPassword: pw\n", "\ndescription: " + r.base32(0) + "\n\n"} {
		if !strings.Contains(ldif.String(), want) {
			t.Errorf("no %q in\n%s", want, ldif.String())
		}
	}
}

// TestWrongCodesAreWrong looks around them.
func TestWrongCodesAreWrong(t *testing.T) {
	r, g := family(t, 100, Options{}), NewGenerator()
	for i := range 100 {
		turn := Turn{Device: i, Step: 1000}
		if wrong := r.WrongCode(nil, g, turn); len(wrong) != 6 || r.fits(wrong, g, turn) {
			t.Errorf("%s is right", wrong)
		}
	}
}

// TestGuessesAreWrong also when they are right by chance, and are nobody's turn.
func TestGuessesAreWrong(t *testing.T) {
	r, g := family(t, 100, Options{}), NewGenerator()
	if err := r.Skip(40); err != nil {
		t.Fatal(err)
	}
	chosen := map[int]bool{}
	for i := range uint64(1000) {
		turn := r.Any(i*7, 60_000)
		if chosen[turn.Device] = true; turn.Device < 40 || turn.Step != 1000 {
			t.Fatalf("%+v", turn)
		}
		right := r.Code(nil, g, turn)
		number := uint64(0)
		for at := len(right) - 1; at >= 0; at-- {
			number = 10*number + uint64(right[at]-'0')
		}
		if guess := r.Guess(nil, g, turn, number); len(guess) != 6 || r.fits(guess, g, turn) {
			t.Errorf("%s is right", guess)
		}
		if guess := r.Guess(nil, g, turn, 10*i); guess[0] != '0' || r.fits(guess, g, turn) {
			t.Errorf("%s is right, or not as it was chosen", guess)
		}
	}
	if len(chosen) != 60 {
		t.Errorf("%d devices were chosen", len(chosen))
	}
	if turn, ok := r.Next(60_000); !ok || turn.Again || turn.Device != 40 {
		t.Errorf("%+v %v", turn, ok)
	}
}

func TestBadFiles(t *testing.T) {
	const seed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "first line"},
		{"another header", "name,seed\n", "first line"},
		{"no device", header + "\n", "no device"},
		{"columns", header + "\na,b\n", "line 2: 2 columns"},
		{"seed", header + "\na,not!,,,,\n", "line 2: the seed is not base32"},
		{"short seed", header + "\na,GEZDGNBV,,,,\n", "the seed has 5 octets"},
		{"algorithm", header + "\na," + seed + ",MD5,,,\n", "algorithm"},
		{"digits", header + "\na," + seed + ",,five,,\n", "digits"},
		{"few digits", header + "\na," + seed + ",,5,,\n", "digits"},
		{"period", header + "\na," + seed + ",,,x,\n", "period"},
		{"short period", header + "\na," + seed + ",,,14,\n", "period"},
		{"no name", header + "\n," + seed + ",,,,\n", "name"},
		{"long name", header + "\n" + strings.Repeat("x", 65) + "," + seed + ",,,,\n", "name"},
		{"long line", header + "\n" + strings.Repeat("x", 1<<17), "token too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(c.text), Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "GEZDGNBV") {
				t.Errorf("%v", err)
			}
		})
	}
	for _, f := range []Family{{}, {Master: []byte("master")}, {Master: []byte("master"), Count: MaxDevices + 1}, {Master: []byte("master"), Count: 1, Prefix: "a,b"}, {Master: []byte("master"), Count: 1, Period: time.Second}} {
		if _, err := Derive(f, Options{}); err == nil {
			t.Errorf("%+v", f)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	r, g := family(t, 10, Options{Password: "pass-{name}!", Reuse: true}), NewGenerator()
	room := make([]byte, 0, 128)
	if n := testing.AllocsPerRun(100, func() {
		turn, _ := r.Next(600)
		_ = r.Code(room, g, turn)
		_ = r.WrongCode(room, g, turn)
		_ = r.Password(room, turn.Device)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzRead reads whatever is in a file.
func FuzzRead(f *testing.F) {
	f.Add(header + "\nalice,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,SHA1,6,60,old token\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Read(strings.NewReader(text), Options{})
		if err != nil {
			return
		}
		g := NewGenerator()
		for i := range r.Len() {
			if len(r.Name(i)) == 0 || len(r.Code(nil, g, Turn{Device: i})) < 6 {
				t.Fatalf("device %d", i)
			}
		}
	})
}
