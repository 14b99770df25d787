// Keeps the whole page, so that it works without a network. A new version is fetched completely, and replaces the old one
// when no page is loading: parts of both would not fit together.
const ABOUT = "@CONTENT@";
const PREFIX = `facemask ${self.registration.scope} `;
const CACHE = PREFIX + ABOUT.version;

self.addEventListener("install", (event) => event.waitUntil(keepAll()));

self.addEventListener("activate", (event) => event.waitUntil(takeOver()));

self.addEventListener("message", () => self.skipWaiting()); // from a page that is loaded

self.addEventListener("fetch", (event) => {
  if (event.request.method === "GET") event.respondWith(answer(event.request));
});

async function keepAll() {
  const cache = await caches.open(CACHE);
  const total = Object.values(ABOUT.files).reduce((sum, bytes) => sum + bytes, 0);
  let loaded = 0;
  const report = async (bytes) => {
    loaded += bytes;
    for (const client of await self.clients.matchAll({ includeUncontrolled: true })) {
      client.postMessage({ loaded: loaded / total });
    }
  };
  await Promise.all(Object.keys(ABOUT.files).map((name) => keep(cache, name, report)));
  if (!self.registration.active) await self.skipWaiting();
}

async function keep(cache, name, report) {
  const response = await fetch(new Request(name, { cache: "no-cache" }));
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  const counted = response.body.pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        report(chunk.byteLength);
        controller.enqueue(chunk);
      },
    }),
  );
  await cache.put(name, new Response(counted, { headers: { "Content-Type": response.headers.get("Content-Type") } }));
}

async function takeOver() {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
  }
  await self.clients.claim();
}

async function answer(request) {
  const url = new URL(request.url);
  const name = url.origin + url.pathname === self.registration.scope ? "index.html" : url;
  const cache = await caches.open(CACHE);
  return (await cache.match(name, { ignoreSearch: true })) ?? fetch(request);
}
