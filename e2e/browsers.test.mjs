// The guides for browsers in Chromium: the files of examples/browsers behind `vestibule serve`, as a service worker, an installed
// app and a frame of another site have them.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { launchBrowser, logsIn, logsOutAtProvider, openWindow } from './browser.mjs';
import { isOurs, isSession } from './cookies.mjs';
import { startProvider } from './provider.mjs';
import { startSsoProvider } from './sso-provider.mjs';
import { COOKIE_SECRET, startEdge } from './vestibule.mjs';

const EXAMPLE = fileURLToPath(new URL('../examples/browsers/', import.meta.url));
const GUIDES = ['service-workers', 'installed-apps', 'frames', 'fragments'];
const PAGES = await Promise.all(GUIDES.map((name) => readFile(new URL(`../docs/guides/${name}.md`, import.meta.url), 'utf8')));
const DOCUMENT = PAGES.join('\n');
const FILES = ['/index.html', '/app.js', '/service-worker.js', '/manifest.webmanifest', '/icons/app.svg'];
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.webmanifest': 'application/manifest+json',
};
const WITH_CREDENTIALS = ' crossorigin="use-credentials"';

let browser;

before(async () => {
  browser = await launchBrowser();
});

after(() => browser.close());

test('a service worker leaves login, callback and logout alone, and no page of it stands in for the login', async (t) => {
  const { site, provider, edge } = await startLogin(t);
  const { context, page } = await openPage(t);
  const address = `${edge.url}/?year=2026`;
  await page.goto(address);
  await logsIn(page, 'alice');
  await showsUser(page, 'alice Example');
  const answeredByWorker = await watchWorker(context, page);

  // From here on the worker answers.
  site.requests.length = 0;
  await page.reload();
  await showsUser(page, 'alice Example');
  await page.getByRole('button', { name: 'Refresh' }).click();
  await page.getByText('Data for alice', { exact: true }).waitFor();
  assert.deepEqual(await answeredByWorker(), ['/?year=2026', '/app.js'], 'no data');
  assert.deepEqual(
    site.requests.filter(({ url }) => url === '/?year=2026'),
    [{ method: 'GET', url: '/?year=2026', user: 'alice' }],
    'the network is asked first, as the user',
  );
  await keeps(page, ['/?year=2026', '/app.js']);
  assert.equal(await updatesWorker(page), 'updated, activated');

  // The session is over, and a script finds out first.
  await context.clearCookies();
  assert.equal(await updatesWorker(page), 'not updated, activated');
  const visited = visitsOf(page, edge);
  await page.getByRole('button', { name: 'Refresh' }).click();
  await showsLogin(page, provider);
  await logsIn(page, 'bob');
  await showsUser(page, 'bob Example');
  assert.equal(page.url(), address, 'the login ends on the page that asked');
  assert.deepEqual(visited.slice(0, 2), ['/.vestibule/login', '/oauth2callback']);
  assert.deepEqual(await answeredByWorker(), ['/?year=2026', '/app.js'], 'neither login nor callback');
  await keeps(page, ['/?year=2026', '/app.js']);

  // The session is over, and a visit to a page that the worker has finds out first.
  await context.clearCookies();
  await page.goto(address);
  await showsLogin(page, provider);
  assert.equal(await page.getByRole('heading', { name: 'Reports' }).count(), 0);
  await logsIn(page, 'alice');
  await showsUser(page, 'alice Example');
  await answeredByWorker();

  visited.length = 0;
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.waitForURL((url) => url.origin === provider.issuer);
  await logsOutAtProvider(page);
  await page.getByRole('heading', { name: 'You are logged out' }).waitFor();
  assert.equal(visited[0], '/.vestibule/logout');
  assert.deepEqual(await answeredByWorker(), []);
  assert.deepEqual((await context.cookies(edge.url)).filter(isSession), []);
  await keeps(page, []);
});

