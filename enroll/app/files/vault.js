// Where this phone keeps its accounts: IndexedDB, which can hold a key without showing it.

const name = "otpgate";
const store = "accounts";

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

// save keeps an account: what the server answered, and the key. The phone shows one device of an
// account, so the one before makes room, in the same transaction.
export async function save(account) {
  const db = await open();
  try {
    const accounts = db.transaction(store, "readwrite").objectStore(store);
    for (const a of await settle(accounts.getAll())) {
      if (a.account === account.account) accounts.delete(a.device);
    }
    await settle(accounts.put(account));
  } finally {
    db.close();
  }
}

// load returns all accounts.
export async function load() {
  const db = await open();
  try {
    return await settle(db.transaction(store).objectStore(store).getAll());
  } finally {
    db.close();
  }
}
