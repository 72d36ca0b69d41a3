// The hosts, each started as an operator would: with a configuration, in front of an application.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const WORK = join(ROOT, 'target/wasi-hosts');
// Compiling a component takes a second; a machine that is busy with other builds needs many.
const START_SECONDS = 180;
// Hosts have no event that says that they listen.
const LOOK_MS = 100;

const artefact = (name) => {
  const path = join(ROOT, 'dist', name);
  if (!existsSync(path)) throw new Error(`${path} is not there; run \`make build\``);
  return path;
};
const tool = (name) => join(ROOT, 'target/tools/bin', name);

// The middleware and an application, as one component.
function composed(middleware) {
  mkdirSync(WORK, { recursive: true });
  const output = join(WORK, `composed-${middleware}`);
  const plug = spawnSync(tool('wac'), ['plug', '--plug', artefact('vestibule-relay.wasm'), artefact(middleware), '-o', output]);
  if (plug.status !== 0) throw new Error(`wac failed: ${plug.error ?? plug.stderr}; run \`scripts/check-wasi-hosts.sh\``);
  return output;
}

const variables = (env) => Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]);

const wasmtime = (component, extra) => ({ address, env, folder, args = [], upstream }) => ({
  program: tool('wasmtime'),
  args: [
    'serve', '--addr', address, '-S', 'cli', '--idle-instance-timeout', '60s', ...args, ...(folder ? ['--dir', `${folder}::/`] : []),
    ...variables({ ...env, ...extra(upstream) }), component(),
  ],
});

export const HOSTS = {
  middleware: {
    title: 'middleware in wasmtime serve',
    command: wasmtime(() => composed('vestibule-middleware.wasm'), (upstream) => ({ APPLICATION: upstream })),
    // The configuration needs no upstream: the application is in the same file.
    needsUpstream: false,
    mounts: true,
    trailers: true,
    breaksOff: true,
    reuse: [],
  },
  proxy: {
    title: 'proxy in wasmtime serve',
    command: wasmtime(() => artefact('vestibule-proxy.wasm'), () => ({})),
    needsUpstream: true,
    mounts: true,
    trailers: true,
    breaksOff: true,
    // By itself, wasmtime makes an instance of 0.2 for each request.
    reuse: ['--max-instance-reuse-count', '1000'],
  },
  jco: {
    title: 'proxy in jco serve',
    command: ({ address, env }) => ({
      program: join(ROOT, 'e2e/wasi/node_modules/.bin/jco'),
      args: [
        'serve', '--host', address.split(':')[0], '--port', address.split(':')[1],
        '--jco-dir', join(WORK, `jco-${address.split(':')[1]}`), artefact('vestibule-proxy.wasm'),
      ],
      env,
    }),
    needsUpstream: true,
    mounts: false,
    trailers: false,
    // It ends every body.
    breaksOff: false,
    oneInstance: true,
    reuse: [],
  },
};

// Names of the interfaces that an artefact imports, without their versions.
export function imports(name) {
  const { status, stdout, stderr } = spawnSync(join(ROOT, 'e2e/wasi/node_modules/.bin/jco'), ['wit', artefact(name)], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`jco cannot read ${name}: ${stderr}`);
  return [...stdout.matchAll(/^ *import ([^@;]+)/gm)].map(([, name]) => name).sort();
}

// The same with wasi:config, of which `config` are the values.
export const WITH_CONFIG = {
  middleware: wasmtime(() => composed('vestibule-middleware-config.wasm'), (upstream) => ({ APPLICATION: upstream })),
  proxy: wasmtime(() => artefact('vestibule-proxy-config.wasm'), () => ({})),
};

export const configVariables = (values) =>
  ['-S', 'config', ...Object.entries(values).flatMap(([name, value]) => ['-S', `config-var=${name}=${value}`])];

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

// Starts a host. `toml` goes by the environment, `file` by a mounted folder; `{origin}` in either is where it listens.
export async function start(host, { toml, file, env = {}, upstream, args }) {
  const address = `127.0.0.1:${await freePort()}`;
  const origin = `http://${address}`;
  const placed = (text) => text.replaceAll('{origin}', origin);
  mkdirSync(WORK, { recursive: true });
  const folder = file === undefined ? undefined : await mkdtemp(join(WORK, 'configuration-'));
  if (folder) await writeFile(join(folder, 'secrets.toml'), placed(file));
  const all = { ...env, ...(toml === undefined ? {} : { VESTIBULE_CONFIG: placed(toml) }) };
  const command = host.command({ address, env: all, folder, args: args?.map(placed), upstream });
  // A group of its own: jco starts a process that does not end with it.
  const child = spawn(command.program, command.args, {
    env: { ...process.env, ...command.env }, detached: true, stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = [];
  child.stdout.on('data', (text) => log.push(String(text)));
  child.stderr.on('data', (text) => log.push(String(text)));
  let ended;
  child.on('error', (error) => { ended = `${command.program} cannot be started: ${error.message}; run \`scripts/check-wasi-hosts.sh\``; });
  child.on('exit', (code) => { ended ??= `it ended with ${code}`; });
  const running = {
    origin,
    log: () => log.join(''),
    // Of all its processes together, in bytes, at the highest since they started.
    peakMemory: () => group(child.pid).reduce((sum, pid) => sum + highWater(pid), 0),
    async stop() {
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended already.
      }
      if (folder) await rm(folder, { recursive: true, force: true });
    },
  };
  const limit = Date.now() + START_SECONDS * 1000;
  while (!(await listens(origin))) {
    if (ended || Date.now() > limit) {
      await running.stop();
      throw new Error(`${host.title}: ${ended ?? 'it does not listen'}\n${running.log()}`);
    }
    await delay(LOOK_MS);
  }
  return running;
}

async function listens(origin) {
  try {
    await fetch(`${origin}/.vestibule/user`, { redirect: 'manual' }).then((response) => response.arrayBuffer());
    return true;
  } catch {
    return false;
  }
}

// The processes of a group. The third field behind the name, which may have spaces, is the group (proc(5)).
function group(leader) {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
  return processes.filter((pid) => Number(stat(pid).split(') ').at(-1).split(' ')[2]) === leader);
}

function stat(pid) {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    // It has ended meanwhile.
    return '';
  }
}

function highWater(pid) {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

// The development provider; resolves to its issuer.
export async function startProvider() {
  const program = join(ROOT, 'target/release/examples/serve');
  const child = spawn(program, [], { stdio: ['ignore', 'pipe', 'inherit'] });
  const issuer = await new Promise((resolve, reject) => {
    child.on('error', () => reject(new Error(`${program} is not there; run \`cargo build --release --workspace --examples\``)));
    child.stdout.once('data', (line) => resolve(String(line).trim()));
  });
  return { issuer, stop: () => child.kill('SIGKILL') };
}
