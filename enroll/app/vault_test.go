package app_test

import (
	"encoding/json"
	"testing"
)

// keep makes an account in the page's vault.
const keep = `
	const keep = async (device, account, more = {}) => vault.save({ device, account, name: "name of " + account, label: "phone", issuer: "Example", digits: 6, period: 60,
		key: await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-1", length: 160 }, false, ["sign"]), ...more });
	const there = async () => (await vault.load()).map((a) => a.device + ":" + a.label).sort().join();
	const gone = async () => (await vault.vanished()).map((a) => a.device + ":" + a.name).sort().join();
	const raw = (work) => new Promise((resolve, reject) => {
		const request = indexedDB.open("otpgate", 1);
		request.onsuccess = () => {
			const t = request.result.transaction("accounts", "readwrite");
			work(t.objectStore("accounts"));
			t.oncomplete = () => { request.result.close(); resolve(); };
			t.onerror = reject;
		};
		request.onerror = reject;
	});
	const is = (what, got, want) => { if (got !== want) throw new Error(what + ": " + got + ", want " + want); };
`

func TestTheVaultKeepsAccounts(t *testing.T) {
	b := phone(t, serve(t), "/app/blank")
	run(t, b, nil, keep+`
		is("at first", await there(), "");
		await keep("d1", "alice");
		await keep("d2", "bob");
		await vault.rename("d1", "手機");
		await vault.rename("d9", "nobody");
		is("two", await there(), "d1:手機,d2:phone");
		await keep("d3", "alice");
		is("another device of one", await there(), "d2:phone,d3:phone");
		is("nothing is missed", await gone(), "");
		await vault.remove("d2");
		await vault.remove("d9");
		is("one removed", await there(), "d3:phone");
		is("nothing is missed", await gone(), "");
	`)
	must(t, b.Reload())
	run(t, b, nil, keep+`is("reopened", await there(), "d3:phone");`)
}

// TestAVanishedKeyIsMissed: deleted with everything, alone, or no longer readable.
func TestAVanishedKeyIsMissed(t *testing.T) {
	b := phone(t, serve(t), "/app/blank")
	run(t, b, nil, keep+`
		await keep("d1", "alice");
		await keep("d2", "bob");
		await keep("d3", "carol");
		await raw((accounts) => accounts.delete("d1"));
		await raw((accounts) => accounts.put({ device: "d3", account: "carol", name: "Carol", key: null }));
		is("usable", await there(), "d2:phone");
		is("missed", await gone(), "d1:name of alice,d3:name of carol");
		vault.forget("d1");
		is("forgotten", await gone(), "d3:name of carol");
		await keep("d4", "carol");
		is("enrolled again", await gone(), "");
		await new Promise((resolve, reject) => { const r = indexedDB.deleteDatabase("otpgate"); r.onsuccess = resolve; r.onerror = r.onblocked = reject; });
		is("all deleted", await gone(), "d2:name of bob,d4:name of carol");
		localStorage.setItem("otpgate.accounts", "{broken");
		is("nothing known", await gone(), "");
		await keep("d5", "dave");
		is("after that", await there(), "d5:phone");
	`)
}

// TestKeysCannotBeHad by any script of the page: what is in the database are keys without octets.
func TestKeysCannotBeHad(t *testing.T) {
	b := phone(t, serve(t), "/app/blank")
	var got struct {
		Text     string
		Exported int
	}
	run(t, b, &got, keep+`
		await keep("d1", "alice");
		const [{ key: kept }] = await vault.load();
		let exported = 0;
		for (const form of ["raw", "jwk", "pkcs8", "spki"]) exported += await crypto.subtle.exportKey(form, kept).then(() => 1, () => 0);
		const wrap = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, true, ["wrapKey"]);
		exported += await crypto.subtle.wrapKey("raw", kept, wrap, { name: "AES-GCM", iv: new Uint8Array(12) }).then(() => 1, () => 0);
		return { text: JSON.stringify(kept), exported };
	`)
	var text map[string]any
	if err := json.Unmarshal([]byte(got.Text), &text); err != nil || len(text) != 0 || got.Exported != 0 {
		t.Errorf("%+v", got)
	}
}

// TestWhatIsKeptIsToStay: the browser is asked, once there is something.
func TestWhatIsKeptIsToStay(t *testing.T) {
	b := phone(t, serve(t), "/app/blank")
	run(t, b, nil, keep+`
		let asked = 0;
		navigator.storage.persisted = async () => asked > 0;
		navigator.storage.persist = async () => { asked++; return true; };
		await vault.load();
		is("before", asked, 0);
		await keep("d1", "alice");
		await new Promise((resolve) => setTimeout(resolve, 50));
		is("after", asked, 1);
		is("granted", await vault.persist(), true);
		is("again", asked, 1);
	`)
}
