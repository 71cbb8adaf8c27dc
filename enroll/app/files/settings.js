// Settings: which account, language, theme, the lock, and what else there is.

import * as account from "./account.js";
import * as accounts from "./accounts.js";
import * as enroll from "./enroll.js";
import * as home from "./home.js";
import * as install from "./install.js";
import * as lock from "./lock.js";
import { $, at, go, onBack, press, say } from "./screens.js";
import * as service from "./service.js";
import * as texts from "./texts.js";

const text = texts.text;

// open shows the settings.
export async function open() {
  write();
  say("settings", "");
  go("settings");
  lockable = await lock.available().catch(() => false);
  writeLock(); // and not the accounts: a finger may be on one
}

let lockable = false;

function write() {
  $("accounts").replaceChildren(...accounts.list().map(row));
  fillLanguages($("language"));
  $("devices").href = service.get().devices_url;
  writeLock();
  $("settings-install").hidden = !install.state().installable;
}

function writeLock() {
  const { app_lock: wanted } = service.get();
  $("lock-item").hidden = accounts.current()?.lock ? wanted === "required" : wanted === "off" || !lockable;
  $("lock").checked = Boolean(accounts.current()?.lock);
}
texts.watch(() => {
  fillLanguages($("language-first"));
  if (at() === "settings") write();
});
service.watch(() => {
  fillLanguages($("language-first"));
  if (at() === "settings") write();
  if (at() === "about") lead();
});

// row is one account: a button that chooses it, and one for what can be done with it.
function row(a) {
  const item = document.createElement("li");
  const choose = document.createElement("button");
  choose.type = "button";
  choose.className = "item account";
  choose.dataset.device = a.device;
  choose.setAttribute("aria-pressed", String(a === accounts.current()));
  choose.append(line("strong", a.name), line("span", [a.issuer, a.label].filter(Boolean).join(" · ")));
  choose.addEventListener("click", () => { accounts.choose(a.device); home.open(); });
  const edit = document.createElement("button");
  edit.type = "button";
  edit.className = "account-open";
  edit.dataset.device = a.device;
  edit.textContent = text("settings.edit");
  edit.setAttribute("aria-label", text("settings.edit.name", { name: a.name, device: a.label }));
  edit.addEventListener("click", () => account.open(accounts.find(a.device)));
  item.append(choose, edit);
  return item;
}

function line(kind, words) {
  const e = document.createElement(kind);
  e.textContent = words;
  return e;
}

function fillLanguages(select) {
  const automatic = new Option(text("settings.language.auto"), "");
  const options = service.get().languages.map((l) => {
    const option = new Option(l.name, l.tag);
    option.lang = l.tag;
    return option;
  });
  select.replaceChildren(automatic, ...options);
  select.value = texts.chosen();
}

async function chooseLanguage(select) {
  const screen = select.closest("section").id;
  try {
    await texts.choose(select.value);
    say(screen, "");
  } catch {
    say(screen, text("error.network"));
  }
  select.value = texts.chosen();
}
for (const id of ["language", "language-first"]) $(id).addEventListener("change", (e) => chooseLanguage(e.target));

$("lock").addEventListener("change", async () => {
  const current = accounts.current();
  try {
    await ($("lock").checked ? accounts.secure(current) : accounts.release(current));
    say("settings", "");
  } catch {
    say("settings", text($("lock").checked ? "code.lock.failed" : "locked.failed"));
  }
  write();
});

press("settings-open", open);
press("settings-back", () => home.open());
onBack("settings", () => home.open());
press("add-account", () => enroll.begin());
press("about-open", () => about());
press("about-back", open);
onBack("about", open);
press("settings-install", () => install.prompt());
press("install", () => install.prompt());
press("update", () => install.update());
install.watch(({ installable, update }) => {
  $("settings-install").hidden = $("install").hidden = !installable;
  $("update").hidden = !update;
});

// lead says whose codes these are.
function lead() {
  $("about-lead").textContent = text("about.lead", { issuer: service.get().issuer || accounts.current()?.issuer || "" });
}

function about() {
  lead();
  $("version").textContent = document.querySelector("meta[name=version]").content;
  $("version-item").hidden = !$("version").textContent;
  go("about");
}
