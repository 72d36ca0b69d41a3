// An OpenID Provider that does what a test wants of it, on a port of this machine.

import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { createServer } from "node:http";

const b64 = (data) => Buffer.from(data).toString("base64url");

export async function startProvider() {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const codes = new Map();
  const provider = { asked: [], instead: {} };
  const token = (claims) => {
    const signed = `${b64(JSON.stringify({ alg: "EdDSA", kid: "1" }))}.${b64(JSON.stringify(claims))}`;
    return `${signed}.${b64(sign(null, Buffer.from(signed), privateKey))}`;
  };
  const answer = (path, form) => {
    const { issuer } = provider;
    if (path === "/.well-known/openid-configuration") {
      return {
        issuer,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        jwks_uri: `${issuer}/jwks`,
        authorization_response_iss_parameter_supported: true,
      };
    }
    if (path === "/jwks") return { keys: [{ ...publicKey.export({ format: "jwk" }), alg: "EdDSA", use: "sig", kid: "1" }] };
    const issued = codes.get(form.get("code"));
    if (path !== "/token" || createHash("sha256").update(form.get("code_verifier")).digest("base64url") !== issued.challenge) return null;
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: issuer, aud: "client-1", sub: issued.sub, nonce: issued.nonce, iat: now, exp: now + 300 };
    return { access_token: "access", token_type: "Bearer", id_token: token(claims) };
  };
  const server = createServer(async (request, response) => {
    provider.asked.push(request.url);
    let body = "";
    for await (const piece of request) body += piece;
    const { status = 200, headers = {}, data } = provider.instead[request.url] ?? {};
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(data ?? JSON.stringify(answer(request.url, new URLSearchParams(body))));
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  provider.issuer = `http://127.0.0.1:${server.address().port}`;
  /** The user logs in; returns the query of the callback. */
  provider.authorize = (location, sub) => {
    const asked = new URL(location).searchParams;
    const code = `code-${codes.size}`;
    codes.set(code, { sub, nonce: asked.get("nonce"), challenge: asked.get("code_challenge") });
    return new URLSearchParams({ code, state: asked.get("state"), iss: provider.issuer }).toString();
  };
  provider.stop = () => {
    server.closeAllConnections();
    return new Promise((stopped) => server.close(stopped));
  };
  return provider;
}
