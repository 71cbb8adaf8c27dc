package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"otpgate/configs"
)

// unitSettings are the lines of the shipped unit, KEY=VALUE.
func unitSettings(t *testing.T) map[string][]string {
	t.Helper()
	settings := map[string][]string{}
	for line := range strings.Lines(string(configs.Unit)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			settings[key] = append(settings[key], value)
		}
	}
	return settings
}

// A configuration that cannot be used must not be tried once a second for ever, and serve itself has
// to say so: systemd looks at the main process's status only.
func TestTheUnitDoesNotRestartWhatOnlyAPersonMends(t *testing.T) {
	unit := unitSettings(t)
	bad := filepath.Join(t.TempDir(), "otpgate.yaml")
	if err := os.WriteFile(bad, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _ := typeHere(t, "serve", "--config", bad)
	if !slices.Equal(unit["RestartPreventExitStatus"], []string{strconv.Itoa(status)}) || unit["ExecStartPre"] != nil {
		t.Errorf("serve ends with %d; %v, %v", status, unit["RestartPreventExitStatus"], unit["ExecStartPre"])
	}
	// A crash is no such thing (testdata/script/crash.txtar), and its core would hold every key.
	if !slices.Equal(unit["Restart"], []string{"always"}) || !slices.Equal(unit["LimitCORE"], []string{"0"}) {
		t.Errorf("%v, %v", unit["Restart"], unit["LimitCORE"])
	}
}

func TestTheUnitRunsWhatIsThere(t *testing.T) {
	unit := unitSettings(t)
	start := strings.Fields(unit["ExecStart"][0])
	if status, said := typeHere(t, append(start[1:], "--help")...); status != 0 || start[len(start)-1] != defaultConfigPath {
		t.Errorf("%v: %d %s", start, status, said)
	}
	// systemd.exec: "Except in case of ConfigurationDirectory=, the innermost specified directories
	// will be owned by the user and group specified in User= and Group=."
	if unit["ConfigurationDirectory"] != nil || unit["StateDirectory"][0] != "otpgate" || unit["User"][0] != "otpgate" {
		t.Errorf("%v", unit)
	}
	for _, m := range regexp.MustCompile(`(?m)^#.*\botpgate ((?:example|check|serve)[^>&\n]*)`).FindAllStringSubmatch(string(configs.Unit), -1) {
		if status, said := typeHere(t, append(strings.Fields(m[1]), "--help")...); status != 0 {
			t.Errorf("otpgate %s: %s", m[1], said)
		}
	}
}

// Whoever has only the binary gets the files that ship with it.
func TestExamplesArePrinted(t *testing.T) {
	for name, want := range map[string][]byte{
		"": configs.Example, "config": configs.Example, "quickstart": configs.Quickstart, "service": configs.Unit, "people": configs.DemoPeople,
	} {
		if status, said := typeHere(t, append([]string{"example"}, strings.Fields(name)...)...); status != 0 || said != string(want) {
			t.Errorf("%q: %d, %d octets", name, status, len(said))
		}
	}
	for _, args := range [][]string{{"example", "exmaple"}, {"example", "config", "service"}} {
		if status, said := typeHere(t, args...); status != 2 {
			t.Errorf("%v: %d %s", args, status, said)
		}
	}
}
