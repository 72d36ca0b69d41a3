// The components for wasi:http in real hosts: a login, bodies of a gigabyte, configurations that are missing or broken.
// `node --test hosts.test.mjs`; HOSTS=jco,proxy chooses.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';

import { configVariables, HOSTS, imports, start, startProvider, WITH_CONFIG } from './hosts.mjs';
import { Visitor, exchange } from './visitor.mjs';

const GIGABYTE = 2 ** 30;
// What buffers on the way may take, of all processes of a host.
const FLAT_BYTES = 256 * 2 ** 20;
// Longer than all tests of a host take on a machine that compiles something else: who waits this long has hung.
const HOST_MS = 600_000;
// Without a memory there would be as many requests for metadata and keys.
const LOGINS = 6;
const PIECE = Buffer.alloc(64 * 1024);

const chosen = (process.env.HOSTS ?? Object.keys(HOSTS).join(',')).split(',');

const configuration = ({ issuer = 'http://127.0.0.1:9', login = 'required', upstream }) => `
[auth]
redirect_uri = "{origin}/oauth2callback"
cookie_secret = "6be1f0c84d7a92e5b3185fd06c49e7a21b8d30f59ce467a2"
client_id = "vestibule-demo"
client_secret = "vestibule-demo-secret"
server_metadata_url = "${issuer}/.well-known/openid-configuration"
[vestibule]
login = "${login}"
${upstream ? `upstream = "${upstream}"` : ''}
`;

// Answers with what reached it; /large answers with a gigabyte, /trailers with a trailer, /broken/… with less than it
// says. When a body for /aborted begins is told to `begun`, and how it ends to `ended`.
function startApplication() {
  let tellBegun;
  let tellEnded;
  const begun = new Promise((resolve) => { tellBegun = resolve; });
  const ended = new Promise((resolve) => { tellEnded = resolve; });
  const server = http.createServer((request, response) => {
    let bytes = 0;
    if (request.url.startsWith('/broken')) return broken(request, response);
    if (request.url === '/aborted') {
      request.once('data', tellBegun);
      request.on('close', () => tellEnded(request.complete ? 'whole' : 'broken off'));
    }
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
      const stop = () => server.closeAllConnections() || server.close();
      resolve({ url: `http://127.0.0.1:${server.address().port}`, begun, ended, stop });
    });
  });
}

function broken(request, response) {
  if (request.url === '/broken/length') response.setHeader('content-length', 1000);
  response.write('half', () => response.socket.destroy());
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

// Sends a body with a trailer, and takes trailers back.
function trailed(url) {
  const headers = { te: 'trailers', trailer: 'x-digest', 'content-type': 'text/plain' };
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: 'POST', headers }, (response) => {
      let text = '';
      response.on('data', (piece) => { text += piece; }).on('error', reject);
      response.on('end', () => resolve({ text, trailers: response.trailers }));
    });
    request.on('error', reject);
    request.write('hello');
    request.addTrailers({ 'x-digest': 'def' });
    request.end();
  });
}