test('without a network the worker shows what it has, and nothing once that is deleted', async (t) => {
  const { edge } = await startLogin(t);
  const { context, page } = await openPage(t);
  await page.goto(edge.url);
  await logsIn(page, 'alice');
  await showsUser(page, 'alice Example');
  const answeredByWorker = await watchWorker(context, page);
  await page.reload();
  await showsUser(page, 'alice Example');
  await keeps(page, ['/', '/app.js']);
  await answeredByWorker();

  await edge.stop();
  await page.reload();
  await showsUser(page, 'not known: there is no network');
  assert.deepEqual(await answeredByWorker(), ['/', '/app.js']);
  await page.evaluate(async () => Promise.all((await caches.keys()).map((name) => caches.delete(name))));
  await assert.rejects(page.reload(), /net::ERR_/);
});

test('a worker keeps no redirect, no error and no page of Vestibule', async (t) => {
  // Two providers: the application's address answers with a page of Vestibule and status 200.
  const [one, other] = [await startProvider(t, { name: 'one' }), await startProvider(t, { name: 'other' })];
  const site = await startSite(t);
  const edge = await start(t, { site, toml: `[auth.one]\n${one.toml}\n[auth.other]\n${other.toml}\n` });
  one.serve(`${edge.url}/oauth2callback`);
  const { context, page, seen } = await openPage(t);
  await page.goto(edge.url);
  await page.getByRole('link', { name: 'Log in with One' }).click();
  await logsIn(page, 'alice');
  await showsUser(page, 'alice Example');
  const answeredByWorker = await watchWorker(context, page);
  await page.goto(`${edge.url}/moved`);
  await showsUser(page, 'alice Example');
  assert.equal(page.url(), `${edge.url}/?moved`);
  await page.goto(`${edge.url}/missing`);
  await page.getByRole('heading', { name: 'Not here' }).waitFor();

  await context.clearCookies();
  await page.goto(`${edge.url}/index.html`);
  await page.getByRole('heading', { name: 'Log in' }).waitFor();
  assert.equal(seen.document.status(), 200);
  assert.deepEqual(await answeredByWorker(), ['/moved', '/?moved', '/app.js', '/missing', '/index.html']);
  await keeps(page, ['/?moved', '/app.js']);
});

test('a manifest needs crossorigin="use-credentials"', async (t) => {
  const { site, edge } = await startLogin(t);
  const { context, page } = await openPage(t);
  await page.goto(edge.url);
  await logsIn(page, 'alice');
  await showsUser(page, 'alice Example');
  const expected = JSON.parse(await readFile(join(EXAMPLE, 'manifest.webmanifest'), 'utf8'));
  const asked = () => site.requests.filter(({ url }) => url === '/manifest.webmanifest');

  const manifest = await asksBrowser(page, 'Page.getAppManifest');
  assert.equal(manifest.url, `${edge.url}/manifest.webmanifest`);
  assert.deepEqual(JSON.parse(manifest.data), expected);
  assert.deepEqual(manifest.errors, []);
  assert.ok(asked().length > 0 && asked().every(({ user }) => user === 'alice'), JSON.stringify(asked()));

  const { primaryIcon } = await asksBrowser(page, 'Page.getManifestIcons');
  assert.ok(primaryIcon, 'Chromium fetches icons with cookies');

  site.requests.length = 0;
  const plain = await context.newPage();
  await plain.goto(`${edge.url}/plain.html`);
  await showsUser(plain, 'alice Example');
  const missing = await asksBrowser(plain, 'Page.getAppManifest');
  assert.ok(!missing.data, `without the attribute: ${missing.data}`);
  assert.deepEqual(asked(), [], 'Vestibule answers 401');
});

test('or a rule that makes manifest and icons public', async (t) => {
  const { site, edge } = await startLogin(t, block('[[vestibule.rule]]'));
  const { page } = await openPage(t);
  await page.goto(`${edge.url}/plain.html`);
  await logsIn(page, 'alice');
  await showsUser(page, 'alice Example');
  const manifest = await asksBrowser(page, 'Page.getAppManifest');
  assert.equal(JSON.parse(manifest.data).name, 'Reports');
  const [asked] = site.requests.filter(({ url }) => url === '/manifest.webmanifest');
  assert.equal(asked.user, undefined, 'the application does not learn who asks');
  for (const [path, status] of [['/manifest.webmanifest', 200], ['/icons/app.svg', 200], ['/', 401], ['/app.js', 401]]) {
    assert.equal((await fetch(edge.url + path, { redirect: 'manual' })).status, status, path);
  }
});

