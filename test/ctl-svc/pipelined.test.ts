// Answers that wait behind another one of their connection, which ends before their turn.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Dispatch } from '../../services/ctl-svc/dispatch.ts';
import type { EventFeed } from '../../services/ctl-svc/event-feed.ts';
import { createEventLog } from '../../services/ctl-svc/event-log.ts';
import { sendEvents } from '../../services/ctl-svc/event-stream.ts';
import { createFigures } from '../../services/ctl-svc/figures.ts';
import { createControlServer, HOST_LIMITS } from '../../services/ctl-svc/http-server.ts';
import { DONE } from '../../services/ctl-svc/reply.ts';
import { until } from './rig.ts';

/** Who listens is in `listeners`. */
function countedFeed(listeners: Set<() => void>): EventFeed {
  const register = (listener: () => void): (() => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  return {
    log: createEventLog(1),
    counts: new Map(),
    listen: register,
    onStop: () => () => undefined,
    stop: () => undefined,
  };
}

describe('ctl.http-server and answers behind an unfinished one', () => {
  const serving = async (dispatch: Dispatch, run: (path: string) => Promise<void>): Promise<void> => {
    const folder = mkdtempSync(join(tmpdir(), 'ctl-pipelined-'));
    const control = createControlServer(dispatch, createFigures());
    const { server } = control.open({ kind: 'host' }, HOST_LIMITS);
    try {
      await new Promise<void>((resolve) => server.listen(join(folder, 'socket'), resolve));
      await run(join(folder, 'socket'));
    } finally {
      server.close();
      control.close();
      rmSync(folder, { recursive: true });
    }
  };
  const ask = (path: string, ...targets: readonly string[]) => {
    const requests = targets.map((target) => `GET ${target} HTTP/1.1\r\n\r\n`).join('');
    const client = connect(path);
    client.write(requests);
    return client;
  };

  it('lets no listener for events stay', async () => {
    const listeners = new Set<() => void>();
    const feed = countedFeed(listeners);
    const contentType = 'text/event-stream';
    await serving(
      async () => ({ kind: 'stream', contentType, start: (response) => sendEvents(response, feed, undefined) }),
      async (path) => {
        const client = ask(path, '/events', '/events', '/events');
        await until(() => listeners.size === 3);
        client.destroy();
        await until(() => listeners.size === 0);
      },
    );
  });

  it('lets no file stay open', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'ctl-pipelined-')), 'file');
    // More than Node takes before its turn.
    const bytes = 1024 * 1024;
    writeFileSync(path, Buffer.alloc(bytes));
    const file = await open(path);
    try {
      let asked = 0;
      await serving(
        async (_, { target }) => {
          asked += 1;
          if (target === '/file') return { kind: 'file', file, bytes, contentType: 'text/plain' };
          return { kind: 'stream', contentType: 'text/plain', start: () => undefined };
        },
        async (socketPath) => {
          const client = ask(socketPath, '/endless', '/file');
          await until(() => asked === 2);
          client.destroy();
          await until(() => file.fd === -1);
        },
      );
    } finally {
      await file.close();
      rmSync(join(path, '..'), { recursive: true });
    }
  });

  it('takes back what was asked', async () => {
    const aborted: string[] = [];
    let asked = 0;
    await serving(
      async (_, { target, signal }) => {
        const hangUp = signal();
        asked += 1;
        await new Promise<void>((resolve) => hangUp.addEventListener('abort', () => resolve()));
        aborted.push(target);
        return DONE;
      },
      async (path) => {
        const client = ask(path, '/first', '/second');
        await until(() => asked === 2);
        client.destroy();
        await until(() => aborted.length === 2);
        assert.deepEqual(aborted.sort(), ['/first', '/second']);
      },
    );
  });
});
