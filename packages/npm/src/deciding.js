// From a request to a decision: the loop around the module, and what has to be done with every decision.

import { Instance, InstanceFailed } from "./module.js";
import { send } from "./outbound.js";
import { Limits } from "./state.js";

// A decision that has asked so often does not end: a login takes five requests at most.
const MOST_REQUESTS = 40;

// The answer when no instance can make one.
const FAILED = {
  outcome: {
    respond: {
      status: 500,
      headers: [["content-type", "text/plain; charset=utf-8"], ["cache-control", "no-store"]],
      body: Buffer.from("The login in front of this application has failed. Try again.\n").toString("base64"),
      counts_as: null,
    },
  },
  ended: [],
};

export class Decider {
  exchanges = new Set();
  #module;
  #configuration;
  #ended;
  #limits;
  #log;
  #instances;
  #turn = 0;

  constructor(module, configuration, first, summary, ended, { instances, log }) {
    this.#module = module;
    this.#configuration = { ...configuration, was_checked: true };
    this.#ended = ended;
    this.#limits = new Limits(summary);
    this.#log = log;
    this.#instances = [first, ...Array(instances - 1).fill(null)];
  }

  /** Decides on a request. Never fails: what cannot be decided on is answered. */
  async decide(message) {
    const wait = this.#limits.waitAt(message.client, message.target.split("?", 1)[0]);
    if (wait > 0) return this.failure(message, { too_many_logins: { retry_after: wait } });
    try {
      const instance = this.#take();
      let answer = instance.begin(message);
      for (let asked = 0; asked < MOST_REQUESTS && "fetch" in answer; asked++) answer = await this.#fetched(instance, answer.fetch);
      if (!("decided" in answer)) throw new InstanceFailed("the module gives no decision");
      return this.#carriedOut(message, answer.decided, instance);
    } catch (error) {
      this.say("error", "instance.trapped", `a request is answered with 500: ${error}`);
      return this.failure(message, "filter");
    }
  }

  /** A page of the module's in place of a decision. */
  failure(message, failure) {
    try {
      const instance = this.#take();
      const { decided } = instance.begin({ ...message, body: null, failure });
      decided.events.forEach((event) => this.#log(event));
      if (!("respond" in decided.outcome)) throw new InstanceFailed("the module gives no page");
      return { ...decided, instance, afterwards: null };
    } catch {
      return FAILED;
    }
  }

  /** To be called when the response is on its way: what ends with it, and what nobody waits for. */
  whenSent({ ended, afterwards, instance }) {
    const sessions = new Set(ended.filter(({ what }) => what === "session").map(({ name }) => name));
    for (const exchange of this.exchanges) if (sessions.has(exchange.session)) exchange.end();
    if (ended.some(({ what }) => what === "account" || what === "provider_session")) for (const exchange of this.exchanges) this.#judge(exchange);
    if (afterwards) void this.#finish(instance, afterwards);
  }

  say(level, code, message) {
    this.#log({ level, code, message });
  }

  #carriedOut(message, decided, instance) {
    decided.events.forEach((event) => this.#log(event));
    this.#ended.remember(decided.ended);
    const counted = decided.outcome.respond?.counts_as ?? null;
    const wait = counted === null ? 0 : this.#limits.count(message.client, counted);
    if (wait === 0) return { ...decided, instance };
    return { ...decided, instance, outcome: this.failure(message, { too_many_logins: { retry_after: wait } }).outcome };
  }

  /** Decides again on an open request; nothing else comes of it. */
  #judge(exchange) {
    try {
      const instance = this.#take();
      const answer = instance.begin({ ...exchange.message, body: null, was_forwarded: true });
      if ("fetch" in answer) instance.forget(answer.fetch.id);
      const forward = answer.decided?.outcome.forward;
      if (forward === undefined || forward.session !== exchange.session) return exchange.end();
      exchange.expire(forward.expires_at);
    } catch {
      exchange.end();
    }
  }

  async #fetched(instance, fetch) {
    return instance.resume(fetch.id, await send(fetch, (address) => instance.admits(fetch.id, address)));
  }

  async #finish(instance, fetch) {
    try {
      for (let asked = 0; asked < MOST_REQUESTS; asked++) {
        const answer = await this.#fetched(instance, fetch);
        if ("finished" in answer) return answer.finished.events.forEach((event) => this.#log(event));
        fetch = answer.fetch;
      }
    } catch (error) {
      this.say("warn", "instance.trapped", `what follows a response is lost: ${error}`);
    }
  }

  #take() {
    const turn = this.#turn++ % this.#instances.length;
    let instance = this.#instances[turn];
    if (!instance?.isUsable) {
      if (instance) this.say("warn", "instance.replaced", "an instance of the login has failed; a new one takes its place");
      instance = new Instance(this.#module, (names, beganAt) => this.#ended.ended(names, beganAt));
      if (!("loaded" in instance.load(this.#configuration))) throw new InstanceFailed("the configuration does not load again");
      this.#instances[turn] = instance;
    }
    return instance;
  }
}