// The provider's metadata and keys by way of a server that counts how often each is asked for.
async function startCounter(issuer) {
  const counts = { metadata: 0, keys: 0 };
  const server = http.createServer(async (request, response) => {
    const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
    response.setHeader('content-type', 'application/json');
    if (request.url === '/keys') {
      counts.keys += 1;
      response.end(await (await fetch(metadata.jwks_uri)).text());
    } else {
      counts.metadata += 1;
      response.end(JSON.stringify({ ...metadata, jwks_uri: `http://127.0.0.1:${server.address().port}/keys` }));
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, counts, stop: () => server.closeAllConnections() || server.close() };
}

// The provider by way of a server that closes the connection of the first request for each document, and of every token
// request where it `breaksTokens`. `asked` are all requests that came.
async function startBreaking(issuer, { breaksTokens }) {
  const asked = [];
  const server = http.createServer(async (request, response) => {
    const asking = `${request.method} ${request.url}`;
    asked.push(asking);
    if (request.url === '/token' || asked.filter((other) => other === asking).length === 1) return request.socket.destroy();
    const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
    response.setHeader('content-type', 'application/json');
    if (request.url === '/keys') return response.end(await (await fetch(metadata.jwks_uri)).text());
    const origin = `http://127.0.0.1:${server.address().port}`;
    const endpoints = { jwks_uri: `${origin}/keys`, ...(breaksTokens ? { token_endpoint: `${origin}/token` } : {}) };
    return response.end(JSON.stringify({ ...metadata, ...endpoints }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, asked, stop: () => server.closeAllConnections() || server.close() };
}

for (const name of chosen) {
  const host = HOSTS[name];
  describe(host.title, { concurrency: 1, timeout: HOST_MS }, () => {
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
        const user = JSON.parse((await visitor.open(`${origin}/.vestibule/user`)).text);
        assert.equal(user.email, 'alice@example.com');
        assert.equal((await visitor.open(`${origin}/.vestibule/logout`)).status, 302);
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

    test('trailers of a response pass, and those of a request, which nobody has decided on, do not', { skip: !host.trailers && 'it has no trailers' }, async () => {
      const toml = configuration({ login: 'optional', upstream: upstream() });
      await started({ toml }, async ({ origin, log }) => {
        const { text, trailers } = await trailed(`${origin}/trailers`);
        const received = JSON.parse(text);
        assert.equal(received.bytes, 'hello'.length);
        assert.deepEqual([received.trailers, received.headers.trailer], [{}, undefined], log());
        assert.equal(trailers['x-sum'], 'abc', log());
      });
    });

    test('a body that breaks off is not one that ends, and a peer that goes holds up nobody', async () => {
      const toml = configuration({ login: 'optional', upstream: upstream() });
      await started({ toml }, async ({ origin }) => {
        await assert.rejects(exchange(`${origin}/broken/length`));
        const chunks = exchange(`${origin}/broken/chunks`);
        if (host.breaksOff) await assert.rejects(chunks);
        else assert.equal((await chunks).status, 200);
        const request = http.request(`${origin}/aborted`, { method: 'POST' });
        request.on('error', () => {});
        request.write(PIECE);
        await application.begun;
        request.destroy();
        if (host.breaksOff) assert.equal(await application.ended, 'broken off');
        assert.equal((await fetch(`${origin}/after`)).status, 200);
        const download = http.get(`${origin}/large`);
        download.on('error', () => {});
        const [response] = await once(download, 'response');
        await once(response, 'data');
        download.destroy();
        assert.equal((await fetch(`${origin}/after`)).status, 200);
      });
    });

    test('metadata and keys are asked for once in the life of an instance', async () => {
      const counter = await startCounter(provider.issuer);
      try {
        const section = `[vestibule.provider.default]\nissuer = "${provider.issuer}"\n`;
        const toml = configuration({ issuer: counter.url, upstream: upstream() }) + section;
        await started({ toml, args: host.reuse }, async ({ origin, log }) => {
          for (let login = 0; login < LOGINS; login += 1) {
            assert.equal((await new Visitor().logIn(`${origin}/`, 'alice')).status, 302, log());
          }
          const { metadata, keys } = counter.counts;
          // Wasmtime may start a second instance while the first still ends a request.
          if (host.oneInstance) assert.deepEqual([metadata, keys], [1, 1]);
          else assert.ok(metadata < LOGINS && keys < LOGINS, `${metadata} and ${keys} requests`);
        });
      } finally {
        counter.stop();
      }
    });

    test('a document whose connection the provider closes is asked for once more, and a token never', async () => {
      for (const breaksTokens of [false, true]) {
        const breaking = await startBreaking(provider.issuer, { breaksTokens });
        try {
          const section = `[vestibule.provider.default]\nissuer = "${provider.issuer}"\n`;
          const toml = configuration({ issuer: breaking.url, upstream: upstream() }) + section;
          await started({ toml, args: host.reuse }, async ({ origin, log }) => {
            const back = await new Visitor().logIn(`${origin}/`, 'alice');
            assert.equal(back.status, breaksTokens ? 503 : 302, log());
            const times = (asking) => breaking.asked.filter((other) => other === asking).length;
            // An instance of its own for each request asks for the metadata at the callback as well.
            assert.ok(times('GET /.well-known/openid-configuration') >= 2, `${breaking.asked}`);
            assert.ok(breaksTokens || times('GET /keys') === 2, `${breaking.asked}`);
            assert.equal(times('POST /token'), breaksTokens ? 1 : 0, `${breaking.asked}`);
          });
        } finally {
          breaking.stop();
        }
      }
    });

    test('a configuration that is missing or broken is a 500, and the log names the remedy', async () => {
      const complete = configuration({ issuer: provider.issuer, upstream: upstream() });
      const cases = [
        [{}, /configuration\.missing: there is no configuration: set VESTIBULE_CONFIG/],
        [{ toml: '[auth' }, /VESTIBULE_CONFIG:1: \(syntax\)/],
        [{ toml: complete.replace(/cookie_secret = .*/, 'cookie_secret = "short"') }, /VESTIBULE_CONFIG:4: auth\.cookie_secret: .*openssl rand/],
        [{ toml: complete.replace(/client_secret = .*/, 'client_secret_env = "NOT_SET"') }, /auth\.client_secret_env: .*NOT_SET/],
        [{ env: { VESTIBULE_CONFIG_FILE: '/nowhere/login.toml' } }, /configuration\.missing: \/nowhere\/login\.toml cannot be read/],
      ];
      if (host.needsUpstream) cases.push([{ toml: configuration({ issuer: provider.issuer }) }, / vestibule\.upstream: is missing; write/]);
      for (const [options, remedy] of cases) {
        await started(options, async ({ origin, log }) => {
          for (const path of ['/', '/.vestibule/login', '/.vestibule/user']) {
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

    test('an application that is gone is a page of ours, and a problem for a script', { skip: !host.needsUpstream && 'the application is in the same component' }, async () => {
      const toml = configuration({ login: 'optional', upstream: 'http://127.0.0.1:9' });
      await started({ toml }, async ({ origin, log }) => {
        const page = await new Visitor().open(`${origin}/`);
        assert.equal(page.status, 502, log());
        assert.match(page.text, /Reference number/);
        const problem = await fetch(`${origin}/`);
        assert.equal(problem.headers.get('content-type'), 'application/problem+json');
        const { code, status, reference } = await problem.json();
        assert.deepEqual([code, status, typeof reference], ['host.upstream_unreachable', 502, 'string']);
      });
    });
  });
}

describe('wasi:config', () => {
  for (const name of chosen.filter((chosen) => chosen in WITH_CONFIG)) {
    test(`vestibule-${name}-config.wasm imports the store, and nothing else that the other one does not`, () => {
      const others = imports(`vestibule-${name}.wasm`);
      assert.ok(others.includes('wasi:cli/environment'), others.join());
      assert.deepEqual(imports(`vestibule-${name}-config.wasm`), [...others, 'wasi:config/store'].sort());
    });

    test(`${HOSTS[name].title} takes its configuration from there, before the environment's`, async () => {
      const application = await startApplication();
      const provider = await startProvider();
      const toml = configuration({ issuer: provider.issuer, upstream: HOSTS[name].needsUpstream ? application.url : undefined });
      const values = { vestibule_config: toml.replace(/client_secret = .*/, 'client_secret_env = "client_secret"'), client_secret: 'vestibule-demo-secret' };
      const host = { title: HOSTS[name].title, command: WITH_CONFIG[name] };
      // The environment has a configuration too, and another secret of that name.
      const env = { client_secret: 'another' };
      const running = await start(host, { toml: '[auth', env, args: configVariables(values), upstream: application.url });
      try {
        const visitor = new Visitor();
        assert.equal((await visitor.logIn(`${running.origin}/`, 'alice')).status, 302, running.log());
        assert.equal(JSON.parse((await visitor.open(`${running.origin}/`)).text).headers['x-forwarded-user'], 'alice');
      } finally {
        await running.stop();
        application.stop();
        provider.stop();
      }
    });
  }
});

describe(HOSTS.middleware.title, { skip: !chosen.includes('middleware') }, () => {
  test('rules that name a host are not decided by guess where the server does not tell it', async () => {
    const rule = '[[vestibule.rule]]\nhost = "127.0.0.1"\n[[vestibule.rule]]\naccess = "public"\n';
    const running = await start(HOSTS.middleware, { toml: configuration({}) + rule });
    try {
      assert.equal((await exchange(`${running.origin}/`)).status, 400);
      assert.match(running.log(), /ERROR request\.host_unknown: .* take `host` out of them/);
    } finally {
      await running.stop();
    }
  });

  test('requests are in flight together on one instance', async () => {
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    const provider = http.createServer(async (request, response) => {
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
      const login = () => exchange(`${running.origin}/.vestibule/login`, { headers: { accept: 'text/html' } });
      const waiting = login();
      // While that login waits for the provider, the same instance serves others.
      for (let request = 0; request < 10; request += 1) assert.equal((await fetch(`${running.origin}/`)).status, 200);
      release();
      assert.equal((await waiting).status, 302, running.log());
    } finally {
      await running.stop();
      application.stop();
      provider.closeAllConnections();
      provider.close();
    }
  });
});
