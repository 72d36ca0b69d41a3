// Streamlit from PyPI, unmodified, as somebody runs an app of theirs. scripts/check-streamlit.sh has installed it.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { COOKIE_SECRET } from './vestibule.mjs';

const COOKIES = fileURLToPath(new URL('streamlit/cookies.py', import.meta.url));
const ENVIRONMENTS = fileURLToPath(new URL('../target/streamlit/', import.meta.url));
// Starting takes two seconds; a machine that is busy with other builds needs many.
const START_SECONDS = 120;

export const NEWEST = '1.67.0';

// One release of each row of the table in docs/streamlit.md, and both servers of the one that has two.
export const FORMS = [
  { release: NEWEST, cookies: 'itsdangerous' },
  { release: '1.57.0', cookies: 'itsdangerous' },
  { release: '1.56.0', cookies: 'itsdangerous', options: { 'server.useStarlette': true } },
  { release: '1.56.0', cookies: 'tornado' },
  { release: '1.50.0', cookies: 'tornado' },
];

export function python(release) {
  return `${ENVIRONMENTS}${release}/bin/python`;
}

// A folder of an app: `source` copied, with `secrets` as its secrets.toml and `script` as its app.py, where given.
export async function makeApp({ source, secrets, script }) {
  const folder = await mkdtemp(join(tmpdir(), 'vestibule-streamlit-'));
  await cp(source, folder, { recursive: true });
  await mkdir(join(folder, '.streamlit'), { recursive: true });
  const secretsFile = join(folder, '.streamlit', 'secrets.toml');
  await rm(secretsFile, { force: true });
  await writeFile(secretsFile, secrets, { mode: 0o600 });
  if (script !== undefined) await writeFile(join(folder, 'app.py'), script);
  return { folder, secretsFile, remove: () => rm(folder, { recursive: true, force: true }) };
}

// `streamlit run app.py` in `folder`; resolves when it answers. `options` are Streamlit's, by their full names.
export async function startStreamlit({ release, folder, port, options = {} }) {
  const settings = {
    'server.address': '127.0.0.1',
    'server.port': port,
    'server.headless': true,
    'server.fileWatcherType': 'none',
    'browser.gatherUsageStats': false,
    ...options,
  };
  const args = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
  const child = spawn(python(release), ['-m', 'streamlit', 'run', 'app.py', ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A home of its own: no settings and no secrets of whoever runs the tests.
    env: { ...process.env, HOME: folder, PYTHONUNBUFFERED: '1' },
  });
  const ended = once(child, 'exit');
  const app = {
    url: `http://127.0.0.1:${port}`,
    log: '',
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`Streamlit did not listen within ${START_SECONDS} s:\n${app.log}`)), START_SECONDS * 1000);
    child.on('error', (error) => reject(new Error(`Streamlit ${release} cannot be started (${error.message}); run scripts/check-streamlit.sh`)));
    ended.then(([code]) => reject(new Error(`Streamlit ended with ${code}:\n${app.log}`)));
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        app.log += text;
        // It says so once it listens.
        if (app.log.includes('You can now view your Streamlit app')) {
          clearTimeout(timer);
          resolve();
        }
      });
    }
  });
  return app;
}

// A port that nobody listens on: whoever is told an address by its configuration needs to know it before the start.
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

// A cookie as the library makes it that Streamlit uses, by the environment of a release; `time` in Unix seconds.
export async function makeCookie(release, form, { name, value, secret = COOKIE_SECRET, time = Math.floor(Date.now() / 1000) }) {
  return (await library(release, { do: 'make', form, secret, name, value, time })).cookie;
}

// What that library reads in a cookie: `value` and `time`, or nulls when it refuses the cookie.
export function readCookie(release, form, { name, cookie, secret = COOKIE_SECRET }) {
  return library(release, { do: 'read', form, secret, name, cookie });
}

async function library(release, command) {
  const running = promisify(execFile)(python(release), [COOKIES]);
  running.child.stdin.end(JSON.stringify(command));
  return JSON.parse((await running).stdout);
}
