// The body of one request: taken by whoever answers it, whole or as it comes, within limits.
import type { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { type BodyHooks, type BodyStream, bodyStream } from './body-stream.ts';
import { type Reply, refuse } from './reply.ts';
import { hasBody, readBody } from './request-body.ts';

/** Bytes of a JSON body: a state-changing request has some tens, the limit of a message between services is 64 KiB. */
const MAX_BODY_BYTES = 64 * 1024;
/** Milliseconds for a body that is read into memory. */
const BODY_TIMEOUT_MS = 30_000;
/** Of a body that is too large: a client that is still sending when its connection ends may never read why. */
const MAX_DISCARDED_BYTES = 1024 * 1024;
/** Milliseconds for a body that nobody wants. */
const IGNORED_BODY_MS = 1_000;

const TOO_LARGE = refuse(413, `Request body is larger than ${MAX_BODY_BYTES} bytes`);
const TOO_LATE = refuse(408, 'Request did not arrive in time');

/** Of a class, as there is one for each request. */
export class IncomingBody {
  /** Something of it may be to come. */
  isUnread: boolean;
  #isWanted = false;
  readonly #request: IncomingMessage;
  readonly #hooks: BodyHooks;

  /** `onWhole`: never where there is none. */
  constructor(request: IncomingMessage, hooks: BodyHooks) {
    this.isUnread = hasBody(request);
    this.#request = request;
    this.#hooks = hooks;
  }

  /** Nobody wanted what is to come: the rights or the path were wrong, or the endpoint takes none. */
  get isIgnored(): boolean {
    return this.isUnread && !this.#isWanted;
  }

  /** Resolves to all of it, or to why it is not taken. */
  async whole(): Promise<Buffer | Reply> {
    const { announcedBytes = 0, discard } = this.stream();
    if (announcedBytes <= MAX_BODY_BYTES) this.#hooks.proceed();
    const read = await readBody(this.#request, { maxBytes: MAX_BODY_BYTES, timeoutMs: BODY_TIMEOUT_MS });
    if (read.kind === 'late') return TOO_LATE;
    if (read.kind !== 'whole') {
      await discard(MAX_DISCARDED_BYTES);
      return TOO_LARGE;
    }
    this.#onWhole();
    return read.bytes;
  }

  stream(): BodyStream {
    this.#isWanted = true;
    return bodyStream(this.#request, { ...this.#hooks, onWhole: () => this.#onWhole() });
  }

  /** For one that is ignored: a client that is still sending when its connection ends may never read why. */
  async passOver(): Promise<void> {
    const rest = await readBody(this.#request, { maxBytes: MAX_BODY_BYTES, timeoutMs: IGNORED_BODY_MS });
    if (rest.kind === 'whole') this.#onWhole();
  }

  #onWhole(): void {
    if (this.isUnread) this.#hooks.onWhole();
    this.isUnread = false;
  }
}
