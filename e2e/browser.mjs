// Chromium, and windows in it that nobody has used before.

import { chromium } from 'playwright-core';

export const PHONE = { name: 'phone', width: 390, height: 844 };
export const DESKTOP = { name: 'desktop', width: 1280, height: 800 };

// What Chromium says of every page whose status is an error.
const STATUS_MESSAGE = 'Failed to load resource: the server responded with a status of';

export function launchBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
  });
}

// A browser that nobody has used, and what it has seen since the last navigation. `options` are Playwright's.
export async function openWindow(browser, options = {}) {
  const context = await browser.newContext({ viewport: PHONE, colorScheme: 'light', ...options });
  // oidc-provider's own pages ask for a font.
  await context.route((url) => !isHere(url.hostname), (route) => route.abort());
  const page = await context.newPage();
  const seen = { document: undefined, requests: [], errors: [], hosts: new Set() };
  page.on('request', (request) => {
    if (request.isNavigationRequest()) Object.assign(seen, { requests: [], errors: [] });
    seen.requests.push(request.url());
    seen.hosts.add(new URL(request.url()).hostname);
  });
  page.on('response', (response) => {
    if (response.request().isNavigationRequest()) seen.document = response;
  });
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  page.on('console', (message) => {
    // A page with an error status is one error by itself.
    const isStatus = message.location().url === seen.requests[0] && message.text().startsWith(STATUS_MESSAGE);
    if (['error', 'warning'].includes(message.type()) && !isStatus) seen.errors.push(message.text());
  });
  return { context, page, seen };
}

// On oidc-provider's login page, and on its page of consent, which it shows once for each account.
export async function logsIn(page, login) {
  await page.locator('input[name=login]').fill(login);
  await page.locator('input[name=password]').fill('any');
  const form = new URL(page.url());
  await page.getByRole('button', { name: 'Sign-in' }).click();
  await page.waitForURL((url) => url.href !== form.href);
  if (new URL(page.url()).origin === form.origin) await page.getByRole('button', { name: 'Continue' }).click();
}

// On oidc-provider's page that asks whether to log out of it too.
export function logsOutAtProvider(page) {
  return page.getByRole('button', { name: 'Yes, sign me out' }).click();
}

function isHere(hostname) {
  return hostname === '127.0.0.1' || hostname === 'localhost';
}
