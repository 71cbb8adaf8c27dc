package app_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"otpgate/enroll/browsertest"
)

// version is of the page that is open, as it says itself.
func version(t *testing.T, b *browsertest.Browser) (v string) {
	t.Helper()
	must(t, b.Run(`document.querySelector("meta[name=version]").content`, &v))
	return v
}

// settle waits until the worker has everything and answers for the app.
const settle = `navigator.serviceWorker.ready.then((r) => r.active?.state === "activated" && !r.installing)`

// caches are the names of what workers keep.
func caches(t *testing.T, b *browsertest.Browser) (names []string) {
	t.Helper()
	must(t, b.Run(`caches.keys()`, &names))
	return names
}

// TestTheAppOpensWithoutANetwork: all of it, in each language, after one visit.
func TestTheAppOpensWithoutANetwork(t *testing.T) {
	h := serve(t)
	b := phone(t, h, "/app/")
	must(t, b.Await(settle))
	must(t, b.Offline(true), b.Reload())
	if got := version(t, b); got != h.app.Version() {
		t.Errorf("version %s, want %s", got, h.app.Version())
	}
	must(t, b.See("#email-input", "")) // the app runs
	var texts []string
	must(t, b.Run(`Promise.all(["en", "zh-Hant", "pt"].map(async (l) => (await (await fetch("texts.json?lang=" + l)).json())["email.next"]))`, &texts))
	if len(slices.Compact(slices.Sorted(slices.Values(texts)))) != 3 {
		t.Error(texts)
	}
	var issuer string
	must(t, b.Run(`fetch("settings.json").then((r) => r.json()).then((s) => s.issuer)`, &issuer))
	if issuer != "Example" {
		t.Error(issuer)
	}
	// A link in a mail opens it too.
	must(t, b.Open(h.url+"/app/?from=somewhere#code=7ZX8-K2QD&email=alice%40corp.example"))
	if got := version(t, b); got != h.app.Version() {
		t.Errorf("version %s, want %s", got, h.app.Version())
	}
	// What is no part of the app is none of the worker's business.
	var away bool
	must(t, b.Run(`Promise.all(["/v1/time", "/", "/app/nothing", "/app/app.css?v=0"].map((a) => fetch(a).then(() => false, () => true))).then((all) => all.every(Boolean))`, &away))
	if !away {
		t.Error("the worker answers for others")
	}
	must(t, b.Offline(false))
	names := caches(t, b)
	if len(names) != 1 || names[0] != "otpgate-"+h.app.Version() {
		t.Error(names)
	}
}

// TestSettingsAreNewWhereThereIsANetwork, and the last ones elsewhere.
func TestSettingsAreNewWhereThereIsANetwork(t *testing.T) {
	h := serve(t)
	b := phone(t, h, "/app/")
	must(t, b.Await(settle), b.Reload())
	issuer := func() (issuer string) {
		t.Helper()
		must(t, b.Run(`fetch("settings.json").then((r) => r.json()).then((s) => s.issuer)`, &issuer))
		return issuer
	}
	h.set(func() { h.change["settings.json"] = `{"issuer":"Other"}` })
	if got := issuer(); got != "Other" {
		t.Error(got)
	}
	must(t, b.Offline(true))
	if got := issuer(); got != "Other" {
		t.Error(got)
	}
	must(t, b.Offline(false))
}

// TestANewVersionTakesOverAtTheNextOpening: not before, wholly, and with the keys.
func TestANewVersionTakesOverAtTheNextOpening(t *testing.T) {
	h := serve(t)
	b := phone(t, h, "/app/")
	must(t, b.Await(settle), b.Reload())
	run(t, b, nil, keep+`await keep("d1", "alice");`)
	first := h.app.Version()
	next := build(t, "Another")
	h.set(func() { h.app = next })
	run(t, b, nil, `await (await navigator.serviceWorker.ready).update();`)
	must(t, b.Await(`navigator.serviceWorker.ready.then((r) => r.waiting !== null)`))
	var state struct{ Update bool }
	if run(t, b, &state, `return install.state();`); !state.Update || version(t, b) != first {
		t.Errorf("%+v, version %s", state, version(t, b))
	}
	if got := caches(t, b); len(got) != 2 {
		t.Error(got)
	}
	// A browser under load may count the page before as open; the opening after that will do.
	for openings, is := 0, false; !is; openings++ {
		if openings == 3 {
			t.Fatal("the new version does not take over")
		}
		must(t, b.Open(h.url+"/app/"))
		for tries := 0; tries < 50 && !is; tries++ {
			must(t, b.Run(`new Promise((r) => setTimeout(r, 100)).then(() => document.querySelector("meta[name=version]")?.content === "`+next.Version()+`")`, &is))
		}
	}
	must(t, b.Await(`caches.keys().then((names) => names.length === 1 && names[0] === "otpgate-`+next.Version()+`")`))
	must(t, b.Offline(true), b.Reload())
	if got := version(t, b); got != next.Version() {
		t.Errorf("version %s", got)
	}
	must(t, b.Offline(false))
	run(t, b, nil, keep+`is("keys", await there(), "d1:phone");`)
}

