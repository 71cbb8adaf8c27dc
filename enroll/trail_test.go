package enroll_test

import (
	"net/http"
	"testing"

	"otpgate/otp"
)

// TestTheTrailTellsNoRemovalThatWasNone: whoever has a session can name any device, another account's
// too. What was not removed is not on record as removed.
func TestTheTrailTellsNoRemovalThatWasNone(t *testing.T) {
	w := start(t, nil)
	w.register("alice@corp.example", "hers", nil)
	other, _ := w.register("wang@corp.example", "his", nil)
	_, answer := w.session(w.link("alice@corp.example"))
	for _, device := range []string{other.device, "x"} {
		if status, _ := w.post("/v1/devices/remove", map[string]string{"session": answer["session"].(string), "device": device}); status != http.StatusOK {
			t.Error(status)
		}
	}
	for _, e := range w.trail.all() {
		if e.Action == "device_revoked" && e.Decision == otp.Accept.String() {
			t.Errorf("on record: %+v", e)
		}
	}
}
