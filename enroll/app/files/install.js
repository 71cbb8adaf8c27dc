// The app on the phone's home screen, the worker that keeps it there without a network, and newer
// versions of both.

const hour = 3600 * 1000;
// Browsers with Trusted Types take the address of a worker from a policy only; the one policy that
// the server's Content-Security-Policy lets anybody make knows one address.
const worker = globalThis.trustedTypes?.createPolicy("otpgate-worker", { createScriptURL: () => "sw.js" }).createScriptURL("") ?? "sw.js";

let offer = null; // the browser's offer to install
let waiting = null; // the worker of a newer version
let asked = Date.now(); // when a newer version was last looked for
const brought = location.hash; // what a link gave to this opening, which a reload would lose
const watchers = new Set();

addEventListener("beforeinstallprompt", (event) => {
  event.preventDefault(); // the app offers it where it makes sense
  offer = event;
  tell();
});
addEventListener("appinstalled", () => {
  offer = null;
  tell();
});

// state says whether the browser can install the app now, and whether a newer version waits.
export function state() {
  return { installable: offer !== null, update: waiting !== null };
}

// watch calls back whenever the state changes.
export function watch(callback) {
  watchers.add(callback);
}

// prompt asks the person whether to install, and says whether they want to.
export async function prompt() {
  if (!offer) return false;
  const asking = offer;
  offer = null; // it can be used once
  tell();
  await asking.prompt();
  return (await asking.userChoice).outcome === "accepted";
}

// standalone says whether this is the installed app.
export function standalone() {
  return navigator.standalone === true || matchMedia("(display-mode: standalone)").matches;
}

// ios says whether this is an iPhone or iPad, where Safari forgets after seven days what is not
// installed, and where the installed app does not see what Safari keeps.
export function ios() {
  return /iPhone|iPad|iPod/.test(navigator.userAgent) || (/Macintosh/.test(navigator.userAgent) && navigator.maxTouchPoints > 1);
}

// start registers the worker. A newer version that was waiting when the app is opened takes over
// then; one that comes later waits for the next opening, or for update.
export async function start() {
  const workers = navigator.serviceWorker;
  if (!workers) return;
  if (workers.controller) workers.addEventListener("controllerchange", () => location.reload()); // no page is of two versions
  let registration;
  try {
    registration = await workers.register(worker, { scope: "./", updateViaCache: "none" });
  } catch {
    return; // no private mode has one, and the app works without
  }
  if (registration.waiting && workers.controller && !brought) registration.waiting.postMessage("take over if alone");
  const follow = () => registration.installing?.addEventListener("statechange", () => found(registration));
  registration.addEventListener("updatefound", follow);
  follow();
  found(registration);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || Date.now() - asked < hour) return;
    asked = Date.now();
    registration.update().catch(() => {}); // without a network there is nothing new
  });
}

// update lets the newer version take over now. The page reloads.
export function update() {
  waiting?.postMessage("take over");
}

function found(registration) {
  waiting = navigator.serviceWorker.controller ? registration.waiting : null;
  tell();
}

function tell() {
  for (const callback of watchers) callback(state());
}