// TestANewVersionTakesOverWhenAsked: the button in the app.
func TestANewVersionTakesOverWhenAsked(t *testing.T) {
	h := serve(t)
	b := phone(t, h, "/app/")
	must(t, b.Await(settle), b.Reload())
	run(t, b, nil, keep+`await keep("d1", "alice");`)
	next := build(t, "Another")
	h.set(func() { h.app = next })
	run(t, b, nil, `await (await navigator.serviceWorker.ready).update();`)
	must(t, b.Await(`navigator.serviceWorker.ready.then((r) => r.waiting !== null)`))
	run(t, b, nil, `install.update();`)
	must(t, b.Await(`document.querySelector("meta[name=version]")?.content === "`+next.Version()+`"`))
	run(t, b, nil, keep+`is("keys", await there(), "d1:phone");`)
}

// TestAVersionIsWholeOrNotThere: a file that is not the one of the list ends the installation, and
// the version before stays.
func TestAVersionIsWholeOrNotThere(t *testing.T) {
	h := serve(t)
	b := phone(t, h, "/app/")
	must(t, b.Await(settle), b.Reload())
	first := h.app.Version()
	h.set(func() {
		h.app = build(t, "Another")
		h.change["manifest.webmanifest"] = `{}`
	})
	must(t, b.Run(`navigator.serviceWorker.ready.then((r) => r.update()).then((r) => new Promise((resolve) => {
		const w = r.installing;
		if (!w || w.state === "redundant") return resolve();
		w.addEventListener("statechange", () => { if (w.state === "redundant") resolve(); });
	}), () => {})`, nil))
	must(t, b.Reload())
	if got := version(t, b); got != first {
		t.Errorf("version %s, want %s", got, first)
	}
	var waits bool
	if must(t, b.Run(`navigator.serviceWorker.ready.then((r) => r.waiting !== null)`, &waits)); waits {
		t.Error("half a version waits")
	}
}

// TestNothingRunsWithoutItsHash: browsers that know Integrity-Policy (W3C Subresource Integrity
// section 3.8) refuse every script without one, and run the app; and a module with
// another octet is not run, be it imported or not.
func TestNothingRunsWithoutItsHash(t *testing.T) {
	h := serve(t)
	h.header["Integrity-Policy"] = `blocked-destinations=(script)`
	b := phone(t, h, "/app/")
	must(t, b.See("#email-input", ""))
	var refused bool
	if must(t, b.Run(`import("/app/key.js?without").then(() => false, () => true)`, &refused)); !refused {
		t.Error("this browser does not know the policy: the test proves nothing")
	}

	text := files(t)["clock.js"] + "\nglobalThis.evil = true;\n"
	h = serve(t)
	h.change["clock.js"] = text
	b = browsertest.Start(t, browsertest.Options{})
	must(t, b.Open(h.url+"/app/"), b.Await(`document.readyState === "complete"`))
	var ran bool
	if must(t, b.Run(`globalThis.evil === true || !document.querySelector("#email").hidden`, &ran)); ran {
		t.Error("a file ran that is not the app's")
	}
	if faults := strings.Join(b.Faults(), "\n"); !strings.Contains(faults, "integrity") {
		t.Error(faults)
	}
}

// TestTheWorkerLeavesCallsAlone: it names no call, has no way to the keys, and takes no page that
// another version has opened.
func TestTheWorkerLeavesCallsAlone(t *testing.T) {
	text := files(t)["sw.js"]
	if found := regexp.MustCompile(`/v1/|indexedDB|localStorage|clients\.claim|importScripts`).FindString(text); found != "" {
		t.Error(found)
	}
}
