//go:build gate || soak

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// rig is a directory, its devices, and what else a test starts beside them. Where it is for measuring,
// servers and what they use have one core, and the generator, which is this process, has another.
type rig struct {
	*world
	core    string // of the servers, as taskset -c has it
	ldap    string // port of the directory
	devices int
	own     []*child // whose work belongs to a login: of the directory, Redis, a node
	period  string
	fresh   string // how long nodes do not ask the directory again; empty: an hour
	ready   bool   // what fails from here on is not a matter of who runs, and how
}

// child is a process that a rig started.
type child struct {
	name string
	cmd  *exec.Cmd
	log  string

	ended chan struct{}
}

// newRig starts a directory of as many accounts as there are devices, whose codes have a period.
func newRig(t *testing.T, devices int, period string, measuring bool) *rig {
	t.Helper()
	g := &rig{world: &world{t: t, dir: t.TempDir()}, ldap: freePort(t), devices: devices, period: period}
	server, load := twoCores(t)
	g.core = fmt.Sprintf("%d,%d", server, load)
	if measuring {
		keepTo(t, load)
		g.core = fmt.Sprint(server)
	}
	g.must(radload(t, "devices", "--master", "bench", "--count", fmt.Sprint(devices), "--period", period, "--base", "ou=people,dc=bench",
		"--csv", g.path("devices.csv"), "--ldif", g.path("people.ldif")))
	text, err := os.ReadFile("testdata/slapd.conf")
	if err != nil {
		t.Fatal(err)
	}
	g.write("slapd.conf", strings.NewReplacer("@DIR@", g.dir, "@LDAP_BASE@", "dc=bench", "@LDAP_DN@", "cn=root,dc=bench",
		"@LDAP_PASSWORD@", secret).Replace(string(text)))
	people, err := os.ReadFile(g.path("people.ldif"))
	if err != nil {
		t.Fatal(err)
	}
	g.write("all.ldif", "dn: dc=bench\nobjectClass: dcObject\nobjectClass: organization\ndc: bench\no: bench\n\n"+
		"dn: ou=people,dc=bench\nobjectClass: organizationalUnit\nou: people\n\n"+string(people))
	if err := os.Mkdir(g.path("ldap"), 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), sbin("slapadd"), "-q", "-f", g.path("slapd.conf"), "-l", g.path("all.ldif")).CombinedOutput(); err != nil {
		t.Fatalf("slapadd (Debian package slapd): %v\n%s", err, out)
	}
	slapd := g.launch("slapd", sbin("slapd"), "-d", "0", "-f", g.path("slapd.conf"), "-h", "ldap://127.0.0.1:"+g.ldap)
	g.own = append(g.own, slapd)
	await(t, "slapd", nil, func() bool { return listens(g.ldap) })
	return g
}

// must ends the test when a command line of ours failed.
func (g *rig) must(status int, out, errs string) {
	g.t.Helper()
	if status != 0 {
		g.t.Fatalf("status %d\n%s%s", status, out, errs)
	}
}

// launch runs a program on the servers' core until the test ends.
func (g *rig) launch(name, program string, args ...string) *child {
	g.t.Helper()
	c := &child{name: name, log: g.path(name + ".log"), ended: make(chan struct{})}
	out, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	c.cmd = exec.Command("taskset", append([]string{"-c", g.core, program}, args...)...)
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = g.dir, out, out
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	go func() {
		_ = c.cmd.Wait()
		close(c.ended)
	}()
	g.t.Cleanup(func() {
		c.end(syscall.SIGKILL)
		noRace(g.t, c.log)
		if text, _ := os.ReadFile(c.log); g.t.Failed() && !g.ready {
			g.t.Logf("the end of %s:\n%s", c.log, text[max(0, len(text)-1000):])
		}
	})
	return c
}

// end sends the process a signal that ends it, and waits until it has.
func (c *child) end(signal syscall.Signal) {
	_ = c.cmd.Process.Signal(signal) // an error says that it has ended
	<-c.ended
}

// redis starts a Redis that keeps what it is told as the benchmark's does, and returns where it is.
func (g *rig) redis() (*child, string) {
	g.t.Helper()
	port := freePort(g.t)
	if err := os.Mkdir(g.path("redis"), 0o700); err != nil {
		g.t.Fatal(err)
	}
	c := g.launch("redis", "redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", g.path("redis"), "--save", "",
		"--appendonly", "yes", "--appendfsync", "everysec", "--daemonize", "no", "--maxmemory-policy", "noeviction")
	await(g.t, "redis-server (Debian package redis-server)", nil, func() bool { return listens(port) })
	return c, "127.0.0.1:" + port
}

// target is a node of a rig, with its own back ends: what a login there costs, they have paid.
type target struct {
	*rig
	*child
	name, addr, metrics string
	own                 []*child
}

