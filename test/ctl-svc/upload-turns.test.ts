import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Dispatch } from '../../services/ctl-svc/dispatch.ts';
import type { Caller } from '../../services/ctl-svc/endpoint.ts';
import { createFairTurns } from '../../services/ctl-svc/fair-turns.ts';
import { createFigures } from '../../services/ctl-svc/figures.ts';
import {
  CONTAINER_LIMITS,
  CONTAINER_TURNS,
  createControlServer,
  HOST_LIMITS,
} from '../../services/ctl-svc/http-server.ts';
import { DONE } from '../../services/ctl-svc/reply.ts';
import { createUploadTurns } from '../../services/ctl-svc/upload-turns.ts';
import { MAX_UPLOADS } from '../../services/state-svc/uploads.ts';
import { until } from './rig.ts';

const LONG_MS = 60_000;

/** One that goes on until it is told to end. */
function held(): { readonly act: () => Promise<string>; readonly end: () => void } {
  let end: () => void = () => undefined;
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { act: () => over.then(() => 'done'), end };
}
const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('ctl-svc turns of uploads', () => {
  const stays = new AbortController().signal;

  it('come in their order, so many at a time, also after one that failed', async () => {
    const turns = createUploadTurns({ atATime: 2, waiting: 8, patienceMs: LONG_MS });
    const begun: number[] = [];
    const uploads = Array.from({ length: 5 }, held);
    const all = uploads.map(({ act }, index) =>
      turns(async () => {
        begun.push(index);
        const answer = await act();
        if (index === 0) throw new Error('failed');
        return answer;
      }, stays),
    );
    const [first, ...others] = all;
    const failed = assert.rejects(first ?? Promise.resolve(), /failed/);
    for (const [index, { end }] of uploads.entries()) {
      await soon();
      assert.deepEqual(begun, [0, 1, 2, 3, 4].slice(0, index + 2));
      end();
    }
    await failed;
    assert.deepEqual(await Promise.all(others), ['done', 'done', 'done', 'done']);
  });

  it('are not waited for by too many, for too long, and by those that are gone', async () => {
    const turns = createUploadTurns({ atATime: 1, waiting: 1, patienceMs: LONG_MS });
    const upload = held();
    const running = turns(upload.act, stays);
    const gone = new AbortController();
    const waiting = turns(async () => 'never', gone.signal);
    assert.equal(await turns(async () => 'never', stays), undefined);
    gone.abort();
    assert.equal(await waiting, undefined);
    assert.equal(await turns(async () => 'never', gone.signal), undefined);
    const next = turns(async () => 'next', stays);
    upload.end();
    assert.deepEqual(await Promise.all([running, next]), ['done', 'next']);

    const impatient = createUploadTurns({ atATime: 1, waiting: 1, patienceMs: 1 });
    const other = held();
    const slow = impatient(other.act, stays);
    assert.equal(await impatient(async () => 'never', stays), undefined);
    other.end();
    assert.equal(await slow, 'done');
    assert.equal(await impatient(async () => 'again', stays), 'again');
  });
});

describe('ctl-svc uploads of many containers', () => {
  it('are together no more than leave the host its own, and all have their turn', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ctl-uploads-'));
    const ends: (() => void)[] = [];
    let fromHost = 0;
    const dispatch: Dispatch = async (caller) => {
      if (caller.kind === 'host') fromHost += 1;
      else await new Promise<void>((resolve) => ends.push(resolve));
      return DONE;
    };
    const control = createControlServer(dispatch, createFigures(), { isUpload: () => true });
    const fairTurns = createFairTurns(CONTAINER_TURNS);
    const clients: Socket[] = [];
    const servers: Server[] = [];
    let answered = 0;
    const listen = async (caller: Caller, path: string): Promise<() => void> => {
      const isHost = caller.kind === 'host';
      const ask = isHost ? undefined : fairTurns.party();
      const { server } = control.open(caller, isHost ? HOST_LIMITS : CONTAINER_LIMITS, ask);
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(path, resolve));
      return () => {
        const client = connect(path, () => client.write('PUT /a HTTP/1.1\r\nContent-Length: 1\r\n\r\nx'));
        client.on('data', () => (answered += 1)).on('error', () => undefined);
        clients.push(client);
      };
    };
    try {
      const asHost = await listen({ kind: 'host' }, join(folder, 'host'));
      const containers = MAX_UPLOADS / CONTAINER_LIMITS.maxUploads;
      for (let index = 0; index < containers; index += 1) {
        const upload = await listen({ kind: 'container', container: `c${index}` }, join(folder, `c${index}`));
        for (let count = 0; count < CONTAINER_LIMITS.maxUploads; count += 1) upload();
      }
      const atATime = MAX_UPLOADS - HOST_LIMITS.maxUploads;
      await until(() => ends.length >= atATime);
      // All have been read when the host's is answered, which came last.
      await until(() => clients.every((client) => client.bytesWritten > 0));
      for (let count = 0; count < HOST_LIMITS.maxUploads; count += 1) asHost();
      await until(() => fromHost === HOST_LIMITS.maxUploads);
      assert.equal(ends.length, atATime);
      for (let ended = 0; ended < MAX_UPLOADS; ended += 1) {
        await until(() => ends.length > ended);
        ends[ended]?.();
      }
      await until(() => answered === MAX_UPLOADS + HOST_LIMITS.maxUploads);
    } finally {
      for (const client of clients) client.destroy();
      for (const server of servers) server.close();
      control.close();
      rmSync(folder, { recursive: true });
    }
  });
});
