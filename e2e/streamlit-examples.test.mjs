// The four examples of Streamlit's documentation of st.login, in examples/streamlit: as they are but for the values that
// secrets.toml leaves to be filled in.

import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { launchBrowser, logsIn, logsOutAtProvider, openWindow } from './browser.mjs';
import { isSession } from './cookies.mjs';
import { startProvider } from './provider.mjs';
import { mishaps, startStage } from './stage.mjs';
import { NEWEST } from './streamlit.mjs';
import { COOKIE_SECRET } from './vestibule.mjs';

const EXAMPLES = new URL('../examples/streamlit/', import.meta.url);
const SCREENSHOTS = fileURLToPath(new URL('screenshots/', import.meta.url));

let browser;

before(async () => {
  await mkdir(SCREENSHOTS, { recursive: true });
  browser = await launchBrowser();
});

after(() => browser.close());

// As the document has them, and who logs in where.
const EXAMPLE_LOGINS = {
  'unnamed-provider': [['default', 'Log in']],
  // It asks for the login by itself.
  'named-provider': [['microsoft', undefined]],
  'several-providers': [['microsoft', 'Microsoft'], ['okta', 'Okta']],
  'connection-settings': [['auth0', 'Log in']],
};

for (const [example, logins] of Object.entries(EXAMPLE_LOGINS)) {
  test(`${NEWEST}: example ${example}`, (t) => runExample(t, { example, logins }));

  // st.experimental_user, of which the document speaks, was taken out after this release.
  test(`1.50.0: example ${example}, with st.experimental_user as in the document`, async (t) => {
    const script = await readFile(new URL(`${example}/app.py`, EXAMPLES), 'utf8');
    await runExample(t, { example, logins, release: '1.50.0', script: script.replaceAll('st.user', 'st.experimental_user') });
  });
}

async function runExample(t, { example, logins, ...app }) {
  const providers = {};
  for (const [name] of logins) providers[name] = await startProvider(t, { name });
  const secrets = await readFile(new URL(`${example}/.streamlit/secrets.toml`, EXAMPLES), 'utf8');
  const stage = await startStage(t, {
    ...app, source: fileURLToPath(new URL(`${example}/`, EXAMPLES)), providers, secrets: filledIn(secrets, providers),
  });
  for (const [name, button] of logins) {
    const { context, page, seen } = await openWindow(browser);
    t.after(() => context.close());
    const asked = page.waitForRequest((request) => request.url().startsWith(`${providers[name].issuer}/auth?`));
    await page.goto(stage.url);
    if (button) await page.getByRole('button', { name: button, exact: true }).click();
    const { searchParams } = new URL((await asked).url());
    assert.equal(searchParams.get('prompt'), example === 'connection-settings' ? 'login' : 'select_account');
    await logsIn(page, 'alice');
    await page.getByText('Hello, alice Example!').waitFor();
    assert.equal(page.url(), `${stage.url}/`);
    await page.screenshot({ path: `${SCREENSHOTS}streamlit-example-${example}-${name}.png` });
    assert.deepEqual(mishaps(seen), []);

    // The second example has no button for it.
    if (example === 'named-provider') {
      await page.goto(`${stage.url}/auth/logout`);
    } else {
      await page.getByRole('button', { name: 'Log out' }).click();
    }
    await logsOutAtProvider(page);
    if (example === 'named-provider') {
      await page.locator('input[name=login]').waitFor();
    } else {
      await page.getByRole('button', { name: button, exact: true }).waitFor();
    }
    assert.deepEqual((await context.cookies(stage.url)).filter(isSession), []);
  }
}

// The example's secrets.toml with values in place of its placeholders, by origin.
function filledIn(secrets, providers) {
  return (origin) => {
    let provider = providers.default;
    const lines = secrets.split('\n').map((text) => {
      const [, section] = /^\[auth\.(\w+)\]$/.exec(text) ?? [];
      if (section) provider = providers[section];
      const [key] = text.split(' = ');
      const value = {
        redirect_uri: `${origin}/oauth2callback`,
        cookie_secret: COOKIE_SECRET,
        client_id: provider?.clientId,
        client_secret: provider?.clientSecret,
        server_metadata_url: provider?.metadataUrl,
      }[key];
      return value === undefined ? text : `${key} = ${JSON.stringify(value)}`;
    });
    return lines.join('\n');
  };
}
