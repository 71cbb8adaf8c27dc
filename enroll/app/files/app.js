// The start: what is shown first, and what goes on beside it. Nothing here waits for the network
// once the phone has an account: the first code is there at once.

import * as accounts from "./accounts.js";
import * as clock from "./clock.js";
import * as enroll from "./enroll.js";
import * as home from "./home.js";
import * as install from "./install.js";
import * as memory from "./memory.js";
import { $, at, go, press } from "./screens.js";
import * as service from "./service.js";
import * as texts from "./texts.js";
import * as theme from "./theme.js";
import * as unlock from "./unlock.js";
import * as vault from "./vault.js";

let lost = [];

async function start() {
  theme.start();
  const secure = globalThis.isSecureContext && crypto.subtle;
  const [, missing] = await Promise.all([untilThere(), secure ? find().catch(() => []) : []]);
  service.load();
  if (!secure) return go("insecure");
  lost = missing;
  for (const e of document.querySelectorAll("[data-ios]")) e.hidden = !install.ios() || install.standalone();
  home.start();
  first();
  clock.measure().catch(() => {});
  install.start();
}

function first() {
  if (enroll.follow()) return;
  if (!accounts.current() && enroll.resume()) return;
  if (lost.length > 0) return vanished();
  if (accounts.current()) return home.open();
  enroll.begin(memory.read("email") ?? "");
}

// find reads what this phone keeps, and returns what it should have and has not.
async function find() {
  const [missing] = await Promise.all([vault.vanished(), accounts.load()]);
  return missing;
}

// untilThere waits for the texts: at the very first opening they come from the network.
async function untilThere() {
  for (;;) {
    try {
      return await texts.load();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

function vanished() {
  $("vanished-lead").textContent = texts.text("vanished.lead", { names: texts.list(lost.map((l) => l.name)) });
  go("vanished");
}
texts.watch(() => {
  if (at() === "vanished") vanished();
});
press("vanished-anew", () => {
  enroll.begin(memory.read("email") ?? "");
});
press("vanished-forget", () => {
  for (const l of lost) vault.forget(l.device);
  lost = [];
  if (accounts.current()) home.open();
  else enroll.begin();
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return unlock.leave();
  unlock.come();
  home.wake();
});

addEventListener("hashchange", () => enroll.follow());

start();
