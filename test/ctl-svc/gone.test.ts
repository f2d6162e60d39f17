// Clients that write their request and are gone, as Pantavisor's pvtx is: what they uploaded is kept, though nobody reads the answer.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import { CONTAINER_LIMITS, HOST_LIMITS } from '../../services/ctl-svc/http-server.ts';
import { type Rig, startRig, until } from './rig.ts';

const sha256 = (content: string): string => createHash('sha256').update(content).digest('hex');

describe('ctl.uploads of clients that are gone', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig(['web']);
  });
  after(() => rig.stop());
  beforeEach(() => rig.world.store.objects.clear());

  const sendAndLeave = (socket: string, bytes: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const client = connect(socket, () => client.end(bytes, () => client.destroy()));
      client.on('error', reject);
      client.on('close', () => resolve());
    });
  const put = (path: string, body: string): string =>
    `PUT ${path} HTTP/1.1\r\nHost: localhost\r\nContent-length: ${body.length}\r\n\r\n${body}`;

  // Nothing at all, what comes with the head, and more than a socket holds.
  const contents = ['', 'a line\n\nanother one\n', 'x'.repeat(1_000_000)];
  for (const from of ['the host', 'a container']) {
    it(`are kept: objects and steps of ${from}`, async () => {
      const { store } = rig.world;
      const socket = from === 'the host' ? rig.host : rig.socketOf('web');
      for (const content of contents) {
        await sendAndLeave(socket, put(`/objects/${sha256(content)}`, content));
        await until(() => store.objects.has(sha256(content)));
        assert.equal(store.objects.get(sha256(content))?.toString(), content);
      }
      const step = `locals/of-${from.at(-1)}`;
      await sendAndLeave(socket, put(`/steps/${step}`, '{}'));
      await until(() => store.steps.has(step));
      assert.equal(store.uploads.size, 0);
    });
  }

  it('are kept also where there are more than are taken at a time', async () => {
    const { store } = rig.world;
    for (const [socket, count] of [
      [rig.host, 2 * HOST_LIMITS.maxInFlight],
      [rig.socketOf('web'), CONTAINER_LIMITS.maxConnections / 2],
    ] as const) {
      store.objects.clear();
      const many = Array.from({ length: count }, (_, index) => `object ${index}`);
      await Promise.all(many.map((content) => sendAndLeave(socket, put(`/objects/${sha256(content)}`, content))));
      await until(() => store.objects.size === count);
    }
  });

  it('are forgotten where their body is not whole', async () => {
    for (const socket of [rig.host, rig.socketOf('web')]) {
      const head = `PUT /objects/${sha256('whole')} HTTP/1.1\r\nContent-Length: 5\r\n\r\n`;
      await sendAndLeave(socket, `${head}whol`);
      await sendAndLeave(socket, put(`/objects/${sha256('behind')}`, 'behind'));
      await until(() => rig.world.store.objects.has(sha256('behind')) && rig.world.store.uploads.size === 0);
      assert.equal(rig.world.store.objects.has(sha256('whole')), false);
    }
  });
});
