package dictionary_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"otpgate/radius/dictionary"
)

// share is where Debian keeps FreeRADIUS's dictionaries.
const share = "/usr/share/freeradius"

func theirs(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(share, "dictionary."+name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: install the Debian package freeradius-common", err)
	}
	return path
}

// TestFreeRADIUSFiles: the files of FreeRADIUS can be read as they are, unless they hold what is
// refused; and what is built in does not contradict them.
func TestFreeRADIUSFiles(t *testing.T) {
	ours := open(t)
	found := map[string]bool{}
	for _, name := range []string{
		"rfc2866", "rfc2867", "rfc2868", "rfc2869", "rfc3162", "rfc3576", "rfc3580", "rfc4072", "rfc4372", "rfc4603", "rfc4675",
		"rfc4818", "rfc4849", "rfc5176", "rfc5607", "rfc6911",
		"cisco", "cisco.asa", "cisco.vpn3000", "fortinet", "paloalto", "juniper", "netscreen", "mikrotik", "citrix", "f5", "aruba", "hp",
		"checkpoint", "sonicwall", "arista", "huawei", "h3c", "brocade", "zyxel", "microsoft",
		"starent",
	} {
		path := theirs(t, name)
		d, err := dictionary.New(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) >= 4 && fields[0] == "ATTRIBUTE" {
				found[strings.ToLower(fields[1])] = true
				compare(t, ours, d, fields[1])
			}
			if len(fields) >= 4 && fields[0] == "VALUE" {
				compareValue(t, ours, d, fields[1], fields[2])
			}
		}
	}
	missing := 0
	for _, name := range ours.Names() {
		a, _ := ours.Lookup(name)
		if (a.Vendor != nil || a.Number > 63) && !found[strings.ToLower(name)] {
			missing++
			t.Logf("FreeRADIUS has no %s", name)
		}
	}
	if missing > 5 { // its release is years older
		t.Errorf("%d attributes are not in FreeRADIUS's files", missing)
	}
}

// compare holds an attribute that is built in to the one of a file.
func compare(t *testing.T, ours, d *dictionary.Dictionary, name string) {
	t.Helper()
	a, ok := ours.Lookup(name)
	if !ok {
		return
	}
	b, ok := d.Lookup(name)
	if !ok || a.Name != b.Name || a.Number != b.Number || a.Kind != b.Kind || a.Tagged != b.Tagged || a.Encrypt != b.Encrypt || a.Size != b.Size ||
		(a.Vendor == nil) != (b.Vendor == nil) || a.Vendor != nil && a.Vendor.ID != b.Vendor.ID {
		t.Errorf("%s is %+v, theirs %+v", name, a, b)
	}
}

// compareValue holds the name of a value to the one of a file.
func compareValue(t *testing.T, ours, d *dictionary.Dictionary, attribute, name string) {
	t.Helper()
	a, ok := ours.Lookup(attribute)
	if !ok {
		return
	}
	wires, err := a.Encode(name)
	if err != nil {
		return
	}
	b, _ := d.Lookup(attribute)
	others, err := b.Encode(name)
	if err != nil || octets(wires[0]) != octets(others[0]) {
		t.Errorf("%s = %s is %v, theirs %v, %v", attribute, name, wires, others, err)
	}
}

// TestRadclientEncodesTheSame: FreeRADIUS's client makes the same octets of the same text.
func TestRadclientEncodesTheSame(t *testing.T) {
	d := open(t)
	var request strings.Builder
	var want []string
	for _, c := range known() {
		a := lookup(t, d, c.name)
		tag, value, err := a.SplitTag(c.value)
		if err != nil {
			t.Fatal(err)
		}
		suffix := ""
		if tag > 0 {
			suffix = fmt.Sprintf(":%d", tag)
		}
		if c.name == "Event-Timestamp" || strings.Contains(value, "0o") || strings.Contains(value, "\r") || c.name == "Filter-Id" && strings.HasPrefix(value, ":") || c.value == ":a:42" || value == "0X41" {
			continue // written otherwise there
		}
		if a.Kind == dictionary.String || a.Kind == dictionary.Octets && !strings.HasPrefix(value, "0x") {
			value = `"` + value + `"`
		}
		fmt.Fprintf(&request, "%s%s = %s\n", c.name, suffix, strings.TrimSpace(value))
		want = append(want, c.octets)
	}
	packet := sent(t, request.String())
	var got []string
	for rest := packet[20:]; len(rest) > 2 && int(rest[1]) <= len(rest); rest = rest[rest[1]:] {
		got = append(got, hex.EncodeToString(rest[:rest[1]]))
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("attribute %d: radclient sends\n%s\nand we\n%s\nof\n%s", i, strings.Join(got, "\n"), strings.Join(want, "\n"), request.String())
		}
	}
}

// sent returns the Accounting-Request that radclient makes of attributes: it has no attributes of
// its own.
func sent(t *testing.T, attributes string) []byte {
	t.Helper()
	path, err := exec.LookPath("radclient")
	if err != nil {
		t.Fatal("radclient is missing: install the Debian package freeradius-utils")
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-r", "1", "-t", "1", socket.LocalAddr().String(), "acct", "secret")
	cmd.Stdin = strings.NewReader(attributes)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	packet := make([]byte, 4096)
	_ = socket.SetReadDeadline(time.Now().Add(30 * time.Second))
	n, _, err := socket.ReadFrom(packet)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil || n < 20 {
		t.Fatalf("%d octets, %v; radclient says %s", n, err, out.String())
	}
	return packet[:n]
}
