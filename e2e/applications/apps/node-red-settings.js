// Node-RED below the base path, reachable on this machine only.
module.exports = {
  uiHost: '127.0.0.1',
  uiPort: Number(process.env.PORT),
  httpAdminRoot: process.env.BASE || '/',
  httpNodeRoot: process.env.BASE || '/',
  flowFile: 'flows.json',
  credentialSecret: 'a secret for tests only',
  editorTheme: { tours: false },
  logging: { console: { level: 'warn' } },
};
