package main

import (
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// diskSize is that of the disk that gets full.
const diskSize = 24 << 20

// disk is a file system of its own for the node's data_dir, in memory. Where nobody may mount one, as in some
// containers, a limit on how far the node may write into any file takes the place of a full disk: what the
// kernel says then is EFBIG in the place of ENOSPC.
type disk struct {
	o       *outage
	mounted bool
	before  unix.Rlimit
}

func (d *disk) mount(o *outage) {
	d.o = o
	dir := o.path("data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		o.t.Fatal(err)
	}
	switch err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, fmt.Sprintf("size=%d,mode=700", diskSize)); {
	case err == nil:
		d.mounted = true
		o.t.Cleanup(func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				o.t.Error(err)
			}
		})
	case errors.Is(err, syscall.EPERM):
		o.t.Log("nobody may mount here: the node's files are limited in the place of a disk")
	default:
		o.t.Fatal(err)
	}
}

// fill leaves no room on the disk.
func (d *disk) fill() {
	d.o.t.Helper()
	if !d.mounted {
		d.deny()
		return
	}
	ballast, err := os.Create(d.o.path("data/ballast"))
	if err != nil {
		d.o.t.Fatal(err)
	}
	defer ballast.Close()
	for b := make([]byte, 1<<20); len(b) > 0; {
		if _, err = ballast.Write(b); err != nil {
			b = b[:len(b)/2]
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.o.t.Fatal(err)
	}
}

// free makes room again.
func (d *disk) free() {
	d.o.t.Helper()
	if !d.mounted {
		d.allow()
		return
	}
	if err := os.Remove(d.o.path("data/ballast")); err != nil {
		d.o.t.Fatal(err)
	}
}

// deny has the kernel refuse whatever the node writes to a file, and allow undoes it.
func (d *disk) deny()  { d.limit(&unix.Rlimit{Cur: 0, Max: unix.RLIM_INFINITY}, &d.before) }
func (d *disk) allow() { d.limit(&d.before, nil) }

func (d *disk) limit(to, from *unix.Rlimit) {
	d.o.t.Helper()
	if err := unix.Prlimit(d.o.node.cmd.Process.Pid, unix.RLIMIT_FSIZE, to, from); err != nil {
		d.o.t.Fatal(err)
	}
}

// used is a code that got somebody in.
type used struct {
	person int
	code   string
}

// logins has so many people log in, and returns what came of it; the codes that got in are added to let.
func (o *outage) logins(t *testing.T, number int, within time.Duration, let *[]used) map[string]int {
	t.Helper()
	got := map[string]int{}
	for range number {
		person, code := o.crowd.fresh(t)
		v := verdict(o.vpn, o.vpn.Login(personName(person), code).Octets(), within)
		if got[v]++; v == "accept" {
			*let = append(*let, used{person, code})
		}
	}
	return got
}

// replay sends every code again, in packets of their own: none gets in.
func (o *outage) replay(t *testing.T, all []used) {
	t.Helper()
	var side sync.WaitGroup
	for part := range slices.Chunk(all, len(all)/16+1) {
		c := o.node.gateway("127.0.0.1", "testing-secret")
		side.Go(func() {
			for _, u := range part {
				got := verdict(c, c.Login(personName(u.person), u.code).Octets(), budget)
				expect(t, "a code that was used", got, "reject")
			}
		})
	}
	side.Wait()
}

// TestDiskOutageSoak: what cannot be written is not answered: nobody is let in by a claim that a crash takes
// back, and no login that must be on record passes without a record.
func TestDiskOutageSoak(t *testing.T) {
	t.Parallel()
	trails := []bool{false, true}
	if !soaking() {
		trails = trails[:1]
	}
	for _, required := range trails {
		t.Run(fmt.Sprintf("audit required %t", required), func(t *testing.T) {
			t.Parallel()
			d := &disk{}
			o := newOutage(t, outageOptions{more: fmt.Sprintf("audit: {required: %t}\n", required), first: d.mount})
			for round, more := 0, outages(t); more(round); round++ {
				t.Run("takes nothing", func(t *testing.T) {
					o.withoutDisk(t, trouble{name: "takes nothing (EFBIG)", begin: d.deny, over: d.allow}, required)
				})
				if !soaking() {
					continue // on a full disk there is room for hundreds of logins yet
				}
				t.Run("is full", func(t *testing.T) {
					o.withoutDisk(t, trouble{name: "is full (ENOSPC)", begin: d.fill, over: d.free}, required)
				})
			}
		})
	}
}

func (o *outage) withoutDisk(t *testing.T, fault trouble, required bool) {
	f := &figures{row: fmt.Sprintf("disk, audit required %t", required), fault: fault.name}
	before := o.level()
	var let []used
	o.logins(t, 10, budget, &let)
	fault.begin()
	// The last pages have room for a little yet: whoever gets in by that is on the disk.
	tried := map[string]int{}
	f.notice = soon(t, "noticing", started, func() bool {
		for v, n := range o.logins(t, 1, 300*time.Millisecond, &let) {
			tried[v] += n
		}
		return o.node.says("not_ready")
	})
	during(
		func() { soon(t, "enrollment", noticed, func() bool { return o.enrolls() == 503 }) },
		func() { expect(t, "a login with a password", o.password(budget), "silence") },
		func() { expect(t, "logins", fmt.Sprint(o.logins(t, 2, budget, &let)), "map[silence:2]") },
	)
	expect(t, "refusals", tried["reject"], 0)
	_, words := o.node.health("audit trail")
	expect(t, "what is said of the trail", words != "", !fault.silent)
	expect(t, "an acknowledgement of accounting that is not on record", o.accounting(budget), false)
	begun := time.Now()
	fault.over()
	during(
		func() { f.ready = soon(t, "readiness", recovered, func() bool { return o.node.says("ok") }) },
		func() {
			f.login = soon(t, "a login", recovered, func() bool { return o.logins(t, 1, time.Second, &let)["accept"] == 1 })
		},
		func() { soon(t, "enrollment", recovered, func() bool { return o.enrolls() == 202 }) },
	)
	soon(t, "accounting", recovered, func() bool { return o.accounting(time.Second) })
	f.total = time.Since(begun)
	o.settles(f, before)
	// Whoever got in while there was no room is known to the file, however the node ends.
	o.node.kill()
	o.node.start()
	o.node.becomes("ok")
	o.replay(t, let)
	trail, err := os.ReadFile(o.path("data/audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "events_lost in the trail", strings.Contains(string(trail), `"events_lost"`), !fault.silent)
	t.Logf("%s let_in_meanwhile=%d", f, len(let))
}

// accounting reports a session in a packet of its own, and returns whether it was acknowledged.
func (o *outage) accounting(within time.Duration) bool {
	o.t.Helper()
	o.posts++
	conn, err := net.Dial("udp", o.node.accounting)
	if err != nil {
		o.t.Error(err)
		return false
	}
	defer conn.Close()
	packet := accountingStart("testing-secret", fmt.Sprint("session", o.posts))
	if _, err := conn.Write(packet); err != nil {
		return false
	}
	_ = conn.SetReadDeadline(time.Now().Add(within))
	b := make([]byte, 4096)
	n, err := conn.Read(b)
	return err == nil && n >= 20 && b[0] == 5 && b[1] == packet[1]
}

// accountingStart is an Accounting-Request (RFC 2866 section 3).
func accountingStart(secret, session string) []byte {
	b := make([]byte, 20)
	b[0], b[1] = 4, byte(time.Now().UnixNano())
	add := func(kind byte, value []byte) { b = append(append(b, kind, byte(2+len(value))), value...) }
	add(1, []byte(personName(0)))
	add(40, binary.BigEndian.AppendUint32(nil, 1)) // Acct-Status-Type: Start
	add(44, []byte(session))                       // Acct-Session-Id
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	sum := md5.Sum(slices.Concat(b, []byte(secret)))
	copy(b[4:], sum[:])
	return b
}
