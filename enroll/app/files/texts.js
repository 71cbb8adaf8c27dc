// The texts in the language of the person, who may choose another than the browser's. They are
// kept, so that an opening without a network has them at once.

import * as memory from "./memory.js";
import * as service from "./service.js";

let texts = {};
let tag = "en";
const watchers = [];

// text returns a text with its {name}s replaced.
export function text(name, values = {}) {
  return (texts[name] ?? name).replace(/\{(\w+)\}/g, (whole, v) => values[v] ?? whole);
}

// count returns a text about n of something: languages have another form for one.
export function count(name, n) {
  return text(n === 1 ? name + ".one" : name, { n });
}

// span writes a time in the largest unit that says it well.
export function span(seconds) {
  if (seconds < 100) return count("seconds", Math.max(1, Math.ceil(seconds)));
  if (seconds < 100 * 60) return count("minutes", Math.round(seconds / 60));
  if (seconds < 48 * 3600) return count("hours", Math.round(seconds / 3600));
  return count("days", Math.round(seconds / 86400));
}

// list quotes labels and joins them, as the language does.
export function list(labels) {
  return new Intl.ListFormat(tag, { type: "conjunction" }).format(labels.map((label) => text("quoted", { label })));
}

// chosen is the language that the person has chosen, "" for the browser's.
export function chosen() {
  return memory.read("language") ?? "";
}

// choose changes the language, or throws without a network and leaves it as it is.
export async function choose(wanted) {
  use(await ask(wanted || browsers()));
  memory.keep("language", wanted || null);
}

// watch calls back after the texts have changed.
export function watch(callback) {
  watchers.push(callback);
}

// load fetches the texts. Those of last time are used at once if they will do; then it does not wait.
export async function load() {
  const wanted = chosen() || browsers();
  const last = memory.read("texts");
  const asked = ask(wanted).then((fresh) => {
    if ((chosen() || browsers()) === wanted && JSON.stringify(fresh) !== JSON.stringify(last)) use(fresh);
  });
  if (last?.wanted === wanted && complete(last.texts)) {
    use(last);
    asked.catch(() => {});
    return;
  }
  await asked.catch((error) => {
    if (!last) throw error;
    use(last); // in another language, or with a gap: better than nothing
  });
}

// browsers is the language that fits the browser best. It is asked for by its name, so that a phone
// without a network, whose language was changed, finds it too.
function browsers() {
  const known = service.get().languages.map((l) => l.tag);
  const primary = (name) => name.toLowerCase().split("-")[0];
  for (const wanted of navigator.languages) {
    const fits = known.find((k) => primary(k) === primary(wanted));
    if (fits) return fits;
  }
  return known[0];
}

async function ask(wanted) {
  const answer = await fetch("texts.json?lang=" + encodeURIComponent(wanted));
  if (!answer.ok) throw new Error("texts: " + answer.status);
  return { wanted, tag: answer.headers.get("Content-Language") ?? "en", texts: await answer.json() };
}

// complete: a new version of the app may have texts that the old one had not.
function complete(candidate) {
  return [...document.querySelectorAll("[data-text]")].every((e) => candidate[e.dataset.text]);
}

function use(some) {
  ({ texts, tag } = some);
  memory.keep("texts", some);
  document.documentElement.lang = tag;
  document.title = text("title");
  for (const e of document.querySelectorAll("[data-text]")) e.textContent = text(e.dataset.text);
  for (const e of document.querySelectorAll("[data-label]")) e.setAttribute("aria-label", text(e.dataset.label));
  for (const w of watchers) w();
}
