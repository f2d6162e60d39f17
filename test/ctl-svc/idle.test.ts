// How long a connection may be silent: while its client is the one to say or to take something, and not while ctl-svc is.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Stalled } from '../../services/ctl-svc/body-stream.ts';
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
} from '../../services/ctl-svc/http-server.ts';
import { DONE, json, refuse } from '../../services/ctl-svc/reply.ts';
import { parseAnswer, sendRaw, until } from './rig.ts';

const IDLE_MS = 50;
/** More than the kernel keeps of a connection, and Node beside it. */
const LARGE = json('x'.repeat(8 * 1024 * 1024));
const SLOW = 'PUT /slow HTTP/1.1\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}';

const callers: readonly (readonly [Caller, AskForStep | undefined])[] = [
  [{ kind: 'host' }, undefined],
  [{ kind: 'container', container: 'web' }, createFairTurns(CONTAINER_TURNS).party()],
];

for (const [caller, ask] of callers) {
  describe(`ctl.http-server and silence, of the ${caller.kind}`, () => {
    let path: string;
    let folder: string;
    let control: ControlServer;
    let listening: ControlSocket;
    const clients: Socket[] = [];
    /** Of requests that wait for their reply. */
    let waiting: (() => void)[];

    const dispatch: Dispatch = async (_, { target, readBody, streamBody }) => {
      switch (target) {
        case '/slow':
          await readBody();
          await new Promise<void>((resolve) => waiting.push(resolve));
          return DONE;
        case '/large':
          return LARGE;
        default:
          try {
            for await (const _piece of streamBody().pieces());
            return DONE;
          } catch (error) {
            return refuse(error instanceof Stalled ? 408 : 500, 'late');
          }
      }
    };
    const open = (): Socket => {
      const client = connect(path);
      client.on('error', () => undefined);
      clients.push(client);
      return client;
    };
    /** Answers what tells how often it was answered 200, and waits for that, or the end of its connection. */
    const countAnswers = (client: Socket) => {
      let text = '';
      client.setEncoding('latin1').on('data', (chunk: string) => {
        text += chunk;
      });
      const count = (): number => text.split('HTTP/1.1 200').length - 1;
      return async (expected: number): Promise<void> => {
        await until(() => count() === expected || client.destroyed);
        assert.equal(count(), expected);
      };
    };
    /** Whoever was silent before has been so for longer than a client may be. */
    const letSilenceEnd = async (): Promise<void> => {
      const accepted = once(listening.server, 'connection');
      open().pause().write('GET /large HTTP/1.1\r\n\r\n');
      const [connection] = await accepted;
      await once(connection, 'close');
    };

    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), 'ctl-idle-'));
      path = join(folder, 'socket');
      waiting = [];
      const limits = caller.kind === 'host' ? HOST_LIMITS : CONTAINER_LIMITS;
      control = createControlServer(dispatch, createFigures(), { idleMs: IDLE_MS });
      listening = control.open(caller, { ...limits, stallMs: 4 * IDLE_MS }, ask);
      await new Promise<void>((resolve) => listening.server.listen(path, resolve));
    });
    afterEach(() => {
      for (const client of clients.splice(0)) client.destroy();
      listening.server.close();
      control.close();
      rmSync(folder, { recursive: true });
    });

    it('waits with its client for an answer that takes longer, each time that it asks', async () => {
      const client = open();
      const answers = countAnswers(client);
      for (const asked of [1, 2]) {
        client.write(SLOW);
        await until(() => waiting.length === 1);
        await letSilenceEnd();
        waiting.pop()?.();
        await answers(asked);
      }
    });

    it('waits for the last of several requests, also when those before it are answered', async () => {
      const client = open();
      const answers = countAnswers(client);
      client.write(`${SLOW}${SLOW}`);
      await until(() => waiting.length > 0);
      waiting.shift()?.();
      await answers(1);
      await until(() => waiting.length === 1);
      await letSilenceEnd();
      waiting.shift()?.();
      await answers(2);
    });

    it('tells an upload that stands still so, however short other silence may be', async () => {
      const text = await sendRaw(path, 'PUT /objects/a HTTP/1.1\r\nContent-Length: 1000\r\n\r\nthe beginning');
      assert.equal(parseAnswer(text).status, 408);
    });
  });
}
