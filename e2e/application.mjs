// The application behind the edge: answers every request with what it received, as JSON. `server` is what it says that
// it is.

import { createServer } from 'node:http';
import { once } from 'node:events';

export async function startApplication({ server: product } = {}) {
  // As much as Tornado and uvicorn take.
  const server = createServer({ maxHeaderSize: 64 * 1024 }, (request, response) => {
    const { method, url, headers, rawHeaders } = request;
    request.resume().on('end', () => {
      response.setHeader('content-type', 'application/json');
      if (product) response.setHeader('server', product);
      response.end(JSON.stringify({ method, url, headers, rawHeaders }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}
