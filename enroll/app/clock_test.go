package app_test

import (
	"testing"
	"time"

	"otpgate/enroll/browsertest"
)

// moment is what the app's clock says.
type moment struct {
	Ahead                 float64 // now, before this machine's clock, in ms
	Measured, Off, Jumped bool
	Told                  int // how often whoever watches was
}

// look asks the clock, of which a page has one.
func look(t *testing.T, b *browsertest.Browser) (m moment) {
	t.Helper()
	run(t, b, &m, `
		const now = clock.now();
		const s = clock.state();
		return { ahead: now - Date.now() , measured: s.measured, off: s.off, jumped: s.jumped, told: globalThis.told ?? 0 };
	`)
	return m
}

// about reports whether two times are the same but for what a request takes.
func about(ms float64, d time.Duration) bool {
	return max(ms-float64(d.Milliseconds()), float64(d.Milliseconds())-ms) < 1500
}

func TestTheClockIsTheServers(t *testing.T) {
	h := serve(t)
	b := phone(t, h, "/app/blank")
	if m := look(t, b); !about(m.Ahead, 0) || m.Measured || m.Off || m.Jumped {
		t.Errorf("at first: %+v", m)
	}
	for _, c := range []struct {
		ahead time.Duration
		off   bool
	}{{0, false}, {170 * time.Second, false}, {190 * time.Second, true}, {-170 * time.Second, false}, {-10 * time.Minute, true}, {10 * time.Minute, true}} {
		h.set(func() { h.ahead = c.ahead })
		run(t, b, nil, `return clock.measure()`)
		if m := look(t, b); !about(m.Ahead, c.ahead) || !m.Measured || m.Off != c.off {
			t.Errorf("%v: %+v", c.ahead, m)
		}
	}
	// What was measured is remembered, for an opening without a network.
	must(t, b.Reload())
	if m := look(t, b); !about(m.Ahead, 10*time.Minute) || m.Measured || !m.Off || m.Jumped {
		t.Errorf("reopened: %+v", m)
	}
	must(t, b.Offline(true))
	var failed bool
	if run(t, b, &failed, `return clock.measure().then(() => false, () => true)`); !failed || !about(look(t, b).Ahead, 10*time.Minute) {
		t.Errorf("without a network: %v %+v", failed, look(t, b))
	}
	must(t, b.Offline(false))
}

// TestAConnectionTakesItsTime: one way only, so that the first answer of a server that is far away is
// worth less than the second.
func TestAConnectionTakesItsTime(t *testing.T) {
	h := serve(t)
	b := phone(t, h, "/app/blank")
	look(t, b)
	for _, c := range []struct {
		slow []time.Duration
		most float64 // ms
	}{{[]time.Duration{4 * time.Second}, 1000}, {[]time.Duration{time.Second, 5 * time.Second}, 1500}} {
		h.set(func() { h.slow = c.slow })
		run(t, b, nil, `return clock.measure()`)
		if m := look(t, b); !m.Measured || m.Ahead > c.most || m.Ahead < -c.most {
			t.Errorf("%v: %+v", c.slow, m)
		}
	}
}

// TestAnAnswerThatIsNoTimeIsNone: what was known stays.
func TestAnAnswerThatIsNoTimeIsNone(t *testing.T) {
	h := serve(t)
	b := phone(t, h, "/app/blank")
	for _, answer := range []string{`{"unix_ms":"soon"}`, `{}`, `null`, `{"unix_ms":1e300}`, `<html>`} {
		var failed bool
		run(t, b, &failed, `
			const real = fetch;
			globalThis.fetch = () => Promise.resolve(new Response(args[0]));
			try {
				return await clock.measure().then(() => false, () => true);
			} finally {
				globalThis.fetch = real;
			}`, answer)
		if m := look(t, b); !failed || m.Measured || !about(m.Ahead, 0) {
			t.Errorf("%s: %v %+v", answer, failed, m)
		}
	}
}

