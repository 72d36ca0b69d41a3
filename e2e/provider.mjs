// A provider: oidc-provider as it comes, on loopback, over real HTTP. It refuses prompt=select_account, as it does everywhere.

import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import OidcProvider from 'oidc-provider';

const KEYS = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
};

// What the provider says of whoever logs in under a name. Any password will do.
export function claimsOf(login) {
  return {
    sub: login,
    name: `${login} Example`,
    preferred_username: login,
    email: `${login}@example.com`,
    email_verified: true,
    groups: ['staff', `friends of ${login}`],
  };
}

// A provider for the time of a test; `options` are those of `Provider.listen`.
export async function startProvider(t, options) {
  const provider = await Provider.listen(options);
  t.after(() => provider.stop());
  return provider;
}

// Takes a port first: its issuer is known before the application that it shall know is.
export class Provider {
  // name: of the provider's cookies, since those of two on one host would get in each other's way.
  // alg: of its ID tokens. claimsInUserinfo: ID tokens hold `sub` alone, as OpenID Connect Core section 5.4 has it.
  // claims: what it says of everybody, besides or instead of `claimsOf`. clientSecret: instead of the one below.
  // settings: further lines of the configuration's table for it.
  static async listen({ name, alg = 'RS256', claimsInUserinfo = false, claims = {}, ...options }) {
    const provider = new Provider();
    Object.assign(provider, options, { name, alg, claimsInUserinfo, claims, key: KEYS[alg]().privateKey.export({ format: 'jwk' }) });
    await provider.#open(0);
    provider.issuer = `http://127.0.0.1:${provider.server.address().port}`;
    return provider;
  }

  settings = '';
  clientId = 'app';
  clientSecret = 'secret of the app: 100% & more';

  get metadataUrl() {
    return `${this.issuer}/.well-known/openid-configuration`;
  }

  // The lines of the configuration's table for this provider.
  get toml() {
    return [
      `client_id = ${JSON.stringify(this.clientId)}`,
      `client_secret = ${JSON.stringify(this.clientSecret)}`,
      `server_metadata_url = ${JSON.stringify(this.metadataUrl)}`,
      this.settings,
    ].join('\n');
  }

  // Registers applications by their redirect URIs and begins to answer.
  serve(...redirectUris) {
    this.oidc = new OidcProvider(this.issuer, {
      clients: [{
        client_id: this.clientId,
        client_secret: this.clientSecret,
        redirect_uris: redirectUris,
        post_logout_redirect_uris: redirectUris,
        id_token_signed_response_alg: this.alg,
      }],
      jwks: { keys: [{ ...this.key, kid: `${this.name}-1`, use: 'sig', alg: this.alg }] },
      enabledJWA: { idTokenSigningAlgValues: [this.alg] },
      cookies: {
        keys: ['a key that is no secret'],
        names: { session: `${this.name}_session`, interaction: `${this.name}_interaction`, resume: `${this.name}_resume` },
      },
      claims: { openid: ['sub'], profile: ['name', 'preferred_username', 'groups'], email: ['email', 'email_verified'] },
      conformIdTokenClaims: this.claimsInUserinfo,
      findAccount: (_context, accountId) => ({ accountId, claims: () => ({ ...claimsOf(accountId), ...this.claims }) }),
    });
    this.answer = this.oidc.callback();
  }

  // As an outage: the port is closed, and connections are cut.
  async stop() {
    await new Promise((resolve) => {
      this.server.close(resolve);
      this.server.closeAllConnections();
    });
  }

  // At the same address again, with the same keys and sessions.
  async start() {
    await this.#open(Number(new URL(this.issuer).port));
  }

  async #open(port) {
    this.server = createServer((request, response) => this.answer(request, response));
    this.server.listen(port, '127.0.0.1');
    await once(this.server, 'listening');
  }
}
