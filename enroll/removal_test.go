package enroll_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/enroll"
	"otpgate/otp"
)

func unixMS(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// removal is what the app sends to remove its device.
func (w *world) removal(p phone) map[string]string {
	at := unixMS(w.clock.now())
	return map[string]string{"device": p.device, "account": p.account, "at": at, "proof": p.prove("remove", at, "")}
}

// forbidden checks that a change is refused as all are.
func (w *world) forbidden(what, path string, members map[string]string) {
	w.t.Helper()
	status, answer := w.post(path, members)
	if status != http.StatusForbidden || len(answer) != 3 || answer["type"] != "urn:otpgate:proof-invalid" {
		w.t.Errorf("%s: answered %d %v", what, status, answer)
	}
}

func TestTheAppRemovesItsDevice(t *testing.T) {
	w := start(t, nil)
	p, _ := w.register("alice@corp.example", "my phone", nil)
	if status, answer := w.post("/v1/devices/remove", w.removal(p)); status != http.StatusOK || answer["removed"] != true || len(answer) != 1 {
		t.Fatalf("%d %v", status, answer)
	}
	if w.count(alice) != 0 {
		t.Error("it is still there")
	}
	if r := w.verifier.Verify(context.Background(), otp.Attempt{Account: alice, Proof: otp.TypedCode(p.code(w.clock.now())), Token: otp.Token{1}}); r.OK {
		t.Error("its code is taken")
	}
	w.forbidden("again", "/v1/devices/remove", w.removal(p))
	eventually(t, "a mail that says so", func() bool {
		for _, m := range w.smtp.To("alice@corp.example") {
			if strings.Contains(m.Subject, "removed") && strings.Contains(m.Text, "my phone") {
				return true
			}
		}
		return false
	})
	for _, e := range w.trail.all() {
		if e.Action == "device_revoked" && e.Decision == "accept" && (e.Account != alice || e.Device != p.device || e.Source != "192.0.2.1" || e.Detail != "by the device itself") {
			t.Errorf("on record: %+v", e)
		}
	}
}

// TestProofsThatAreNone: each part of it, and each bit.
func TestProofsThatAreNone(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.Policy = enroll.Anyone })
	p, _ := w.register("alice@corp.example", "first", nil)
	other, _ := w.register("alice@corp.example", "second", nil)
	hers, _ := w.register("wang@corp.example", "hers", nil)
	good := w.removal(p)
	with := func(changes ...string) map[string]string {
		members := map[string]string{}
		for k, v := range good {
			members[k] = v
		}
		for i := 0; i+1 < len(changes); i += 2 {
			members[changes[i]] = changes[i+1]
		}
		return members
	}
	const path = "/v1/devices/remove"
	raw := []byte(good["proof"])
	for i := range raw {
		flipped := append([]byte(nil), raw...)
		if flipped[i] ^= 1; flipped[i] == '.' || flipped[i] == '@' {
			flipped[i] = 'B' // 'A' would be what it was
		}
		w.forbidden("octet "+strconv.Itoa(i), path, with("proof", string(flipped)))
	}
	at := good["at"]
	for what, members := range map[string]map[string]string{
		"no proof":                      with("proof", ""),
		"a longer proof":                with("proof", good["proof"]+"AAAA"),
		"padded":                        with("proof", good["proof"]+"="),
		"a line break":                  with("proof", good["proof"]+"\n"),
		"another device of the account": with("device", other.device),
		"a device of somebody else":     with("device", hers.device, "account", wang),
		"another account":               with("account", wang),
		"nobody's account":              with("account", "0b000000-0000-4000-8000-00000000ffff"),
		"no account":                    with("account", ""),
		"no device":                     with("device", ""),
		"a device that is none":         with("device", "aaaaaaaaaaaaaaaa"),
		"another time":                  with("at", unixMS(w.clock.now().Add(time.Millisecond))),
		"the same time, otherwise":      with("at", "+"+at),
		"zeros before it":               with("at", "0"+at),
		"no time":                       with("at", ""),
		"a time that is none":           with("at", "now"),
		"another's key":                 with("proof", other.prove("remove", at, "")),
		"for another action":            with("proof", p.prove("rename", at, "")),
		"for another detail":            with("proof", p.prove("remove", at, "x")),
		"for no action":                 with("proof", p.prove("", at, "")),
		"a code":                        with("proof", encode([]byte(p.code(w.clock.now())))),
	} {
		w.forbidden(what, path, members)
	}
	for _, off := range []time.Duration{-2*time.Minute - time.Millisecond, 2*time.Minute + time.Millisecond, 24 * time.Hour} {
		at := unixMS(w.clock.now().Add(off))
		w.forbidden("made "+off.String()+" from now", path, with("at", at, "proof", p.prove("remove", at, "")))
	}
	// Lines cannot be moved from one member to another.
	split := p
	split.account = p.account + "\n" + p.device
	w.forbidden("a line in the account", path, with("account", split.account, "proof", split.prove("remove", at, "")))
	if w.count(alice) != 2 || w.count(wang) != 1 {
		t.Fatal("a device is gone")
	}
	for what, members := range map[string]map[string]string{
		"a session besides": with("session", "x"), "nothing": {"device": p.device}, "half of it": {"device": p.device, "account": p.account, "at": at},
		"an unknown member": with("label", "x"),
	} {
		if status, answer := w.post(path, members); status != http.StatusBadRequest || answer["type"] != "urn:otpgate:malformed" {
			t.Errorf("%s: %d %v", what, status, answer)
		}
	}
	early := unixMS(w.clock.now().Add(-2 * time.Minute))
	if status, _ := w.post(path, with("at", early, "proof", p.prove("remove", early, ""))); status != http.StatusOK || w.count(alice) != 1 {
		t.Errorf("two minutes old: %d", status)
	}
}

