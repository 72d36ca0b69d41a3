// Logins with a provider of another make, one that does not decode client credentials in HTTP Basic (RFC 6749 section 2.3.1).

import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { startApplication } from './application.mjs';
import { identityOf, SecondProvider } from './second-provider.mjs';
import { COOKIE_SECRET, startEdge } from './vestibule.mjs';
import { Visitor } from './visitor.mjs';

// Where it takes credentials in a form as well, vestibule sends such a secret there, and never in HTTP Basic.
const BASIC_ONLY = { IDP_OIDC_AUTH_METHODS: ['client_secret_basic'] };

test('a provider that does not decode credentials gets them as they are', async (t) => {
  const provider = await startProvider(t, { settings: BASIC_ONLY });
  const edge = await start(t, provider);
  const [encoded, raw] = attempts(provider);
  const alice = new Visitor();

  const form = await alice.open(`${edge.url}/reports?year=2026`);
  assert.equal(form.url.origin, provider.issuer);
  const page = await provider.logIn(alice, form, 'alice');

  assert.equal(page.url.href, `${edge.url}/reports?year=2026`);
  assert.deepEqual(identity(page), identityOf('alice'));
  assert.deepEqual(provider.tokenRequests, [
    { credentials: encoded, status: 401, error: 'invalid_client' },
    { credentials: raw, status: 200, error: undefined },
  ]);
  const [line] = await logged(edge, 'token.credential_form');
  assert.equal(line.level, 'INFO');
  assert.match(line.text, /as they are, not form-encoded/);

  await t.test('and from then on at once, on an instance that knows', async () => {
    // Any instance may take the callback, but each of them learns it only once.
    const instances = 2 * availableParallelism();
    let tries;
    for (let logins = 0; logins < instances && tries?.length !== 1; logins += 1) {
      provider.tokenRequests.length = 0;
      const bob = new Visitor();
      assert.deepEqual(identity(await provider.logIn(bob, await bob.open(`${edge.url}/`), 'bob')), identityOf('bob'));
      tries = provider.tokenRequests.map(({ credentials }) => credentials);
      assert.deepEqual(tries, tries.length === 1 ? [raw] : [encoded, raw]);
    }
    assert.deepEqual(tries, [raw]);
  });

  await t.test("and logout ends the provider's session too", async () => {
    const asked = await alice.open(`${edge.url}/.vestibule/logout`);
    assert.equal(asked.url.origin, provider.issuer);
    const end = await alice.submit(asked, { action: 'logout' });
    assert.equal(end.url.origin, edge.url);
    assert.equal(heading(end), 'You are logged out');
    const again = await alice.open(end.link('Log in'));
    assert.ok(again.html.querySelector('input[name=login]'), 'credentials are asked for');
  });
});

test('a wrong secret is tried in both spellings, and no more', async (t) => {
  const provider = await startProvider(t, { settings: BASIC_ONLY });
  const wrong = `${provider.clientSecret}!`;
  const edge = await start(t, provider, { clientSecret: wrong });
  const alice = new Visitor();

  const page = await provider.logIn(alice, await alice.open(`${edge.url}/`), 'alice');

  assert.equal(page.url.pathname, '/oauth2callback');
  assert.equal(page.status, 502);
  assert.equal(heading(page), 'The login failed');
  const refused = { status: 401, error: 'invalid_client' };
  assert.deepEqual(provider.tokenRequests, attempts(provider, wrong).map((credentials) => ({ credentials, ...refused })));
  const [line] = await logged(edge, 'token.refused');
  assert.equal(line.level, 'ERROR');
  assert.equal(line.reference, page.html.querySelector('code').text);
  assert.deepEqual(edge.log.filter(({ code }) => code === 'token.credential_form'), []);
  assert.deepEqual([wrong, provider.clientSecret].filter((secret) => edge.log.some(({ text }) => text.includes(secret))), []);
});

test('with its own settings, which list client_secret_post, the first try is in a form and right', async (t) => {
  const provider = await startProvider(t);
  const edge = await start(t, provider);
  const bob = new Visitor();

  const page = await provider.logIn(bob, await bob.open(`${edge.url}/`), 'bob');

  assert.deepEqual(identity(page), identityOf('bob'));
  assert.deepEqual(provider.tokenRequests, [{ credentials: undefined, status: 200, error: undefined }]);
});

async function startProvider(t, options) {
  const provider = await SecondProvider.listen(options);
  t.after(() => provider.stop());
  return provider;
}

// The edge in front of an application that the provider knows.
async function start(t, provider, options) {
  const application = await startApplication();
  t.after(application.stop);
  const edge = await startEdge({
    upstream: application.url,
    toml: `[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "${COOKIE_SECRET}"
${provider.toml(options)}
`,
  });
  t.after(edge.stop);
  await provider.serve(`${edge.url}/oauth2callback`);
  return edge;
}

// The client's credentials in both spellings, in the order in which they are tried.
function attempts({ clientId, clientSecret }, secret = clientSecret) {
  return [`${clientId}:${new URLSearchParams({ secret }).toString().slice('secret='.length)}`, `${clientId}:${secret}`];
}

function identity(page) {
  assert.equal(page.headers['content-type'], 'application/json', `not the application's answer: ${page.status} ${page.body}`);
  const names = Object.keys(page.json.headers).filter((name) => /^x-forwarded-(user|provider|email|preferred-username|groups|access-token)$/.test(name));
  return Object.fromEntries(names.map((name) => [name, page.json.headers[name]]));
}

function heading(page) {
  return page.html.querySelector('h1')?.text;
}

// The lines of the log with this code, once there are any.
async function logged(edge, code) {
  for (let looks = 0; looks < 100; looks += 1) {
    const lines = edge.log.filter((line) => line.code === code);
    if (lines.length > 0) return lines;
    await delay(100);
  }
  return assert.fail(`not in the log within 10 s: ${code}`);
}
