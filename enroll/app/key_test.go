package app_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"otpgate/enroll/browsertest"
)

// vector is one of those that the agreement is checked with in Go.
type vector struct {
	PhonePrivate  string `json:"phone_private"`
	PhonePublic   string `json:"phone_public"`
	ServerPrivate string `json:"server_private"`
	ServerPublic  string `json:"server_public"`
	Account       string `json:"account"`
	Device        string `json:"device"`
	Code          string `json:"code"`
	Info          string `json:"info"`
	Seed          string `json:"seed"`
	Lock          string `json:"lock"` // base64url; "": none
}

func vectors(t *testing.T) (all []vector) {
	t.Helper()
	octets, err := os.ReadFile("../agreement/testdata/vectors.json")
	must(t, err, json.Unmarshal(octets, &all))
	if len(all) == 0 {
		t.Fatal("no vectors")
	}
	return all
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	octets, err := hex.DecodeString(text)
	must(t, err)
	return octets
}

// seed is what the phone and the server agree on when the phone has a lock, computed in Go.
func (v vector) seed(t *testing.T, lock []byte) []byte {
	t.Helper()
	private, err := ecdh.P256().NewPrivateKey(unhex(t, v.PhonePrivate))
	must(t, err)
	public, err := ecdh.P256().NewPublicKey(unhex(t, v.ServerPublic))
	must(t, err)
	z, err := private.ECDH(public)
	must(t, err)
	seed, err := hkdf.Key(sha256.New, z, lock, string(unhex(t, v.Info)), 20)
	must(t, err)
	return seed
}

// code is RFC 4226 section 5.3.
func code(seed []byte, step uint64, digits int) string {
	mac := hmac.New(sha1.New, seed)
	mac.Write(binary.BigEndian.AppendUint64(nil, step))
	sum := mac.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[19]&15:]) & 0x7fffffff
	text := fmt.Sprintf("%010d", n)
	return text[10-digits:]
}

// own makes of a vector what key.begin makes: the phone's half.
const own = `const url = (hex) => new Uint8Array(hex.match(/../g).map((h) => parseInt(h, 16))).toBase64({ alphabet: "base64url", omitPadding: true });
	const own = async (v) => {
		const raw = Uint8Array.fromHex(v.phone_public);
		const jwk = { kty: "EC", crv: "P-256", d: url(v.phone_private), x: url(v.phone_public.slice(2, 66)), y: url(v.phone_public.slice(66)) };
		return { raw, pair: { privateKey: await crypto.subtle.importKey("jwk", jwk, { name: "ECDH", namedCurve: "P-256" }, false, ["deriveKey"]) } };
	};
	const answer = (v) => ({ public_key: url(v.server_public), account: v.account, device: v.device });
	`

// TestTheBrowserAgreesWithGo: the vectors, in the browser, with and without a lock. Its keys can be
// used, and not be had.
func TestTheBrowserAgreesWithGo(t *testing.T) {
	b := phone(t, serve(t), "/app/blank")
	for i, v := range vectors(t) {
		lock, err := base64.RawURLEncoding.DecodeString(v.Lock)
		must(t, err)
		if !bytes.Equal(v.seed(t, lock), unhex(t, v.Seed)) {
			t.Fatalf("vector %d: this test has it wrong", i)
		}
		if len(lock) == 0 {
			lock = bytes.Repeat([]byte{7}, 32)
		}
		var got struct {
			Codes, Locked, Long []string
			Exported            int
			Info                string
		}
		run(t, b, &got, own+`
			const [v, octets] = args;
			const { key: open } = await key.agree(await own(v), answer(v), v.code);
			const kept = await key.agree(await own(v), answer(v), v.code, Uint8Array.fromHex(octets));
			const locked = await key.unlockKey(kept, Uint8Array.fromHex(octets));
			const steps = [0, 1, 29166667, 4294967296];
			const codes = (k, digits) => Promise.all(steps.map((s) => key.codeAt(k, s, digits)));
			let exported = 0;
			for (const k of [open, locked, kept.z]) for (const form of ["raw", "jwk"]) {
				exported += await crypto.subtle.exportKey(form, k).then(() => 1, () => 0);
			}
			exported += await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info: kept.info }, kept.z, 160).then(() => 1, () => 0);
			if (Object.keys(kept).sort().join() !== "info,z") throw new Error("kept: " + Object.keys(kept));
			return { codes: await codes(open, 6), long: await codes(open, 8), locked: await codes(locked, 6), exported, info: kept.info.toHex() };
		`, v, hex.EncodeToString(lock))
		for j, step := range []uint64{0, 1, 29166667, 4294967296} {
			for what, pair := range map[string][2]string{
				"six digits":   {got.Codes[j], code(v.seed(t, nil), step, 6)},
				"eight digits": {got.Long[j], code(v.seed(t, nil), step, 8)},
				"with a lock":  {got.Locked[j], code(v.seed(t, lock), step, 6)},
			} {
				if pair[0] != pair[1] {
					t.Errorf("vector %d, step %d, %s: %s, want %s", i, step, what, pair[0], pair[1])
				}
			}
		}
		if got.Exported != 0 || got.Info != v.Info {
			t.Errorf("vector %d: %d keys can be had, info %s", i, got.Exported, got.Info)
		}
	}
}

