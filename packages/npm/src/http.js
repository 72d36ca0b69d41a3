// Requests and responses of Node's http.

import { STATUS_CODES } from "node:http";

import { pairs } from "./outbound.js";
import { Exchange } from "./state.js";

// For a body that the decision needs: a form that a provider has the browser send.
const BODY_MS = 30_000;

/** The message for `begin`. */
export function message(request, options, websocket) {
  // An IPv4 address that an IPv6 socket shows as IPv6 is one.
  const client = options.client(request)?.split("%")[0].replace(/^::ffff:(?=\d+\.)/i, "") ?? null;
  return { method: request.method, target: request.url, headers: pairs(request.rawHeaders), websocket, tls: options.tls(request), client };
}

/** Reads a body of at most so many bytes; or a `failure`, `null` when the client is gone. */
export function read(request, limit) {
  return new Promise((resolve) => {
    const pieces = [];
    let length = 0;
    const timer = setTimeout(() => end({ failure: "body_too_slow" }), BODY_MS);
    const end = (result) => {
      clearTimeout(timer);
      request.removeListener("data", take);
      resolve(result);
    };
    const take = (piece) => {
      length += piece.length;
      if (length > limit) return end({ failure: "body_too_large" });
      pieces.push(piece);
    };
    request.on("data", take);
    request.once("end", () => end({ body: Buffer.concat(pieces) }));
    request.once("close", () => end({ failure: null }));
  });
}

/** Gives the request the header fields of the decision, all of them. */
export function edit(request, fields) {
  request.rawHeaders = fields.flat();
  // No objects while names are looked up: a client may call a field `constructor` or `__proto__`.
  const joined = new Map();
  const apart = new Map();
  for (const [given, value] of fields) {
    const name = given.toLowerCase();
    if (!apart.has(name)) apart.set(name, []);
    apart.get(name).push(value);
    if (name === "set-cookie") joined.set(name, apart.get(name));
    else if (!joined.has(name)) joined.set(name, value);
    // As Node joins them; of those that it does not join, the first stands.
    else if (!FIRST.has(name)) joined.set(name, joined.get(name) + (name === "cookie" ? "; " : ", ") + value);
  }
  const [headers, distinct] = [Object.fromEntries(joined), Object.fromEntries(apart)];
  Object.defineProperties(request, {
    headers: { value: headers, writable: true, configurable: true, enumerable: true },
    headersDistinct: { value: distinct, writable: true, configurable: true, enumerable: true },
  });
}

const FIRST = new Set(
  "age authorization content-length content-type etag expires from host if-modified-since if-unmodified-since last-modified location max-forwards proxy-authorization referer retry-after server user-agent".split(" "),
);

export function respond(decider, decided, response) {
  const { status, headers, body } = decided.outcome.respond;
  if (!response.destroyed) {
    response.writeHead(status, headers.flat());
    response.end(Buffer.from(body, "base64"));
  }
  decider.whenSent(decided);
}

export function forward(application, decider, decided, asked, request, response) {
  const { headers, response: edits, expires_at: expiresAt, session } = decided.outcome.forward;
  edit(request, headers);
  const exchange = new Exchange(asked, session, () => {
    decider.say("info", "response.session_ended", "ended an open response: its session has ended");
    // Without an end, so that it cannot be taken for whole.
    response.destroy();
  });
  const close = () => {
    exchange.close();
    decider.exchanges.delete(exchange);
  };
  const writeHead = response.writeHead;
  response.writeHead = function (status, ...rest) {
    response.writeHead = writeHead;
    const given = rest.find((item) => typeof item === "object" && item !== null);
    const reason = typeof rest[0] === "string" ? [rest[0]] : [];
    take(response, given);
    for (const name of edits.remove) response.removeHeader(name);
    for (const [name, value] of edits.add) response.appendHeader(name, value);
    // Its end is in sight.
    if (response.hasHeader("content-length") || status === 204 || status === 304) close();
    return writeHead.call(response, status, ...reason);
  };
  if (session !== null) {
    decider.exchanges.add(exchange);
    exchange.expire(expiresAt);
    response.once("close", close);
  }
  decider.whenSent(decided);
  return application(request, response);
}

/** The header fields that `writeHead` is given, in each of its forms. */
function take(response, given) {
  if (given === undefined) return;
  if (!Array.isArray(given)) {
    for (const [name, value] of Object.entries(given)) if (value !== undefined) response.setHeader(name, value);
    return;
  }
  const lines = Array.isArray(given[0]) ? given : pairs(given);
  for (const [name] of lines) response.removeHeader(name);
  for (const [name, value] of lines) response.appendHeader(name, value);
}

const FAREWELL_MS = 5_000;

/** The last that a socket says after an upgrade was asked for: from then on, Node neither reads it nor closes it by itself. */
export function finish(socket, bytes) {
  socket.on("error", () => socket.destroy());
  socket.resume();
  socket.end(bytes, () => socket.destroySoon());
  setTimeout(() => socket.destroy(), FAREWELL_MS).unref();
}

/** Answers in place of an upgrade. */
export function refuse(decider, decided, socket) {
  const { status, headers, body } = decided.outcome.respond;
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  finish(socket, Buffer.concat([Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines}connection: close\r\n\r\n`, "latin1"), Buffer.from(body, "base64")]));
  decider.whenSent(decided);
}

export function connect(application, decider, decided, asked, request, socket, head) {
  const { headers, expires_at: expiresAt, session } = decided.outcome.forward;
  edit(request, headers);
  if (session !== null) {
    const exchange = new Exchange(asked, session, () => {
      decider.say("info", "upgrade.session_ended", "closed an upgraded connection: its session has ended");
      socket.destroy();
    });
    decider.exchanges.add(exchange);
    exchange.expire(expiresAt);
    socket.once("close", () => {
      exchange.close();
      decider.exchanges.delete(exchange);
    });
  }
  decider.whenSent(decided);
  return application(request, socket, head);
}
