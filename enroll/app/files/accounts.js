// The accounts on this phone: which there are, which one is shown, and the keys that are in use.
// The key of a locked account is here only while it is open.

import * as key from "./key.js";
import * as lock from "./lock.js";
import * as memory from "./memory.js";
import * as vault from "./vault.js";

let all = [];
let chosen = null;
const open = new Map(); // device -> HMAC key

// load reads what the phone keeps, and chooses the account that was shown last.
export async function load() {
  all = await vault.load();
  all.sort((a, b) => (a.since ?? 0) - (b.since ?? 0));
  const last = memory.read("device");
  chosen = all.find((a) => a.device === last) ?? all.at(-1) ?? null;
}

// list returns the accounts in the order in which they came.
export function list() {
  return all;
}

// current is the account that is shown, or null.
export function current() {
  return chosen;
}

export function find(device) {
  return all.find((a) => a.device === device);
}

export function choose(device) {
  chosen = find(device) ?? chosen;
  memory.keep("device", chosen?.device ?? null);
}

// add keeps a new account, and shows it. octets open its lock.
export async function add(account, octets) {
  open.set(account.device, account.key ?? (await key.unlockKey(account, octets)));
  await vault.save(account);
  memory.keep("device", account.device);
  await load();
}

// opened returns the key of an account that is not locked, or null.
export function opened(account) {
  return open.get(account.device) ?? (account.lock ? null : account.key);
}

// unlock returns the key of an account, and asks for the phone's lock if it has to.
export async function unlock(account) {
  const ready = opened(account);
  if (ready) return ready;
  const octets = await lock.open(account);
  const usable = account.key ?? (await key.unlockKey(account, octets));
  open.set(account.device, usable);
  return usable;
}

// close locks what has a lock.
export function close() {
  open.clear();
}

// secure puts a lock before an account that has none. Its key was agreed without one, so this
// lock guards the screen only; a new enrollment binds the key as well.
export async function secure(account) {
  const { credential, salt } = await lock.make(account.email ?? account.name);
  await vault.save({ ...account, lock: { credential, salt } });
  open.set(account.device, account.key);
  await load();
}

// release takes the lock away: the opened key is kept instead of what it is made from.
export async function release(account) {
  const usable = await unlock(account);
  const plain = { ...account, key: usable };
  for (const member of ["lock", "z", "info"]) delete plain[member];
  await vault.save(plain);
  await load();
}

export async function rename(account, label) {
  await vault.rename(account.device, label);
  await load();
}

export async function remove(account) {
  await vault.remove(account.device);
  open.delete(account.device);
  await load();
  memory.keep("device", chosen?.device ?? null);
}
