// What a person sees: `vestibule-demo` from login to logout in Chromium, then every page that is ours, one by one.
// Each page is also drawn to screenshots/, narrow and wide, light and dark, for people to look at. KEEP=1 renews the pictures that
// README shows.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { startApplication } from './application.mjs';
import { DESKTOP, launchBrowser, logsIn, openWindow, PHONE } from './browser.mjs';
import { assertSealed, isOurs } from './cookies.mjs';
import { Provider } from './provider.mjs';
import { COOKIE_SECRET, startDemo, startEdge } from './vestibule.mjs';

const SCREENSHOTS = fileURLToPath(new URL('screenshots/', import.meta.url));
// Those that README shows, by the name of their page.
const PICTURES = fileURLToPath(new URL('../docs/pictures/', import.meta.url));
const SHOWN = { 'sample-app': 'demo', chooser: 'chooser', 'demo-refusal': 'refusal' };
// Larger than what the edge reads of a form that a provider posts.
const TOO_LONG = 40 * 1024;

const AUTH = `[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "${COOKIE_SECRET}"
`;

let browser;
// The hosts under test, each started once: pages do not change what they do.
let demo;
let cut;
let slow;
let crowded;
let ruled;
// What to end after it all, in this order.
const running = [];

before(async () => {
  await rm(SCREENSHOTS, { recursive: true, force: true });
  await mkdir(SCREENSHOTS);
  browser = await launchBrowser();
  running.push(() => browser.close());
  demo = await startDemo();
  running.push(demo.stop);
  cut = await startCut();
  slow = await startSlow();
  crowded = await startCrowded();
  ruled = await startRuled();
});

after(async () => {
  for (const stop of running) await stop();
  if (!process.env.KEEP) return;
  for (const [name, picture] of Object.entries(SHOWN)) {
    await copyFile(`${SCREENSHOTS}${name}-${DESKTOP.name}-light.png`, `${PICTURES}${picture}.png`);
  }
});

