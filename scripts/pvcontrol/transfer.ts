// Bodies of any size to and from the control socket, piece by piece.
import { Buffer } from 'node:buffer';
import { type ClientRequest, request } from 'node:http';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Answer, explain, NoAnswer } from './control-socket.ts';

/** Milliseconds without any traffic until a silent server is given up: verifying a revision hashes all of its objects. */
const SILENT_MS = 310_000;

export interface Outgoing {
  readonly stream: Readable;
  /** Undefined: sent in chunks, until the stream ends. */
  readonly bytes: number | undefined;
  readonly onSent?: ((bytes: number) => void) | undefined;
}

/** The stream had fewer bytes than were announced. */
export class EndedEarly extends Error {}

/** Rejects with NoAnswer, or with what went wrong with the stream: it is EndedEarly, or what it says itself. */
export function send(socket: string, path: string, { stream, bytes, onSent }: Outgoing): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = {
      'Content-Type': 'application/octet-stream',
      ...(bytes === undefined ? {} : { 'Content-Length': String(bytes) }),
    };
    let answered = false;
    const outgoing = request({ socketPath: socket, method: 'PUT', path, headers, agent: false }, (incoming) => {
      answered = true;
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', (error) => reject(explain(socket, error)));
      incoming.on('end', () => {
        const problems = incoming.headers['berth-problems'];
        const body = Buffer.concat(chunks).toString('utf8');
        resolve({
          status: incoming.statusCode ?? 0,
          body,
          ...(typeof problems === 'string' ? { problems: problemsOf(problems) } : {}),
        });
      });
    });
    outgoing.setTimeout(SILENT_MS, () =>
      outgoing.destroy(new NoAnswer(`${socket}: no answer within ${SILENT_MS / 1000} s`)),
    );
    // The answer may come before the stream has ended; then it counts, and that nobody takes the rest does not.
    outgoing.on('error', (error) => answered || reject(explain(socket, error)));
    pump(stream, outgoing, { bytes, onSent }).catch((error: Error) => {
      outgoing.destroy();
      if (!answered) reject(error);
    });
  });
}

/**
 * The last byte that was announced ends the request: a server that has all of it may answer and hang up before the stream says
 * that it has ended, and what follows is not for it. Without that byte there would be no answer for as long as the server waits for it.
 */
async function pump(stream: Readable, outgoing: ClientRequest, { bytes, onSent }: Omit<Outgoing, 'stream'>) {
  let sent = 0;
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    const piece = bytes === undefined ? chunk : chunk.subarray(0, bytes - sent);
    sent += piece.length;
    onSent?.(sent);
    if (sent === bytes) {
      outgoing.end(piece);
      return;
    }
    if (!outgoing.write(piece)) await untilWritable(outgoing);
    if (outgoing.destroyed) return;
  }
  if (bytes !== undefined && sent < bytes) throw new EndedEarly(`it ended after ${sent} of ${bytes} bytes`);
  outgoing.end();
}

/** Or until it is closed. */
function untilWritable(outgoing: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      outgoing.off('drain', done).off('close', done);
      resolve();
    };
    outgoing.on('drain', done).on('close', done);
  });
}

function problemsOf(header: string): readonly string[] {
  try {
    const parsed: unknown = JSON.parse(header);
    return Array.isArray(parsed) ? parsed.filter((each) => typeof each === 'string') : [];
  } catch {
    return [];
  }
}

/** The body goes to `out` when the status is 200, and into the answer when it is not. What goes wrong with `out` is for whoever listens to it. */
export function receive(socket: string, path: string, out: Writable): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: socket, path, agent: false }, (incoming) => {
      const status = incoming.statusCode ?? 0;
      if (status === 200) {
        let outFailed = false;
        out.once('error', () => {
          outFailed = true;
        });
        // stdout stays open: it is not ours to end.
        pipeline(incoming, out, { end: false }).then(
          () => resolve({ status, body: '' }),
          (error) => (outFailed ? resolve({ status, body: '' }) : reject(explain(socket, error))),
        );
        return;
      }
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => resolve({ status, body: Buffer.concat(chunks).toString('utf8') }));
    });
    outgoing.on('error', (error) => reject(explain(socket, error)));
    outgoing.end();
  });
}
