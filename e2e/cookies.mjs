// What is in a browser's cookies.

import assert from 'node:assert/strict';
import { inflateSync } from 'node:zlib';

// A cookie, the JSON in it, the JWT in that.
const LAYERS = 3;
// Of https sites, and of http ones on the machine itself.
const OURS = /^(__Host-|__Secure-)?vestibule_/;

export function isOurs({ name }) {
  return OURS.test(name);
}

export function isSession({ name }) {
  return OURS.test(name) && name.includes('vestibule_session');
}

// Which provider was used last: it stays after a logout.
export function isLast({ name }) {
  return OURS.test(name) && name.includes('vestibule_last');
}

// No script reads our cookies, no other site sends them, and nobody reads in them who it is: none of these `words`.
export async function assertSealed(context, page, url, words) {
  const { hostname, pathname, protocol } = new URL(url);
  const cookies = (await context.cookies(url)).filter(isOurs);
  assert.equal(cookies.filter((cookie) => !isLast(cookie)).length, 2, 'a session and its tokens');
  for (const { name, value, httpOnly, secure, sameSite, path, domain } of cookies) {
    assert.deepEqual(
      { httpOnly, secure, sameSite, path, domain },
      { httpOnly: true, secure: protocol === 'https:', sameSite: 'Lax', path: pathname, domain: hostname },
      name,
    );
    assert.deepEqual(readable(value, words), [], `can be read in ${name}`);
  }
  assert.doesNotMatch(await page.evaluate(() => document.cookie), /vestibule/);
}

// Which of these words somebody finds who looks at the cookie: as it is, decoded, and unpacked, as often as that goes.
// Short words are left out: three letters are in any random text of this length.
export function readable(value, words) {
  const texts = [value, decodeURIComponent(value)];
  for (let depth = 0, layer = texts; depth < LAYERS; depth += 1) {
    layer = layer.flatMap((text) => text.split(/[^\w+/=-]+/).filter((part) => part.length > 16)).flatMap(decoded);
    texts.push(...layer);
  }
  return words.filter((word) => String(word).length > 4 && texts.some((text) => text.includes(word)));
}

function decoded(part) {
  const bytes = Buffer.from(part, 'base64url');
  try {
    return [bytes.toString(), inflateSync(bytes).toString()];
  } catch {
    return [bytes.toString()];
  }
}
