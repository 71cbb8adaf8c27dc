// Where this phone keeps its accounts: IndexedDB, which can hold a key without showing it. A record
// is what the server answered, and either key (HMAC) or, behind a lock, z and info (see key.js).

const name = "otpgate";
const store = "accounts";
const place = "otpgate.accounts"; // in localStorage: which accounts there should be

// load returns the accounts whose keys can be used.
export async function load() {
  const all = await within("readonly", (accounts) => settle(accounts.getAll()));
  return all.filter(whole);
}

// save keeps an account. The phone shows one device of an account, so the one before makes room, in
// the same transaction.
export async function save(account) {
  const before = await within("readwrite", async (accounts) => {
    const old = (await settle(accounts.getAll())).filter((a) => a?.account === account.account && a.device !== account.device);
    for (const a of old) accounts.delete(a.device);
    await settle(accounts.put(account));
    return old;
  });
  const gone = new Set(before.map((a) => a.device));
  mark((marks) => [
    ...marks.filter((m) => m.device !== account.device && m.account !== account.account && !gone.has(m.device)),
    { device: account.device, account: account.account, name: account.name, issuer: account.issuer },
  ]);
  persist().catch(() => {});
}

// rename gives a device another label.
export function rename(device, label) {
  return within("readwrite", async (accounts) => {
    const account = await settle(accounts.get(device));
    if (account) await settle(accounts.put({ ...account, label }));
  });
}

// remove forgets an account and its key.
export async function remove(device) {
  await within("readwrite", (accounts) => settle(accounts.delete(device)));
  forget(device);
}

// vanished returns the accounts that this phone had, {device, account, name, issuer} each, whose
// keys are gone: deleted by the browser, or no longer readable, as on a phone restored from another
// one's backup.
export async function vanished() {
  const there = new Set((await load()).map((a) => a.device));
  return marks().filter((m) => !there.has(m.device));
}

// forget stops missing an account that has vanished.
export function forget(device) {
  mark((marks) => marks.filter((m) => m.device !== device));
}

// persist asks the browser not to delete what is kept here when it needs space, and says whether
// it will not. It is asked at every save.
export async function persist() {
  const storage = navigator.storage;
  if (!storage?.persist) return false;
  return (await storage.persisted()) || storage.persist();
}

function whole(account) {
  return [account?.key, account?.z].some((k) => k instanceof CryptoKey);
}

// within works in one transaction, and returns once what it did is kept.
async function within(mode, work) {
  const db = await open();
  try {
    const t = db.transaction(store, mode);
    const kept = new Promise((resolve, reject) => {
      t.oncomplete = resolve;
      t.onabort = () => reject(t.error ?? new Error("not kept"));
    });
    const [result] = await Promise.all([work(t.objectStore(store)), kept]);
    return result;
  } finally {
    db.close();
  }
}

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(store, { keyPath: "device" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function settle(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function marks() {
  try {
    const kept = JSON.parse(localStorage.getItem(place));
    return Array.isArray(kept) ? kept.filter((m) => typeof m?.device === "string") : [];
  } catch {
    return [];
  }
}

function mark(change) {
  try {
    localStorage.setItem(place, JSON.stringify(change(marks())));
  } catch {
    // A browser that keeps nothing here: a key that vanishes leads to enrollment all the same.
  }
}
