// Who visits a host: single exchanges, and as much of a browser as a login needs.

import assert from 'node:assert/strict';
import http from 'node:http';

// One exchange. Not by `fetch`, which says of itself that it is a script (`Sec-Fetch-Mode: cors`).
export function exchange(url, { method = 'GET', headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    // A connection that is kept open would keep a host from stopping.
    const request = http.request(url, { method, headers, agent: false }, (response) => {
      let text = '';
      response.on('data', (piece) => { text += piece; }).on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

// It follows no redirect by itself.
export class Visitor {
  cookies = new Map();

  async open(url, headers = {}) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await exchange(url, { headers: { accept: 'text/html', ...(cookie ? { cookie } : {}), ...headers } });
    for (const line of response.headers['set-cookie'] ?? []) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (/max-age=0/i.test(line)) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return response;
  }

  async logIn(page, person) {
    let authorize = new URL(page);
    // Beside another proxy, the login is a page of its own.
    for (let hops = 0; hops < 2 && authorize.origin === new URL(page).origin; hops += 1) {
      const asked = await this.open(authorize.href);
      assert.equal(asked.status, 302, `${asked.text}`);
      authorize = new URL(asked.headers.location, page);
    }
    authorize.pathname = '/consent';
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const consent = await exchange(authorize, { method: 'POST', headers, body: `person=${person}` });
    return this.open(consent.headers.location);
  }
}
