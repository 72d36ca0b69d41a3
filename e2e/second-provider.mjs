// A provider of another make: django-allauth from PyPI, unmodified, on loopback. scripts/check-second-provider.sh has
// installed it. It compares client credentials as they come in HTTP Basic, and does not decode them first.

import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request as ask } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const PYTHON = fileURLToPath(new URL('../target/second-provider/bin/python', import.meta.url));
const SERVE = fileURLToPath(new URL('second-provider/serve.py', import.meta.url));
// Starting takes three seconds; a machine that is busy with other builds needs many.
const START_SECONDS = 120;
const TOKEN_PATH = '/identity/o/api/token';
const PASSWORD = 'any, as long as it is this';

// What the provider says of whoever logs in under a name, as headers of the application.
export function identityOf(login) {
  return {
    'x-forwarded-email': `${login}@example.com`,
    'x-forwarded-preferred-username': login,
    'x-forwarded-provider': 'default',
    'x-forwarded-user': String(USERS.indexOf(login) + 1),
  };
}
const USERS = ['alice', 'bob'];

// The port that it is reached at passes everything on, as it is, and notes what comes to the token endpoint.
export class SecondProvider {
  // settings: of Django, beside those of second-provider/serve.py.
  static async listen({ settings = {} } = {}) {
    const provider = new SecondProvider();
    provider.settings = settings;
    provider.#relay = createServer((request, response) => provider.#pass(request, response));
    provider.#relay.listen(0, '127.0.0.1');
    await once(provider.#relay, 'listening');
    provider.issuer = `http://127.0.0.1:${provider.#relay.address().port}`;
    return provider;
  }

  clientId = 'app';
  clientSecret = 's+/=~:%20 é';
  // Each with `credentials`, those in HTTP Basic without their Base64, and the answer's `status` and `error`.
  tokenRequests = [];
  log = '';
  #relay;
  #child;
  #port;
  #folder;

  // The lines of the configuration's table for it.
  toml({ clientSecret = this.clientSecret } = {}) {
    return [
      `client_id = ${JSON.stringify(this.clientId)}`,
      `client_secret = ${JSON.stringify(clientSecret)}`,
      `server_metadata_url = "${this.issuer}/.well-known/openid-configuration"`,
    ].join('\n');
  }

  // Registers the application by its redirect URI; resolves when it answers.
  async serve(redirectUri) {
    this.#folder = await mkdtemp(join(tmpdir(), 'vestibule-second-provider-'));
    const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const child = spawn(PYTHON, [SERVE], { stdio: 'pipe', env: { ...process.env, PYTHONUNBUFFERED: '1' } });
    this.#child = { child, ended: once(child, 'exit').catch(() => {}) };
    this.#port = await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`django-allauth did not listen within ${START_SECONDS} s:\n${this.log}`)), START_SECONDS * 1000);
      const failed = (reason) => {
        clearTimeout(timer);
        reject(new Error(`django-allauth ${reason}:\n${this.log}`));
      };
      child.on('error', (error) => failed(`cannot be started (${error.message}); run scripts/check-second-provider.sh`));
      child.on('close', (code) => failed(`ended with ${code}`));
      child.stdin.on('error', () => {});
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (text) => {
          this.log += text;
          const [, port] = this.log.match(/^Starting development server at http:\/\/127\.0\.0\.1:(\d+)\/$/m) ?? [];
          if (port) {
            clearTimeout(timer);
            resolve(Number(port));
          }
        });
      }
      child.stdin.end(JSON.stringify({
        folder: this.#folder,
        private_key: key.export({ format: 'pem', type: 'pkcs8' }),
        settings: this.settings,
        client: { id: this.clientId, secret: this.clientSecret, redirect_uris: [redirectUri] },
        users: USERS.map((login) => ({ username: login, password: PASSWORD, email: `${login}@example.com` })),
      }));
    });
  }

  async stop() {
    await new Promise((resolve) => {
      this.#relay.close(resolve);
      this.#relay.closeAllConnections();
    });
    if (this.#child) {
      this.#child.child.kill('SIGKILL');
      await this.#child.ended;
    }
    if (this.#folder) await rm(this.#folder, { recursive: true, force: true });
  }

  // From its login page on, to where its page of consent leads.
  async logIn(visitor, form, login, options = {}) {
    const page = await visitor.submit(form, { login, password: PASSWORD }, options);
    if (!page.html.querySelector('button[value=grant]')) return page;
    const scopes = page.html.querySelectorAll('input[name=scopes]').map((input) => ['scopes', input.getAttribute('value')]);
    return visitor.submit(page, [...scopes, ['action', 'grant']], options);
  }

  async #pass(request, response) {
    try {
      const { method, url, headers } = request;
      const passed = ask({ host: '127.0.0.1', port: this.#port, method, path: url, headers, agent: false });
      passed.end(await buffer(request));
      const [answer] = await once(passed, 'response');
      const body = await buffer(answer);
      if (url === TOKEN_PATH) {
        const basic = headers.authorization?.match(/^Basic (.+)$/)?.[1];
        const credentials = basic && Buffer.from(basic, 'base64').toString();
        this.tokenRequests.push({ credentials, status: answer.statusCode, error: JSON.parse(body).error });
      }
      response.writeHead(answer.statusCode, answer.rawHeaders).end(body);
    } catch {
      response.destroy();
    }
  }
}
