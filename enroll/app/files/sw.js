// The worker that keeps the app on the phone. The server writes a line before this one: version,
// and shell, the addresses that make up the app with the SHA-384 of each.
//
// All files of a version are in one cache, and a page gets all of them from there: there is no page
// of two versions. It touches nothing but /app/: no call to the server passes here, and no key.

/* global version, shell */

const prefix = "otpgate-";
const cacheName = prefix + version;
const settings = new URL("settings.json", location).href;
const home = new URL("./", location);
const known = new Map(shell.map(([path, integrity]) => [new URL(path, location).href, integrity]));

addEventListener("install", (event) => event.waitUntil(fill()));
addEventListener("activate", (event) => event.waitUntil(clear()));

addEventListener("message", (event) => {
  if (event.data === "take over") event.waitUntil(skipWaiting());
  if (event.data === "take over if alone") event.waitUntil(whenAlone());
});

addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  url.hash = "";
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (url.href === settings) return event.respondWith(fresh(event));
  if (request.mode === "navigate" && url.pathname === home.pathname) return event.respondWith(kept(home.href, request));
  if (known.has(url.href)) event.respondWith(kept(url.href, request));
});

// fill gets everything, and fails if one file is not of this version.
async function fill() {
  const cache = await caches.open(cacheName);
  await Promise.all([...known].map(([href, integrity]) => cache.add(new Request(href, { integrity }))));
  const answer = await fetch(settings, { cache: "no-cache" }).catch(() => null);
  if (answer?.ok) await cache.put(settings, answer); // without it the app has its defaults
}

// whenAlone takes over if there is one page of the app only. One that was just closed may still be
// on its way.
async function whenAlone() {
  for (let tries = 0; tries < 5; tries++) {
    const windows = await clients.matchAll({ type: "window", includeUncontrolled: true });
    if (windows.filter((w) => w.url.startsWith(home.href)).length <= 1) return skipWaiting();
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

// clear deletes what older versions kept. Keys are not in a cache, and stay.
async function clear() {
  for (const name of await caches.keys()) if (name.startsWith(prefix) && name !== cacheName) await caches.delete(name);
}

// kept answers from the cache. A browser that has emptied it gets the file from the server again.
async function kept(href, request) {
  const cache = await caches.open(cacheName);
  return (await cache.match(href, { ignoreVary: true })) ?? fetch(request);
}

// fresh answers from the server, or with the last answer where there is no network, or a slow one.
async function fresh(event) {
  const cache = await caches.open(cacheName);
  const old = await cache.match(settings, { ignoreVary: true });
  const asked = fetch(event.request).then(async (answer) => {
    if (answer.ok) await cache.put(settings, answer.clone());
    return answer.ok ? answer : (old ?? answer);
  });
  if (!old) return asked;
  event.waitUntil(asked.catch(() => {}));
  const late = new Promise((resolve) => setTimeout(resolve, 1500, old));
  return Promise.race([asked.catch(() => old), late]);
}
