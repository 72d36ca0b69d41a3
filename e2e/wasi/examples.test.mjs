// Each run.sh of examples/ that docs/ names, as a person runs it: started, logged in at, stopped by Ctrl-C.
// `node --test examples.test.mjs`; EXAMPLES=jco,nginx chooses.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { exchange, Visitor } from './visitor.mjs';

const ORIGIN = 'http://127.0.0.1:8501';
const EXAMPLES = (process.env.EXAMPLES ?? 'envoy,traefik,caddy,nginx,wasmtime-serve,jco').split(',');
// A script may have to build what it runs.
const START_SECONDS = 600;
// Hosts have no event that says that they listen, or that they do not any more.
const LOOK_MS = 200;
const STOP_SECONDS = 30;

const answers = () => exchange(`${ORIGIN}/.vestibule/user`).then((response) => response.status === 200, () => false);
const listens = () => exchange(ORIGIN).then(() => true, () => false);

async function until(condition, seconds, complaint) {
  const limit = Date.now() + seconds * 1000;
  while (!(await condition())) {
    if (Date.now() > limit) throw new Error(complaint());
    await delay(LOOK_MS);
  }
}

describe('the examples', { concurrency: 1 }, () => {
  for (const example of EXAMPLES) {
    test(`examples/${example}/run.sh`, async () => {
      assert.ok(!(await listens()), `something listens at ${ORIGIN} already; stop it`);
      const script = fileURLToPath(new URL(`../../examples/${example}/run.sh`, import.meta.url));
      const child = spawn(script, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
      const log = [];
      child.stdout.on('data', (text) => log.push(String(text)));
      child.stderr.on('data', (text) => log.push(String(text)));
      const closed = once(child, 'close');
      try {
        await until(answers, START_SECONDS, () => `it does not answer\n${log.join('')}`);
        const visitor = new Visitor();
        const back = await visitor.logIn(`${ORIGIN}/about?x=1`, 'alice');
        assert.equal(new URL(back.headers.location, ORIGIN).href, `${ORIGIN}/about?x=1`, log.join(''));
        const user = JSON.parse((await visitor.open(`${ORIGIN}/.vestibule/user`)).text);
        assert.equal(user.email, 'alice@example.com');
        const page = await visitor.open(`${ORIGIN}/`);
        assert.equal(page.status, 200, page.text);
        // jco's application is the provider, which shows no headers.
        if (example !== 'jco') assert.match(page.text, /alice@example\.com/);
      } finally {
        // As a terminal does: to every process of the group.
        process.kill(-child.pid, 'SIGINT');
        await until(async () => !(await listens()), STOP_SECONDS, () => `it does not stop\n${log.join('')}`);
        await closed;
      }
    });
  }
});
