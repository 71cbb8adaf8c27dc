package storetest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"otpgate/otp"
)

// Crash describes a store to [RunCrash].
type Crash struct {
	// Start prepares, once and in the parent only, what all rounds share (a folder, a server), and
	// returns what Open has to know about it.
	Start func(t *testing.T) string
	// Open opens the store, in the parent and in the children, one after the other unless it is Shared. The
	// caller closes it.
	Open func(where string) (otp.Store, error)
	// Shared says that several processes may have the store open at once.
	Shared bool
	// Rounds is how many children are killed at random points.
	Rounds int
}

// What a child is told.
const (
	envRole  = "OTPGATE_STORETEST_ROLE"
	envWhere = "OTPGATE_STORETEST_WHERE"
	envRound = "OTPGATE_STORETEST_ROUND"

	roleLoad  = "load"   // claims under load until it is killed
	roleDie   = "answer" // kills itself between claim and reply
	roleRival = "rival"  // claims what the parent claims too
)

const (
	crashAccounts = 4
	crashWorkers  = 12
	crashNotes    = 8         // a worker puts a note with one of so many claims
	roundSteps    = 1_000_000 // each round claims higher steps than the one before
	rivalTries    = 200       // of each of two processes
)

// RunCrash proves that a killed process loses no claim that it had an answer to, nor a note, and of a store
// that is shared that two processes claim no step twice. The calling test must call it first, and with the
// same name every time: children run the same test.
func RunCrash(t *testing.T, c Crash) {
	if role := os.Getenv(envRole); role != "" {
		c.child(t, role)
		return
	}
	where := c.Start(t)
	x := c.open(t, where)
	x.addAll()
	x.close()
	t.Run("killed at random points", func(t *testing.T) {
		notes := 0
		for round := 1; round <= c.Rounds; round++ {
			notes += c.killAtRandom(t, where, round)
		}
		if notes == 0 {
			t.Fatal("no note was ever reported")
		}
	})
	t.Run("killed between claim and reply", func(t *testing.T) {
		for round := c.Rounds + 1; round <= c.Rounds+3; round++ {
			c.killBeforeReply(t, where, round)
		}
	})
	if c.Shared {
		t.Run("two processes at once", func(t *testing.T) { c.claimBesideRival(t, where) })
	}
}

func crashAccount(n int) string { return fmt.Sprint("crash-", n) }

// crashed is a store that others are killed over.
type crashed struct{ *exam }

func (c Crash) open(t *testing.T, where string) *crashed {
	t.Helper()
	s, err := c.Open(where)
	if err != nil {
		t.Fatal(err)
	}
	x := &exam{T: t, store: s}
	x.version = x.snapshot(crashAccount(0)).Version // 0 before addAll
	return &crashed{x}
}

// addAll adds the accounts of the crash tests, all at once, so that they have the same version.
func (x *exam) addAll() {
	x.Helper()
	devices := make([]otp.Device, crashAccounts)
	for n := range devices {
		devices[n] = newDevice(crashAccount(n), deviceID(n))
	}
	if errs, err := x.store.AddDevices(x.context(), devices, 0); errors.Join(append(errs, err)...) != nil {
		x.Fatal(errs, err)
	}
	x.version = x.snapshot(crashAccount(0)).Version
}

func (x *crashed) close() {
	x.Helper()
	if err := x.store.Close(); err != nil {
		x.Fatal(err)
	}
}

// of makes a claim of an account of the crash tests. variant 0 is the token of the child.
func (x *exam) of(account int, step int64, variant int) otp.Claim {
	claim := x.use(step, int(step)*crashAccounts*2+account*2+variant, account, 0)
	claim.Account, claim.Device, claim.Version = crashAccount(account), deviceID(account), x.version
	return claim
}

// begin starts a child of this test, and returns where its reports come from.
func begin(t *testing.T, role, where string, round int, output *bytes.Buffer) (*exec.Cmd, *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(t, role, where, round)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = output, output, []*os.File{writer}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	return cmd, reader
}

