// Shows one page of ours when an address cannot be reached. Keeps that page with what it looks like, and nothing else:
// everything that is asked for goes to the network, always.

const CACHE = "mailroom-offline-{{ version }}";
const PAGE = "{{ page }}";
const KEPT = {{ kept }};

self.addEventListener("install", (event) => {
  const page = new Request(PAGE, { cache: "reload", credentials: "omit" });
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll([page, ...KEPT])).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const old = (name) => name.startsWith("mailroom-offline-") && name !== CACHE;
  event.waitUntil(caches.keys().then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name))))
    .then(() => self.registration.navigationPreload?.enable())
    .then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const kept = (what) => caches.open(CACHE).then((cache) => cache.match(what)).then((found) => found ?? Response.error());
  if (request.method !== "GET") return;
  if (request.mode === "navigate") {
    event.respondWith(Promise.resolve(event.preloadResponse).then((ahead) => ahead ?? fetch(request)).catch(() => kept(PAGE)));
  } else if (KEPT.includes(new URL(request.url).pathname)) event.respondWith(fetch(request).catch(() => kept(request)));
});
