// The app's lock: the phone's own (face, finger, PIN), asked through WebAuthn. Where the phone can
// do it (the extension prf), opening gives 32 octets that only this credential can make, and the key
// cannot be made without them. Elsewhere the lock is a door in front of the code and no more: the
// server never sees what it says, and the key lies ready behind it.

import { encode } from "./key.js";

const patience = 120000; // ms for a person to look at their phone

// available says whether the phone has a lock that a page may ask for.
export async function available() {
  // Credentials belong to a domain, and an address is none.
  if (/^[\d.]+$|^\[/.test(location.hostname)) return false;
  return (await globalThis.PublicKeyCredential?.isUserVerifyingPlatformAuthenticatorAvailable?.().catch(() => false)) ?? false;
}

// make makes a lock, which the phone lists under name (the e-mail address, say). It returns what
// open needs (credential, salt: keep them as lock of the account's record), prf (octets for agree
// and unlockKey, or null where the phone has none), and what the server is told (text: member lock
// of POST /v1/devices). It throws when the person does not want to.
export async function make(name) {
  const salt = crypto.getRandomValues(new Uint8Array(32));
  const made = await navigator.credentials.create({ publicKey: {
    rp: { name: document.title || location.hostname },
    user: { id: crypto.getRandomValues(new Uint8Array(16)), name, displayName: name },
    challenge: crypto.getRandomValues(new Uint8Array(32)), // nobody verifies it: the phone does
    pubKeyCredParams: [{ type: "public-key", alg: -7 }, { type: "public-key", alg: -257 }],
    authenticatorSelection: { authenticatorAttachment: "platform", residentKey: "preferred", userVerification: "required" },
    attestation: "none",
    timeout: patience,
    extensions: { prf: { eval: { first: salt } } },
  } });
  if (!made) throw new Error("no lock was made");
  const lock = { credential: new Uint8Array(made.rawId), salt };
  const { prf } = made.getClientExtensionResults();
  let octets = result(prf);
  if (!octets && prf?.enabled) octets = result((await ask(lock)).getClientExtensionResults().prf); // not at once, on some phones
  return { ...lock, prf: octets, text: octets ? encode(octets) : "webauthn" };
}

// open asks for the phone's lock, and returns the octets for unlockKey, or true for a record whose
// key is not behind them. It throws when the person cancels, or when the lock is no longer there.
export async function open(record) {
  const answer = await ask(record.lock);
  if (!record.z) return true;
  const octets = result(answer.getClientExtensionResults().prf);
  if (!octets) throw new Error("the lock gave no octets");
  return octets;
}

async function ask({ credential, salt }) {
  const answer = await navigator.credentials.get({ publicKey: {
    challenge: crypto.getRandomValues(new Uint8Array(32)),
    allowCredentials: [{ type: "public-key", id: credential, transports: ["internal"] }],
    userVerification: "required",
    hints: ["client-device"], // this phone, not another one by a QR code
    timeout: patience,
    extensions: { prf: { eval: { first: salt } } },
  } });
  // WebAuthn section 6.1: the flag UV says that it was this person, and not just anybody's touch.
  if (!answer || !(new Uint8Array(answer.response.authenticatorData)[32] & 4)) throw new Error("the lock was not opened");
  return answer;
}

// result reads the octets that the extension gave.
function result(prf) {
  const first = prf?.results?.first;
  return first ? new Uint8Array(ArrayBuffer.isView(first) ? first.buffer.slice(first.byteOffset, first.byteOffset + first.byteLength) : first) : null;
}
