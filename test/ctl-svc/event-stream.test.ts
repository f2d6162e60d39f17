// What a client of GET /events costs that does not read, and what becomes of it when ctl-svc ends.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import type { EventFeed } from '../../services/ctl-svc/event-feed.ts';
import { createEventLog } from '../../services/ctl-svc/event-log.ts';
import { sendEvents } from '../../services/ctl-svc/event-stream.ts';

const FIRST_ID = 100;

/** `tell`: the log has one more, of about a KiB. */
function createFeed() {
  const log = createEventLog(FIRST_ID);
  log.keep();
  const listeners = new Set<() => void>();
  const stopListeners = new Set<() => void>();
  const listen = (set: Set<() => void>) => (listener: () => void) => {
    set.add(listener);
    return () => void set.delete(listener);
  };
  const feed: EventFeed = {
    log,
    counts: new Map(),
    listen: listen(listeners),
    onStop: listen(stopListeners),
    stop: () => {
      for (const listener of stopListeners) listener();
    },
  };
  const tell = (): void => {
    log.append('container', 'x'.repeat(1024));
    for (const listener of listeners) listener();
  };
  return { feed, tell };
}

describe('ctl.sendEvents', () => {
  let folder: string;
  let server: Server;
  let client: Socket;
  let response: ServerResponse;

  /** A client that has asked and reads nothing. */
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-ctl-'));
    server = createServer().listen(join(folder, 'socket'));
    await once(server, 'listening');
    client = connect(join(folder, 'socket'));
    client.pause();
    client.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n');
    [, response] = await once(server, 'request');
  });
  afterEach(() => {
    mock.timers.reset();
    client.destroy();
    response.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  });

  it('writes of all that a client has missed no more than Node asks for', () => {
    const { feed, tell } = createFeed();
    for (let count = 0; count < 400; count += 1) tell();
    sendEvents(response, feed, String(FIRST_ID));
    assert.ok(response.writableLength < 2 * response.writableHighWaterMark, `${response.writableLength} bytes wait`);
  });

  it('says nothing to keep a client that does not read, whose silence is to end it', () => {
    mock.timers.enable({ apis: ['setInterval'] });
    const { feed, tell } = createFeed();
    for (let count = 0; count < 400; count += 1) tell();
    sendEvents(response, feed, String(FIRST_ID));
    const waiting = response.writableLength;
    mock.timers.tick(60_000);
    assert.equal(response.writableLength, waiting);
  });

  it('tells a client nothing more once ctl-svc ends', async () => {
    mock.timers.enable({ apis: ['setInterval'] });
    const { feed, tell } = createFeed();
    const failed = once(response, 'error').then(([error]) => error);
    sendEvents(response, feed, undefined);
    feed.stop();
    tell();
    mock.timers.tick(60_000);
    const closed = once(response, 'close').then(() => undefined);
    client.resume();
    assert.equal(await Promise.race([failed, closed]), undefined);
  });
});
