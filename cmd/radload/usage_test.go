package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUsage refuses command lines that make no sense, before anything is sent.
func TestUsage(t *testing.T) {
	const to = "--server=127.0.0.1:9 --secret=testing-secret --master=bench "
	for _, c := range []struct{ name, args, want string }{
		{"no server", "--secret=x --master=bench --rate=1", "--server is missing"},
		{"no address", "--server=localhost --secret=x --master=bench --rate=1", "is no address and port"},
		{"beyond this machine", "--server=192.0.2.1:1812 --secret=x --master=bench --rate=1", "hint: add --i-own-this-network"},
		{"beyond this machine, IPv6", "--server=[2001:db8::1]:1812 --secret=x --master=bench --rate=1", "beyond this machine"},
		{"no secret", "--server=127.0.0.1:9 --master=bench --rate=1", "no shared secret"},
		{"nothing to do", to, "nothing to do"},
		{"no devices", "--server=127.0.0.1:9 --secret=x --rate=1", "--devices"},
		{"two kinds of devices", to + "--devices=x --rate=1", "--devices"},
		{"too few devices", to + "--count=59999 --rate=1000 --duration=2m", "that takes 60000"},
		{"too few devices from the first", to + "--count=1000 --first=990 --rate=11 --duration=1s", "10 devices do not suffice"},
		{"no such device", to + "--count=10 --first=10 --rate=1", "no device 10"},
		{"no such login", to + "--login=chap --rate=1", `--login "chap"`},
		{"no such replay", to + "--replay=soon --rate=1", `--replay "soon"`},
		{"no such reuse", to + "--reuse=maybe --rate=1", `--reuse "maybe"`},
		{"no such signature", to + "--message-authenticator=last --rate=1", `--message-authenticator "last"`},
		{"at each server, at a rate", to + "--each --rate=1", "--each goes with --outstanding"},
		{"at each server, and in turn", to + "--each --outstanding=1 --spread", "--each goes with --outstanding"},
		{"no password", to + "--login=password+code --rate=1", "needs --password"},
		{"no such flood", to + "--flood=rain:1", "no flood"},
		{"no rate of a flood", to + "--flood=garbage", "kind:rate"},
		{"too much of a flood", to + "--flood=garbage:1e9", "not a number up to"},
		{"strangers from nowhere", to + "--flood=stranger:1", "strangers need an address"},
		{"no source", to + "--source=home --rate=1", "no address"},
		{"no such algorithm", to + "--algorithm=MD5 --rate=1", "no algorithm"},
		{"short master seed", "--server=127.0.0.1:9 --secret=x --master=abc --rate=1", "master seed"},
		{"no such flag", to + "--faster", "hint: see radload run --help"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, out, errs := radload(t, append([]string{"run"}, strings.Fields(c.args)...)...)
			if status != 2 || !strings.Contains(errs, c.want) || out != "" || strings.Contains(errs, "testing-secret") {
				t.Errorf("status %d, want %q\n%s%s", status, c.want, out, errs)
			}
		})
	}
}

// TestNothingToMeasure says what is missing.
func TestNothingToMeasure(t *testing.T) {
	status, _, errs := radload(t, "bench", "--otpgate", filepath.Join(t.TempDir(), "otpgate"))
	if status != 1 || !strings.Contains(errs, "hint: make build") {
		t.Errorf("status %d\n%s", status, errs)
	}
}

// TestDevices writes files that only their owner can read.
func TestDevices(t *testing.T) {
	dir := t.TempDir()
	seed := filepath.Join(dir, "master")
	if err := os.WriteFile(seed, []byte("bench\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, errs := radload(t, "devices", "--master-file", seed, "--count", "3", "--csv", filepath.Join(dir, "csv"),
		"--freeradius", filepath.Join(dir, "users"), "--ldif", filepath.Join(dir, "ldif"))
	if status != 0 {
		t.Fatal(errs)
	}
	for name, lines := range map[string]int{"csv": 4, "users": 3, "ldif": 3 * 7} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(text), "\n") != lines || info.Mode().Perm() != 0o600 {
			t.Errorf("%s, %s:\n%s", name, info.Mode(), text)
		}
	}
	_, fromFile, _ := radload(t, "devices", "--master-file", seed, "--count", "3", "--csv", "-")
	_, fromFlag, _ := radload(t, "devices", "--master", "bench", "--count", "3", "--csv", "-")
	if fromFile != fromFlag || !strings.Contains(fromFile, "person0000002,") {
		t.Errorf("%s\n%s", fromFile, fromFlag)
	}
	for _, args := range [][]string{{"devices", "--master", "bench"}, {"devices", "--csv", "-"}, {"enroll"}} {
		if status, _, _ := radload(t, args...); status != 2 {
			t.Errorf("%q: status %d", args, status)
		}
	}
}

// TestReachable is about the safety catch.
func TestReachable(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1": true, "127.255.0.9": true, "::1": true, "::ffff:127.0.0.1": true,
		"192.0.2.1": false, "8.8.8.8": false, "2001:db8::1": false, "0.0.0.0": false, "128.0.0.1": false,
	} {
		if got := reachable(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}