for (const [name, settings, providers, fragment = '#row-7'] of [
  ['with one provider', '', 1],
  ['through the choice of a provider', '', 2],
  ['with keep_fragment = true', '[vestibule]\nkeep_fragment = true\n', 1],
  ['from a route of the page', '', 1, '#/reports/2026?sort=-date&q=%23%26+é'],
]) {
  test(`the fragment of a link comes back ${name}`, async (t) => {
    const listed = [];
    for (const number of Array(providers).keys()) listed.push(await startProvider(t, { name: `op${number}` }));
    const site = await startSite(t);
    const sections = listed.map((provider, number) => `${providers > 1 ? `[auth.op${number}]\n` : ''}${provider.toml}\n`);
    const auth = `[auth]\nredirect_uri = "http://127.0.0.1:{port}/oauth2callback"\ncookie_secret = "${COOKIE_SECRET}"\n`;
    const edge = await startEdge({ upstream: site.url, toml: `${auth}${sections.join('')}${settings}` });
    t.after(edge.stop);
    listed.forEach((provider) => provider.serve(`${edge.url}/oauth2callback`));
    const { page, seen } = await openPage(t);
    await page.goto(`${edge.url}/?year=2026${fragment}`);
    if (providers > 1) await page.getByRole('link', { name: 'Log in with Op1' }).click();
    await page.locator('input[name=login]').waitFor();
    await logsIn(page, 'alice');
    await showsUser(page, 'alice Example');
    assert.equal(page.url(), new URL(`${edge.url}/?year=2026${fragment}`).href);
    assert.deepEqual(seen.errors.filter((text) => text.includes('Content Security')), [], 'the policy allows the script');
  });
}

test('a fragment with a token is not sent to a server, and one that is not kept does not stop the login', async (t) => {
  const { edge, provider } = await startLogin(t);
  for (const fragment of ['#access_token=secret&token_type=bearer', '#state=x&code=secret', '#?id_token=secret', `#${'x'.repeat(1200)}`]) {
    const { page } = await openPage(t);
    const asked = [];
    page.on('request', (request) => asked.push(request.url().split('#')[0]));
    await page.goto(`${edge.url}/${fragment}`);
    await showsLogin(page, provider);
    assert.ok(asked.some((url) => url.includes('/.vestibule/login')), 'the login begins on the page');
    assert.deepEqual(asked.filter((url) => /secret|xxx/.test(url)), [], fragment);
  }
});

test('without scripts the login begins, and the fragment is lost', async (t) => {
  const { edge, provider } = await startLogin(t);
  const { page } = await openPage(t, { javaScriptEnabled: false });
  await page.goto(`${edge.url}/?year=2026#row-7`);
  await showsLogin(page, provider);
  await logsIn(page, 'alice');
  await page.getByRole('heading', { name: 'Reports' }).waitFor();
  assert.equal(page.url(), `${edge.url}/?year=2026`);
});

test('the way back in the history skips the page that goes on', async (t) => {
  const { edge, provider, site } = await startLogin(t);
  const { page } = await openPage(t);
  await page.goto(`${site.url}/plain.html`);
  await page.goto(`${edge.url}/#row-7`);
  await showsLogin(page, provider);
  await page.goBack();
  assert.equal(page.url(), `${site.url}/plain.html`);
});

