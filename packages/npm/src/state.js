// What a process remembers: sessions that have ended, open requests, and how often a client has begun a login.

import net from "node:net";

// Names that are remembered, and clients.
const MAX_NAMES = 100_000;
const MAX_CLIENTS = 10_000;
// The longest timer that Node has, nearly.
const LONGEST_MS = 24 * 86_400_000;

export class EndedSessions {
  #once = new Map();
  #since = new Map();

  /** Whether the first name has ended at any time, or one of the others at or after `beganAt`. */
  ended(names, beganAt) {
    const all = [];
    for (let at = 0; at < names.length; at += 16) all.push(names.subarray(at, at + 16).toString("base64url"));
    return this.#once.has(all[0]) || all.slice(1).some((name) => (this.#since.get(name)?.at ?? -1) >= beganAt);
  }

  remember(ended) {
    for (const { name, what, at, until } of ended) {
      const kind = what === "session" || what === "logout_token" ? this.#once : this.#since;
      const known = kind.get(name) ?? { at: 0, until: 0 };
      kind.set(name, { at: Math.max(at, known.at), until: Math.max(until, known.until) });
      if (kind.size > MAX_NAMES) forget(kind);
    }
  }
}

function forget(kind) {
  const now = Date.now() / 1000;
  for (const [name, { until }] of kind) if (until < now) kind.delete(name);
  if (kind.size > MAX_NAMES) kind.delete(kind.keys().next().value);
}

/** A request of a session that may outlive it: a WebSocket, or a response without a length. `end` is called once. */
export class Exchange {
  #end;
  #timer;
  hasEnded = false;

  constructor(message, session, end) {
    this.message = message;
    this.session = session;
    this.#end = end;
  }

  expire(expiresAt) {
    clearTimeout(this.#timer);
    if (expiresAt === null) return;
    this.#timer = setTimeout(() => this.end(), Math.min(Math.max(0, expiresAt * 1000 - Date.now()), LONGEST_MS));
    this.#timer.unref();
  }

  end() {
    if (this.hasEnded) return;
    this.hasEnded = true;
    clearTimeout(this.#timer);
    this.#end();
  }

  close() {
    clearTimeout(this.#timer);
  }
}

export class Limits {
  #perMinute;
  #countedAt;
  #proxies = new net.BlockList();
  #left = new Map();

  constructor({ limits, trusted_proxies: proxies }) {
    this.#perMinute = new Map(limits.map(({ counted, per_minute: most }) => [counted, most]));
    this.#countedAt = new Map(limits.map(({ path, counted }) => [path, counted]));
    for (const network of proxies) {
      const [address, prefix] = network.split("/");
      this.#proxies.addSubnet(address, Number(prefix), family(address));
    }
  }

  /** Seconds that a request for this path has to wait; 0: it may be decided on. */
  waitAt(client, path) {
    const counted = this.#countedAt.get(path);
    return counted === undefined ? 0 : this.#wait(client, counted);
  }

  /** Counts an answer. Seconds to wait when the client has none left; 0: it may have this one. */
  count(client, counted) {
    const wait = this.#wait(client, counted);
    const key = this.#key(client, counted);
    if (wait > 0 || key === null) return wait;
    const left = this.#now(key, counted) - 1;
    this.#left.delete(key);
    if (this.#left.size >= MAX_CLIENTS) this.#left.delete(this.#left.keys().next().value);
    this.#left.set(key, { left, at: performance.now() });
    return 0;
  }

  #wait(client, counted) {
    const key = this.#key(client, counted);
    if (key === null) return 0;
    const left = this.#now(key, counted);
    return left >= 1 ? 0 : Math.max(1, Math.ceil(((1 - left) * 60) / this.#perMinute.get(counted)));
  }

  #now(key, counted) {
    const most = this.#perMinute.get(counted);
    const known = this.#left.get(key);
    return known === undefined ? most : Math.min(most, known.left + ((performance.now() - known.at) * most) / 60_000);
  }

  #key(client, counted) {
    if (client === null || !this.#perMinute.has(counted) || this.#proxies.check(client, family(client))) return null;
    return `${counted} ${network(client)}`;
  }
}

function family(address) {
  return net.isIPv6(address) ? "ipv6" : "ipv4";
}

/** An IPv4 address is a client, and 64 bits of an IPv6 address: who has one address of a network has all of them. */
function network(address) {
  if (!net.isIPv6(address)) return address;
  const [before, after = ""] = address.split("::");
  const [head, tail] = [before, after].map((part) => part.split(":").filter(Boolean));
  const zeros = address.includes("::") ? Array(Math.max(0, 8 - head.length - tail.length)).fill("0") : [];
  return [...head, ...zeros, ...tail].slice(0, 4).join(":");
}
