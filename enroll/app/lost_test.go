package app_test

import (
	"strings"
	"testing"
)

// screen is what tests of screens have: the app's modules by name, fetch answered by a test, a form.
const screen = `
	const module = (name) => import(address(name));
	const until = async (what, ok) => {
		for (let i = 0; i < 400; i++) {
			if (ok()) return;
			await new Promise((resolve) => setTimeout(resolve, 10));
		}
		throw new Error("it never came true: " + what);
	};
	const $ = (id) => document.getElementById(id);
`

// TestALockedAccountIsLockedAfterSleep: the clock of a page stands still while the phone sleeps, so
// that it alone does not say how long the page was out of sight.
func TestALockedAccountIsLockedAfterSleep(t *testing.T) {
	b := phone(t, serve(t), "/app/")
	var open, locked bool
	run(t, b, &open, screen+`
		globalThis.accounts = await module("accounts");
		globalThis.unlock = await module("unlock");
		await until("the first screen", () => !$("email").hidden);
		const key = await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-1", length: 160 }, false, ["sign"]);
		await accounts.add({ device: "d1", account: "alice", name: "alice", label: "phone", issuer: "Example", digits: 6, period: 60, key,
			lock: { credential: new Uint8Array(16), salt: new Uint8Array(32) } });
		unlock.leave();
		unlock.come(); // at once
		return accounts.opened(accounts.current()) !== null;
	`)
	run(t, b, &locked, `
		globalThis.unlock.leave();
		__test.jump(3600000); // an hour of sleep, of which performance.now knows nothing
		globalThis.unlock.come();
		return globalThis.accounts.opened(globalThis.accounts.current()) === null;
	`)
	if !open || !locked {
		t.Errorf("open at once: %t, locked after an hour of sleep: %t", open, locked)
	}
}

// TestAKeyThatCannotBeKept: a phone that has a device, and cannot keep the key of a new one, goes on
// with the old one, and leaves no device behind that nobody has the key of.
func TestAKeyThatCannotBeKept(t *testing.T) {
	h := serve(t)
	b := phone(t, h, "/app/blank")
	run(t, b, nil, keep+`await keep("d1", "alice");`)
	must(t, b.Open(h.url+"/app/#code=ABCD-EFGH&email=alice%40corp.example"))
	var removed, label string
	run(t, b, &removed, screen+`
		await until("the form", () => !$("code").hidden);
		const asked = [];
		const real = globalThis.fetch;
		const pair = await crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, false, ["deriveKey"]);
		const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
		const text = btoa(String.fromCharCode(...raw)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
		globalThis.fetch = async (path, options) => {
			if (!String(path).startsWith("/v1/devices")) return real(path, options);
			const request = JSON.parse(options.body);
			asked.push({ path, ...request });
			return new Response(JSON.stringify(path === "/v1/devices" ? { device: "d2", account: "alice", name: "alice", label: request.label, issuer: "Example",
				digits: 6, period: 60, public_key: text, unix_ms: Date.now(), retired: [], others: [] } : { removed: true }), { status: 201 });
		};
		IDBObjectStore.prototype.put = () => { throw new DOMException("no room", "QuotaExceededError"); };
		$("device-input").value = "\u6211\u7684\u3000\u624b\u6a5f";
		$("code").querySelector(".primary").click();
		await until("a message", () => $("code").querySelector(".message").textContent);
		await new Promise((resolve) => setTimeout(resolve, 300));
		globalThis.label = asked[0].label;
		return asked.slice(1).map((a) => a.path + " " + a.device).join();
	`)
	run(t, b, &label, `return globalThis.label;`)
	if removed != "/v1/devices/remove d2" {
		t.Errorf("the server was told: %q", removed)
	}
	if strings.ContainsRune(label, '\u3000') {
		t.Errorf("a label that the server does not take: %q", label)
	}
}

// TestALinkEndsAnOffer: the secret of another authenticator is on the page no longer than it is needed.
func TestALinkEndsAnOffer(t *testing.T) {
	b := phone(t, serve(t), "/app/")
	var before, after string
	run(t, b, &before, screen+`
		await until("the first screen", () => !$("email").hidden);
		(await module("authenticator")).show({ token: "t", otpauth: "otpauth://totp/x?secret=ABCDEFGHIJKLMNOP", qr: { size: 29, path: "M4 4h7v1h-7z" }, digits: 6, period: 60 });
		return $("otpauth-uri").textContent;
	`)
	run(t, b, &after, screen+`
		location.hash = "#code=ABCD-EFGH&email=alice%40corp.example";
		await until("the form", () => !$("code").hidden);
		return $("otpauth-uri").textContent + $("otpauth-by-hand").textContent + ($("otpauth-open").getAttribute("href") ?? "") + $("otpauth-qr").innerHTML;
	`)
	if before == "" || after != "" {
		t.Errorf("at first %q, then %q", before, after)
	}
}
