// Setting up this phone: the e-mail address, the code from the mail, and that it worked.

import * as accounts from "./accounts.js";
import { post } from "./api.js";
import * as authenticator from "./authenticator.js";
import * as clock from "./clock.js";
import * as home from "./home.js";
import * as install from "./install.js";
import * as key from "./key.js";
import * as lock from "./lock.js";
import * as memory from "./memory.js";
import * as proof from "./proof.js";
import { $, at, go, onBack, onLeave, press, say, submit } from "./screens.js";
import * as service from "./service.js";
import { list, text, watch } from "./texts.js";

let email = "";
let lead = "code.lead";
let until = 0; // when the code in the mail ends, by the clock of this page; 0: not known
let timer = 0;
let lockable = null; // whether this browser can lock the app; null: not known yet

const refused = { "code-invalid": "code.refused", "lock-required": "code.lock.required", 400: "code.check" };

// begin asks for an e-mail address.
export function begin(prefill = "") {
  $("email-input").value = prefill;
  $("return").hidden = !accounts.current();
  say("email", "");
  go("email", prefill ? null : $("email-input"));
}

// resume goes on where somebody left to look into their mail. It reports whether there is such a one.
export function resume() {
  const pending = memory.read("pending");
  if (!pending || !(pending.until > Date.now())) return false;
  ({ email, until } = pending);
  askCode("code.lead");
  return true;
}

// follow takes what a link in a mail brings out of the address, and fills it in. Nothing is sent
// before the person presses the button.
export function follow() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const code = fields.get("code");
  if (!code) return false;
  history.replaceState(null, "", location.pathname + location.search);
  authenticator.forget();
  email = (fields.get("email") ?? "").slice(0, 254);
  const pending = memory.read("pending");
  until = pending?.email === email && pending.until > Date.now() ? pending.until : 0;
  if (!email) {
    begin();
    return true;
  }
  askCode("code.lead.link", code.slice(0, 16), fields.get("needs") ?? "");
  return true;
}

async function askCode(name, code = "", needs = "") {
  lead = name;
  $("code-input").value = code;
  $("confirmation-input").value = "";
  $("retire-input").checked = false;
  if (!$("device-input").value) $("device-input").value = usualLabel();
  need(needs);
  say("code", "");
  show();
  countDown();
  go("code", code ? (needs ? $("confirmation-input") : null) : $("code-input"));
  lockable = await lock.available().catch(() => false);
  show();
}

// need shows what the mail asks for besides the code.
function need(what) {
  const some = what === "device" || what === "invitation";
  $("more").open = some;
  $("more").classList.toggle("needed", some);
  $("more").dataset.needs = what;
}

// show writes what depends on the language.
function show() {
  const needs = $("more").dataset.needs;
  const which = needs === "device" || needs === "invitation" ? "." + needs : "";
  $("code-lead").textContent = text(lead, { email });
  $("confirmation-label").textContent = text("code.confirmation" + which);
  $("confirmation-help").textContent = text("code.confirmation.help" + which);
  hintRetire();
  const wanted = service.get().app_lock;
  $("lock-part").hidden = wanted === "off" || (wanted === "offered" && lockable !== true);
  $("lock-input").disabled = wanted === "required";
  if (wanted === "required") $("lock-input").checked = true;
  $("lock-help").textContent = text(wanted !== "required" ? "code.lock.help" : lockable === false ? "code.lock.impossible" : "code.lock.required");
  $("other").hidden = wanted === "required";
}

function usualLabel() {
  const known = /iPhone|iPad|Android/.exec(navigator.userAgent);
  return known ? text("code.device." + known[0].toLowerCase()) : text("code.device.default");
}

function digitsOnly(typed) {
  return /^\d{6,8}$/.test(typed.replace(/\s/g, ""));
}

function hintRetire() {
  const confirming = digitsOnly($("confirmation-input").value) || $("more").dataset.needs === "device" && !$("confirmation-input").value;
  $("retire-help").textContent = text(confirming ? "code.retire.confirming" : "code.retire.others");
}
$("confirmation-input").addEventListener("input", hintRetire);

// A line of the mail may be pasted as a whole.
$("code-input").addEventListener("paste", (event) => {
  const found = /\b[0-9A-Z]{4}[-\u2010-\u2014][0-9A-Z]{4}\b/i.exec(event.clipboardData.getData("text"));
  if (!found) return;
  event.preventDefault();
  $("code-input").value = found[0].toUpperCase();
});

// countDown tells how long the code in the mail is good for.
function countDown() {
  clearTimeout(timer);
  const left = Math.ceil((until - Date.now()) / 1000);
  const clockwork = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  $("countdown").hidden = !until;
  $("countdown").textContent = left > 0 ? text("code.valid", { time: clockwork }) : text("code.expired");
  $("countdown").classList.toggle("bad", left <= 0);
  if (left > 0) timer = setTimeout(countDown, 1000);
}
onLeave("code", () => clearTimeout(timer));

async function requestCode() {
  const { valid_seconds: seconds } = await post("/v1/enrollments", { email });
  until = Date.now() + seconds * 1000;
  memory.keep("pending", { email, until });
  memory.keep("email", email);
}