test('demo: log in, be known, log out', async () => {
  const { context, page, seen } = await openBrowser();
  await page.goto(`${demo.url}/reports?year=2026`);
  await chooses(page, 'Alice Example');

  assert.equal(page.url(), `${demo.url}/reports?year=2026`);
  assert.match(await page.innerText('body'), /It was asked for \/reports\?year=2026\./);
  assert.deepEqual(await whoYouAre(page), {
    'x-forwarded-user': 'alice',
    'x-forwarded-provider': 'default',
    'x-forwarded-email': 'alice@example.com',
    'x-forwarded-preferred-username': 'alice',
    'x-forwarded-groups': 'staff,admins',
  });
  await page.getByText('connected', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Send' }).click();
  await page.getByText('echo: hello', { exact: true }).waitFor();
  assert.deepEqual(seen.errors, []);
  await assertSealed(context, page, demo.url, ['alice', 'Alice Example', 'example.com', 'staff', 'admins', 'groups', 'preferred_username']);

  await page.getByRole('link', { name: 'Log out' }).click();
  await page.getByRole('heading', { name: 'You are logged out' }).waitFor();
  assert.equal(new URL(page.url()).origin, demo.url);
  assert.deepEqual((await context.cookies(demo.url)).filter(isOurs), []);
  assert.deepEqual(seen.errors, []);

  await page.getByRole('link', { name: 'Log in' }).click();
  await page.getByRole('heading', { name: 'Who do you want to be?' }).waitFor();
  assert.deepEqual(seen.hosts, new Set(['127.0.0.1']), 'nothing else is asked for anything');
  await context.close();
});

test('demo: a script in the page learns who it is, and no token', async () => {
  const { context, page, seen } = await openBrowser();
  const user = () => page.evaluate(async () => (await fetch('/.vestibule/user')).json());
  await page.goto(demo.url);
  await chooses(page, 'Chloë Ørsted');

  const { is_logged_in: isLoggedIn, provider, sub, name, email, groups, ...others } = await user();
  assert.deepEqual({ isLoggedIn, provider, sub, name, email, groups }, {
    isLoggedIn: true,
    provider: 'default',
    sub: 'chloe',
    name: 'Chloë Ørsted',
    email: 'chloe@example.com',
    groups: ['staff', 'Forschung & Entwicklung'],
  });
  // The rest of the ID token's claims, and nothing else.
  assert.deepEqual(Object.keys(others).sort(), [
    'at_hash', 'aud', 'auth_time', 'email_verified', 'exp', 'family_name', 'given_name', 'iat', 'iss', 'nonce', 'preferred_username',
  ]);

  await context.clearCookies({ name: /^vestibule_session_/ });
  assert.deepEqual(await user(), { is_logged_in: false });
  assert.deepEqual(seen.errors, []);
  await context.close();
});

test('demo: what its page offers to try', async () => {
  const { context, page } = await openBrowser();
  await page.goto(demo.url);
  await chooses(page, 'Alice Example');

  const said = page.locator('#script');
  await page.getByRole('button', { name: 'With the session' }).click();
  await said.getByText('200 application/json').waitFor();
  assert.match(await said.innerText(), /"user":"alice"/);
  await page.getByRole('button', { name: 'Without it' }).click();
  await said.getByText('401 application/problem+json').waitFor();
  assert.match(await said.innerText(), /request\.login_required/);

  const [tab] = await Promise.all([context.waitForEvent('page'), page.getByRole('link', { name: 'A second tab' }).click()]);
  await tab.getByRole('heading', { name: 'Report', exact: true }).waitFor();
  await tab.close();
  await page.getByRole('link', { name: 'A page for admins only' }).click();
  await page.getByRole('heading', { name: 'Administration', exact: true }).waitFor();
  await context.close();
});

test('demo: administration is for admins', async () => {
  const { context, page, seen } = await openBrowser();
  await page.goto(demo.url);
  await chooses(page, 'Bob Example');
  await page.getByRole('link', { name: 'A page for admins only' }).click();
  await assertGood(page, seen, { name: 'demo-refusal', status: 403, heading: 'This account has no access' });
  await context.close();
});

// Pages of the login itself: name, status, heading, and what leads there.
const LOGIN_PAGES = [
  ['chooser', 200, 'Log in', (page) => page.goto(`${cut.url}/.vestibule/login`)],
  ['logged-out', 200, 'You are logged out', (page) => page.goto(`${demo.url}/.vestibule/logout`)],
  ['400-wrong-state', 400, 'This login cannot be finished', (page) => page.goto(`${demo.url}/oauth2callback?code=c&state=s`)],
  ['400-malformed', 400, 'This request cannot be understood', (page) => page.goto(`${demo.url}/a%00`)],
  ['401-form-without-session', 401, 'Please log in', (page) => posts(page, `${demo.url}/comments`, 'hello')],
  ['403-access-denied', 403, 'You were not logged in', denies],
  ['403-account-without-right', 403, 'This account has no access', logsInWithoutRight],
  ['404-unknown-provider', 404, 'There is no such login', (page) => page.goto(`${demo.url}/.vestibule/login?provider=nobody`)],
  ['405-method', 405, 'This does not work here', (page) => posts(page, `${demo.url}/.vestibule/logout`, 'hello')],
  ['413-too-long', 413, 'Too much was sent', (page) => posts(page, `${demo.url}/oauth2callback`, 'x'.repeat(TOO_LONG))],
  ['500-session-too-large', 500, 'The login does not fit', logsInCrowded],
  ['502-provider-error', 502, 'The login failed', providerFails],
  ['502-application-down', 502, 'The application is not available', (page) => page.goto(`${cut.url}/`)],
  ['503-provider-down', 503, 'The login is not available now', (page) => page.goto(`${cut.url}/.vestibule/login?provider=google`)],
  ['504-application-silent', 504, 'The application does not answer', (page) => page.goto(`${slow.url}/`)],
];

for (const [name, status, heading, open] of LOGIN_PAGES) {
  test(`page of the login: ${name}`, async () => {
    const { context, page, seen } = await openBrowser();
    await open(page);
    await assertGood(page, seen, { name, status, heading });

    const headers = await seen.document.allHeaders();
    const policy = headers['content-security-policy'].replaceAll(/'nonce-[\w-]{22}'/g, "'nonce'");
    const scripts = await page.locator('script').count() ? "script-src 'nonce'; " : '';
    assert.equal(policy, `default-src 'none'; ${scripts}style-src 'nonce'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`);
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['x-frame-options'], 'DENY');
    assert.deepEqual(seen.requests, [page.url()], 'the page is all there is to load');
    assert.equal(await page.locator('code').count(), status === 200 ? 0 : 2, 'an error has a reference number, and the name of its request');
    await context.close();
  });
}

const PROVIDER_PAGES = [
  ['provider-consent', 200, 'Who do you want to be?', (page) => page.goto(demo.url)],
  ['provider-about', 200, 'Development provider', async (page) => page.goto(await providerOfDemo(page))],
  ['provider-sign-out', 200, 'Sign out here?', async (page) => page.goto(`${await providerOfDemo(page)}/end_session`)],
  ['provider-refused', 400, 'This request cannot be answered',
    async (page) => page.goto(`${await providerOfDemo(page)}/authorize?client_id=x`)],
];

for (const [name, status, heading, open] of PROVIDER_PAGES) {
  test(`page of the development provider: ${name}`, async () => {
    const { context, page, seen } = await openBrowser();
    await open(page);
    await assertGood(page, seen, { name, status, heading });

    const headers = await seen.document.allHeaders();
    assert.equal(
      headers['content-security-policy'],
      "default-src 'none'; style-src 'self'; form-action http: https:; base-uri 'none'; frame-ancestors 'none'",
    );
    assert.deepEqual(seen.requests, [page.url(), `${new URL(page.url()).origin}/style.css`]);
    await context.close();
  });
}

