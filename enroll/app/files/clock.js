// The server's time. Codes depend on it, and phones are often wrong: what has to be added to the
// phone's clock is measured, remembered, and dropped when that clock is seen to jump.

const place = "otpgate.clock";
const tooFar = 3 * 60 * 1000; // ms: from here on people are told
const slack = 2000; // ms: less than that is no jump
const patience = 10000; // ms for the server's answer
const slow = 400; // ms: an answer that took longer is worth another try

let offset = 0; // what has to be added to the phone's clock, in ms
let measured = false; // heard from the server since the page was opened, or since the clock jumped
let jumped = false; // what was remembered had to be dropped, and nothing is known since
let rest = Date.now() - performance.now(); // stays the same unless the clock is set
let away = false; // the page was hidden since the last look
let running = null; // the measurement under way
const watchers = new Set();

recall();

// now is the server's time in ms since 1970, as well as it is known.
export function now() {
  look();
  return Date.now() + offset;
}

// state says how well it is known. off: the phone's clock is wrong by more than three minutes.
export function state() {
  return { offset, measured, off: Math.abs(offset) > tooFar, jumped };
}

// measure asks the server for its time and takes half the round trip out. It throws without an
// answer; what was known stays.
export function measure() {
  running ??= ask().finally(() => { running = null; });
  return running;
}

// watch calls back whenever the state changes, and keeps the time measured: when the page comes
// back, when the network does, and when the clock has jumped.
export function watch(callback) {
  watchers.add(callback);
  if (watchers.size > 1) return;
  const again = () => measure().catch(() => {}); // without a network the remembered offset has to do
  document.addEventListener("visibilitychange", () => {
    away = true;
    look();
    remember();
    if (!document.hidden) again();
  });
  addEventListener("pagehide", remember);
  addEventListener("online", again);
  setInterval(look, 1000);
}

async function ask() {
  let best = await trip();
  if (best.took > slow) { // the first one may have had to make a connection, which is all one way
    const next = await trip().catch(() => best);
    if (next.took < best.took) best = next;
  }
  rest = best.rest;
  set({ offset: best.offset, measured: true, jumped: false });
  return { offset };
}

// trip goes to the server and back.
async function trip() {
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(), patience);
  try {
    const sent = { page: performance.now(), phone: Date.now() };
    const answer = await fetch("/v1/time", { cache: "no-store", signal: giveUp.signal });
    if (!answer.ok) throw new Error(`the time: ${answer.status}`);
    const { unix_ms: server } = await answer.json();
    const back = { page: performance.now(), phone: Date.now() };
    const took = back.page - sent.page;
    // A phone that slept or was set in between has measured nothing.
    if (!Number.isSafeInteger(server) || took > patience || Math.abs(back.phone - sent.phone - took) > slack) throw new Error("the time: no measurement");
    return { took, rest: back.phone - back.page, offset: Math.round(server + took / 2 - back.phone) };
  } finally {
    clearTimeout(timer);
  }
}

// look sees whether the phone's clock was set while the page is open: it then differs from the
// clock of the page, which only counts. That one stands still while a phone sleeps, which looks
// like a jump forwards: one that is seen after the page was hidden is believed to be sleep, unless
// it is about what the clock was behind, as when somebody has just put it right.
function look() {
  const jump = Date.now() - performance.now() - rest;
  const asleep = away && jump > 0 && !(offset > slack && Math.abs(jump - offset) < offset / 2);
  away = document.hidden;
  if (Math.abs(jump) < slack) return;
  rest += jump;
  if (asleep) return;
  set({ offset: 0, measured: false, jumped: true });
  measure().catch(() => {});
}

// set takes what is known now, keeps it, and tells.
function set(found) {
  const before = state();
  ({ offset, measured, jumped } = found);
  remember();
  const after = state();
  if (Object.keys(after).some((name) => after[name] !== before[name])) for (const tell of watchers) tell(after);
}

// remember keeps the offset for an opening without a network, and when the phone's clock was seen
// last.
function remember() {
  try {
    localStorage.setItem(place, JSON.stringify({ offset, seen: Date.now() }));
  } catch {
    // A browser that keeps nothing: the next opening measures.
  }
}

function recall() {
  try {
    const kept = JSON.parse(localStorage.getItem(place));
    if (!Number.isFinite(kept?.offset) || !Number.isFinite(kept.seen)) return;
    if (Date.now() < kept.seen - slack) jumped = true; // it was set back since
    else offset = kept.offset;
  } catch {
    // Nothing is remembered, or it cannot be read.
  }
}
