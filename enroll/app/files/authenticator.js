// Another authenticator instead of this app: a QR code, and a first code that shows that it does
// what it was asked for. There is no device before that.

import { post } from "./api.js";
import * as enroll from "./enroll.js";
import { $, go, onBack, press, say, submit } from "./screens.js";
import { text, watch } from "./texts.js";

const svg = "http://www.w3.org/2000/svg";

let offer = null;

const reasons = {
  "period-ignored": "first.period", "digits-wrong": "first.digits", "first-code-wrong": "first.wrong", 403: "first.expired", 400: "first.wrong",
};

// show offers what the server answered: {token, otpauth, qr, digits, period, name}.
export function show(answer) {
  offer = answer;
  draw(answer.qr);
  $("otpauth-uri").textContent = answer.otpauth;
  $("otpauth-open").href = answer.otpauth;
  write();
  say("authenticator", "");
  go("authenticator");
}

// write is what depends on the language.
function write() {
  if (!offer) return;
  const { digits, period } = offer;
  const secret = /[?&]secret=([A-Z2-7]+)/.exec(offer.otpauth)?.[1] ?? "";
  $("otpauth-qr").setAttribute("aria-label", text("other.qr"));
  $("otpauth-by-hand").textContent = text("other.by_hand", { key: secret.replace(/(.{4})(?=.)/g, "$1 "), digits, period });
}
watch(write);

// draw makes the picture: dark on light whatever the theme, with its quiet zone.
function draw({ size, path }) {
  const picture = element("svg", { viewBox: `0 0 ${size} ${size}`, "shape-rendering": "crispEdges", "aria-hidden": "true" });
  picture.append(element("rect", { width: size, height: size, fill: "#fff" }), element("path", { d: path, fill: "#000" }));
  $("otpauth-qr").replaceChildren(picture);
}

function element(name, attributes) {
  const e = document.createElementNS(svg, name);
  for (const [a, value] of Object.entries(attributes)) e.setAttribute(a, value);
  return e;
}

press("copy-uri", async (button) => {
  try {
    await navigator.clipboard.writeText(offer.otpauth);
    button.textContent = text("home.copied");
    setTimeout(() => { button.textContent = text("other.copy"); }, 2000);
  } catch {
    getSelection().selectAllChildren($("otpauth-uri")); // the browser does not allow it; so it is easy by hand
  }
});

submit("authenticator", () => {
  $("first-code-input").value = "";
  say("firstcode", "");
  go("firstcode", $("first-code-input"));
});

submit("firstcode", async (fields) => {
  const code = fields.code.value.replace(/\s/g, "");
  if (!/^\d{4,10}$/.test(code)) {
    fields.code.focus();
    throw new Error(text("first.malformed"));
  }
  const answer = await post("/v1/confirmations", { token: offer.token, code }, reasons);
  forget();
  enroll.done(answer, false);
});

// forget: the secret is on this page no longer than it is needed.
export function forget() {
  offer = null;
  $("otpauth-uri").textContent = $("otpauth-by-hand").textContent = "";
  $("otpauth-open").removeAttribute("href");
  $("otpauth-qr").replaceChildren();
  $("first-code-input").value = "";
}

// instead goes back to setting up this phone: the enrollment code is not used up yet.
function instead() {
  forget();
  say("code", "");
  go("code");
}
press("authenticator-back", instead);
press("firstcode-instead", instead);
onBack("authenticator", instead);
press("firstcode-back", () => go("authenticator"));
onBack("firstcode", () => go("authenticator"));