// TestProofs: what the server checks a device by, as the contract has it.
func TestProofs(t *testing.T) {
	b := phone(t, serve(t), "/app/blank")
	v := vectors(t)[0]
	for _, detail := range []string{"", "Mein neues Telefon 手機"} {
		var got string
		run(t, b, &got, own+`
			const [v, detail] = args;
			const { key: k } = await key.agree(await own(v), answer(v), v.code);
			return key.prove(k, "rename", v.account, v.device, 1800000000123, detail);
		`, v, detail)
		mac := hmac.New(sha1.New, unhex(t, v.Seed))
		fmt.Fprintf(mac, "otpgate device proof v1\nrename\n%s\n%s\n1800000000123\n%s", v.Account, v.Device, detail)
		if want := base64.RawURLEncoding.EncodeToString(mac.Sum(nil)); got != want {
			t.Errorf("%q: %s, want %s", detail, got, want)
		}
	}
}

// TestAKeyIsMadeToStay: none that begin or agree make can be exported, and the server's half must
// be a point of the curve.
func TestAKeyIsMadeToStay(t *testing.T) {
	b := phone(t, serve(t), "/app/blank")
	var got []bool
	run(t, b, &got, `
		const mine = await key.begin();
		const theirs = await key.begin();
		const answer = { public_key: theirs.text, account: "a", device: "d" };
		const { key: k } = await key.agree(mine, answer, "00000000");
		const bad = key.encode(theirs.raw.map((o, i) => (i === 40 ? o ^ 1 : o)));
		const refused = await key.agree(mine, { ...answer, public_key: bad }, "00000000").then(() => false, () => true);
		return [mine.pair.privateKey.extractable, k.extractable, k.usages.join() === "sign", mine.text.length === 87, refused];
	`)
	if fmt.Sprint(got) != "[false false true true true]" {
		t.Error(got)
	}
}

// secured makes a lock for a vector's account and keeps what comes of it.
func secured(t *testing.T, b *browsertest.Browser, v vector) (made struct {
	PRF, Text string
	Kept      []string
}) {
	t.Helper()
	run(t, b, &made, own+`
		const [v] = args;
		const made = await lock.make("alice@corp.example");
		const account = { device: v.device, account: v.account, name: "Alice", label: "phone", issuer: "Example", digits: 6, period: 60,
			lock: { credential: made.credential, salt: made.salt }, ...(await key.agree(await own(v), answer(v), v.code, made.prf)) };
		await vault.save(account);
		const [kept] = await vault.load();
		return { prf: made.prf?.toHex() ?? "", text: made.text, kept: Object.keys(kept).filter((n) => ["key", "z", "info"].includes(n)).sort() };
	`, v)
	return made
}

// TestALockWithOctets: the key is not on the phone until its person opens the lock.
func TestALockWithOctets(t *testing.T) {
	b := phone(t, serve(t), "/app/blank")
	a, err := b.AddAuthenticator(true)
	must(t, err)
	v := vectors(t)[0]
	made := secured(t, b, v)
	octets := unhex(t, made.PRF)
	if len(octets) != 32 || made.Text != base64.RawURLEncoding.EncodeToString(octets) || fmt.Sprint(made.Kept) != "[info z]" {
		t.Fatalf("%+v", made)
	}
	must(t, b.Reload())
	var got []string
	run(t, b, &got, `
		const [kept] = await vault.load();
		const codes = [];
		for (const octets of [await lock.open(kept), new Uint8Array(0), new Uint8Array(32)]) codes.push(await key.codeAt(await key.unlockKey(kept, octets), 30000000, 6));
		return codes;
	`)
	if want := code(v.seed(t, octets), 30000000, 6); got[0] != want || got[1] == want || got[2] == want {
		t.Errorf("%v, want %s first, and nothing without the lock's octets", got, want)
	}
	must(t, a.Refuse(true))
	if err := attempt(b, nil, `const [kept] = await vault.load(); return lock.open(kept).then(() => "opened");`); err == nil {
		t.Error("opened for somebody else")
	}
}

// TestALockWithoutOctets is a door, and no part of the key.
func TestALockWithoutOctets(t *testing.T) {
	b := phone(t, serve(t), "/app/blank")
	a, err := b.AddAuthenticator(false)
	must(t, err)
	v := vectors(t)[0]
	if made := secured(t, b, v); made.PRF != "" || made.Text != "webauthn" || fmt.Sprint(made.Kept) != "[key]" {
		t.Fatalf("%+v", made)
	}
	must(t, b.Reload())
	var got []any
	run(t, b, &got, `const [kept] = await vault.load(); return [await lock.open(kept), await key.codeAt(kept.key, 30000000, 6)];`)
	if got[0] != true || got[1] != code(unhex(t, v.Seed), 30000000, 6) {
		t.Error(got)
	}
	must(t, a.Refuse(true))
	if err := attempt(b, nil, `const [kept] = await vault.load(); return lock.open(kept).then(() => "opened");`); err == nil {
		t.Error("opened for somebody else")
	}
	if err := attempt(b, nil, `return lock.make("x").then(() => "made")`); err == nil {
		t.Error("made by somebody else")
	}
}

// TestWhereThereIsALock: on phones that have one, at an address that is a domain.
func TestWhereThereIsALock(t *testing.T) {
	h := serve(t)
	b := phone(t, h, "/app/blank")
	for _, want := range []bool{false, true} {
		if want {
			_, err := b.AddAuthenticator(false)
			must(t, err)
		}
		var got bool
		if run(t, b, &got, `return lock.available()`); got != want {
			t.Errorf("available: %v, want %v", got, want)
		}
	}
	var got bool
	must(t, b.Open("http://127.0.0.1"+h.url[len("http://localhost"):]+"/app/blank"))
	if run(t, b, &got, `return lock.available()`); got {
		t.Error("a lock at an address that is no domain")
	}
}
