// A client that sends as much as it can: what it gets of ctl-svc is counted in turns of its event loop, never in time.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { BodyStream } from '../../services/ctl-svc/body-stream.ts';
import type { Dispatch } from '../../services/ctl-svc/dispatch.ts';
import type { Caller } from '../../services/ctl-svc/endpoint.ts';
import { type AskForStep, createFairTurns } from '../../services/ctl-svc/fair-turns.ts';
import { createFigures } from '../../services/ctl-svc/figures.ts';
import {
  CONTAINER_LIMITS,
  CONTAINER_TURNS,
  type ControlServer,
  type ControlSocket,
  createControlServer,
  HOST_LIMITS,
  type ServerLimits,
} from '../../services/ctl-svc/http-server.ts';
import { json, type Reply, refuse } from '../../services/ctl-svc/reply.ts';
import { parseAnswer, sendRaw, until } from './rig.ts';

const REQUEST = 'GET /containers HTTP/1.1\r\n\r\n';

describe('ctl.http-server under load', () => {
  let folder: string;
  const servers: [ControlServer, ControlSocket][] = [];
  let figures = createFigures();
  const clients: Socket[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ctl-flood-'));
    figures = createFigures();
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
    for (const [control, { server }] of servers.splice(0)) {
      server.close();
      control.close();
    }
    rmSync(folder, { recursive: true });
  });

  const serve = async (
    caller: Caller,
    limits: ServerLimits,
    answer: (body: () => BodyStream) => Promise<Reply> | Reply,
    ask?: AskForStep,
  ): Promise<string> => {
    const path = join(folder, caller.kind === 'container' ? caller.container : caller.kind);
    const dispatch: Dispatch = async (_, { streamBody }) => await answer(streamBody);
    const control = createControlServer(dispatch, figures);
    const socket = control.open(caller, limits, ask);
    servers.push([control, socket]);
    await new Promise<void>((resolve) => socket.server.listen({ path, backlog: 1_024 }, resolve));
    return path;
  };
  const open = (path: string): Socket => {
    const client = connect(path);
    client.on('error', () => undefined);
    client.resume();
    clients.push(client);
    return client;
  };

  it('answers a bounded number of requests of flooding containers between two of the host, and each of them its part', async () => {
    const fairTurns = createFairTurns({ ...CONTAINER_TURNS, perSecond: 1e6, burst: 1e6 });
    const served = { web: 0, db: 0 };
    const flooded = { web: 32, db: 4 };
    const sockets = new Map<string, string>();
    for (const container of ['web', 'db'] as const) {
      const answer = (): Reply => {
        served[container] += 1;
        return json([]);
      };
      const caller = { kind: 'container', container } as const;
      sockets.set(container, await serve(caller, CONTAINER_LIMITS, answer, fairTurns.party()));
    }
    const host = await serve({ kind: 'host' }, HOST_LIMITS, () => json([]));
    let isOver = false;
    let turn = 0;
    const count = (): void => {
      turn += 1;
      if (!isOver) setImmediate(count);
    };
    count();
    const flood = (path: string): void => {
      if (isOver) return;
      const client = open(path);
      // Thousands in one read, and the next ones as soon as they are taken.
      const send = (): void => void (client.write(REQUEST.repeat(2_500)) || client.once('drain', send));
      client.on('connect', send).on('drain', send);
      client.on('close', () => flood(path));
    };
    for (const [container, count] of Object.entries(flooded)) {
      for (let index = 0; index < count; index += 1) flood(sockets.get(container) ?? '');
    }
    await until(() => served.web > 100 && served.db > 100);
    const begun = { ...served };
    for (let index = 0; index < 20; index += 1) {
      const before = { turn, served: served.web + served.db };
      const answer = parseAnswer(await sendRaw(host, `${REQUEST.slice(0, -2)}Connection: close\r\n\r\n`));
      assert.equal(answer.status, 200);
      const between = served.web + served.db - before.served;
      const turns = turn - before.turn;
      assert.ok(between <= (turns + 1) * CONTAINER_TURNS.perTurn, `${between} in ${turns} turns`);
      // Connected, read, answered, ended.
      assert.ok(turns <= 40, `${turns} turns`);
    }
    isOver = true;
    const [web, db] = [served.web - begun.web, served.db - begun.db];
    assert.ok(db >= web / 2, `${web} and ${db}: who floods over more connections has no more of the turns`);
  });

  it('ends a connection with more requests than are taken at a time, after those that are, and reads none of the rest', async () => {
    let dispatched = 0;
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const path = await serve({ kind: 'host' }, { ...HOST_LIMITS, maxInFlight: 8 }, async () => {
      dispatched += 1;
      await held;
      return json([]);
    });
    const received = sendRaw(path, REQUEST.repeat(1_000));
    await until(() => dispatched === 8);
    release();
    const statuses = [...(await received).matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
    assert.deepEqual(statuses, [...Array(8).fill('200'), '503']);
    assert.equal(dispatched, 8);
    assert.deepEqual(figures.answers(), [{ endpoint: undefined, status: 503, count: 1 }]);
  });

  it('holds a thousand idle connections and answers the next one', async () => {
    const host = await serve({ kind: 'host' }, HOST_LIMITS, () => json([]));
    const idle = Array.from({ length: 1_000 }, () => open(host));
    await until(() => idle.every(({ readyState }) => readyState === 'open'));
    const used = idle.slice(0, 500);
    for (const client of used) client.write(REQUEST);
    await until(() => used.every(({ bytesRead }) => bytesRead > 0));
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
