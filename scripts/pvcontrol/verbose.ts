// `-v`: each request and the status of its answer, on standard error.
import { subscribe } from 'node:diagnostics_channel';
import type { ClientRequest, IncomingMessage } from 'node:http';
import process from 'node:process';

interface Told {
  readonly request: ClientRequest;
  readonly response?: IncomingMessage;
}

/** What node:http publishes of every client, so that no request has to know of it. */
export function tellRequests(): void {
  subscribe('http.client.request.start', (message) => {
    const { request } = message as Told;
    process.stderr.write(`> ${request.method} ${request.path}\n`);
  });
  subscribe('http.client.response.finish', (message) => {
    const { response } = message as Told;
    process.stderr.write(`< ${response?.statusCode} ${response?.statusMessage}\n`);
  });
}