function typedEmail() {
  const typed = $("email-input").value.trim();
  if (!typed || !$("email-input").checkValidity()) {
    $("email-input").focus();
    throw new Error(text("email.check"));
  }
  return typed;
}

submit("email", async () => {
  email = typedEmail();
  await requestCode();
  askCode("code.lead");
});

press("have-code", () => {
  email = typedEmail();
  const pending = memory.read("pending");
  until = pending?.email === email ? pending.until : 0;
  askCode("code.lead.have");
});

press("return", () => home.open());
press("back", () => back());
onBack("code", back);
function back() {
  memory.keep("pending", null);
  begin(email);
}

press("again", async () => {
  await requestCode();
  lead = "code.lead";
  $("code-input").value = "";
  show();
  countDown();
  say("code", text("code.sent"), true);
  $("code-input").focus();
});

// filled reads the form. It throws what the person has to mend.
function filled(fields) {
  const code = key.normalise(fields.code.value);
  if (!code) {
    fields.code.focus();
    throw new Error(text("code.malformed"));
  }
  const request = { email, code, label: printable(fields.label.value) || usualLabel() };
  const confirmation = fields.confirmation.value.trim();
  if (!confirmation && $("more").classList.contains("needed")) {
    fields.confirmation.focus();
    throw new Error(text("code.confirmation.missing"));
  }
  if (confirmation) request.confirmation = confirmation;
  if ($("more").open && fields.retire.checked) request.retire = digitsOnly(confirmation) ? "confirming" : "others";
  return request;
}

// send registers, and shows what else may be needed if that is refused.
export async function send(path, request) {
  try {
    return await post(path, request, refused);
  } catch (error) {
    if (error.status === 403) $("more").open = true;
    if (error.type === "lock-required") service.load().then(show);
    throw error;
  }
}

submit("code", async (fields) => {
  const request = filled(fields);
  let secured = null;
  if (fields.lock.checked && !$("lock-part").hidden) secured = await makeLock();
  const mine = await key.begin();
  request.public_key = mine.text;
  if (secured) request.lock = secured.text;
  const answer = await send("/v1/devices", request);
  const kept = await key.agree(mine, answer, request.code, secured?.prf);
  const account = {
    device: answer.device, account: answer.account, name: answer.name, label: answer.label, issuer: answer.issuer,
    digits: answer.digits, period: answer.period, since: answer.unix_ms, email, ...kept,
  };
  if (secured) account.lock = { credential: secured.credential, salt: secured.salt };
  made = null; // one lock for one device
  await replace(account, secured?.prf);
  clock.measure().catch(() => {});
  done(answer, true);
});

// replace keeps the account. If this phone had it before, that key is gone now, and the server is
// told, so that no device is left over that nobody has: of the new one, if that cannot be kept.
async function replace(account, octets) {
  const before = accounts.list().find((a) => a.account === account.account);
  const tell = (which) => proof.send(which, "remove").catch(() => {}); // retired already, or it goes on being listed
  try {
    await accounts.add(account, octets);
  } catch (error) {
    await tell(account);
    throw error;
  }
  if (before && accounts.opened(before)) tell(before);
}

let made = null; // a lock of a try that was refused: the next one takes it, and leaves no passkey over

async function makeLock() {
  if (made?.email === email) return made.secured;
  try {
    made = { email, secured: await lock.make(email) };
    return made.secured;
  } catch {
    throw new Error(text(lockable === false ? "code.lock.impossible" : "code.lock.failed"));
  }
}

press("other", async () => {
  const request = filled($("code").querySelector("form").elements);
  if (request.label === usualLabel()) request.label = text("code.device.other");
  authenticator.show(await send("/v1/devices", request));
});

// done says what has been reached: here, or in another authenticator.
export function done(answer, here) {
  memory.keep("pending", null);
  memory.keep("email", email);
  $("code-input").value = $("confirmation-input").value = $("device-input").value = "";
  $("done-lead").textContent = text(here ? "done.lead" : "done.lead.other", { name: answer.name });
  tell("done-retired", "done.retired", answer.retired);
  tell("done-others", "done.others", answer.others);
  $("show").hidden = !accounts.current();
  $("show").textContent = text(here ? "done.show" : "email.return");
  $("install").hidden = !here || !install.state().installable;
  for (const e of document.querySelectorAll("#done [data-ios]")) e.hidden = !here || !install.ios() || install.standalone();
  go("done");
}

function tell(id, name, labels = []) {
  $(id).hidden = labels.length === 0;
  if (labels.length > 0) $(id).textContent = text(name, { devices: list(labels) });
}

press("show", () => home.open());

// printable is what the server takes as a label: nothing invisible, at most 64 octets.
export function printable(label) {
  const octets = new TextEncoder();
  let kept = [...label.replace(/\p{Z}/gu, " ").replace(/[\p{C}\uFFFD]/gu, "").trim()];
  while (octets.encode(kept.join("")).length > 64) kept = kept.slice(0, -1);
  return kept.join("");
}

watch(() => {
  if (at() === "code") { show(); countDown(); }
});
service.watch(() => {
  if (at() === "code") show();
});
