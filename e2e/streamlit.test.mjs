// The drop-in for Streamlit: unmodified apps, real Streamlit, real Chromium, `vestibule serve` in front with the same
// secrets.toml. Names of tests begin with the release of Streamlit, and the server where it has two.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { launchBrowser, logsIn, logsOutAtProvider, openWindow } from './browser.mjs';
import { assertSealed, isLast, isOurs, isSession } from './cookies.mjs';
import { claimsOf, startProvider } from './provider.mjs';
import { mishaps, startStage } from './stage.mjs';
import { FORMS, makeCookie, NEWEST } from './streamlit.mjs';
import { AppSocket } from './streamlit-socket.mjs';
import { Visitor } from './visitor.mjs';

const SCREENSHOTS = fileURLToPath(new URL('screenshots/', import.meta.url));
// As many as Entra puts into a token before it says that there are too many, and of the same length.
const GROUPS = Array.from({ length: 200 }, (_, number) => guid(number));
const THIRTY_DAYS = 30 * 24 * 60 * 60;
const STRANGER = 'Hello, whoever you are!';

let browser;

before(async () => {
  await mkdir(SCREENSHOTS, { recursive: true });
  browser = await launchBrowser();
});

after(() => browser.close());

for (const { release, cookies, options } of FORMS) {
  test(`${release} (${cookies})`, async (t) => {
    // Without a prompt the provider asks nobody whom it knows, which is what the logout shall end.
    const staff = await startProvider(t, { name: 'staff', settings: 'client_kwargs = { prompt = "" }' });
    const crowded = await startProvider(t, { name: 'crowded', claims: { groups: GROUPS } });
    const stage = await startStage(t, {
      release, options, providers: { default: crowded, staff }, auth: 'expose_tokens = ["id", "access"]',
    });
    await t.test('log in, be known in every tab, log out of everything', (t) => logInAndOut(t, stage, staff, `${release}-${cookies}`));
    await t.test('200 group ids in the token, and both tokens for the app', (t) => logInWithGroups(t, stage, crowded, release));
    await t.test('a page that lost its connection goes on where it was', (t) => goOn(t, stage));
    await t.test("who knows a session of somebody else's does not get its user", () => resumeOthers(stage, release));
  });
}

async function logInAndOut(t, stage, provider, name) {
  const { context, page, seen } = await open(t);
  await page.goto(`${stage.url}/page?x=1&y=%26`);
  assert.deepEqual(await userOn(page, STRANGER), { is_logged_in: false });
  await page.getByRole('button', { name: 'Log in with staff' }).click();
  await logsIn(page, 'alice');
  const user = await userOn(page, 'Hello, alice Example!');
  assert.equal(page.url(), `${stage.url}/page?x=1&y=%26`, 'the page that asked for the login');
  assert.deepEqual(JSON.parse(await line(page, 'query')), { x: '1', y: '&' });
  assertClaims(user, provider, 'staff', claimsOf('alice'));

  const tab = await context.newPage();
  await tab.goto(`${stage.url}/`);
  assert.deepEqual(await userOn(tab, 'Hello, alice Example!'), user);
  await assertSealed(context, tab, stage.url, Object.values(claimsOf('alice')).flat());
  assert.deepEqual(mishaps(seen), []);
  await tab.screenshot({ path: `${SCREENSHOTS}streamlit-${name}.png` });

  await logsOut(stage, page, tab);
  assert.deepEqual((await context.cookies(stage.url)).filter((cookie) => isOurs(cookie) && !isLast(cookie)), []);
  await page.getByRole('button', { name: 'Log in with staff' }).click();
  await logsIn(page, 'bob');
  assert.equal((await userOn(page, 'Hello, bob Example!')).sub, 'bob');
}

async function logInWithGroups(t, stage, provider, release) {
  const { page } = await open(t);
  await page.goto(stage.url);
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
  await logsIn(page, 'alice');
  const user = await userOn(page, 'Hello, alice Example!');
  assertClaims(user, provider, 'default', { ...claimsOf('alice'), groups: GROUPS });
  // Streamlit knows of tokens since 1.53.
  assert.deepEqual(Object.keys(user.tokens ?? {}).sort(), release === '1.50.0' ? [] : ['access', 'id']);
  if (user.tokens) assert.equal(payload(user.tokens.id).sub, 'alice');
}

async function goOn(t, stage) {
  const { context, page } = await open(t);
  await context.addInitScript(() => {
    window.sockets = [];
    window.WebSocket = class extends WebSocket {
      constructor(...parameters) {
        super(...parameters);
        window.sockets.push(this);
      }
    };
  });
  await page.goto(stage.url);
  await page.getByRole('button', { name: 'Log in with staff' }).click();
  await logsIn(page, 'alice');
  for (const count of [1, 2]) {
    await page.getByRole('button', { name: 'Count' }).click();
    await page.getByText(`count=${count}`, { exact: true }).waitFor();
  }
  const connections = await page.evaluate(() => {
    window.sockets.forEach((socket) => socket.close());
    return window.sockets.length;
  });
  await page.waitForFunction((before) => window.sockets.length > before && window.sockets.at(-1).readyState === WebSocket.OPEN, connections);
  await page.getByRole('button', { name: 'Count' }).click();
  await page.getByText('count=3', { exact: true }).waitFor();
  assert.equal((await userOn(page, 'Hello, alice Example!')).sub, 'alice');
}

