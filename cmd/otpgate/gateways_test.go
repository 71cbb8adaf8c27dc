package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"otpgate/configs"
	"otpgate/otp"
)

// TestACodeIsSharedAsOftenAsMayBe: the configuration has a number of its own, because it knows no package that has it.
func TestACodeIsSharedAsOftenAsMayBe(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "otpgate.yaml")
	for times, fine := range map[int]bool{1: false, 2: true, otp.MaxShareTimes: true, otp.MaxShareTimes + 1: false} {
		text := fmt.Sprintf(`
radius: {clients: [{name: vpn, networks: [127.0.0.1/32], secret: long-enough-1, shared_code: {times: %d, within: 60s}}]}
directories: [{name: lab, urls: ["ldaps://dc1"], base_dn: "dc=lab"}]
`, times)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := configs.Load(path, func(string) (string, bool) { return "", false })
		if (err == nil) != fine {
			t.Errorf("%d logins with one code: %v", times, err)
		}
		if err != nil {
			continue
		}
		if c, err := clientOf(cfg.Radius.Clients[0]); err != nil || c.Share.Times != times {
			t.Errorf("%d logins with one code: %+v, %v", times, c.Share, err)
		}
	}
}
