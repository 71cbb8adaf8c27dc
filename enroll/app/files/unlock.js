// The screen before a locked account.

import * as accounts from "./accounts.js";
import * as home from "./home.js";
import { $, at, go, press } from "./screens.js";
import * as settings from "./settings.js";
import { text, watch } from "./texts.js";

const patience = 60000; // ms out of sight until a locked account is locked again

let hidden = null; // when the page went out of sight
let account = null;

// ask shows the screen; the lock itself opens on a press, as browsers want it.
export function ask(whose) {
  account = whose;
  write();
  go("locked", $("unlock"));
}

function write() {
  if (account) $("locked-lead").textContent = text("locked.lead", { name: account.name });
}
watch(write);

press("unlock", async () => {
  try {
    await accounts.unlock(account);
  } catch {
    throw new Error(text("locked.failed"));
  }
  home.open();
});

press("locked-settings", () => settings.open());

// leave and come are told when the page goes out of sight and back.
export function leave() {
  hidden = { page: performance.now(), phone: Date.now() };
}

export function come() {
  // The clock of the page stands still while a phone sleeps, and that of the phone can be set.
  if (!hidden || Math.max(performance.now() - hidden.page, Math.abs(Date.now() - hidden.phone)) < patience) return;
  accounts.close();
  if (["home", "settings", "account"].includes(at()) && accounts.current()?.lock) ask(accounts.current());
}