// command makes a child of this test.
func command(t *testing.T, role, where string, round int) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	top, _, _ := strings.Cut(t.Name(), "/")
	cmd := exec.Command(self, "-test.run=^"+top+"$", "-test.count=1", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), envRole+"="+role, envWhere+"="+where, fmt.Sprintf("%s=%d", envRound, round))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// child is the process that gets killed.
func (c Crash) child(t *testing.T, role string) {
	round := 0
	if _, err := fmt.Sscan(os.Getenv(envRound), &round); err != nil {
		t.Fatal(err)
	}
	x := c.open(t, os.Getenv(envWhere))
	first := int64(round * roundSteps)
	if role == roleDie {
		x.want(x.of(0, first, 0), otp.Claimed)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	reports := os.NewFile(3, "reports")
	if role == roleRival {
		x.contest(0, func(step int64) { _, _ = fmt.Fprintf(reports, "%s %d %d\n", reportClaim, 0, step) })
		x.close()
		return
	}
	var steps [crashAccounts]atomic.Int64
	var workers sync.WaitGroup
	for n := range crashWorkers {
		workers.Go(func() {
			for count := 0; ; count++ {
				account := n % crashAccounts
				step := first + steps[account].Add(1)
				r := x.store.Claim(context.Background(), []otp.Claim{x.of(account, step, 0)})[0]
				orExit(r.Err)
				if r.Answer == otp.Claimed { // not when another worker was faster with a higher step
					_, _ = fmt.Fprintf(reports, "%s %d %d\n", reportClaim, account, step)
				}
				if count%crashNotes == 0 {
					orExit(x.store.PutNotes(context.Background(), []otp.Note{crashNote(n, step)}))
					_, _ = fmt.Fprintf(reports, "%s %d %d\n", reportNote, n, step)
				}
			}
		})
	}
	workers.Wait()
}

// What a child reports: "claim", the account and the step, or "note", the worker and the step that it says.
const (
	reportClaim = "claim"
	reportNote  = "note"
)

// orExit ends the child when the store cannot tell.
func orExit(err error) {
	if err != nil {
		fmt.Println("child:", err)
		os.Exit(3)
	}
}

// crashNote is what a worker puts in the place of the note that it has put before.
func crashNote(worker int, step int64) otp.Note {
	return note("crash", "steps", fmt.Sprint(worker), fmt.Sprint(step))
}

// reported is what a child has said took place.
type reported struct {
	claims [crashAccounts][]int64
	notes  [crashWorkers]int64 // the last of each worker; 0: none
}

// take takes in one line.
func (r *reported) take(line string) error {
	var what string
	var of int
	var step int64
	if _, err := fmt.Sscan(line, &what, &of, &step); err != nil {
		return err
	}
	switch what {
	case reportClaim:
		r.claims[of] = append(r.claims[of], step)
	case reportNote:
		r.notes[of] = step
	default:
		return errors.New("a child reports claims and notes")
	}
	return nil
}

// killAtRandom kills a child after a random number of its reports, and looks what became of all of them. It returns how
// many workers had reported a note.
func (c Crash) killAtRandom(t *testing.T, where string, round int) (notes int) {
	t.Helper()
	var output bytes.Buffer
	cmd, reader := begin(t, roleLoad, where, round, &output)
	defer func() { _ = reader.Close() }()
	fatal := rand.IntN(300)
	var all reported
	count := 0
	lines := bufio.NewReader(reader)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // a line that was cut is no report
		}
		if err := all.take(line); err != nil {
			t.Fatalf("report %q: %v", line, err)
		}
		if count++; count > fatal && cmd.Process != nil {
			_ = cmd.Process.Signal(syscall.SIGKILL)
		}
	}
	wantKilled(t, cmd.Wait(), &output)
	x := c.open(t, where)
	for account, steps := range all.claims {
		x.wantUsed(account, steps)
	}
	notes = x.wantNoted(all.notes)
	x.close()
	return notes
}

// wantKilled fails the test when the child ended in any other way.
func wantKilled(t *testing.T, err error, output *bytes.Buffer) {
	t.Helper()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the child ended by itself: %v\n%s", err, output)
	}
}