// node writes the configuration of a node, with more lines of it if need be: such as store, without which it is on
// its embedded one.
func (g *rig) node(name, more string, with ...*child) *target {
	g.t.Helper()
	port, metrics := freePort(g.t), freePort(g.t)
	g.write(name+".yaml", strings.NewReplacer("PORT", port, "METRICS", metrics, "DATA", "data-"+name, "SECRET", secret, "LDAP", g.ldap,
		"PERIOD", g.period, "FRESH", cmp.Or(g.fresh, "1h"), "MORE", more).Replace(`
data_dir: DATA
radius:
  listen: ["127.0.0.1:PORT"]
  clients: [{name: radload, networks: [127.0.0.1/32], secret: SECRET}]
directories:
  - name: bench
    urls: ["ldap://127.0.0.1:LDAP"]
    insecure_plaintext: true
    base_dn: "dc=bench"
    bind_dn: "cn=root,dc=bench"
    bind_password: SECRET
    cache: {fresh: FRESH, stale: 2h}
otp: {max_drift: 0, period: PERIOD}
metrics: {listen: "127.0.0.1:METRICS"}
MORE
`))
	return &target{rig: g, name: name, addr: "127.0.0.1:" + port, metrics: "127.0.0.1:" + metrics, own: slices.Concat(g.own, with)}
}

// serve starts the node, and waits until logins pass there.
func (n *target) serve() *target {
	n.t.Helper()
	binary, err := otpgate()
	if err != nil {
		n.t.Fatal(err)
	}
	n.child = n.launch(n.name, binary, "serve", "--config", n.path(n.name+".yaml"))
	n.own = append(n.own, n.child)
	await(n.t, n.name, n.child.ended, func() bool {
		answer, err := http.Get("http://" + n.metrics + "/readyz")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return n
}

// enroll adds all devices.
func (n *target) enroll() *target {
	n.t.Helper()
	binary, _ := otpgate()
	cmd := exec.CommandContext(n.t.Context(), binary, "device", "import", "--csv", n.path("devices.csv"), "--config", n.path(n.name+".yaml"))
	if out, err := cmd.CombinedOutput(); err != nil {
		n.t.Fatalf("%v\n%s", err, out)
	}
	return n
}

// onRedis are the lines that have a node keep its devices there.
func onRedis(addr string) string { return fmt.Sprintf("store: {redis: {addresses: [%q]}}", addr) }

// login logs devices in, one after the other from the first, 64 at a time, with the codes of another minute
// if the clock is shifted. It returns how many got in: the rest did so by no fault of the rig's.
func (n *target) login(first, count int, shift time.Duration) int {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 2*patience)
	defer cancel()
	var out, errs bytes.Buffer
	p := &program{
		out: &out, err: &errs, now: func() time.Time { return time.Now().Add(shift) }, reachable: netip.Addr.IsLoopback,
	}
	p.execute(ctx, []string{
		"run", "--server", n.addr, "--secret", secret, "--master", "bench", "--count", fmt.Sprint(n.devices), "--period", n.period, "--first", fmt.Sprint(first),
		"--logins", fmt.Sprint(count), "--outstanding", "64", "--duration", "5m", "--linger", "0s", "--json", "--quiet",
	})
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		n.t.Fatalf("%v\n%s", err, errs.String())
	}
	if r.Logins.Accepted < uint64(count)*9/10 {
		n.t.Fatalf("of %d logins %d were accepted: %+v %v", count, r.Logins.Accepted, r.Logins, unheld(r))
	}
	return int(r.Logins.Accepted + r.Logins.Refused)
}

// spent is how much processor time the children have used, all of their threads.
func spent(t *testing.T, all []*child) (sum time.Duration) {
	t.Helper()
	for _, c := range all {
		var used unix.Timespec
		// CPUCLOCK_SCHED of a process, as clock_getcpuclockid(3) makes it: to the nanosecond, where
		// /proc/PID/stat has hundredths of a second.
		if err := unix.ClockGettime(int32(^c.cmd.Process.Pid)<<3|2, &used); err != nil {
			t.Fatalf("the processor time of %s: %v", c.name, err)
		}
		sum += time.Duration(used.Nano())
	}
	return sum
}

// twoCores returns two of the processors that this process may use.
func twoCores(t *testing.T) (server, load int) {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	if set.Count() < 2 {
		t.Fatal("servers and generator need a core each, and there is one")
	}
	var all []int
	for i := 0; len(all) < 2; i++ {
		if set.IsSet(i) {
			all = append(all, i)
		}
	}
	return all[0], all[1]
}

// keepTo keeps this process to a core until the test ends.
func keepTo(t *testing.T, core int) {
	t.Helper()
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	only.Set(core)
	onEveryThread(&only)
	t.Cleanup(func() { onEveryThread(&before) })
}

// onEveryThread sets where the threads may run; those that they start inherit it.
func onEveryThread(set *unix.CPUSet) {
	threads, _ := filepath.Glob("/proc/self/task/*")
	for _, path := range threads {
		var id int
		if _, err := fmt.Sscan(filepath.Base(path), &id); err == nil {
			_ = unix.SchedSetaffinity(id, set) // one that has ended needs none
		}
	}
}

// sbin is where Debian keeps a server that not everybody's PATH has.
func sbin(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return "/usr/sbin/" + name
}

// listens reports whether something takes TCP connections at a port of 127.0.0.1.
func listens(port string) bool {
	c, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", port), time.Second)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}
