// A client that sends as much as it can: what it gets of ctl-svc is counted in turns of its event loop, never in time.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { BodyStream } from '../../services/ctl-svc/body-stream.ts';
import type { Caller } from '../../services/ctl-svc/endpoint.ts';
import { createFigures } from '../../services/ctl-svc/figures.ts';
import {
  CONTAINER_LIMITS,
  type ControlServer,
  createControlServer,
  HOST_LIMITS,
  type ServerLimits,
} from '../../services/ctl-svc/http-server.ts';
import { json, type Reply, refuse } from '../../services/ctl-svc/reply.ts';
import { parseAnswer, sendRaw, until } from './rig.ts';

const REQUEST = 'GET /containers HTTP/1.1\r\n\r\n';

describe('ctl.http-server under load', () => {
  let folder: string;
  const servers: ControlServer[] = [];
  let figures = createFigures();
  const clients: Socket[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ctl-flood-'));
    figures = createFigures();
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
    for (const { server, closeConnections } of servers.splice(0)) {
      server.close();
      closeConnections();
    }
    rmSync(folder, { recursive: true });
  });

  const serve = async (
    caller: Caller,
    limits: ServerLimits,
    answer: (body: () => BodyStream) => Promise<Reply> | Reply,
  ): Promise<string> => {
    const path = join(folder, caller.kind);
    const control = createControlServer(caller, limits, async (_, { streamBody }) => await answer(streamBody), figures);
    servers.push(control);
    await new Promise<void>((resolve) => control.server.listen({ path, backlog: 1_024 }, resolve));
    return path;
  };
  const open = (path: string): Socket => {
    const client = connect(path);
    client.on('error', () => undefined);
    client.resume();
    clients.push(client);
    return client;
  };

  it('lets a container have a bounded part of each turn, and the host its own in the same one', async () => {
    const limits = { ...CONTAINER_LIMITS, maxInTurn: 4 };
    let turn = 0;
    let inTurn = 0;
    let most = 0;
    let served = 0;
    const container = await serve({ kind: 'container', container: 'web' }, limits, () => {
      served += 1;
      inTurn += 1;
      most = Math.max(most, inTurn);
      return json([]);
    });
    const host = await serve({ kind: 'host' }, HOST_LIMITS, () => json([]));
    const count = (): void => {
      turn += 1;
      inTurn = 0;
      if (!isOver) setImmediate(count);
    };
    let isOver = false;
    count();
    const flood = (): void => {
      if (isOver) return;
      const client = open(container);
      client.on('connect', () => client.write(REQUEST.repeat(200)));
      client.on('close', flood);
    };
    for (let index = 0; index < 16; index += 1) flood();
    await until(() => served > 100, 20_000);
    for (let index = 0; index < 20; index += 1) {
      const before = { turn, served };
      const answer = parseAnswer(await sendRaw(host, `${REQUEST.slice(0, -2)}Connection: close\r\n\r\n`));
      assert.equal(answer.status, 200);
      assert.ok(served - before.served <= (turn - before.turn + 1) * limits.maxInTurn);
      // Connected, read, answered, ended.
      assert.ok(turn - before.turn <= 40, `${turn - before.turn} turns`);
    }
    isOver = true;
    assert.ok(most <= limits.maxInTurn, `${most} in one turn`);
  });

  it('ends a connection with more requests than are taken at a time, after those that are, and reads none of the rest', async () => {
    let dispatched = 0;
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const path = await serve({ kind: 'container', container: 'web' }, CONTAINER_LIMITS, async () => {
      dispatched += 1;
      await held;
      return json([]);
    });
    const received = sendRaw(path, REQUEST.repeat(1_000));
    await until(() => dispatched === CONTAINER_LIMITS.maxInFlight);
    release();
    const statuses = [...(await received).matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
    assert.deepEqual(statuses, [...Array(CONTAINER_LIMITS.maxInFlight).fill('200'), '503']);
    assert.equal(dispatched, CONTAINER_LIMITS.maxInFlight);
    assert.deepEqual(figures.answers(), [{ endpoint: undefined, status: 503, count: 1 }]);
  });

  it('holds a thousand idle connections and answers the next one', async () => {
    const host = await serve({ kind: 'host' }, HOST_LIMITS, () => json([]));
    const idle = Array.from({ length: 1_000 }, () => open(host));
    await until(() => idle.every(({ readyState }) => readyState === 'open'), 20_000);
    const used = idle.slice(0, 500);
    for (const client of used) client.write(REQUEST);
    await until(() => used.every(({ bytesRead }) => bytesRead > 0), 20_000);
    assert.equal(parseAnswer(await sendRaw(host, `${REQUEST.slice(0, -2)}Connection: close\r\n\r\n`)).status, 200);
  });

  it('answers 408 to an upload that stands still, and stays whole when it hangs up', async () => {
    let ended = 0;
    const host = await serve({ kind: 'host' }, { ...HOST_LIMITS, stallMs: 50 }, async (body) => {
      try {
        for await (const _ of body().pieces());
        return json([]);
      } catch {
        return refuse(408, 'late');
      } finally {
        ended += 1;
      }
    });
    const head = 'PUT /objects/a HTTP/1.1\r\nContent-Length: 1000\r\n\r\nthe beginning';
    const answer = parseAnswer(await sendRaw(host, head));
    assert.deepEqual([answer.status, answer.body], [408, '{"Error":"late"}']);
    assert.match(answer.headers, /^connection: close\r?$/im);
    const gone = open(host);
    gone.on('connect', () => gone.write(head, () => gone.destroy()));
    await until(() => ended === 2);
  });
});
