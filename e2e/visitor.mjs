// A person's browser, as far as HTTP goes: cookies, redirects, links and forms; and no more than that, so that a test can
// stop anywhere in between, or send what no browser would.

import assert from 'node:assert/strict';
import { parse } from 'node-html-parser';
import { CookieJar } from 'tough-cookie';
import { Agent, request } from 'undici';

// The headers that a browser sends for a link or a form.
export const NAVIGATION = {
  accept: 'text/html,application/xhtml+xml',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  'sec-fetch-site': 'none',
};
// The longest chain here is application, provider, login, consent, callback, application.
const MAX_REDIRECTS = 12;

// Each visitor has connections of their own, and none is kept after the answer: a server that is stopped is not waited for.
// A login with many claims sets cookies that are larger than what a client of 16 KiB takes; browsers take 256.
const dispatcher = new Agent({ pipelining: 0, maxHeaderSize: 256 * 1024 });

export class Visitor {
  jar = new CookieJar();

  // One request, no redirect followed.
  async send(url, { method = 'GET', headers = NAVIGATION, body } = {}) {
    const cookie = await this.jar.getCookieString(String(url));
    const response = await request(url, { method, headers: { ...headers, ...(cookie && { cookie }) }, body, dispatcher });
    for (const line of [response.headers['set-cookie'] ?? []].flat()) {
      await this.jar.setCookie(line, String(url), { ignoreError: true });
    }
    return new Page(new URL(url), response, await response.body.text());
  }

  // A navigation: follows redirects. `until` says of a URL whether to stop before it; the page then has its `next`.
  async open(url, { until = () => false, ...options } = {}) {
    let page = await this.send(url, options);
    for (let redirects = 0; page.next && !until(page.next); redirects += 1) {
      assert.ok(redirects < MAX_REDIRECTS, `redirected in circles: ${page.next}`);
      page = await this.send(page.next);
    }
    return page;
  }

  // Fills in the page's form and sends it. `fields` is an object, or pairs where a name is there more than once.
  submit(page, fields = {}, options = {}) {
    const form = page.html.querySelector('form');
    assert.ok(form, `no form on ${page.url}:\n${page.body}`);
    const hidden = form.querySelectorAll('input[type=hidden]').map((input) => [input.getAttribute('name'), input.getAttribute('value') ?? '']);
    return this.open(new URL(form.getAttribute('action'), page.url), {
      method: 'POST',
      headers: { ...NAVIGATION, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams([...hidden, ...(Array.isArray(fields) ? fields : Object.entries(fields))]).toString(),
      ...options,
    });
  }

  // From oidc-provider's login page on. Consent is asked for once.
  async logIn(form, login, options = {}) {
    const page = await this.submit(form, { login, password: 'any' }, options);
    return page.html.querySelector('input[value=consent]') ? this.submit(page, {}, options) : page;
  }

  // The values of the cookies that a server at `url` would get, by name.
  async cookies(url) {
    const cookies = await this.jar.getCookies(String(url));
    return Object.fromEntries(cookies.map((cookie) => [cookie.key, cookie.value]));
  }
}

class Page {
  constructor(url, response, body) {
    Object.assign(this, { url, status: response.statusCode, headers: response.headers, body });
  }

  // Where it redirects to, or goes on to by itself in a browser without scripts.
  get next() {
    const { location } = this.headers;
    if (this.status >= 300 && this.status < 400 && location) return new URL(location, this.url);
    const refresh = this.body.match(/<meta http-equiv="refresh" content="0; url=([^"]+)">/);
    return refresh ? new URL(refresh[1].replaceAll('&#38;', '&'), this.url) : undefined;
  }

  get json() {
    return JSON.parse(this.body);
  }

  get html() {
    return parse(this.body);
  }

  // What a person reads.
  get text() {
    return this.html.querySelector('main')?.structuredText ?? this.html.structuredText;
  }

  // The link with this text.
  link(text) {
    const links = this.html.querySelectorAll('a');
    const link = links.find((candidate) => candidate.text.trim() === text);
    assert.ok(link, `no link "${text}" on ${this.url}, but ${links.map((candidate) => `"${candidate.text.trim()}"`).join(', ')}`);
    return new URL(link.getAttribute('href'), this.url);
  }
}
