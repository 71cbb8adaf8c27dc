// My devices: a mailed link opens a session of fifteen minutes, in which devices are renamed and
// removed. The token is behind the "#", where no server and no log sees it, and it is good once:
// nothing happens before the button is pressed, for scanners of mail open links, too. Token and
// session are kept in variables only.
import { call } from "./call.js";
import { clock, countdown } from "./countdown.js";
import { switchInPlace } from "./language.js";
import { labelOf, show } from "./rows.js";
import { secure } from "./secure.js";
import { word } from "./words.js";

const $ = (id) => document.getElementById(id);

let token = "";
let email = "";
let session = null; // { session, name, devices, remaining }
let stopCountdown = () => {};
let said = null; // how to say the present message anew, in another language

// go shows one part of the page.
function go(part) {
  for (const id of ["ask", "sent", "open", "list"]) {
    $(id).hidden = id !== part;
  }
}

// say shows a message above it, good or bad or neither; without a name it shows none.
function say(name, kind = "", values = () => ({})) {
  said = name ? () => word(name, values()) : null;
  $("message").className = `note ${kind}`;
  $("message").textContent = said ? said() : "";
  $("message").hidden = !said;
}

// trouble is the word for what went wrong, for all calls.
function trouble(answer) {
  return word(["network", "many"].includes(answer.outcome) ? answer.outcome : "failed");
}

function sayTrouble(answer) {
  say(["network", "many"].includes(answer.outcome) ? answer.outcome : "failed", "bad");
}

// Without a link: ask for one.

function ask(focus) {
  go("ask");
  if (focus) {
    $("email-input").focus();
  }
}

async function send(again) {
  say("working");
  const answer = await call("/v1/links", { email });
  switch (answer.outcome) {
    case "ok":
      say(again ? "sent.again" : "", "good");
      go("sent");
      showSent();
      if (!again) {
        $("title").focus();
      }
      return;
    case "malformed":
      return say("address", "bad");
    default:
      return sayTrouble(answer);
  }
}

function showSent() {
  $("sent-text").textContent = word("sent", { email });
}

$("ask-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  email = $("email-input").value.trim();
  if (!/^\S+@\S+$/.test(email)) {
    say("address", "bad");
    $("email-input").focus();
    return;
  }
  await once(event.submitter || $("ask-form").querySelector("button"), () => send(false));
});
$("send-again").addEventListener("click", () => once($("send-again"), () => send(true)));
$("other-address").addEventListener("click", () => { say(); ask(true); });

// once keeps a button from being pressed twice.
async function once(button, work) {
  button.disabled = true;
  await work();
  button.disabled = false;
}

// With a link: a button, then the list.

function takeToken() {
  const found = location.hash.slice(1);
  if (!found) {
    return false;
  }
  // Out of the address bar, so that it is not in a screenshot or a shared link.
  history.replaceState(null, "", location.pathname + location.search);
  close();
  token = found;
  say();
  go("open");
  return true;
}

async function open() {
  say("working");
  const answer = await call("/v1/sessions", { token });
  if (answer.outcome !== "ok") {
    if (answer.outcome === "refused" || answer.outcome === "malformed") {
      token = "";
      say("invalid", "bad");
      ask();
      return;
    }
    return sayTrouble(answer);
  }
  token = "";
  session = answer;
  say();
  go("list");
  showList();
  let last = Infinity;
  stopCountdown = countdown(answer.valid_seconds, (remaining) => {
    session.remaining = remaining;
    showRemaining();
    if (remaining <= 60 && last > 60) {
      say("ends.soon");
    }
    last = remaining;
  }, () => end());
  $("title").focus();
}

$("open-button").addEventListener("click", () => once($("open-button"), open));

function showRemaining() {
  $("countdown").textContent = word("remaining", { time: clock(session.remaining) });
}

function showList() {
  $("owner").textContent = word("owner", { name: session.name });
  session.devices.sort((one, other) => one.created.localeCompare(other.created));
  $("none").hidden = session.devices.length > 0;
  show($("devices"), session.devices, rename, remove);
}

// close forgets the session and what was shown of it.
function close() {
  stopCountdown();
  session = null;
  $("devices").replaceChildren();
  $("owner").textContent = $("countdown").textContent = "";
}

// end is what happens when the session is over: the server would refuse it.
function end() {
  close();
  say("ended", "bad");
  ask();
  $("title").focus();
}

async function rename(device, label) {
  if (!label || new TextEncoder().encode(label).length > 64) {
    return word("rename.wrong");
  }
  const answer = await call("/v1/devices/rename", { device: device.id, label, session: session.session });
  if (!session) {
    return "";
  }
  switch (answer.outcome) {
    case "ok":
      device.label = answer.label;
      showList();
      say("renamed", "good", () => ({ device: labelOf(device) }));
      $("devices").querySelector(`[data-device="${CSS.escape(device.id)}"] .rename`).focus();
      return "";
    case "malformed":
      return word("rename.wrong");
    case "refused":
      return reload(device);
    default:
      return trouble(answer);
  }
}

async function remove(device) {
  const answer = await call("/v1/devices/remove", { device: device.id, session: session.session });
  if (!session) {
    return "";
  }
  switch (answer.outcome) {
    case "ok":
      session.devices = session.devices.filter((other) => other.id !== device.id);
      showList();
      say("removed", "good", () => ({ device: labelOf(device) }));
      $("title").focus();
      return "";
    case "refused":
      return reload(device);
    default:
      return trouble(answer);
  }
}

// reload finds out what a refusal means: that the session is over, or that the device is gone.
async function reload(device) {
  const answer = await call("/v1/devices/list", { session: session.session });
  if (!session) {
    return "";
  }
  if (answer.outcome === "refused") {
    end();
    return "";
  }
  if (answer.outcome !== "ok") {
    return trouble(answer);
  }
  session.devices = answer.devices;
  showList();
  say("gone", "", () => ({ device: labelOf(device) }));
  $("title").focus();
  return "";
}

if (secure) {
  switchInPlace(() => token !== "" || session !== null || email !== "", (done) => {
    if (!done) {
      say("network", "bad");
      return;
    }
    $("message").textContent = said ? said() : "";
    if (session) {
      showList();
      showRemaining();
    }
    showSent();
  });
  // A browser keeps a page that was left, as it is, for whoever presses Back.
  window.addEventListener("pagehide", () => {
    if (session === null && token === "") {
      return;
    }
    close();
    token = "";
    say();
    ask();
  });
  // A second link opened in the same window changes what is behind the "#" only.
  window.addEventListener("hashchange", takeToken);
  if (!takeToken()) {
    ask();
  }
}
