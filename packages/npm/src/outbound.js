// Requests to providers: only those that the module names, to addresses that it admits, within their time and their size. Node's own
// client follows no redirect, keeps no cookie and decompresses nothing.

import dns from "node:dns";
import http from "node:http";
import https from "node:https";
import net from "node:net";

class NotAdmitted extends Error {}

/** The `result` for `resume`. `admits(address)`: whether the request may be sent to an IP address. */
export function send(fetch, admits) {
  return new Promise((resolve) => {
    const url = new URL(fetch.url);
    const headers = {};
    for (const [name, value] of fetch.headers) headers[name] = [...(headers[name] ?? []), value];
    const body = Buffer.from(fetch.body, "base64");
    if (fetch.method === "POST") headers["content-length"] = [String(body.length)];
    const host = url.hostname.replace(/^\[|\]$/g, "");
    let done = false;
    let address = null;
    const end = (result) => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      request?.destroy();
      resolve(result);
    };
    let request;
    const timer = setTimeout(() => end("timed_out"), fetch.timeout_ms);
    if (net.isIP(host) && !admits(host)) return end("not_allowed");
    const client = url.protocol === "https:" ? https : http;
    // A connection of its own: it is judged for this request.
    request = client.request(url, { method: fetch.method, headers, agent: false, lookup: (name, options, back) => judged(name, options, admits, back) });
    request.on("socket", (socket) => socket.once("connect", () => (address = socket.remoteAddress?.split("%")[0] ?? null)));
    request.on("error", (error) => {
      if (error instanceof NotAdmitted || error.cause instanceof NotAdmitted) return end("not_allowed");
      end(error.code?.startsWith("HPE_") ? { protocol: words(error) } : { unreachable: words(error) });
    });
    request.on("response", (response) => {
      const pieces = [];
      let length = 0;
      response.on("data", (piece) => {
        length += piece.length;
        if (length > fetch.max_response_bytes) return end("too_large");
        pieces.push(piece);
      });
      response.on("error", (error) => end({ unreachable: words(error) }));
      response.on("end", () => {
        if (!response.complete) return end({ protocol: "the answer ends early" });
        const fields = pairs(response.rawHeaders);
        end({ response: { status: response.statusCode, headers: fields, body: Buffer.concat(pieces).toString("base64"), address } });
      });
    });
    request.end(body);
  });
}

function judged(name, options, admits, back) {
  dns.lookup(name, { ...options, all: true }, (error, found) => {
    if (error) return back(error);
    let admitted;
    try {
      admitted = found.filter(({ address }) => admits(address.split("%")[0]));
    } catch (failure) {
      return back(failure);
    }
    if (admitted.length === 0) return back(new NotAdmitted(`no address of ${name} may be asked`));
    if (options.all) return back(null, admitted);
    back(null, admitted[0].address, admitted[0].family);
  });
}

/** Name and value of each line. */
export function pairs(raw) {
  const all = [];
  for (let at = 0; at < raw.length; at += 2) all.push([raw[at], raw[at + 1]]);
  return all;
}

function words(error) {
  return `${error.code ?? error.name}: ${error.message}`.slice(0, 300);
}
