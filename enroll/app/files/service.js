// What the app has to know of its server: who it is, whom to ask for help, whether an app may or
// must be locked. Kept, as the texts are.

import { $ } from "./screens.js";
import * as memory from "./memory.js";

const languages = [{ tag: "en", name: "English" }, { tag: "zh-Hant", name: "繁體中文" }, { tag: "pt", name: "Português" }];

let settings = { issuer: "", contact: "", app_lock: "off", languages, devices_url: "/devices", ...memory.read("service") };
const watchers = [];

// get returns issuer, contact, app_lock, languages and devices_url.
export function get() {
  return settings;
}

// watch calls back when they have changed.
export function watch(callback) {
  watchers.push(callback);
}

// load asks the server. Without a network those of last time stay.
export async function load() {
  show();
  try {
    const answer = await fetch("settings.json", { cache: "no-cache" });
    if (!answer.ok) return;
    settings = { ...settings, ...(await answer.json()) };
    memory.keep("service", settings);
    show();
    for (const w of watchers) w();
  } catch {
    // no network
  }
}

// show writes the contact where it is wanted: as a link if it is one, as text otherwise.
function show() {
  for (const e of document.querySelectorAll("[data-contact]")) {
    const link = /^(mailto|tel|https):/i.exec(settings.contact);
    const words = settings.contact.replace(/^(mailto|tel):|^https:\/\//i, "");
    if (!link) {
      e.textContent = settings.contact;
      continue;
    }
    const a = document.createElement("a");
    a.href = settings.contact;
    a.rel = "noopener";
    if (link[1].toLowerCase() === "https") a.target = "_blank";
    a.textContent = words;
    e.replaceChildren(a);
  }
  $("contact-item").hidden = !settings.contact;
}
