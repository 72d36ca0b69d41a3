// Logins from end to end: the edge as an operator starts it, oidc-provider over real HTTP, and people who click through.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { startApplication } from './application.mjs';
import { claimsOf, Provider } from './provider.mjs';
import { COOKIE_SECRET, startEdge } from './vestibule.mjs';
import { NAVIGATION, Visitor } from './visitor.mjs';

// What a script in the page sends.
const FETCH = { accept: 'application/json', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty', 'sec-fetch-site': 'same-origin' };

const AUTH = `[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "${COOKIE_SECRET}"
`;

test('login: the application learns who it is, from nobody but the edge', async (t) => {
  const provider = await startProvider(t);
  const edge = await start(t, { providers: [provider], toml: provider.toml });
  const alice = new Visitor();
  await alice.jar.setCookie('theme=dark', edge.url);

  const form = await alice.open(`${edge.url}/`);
  assert.equal(form.url.origin, provider.issuer);
  const page = await logIn(alice, form, 'alice');

  assert.equal(page.url.href, `${edge.url}/`);
  assert.equal(page.status, 200);
  assert.deepEqual(identity(page), identityOf('alice'));

  const spoofed = await alice.send(`${edge.url}/again`, {
    headers: {
      ...NAVIGATION,
      'X-Forwarded-User': 'mallory',
      X_Forwarded_User: 'mallory',
      'x-forwarded_email': 'mallory@example.com',
      'X.Forwarded.Groups': 'admins',
      'X-Forwarded-Preferred-Username': 'mallory',
      'X-Forwarded-Access-Token': 'stolen',
    },
  });
  assert.deepEqual(identity(spoofed), identityOf('alice'));
  assert.doesNotMatch(spoofed.body, /mallory|admins|stolen/);

  const sent = Object.keys(await alice.cookies(edge.url));
  assert.equal(sent.filter(isOurs).length, 2, `a session and its tokens: ${sent}`);
  const received = page.json.headers.cookie.split('; ').map((cookie) => cookie.split('=')[0]);
  assert.deepEqual(received.sort(), sent.filter((name) => !isOurs(name)).sort());
  assert.ok(received.includes('theme'));
});

test('deep link: path and query are those that were asked for', async (t) => {
  const provider = await startProvider(t);
  const edge = await start(t, { providers: [provider], toml: provider.toml });
  const path = '/reports/2026%20Q1/caf%C3%A9?b=2&a=1+1&a=%26%3D%2F&empty=&flag';

  const alice = new Visitor();
  const page = await logIn(alice, await alice.open(edge.url + path), 'alice');

  assert.equal(page.json.url, path);
  assert.equal(page.json.method, 'GET');
  assert.deepEqual(identity(page), identityOf('alice'));
});

test('two tabs that log in at the same time are both logged in', async (t) => {
  const provider = await startProvider(t);
  const edge = await start(t, { providers: [provider], toml: provider.toml });
  const alice = new Visitor();
  const until = isCallback(edge);

  const [oneForm, otherForm] = [await alice.open(`${edge.url}/one`), await alice.open(`${edge.url}/other?tab=2`)];
  assert.equal(Object.keys(await alice.cookies(edge.url)).filter(isOurs).length, 2, 'a login on its way for each tab');
  const oneCallback = await logIn(alice, oneForm, 'alice', { until });
  const otherCallback = await logIn(alice, otherForm, 'alice', { until });
  // The tab that began last comes back first.
  const other = await alice.open(otherCallback.next);
  const one = await alice.open(oneCallback.next);

  assert.equal(one.json.url, '/one');
  assert.deepEqual(identity(one), identityOf('alice'));
  assert.equal(other.json.url, '/other?tab=2');
  assert.deepEqual(identity(other), identityOf('alice'));
  const left = Object.keys(await alice.cookies(edge.url)).filter((name) => name.startsWith('vestibule_login_'));
  assert.deepEqual(left, [], 'both logins are spent');
});

test('several providers: the chooser lists them, and each of them logs in', async (t) => {
  const google = await startProvider(t, { name: 'google', alg: 'ES256', claimsInUserinfo: true });
  const microsoft = await startProvider(t, { name: 'microsoft', alg: 'RS256' });
  const garden = await startProvider(t, { name: 'garden', alg: 'EdDSA' });
  const edge = await start(t, {
    providers: [google, microsoft, garden],
    toml: `
[auth.google]
${google.toml}
[auth.microsoft]
${microsoft.toml}
[auth.garden]
${garden.toml}
[vestibule.provider.google]
userinfo = true
[vestibule.provider.garden]
title = "House & <Garden>"
`,
  });

  const chooser = await new Visitor().open(`${edge.url}/reports?year=2026`);
  assert.equal(chooser.status, 200);
  assert.equal(chooser.url.href, `${edge.url}/reports?year=2026`);
  assert.equal(heading(chooser), 'Log in');
  const links = chooser.html.querySelectorAll('a');
  assert.deepEqual(links.map((link) => link.text), ['Log in with Google', 'Log in with Microsoft', 'Log in with House & <Garden>']);

  for (const [link, provider] of [google, microsoft, garden].entries()) {
    const visitor = new Visitor();
    const form = await visitor.open(new URL(links[link].getAttribute('href'), edge.url));
    assert.equal(form.url.origin, provider.issuer);
    const page = await logIn(visitor, form, `person-of-${provider.name}`);
    assert.equal(page.json.url, '/reports?year=2026');
    assert.deepEqual(identity(page), identityOf(`person-of-${provider.name}`, provider.name));
    const user = await visitor.send(`${edge.url}/.vestibule/user`, { headers: FETCH });
    assert.equal(user.json.provider, provider.name);
    assert.equal(user.json.is_logged_in, true);
  }
});

test("logout ends the provider's session too: the next login asks for credentials", async (t) => {
  const provider = await startProvider(t);
  // The provider asks nobody whom it knows, which is what shall have ended.
  const edge = await start(t, { providers: [provider], toml: provider.toml });
  const alice = new Visitor();
  await logIn(alice, await alice.open(`${edge.url}/`), 'alice');
  const again = await alice.open(`${edge.url}/.vestibule/login?return_to=/again`);
  assert.equal(again.json.url, '/again', 'single sign-on: no form was shown');

  const redirect = await alice.send(`${edge.url}/.vestibule/logout`);
  assert.equal(redirect.next.origin, provider.issuer);
  const parameters = Object.fromEntries(redirect.next.searchParams);
  assert.equal(parameters.client_id, provider.clientId);
  assert.equal(parameters.post_logout_redirect_uri, `${edge.url}/oauth2callback`);
  assert.equal(payload(parameters.id_token_hint).sub, 'alice');
  assert.deepEqual(Object.keys(await alice.cookies(edge.url)).filter(isOurs).filter((name) => !name.includes('_logout_')), []);

  const end = await alice.submit(await alice.open(redirect.next), { logout: 'yes' });
  assert.equal(end.url.origin, edge.url);
  assert.equal(end.status, 200);
  assert.equal(heading(end), 'You are logged out');
  await assertNotLoggedIn(alice, edge);

  const form = await alice.open(end.link('Log in'));
  assert.equal(form.url.origin, provider.issuer);
  assert.ok(form.html.querySelector('input[name=login]'), 'credentials are asked for');
  assert.deepEqual(identity(await logIn(alice, form, 'alice')), identityOf('alice'));
});

test('access denied: a page that says so, and nobody is logged in', async (t) => {
  const provider = await startProvider(t);
  const edge = await start(t, { providers: [provider], toml: provider.toml });
  const alice = new Visitor();

  const form = await alice.open(`${edge.url}/reports?year=2026`);
  const denied = await alice.open(form.link('[ Cancel ]'));

  assert.equal(denied.url.pathname, '/oauth2callback');
  assert.equal(denied.status, 403);
  assert.equal(heading(denied), 'You were not logged in');
  await assertLogged(edge, denied, 'callback.access_denied', 'INFO');
  assert.deepEqual(Object.keys(await alice.cookies(edge.url)).filter(isOurs), []);
  await assertNotLoggedIn(alice, edge);

  const page = await logIn(alice, await alice.open(denied.link('Log in')), 'alice');
  assert.equal(page.json.url, '/reports?year=2026', 'a second thought leads to where the first was going');
});

test('a wrong state is refused, and the right one still works', async (t) => {
  const provider = await startProvider(t);
  const edge = await start(t, { providers: [provider], toml: provider.toml });
  const alice = new Visitor();
  const { next: callback } = await logIn(alice, await alice.open(`${edge.url}/`), 'alice', { until: isCallback(edge) });

  const state = callback.searchParams.get('state');
  const [id, secret] = state.split('.');
  const wrong = [`${id}.${secret.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))}`, `AAAAAAAA.${secret}`, id, `${state}A`, 'x'];
  for (const value of wrong) {
    const forged = new URL(callback);
    forged.searchParams.set('state', value);
    const page = await alice.open(forged);
    assert.equal(page.status, 400, value);
    assert.equal(heading(page), 'This login cannot be finished');
    await assertLogged(edge, page, 'callback.unknown_state', 'INFO');
    await assertNotLoggedIn(alice, edge);
  }

  assert.deepEqual(identity(await alice.open(callback)), identityOf('alice'));
});

test("one person's callback does not log in another's browser", async (t) => {
  const provider = await startProvider(t);
  const edge = await start(t, { providers: [provider], toml: provider.toml });
  const [alice, mallory] = [new Visitor(), new Visitor()];
  const trap = await logIn(mallory, await mallory.open(`${edge.url}/`), 'mallory', { until: isCallback(edge) });
  await alice.open(`${edge.url}/`);

  const page = await alice.open(trap.next);

  assert.equal(page.status, 400);
  await assertLogged(edge, page, 'callback.unknown_state', 'INFO');
  await assertNotLoggedIn(alice, edge);
});

test('a callback is good for one use', async (t) => {
  const provider = await startProvider(t);
  const edge = await start(t, { providers: [provider], toml: provider.toml });
  const alice = new Visitor();
  const { next: callback } = await logIn(alice, await alice.open(`${edge.url}/once`), 'alice', { until: isCallback(edge) });
  const copy = new Visitor();
  copy.jar = await alice.jar.clone();
  assert.equal((await alice.open(callback)).json.url, '/once');

  const [attempt] = Object.keys(await copy.cookies(edge.url)).filter(isOurs);
  assert.match(attempt, /^vestibule_login_/);
  const spent = await copy.open(callback);
  assert.equal(spent.status, 400, 'whoever kept the cookie');
  assert.equal(heading(spent), 'This login was already used');
  await assertLogged(edge, spent, 'callback.used', 'INFO');
  await assertNotLoggedIn(copy, edge);

  const stranger = new Visitor();
  const refused = await stranger.open(callback);
  assert.equal(refused.status, 400);
  await assertLogged(edge, refused, 'callback.unknown_state', 'INFO');
  await assertNotLoggedIn(stranger, edge);

  const back = await alice.open(callback);
  assert.equal(back.json.url, '/once', 'the Back button of somebody who is logged in');
  assert.deepEqual(identity(back), identityOf('alice'));
});

test('an outage of the provider: no new login, no logout of anybody, and all is well after it', async (t) => {
  const provider = await startProvider(t);
  const application = await startApplication();
  t.after(application.stop);
  const options = { upstream: application.url, toml: AUTH + provider.toml };
  const before = await startEdge(options);
  t.after(before.stop);
  provider.serve(`${before.url}/oauth2callback`);
  const [alice, bob, carol] = [new Visitor(), new Visitor(), new Visitor()];
  await logIn(alice, await alice.open(`${before.url}/`), 'alice');
  const { next: callback } = await logIn(bob, await bob.open(`${before.url}/reports`), 'bob', { until: isCallback(before) });

  await provider.stop();
  assert.deepEqual(identity(await alice.send(`${before.url}/`)), identityOf('alice'));
  const interrupted = await bob.open(callback);
  // The attempt is spent, so the same request is not worth another try.
  await assertUnavailable(before, interrupted, undefined);
  await assertNotLoggedIn(bob, before);

  // An edge that starts now has nothing in memory: neither the provider's metadata nor who is logged in.
  await before.stop();
  const edge = await startEdge({ ...options, listen: new URL(before.url).host });
  t.after(edge.stop);
  assert.deepEqual(identity(await alice.send(`${edge.url}/`)), identityOf('alice'));
  await assertUnavailable(edge, await carol.open(`${edge.url}/`), '5');
  assert.deepEqual(identity(await alice.send(`${edge.url}/`)), identityOf('alice'));

  await provider.start();
  const form = await eventually('a login can begin', async () => {
    const page = await carol.open(`${edge.url}/`);
    return page.url.origin === provider.issuer && page;
  });
  assert.deepEqual(identity(await logIn(carol, form, 'carol')), identityOf('carol'));
  // The provider knows him from the first time.
  const page = await bob.open(interrupted.link('Try again'));
  assert.equal(page.json.url, '/reports');
  assert.deepEqual(identity(page), identityOf('bob'));
});

test('a script without a session is told where to log in', async (t) => {
  const provider = await startProvider(t);
  const edge = await start(t, { providers: [provider], toml: provider.toml });

  for (const headers of [FETCH, { ...NAVIGATION, 'x-requested-with': 'XMLHttpRequest' }, { accept: 'text/event-stream' }, {}]) {
    const answer = await new Visitor().send(`${edge.url}/api/items?page=2`, { headers });
    assert.equal(answer.status, 401);
    assert.equal(answer.headers['content-type'], 'application/problem+json');
    assert.equal(answer.headers['cache-control'], 'no-store');
    assert.equal(answer.headers['set-cookie'], undefined, 'no login is begun');
    const { request_id: requestId, ...problem } = answer.json;
    assert.match(requestId, /^[0-9a-f]{32}$/);
    assert.deepEqual(problem, {
      type: 'about:blank',
      title: 'Please log in',
      status: 401,
      detail: 'You are not logged in, or your login has ended. Your request was not passed on.',
      code: 'request.login_required',
      login: '/.vestibule/login',
    });
  }

  const alice = new Visitor();
  const { login } = (await alice.send(`${edge.url}/api/items`, { headers: FETCH })).json;
  await logIn(alice, await alice.open(edge.url + login), 'alice');
  const answer = await alice.send(`${edge.url}/api/items?page=2`, { headers: FETCH });
  assert.equal(answer.json.url, '/api/items?page=2');
  assert.deepEqual(identity(answer), identityOf('alice'));
});

test('the log holds no secret and nobody by name', async (t) => {
  const provider = await startProvider(t);
  const edge = await start(t, { providers: [provider], toml: provider.toml });
  const alice = new Visitor();
  const { next: callback } = await logIn(alice, await alice.open(`${edge.url}/`), 'alice', { until: isCallback(edge) });
  const attempt = await alice.cookies(edge.url);
  await alice.open(callback);
  const session = await alice.cookies(edge.url);
  const refused = await new Visitor().open(callback);
  await assertLogged(edge, refused, 'callback.unknown_state', 'INFO');

  const log = edge.log.map((line) => line.text).join('\n');
  assert.match(log, /"login.started"[^]*"login.succeeded"/);
  const cookies = [attempt, session].flatMap((jar) => Object.entries(jar)).map(([, value]) => value);
  const sent = ['code', 'state'].map((name) => callback.searchParams.get(name));
  const secrets = [...sent, ...cookies, provider.clientSecret, COOKIE_SECRET, 'alice'];
  assert.deepEqual(secrets.filter((secret) => log.includes(secret)), []);
});

async function startProvider(t, options = { name: 'op' }) {
  const provider = await Provider.listen(options);
  t.after(() => provider.stop());
  return provider;
}

// The edge in front of an application; the providers know it.
async function start(t, { providers, toml }) {
  const application = await startApplication();
  t.after(application.stop);
  const edge = await startEdge({ upstream: application.url, toml: AUTH + toml });
  t.after(edge.stop);
  providers.forEach((provider) => provider.serve(`${edge.url}/oauth2callback`));
  return edge;
}

function logIn(visitor, form, login, options) {
  return visitor.logIn(form, login, options);
}

function isCallback(edge) {
  return (url) => url.origin === edge.url && url.pathname === '/oauth2callback';
}

function isOurs(cookie) {
  return cookie.startsWith('vestibule_');
}

// Every header the application could take for one that says who it is, in any spelling.
function identity(page) {
  assert.equal(page.headers['content-type'], 'application/json', `not the application's answer: ${page.status} ${page.body}`);
  const { rawHeaders } = page.json;
  const lines = rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [[name.toLowerCase(), rawHeaders[index + 1]]] : []));
  return lines.filter(([name]) => /^x.forwarded.(user|provider|email|preferred.username|groups|access.token)$/.test(name)).sort();
}

