// Keeps pages and files for the time without a network. The network is always asked first: only Vestibule knows whether
// the session is over.

const CACHE = 'pages-1';
const KEPT = ['document', 'iframe', 'style', 'script', 'image', 'font'];

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

self.addEventListener('fetch', (event) => {
  const { method, url, destination } = event.request;
  const { origin, pathname } = new URL(url);
  // Login, logout and callback must reach Vestibule as the visits that they are.
  if (pathname.startsWith('/.vestibule/') || pathname === '/oauth2callback') return;
  // Data (`fetch`, destination '') is never answered from here.
  if (method !== 'GET' || origin !== self.location.origin || !KEPT.includes(destination)) return;
  event.respondWith(fromNetworkFirst(event));
});

async function fromNetworkFirst(event) {
  const { request } = event;
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    if (mayBeKept(response)) event.waitUntil(cache.put(request, response.clone()));
    return response;
  } catch {
    return (await cache.match(request)) ?? Response.error();
  }
}

// No way to the login (`opaqueredirect`, or a redirect that was followed), no 401 or other problem document, and no page of
// Vestibule: all of these are sent with `no-store`.
function mayBeKept(response) {
  const { status, type, redirected, headers } = response;
  return status === 200 && type === 'basic' && !redirected && !/no-store/i.test(headers.get('cache-control') ?? '');
}