test('a frame of a named site: a login of its own, in cookies of its own', async (t) => {
  const { edge, provider, site, portal } = await startEmbedded(t);
  const { context, page } = await openPage(t, { ignoreHTTPSErrors: true });
  await page.goto(portal.url);
  const frame = page.frameLocator('iframe');
  await frame.getByText('Sam Example', { exact: true }).waitFor();
  await frame.getByRole('button', { name: 'Refresh' }).click();
  await frame.getByText('Data for sam', { exact: true }).waitFor();
  assert.equal(provider.authorizations, 1);

  const cookies = await cookiesOf(page);
  assert.ok(cookies.some(isSession), JSON.stringify(cookies.map(({ name }) => name)));
  for (const { name, partitionKey, sameSite, secure, httpOnly } of cookies) {
    assert.match(name, /^__Host-vestibule_/);
    assert.deepEqual({ sameSite, secure, httpOnly }, { sameSite: 'None', secure: true, httpOnly: true }, name);
    assert.equal(partitionKey?.topLevelSite, 'http://localhost', name);
  }

  // A page of another site sends a form into the frame, with the cookies of the frame.
  const posted = page.waitForResponse((response) => response.request().method() === 'POST');
  await page.evaluate((action) => {
    const form = Object.assign(document.createElement('form'), { method: 'post', action, target: 'application' });
    document.body.append(form);
    form.submit();
  }, `${edge.url}/comments`);
  assert.equal((await posted).status(), 403);
  await frame.getByRole('heading', { name: 'This does not work here' }).waitFor();
  assert.ok(edge.log.some(({ code }) => code === 'request.foreign_origin'), 'it came with the session');
  assert.deepEqual(site.requests.filter(({ method }) => method === 'POST'), []);

  // The application's own page may.
  const [, inner] = page.frames();
  await inner.goto(`${edge.url}/`);
  await frame.getByText('Sam Example', { exact: true }).waitFor();
  const status = await inner.evaluate(async () => (await fetch('/comments', { method: 'POST', body: 'hello' })).status);
  assert.equal(status, 200);
  assert.deepEqual(site.requests.filter(({ method }) => method === 'POST'), [{ method: 'POST', url: '/comments', user: 'sam' }]);
  assert.equal(provider.authorizations, 1, 'it is still the login of the beginning');

  // The same browser, in a tab: the login of the frame does not count here.
  const tab = await context.newPage();
  await tab.goto(`${edge.url}/`);
  await showsUser(tab, 'Sam Example');
  assert.equal(provider.authorizations, 2);
  const sites = (await cookiesOf(page)).filter(isSession).map(({ partitionKey }) => partitionKey?.topLevelSite);
  assert.deepEqual(new Set(sites), new Set(['http://localhost', 'https://127.0.0.1']));
});

test("Vestibule's own pages are in frames of named sites, and of no other", async (t) => {
  const { edge, portal } = await startEmbedded(t);
  const failed = `${edge.url}/.vestibule/login?provider=nobody`;
  const { page } = await openPage(t, { ignoreHTTPSErrors: true });
  await page.goto(portal.url);
  await page.frameLocator('iframe').getByText('Sam Example', { exact: true }).waitFor();
  await page.frames()[1].goto(failed);
  await page.frameLocator('iframe').getByRole('heading', { name: 'There is no such login' }).waitFor();

  // Another origin of the same site is not named.
  const stranger = await startPortal(t, () => failed);
  const other = await openPage(t, { ignoreHTTPSErrors: true });
  await isRefused(other.page, stranger.url);
});

test('a site that is not named shows nothing and changes nothing, although its frame logs the user in', async (t) => {
  const { edge, site } = await startEmbedded(t);
  const stranger = await startPortal(t, () => `${edge.url}/`, '127.0.0.1');
  const { page } = await openPage(t, { ignoreHTTPSErrors: true });
  await isRefused(page, stranger.url);
  const session = (await cookiesOf(page)).find(isSession);
  assert.equal(session?.partitionKey?.topLevelSite, 'http://127.0.0.1');

  await page.evaluate((url) => fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body: 'x' }), `${edge.url}/comments`);
  assert.ok(edge.log.some(({ code }) => code === 'request.foreign_origin'), 'it came with the session');
  assert.deepEqual(site.requests.filter(({ method }) => method === 'POST'), []);
});

test('without the setting there is no login in a frame of another site', async (t) => {
  const { edge, provider, portal } = await startEmbedded(t, '');
  const { page } = await openPage(t, { ignoreHTTPSErrors: true });
  await isRefused(page, portal.url);
  assert.equal(provider.authorizations, 0, 'a login in the frame would come back without its cookie');
  const tab = await page.context().newPage();
  await tab.goto(`${edge.url}/`);
  await showsUser(tab, 'Sam Example');
  for (const { name, partitionKey, sameSite } of await cookiesOf(tab)) {
    assert.deepEqual({ sameSite, partitionKey }, { sameSite: 'Lax', partitionKey: undefined }, name);
  }
});

