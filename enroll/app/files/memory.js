// What this phone remembers besides its keys: small things, none of them secret. A browser that
// keeps nothing is no reason to fail: then they are forgotten.

const prefix = "otpgate.";

// read returns what was kept under a name, or null.
export function read(name) {
  try {
    return JSON.parse(localStorage.getItem(prefix + name));
  } catch {
    return null;
  }
}

// keep remembers a value; null forgets it.
export function keep(name, value) {
  try {
    if (value === null) localStorage.removeItem(prefix + name);
    else localStorage.setItem(prefix + name, JSON.stringify(value));
  } catch {
    // the next opening asks again
  }
}
