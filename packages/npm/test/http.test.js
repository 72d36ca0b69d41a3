// The login in Node's http, with a provider and an application of the test's.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, writeFile } from "node:fs/promises";
import { createServer, request as send } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";

import { ConfigurationError, vestibule } from "vestibule";
import { startProvider } from "./provider.js";

// Not exported: the file beside it.
const { Instance } = await import(new URL("./module.js", import.meta.resolve("vestibule")));

let provider, server, origin, folder, events, seen;

const configuration = (more = "") => `
[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5"
client_id = "client-1"
client_secret = "a-secret-of-the-client"
server_metadata_url = "${provider.issuer}/.well-known/openid-configuration"
${more}`;

async function start(more, options = {}) {
  server = createServer();
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const { port } = server.address();
  origin = `http://127.0.0.1:${port}`;
  const config = join(folder, "secrets.toml");
  await writeFile(config, configuration(more));
  const login = await vestibule({ config, port, log: (event) => events.push(event), ...options });
  server.on("request", login.handler(application));
  server.on("upgrade", login.upgrade(live));
}

function application(request, response) {
  seen.push(request.url);
  if (request.url === "/events") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const timer = setInterval(() => response.write("data: 1\n\n"), 20);
    return response.on("close", () => clearInterval(timer));
  }
  if (request.url === "/echo") return request.pipe(response);
  const { headers, rawHeaders, headersDistinct } = request;
  response.writeHead(200, { "Cache-Control": "public, max-age=60" }).end(JSON.stringify({ headers, rawHeaders, distinct: headersDistinct }));
}