// The example behind the edge, with a provider that asks for credentials. `vestibule` are lines after [auth].
async function startLogin(t, vestibule = '') {
  const site = await startSite(t);
  const provider = await startProvider(t, { name: 'stock' });
  const edge = await start(t, { site, toml: `${provider.toml}\n${vestibule}` });
  provider.serve(`${edge.url}/oauth2callback`);
  return { site, provider, edge };
}

// The example with https, in a frame of portal.html; the two are of different sites.
async function startEmbedded(t, setting = block('[vestibule.embedding]')) {
  const address = {};
  const portal = await startPortal(t, () => address.edge);
  const site = await startSite(t, { frameAncestors: portal.url });
  const provider = await startSsoProvider(t, { sub: 'sam', name: 'Sam Example' });
  const edge = await start(t, {
    site,
    https: true,
    toml: `${provider.toml}\n${replaced(setting, 'https://portal.example.com', portal.url, { optional: setting === '' })}`,
  });
  provider.serve(`${edge.url}/oauth2callback`);
  address.edge = `${edge.url}/`;
  return { edge, provider, site, portal };
}

async function start(t, { site, toml, https = false }) {
  const tls = https ? await certificate(t) : undefined;
  const origin = `${https ? 'https' : 'http'}://127.0.0.1:{port}`;
  const edge = await startEdge({
    upstream: site.url,
    toml: `[auth]\nredirect_uri = "${origin}/oauth2callback"\ncookie_secret = "${COOKIE_SECRET}"\n${toml}`,
    args: tls ? ['--tls-cert', tls.certificate, '--tls-key', tls.key] : [],
  });
  t.after(edge.stop);
  return { ...edge, url: origin.replace('{port}', new URL(edge.url).port) };
}

// The application: the files of the example, and what they ask for. `requests` are those that reached it.
async function startSite(t, { frameAncestors = "'none'" } = {}) {
  const files = new Map(await Promise.all(FILES.map(async (path) => [path, await readFile(join(EXAMPLE, path))])));
  const page = files.get('/index.html').toString();
  files.set('/plain.html', replaced(page, WITH_CREDENTIALS, ''));
  const requests = [];
  const site = await listen(t, (request, response) => {
    const { method, url } = request;
    const user = request.headers['x-forwarded-user'];
    requests.push({ method, url, user });
    const { pathname } = new URL(url, 'http://application');
    const path = pathname === '/' ? '/index.html' : pathname;
    if (path === '/moved') return response.writeHead(302, { location: '/?moved' }).end();
    if (path === '/data') return response.setHeader('content-type', 'application/json').end(JSON.stringify({ text: `Data for ${user}` }));
    if (path === '/comments' && method === 'POST') return response.end();
    if (!files.has(path)) return response.writeHead(404, { 'content-type': TYPES['.html'] }).end('<h1>Not here</h1>');
    response.setHeader('content-type', TYPES[extname(path)]);
    if (path.endsWith('.html')) response.setHeader('content-security-policy', `frame-ancestors ${frameAncestors}`);
    return response.end(files.get(path));
  });
  return { ...site, requests };
}

// A site that has an address in a frame: `http://localhost` and `http://127.0.0.1` are other sites than https://127.0.0.1.
async function startPortal(t, embedded, host = 'localhost') {
  const page = await readFile(join(EXAMPLE, 'portal.html'), 'utf8');
  const { url } = await listen(t, (request, response) => {
    const isPage = request.url === '/';
    response.writeHead(isPage ? 200 : 404, { 'content-type': TYPES['.html'] });
    response.end(isPage ? replaced(page, 'https://app.example.com/', embedded()) : '');
  });
  return { url: url.replace('127.0.0.1', host) };
}

