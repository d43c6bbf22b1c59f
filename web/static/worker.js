// The app's worker. It keeps one page, which says that there is no connection, with the files that page needs; of
// messages, lists and names it keeps nothing. What another app shares waits in its memory until the page takes it.
"use strict";
const KEPT = "no-connection";
const PATIENCE = 5 * 60 * 1000; // milliseconds for which a share waits for its page
let shared = null;

const keep = async () => {
  const answer = await fetch("/offline", { credentials: "omit", cache: "no-cache" });
  if (!answer.ok) throw new Error(`the page without a connection: ${answer.status}`);
  const text = await answer.clone().text();
  const files = Array.from(text.matchAll(/(?:href|src)="(\/static\/[^"]+)"/g), (each) => each[1].replaceAll("&amp;", "&"));
  await caches.delete(KEPT);
  const cache = await caches.open(KEPT);
  await cache.put("/offline", answer);
  await cache.addAll(files);
};

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(keep());
});
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

const take = async (request) => {
  const form = await request.formData();
  const text = (name) => String(form.get(name) || "");
  const files = form.getAll("files").filter((each) => each instanceof File);
  shared = { at: Date.now(), title: text("title"), words: [text("text"), text("url")].filter(Boolean).join("\n"), files };
  return Response.redirect("/write/shared/here", 303);
};

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (url.origin !== self.location.origin) return;
  if (request.method === "POST" && url.pathname === "/share") {
    event.respondWith(take(request));
  } else if (request.method === "GET" && request.mode === "navigate") {
    event.respondWith(fetch(request).catch(async () => (await caches.match("/offline")) || Response.error()));
  } else if (request.method === "GET" && url.pathname.startsWith("/static/")) {
    event.respondWith(caches.match(request).then((kept) => kept || fetch(request)));
  }
});

// The page for new messages asks once, and gets it once.
self.addEventListener("message", (event) => {
  if (event.data !== "shared?") return;
  const fresh = shared && Date.now() - shared.at < PATIENCE ? shared : null;
  shared = null;
  event.ports[0].postMessage(fresh);
});