// TestAClockThatJumps: what was measured is dropped, and measured again where there is a network.
func TestAClockThatJumps(t *testing.T) {
	h := serve(t)
	b := phone(t, h, "/app/blank")
	h.set(func() { h.ahead = 5 * time.Minute })
	run(t, b, nil, `clock.watch(() => { globalThis.told = (globalThis.told ?? 0) + 1; }); await clock.measure();`)
	if m := look(t, b); m.Told != 1 || !m.Off {
		t.Fatalf("%+v", m)
	}
	// Somebody sets it right.
	must(t, b.JumpClock(5*time.Minute))
	must(t, b.Await(`globalThis.told >= 3`)) // dropped, measured
	if m := look(t, b); !about(m.Ahead, 0) || !m.Measured || m.Off || m.Jumped {
		t.Errorf("set right: %+v", m)
	}
	// Without a network nothing is known but the phone's own clock.
	must(t, b.JumpClock(-5*time.Minute))
	must(t, b.Await(`globalThis.told >= 5`))
	must(t, b.Offline(true), b.JumpClock(-time.Minute), b.Await(`globalThis.told >= 6`))
	if m := look(t, b); !about(m.Ahead, 0) || m.Measured || !m.Jumped {
		t.Errorf("jumped without a network: %+v", m)
	}
	must(t, b.Offline(false), b.Await(`globalThis.told >= 7`))
	if m := look(t, b); !about(m.Ahead, 6*time.Minute) || !m.Measured || m.Jumped {
		t.Errorf("with a network again: %+v", m)
	}
}

// TestAClockThatWasSetBackWhileTheAppWasClosed is seen at the next opening.
func TestAClockThatWasSetBackWhileTheAppWasClosed(t *testing.T) {
	h := serve(t)
	b := phone(t, h, "/app/blank")
	h.set(func() { h.ahead = 5 * time.Minute })
	run(t, b, nil, `return clock.measure()`)
	must(t, b.Open(h.url+"/app/blank")) // where nobody looks at the clock
	must(t, b.JumpClock(-10*time.Minute), b.Open(h.url+"/app/blank"))
	if m := look(t, b); !about(m.Ahead, 0) || !m.Jumped || m.Measured {
		t.Errorf("%+v", m)
	}
	run(t, b, nil, `return clock.measure()`)
	if m := look(t, b); !about(m.Ahead, 15*time.Minute) || m.Jumped || !m.Measured {
		t.Errorf("measured: %+v", m)
	}
}

// TestAPhoneThatSleeps: the clock of the page stands still meanwhile, and what was measured stays.
// Only a jump by what the clock was behind is somebody who put it right.
func TestAPhoneThatSleeps(t *testing.T) {
	h := serve(t)
	b := phone(t, h, "/app/blank")
	h.set(func() { h.ahead = 5 * time.Minute })
	run(t, b, nil, `
		Object.defineProperty(document, "hidden", { get: () => globalThis.asleep ?? false });
		clock.watch(() => {});
		await clock.measure();`)
	sleep := func(d time.Duration) {
		t.Helper()
		must(t, b.Offline(true))
		must(t, b.Run(`globalThis.asleep = true; document.dispatchEvent(new Event("visibilitychange"))`, nil), b.JumpClock(d),
			b.Run(`globalThis.asleep = false; document.dispatchEvent(new Event("visibilitychange"))`, nil))
	}
	ask := `import(performance.getEntriesByType("resource").map((e) => e.name).find((n) => n.includes("/clock.js"))).then((clock) => clock.state().offset)`
	var offset float64
	for _, d := range []time.Duration{time.Hour, 30 * time.Second} {
		sleep(d)
		must(t, b.Run(ask, &offset))
		if !about(offset, 5*time.Minute) {
			t.Errorf("slept for %v: %v", d, offset)
		}
	}
	sleep(290 * time.Second)
	must(t, b.Run(ask, &offset))
	if offset != 0 {
		t.Errorf("set right: %v", offset)
	}
}
