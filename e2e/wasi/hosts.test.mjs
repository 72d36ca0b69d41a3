// The components for wasi:http in real hosts: a login, bodies of a gigabyte, configurations that are missing or broken.
// `node --test hosts.test.mjs`; HOSTS=jco,proxy chooses.

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';

import { HOSTS, start, startProvider } from './hosts.mjs';

const GIGABYTE = 2 ** 30;
// What buffers on the way may take, of all processes of a host.
const FLAT_BYTES = 256 * 2 ** 20;
const PIECE = Buffer.alloc(64 * 1024);

const chosen = (process.env.HOSTS ?? Object.keys(HOSTS).join(',')).split(',');

const configuration = ({ issuer = 'http://127.0.0.1:9', login = 'required', upstream }) => `
[auth]
redirect_uri = "{origin}/oauth2callback"
cookie_secret = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
client_id = "vestibule-demo"
client_secret = "vestibule-demo-secret"
server_metadata_url = "${issuer}/.well-known/openid-configuration"
[vestibule]
login = "${login}"
${upstream ? `upstream = "${upstream}"` : ''}
`;

// Answers with what reached it; /large answers with a gigabyte, /trailers with a trailer.
function startApplication() {
  const server = http.createServer((request, response) => {
    let bytes = 0;
    request.on('data', (piece) => { bytes += piece.length; });
    request.on('end', () => {
      if (request.url === '/large') return large(response);
      response.setHeader('content-type', 'application/json');
      response.setHeader('cache-control', 'public, max-age=3600');
      if (request.url === '/trailers') {
        response.setHeader('trailer', 'x-sum');
        response.addTrailers({ 'x-sum': 'abc' });
      }
      response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, bytes, trailers: request.trailers }));
    });
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve({ url: `http://127.0.0.1:${server.address().port}`, stop: () => server.closeAllConnections() || server.close() });
    });
  });
}

function large(response) {
  let left = GIGABYTE;
  const write = () => {
    while (left > 0) {
      left -= PIECE.length;
      if (!response.write(PIECE)) return response.once('drain', write);
    }
    response.end();
  };
  write();
}

// One exchange. Not by `fetch`, which says of itself that it is a script (`Sec-Fetch-Mode: cors`).
function exchange(url, { method = 'GET', headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers }, (response) => {
      let text = '';
      response.on('data', (piece) => { text += piece; }).on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

// As much of a browser as a login needs: it follows no redirect by itself.
class Visitor {
  cookies = new Map();

  async open(url, headers = {}) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await exchange(url, { headers: { accept: 'text/html', ...(cookie ? { cookie } : {}), ...headers } });
    for (const line of response.headers['set-cookie'] ?? []) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (/max-age=0/i.test(line)) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return response;
  }

  async logIn(page, person) {
    const first = await this.open(page);
    assert.equal(first.status, 302, `${first.text}`);
    const authorize = new URL(first.headers.location);
    authorize.pathname = '/consent';
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const consent = await exchange(authorize, { method: 'POST', headers, body: `person=${person}` });
    return this.open(consent.headers.location);
  }
}

function upload(url, bytes) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: 'POST' }, (response) => {
      let text = '';
      response.on('data', (piece) => { text += piece; }).on('end', () => resolve({ status: response.statusCode, text, trailers: response.trailers }));
    });
    request.on('error', reject);
    let left = bytes;
    const write = () => {
      while (left > 0) {
        left -= PIECE.length;
        if (!request.write(PIECE)) return request.once('drain', write);
      }
      request.end();
    };
    write();
  });
}

function download(url) {
  return new Promise((resolve, reject) => {
    http.get(url, (response) => {
      let bytes = 0;
      response.on('data', (piece) => { bytes += piece.length; }).on('end', () => resolve(bytes)).on('error', reject);
    }).on('error', reject);
  });
}

