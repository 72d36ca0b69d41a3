// A Streamlit app that people can log in to: with its own login, or with vestibule in front of it; and the same
// secrets.toml for both.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { freePort, makeApp, NEWEST, python, startStreamlit } from './streamlit.mjs';
import { COOKIE_SECRET, startEdgeOf } from './vestibule.mjs';

const TEST_APP = fileURLToPath(new URL('streamlit/', import.meta.url));
const CERTIFICATE = fileURLToPath(new URL('streamlit/certificate.py', import.meta.url));

// Starts an app and what is in front of it; `t` ends them.
// release, options: of Streamlit. source, script: see makeApp.
// login: 'vestibule', or 'streamlit' for its own. basePath: of the app. https: with a certificate that nobody knows.
// providers: by their names in secrets.toml; `default` is the unnamed one. They learn of the app here.
// auth, vestibule: further lines of [auth], and from [vestibule] on. secrets: all of secrets.toml instead, by origin.
export async function startStage(t, {
  release = NEWEST, options = {}, source = TEST_APP, script, login = 'vestibule', basePath = '', https = false,
  providers, auth = '', vestibule = '', secrets,
}) {
  const port = await freePort();
  const origin = `${https ? 'https' : 'http'}://localhost:${port}`;
  const url = `${origin}${basePath}`;
  const redirectUri = `${url}/oauth2callback`;
  const text = secrets?.(origin) ?? secretsOf({ redirectUri, providers, auth, vestibule });
  const app = await makeApp({ source, script, secrets: text });
  t.after(app.remove);
  const tls = https ? await certificate(app.folder) : undefined;
  Object.values(providers).forEach((provider) => provider.serve(redirectUri));

  const isOwn = login === 'streamlit';
  const streamlit = await startStreamlit({
    release,
    folder: app.folder,
    port: isOwn ? port : await freePort(),
    options: {
      ...options,
      ...(basePath && { 'server.baseUrlPath': basePath.slice(1) }),
      ...(isOwn && tls && { 'server.sslCertFile': tls.certificate, 'server.sslKeyFile': tls.key }),
    },
  });
  t.after(streamlit.stop);
  if (isOwn) return { url, origin, streamlit };

  const edge = await startEdgeOf({
    config: app.secretsFile,
    upstream: streamlit.url,
    listen: `127.0.0.1:${port}`,
    args: tls ? ['--tls-cert', tls.certificate, '--tls-key', tls.key] : [],
  });
  t.after(edge.stop);
  return { url, origin, streamlit, edge };
}

// What went wrong in the page's scripts. Streamlit's page asks for addresses that there are not, whoever answers.
export function mishaps(seen) {
  return seen.errors.filter((error) => !error.startsWith('Failed to load resource'));
}

function secretsOf({ redirectUri, providers: { default: unnamed, ...named }, auth, vestibule }) {
  return [
    '[auth]',
    `redirect_uri = "${redirectUri}"`,
    `cookie_secret = "${COOKIE_SECRET}"`,
    unnamed?.toml ?? '',
    auth,
    ...Object.entries(named).flatMap(([name, provider]) => [`[auth.${name}]`, provider.toml]),
    '[vestibule]',
    'app = "streamlit"',
    vestibule,
  ].join('\n');
}

async function certificate(folder) {
  const files = { certificate: join(folder, 'certificate.pem'), key: join(folder, 'key.pem') };
  await promisify(execFile)(python(NEWEST), [CERTIFICATE, files.certificate, files.key]);
  return files;
}