function identityOf(login, provider = 'default') {
  const { sub, email, preferred_username: username, groups } = claimsOf(login);
  return [
    ['x-forwarded-email', email],
    ['x-forwarded-groups', groups.join(',')],
    ['x-forwarded-preferred-username', username],
    ['x-forwarded-provider', provider],
    ['x-forwarded-user', sub],
  ];
}

async function assertNotLoggedIn(visitor, edge) {
  assert.deepEqual((await visitor.send(`${edge.url}/.vestibule/user`, { headers: FETCH })).json, { is_logged_in: false });
  assert.equal((await visitor.send(`${edge.url}/`, { headers: FETCH })).status, 401);
}

async function assertUnavailable(edge, page, retryAfter) {
  assert.equal(page.status, 503);
  assert.equal(page.headers['retry-after'], retryAfter);
  assert.equal(heading(page), 'The login is not available now');
  await assertLogged(edge, page, 'provider.unreachable', 'ERROR');
}

// The page's reference number leads to its one line in the log.
async function assertLogged(edge, page, code, level) {
  const reference = page.html.querySelector('code').text;
  assert.match(reference, /^[2-9A-HJ-NP-Z]{10}$/);
  const lines = await eventually(`${reference} is in the log`, () => {
    const found = edge.log.filter((line) => line.text.includes(reference));
    return found.length > 0 && found;
  });
  assert.deepEqual(lines.map((line) => [line.code, line.level, line.reference]), [[code, level, reference]]);
}

function heading(page) {
  return page.html.querySelector('h1')?.text;
}

function payload(jwt) {
  return JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url').toString());
}

async function eventually(what, check) {
  for (let attempts = 0; attempts < 100; attempts += 1) {
    const result = await check();
    if (result) return result;
    await delay(100);
  }
  return assert.fail(`not within 10 s: ${what}`);
}