function live(request, socket) {
  seen.push(request.url);
  const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  socket.resume().on("end", () => socket.end());
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\nx-user: ${request.headers["x-forwarded-user"]}\r\n\r\n`);
}

class Browser {
  cookies = new Map();

  /** As a browser visits a page; `fetch` would tell that it is a script. */
  get(path, { method = "GET", headers = {}, body } = {}) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const form = body instanceof URLSearchParams ? { "content-type": "application/x-www-form-urlencoded" } : {};
    return new Promise((resolve, reject) => {
      const request = send(origin, { path, method, headers: { accept: "text/html", ...(cookie && { cookie }), ...form, ...headers } });
      request.on("error", reject).end(body?.toString());
      request.on("response", (response) => {
        for (const line of response.headers["set-cookie"] ?? []) {
          const [pair, ...attributes] = line.split("; ");
          const [name, value] = [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)];
          if (attributes.includes("Max-Age=0")) this.cookies.delete(name);
          else this.cookies.set(name, value);
        }
        const text = async () => {
          let all = "";
          for await (const piece of response) all += piece;
          return all;
        };
        const { statusCode: status, headers } = response;
        resolve({ status, headers: { get: (name) => headers[name] }, text, json: async () => JSON.parse(await text()) });
      });
    });
  }

  async logIn(sub = "alice", page = "/reports") {
    const started = await this.get(page);
    assert.equal(started.status, 302);
    const returned = await this.get(`/oauth2callback?${provider.authorize(started.headers.get("location"), sub)}`);
    assert.deepEqual([returned.status, returned.headers.get("location")], [302, page]);
    return this;
  }

  /** Opens a WebSocket; the status, and the socket if there is one. */
  open(path, headers = {}) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const asked = { connection: "upgrade", upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==", origin, cookie };
    return new Promise((resolve, reject) => {
      const request = send(origin + path, { headers: { ...asked, ...headers } });
      request.on("upgrade", (response, socket) => resolve({ status: 101, user: response.headers["x-user"], socket: socket.on("error", () => {}).resume() }));
      request.on("response", (response) => resolve({ status: response.statusCode, headers: response.resume().headers }));
      request.on("error", reject).end();
    });
  }
}

beforeEach(async () => {
  [events, seen] = [[], []];
  provider = await startProvider();
  folder = await mkdtemp(join(tmpdir(), "vestibule-"));
});

afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((stopped) => (server ? server.close(stopped) : stopped()));
  await provider.stop();
});

test("a login ends with a session that the application is told of", async () => {
  await start();
  const browser = await new Browser().logIn("alice", "/reports?year=2026");
  const page = await browser.get("/", { headers: { "x-forwarded-user": "mallory", x_forwarded_user: "eve", "x-kept": "z\u00f6" } });
  const { headers, rawHeaders, distinct } = await page.json();
  assert.equal(headers["x-forwarded-user"], "alice");
  assert.equal(headers["x-forwarded-for"], "127.0.0.1");
  assert.equal(headers["x-kept"], "z\u00f6");
  assert.equal(headers.x_forwarded_user ?? headers.cookie, undefined);
  assert.deepEqual(distinct["x-forwarded-user"], ["alice"]);
  assert.ok(!rawHeaders.includes("mallory") && !rawHeaders.includes("eve"));
  assert.equal(page.headers.get("cache-control"), "public, max-age=60");
  assert.deepEqual(seen, ["/"]);
});

test("a script without a session gets 401, and a path with two readings 400", async () => {
  await start();
  const script = await new Browser().get("/api", { headers: { accept: "application/json" } });
  assert.deepEqual([script.status, script.headers.get("content-type")], [401, "application/problem+json"]);
  const browser = await new Browser().logIn();
  for (const path of ["/a%00b", "/%2e%2e%2fb"]) {
    const status = await new Promise((resolve) => {
      const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
      send(origin, { path, headers: { cookie } }, (response) => resolve(response.resume().statusCode)).end();
    });
    assert.equal(status, 400, path);
  }
  assert.deepEqual(seen, []);
});

test("a logout ends the session, its streams and its WebSockets", async () => {
  await start();
  const [browser, other] = [await new Browser().logIn(), await new Browser().logIn("bob")];
  const old = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  const [socket, kept] = [await browser.open("/live"), await other.open("/live")];
  assert.deepEqual([socket.status, socket.user, kept.user], [101, "alice", "bob"]);
  const stream = await browser.get("/events");
  const ended = [new Promise((closed) => socket.socket.on("close", closed)), assert.rejects(stream.text())];
  assert.equal((await browser.get("/.vestibule/logout")).status, 200);
  await Promise.all(ended);
  assert.equal((await browser.get("/")).status, 302);
  assert.equal((await new Browser().get("/", { headers: { cookie: old } })).status, 302, "the process remembers");
  assert.ok(!kept.socket.destroyed && (await other.get("/")).status === 200);
  kept.socket.destroy();
});

test("a WebSocket is refused before it opens", async () => {
  await start();
  assert.equal((await new Browser().open("/live")).status, 401);
  const browser = await new Browser().logIn();
  assert.equal((await browser.open("/live", { origin: "https://evil.example" })).status, 403);
  assert.ok([400, 401, 403].includes((await browser.open("/live", { upgrade: "h2c" })).status));
  assert.deepEqual(seen, []);
});

test("bodies stream, and that of a callback is read within its limit", async () => {
  await start('[auth.client_kwargs]\nresponse_mode = "form_post"\n');
  const browser = new Browser();
  const location = (await browser.get("/reports")).headers.get("location");
  assert.equal((await browser.get("/oauth2callback", { method: "POST", body: new URLSearchParams({ state: "x".repeat(3_000_000) }) })).status, 413);
  const returned = await browser.get("/oauth2callback", { method: "POST", body: new URLSearchParams(provider.authorize(location, "alice")) });
  // The cookies of the login are only with a visit of the same site.
  assert.equal(returned.status, 303);
  const visited = await browser.get(returned.headers.get("location"));
  assert.deepEqual([visited.status, visited.headers.get("location")], [302, "/reports"]);
  assert.deepEqual(seen, []);
  assert.equal((await browser.get("/")).status, 200);
  const large = "y".repeat(20_000_000);
  assert.equal((await (await browser.get("/echo", { method: "POST", body: large })).text()).length, large.length);
});

test("a provider that is down is a 503, redirects are not followed, and answers are bounded", async () => {
  await start();
  const metadata = "/.well-known/openid-configuration";
  provider.instead[metadata] = { status: 302, headers: { location: `${provider.issuer}/elsewhere` }, data: "" };
  assert.equal((await new Browser().get("/")).status, 502);
  assert.deepEqual(provider.asked, [metadata]);
  provider.instead[metadata] = { data: `{${" ".repeat(2_000_000)}` };
  assert.equal((await new Browser().get("/")).status, 503);
  assert.match(events.at(-1).message, /too large/);
  await provider.stop();
  assert.equal((await new Browser().get("/")).status, 503);
});

test("a trap opens no door", async (context) => {
  await start();
  const browser = await new Browser().logIn();
  context.mock.method(Instance.prototype, "begin", function () {
    this.isUsable = false;
    throw new Error("a trap");
  });
  for (let at = 0; at < 3; at++) assert.equal((await browser.get("/")).status, 500);
  assert.deepEqual(seen, []);
  context.mock.restoreAll();
  assert.equal((await browser.get("/")).status, 200);
});

/** What a peer receives that sends `text` and never ends its own side. */
function exchange(text) {
  const { hostname, port } = new URL(origin);
  return new Promise((done, fail) => {
    let received = "";
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true }, () => socket.write(text));
    socket.on("data", (piece) => (received += piece));
    socket.on("error", fail);
    socket.once("end", () => done(received));
  });
}

const connections = () => new Promise((done, fail) => server.getConnections((error, count) => (error ? fail(error) : done(count))));

test("no name of a field is more than a name", async () => {
  await start("[vestibule]\nlogin = \"optional\"\n");
  for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty"]) {
    const answer = await exchange(`GET / HTTP/1.1\r\nhost: ${new URL(origin).host}\r\n${name}: x\r\nconnection: close\r\n\r\n`);
    assert.match(answer, /^HTTP\/1\.1 200 /, name);
  }
});

test("a refused upgrade is closed, whatever its client goes on to send", async () => {
  await start("");
  const { host } = new URL(origin);
  const open = `GET /live HTTP/1.1\r\nhost: ${host}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`;
  for (const more of ["", "x".repeat(100)]) assert.match(await exchange(open + more), /^HTTP\/1\.1 40[13] /);
  for (let rest = 100; rest > 0 && (await connections()) > 0; rest -= 1) await new Promise((done) => setTimeout(done, 100));
  assert.equal(await connections(), 0);
});

test("logins of one client are limited", async () => {
  await start("[vestibule.limits]\nlogins_per_minute = 2\n");
  const statuses = [];
  for (let at = 0; at < 4; at++) statuses.push((await new Browser().get("/")).status);
  assert.deepEqual(statuses, [302, 302, 429, 429]);
});

test("each client has its own limit, whichever form its address has", async () => {
  let client;
  await start("[vestibule.limits]\nlogins_per_minute = 1\n", { client: () => client });
  const status = async (from) => {
    client = from;
    return (await new Browser().get("/")).status;
  };
  assert.deepEqual([await status("::ffff:192.0.2.1"), await status("::ffff:192.0.2.2"), await status("192.0.2.1")], [302, 302, 429]);
  assert.deepEqual([await status("2001:db8::1"), await status("2001:db8:0:1::1"), await status("2001:db8::2%eth0")], [302, 302, 429]);
});

test("a configuration that cannot be used says why", async () => {
  server = undefined;
  const config = join(folder, "secrets.toml");
  await assert.rejects(vestibule({ config }), (error) => error instanceof ConfigurationError && /cannot be read: ENOENT/.test(error.message));
  await writeFile(config, configuration().replace("client_id =", "client_idd ="));
  await assert.rejects(vestibule({ config, port: 1 }), /auth.client_id/);
  await writeFile(config, configuration().replace('client_secret = "a-secret-of-the-client"', 'client_secret_env = "NOT_THERE"'));
  await assert.rejects(vestibule({ config, port: 1 }), /`NOT_THERE` is not set/);
});