for (const name of chosen) {
  const host = HOSTS[name];
  describe(host.title, { concurrency: 1 }, () => {
    let application;
    let provider;
    const upstream = () => (host.needsUpstream ? application.url : undefined);
    before(async () => {
      application = await startApplication();
      provider = await startProvider();
    });
    after(() => {
      application.stop();
      provider.stop();
    });
    const started = async (options, use) => {
      const running = await start(host, { upstream: application.url, ...options });
      try {
        await use(running);
      } finally {
        await running.stop();
      }
    };

    test('a person logs in and the application knows who it is', async () => {
      const toml = configuration({ issuer: provider.issuer, upstream: upstream() });
      await started({ toml }, async ({ origin, log }) => {
        const visitor = new Visitor();
        const back = await visitor.logIn(`${origin}/reports?x=1`, 'alice');
        assert.equal(back.status, 302, log());
        assert.equal(new URL(back.headers.location, origin).href, `${origin}/reports?x=1`);
        const page = await visitor.open(`${origin}/reports?x=1`, { 'x-forwarded-user': 'mallory', x_forwarded_email: 'mallory' });
        assert.equal(page.status, 200, `${page.text}${JSON.stringify(page.headers)}${log()}`);
        const seen = JSON.parse(page.text);
        assert.equal(seen.headers['x-forwarded-user'], 'alice');
        assert.equal(seen.headers['x-forwarded-email'], 'alice@example.com');
        assert.ok(!JSON.stringify(seen).includes('mallory'));
        assert.ok(!(seen.headers.cookie ?? '').includes('vestibule'));
        const user = JSON.parse((await visitor.open(`${origin}/auth/user`)).text);
        assert.equal(user.email, 'alice@example.com');
        assert.equal((await visitor.open(`${origin}/auth/logout`)).status, 302);
        assert.equal((await visitor.open(`${origin}/data`, { accept: '*/*' })).status, 401);
        assert.ok(!log().includes('vestibule-demo-secret'));
      });
    });

    test('a gigabyte passes in both directions with flat memory', async () => {
      const toml = configuration({ login: 'optional', upstream: upstream() });
      await started({ toml }, async ({ origin, log, peakMemory }) => {
        const small = await upload(`${origin}/small`, PIECE.length);
        assert.equal(JSON.parse(small.text).bytes, PIECE.length, log());
        const before = peakMemory();
        assert.equal(await download(`${origin}/large`), GIGABYTE);
        const { status, text } = await upload(`${origin}/up`, GIGABYTE);
        assert.deepEqual([status, JSON.parse(text).bytes], [200, GIGABYTE]);
        const grown = peakMemory() - before;
        console.log(`# ${host.title}: ${Math.round(before / 2 ** 20)} MiB at first, ${Math.round(grown / 2 ** 20)} MiB more at the peak`);
        assert.ok(grown < FLAT_BYTES, `${grown} bytes more`);
      });
    });

    test('a configuration that is missing or broken is a 500, and the log names the remedy', async () => {
      const complete = configuration({ issuer: provider.issuer, upstream: upstream() });
      const cases = [
        [{}, /configuration\.missing: there is no configuration: set VESTIBULE_CONFIG/],
        [{ toml: '[auth' }, /VESTIBULE_CONFIG:1: error: \(syntax\)/],
        [{ toml: complete.replace(/cookie_secret = .*/, 'cookie_secret = "short"') }, /VESTIBULE_CONFIG:4: error: auth\.cookie_secret: .*openssl rand/],
        [{ toml: complete.replace(/client_secret = .*/, 'client_secret_env = "NOT_SET"') }, /auth\.client_secret_env: .*NOT_SET/],
        [{ env: { VESTIBULE_CONFIG_FILE: '/nowhere/login.toml' } }, /configuration\.missing: \/nowhere\/login\.toml cannot be read/],
      ];
      if (host.needsUpstream) cases.push([{ toml: configuration({ issuer: provider.issuer }) }, /error: vestibule\.upstream: is missing; write/]);
      for (const [options, remedy] of cases) {
        await started(options, async ({ origin, log }) => {
          for (const path of ['/', '/auth/login', '/auth/user']) {
            const response = await fetch(`${origin}${path}`, { redirect: 'manual' });
            assert.equal(response.status, 500);
            assert.equal(response.headers.get('content-type'), 'text/plain; charset=utf-8');
            assert.match(await response.text(), /^The login in front of this application is not configured\./);
          }
          assert.match(log(), remedy);
        });
      }
    });

    const withReference = () =>
      configuration({ issuer: provider.issuer, upstream: upstream() }).replace(/client_secret = .*/, 'client_secret_env = "CLIENT_SECRET"');
    const env = { CLIENT_SECRET: 'vestibule-demo-secret' };

    test('what the configuration refers to comes from the environment', async () => {
      await started({ toml: withReference(), env }, async ({ origin, log }) => {
        assert.equal((await new Visitor().logIn(`${origin}/`, 'bob')).status, 302, log());
      });
    });

    test('a mounted file is the configuration, where the environment has none', { skip: !host.mounts && 'it mounts no folder' }, async () => {
      await started({ file: withReference(), env }, async ({ origin, log }) => {
        assert.equal((await new Visitor().logIn(`${origin}/`, 'bob')).status, 302, log());
      });
      const toml = configuration({ login: 'optional', upstream: upstream() });
      await started({ file: withReference(), env, toml }, async ({ origin, log }) => {
        assert.equal((await fetch(`${origin}/public`)).status, 200, log());
      });
    });

    test('an application that is gone is a page of ours', { skip: !host.needsUpstream && 'the application is in the same component' }, async () => {
      const toml = configuration({ login: 'optional', upstream: 'http://127.0.0.1:9' });
      await started({ toml }, async ({ origin, log }) => {
        const response = await fetch(`${origin}/`);
        assert.equal(response.status, 502, log());
        assert.match(await response.text(), /Reference number/);
      });
    });
  });
}

describe(HOSTS.middleware.title, { skip: !chosen.includes('middleware') }, () => {
  test('requests are in flight together on one instance, which remembers the metadata', async () => {
    let asked = 0;
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    const provider = http.createServer(async (request, response) => {
      asked += 1;
      await held;
      const issuer = `http://127.0.0.1:${provider.address().port}`;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({
        issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/keys`,
        response_types_supported: ['code'], subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['ES256'],
      }));
    });
    await new Promise((resolve) => provider.listen(0, '127.0.0.1', resolve));
    const application = await startApplication();
    const issuer = `http://127.0.0.1:${provider.address().port}`;
    const running = await start(HOSTS.middleware, { toml: configuration({ issuer, login: 'optional' }), upstream: application.url });
    try {
      const login = () => exchange(`${running.origin}/auth/login`, { headers: { accept: 'text/html' } });
      const waiting = login();
      // While that login waits for the provider, the same instance serves others.
      for (let request = 0; request < 10; request += 1) assert.equal((await fetch(`${running.origin}/`)).status, 200);
      release();
      assert.equal((await waiting).status, 302, running.log());
      for (let request = 0; request < 5; request += 1) assert.equal((await login()).status, 302);
      assert.equal(asked, 1);
    } finally {
      await running.stop();
      application.stop();
      provider.closeAllConnections();
      provider.close();
    }
  });
});