async function resumeOthers(stage, release) {
  const [alice, bob] = [await loggedIn(stage, 'alice', 'staff'), await loggedIn(stage, 'bob', 'staff')];
  const { session } = await visit(alice, stage.url);
  const again = await visit(alice, stage.url, { session });
  assert.equal(again.user.sub, 'alice');
  assert.equal(again.session, session, 'who opened it has it again');
  const anonymous = new Visitor();
  const open = await visit(anonymous, stage.url);
  assert.equal((await visit(anonymous, stage.url, { session: open.session })).session, open.session, 'also without a login');
  assert.notEqual((await visit(new Visitor(), stage.url, { session: open.session })).session, open.session);
  assert.notEqual((await visit(alice, stage.url, { session: open.session })).session, open.session);

  const asBob = await visit(bob, stage.url, { session });
  assert.equal(asBob.user.sub, 'bob');
  assert.notEqual(asBob.session, session);
  const asNobody = await visit(new Visitor(), stage.url, { session });
  assert.deepEqual(asNobody.user, { is_logged_in: false });
  assert.notEqual(asNobody.session, session);

  // That these are right is Vestibule's doing, where Streamlit itself does not look who it is.
  const past = await visit(new Visitor(), stage.streamlit.url, { session });
  assert.equal(past.user.is_logged_in, release !== NEWEST, 'without Vestibule');
}

test(`${NEWEST}: two tabs that log in at the same time are both logged in`, async (t) => {
  const stage = await startStage(t, { providers: { default: await startProvider(t, { name: 'main' }) } });
  const { context, page } = await open(t);
  const tab = await context.newPage();
  await page.goto(`${stage.url}/page?x=1`);
  await tab.goto(`${stage.url}/page?x=2`);
  for (const each of [page, tab]) {
    await each.getByRole('button', { name: 'Log in', exact: true }).click();
    await each.locator('input[name=login]').waitFor();
  }
  // The tab that began last comes back first.
  for (const each of [tab, page]) {
    await logsIn(each, 'alice');
    const { tokens } = await userOn(each, 'Hello, alice Example!');
    assert.deepEqual(tokens, {}, 'nothing is exposed unless configured');
  }
  assert.equal(page.url(), `${stage.url}/page?x=1`);
  assert.equal(tab.url(), `${stage.url}/page?x=2`);
});

test(`${NEWEST}: a tampered cookie is nobody's, and the page is clean`, async (t) => {
  const stage = await startStage(t, { providers: { default: await startProvider(t, { name: 'main' }) } });
  const { context, page, seen } = await open(t);
  await page.goto(stage.url);
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
  await logsIn(page, 'alice');
  await userOn(page, 'Hello, alice Example!');

  const session = (await context.cookies(stage.url)).filter((cookie) => cookie.name.startsWith('vestibule_session'));
  assert.notEqual(session.length, 0);
  await context.addCookies(session.map((cookie) => ({ ...cookie, value: tampered(cookie.value) })));
  await page.reload();
  assert.deepEqual(await userOn(page, STRANGER), { is_logged_in: false });
  assert.equal(seen.document.status(), 200);
  assert.deepEqual(mishaps(seen), []);
});

test(`${NEWEST}: a session lives for 30 days unless configured, and takes the WebSocket with it`, async (t) => {
  const provider = await startProvider(t, { name: 'main' });
  const long = await startStage(t, { providers: { default: provider } });
  const alice = await loggedIn(long, 'alice');
  assertExpiry(await sessionCookies(alice, long.url), THIRTY_DAYS);

  const seconds = 5;
  const short = await startStage(t, { providers: { default: provider }, vestibule: `[vestibule.session]\nmax_age = "${seconds}s"` });
  const bob = await loggedIn(short, 'bob');
  assertExpiry(await sessionCookies(bob, short.url), seconds);
  const socket = await AppSocket.open(bob, short.url);
  assert.equal((await socket.run()).user.sub, 'bob');
  await socket.closed;
  assert.deepEqual((await visit(bob, short.url)).user, { is_logged_in: false });
});

