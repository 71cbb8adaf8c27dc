// The screens. One is shown at a time; the browser's way back leads from a screen to the one it
// belongs to.

import { text } from "./texts.js";

export const $ = (id) => document.getElementById(id);

const above = {
  code: "email", authenticator: "code", firstcode: "authenticator", settings: "home", account: "settings", about: "settings",
};

let shown = "";
const leave = {};

// go shows one screen, and lets the person go on at a field or at the heading.
export function go(screen, field = null) {
  if (shown && shown !== screen) {
    leave[shown]?.();
    if (above[screen] === shown) history.pushState(null, "");
  }
  shown = screen;
  for (const s of document.querySelectorAll("main > section")) s.hidden = s.id !== screen;
  scrollTo(0, 0);
  (field ?? $(screen).querySelector("h1")).focus({ preventScroll: true });
}

// at tells which screen is shown.
export function at() {
  return shown;
}

// onLeave runs something when a screen is left.
export function onLeave(screen, work) {
  leave[screen] = work;
}

// onBack says what shows the screen above one: the browser's way back does the same.
const backs = {};
export function onBack(screen, show) {
  backs[screen] = show;
}

// A link with a fragment comes by here as well, and leads on.
addEventListener("popstate", () => {
  if (!location.hash) backs[shown]?.();
});

// say shows a message on a screen.
export function say(screen, message, good = false) {
  const p = $(screen).querySelector(".message");
  p.textContent = message;
  p.classList.toggle("good", good);
}

// press runs what a button is for, once at a time, and says what went wrong.
export function press(id, work) {
  const button = $(id);
  const screen = button.closest("section").id;
  button.addEventListener("click", () => once(screen, button, () => work(button)));
}

// submit runs what a form is for, in the same way.
export function submit(screen, work) {
  const form = $(screen).querySelector("form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    once(screen, form.querySelector(".primary"), () => work(form.elements));
  });
}

// once: a button stays in the order of focus while it works, which disabling it would end.
async function once(screen, button, work) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  const message = $(screen).querySelector(".message");
  if (message) say(screen, "");
  try {
    await work();
  } catch (error) {
    // What is no message for people is the browser's: it keeps nothing, or cannot do something.
    const ours = error.constructor === Error || error.status !== undefined;
    if (message) say(screen, ours ? error.message : text("error.here"));
  }
  button.removeAttribute("aria-disabled");
}
