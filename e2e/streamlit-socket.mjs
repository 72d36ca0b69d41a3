// A browser's WebSocket to a Streamlit app, without the browser: so that a test can say which session to resume, which
// cookies to send, and which door to knock at.

import { once } from 'node:events';
import { Agent, WebSocket } from 'undici';

// Of Streamlit's protocol buffers; the same numbers in all releases so far.
const NEW_SESSION = 4;
const INITIALIZE = 1;
const SESSION_ID = 6;
const SCRIPT_FINISHED = 6;
// What st.text shows: delta, new_element, text, body.
const TEXT = [5, 3, 1, 1];
// BackMsg.rerun_script, empty: run the app from its top.
const RERUN = Buffer.from([(11 << 3) | 2, 0]);

export class AppSocket {
  // Connects to the app at `url` with the visitor's cookies, as its page does. `session` is the one to resume.
  static async open(visitor, url, { session } = {}) {
    // The answer sets the token against cross-site requests.
    await visitor.send(`${url}/_stcore/health`, { headers: { accept: '*/*' } });
    const { _streamlit_xsrf: xsrf } = await visitor.cookies(`${url}/`);
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/_stcore/stream`, {
      protocols: ['streamlit', xsrf, ...(session ? [session] : [])],
      headers: { origin: new URL(url).origin, cookie: await visitor.jar.getCookieString(`${url}/`) },
      dispatcher: new Agent(),
    });
    socket.binaryType = 'arraybuffer';
    const opened = new AppSocket(socket);
    await Promise.race([
      once(socket, 'open'),
      opened.closed.then(() => Promise.reject(new Error(`the WebSocket to ${url} was refused`))),
    ]);
    return opened;
  }

  #frames = [];

  constructor(socket) {
    this.socket = socket;
    this.closed = once(socket, 'close');
    socket.addEventListener('message', ({ data }) => this.#frames.push(Buffer.from(data)));
  }

  // Runs the app, and resolves with what it showed: `session`, its id, and `user`, as e2e/streamlit/app.py writes it.
  async run() {
    const finished = new Promise((resolve) => {
      this.socket.addEventListener('message', ({ data }) => {
        if (fields(Buffer.from(data), SCRIPT_FINISHED).length > 0) resolve();
      });
    });
    this.#frames = [];
    this.socket.send(RERUN);
    await Promise.race([finished, this.closed.then(() => Promise.reject(new Error('the WebSocket was closed')))]);
    const [session] = this.#values(NEW_SESSION, INITIALIZE, SESSION_ID);
    const shown = this.#values(...TEXT);
    const user = shown.find((text) => text.startsWith('user='));
    return { session, user: JSON.parse(user.slice('user='.length)) };
  }

  #values(...path) {
    return this.#frames.flatMap((frame) => field(frame, ...path)).map(String);
  }

  async close() {
    this.socket.close();
    await this.closed;
  }
}

// The values at this path of fields, each of which holds the next as a message.
function field(message, number, ...path) {
  const values = fields(message, number);
  return path.length === 0 ? values : values.flatMap((value) => field(value, ...path));
}

// The values of one field of a protocol buffer message, as bytes: https://protobuf.dev/programming-guides/encoding/
function fields(message, wanted) {
  const values = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    let start = at;
    switch (tag & 7) {
      case 0:
        varint();
        break;
      case 1:
        at += 8;
        break;
      case 5:
        at += 4;
        break;
      default: {
        const length = varint();
        start = at;
        at += length;
      }
    }
    if (tag >>> 3 === wanted) values.push(message.subarray(start, at));
  }
  return values;
}
