// The login for Node's http.

import { readFile, stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";

import { Decider } from "./deciding.js";
import { connect, finish, forward, message, read, refuse, respond } from "./http.js";
import { Instance, compile } from "./module.js";
import { EndedSessions } from "./state.js";

// As the module has it.
const MAX_BYTES = 1 << 20;

export class ConfigurationError extends Error {
  constructor(faults) {
    super(faults.map(text).join("\n"));
    this.name = "ConfigurationError";
    this.faults = faults;
  }
}

export async function vestibule(given = {}) {
  const options = {
    config: "secrets.toml",
    port: null,
    instances: 2,
    singleProcess: false,
    client: (request) => request.socket.remoteAddress ?? null,
    tls: (request) => request.socket.encrypted === true,
    log: (event) => event.level !== "debug" && console.error(`vestibule ${event.level.toUpperCase()} ${event.code}: ${event.message}`),
    ...given,
  };
  const ended = new EndedSessions();
  const module = await compile();
  const first = new Instance(module, (names, beganAt) => ended.ended(names, beganAt));
  const configuration = await complete(first, options);
  const answer = first.load(configuration);
  if (!("loaded" in answer)) throw new ConfigurationError(answer.faults ?? []);
  const { loaded: summary } = answer;
  for (const fault of summary.warnings) options.log({ level: "warn", code: "configuration.fault", message: text(fault) });
  const decider = new Decider(module, configuration, first, summary, ended, options);
  return {
    warnings: summary.warnings,
    handler: (application) => (request, response) => void serve(application, decider, options, request, response).catch((error) => failed(decider, error, response)),
    upgrade: (application) => (request, socket, head) => void open(application, decider, options, request, socket, head).catch((error) => failed(decider, error, socket)),
  };
}

/** What nobody expects ends its exchange, and not the process. */
function failed(decider, error, exchange) {
  decider.say("error", "host.failed", `an exchange has failed: ${error?.message ?? error}`);
  exchange.destroy();
}

async function serve(application, decider, options, request, response) {
  const asked = message(request, options, false);
  let decided = await decider.decide(asked);
  if ("need_body" in decided.outcome) {
    const { body, failure } = await read(request, decided.outcome.need_body);
    if (failure === null) return;
    if (failure !== undefined) {
      response.setHeader("connection", "close");
      return respond(decider, decider.failure(asked, failure), response);
    }
    decided = await decider.decide({ ...asked, body: body.toString("base64") });
    // Its body is read: no request goes on without it.
    if (!("respond" in decided.outcome)) decided = decider.failure(asked, "filter");
  }
  if ("respond" in decided.outcome) return respond(decider, decided, response);
  if (!("forward" in decided.outcome)) return respond(decider, decider.failure(asked, "filter"), response);
  await forward(application, decider, decided, asked, request, response);
}

async function open(application, decider, options, request, socket, head) {
  // Of a client that leaves while it is decided on.
  socket.on("error", () => socket.destroy());
  const asked = message(request, options, request.headers.upgrade?.toLowerCase() === "websocket");
  let decided = await decider.decide(asked);
  // Another protocol is a way past the decision.
  if (!asked.websocket && !("respond" in decided.outcome)) return finish(socket, "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
  if ("forward" in decided.outcome) return connect(application, decider, decided, asked, request, socket, head);
  if (!("respond" in decided.outcome)) decided = decider.failure(asked, "filter");
  refuse(decider, decided, socket);
}

/** The message for `load`, references resolved. */
async function complete(instance, { config, port, singleProcess }) {
  const file = resolve(config);
  const configuration = { file_name: basename(file), toml: await content(file), resolved: [], port, remembers_ended: singleProcess };
  const answer = instance.load(configuration);
  for (const reference of answer.unresolved ?? []) {
    // What cannot be read is left out: the module then names the line that asks for it.
    const value = "file" in reference ? content(resolve(dirname(file), reference.file)).then((read) => read.replace(/[\r\n]+$/, ""), () => null) : process.env[reference.environment];
    configuration.resolved.push({ reference, value: (await value) ?? null });
  }
  return configuration;
}

async function content(file) {
  const unreadable = (problem, remedy) => new ConfigurationError([{ file, line: 0, key: "(file)", problem, remedy, fatal: true }]);
  let bytes;
  try {
    if ((await stat(file)).size > MAX_BYTES) throw unreadable("the file is larger than 1 MiB", "give the file that holds [auth]");
    bytes = await readFile(file);
  } catch (error) {
    throw error instanceof ConfigurationError ? error : unreadable(`cannot be read: ${error.code}`, "write the path of a file that this process may read");
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw unreadable("is not UTF-8", "save the file as UTF-8");
  }
}

function text({ file, line, key, problem, remedy, fatal }) {
  return `${file}:${line}: ${fatal ? "error" : "warning"}: ${key}: ${problem}; ${remedy}`;
}
