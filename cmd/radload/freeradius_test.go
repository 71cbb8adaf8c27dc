package main

import (
	"os"
	"strings"
	"testing"
)

// TestFreeRADIUS loads a server that shares no code with ours: what is right for both is right. Without a
// replay check it accepts codes twice, and that is seen.
func TestFreeRADIUS(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	w := &world{t: t, dir: t.TempDir(), addr: "127.0.0.1:" + port}
	if status, _, errs := radload(t, "devices", "--master", "bench", "--count", "200", "--period", "30s", "--freeradius", w.path("users")); status != 0 {
		t.Fatal(errs)
	}
	text, err := os.ReadFile("testdata/freeradius-totp.conf")
	if err != nil {
		t.Fatal(err)
	}
	w.write("radiusd.conf", strings.NewReplacer("@DIR@", w.dir, "@PORT@", port, "@SECRET@", secret, "@WORKERS@", "4",
		"@USERS@", w.path("users")).Replace(string(text)))
	ended := w.start("/usr/sbin/freeradius", "-f", "-d", w.dir, "-n", "radiusd", "-l", "stdout")
	await(t, "freeradius (Debian package freeradius)", ended, func() bool {
		log, err := os.ReadFile(w.path("freeradius.log"))
		return err == nil && strings.Contains(string(log), "Ready to process requests")
	})
	devices := []string{"--count", "200", "--period", "30s", "--outstanding", "8", "--timeout", "20s"}
	r, status := w.load(append(devices, "--logins", "100", "--flood", "forged:200")...)
	if status != 0 || r.Logins.Accepted != 100 {
		t.Errorf("status %d, %+v, not held %q", status, r.Logins, unheld(r))
	}
	r, status = w.load(append(devices, "--first", "100", "--logins", "50", "--replay", "at-once")...)
	if status != 1 || r.Logins.Accepted != 50 || r.Replays.Accepted != 50 || strings.Join(unheld(r), ",") != "nobody_in_wrongly,replays_refused" {
		t.Errorf("status %d, %+v %+v, not held %q", status, r.Logins, r.Replays, unheld(r))
	}
	r, status = w.load(append(devices, "--first", "150", "--logins", "20", "--wrong", "1")...)
	if status != 0 || r.Logins.Refused != 20 {
		t.Errorf("status %d, %+v, not held %q", status, r.Logins, unheld(r))
	}
}