// wantUsed proves that no step in the list, each of them reported as claimed, is accepted from anybody
// else, and that the one who claimed the last one still may: a gateway that had no answer before the crash asks again.
func (x *exam) wantUsed(account int, steps []int64) {
	x.Helper()
	if len(steps) == 0 {
		return
	}
	var batch []otp.Claim
	for _, step := range steps {
		batch = append(batch, x.of(account, step, 1))
	}
	for i, r := range x.store.Claim(x.context(), batch) {
		if r.Err != nil || r.Answer != otp.Used {
			x.Fatalf("step %d of account %d was reported as claimed; now: %s, %v", steps[i], account, name(r.Answer), r.Err)
		}
	}
	again := x.of(account, slices.Max(steps), 0)
	again.Now = again.Now.Add(otp.ClaimLifetime)
	if r := x.claim(again); r.Err != nil || r.Answer != otp.Claimed || !r.Again {
		x.Fatalf("step %d of account %d, from the one who claimed it last: %s, %+v", again.Step, account, name(r.Answer), r)
	}
}

// wantNoted proves that of each worker the note is there that it has reported last, or a later one. It returns how many
// there are to look for.
func (x *exam) wantNoted(notes [crashWorkers]int64) (number int) {
	x.Helper()
	there := make(map[string]int64)
	for _, n := range x.notes("crash", "steps", 0) {
		step, err := strconv.ParseInt(string(n.Value), 10, 64)
		if err != nil {
			x.Fatalf("note %+v: %v", n, err)
		}
		there[n.Field] = step
	}
	for worker, step := range notes {
		if step == 0 {
			continue
		}
		number++
		if kept := there[crashNote(worker, step).Field]; kept < step {
			x.Fatalf("the note of worker %d was reported with %d, and has %d now", worker, step, kept)
		}
	}
	return number
}

// killBeforeReply has a child kill itself when it has its answer, and nobody else has.
func (c Crash) killBeforeReply(t *testing.T, where string, round int) {
	t.Helper()
	var output bytes.Buffer
	cmd := command(t, roleDie, where, round)
	cmd.Stdout, cmd.Stderr = &output, &output
	wantKilled(t, cmd.Run(), &output)
	x := c.open(t, where)
	step := int64(round * roundSteps)
	x.want(x.of(0, step, 1), otp.Used)
	x.want(x.of(0, step, 0), otp.Claimed)
	x.want(x.of(0, step, 1), otp.Used)
	late := x.of(0, step, 0)
	late.Now = late.Now.Add(otp.ClaimLifetime + time.Second)
	x.want(late, otp.Used)
	x.close()
}

// contest asks for the next step of an account time and again, as another process does, and tells which it was given.
func (x *exam) contest(variant int, given func(step int64)) {
	x.Helper()
	for range rivalTries {
		step := x.snapshot(crashAccount(0)).Devices[0].LastStep + 1
		r := x.claim(x.of(0, step, variant))
		if r.Err != nil || r.Answer != otp.Claimed && r.Answer != otp.Used {
			x.Fatalf("step %d: %s, %v", step, name(r.Answer), r.Err)
		}
		if r.Answer == otp.Claimed {
			given(step)
		}
	}
}

// claimBesideRival claims while a child does, as two nodes do: what a store locks within its process is of no use here.
func (c Crash) claimBesideRival(t *testing.T, where string) {
	t.Helper()
	x := c.open(t, where)
	var output bytes.Buffer
	cmd, reader := begin(t, roleRival, where, 0, &output)
	defer func() { _ = reader.Close() }()
	var theirs reported
	lines := bufio.NewReader(reader)
	report := func() bool {
		line, err := lines.ReadString('\n')
		if err != nil {
			return false
		}
		if err := theirs.take(line); err != nil {
			t.Fatalf("report %q: %v", line, err)
		}
		return true
	}
	ours := make(map[int64]bool)
	if report() { // the child is at it
		x.contest(1, func(step int64) { ours[step] = true })
	}
	for report() {
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the child: %v\n%s", err, &output)
	}
	x.close()
	for _, step := range theirs.claims[0] {
		if ours[step] {
			t.Fatalf("step %d was claimed by two processes", step)
		}
	}
	if len(ours) == 0 || len(theirs.claims[0]) == 0 {
		t.Fatalf("one process claimed %d steps, the other %d", len(ours), len(theirs.claims[0]))
	}
}