// With the form of the cookies as a setting, not found out.
for (const { release, cookies, options } of [FORMS[0], FORMS[3]]) {
  test(`${release} (${cookies}): under server.baseUrlPath`, async (t) => {
    const provider = await startProvider(t, { name: 'main' });
    const stage = await startStage(t, {
      release, options, basePath: '/tools/app', providers: { default: provider }, vestibule: `[vestibule.streamlit]\ncookies = "${cookies}"`,
    });
    const { context, page } = await open(t);
    await page.goto(`${stage.url}/page?x=1`);
    assert.deepEqual(await userOn(page, STRANGER), { is_logged_in: false });
    await page.getByRole('button', { name: 'Log in', exact: true }).click();
    await logsIn(page, 'alice');
    await userOn(page, 'Hello, alice Example!');
    assert.equal(page.url(), `${stage.url}/page?x=1`);

    const tab = await context.newPage();
    await tab.goto(`${stage.url}/`);
    await userOn(tab, 'Hello, alice Example!');
    await logsOut(stage, page, tab);
  });
}

test(`${NEWEST}: Streamlit's own cookies, and links to its login, are worth nothing from a browser`, async (t) => {
  const stage = await startStage(t, { providers: { default: await startProvider(t, { name: 'main' }) } });
  // Signed as Streamlit signs: it would believe it.
  const forge = async (url) => {
    const mallory = new Visitor();
    const user = { sub: 'alice', name: 'alice Example', origin: url, is_logged_in: true, provider: 'default' };
    const cookie = await makeCookie(NEWEST, 'itsdangerous', { name: '_streamlit_user', value: JSON.stringify(user) });
    await mallory.jar.setCookie(`_streamlit_user=${cookie}`, url);
    return mallory;
  };
  assert.equal((await visit(await forge(stage.streamlit.url), stage.streamlit.url)).user.sub, 'alice', 'without Vestibule');
  const mallory = await forge(stage.url);
  assert.deepEqual((await visit(mallory, stage.url)).user, { is_logged_in: false });

  const page = await mallory.send(`${stage.url}/auth/login?provider=${unsignedJwt({ provider: 'default' })}`);
  assert.equal(page.next?.href, `${stage.url}/`);
});

async function open(t) {
  const opened = await openWindow(browser);
  t.after(() => opened.context.close());
  return opened;
}

// Logs out on `page`, and finds `tab` logged out too.
async function logsOut(stage, page, tab) {
  // Streamlit opens another WebSocket by itself when its own is closed.
  const connected = tab.waitForEvent('websocket');
  await page.getByRole('button', { name: 'Log out' }).click();
  await logsOutAtProvider(page);
  assert.deepEqual(await userOn(page, STRANGER), { is_logged_in: false });
  assert.equal(page.url(), `${stage.url}/`);
  await connected;
  // It draws what it has until somebody touches it.
  await tab.getByRole('button', { name: 'Count' }).click();
  assert.deepEqual(await userOn(tab, STRANGER), { is_logged_in: false });
}

// Who the app says it is, once it greets so and has run to its end.
async function userOn(page, greeting) {
  await page.getByText(greeting, { exact: true }).waitFor();
  await page.locator('[data-test-script-state=notRunning]').waitFor();
  return JSON.parse(await line(page, 'user'));
}

// What e2e/streamlit/app.py writes behind this name.
async function line(page, name) {
  const text = await page.getByTestId('stText').filter({ hasText: `${name}=` }).innerText();
  return text.slice(`${name}=`.length);
}

// A person who has logged in by a link to the login; no page of the app was opened.
async function loggedIn(stage, login, provider = 'default') {
  const visitor = new Visitor();
  const page = await visitor.logIn(await visitor.open(`${stage.url}/auth/login?provider=${provider}`), login);
  assert.equal(page.url.href, `${stage.url}/`);
  return visitor;
}

// Opens the app, looks, and leaves.
async function visit(visitor, url, options) {
  const socket = await AppSocket.open(visitor, url, options);
  const shown = await socket.run();
  await socket.close();
  return shown;
}

// All claims of the ID token are there, and what Streamlit adds; of its tokens say other tests.
function assertClaims(user, provider, name, claims) {
  const { aud, exp, iat, iss, nonce, tokens, ...others } = user;
  assert.deepEqual({ aud, iss }, { aud: provider.clientId, iss: provider.issuer });
  for (const number of [exp, iat]) assert.ok(Number.isInteger(number));
  assert.equal(typeof nonce, 'string');
  assert.deepEqual(others, { ...claims, is_logged_in: true, provider: name });
}

async function sessionCookies(visitor, url) {
  return (await visitor.jar.getCookies(url)).filter((cookie) => isSession({ name: cookie.key }));
}

function assertExpiry(cookies, seconds) {
  assert.notEqual(cookies.length, 0);
  for (const cookie of cookies) assert.equal(cookie.maxAge, seconds);
}

function tampered(value) {
  const middle = Math.floor(value.length / 2);
  return value.slice(0, middle) + (value[middle] === 'A' ? 'B' : 'A') + value.slice(middle + 1);
}

function unsignedJwt(claims) {
  const encoded = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');
  return `${encoded({ alg: 'none', typ: 'JWT' })}.${encoded({ ...claims, exp: Math.floor(Date.now() / 1000) + 60 })}.`;
}

function payload(jwt) {
  return JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url').toString());
}

function guid(number) {
  const hex = createHash('sha256').update(String(number)).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}
