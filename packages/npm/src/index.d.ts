import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/** A fault in the configuration: where it is, what is wrong, and what to write instead. */
export interface Fault {
  file: string;
  /** From 1; 0 when something is absent from the file as a whole. */
  line: number;
  key: string;
  problem: string;
  remedy: string;
  /** `false`: a warning, the configuration works. */
  fatal: boolean;
}

/** An event for the log. `code` is stable; docs/log.md lists the codes. */
export interface Event {
  level: "debug" | "info" | "warn" | "error";
  code: string;
  message: string;
  [detail: string]: unknown;
}

export interface Options {
  /** The path of the configuration; `secrets.toml` by default. */
  config?: string;
  /** Replaces `{port}` in `redirect_uri`. */
  port?: number;
  /** Instances of the module, at most; 2 by default. */
  instances?: number;
  /** This process is the only one that serves the application: logouts everywhere, and those that come from the provider, are accepted; else they get 501. */
  singleProcess?: boolean;
  /** The client's address, where the server knows it better than the connection does; `null`: not known. */
  client?: (request: IncomingMessage) => string | null;
  /** Whether a request came with TLS, where the server knows it better than the connection does. */
  tls?: (request: IncomingMessage) => boolean;
  /** Receives each event; by default, those from `info` on are lines of standard error. */
  log?: (event: Event) => void;
}

export interface Login {
  /** Warnings about the configuration. */
  readonly warnings: Fault[];
  /** The listener for `request`: decides on each request, and gives `application` those that may pass. */
  handler(application: (request: IncomingMessage, response: ServerResponse) => unknown): (request: IncomingMessage, response: ServerResponse) => void;
  /** The listener for `upgrade`: decides on each WebSocket. A server without it must not have another listener for `upgrade`. */
  upgrade(application: (request: IncomingMessage, socket: Duplex, head: Buffer) => unknown): (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

/** Reads the configuration. Rejects with `ConfigurationError` when it cannot be used. */
export function vestibule(options?: Options): Promise<Login>;

export class ConfigurationError extends Error {
  readonly faults: Fault[];
}
