// The page's part: it leads to the login when the session is over, and leaves nothing in the cache.

// The application works without a worker, in a private window for example.
navigator.serviceWorker?.register('/service-worker.js').catch(() => {});

// As `fetch`. If the session is over, the browser goes to the login, which ends on this page again.
async function ask(path) {
  const response = await fetch(path);
  const type = response.headers.get('content-type') ?? '';
  if (response.status === 401 && type.startsWith('application/problem+json')) {
    const { login } = await response.clone().json();
    if (login) await leave(login);
  }
  return response;
}

async function leave(address) {
  const names = await caches.keys();
  await Promise.all(names.map((name) => caches.delete(name)));
  location.assign(address);
  // The page is on its way: nothing more happens in it.
  await new Promise(() => {});
}

async function showUser() {
  const user = await (await fetch('/.vestibule/user')).json();
  document.querySelector('#user').textContent = user.name ?? 'not logged in';
}

async function showData() {
  const data = await (await ask('/data')).json();
  document.querySelector('#data').textContent = data.text;
}

document.querySelector('#refresh').addEventListener('click', showData);
document.querySelector('#log-out').addEventListener('click', () => leave('/.vestibule/logout'));
showUser().catch(() => {
  document.querySelector('#user').textContent = 'not known: there is no network';
});
