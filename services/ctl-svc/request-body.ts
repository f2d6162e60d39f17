// Takes a request's body into memory, up to a limit.
import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';

export type BodyRead =
  | { readonly kind: 'whole'; readonly bytes: Buffer }
  | { readonly kind: 'tooLarge' | 'late' }
  /** The client hung up, or what followed was no HTTP. */
  | { readonly kind: 'aborted' };

export function saysLength({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || headers['content-length'] !== undefined;
}

export function hasBody(request: IncomingMessage): boolean {
  return saysLength(request) && Number(request.headers['content-length']) !== 0;
}

export interface BodyLimits {
  readonly maxBytes: number;
  readonly timeoutMs: number;
}

/** Stops reading as soon as more than `maxBytes` are announced or have come, or it takes too long. */
export function readBody(request: IncomingMessage, { maxBytes, timeoutMs }: BodyLimits): Promise<BodyRead> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return Promise.resolve({ kind: 'tooLarge' });
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const end = (read: BodyRead): void => {
      clearTimeout(patience);
      request.off('data', onData).off('end', onEnd).off('close', onClose);
      resolve(read);
    };
    const patience = setTimeout(() => {
      request.pause();
      end({ kind: 'late' });
    }, timeoutMs);
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes <= maxBytes) return;
      request.pause();
      end({ kind: 'tooLarge' });
    };
    const onEnd = (): void => end({ kind: 'whole', bytes: Buffer.concat(chunks) });
    const onClose = (): void => end({ kind: 'aborted' });
    request.on('data', onData).on('end', onEnd).on('close', onClose);
    // Its close follows.
    request.on('error', () => undefined);
  });
}
