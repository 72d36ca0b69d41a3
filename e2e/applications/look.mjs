// look.mjs URL TEXT [SCREENSHOT] : logs in as Alice with Chromium, and waits until a page of the application shows TEXT. Fails if
// it does not, or if a WebSocket of the page was refused. Prints what the page says of itself.

import { launchBrowser, openWindow } from '../browser.mjs';

const SECONDS = 90;
const [url, text, screenshot] = process.argv.slice(2);

const browser = await launchBrowser();
try {
  const { page, seen } = await openWindow(browser, { viewport: { width: 1280, height: 800 } });
  const refused = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && /WebSocket connection to .* failed/.test(message.text())) refused.push(message.text());
  });
  await page.goto(url);
  await page.locator('button[name=person][value=alice]').click();
  await page.waitForURL((now) => now.origin === new URL(url).origin, { timeout: SECONDS * 1000, waitUntil: 'commit' });
  try {
    await page.getByText(text).filter({ visible: true }).first().waitFor({ timeout: SECONDS * 1000 });
  } catch (error) {
    console.log(`"${text}" is not on ${page.url()}:\n${(await page.locator('body').innerText()).slice(0, 1000)}`);
    throw error;
  } finally {
    if (screenshot) await page.screenshot({ path: screenshot });
    for (const message of seen.errors) console.log(`the page says: ${message}`);
  }
  if (refused.length > 0) throw new Error(refused.join('\n'));
} finally {
  await browser.close();
}
