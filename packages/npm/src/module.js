// The module vestibule-steps.wasm: one instance, one call at a time. docs/hosts/steps.md describes the messages.

import { randomFillSync } from "node:crypto";
import { readFile } from "node:fs/promises";

// As the module has it.
const MAX_MESSAGE_BYTES = 8 << 20;

let compiled;

/** The module, compiled once for a process. */
export function compile() {
  compiled ??= readFile(new URL("./vestibule-steps.wasm", import.meta.url)).then((bytes) => WebAssembly.compile(bytes));
  return compiled;
}

/** The instance trapped, or gave no valid answer. It is not used again. */
export class InstanceFailed extends Error {}

export class Instance {
  #exports;
  isUsable = true;

  /** `ended(names, beganAt)`: whether a session with these names, 16 bytes each, has ended. */
  constructor(module, ended) {
    const memory = (address, length) => new Uint8Array(this.#exports.memory.buffer, address >>> 0, length >>> 0);
    this.#exports = new WebAssembly.Instance(module, {
      env: {
        now: () => BigInt(Math.floor(Date.now() / 1000)),
        ended: (address, length, beganAt) => Number(ended(Buffer.from(memory(address, length)), Number(BigInt.asUintN(64, beganAt)))),
      },
      wasi_snapshot_preview1: {
        random_get: (address, length) => {
          randomFillSync(memory(address, length));
          return 0;
        },
      },
    }).exports;
  }

  load(message) {
    return this.#call("load", message);
  }

  begin(message) {
    return this.#call("begin", message);
  }

  resume(id, result) {
    return this.#call("resume", { id, result });
  }

  /** Whether a request may be sent to this IP address. */
  admits(id, address) {
    const text = Buffer.from(address);
    return this.#entered(() => this.#exports.admits(id, this.#place(text), text.length) === 1);
  }

  /** Gives a request up whose result never comes. */
  forget(id) {
    if (this.isUsable) this.#entered(() => this.#exports.forget(id));
  }

  #call(name, message) {
    const text = Buffer.from(JSON.stringify(message));
    // Before the instance is entered: a client with a long head must not cost it.
    if (text.length > MAX_MESSAGE_BYTES) throw new InstanceFailed(`a message of ${text.length} bytes is too long`);
    const answer = JSON.parse(this.#entered(() => this.#exchange(name, text)));
    if ("malformed" in answer) throw new InstanceFailed(`the module does not read the message: ${answer.malformed}`);
    return answer;
  }

  #entered(call) {
    if (!this.isUsable) throw new InstanceFailed("the instance has trapped in another request");
    // Until the answer is here: after any error, the state of the instance is not known.
    this.isUsable = false;
    let answer;
    try {
      answer = call();
    } catch (error) {
      throw error instanceof InstanceFailed ? error : new InstanceFailed(String(error));
    }
    this.isUsable = true;
    return answer;
  }

  #exchange(name, text) {
    const place = BigInt.asUintN(64, this.#exports[name](this.#place(text), text.length));
    const [address, length] = [Number(place >> 32n), Number(place & 0xffff_ffffn)];
    const answer = Buffer.from(this.#exports.memory.buffer, address, length).toString();
    this.#exports.release(address, length);
    return answer;
  }

  #place(text) {
    const address = this.#exports.alloc(text.length) >>> 0;
    if (address === 0) throw new InstanceFailed(`no room for a message of ${text.length} bytes`);
    new Uint8Array(this.#exports.memory.buffer).set(text, address);
    return address;
  }
}
