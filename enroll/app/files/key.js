// The key of this phone. It is made by WebCrypto and stays there: no variable here ever holds its
// octets. The protocol is in enroll/agreement/doc.go.

const label = "otpgate device key v1";
const curve = { name: "ECDH", namedCurve: "P-256" };

// begin makes the phone's half of the agreement.
export async function begin() {
  const pair = await crypto.subtle.generateKey(curve, false, ["deriveKey"]);
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  return { pair, raw, text: encode(raw) };
}

// agree makes what the vault keeps, from both halves, bound to what the server answered and to the
// code: {key}, or behind a lock {z, info}, of which only the lock's octets (see lock.js) make the key.
export async function agree(mine, answer, code, lock = null) {
  const theirs = decode(answer.public_key);
  const server = await crypto.subtle.importKey("raw", theirs, curve, false, []);
  const z = await crypto.subtle.deriveKey({ name: "ECDH", public: server }, mine.pair.privateKey, "HKDF", false, ["deriveKey"]);
  const text = new TextEncoder();
  const info = fields([
    text.encode(label), mine.raw, theirs, text.encode(answer.account), text.encode(answer.device), text.encode(code),
  ]);
  return lock ? { z, info } : { key: await unlockKey({ z, info }, new Uint8Array(0)) };
}

// unlockKey makes the key of an account behind a lock, from the octets that opening it gives.
export function unlockKey(record, salt) {
  return crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt, info: record.info }, record.z,
    { name: "HMAC", hash: "SHA-1", length: 160 }, false, ["sign"]);
}

// codeAt computes the code of a step (RFC 6238 section 4, RFC 4226 section 5.3).
export async function codeAt(key, step, digits) {
  const counter = new DataView(new ArrayBuffer(8));
  counter.setBigUint64(0, BigInt(step));
  const mac = new DataView(await crypto.subtle.sign("HMAC", key, counter));
  const offset = mac.getUint8(mac.byteLength - 1) & 15;
  const number = mac.getUint32(offset) & 0x7fffffff;
  return String(number % 10 ** digits).padStart(digits, "0");
}

// prove shows the server that this phone has the key, for one action at one time (unix ms, the
// server's), without a code: what is signed is longer than any counter.
export async function prove(key, action, account, device, at, detail = "") {
  const message = ["otpgate device proof v1", action, account, device, String(at), detail].join("\n");
  return encode(new Uint8Array(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(message))));
}

// normalise reads an enrollment code as the server does, and returns "" for what cannot be one.
export function normalise(typed) {
  const code = typed.toUpperCase().replace(/[-\s\u2010-\u2014]/g, "").replace(/O/g, "0").replace(/[IL]/g, "1");
  return /^[0-9A-HJKMNP-TV-Z]{8}$/.test(code) ? code : "";
}

// fields puts the length of each field before it.
function fields(list) {
  const out = new Uint8Array(list.reduce((sum, f) => sum + 2 + f.length, 0));
  let at = 0;
  for (const f of list) {
    out[at] = f.length >> 8;
    out[at + 1] = f.length & 255;
    out.set(f, at + 2);
    at += 2 + f.length;
  }
  return out;
}

// encode writes octets as base64url without padding (RFC 4648 section 5).
export function encode(octets) {
  return btoa(String.fromCharCode(...octets)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function decode(text) {
  return Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
}
