package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// proxyKind is a program that stands between a gateway and a node.
type proxyKind struct {
	program, pkg string
	arguments    func(config string) []string
	ready        string // what it logs when it has begun to listen
}

func proxyKinds() map[string]proxyKind {
	return map[string]proxyKind{
		"radsecproxy": {"/usr/sbin/radsecproxy", "radsecproxy", func(config string) []string {
			return []string{"-f", "-c", config, "-i", config + ".pid"}
		}, "listening for "},
		// Its configuration is a folder with radiusd.conf, none of /etc.
		"freeradius": {"/usr/sbin/freeradius", "freeradius", func(config string) []string {
			return []string{"-f", "-l", "stdout", "-d", config}
		}, "Ready to process requests"},
	}
}

// cmdProxy starts and stops proxies. What one prints is in the file NAME.log.
//
//	proxy start radsecproxy NAME FILE
//	proxy start freeradius NAME FOLDER
//	proxy stop NAME
func cmdProxy(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "proxy start radsecproxy|freeradius NAME CONFIGURATION | proxy stop NAME")
	b := benchOf(ts)
	if args[0] == "stop" {
		p := b.proxies[args[1]]
		if p == nil {
			ts.Fatalf("proxy %s was never started", args[1])
		}
		ts.Check(p.cmd.Process.Signal(syscall.SIGTERM))
		p.wait(ts, args[1])
		return
	}
	kind, known := proxyKinds()[args[1]]
	if args[0] != "start" || !known || len(args) != 4 {
		ts.Fatalf("proxy: start radsecproxy or freeradius, with a name and a configuration, or stop")
	}
	log := args[2] + ".log"
	out, err := os.OpenFile(ts.MkAbs(log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	defer out.Close()
	began, err := out.Stat()
	ts.Check(err)
	cmd := exec.Command(kind.program, kind.arguments(ts.MkAbs(args[3]))...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		ts.Fatalf("%s (Debian package %s): %v", filepath.Base(kind.program), kind.pkg, err)
	}
	p := &process{cmd: cmd, log: log, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	b.proxies[args[2]] = p
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		<-p.exited
	})
	p.says(ts, kind.ready, began.Size())
}

// says waits until a process has printed a text, behind that many octets of its log.
func (p *process) says(ts *testscript.TestScript, text string, behind int64) {
	var log string
	said := eventually(func() bool {
		log = ts.ReadFile(p.log)
		select {
		case <-p.exited:
			return true
		default:
			return strings.Contains(log[behind:], text)
		}
	})
	if !said || !strings.Contains(log[behind:], text) {
		ts.Fatalf("%s does not come to say %q:\n%s", p.cmd.Path, text, log)
	}
}
