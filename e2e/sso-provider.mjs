// A provider that asks nothing: whoever comes is logged in as the same user, without a page. Such a provider can log in
// inside a frame, where stock providers refuse to show their pages.

import assert from 'node:assert/strict';
import { createHash, createSign, generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

// `authorizations` counts the logins. `serve` registers the application by its redirect URIs.
export async function startSsoProvider(t, claims) {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const client = { id: 'app', secret: randomBytes(24).toString('hex'), redirectUris: [] };
  const codes = new Map();
  const server = createServer((request, response) => {
    answer(request).then(
      ({ status = 200, headers = {}, json }) => {
        response.writeHead(status, { 'cache-control': 'no-store', 'content-type': 'application/json', ...headers });
        response.end(json && JSON.stringify(json));
      },
      (error) => response.writeHead(400, { 'content-type': 'application/json' })
        .end(JSON.stringify({ error: 'invalid_request', error_description: error.message })),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = {
    issuer,
    authorizations: 0,
    serve: (...redirectUris) => client.redirectUris.push(...redirectUris),
    toml: [
      `client_id = "${client.id}"`,
      `client_secret = "${client.secret}"`,
      `server_metadata_url = "${issuer}/.well-known/openid-configuration"`,
    ].join('\n'),
  };
  return provider;

  async function answer(request) {
    const url = new URL(request.url, issuer);
    switch (`${request.method} ${url.pathname}`) {
      case 'GET /.well-known/openid-configuration':
        return { json: metadata(issuer) };
      case 'GET /jwks':
        return { json: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'sso-1', use: 'sig', alg: 'RS256' }] } };
      case 'GET /authorize':
        return authorize(Object.fromEntries(url.searchParams));
      case 'POST /token':
        return token(Object.fromEntries(new URLSearchParams(await text(request))));
      default:
        return { status: 404, json: { error: 'not_found' } };
    }
  }

  function authorize(asked) {
    assert.equal(asked.client_id, client.id, 'client_id');
    assert.ok(client.redirectUris.includes(asked.redirect_uri), `redirect_uri ${asked.redirect_uri}`);
    assert.equal(asked.response_type, 'code', 'response_type');
    assert.equal(asked.code_challenge_method, 'S256', 'code_challenge_method');
    provider.authorizations += 1;
    const code = randomBytes(16).toString('hex');
    codes.set(code, asked);
    const location = new URL(asked.redirect_uri);
    Object.entries({ code, state: asked.state, iss: issuer }).forEach(([name, value]) => location.searchParams.set(name, value));
    return { status: 303, headers: { location: location.href } };
  }

  function token(given) {
    assert.equal(given.grant_type, 'authorization_code', 'grant_type');
    assert.equal(given.client_id, client.id, 'client_id');
    assert.equal(given.client_secret, client.secret, 'client_secret');
    const asked = codes.get(given.code);
    assert.ok(asked && codes.delete(given.code), 'code');
    assert.equal(given.redirect_uri, asked.redirect_uri, 'redirect_uri');
    assert.equal(createHash('sha256').update(given.code_verifier).digest('base64url'), asked.code_challenge, 'code_verifier');
    const iat = Math.floor(Date.now() / 1000);
    const idToken = signed({ iss: issuer, aud: client.id, iat, exp: iat + 300, auth_time: iat, nonce: asked.nonce, ...claims });
    return { json: { access_token: randomBytes(16).toString('hex'), token_type: 'Bearer', expires_in: 300, id_token: idToken } };
  }

  function signed(payload) {
    const parts = [{ alg: 'RS256', kid: 'sso-1', typ: 'JWT' }, payload];
    const input = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    return `${input}.${createSign('RSA-SHA256').update(input).sign(privateKey, 'base64url')}`;
  }
}

function metadata(issuer) {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: ['client_secret_post'],
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
  };
}

async function text(request) {
  const chunks = await request.toArray();
  return Buffer.concat(chunks).toString();
}
