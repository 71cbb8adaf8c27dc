// The code, and the ring around it.

import * as accounts from "./accounts.js";
import * as clock from "./clock.js";
import * as key from "./key.js";
import * as ring from "./ring.js";
import { $, at, go, onLeave, press } from "./screens.js";
import { count, span, text, watch } from "./texts.js";
import * as unlock from "./unlock.js";

let account = null;
let using = null; // its key
let shown = null; // the step whose code is on the screen
let timer = 0;
let quiet = 0; // ends the word that it was copied
let spoken = null; // what was announced last

// open shows the code of the account that was chosen, or asks for the lock first.
export function open() {
  account = accounts.current();
  using = accounts.opened(account);
  if (!using) return unlock.ask(account);
  write();
  shown = spoken = null; // another account has another code
  tick();
  go("home");
}

// write is what depends on the language.
function write() {
  $("home-issuer").textContent = account.issuer;
  $("home-for").textContent = text("home.for", { name: account.name });
  $("home-device").textContent = text("home.device", { device: account.label });
  hint("");
  warn();
}
watch(() => {
  if (at() === "home") { write(); shown = null; tick(); }
});

// tick writes the moment, once a second.
async function tick() {
  clearTimeout(timer);
  const period = account.period * 1000;
  const now = clock.now();
  const step = Math.floor(now / period);
  const elapsed = now - step * period;
  timer = setTimeout(tick, 1000 - (elapsed % 1000) + 5);
  ring.show($("segments"), elapsed, period);
  const remaining = Math.ceil((period - elapsed) / 1000);
  $("remaining").textContent = count("home.remaining", remaining);
  $("elapsed").textContent = count("home.elapsed", account.period - remaining);
  await codes(step, elapsed >= period * 0.9);
  speak(step, remaining);
}

// codes writes the code of a step, and in the last segment the next one as well.
async function codes(step, last) {
  const whose = account;
  const [code, next] = await Promise.all([
    key.codeAt(using, step, whose.digits), last ? key.codeAt(using, step + 1, whose.digits) : "",
  ]);
  if (whose !== account || !using) return;
  if (step !== shown) {
    $("digits").textContent = group(code);
    $("digits").classList.toggle("long", code.length > 6);
    $("digits").dataset.code = code;
    if (shown !== null) hint("");
    shown = step;
  }
  const words = next ? text("home.next", { code: group(next) }) : "";
  if ($("next-digits").textContent !== words) $("next-digits").textContent = words;
}

// speak tells those who do not see the ring of a new code, and that a code is about to end: not
// every second.
function speak(step, remaining) {
  let moment = "" + step;
  if (remaining <= 10) moment += " ends";
  if (moment === spoken) return;
  const first = spoken === null;
  spoken = moment;
  if (remaining <= 10) $("spoken").textContent = count("home.remaining", remaining);
  else if (!first) $("spoken").textContent = text("home.new", { code: [...$("digits").dataset.code].join(" ") });
}

// group writes a code in two halves, as it is easiest to read.
function group(code) {
  const half = Math.ceil(code.length / 2);
  return code.slice(0, half) + "\u2009" + code.slice(half);
}

function hint(message) {
  clearTimeout(quiet);
  $("copy-hint").textContent = message || text("home.copy");
}

press("copy", async () => {
  try {
    await navigator.clipboard.writeText($("digits").dataset.code);
    hint(text("home.copied"));
    $("spoken").textContent = text("home.copied");
    quiet = setTimeout(hint, 3000, "");
  } catch {
    hint(text("home.copy.refused")); // the code is there to read
  }
});

// warn says that the phone's clock is wrong, and where to set it. The codes go by the server's.
function warn() {
  const { off, offset } = clock.state();
  const box = $("clock-warning");
  box.hidden = !off;
  box.replaceChildren();
  if (!off) return;
  const phones = { iphone: /iPhone|iPad/, android: /Android/ };
  const known = Object.keys(phones).filter((p) => phones[p].test(navigator.userAgent));
  const title = document.createElement("strong");
  title.textContent = text(offset < 0 ? "clock.ahead" : "clock.behind", { time: span(Math.abs(offset) / 1000) });
  const lines = ["clock.right", ...(known.length ? known : Object.keys(phones)).map((p) => "clock." + p)];
  box.append(title, ...lines.map((name) => {
    const p = document.createElement("p");
    p.textContent = text(name);
    return p;
  }));
}
clock.watch(() => {
  if (at() !== "home") return;
  warn();
  tick();
});

onLeave("home", () => {
  clearTimeout(timer);
  using = null;
});

// start draws the ring, once.
export function start() {
  ring.draw($("segments"));
}

// wake goes on after the page was not seen.
export function wake() {
  if (at() === "home") tick();
}
