// The program under test, started as an operator would.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../dist/vestibule', import.meta.url));
const DEMO = fileURLToPath(new URL('../target/release/vestibule-demo', import.meta.url));
// It takes a moment; on a machine that is busy with other builds, many.
const START_SECONDS = 120;

export const COOKIE_SECRET = 'd41c6f03b9e85a72f06b1d94ce7388a5290fe3b71c46d80e';

// `vestibule serve` with a configuration of its own, in front of `upstream`. `{port}` in it is the port it listens on.
// `args` are further arguments.
export async function startEdge({ toml, ...options }) {
  const folder = await mkdtemp(join(tmpdir(), 'vestibule-e2e-'));
  const config = join(folder, 'secrets.toml');
  await writeFile(config, toml, { mode: 0o600 });
  const edge = await startEdgeOf({ config, ...options });
  return { ...edge, stop: () => edge.stop().finally(() => rm(folder, { recursive: true, force: true })) };
}

// The same with a configuration that is there, by its path.
export function startEdgeOf({ config, upstream, listen = '127.0.0.1:0', args = [] }) {
  return start(PROGRAM, ['serve', '--config', config, '--listen', listen, '--upstream', upstream, '--grace', '1', ...args]);
}

// `vestibule-demo`.
export function startDemo() {
  return start(DEMO, ['--listen', '127.0.0.1:0']);
}

// Resolves when the program listens. `log` holds what it has logged so far, an object per line.
async function start(program, args) {
  const child = spawn(program, [...args, '--log', 'json'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'exit');
  child.stdout.resume();
  const log = [];
  const address = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`vestibule did not listen within ${START_SECONDS} s`)), START_SECONDS * 1000);
    child.on('error', (error) => reject(new Error(`${program} cannot be started (${error.message}); run \`make build\``)));
    ended.then(([code]) => reject(new Error(`vestibule ended with ${code}:\n${log.map((line) => line.text).join('\n')}`)));
    createInterface({ input: child.stderr }).on('line', (text) => {
      const line = parsed(text);
      log.push({ ...line, text });
      if (line.code === 'listener.listening') {
        clearTimeout(timer);
        resolve(line.address);
      }
    });
  });
  return {
    url: `http://${address}`,
    log,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
