// The two forms of Streamlit's cookies against the libraries that Streamlit reads them with, from PyPI: itsdangerous and
// tornado. `vestibule serve` signs them for an application that says what it has got.

import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';

import { startApplication } from './application.mjs';
import { claimsOf, startProvider } from './provider.mjs';
import { makeCookie, readCookie } from './streamlit.mjs';
import { COOKIE_SECRET, startEdge } from './vestibule.mjs';
import { Visitor } from './visitor.mjs';

// The reference of both forms: made by the libraries, at a fixed time.
const VECTOR = {
  secret: 'reference-cookie-secret-0123456789abcdef',
  name: '_streamlit_user',
  time: 1700000000,
  value: '{"sub": "alice", "origin": "http://localhost:8501", "is_logged_in": true, "provider": "default"}',
};
const FORMS = [
  {
    form: 'itsdangerous',
    release: '1.67.0',
    server: 'uvicorn',
    cookie: 'IntcInN1YlwiOiBcImFsaWNlXCIsIFwib3JpZ2luXCI6IFwiaHR0cDovL2xvY2FsaG9zdDo4NTAxXCIsIFwiaXNfbG9nZ2VkX2luXCI6IHRydWUsIFwicHJvdmlkZXJcIjogXCJkZWZhdWx0XCJ9Ig.ZVPxAA.2dqmtcga-NKk0lazPKK0-K1Hwxc',
  },
  {
    form: 'tornado',
    release: '1.50.0',
    server: 'TornadoServer/6.6.1',
    cookie: '2|1:0|10:1700000000|15:_streamlit_user|128:eyJzdWIiOiAiYWxpY2UiLCAib3JpZ2luIjogImh0dHA6Ly9sb2NhbGhvc3Q6ODUwMSIsICJpc19sb2dnZWRfaW4iOiB0cnVlLCAicHJvdmlkZXIiOiAiZGVmYXVsdCJ9|d65dfb60f9b2124114a38534158634f49d6735336c13bf5360370cb8964dcf46',
  },
];
// Nobody reads more of them than this from a chunked cookie.
const MAX_CHUNKS = 64;
// How much earlier it may be signed, for the clock of the application's machine. In seconds.
const CLOCK_DIFFERENCE = 120;
const SHORT = { name: 'Chloë "Ø" Ørsted | 1:2', groups: [] };
const LONG = { groups: Array.from({ length: 200 }, (_, number) => `${number}-${'0123456789abcdef'.repeat(2)}`) };

for (const { form, release, server, cookie } of FORMS) {
  test(`${form}: the library agrees with the reference of both sides' tests`, async () => {
    const { secret, name, value, time } = VECTOR;
    assert.deepEqual(await readCookie(release, form, { secret, name, cookie }), { value, time });
    // It packs what gets shorter, so the reference, which is not packed, is not what it makes itself.
    if (form === 'tornado') assert.equal(await makeCookie(release, form, VECTOR), cookie);
    assert.deepEqual((await readCookie(release, form, { secret: `${secret}!`, name, cookie })).value, null);
  });

  for (const [what, claims] of Object.entries({ short: SHORT, long: LONG })) {
    test(`${form}: the library reads what is signed for a ${what} token, and makes the same`, async (t) => {
      const provider = await startProvider(t, { name: 'main', claims });
      const application = await startApplication({ server });
      t.after(application.stop);
      const edge = await startEdge({
        upstream: application.url,
        toml: `[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "${COOKIE_SECRET}"
expose_tokens = ["id", "access"]
${provider.toml}
[vestibule]
app = "streamlit"
`,
      });
      t.after(edge.stop);
      provider.serve(`${edge.url}/oauth2callback`);
      const alice = new Visitor();
      await alice.logIn(await alice.open(`${edge.url}/auth/login`), 'alice');
      await alice.jar.setCookie('_streamlit_xsrf=2|of|the|app', edge.url);

      const before = Math.floor(Date.now() / 1000);
      const cookies = await receivedBy(edge.url, alice);
      assert.equal(cookies.get('_streamlit_xsrf'), '2|of|the|app');
      assert.deepEqual([...cookies.keys()].filter((name) => name.includes('vestibule')), []);

      const user = await opened(cookies, '_streamlit_user');
      assert.ok(user.time >= before - CLOCK_DIFFERENCE && user.time <= Date.now() / 1000, 'signed when it was asked for');
      const { aud, exp, iat, iss, nonce, ...others } = JSON.parse(user.value);
      assert.deepEqual(others, {
        ...claimsOf('alice'), ...claims, origin: edge.url, is_logged_in: true, provider: 'default',
      });
      const tokens = JSON.parse((await opened(cookies, '_streamlit_user_tokens')).value);
      assert.deepEqual(Object.keys(tokens).sort(), ['access_token', 'id_token']);

      // The same text, time and name, signed by the library: the same cookie, or one that says the same once unpacked.
      const name = '_streamlit_user';
      const theirs = await makeCookie(release, form, { name, value: user.main, time: user.time });
      if (form === 'tornado') assert.equal(cookies.get(name), theirs);
      assert.deepEqual(await readCookie(release, form, { name, cookie: theirs }), { value: user.main, time: user.time });
      const foreign = await readCookie(release, form, { name: '_streamlit_user_tokens', cookie: cookies.get(name) });
      assert.equal(foreign.value, null, 'signed for its name only');

      // What Streamlit does with a cookie that it may have cut into pieces.
      async function opened(received, main) {
        const read = async (cookieName) => {
          const shown = await readCookie(release, form, { name: cookieName, cookie: received.get(cookieName) });
          assert.notEqual(shown.value, null, `the library reads ${cookieName}`);
          return shown;
        };
        const { value, time } = await read(main);
        const [, count] = /^chunks-(\d+)$/.exec(value) ?? [];
        if (!count) return { value, time, main: value };
        assert.ok(Number(count) <= MAX_CHUNKS);
        const chunks = [];
        for (let chunk = 1; chunk <= Number(count); chunk += 1) chunks.push((await read(`${main}_${chunk}`)).value);
        return { value: chunks.join(''), time, main: value };
      }
    });
  }
}

// The cookies that the application gets when the visitor's page opens its WebSocket.
async function receivedBy(url, visitor) {
  const cookie = await visitor.jar.getCookieString(`${url}/`);
  const response = await new Promise((resolve, reject) => {
    request(`${url}/_stcore/stream`, {
      agent: false,
      headers: {
        connection: 'Upgrade', upgrade: 'websocket', origin: url, cookie,
        'sec-websocket-version': '13',
        'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
        'sec-websocket-protocol': 'streamlit, 2|of|the|app',
      },
    }, resolve).on('error', reject).end();
  });
  const chunks = await response.setEncoding('utf8').toArray();
  assert.equal(response.statusCode, 200, chunks.join(''));
  const { headers } = JSON.parse(chunks.join(''));
  return new Map(headers.cookie.split('; ').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}
