//go:build soak

package main

import (
	"fmt"
	"os/exec"
	"syscall"
	"testing"
)

// longestFreeze is after how many seconds a disk that hangs is thawed whatever becomes of the test: a process
// that waits for such a disk cannot be killed.
const longestFreeze = 30

// hangingDisk is a disk that can be made to hang.
type hangingDisk struct {
	disk
	timer *exec.Cmd // ends a freeze, if the test does not
}

// mountReal puts a file system of a disk below the node's data_dir, which fsfreeze(8) makes hang.
func (d *hangingDisk) mountReal(o *outage) {
	d.o, d.mounted = o, true
	for _, command := range [][]string{
		{"mkdir", "-m", "700", o.path("data")},
		{"truncate", "-s", "48M", o.path("disk")},
		{"mkfs.ext4", "-q", "-F", o.path("disk")},
		{"mount", "-o", "loop,nosuid,nodev", o.path("disk"), o.path("data")},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			o.t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	o.t.Cleanup(func() {
		if out, err := exec.Command("umount", o.path("data")).CombinedOutput(); err != nil {
			o.t.Errorf("umount: %v\n%s", err, out)
		}
	})
}

// freeze makes the disk hang, and thaw ends that. Whoever thaws it in the end does not end with the test.
func (d *hangingDisk) freeze() {
	d.o.t.Helper()
	cmd := exec.Command("sh", "-c", fmt.Sprintf("sleep %d; fsfreeze -u %s", longestFreeze, d.o.path("data")))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		d.o.t.Fatal(err)
	}
	d.timer = cmd
	if out, err := exec.Command("fsfreeze", "-f", d.o.path("data")).CombinedOutput(); err != nil {
		d.o.t.Fatalf("fsfreeze: %v\n%s", err, out)
	}
}

func (d *hangingDisk) thaw() {
	d.o.t.Helper()
	if out, err := exec.Command("fsfreeze", "-u", d.o.path("data")).CombinedOutput(); err != nil {
		d.o.t.Errorf("fsfreeze: %v\n%s", err, out)
	}
	_ = syscall.Kill(-d.timer.Process.Pid, syscall.SIGKILL) // it and its sleep: a session of their own
	_ = d.timer.Wait()
}

// TestHungDiskSoak: a disk that does not answer is the same as none. It needs the right to mount.
func TestHungDiskSoak(t *testing.T) {
	for _, required := range []bool{false, true} {
		t.Run(fmt.Sprintf("audit required %t", required), func(t *testing.T) {
			d := &hangingDisk{}
			o := newOutage(t, outageOptions{more: fmt.Sprintf("audit: {required: %t}\n", required), first: d.mountReal})
			for round, more := 0, outages(t); more(round); round++ {
				o.withoutDisk(t, trouble{name: "hangs (fsfreeze)", begin: d.freeze, over: d.thaw, silent: true}, required)
			}
		})
	}
}