func TestTheAppRenamesItsDevice(t *testing.T) {
	w := start(t, nil)
	p, _ := w.register("alice@corp.example", "first", nil)
	at := unixMS(w.clock.now())
	rename := func(label, signed string) map[string]string {
		return map[string]string{"device": p.device, "label": label, "account": p.account, "at": at, "proof": p.prove("rename", at, signed)}
	}
	const path = "/v1/devices/rename"
	w.forbidden("another label", path, rename("mine", "yours"))
	w.forbidden("no label signed", path, rename("mine", ""))
	for _, bad := range []string{"a\nb", strings.Repeat("x", 65), "\u202e"} {
		if status, answer := w.post(path, rename(bad, bad)); status != http.StatusBadRequest {
			t.Errorf("%q: %d %v", bad, status, answer)
		}
	}
	if status, answer := w.post(path, rename(" 我的 phone ", " 我的 phone ")); status != http.StatusOK || answer["label"] != "我的 phone" || len(answer) != 1 {
		t.Errorf("%d %v", status, answer)
	}
	list, err := w.devices.List(context.Background(), alice)
	if err != nil || len(list) != 1 || list[0].Label != "我的 phone" {
		t.Errorf("%v %v", list, err)
	}
	if last := w.trail.all()[len(w.trail.all())-1]; last.Action != "device_renamed" || last.Decision != "accept" || last.Account != alice || last.Device != p.device {
		t.Errorf("on record: %+v", last)
	}
}

// TestRefusedProofsTakeTheSameTime as refused enrollments, and say nothing about accounts.
func TestRefusedProofsTakeTheSameTime(t *testing.T) {
	const answerAfter = 400 * time.Millisecond
	var known phone
	w := start(t, nil)
	known, _ = w.register("alice@corp.example", "phone", nil)
	slow := start(t, func(_ *world, o *enroll.Options) {
		o.AnswerAfter, o.Now, o.Devices, o.Tickets, o.Keys = answerAfter, time.Now, w.devices, w.store, w.keys
	})
	for what, account := range map[string]string{"a known account": known.account, "an unknown one": "nobody"} {
		takes(t, what, answerAfter, 200*time.Millisecond, func() {
			slow.forbidden(what, "/v1/devices/remove", map[string]string{"device": known.device, "account": account, "at": unixMS(time.Now()), "proof": "AAAA"})
		})
	}
	takes(t, "a bad session", answerAfter, 200*time.Millisecond, func() { slow.post("/v1/devices/list", map[string]string{"session": "x"}) })
	takes(t, "a bad offer", answerAfter, 200*time.Millisecond, func() { slow.confirm("x", "000000") })
}

func TestConcurrentRemovalsByProofHaveOneWinner(t *testing.T) {
	w := start(t, nil)
	p, _ := w.register("alice@corp.example", "phone", nil)
	var won atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if status, _ := w.post("/v1/devices/remove", w.removal(p)); status == http.StatusOK {
				won.Add(1)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d winners", won.Load())
	}
}

// FuzzProof: nothing but the device's own signature is one.
func FuzzProof(f *testing.F) {
	w := start(f, func(_ *world, o *enroll.Options) { o.AnswerAfter = time.Microsecond })
	p, _ := w.register("alice@corp.example", "phone", nil)
	at := unixMS(w.clock.now())
	proof := p.prove("remove", at, "")
	f.Add(p.account, p.device, at, "AAAA")
	f.Add(p.account, p.device, at+"0", proof)
	f.Add(p.account+"\n", p.device, at, proof)
	f.Fuzz(func(t *testing.T, account, device, at, typed string) {
		if typed == proof {
			return
		}
		body, err := json.Marshal(map[string]string{"device": device, "account": account, "at": at, "proof": typed})
		if err != nil {
			t.Fatal(err)
		}
		if res := w.do(http.MethodPost, "/v1/devices/remove", string(body), "Content-Type", "application/json"); res.StatusCode == http.StatusOK {
			t.Fatalf("%s is taken", body)
		}
	})
}
