// The screens: e-mail, code, done, home. One is shown at a time.

import * as clock from "./clock.js";
import * as key from "./key.js";
import * as ring from "./ring.js";
import * as vault from "./vault.js";

const $ = (id) => document.getElementById(id);
let texts = {};
let email = "";
let account = null;
let shown = null; // the step whose code is on the screen
let timer = 0;

// text returns a text with its {name}s replaced.
function text(name, values = {}) {
  return (texts[name] ?? name).replace(/\{(\w+)\}/g, (whole, v) => values[v] ?? whole);
}

// go shows one screen.
function go(screen) {
  for (const s of document.querySelectorAll("main > section")) s.hidden = s.id !== screen;
  const field = $(screen).querySelector("input");
  (field ?? $(screen).querySelector("h1"))?.focus({ preventScroll: true });
}

// say shows a message on a screen.
function say(screen, message, good = false) {
  const p = $(screen).querySelector(".message");
  p.textContent = message;
  p.classList.toggle("good", good);
}

// post calls the server. What it throws has a message for people.
async function post(path, body) {
  let answer;
  try {
    answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  } catch {
    throw new Error(text("error.network"));
  }
  if (answer.ok) return answer.json();
  const reasons = { 400: "malformed", 403: "invalid", 429: "too_many" };
  throw new Error(text("error." + (reasons[answer.status] ?? "unavailable")));
}

// submit runs what a form is for, once at a time.
function submit(screen, work) {
  const form = $(screen).querySelector("form");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector(".primary");
    if (button.disabled) return;
    button.disabled = true;
    say(screen, "");
    try {
      await work(form.elements);
    } catch (error) {
      say(screen, error.message);
    }
    button.disabled = false;
  });
}

submit("email", async (fields) => {
  const typed = fields.email.value.trim();
  if (!fields.email.checkValidity()) throw new Error(text("error.malformed"));
  await post("/v1/enrollments", { email: typed });
  email = typed;
  $("code-lead").textContent = text("code.lead", { email });
  $("code-input").value = "";
  go("code");
});

submit("code", async (fields) => {
  const code = key.normalise(fields.code.value);
  if (!code) throw new Error(text("error.malformed"));
  const mine = await key.begin();
  const request = { email, code, label: printable(fields.label.value) || text("code.device.default"), public_key: mine.text };
  const confirmation = fields.confirmation.value.trim();
  if (confirmation) request.confirmation = confirmation;
  const answer = await post("/v1/devices", request);
  account = {
    device: answer.device, account: answer.account, name: answer.name, label: answer.label, issuer: answer.issuer,
    digits: answer.digits, period: answer.period, since: answer.unix_ms, key: await key.agree(mine, answer, code),
  };
  await vault.save(account);
  fields.code.value = fields.confirmation.value = "";
  $("done-lead").textContent = text("done.lead", { name: account.name });
  go("done");
});

// printable is what the server takes as a label: nothing invisible, at most 64 octets.
function printable(label) {
  const octets = new TextEncoder();
  let kept = [...label.replace(/\p{C}/gu, "").trim()];
  while (octets.encode(kept.join("")).length > 64) kept = kept.slice(0, -1);
  return kept.join("");
}

$("again").addEventListener("click", async () => {
  try {
    await post("/v1/enrollments", { email });
    say("code", text("code.sent"), true);
  } catch (error) {
    say("code", error.message);
  }
});
$("back").addEventListener("click", () => { say("code", ""); go("email"); });
$("show").addEventListener("click", home);
// A device that was removed, here or by the help desk, does not know it: its person does.
$("anew").addEventListener("click", () => { $("return").hidden = false; go("email"); });
$("return").addEventListener("click", () => { say("email", ""); home(); });

// home shows the code, and goes on doing so.
function home() {
  $("home-issuer").textContent = account.issuer;
  $("home-for").textContent = text("home.for", { name: account.name });
  $("home-device").textContent = text("home.device", { device: account.label });
  hint("");
  shown = null; // another account has another code
  go("home");
  tick();
}

async function tick() {
  clearTimeout(timer);
  const period = account.period * 1000;
  const now = clock.now();
  const step = Math.floor(now / period);
  const elapsed = now - step * period;
  if (step !== shown) {
    const code = await key.codeAt(account.key, step, account.digits);
    $("digits").textContent = group(code);
    $("digits").classList.toggle("long", code.length > 6);
    $("digits").dataset.code = code;
    shown = step;
    hint("");
  }
  ring.show($("segments"), elapsed, period);
  $("remaining").textContent = text("home.remaining", { seconds: Math.ceil((period - elapsed) / 1000) });
  timer = setTimeout(tick, 1000 - (elapsed % 1000) + 5);
}

// group writes a code in two halves, as it is easiest to read.
function group(code) {
  const half = Math.ceil(code.length / 2);
  return code.slice(0, half) + "\u2009" + code.slice(half);
}

function hint(message) {
  $("copy-hint").textContent = message || text("home.copy");
}

$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText($("digits").dataset.code);
    hint(text("home.copied"));
  } catch {
    hint(""); // the browser does not allow it; the code is there to read
  }
});

document.addEventListener("visibilitychange", async () => {
  if (document.hidden || !account || $("home").hidden) return;
  await clock.measure().catch(() => {});
  tick();
});

async function start() {
  const answer = await fetch("texts.json");
  texts = await answer.json();
  document.documentElement.lang = answer.headers.get("Content-Language") ?? "en";
  document.title = text("title");
  for (const e of document.querySelectorAll("[data-text]")) e.textContent = text(e.dataset.text);
  $("device-input").value = text("code.device.default");
  if (!globalThis.isSecureContext || !crypto.subtle) return go("insecure");
  ring.draw($("segments"));
  const measured = clock.measure().catch(() => {});
  const accounts = await vault.load();
  if (accounts.length === 0) return go("email");
  account = accounts.reduce((newest, a) => ((a.since ?? 0) >= (newest.since ?? 0) ? a : newest));
  await Promise.race([measured, new Promise((resolve) => setTimeout(resolve, 1500))]);
  home();
}

start();