for (const [name, person] of [['sample-app', 'Alice Example'], ['sample-app-many-groups', 'Erin Manygroups']]) {
  test(`page of the sample application: ${name}`, async () => {
    const { context, page, seen } = await openBrowser();
    await page.goto(demo.url);
    await chooses(page, person);
    await page.getByText('connected', { exact: true }).waitFor();
    await assertGood(page, seen, { name, status: 200, heading: 'Overview' });
    assert.deepEqual(seen.requests, [page.url()]);
    await context.close();
  });
}

// Two providers and an application, none of which answers.
async function startCut() {
  const [google, microsoft] = [await Provider.listen({ name: 'google' }), await Provider.listen({ name: 'microsoft' })];
  const application = await startApplication();
  await Promise.all([google.stop(), microsoft.stop(), application.stop()]);
  const edge = await startEdge({
    upstream: application.url,
    toml: `${AUTH}
[auth.google]
${google.toml}
[auth.microsoft]
${microsoft.toml}
[vestibule]
login = "optional"
`,
  });
  running.push(edge.stop);
  return edge;
}

// An application that takes every connection and says nothing.
async function startSlow() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets = new Set();
  server.on('connection', (socket) => sockets.add(socket.on('error', () => {})));
  const provider = await Provider.listen({ name: 'unasked' });
  await provider.stop();
  const edge = await startEdge({
    upstream: `http://127.0.0.1:${server.address().port}`,
    toml: `${AUTH}${provider.toml}\n[vestibule]\nlogin = "optional"\n`,
    args: ['--upstream-timeout', '0.2'],
  });
  running.push(edge.stop, () => {
    sockets.forEach((socket) => socket.destroy());
    server.close();
  });
  return edge;
}

// An application of which nobody here may see everything.
async function startRuled() {
  const provider = await Provider.listen({ name: 'ruled' });
  const application = await startApplication();
  const rule = '[[vestibule.rule]]\npath = "/**"\nrequire = { groups = "admins" }\n';
  const edge = await startEdge({ upstream: application.url, toml: AUTH + provider.toml + rule });
  provider.serve(`${edge.url}/oauth2callback`);
  running.push(edge.stop, () => provider.stop(), application.stop);
  return edge;
}

// A provider where everybody is in more groups than a browser can keep.
async function startCrowded() {
  const groups = Array.from({ length: 2000 }, (_, number) => `department-${number}`);
  const provider = await Provider.listen({ name: 'crowded', claims: { groups } });
  const application = await startApplication();
  const edge = await startEdge({ upstream: application.url, toml: AUTH + provider.toml });
  provider.serve(`${edge.url}/oauth2callback`);
  running.push(edge.stop, () => provider.stop(), application.stop);
  return edge;
}

function openBrowser() {
  return openWindow(browser);
}

// What holds for every page, whoever's it is; and its pictures.
async function assertGood(page, seen, { name, status, heading }) {
  assert.equal(seen.document.status(), status);
  assert.deepEqual(await page.locator('h1').allInnerTexts(), [heading]);
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');
  assert.notEqual(await page.title(), '');
  for (const { name: size, width, height } of [PHONE, DESKTOP]) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      const scrollWidth = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(scrollWidth <= width, `${scrollWidth} px of content in a window of ${width} px`);
      await page.screenshot({ path: `${SCREENSHOTS}${name}-${size}-${colorScheme}.png`, fullPage: true });
    }
  }
  assert.deepEqual(seen.errors, []);
}

// On the development provider's page.
async function chooses(page, person) {
  await page.getByRole('button', { name: person }).click();
  await page.getByText('Harbour Reports', { exact: true }).waitFor();
}

async function denies(page) {
  await page.goto(`${demo.url}/reports`);
  await page.getByRole('button', { name: 'Deny' }).click();
  await page.waitForURL(`${demo.url}/oauth2callback?*`);
}

async function providerOfDemo(page) {
  await page.goto(demo.url);
  return new URL(page.url()).origin;
}

// As a provider would that has trouble of its own.
async function providerFails(page) {
  await page.goto(demo.url);
  const consent = new URL(page.url());
  const answer = new URLSearchParams({ error: 'invalid_scope', state: consent.searchParams.get('state'), iss: consent.origin });
  await page.goto(`${demo.url}/oauth2callback?${answer}`);
}

async function logsInCrowded(page) {
  await page.goto(crowded.url);
  await logsIn(page, 'alice');
  await page.waitForURL(`${crowded.url}/**`);
}

async function logsInWithoutRight(page) {
  await page.goto(`${ruled.url}/admin`);
  await logsIn(page, 'alice');
  await page.waitForURL(`${ruled.url}/admin`);
  assert.match(await page.innerText('body'), /You are logged in as /);
}

// A form on somebody's page.
async function posts(page, url, text) {
  await page.setContent(`<form method="post" action="${url}"><textarea name="text"></textarea><button>Send</button></form>`);
  await page.locator('textarea').fill(text);
  await page.getByRole('button').click();
  await page.waitForURL(url);
}

// The first table of the sample application.
function whoYouAre(page) {
  return page.locator('table').first().evaluate((table) => {
    return Object.fromEntries([...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent)));
  });
}