async function listen(t, answer) {
  const server = createServer((request, response) => request.resume().on('end', () => answer(request, response)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${server.address().port}` };
}

// For 127.0.0.1, signed by nobody but itself.
async function certificate(t) {
  const folder = await mkdtemp(join(tmpdir(), 'vestibule-e2e-tls-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const files = { certificate: join(folder, 'certificate.pem'), key: join(folder, 'key.pem') };
  await promisify(execFile)('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-out', files.certificate, '-keyout', files.key,
  ]);
  return files;
}

// A configuration of the document: the block of code that begins with this line.
function block(firstLine) {
  const paragraphs = DOCUMENT.split(/\n(?! *$)(?! {4})/m);
  const blocks = paragraphs.map((text) => text.split('\n').slice(1).map((line) => line.trimStart()).join('\n').trim());
  const found = blocks.filter((text) => text.startsWith(firstLine));
  assert.equal(found.length, 1, `${firstLine} begins one block of the guides`);
  return `${found[0]}\n`;
}

function replaced(text, what, by, { optional = false } = {}) {
  assert.ok(optional || text.split(what).length === 2, `${what} is there once`);
  return text.replace(what, () => by);
}

async function openPage(t, options) {
  const opened = await openWindow(browser, options);
  t.after(() => opened.context.close());
  return opened;
}

// Waits for the worker, and gives a function that tells what it has answered since it was last asked. Not what DevTools say:
// where a redirect leads to a page that the worker answers, they name the redirect.
async function watchWorker(context, page) {
  await page.waitForFunction(() => navigator.serviceWorker.controller?.state === 'activated');
  const [worker] = context.serviceWorkers();
  await worker.evaluate(() => {
    const { respondWith } = FetchEvent.prototype;
    self.answered = [];
    FetchEvent.prototype.respondWith = function answer(response) {
      self.answered.push(this.request.url.slice(self.location.origin.length));
      return respondWith.call(this, response);
    };
  });
  // The browser asks for an icon when it likes.
  return async () => (await worker.evaluate(() => self.answered.splice(0))).filter((url) => url !== '/favicon.ico');
}

// The paths of the edge that a page visits from now on.
function visitsOf(page, edge) {
  const visits = [];
  page.on('request', (request) => {
    const { origin, pathname } = new URL(request.url());
    if (origin === edge.url && request.isNavigationRequest()) visits.push(pathname);
  });
  return visits;
}

async function showsUser(page, name) {
  await page.locator('#user').getByText(name, { exact: true }).waitFor();
}

async function showsLogin(page, provider) {
  await page.waitForURL((url) => url.origin === provider.issuer);
  await page.locator('input[name=login]').waitFor();
}

// Whether the browser can look for a newer worker, and what the installed one does.
function updatesWorker(page) {
  return page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready;
    const outcome = await registration.update().then(() => 'updated', () => 'not updated');
    return `${outcome}, ${registration.active.state}`;
  });
}

// What the worker has in the end, and no more.
async function keeps(page, expected) {
  const kept = () => page.evaluate(async () => {
    const opened = await Promise.all((await caches.keys()).map((name) => caches.open(name)));
    const requests = (await Promise.all(opened.map((cache) => cache.keys()))).flat();
    return requests.map(({ url }) => url.slice(location.origin.length)).sort();
  });
  const deadline = Date.now() + 10_000;
  while (Date.now() < deadline && JSON.stringify(await kept()) !== JSON.stringify(expected)) await page.waitForTimeout(50);
  assert.deepEqual(await kept(), expected);
}

// Our cookies as Chromium has them, with the site that each belongs to.
async function cookiesOf(page) {
  const { cookies } = await asksBrowser(page, 'Network.getAllCookies');
  const ours = cookies.filter(isOurs);
  assert.notEqual(ours.length, 0);
  return ours;
}

// By the protocol of Chromium's developer tools.
async function asksBrowser(page, method) {
  const session = await page.context().newCDPSession(page);
  const answer = await session.send(method);
  await session.detach();
  return answer;
}

// The frame of the portal's page stays empty, and Chromium says why.
async function isRefused(page, url) {
  const said = [];
  page.on('console', (message) => said.push(message.text()));
  await page.goto(url);
  const isEmpty = () => page.frames()[1]?.url().startsWith('chrome-error:') && said.some((text) => text.includes('frame-ancestors'));
  const deadline = Date.now() + 10_000;
  while (Date.now() < deadline && !isEmpty()) await page.waitForTimeout(50);
  assert.ok(isEmpty(), `${page.frames()[1]?.url()}: ${said.join('; ')}`);
}
