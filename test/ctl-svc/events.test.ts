// GET /events: what services tell reaches whoever listens, in order, numbered, and resumes where a client left off.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientRequest, request } from 'node:http';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createEventLog } from '../../services/ctl-svc/event-log.ts';
import { ipamContract } from '../../services/ipam-svc/contract.ts';
import { netContract } from '../../services/net-svc/contract.ts';
import { stateContract } from '../../services/state-svc/contract.ts';
import { supervisorContract } from '../../services/supervisor/contract.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { curl, type Rig, startRig } from './rig.ts';
import { containerRow } from './rows.ts';

interface Stream {
  readonly contentType: string;
  /** Blocks so far, without the empty line that ends each. */
  blocks(): readonly string[];
  /** Reads nothing until `goOn`. */
  stop(): void;
  goOn(): void;
  close(): void;
}

async function open(socketPath: string, lastEventId?: string): Promise<Stream> {
  const headers = lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId };
  const outgoing: ClientRequest = request({ socketPath, path: '/events', headers, agent: false });
  outgoing.end();
  const [response] = await once(outgoing, 'response');
  assert.equal(response.statusCode, 200);
  let text = '';
  response.setEncoding('utf8');
  response.on('data', (chunk: string) => {
    text += chunk;
  });
  response.on('error', () => undefined);
  return {
    contentType: response.headers['content-type'] ?? '',
    blocks: () => text.split('\n\n').slice(0, -1),
    stop: () => void response.pause(),
    goOn: () => void response.resume(),
    close: () => outgoing.destroy(),
  };
}

/** What a log keeps. */
const KEPT = 512;

const idOf = (block: string | undefined): number => Number(/^id: (\d+)/.exec(block ?? '')?.[1]);

describe('ctl.events', () => {
  let rig: Rig;
  const streams: Stream[] = [];
  const listen = async (lastEventId?: string, socket = rig.host): Promise<Stream> => {
    const stream = await open(socket, lastEventId);
    streams.push(stream);
    return stream;
  };
  const change = (name: string): void =>
    rig.state.publish(stateContract, 'containerChanged', { container: containerRow(name) });
  const has = (stream: Stream, count: number) =>
    eventually(`${count} blocks`, PATIENCE_MS, () => (stream.blocks().length >= count ? stream.blocks() : undefined));

  beforeEach(async () => {
    rig = await startRig(['web', 'waits']);
  });
  afterEach(() => {
    for (const stream of streams.splice(0)) stream.close();
    rig.stop();
  });

  it('tells each kind of event to every listener, in order, with growing numbers', async () => {
    const both = [await listen(), await listen()];
    assert.equal(both[0]?.contentType, 'text/event-stream');
    change('web');
    for (const stream of both) await has(stream, 2);
    rig.supervisor.publish(supervisorContract, 'serviceChanged', {
      service: 'ipam-svc',
      state: 'backoff',
      reason: 'killed by SIGKILL',
      atMs: 0,
    });
    for (const stream of both) {
      const blocks = await has(stream, 3);
      assert.match(blocks[1] ?? '', /\nevent: container\ndata: \{"name":"web",/);
      assert.match(
        blocks[2] ?? '',
        /\nevent: service\ndata: \{"name":"ipam-svc","state":"backoff","reason":"killed by SIGKILL","at":"1970-/,
      );
      assert.ok(idOf(blocks[0]) < idOf(blocks[1]) && idOf(blocks[1]) < idOf(blocks[2]));
    }
  });

  it('says what net-svc repaired', async () => {
    const stream = await listen();
    const net = rig.bus.connect('net-svc');
    net.ready();
    net.publish(netContract, 'networkRepaired', { what: ['create bridge pvbr0'], atMs: 0 });
    const blocks = await has(stream, 2);
    assert.match(blocks[1] ?? '', /\nevent: network\ndata: \{"repaired":\["create bridge pvbr0"\],/);
  });

  it('says which pools overlap what the machine uses', async () => {
    const stream = await listen();
    const net = rig.bus.connect('net-svc');
    net.ready();
    const overlap = { pool: 'internal', subnet: '10.0.5.0/24', with: 'route 10.0.0.0/8 by wg0' };
    net.publish(netContract, 'overlapsChanged', { overlaps: [overlap], atMs: 0 });
    const blocks = await has(stream, 2);
    assert.match(blocks[1] ?? '', /\nevent: network\ndata: \{"overlaps":\[\{"pool":"internal",/);
  });

  it('says which leases are given and returned, and how far an update is', async () => {
    const stream = await listen();
    const ipam = rig.bus.connect('ipam-svc');
    ipam.ready();
    const key = { pool: 'internal', container: 'web', interface: 'eth0', address: '10.0.5.2' };
    ipam.publish(ipamContract, 'leaseAllocated', { ...key, mac: '02:00:0a:00:05:02', atMs: 0 });
    ipam.publish(ipamContract, 'leaseReleased', { ...key, atMs: 1 });
    const progress = { status: 'TESTING', 'status-msg': 'Awaiting', progress: 50, retries: 0 } as const;
    await has(stream, 3);
    rig.state.publish(stateContract, 'updateProgressed', { revision: 'locals/a', progress });
    const data = (await has(stream, 4)).slice(1).map((block) => block.split('\n').slice(1));
    const row = '"owner":"web","pool":"internal","interface":"eth0","address":"10.0.5.2"';
    assert.deepEqual(data, [
      ['event: lease', `data: {${row},"mac":"02:00:0a:00:05:02","state":"leased","since":"1970-01-01T00:00:00.000Z"}`],
      ['event: lease', `data: {${row},"state":"released","since":"1970-01-01T00:00:00.001Z"}`],
      ['event: update', `data: ${JSON.stringify({ revision: 'locals/a', progress })}`],
    ]);
  });

  it('resumes after the last event that a client has seen', async () => {
    const first = await listen();
    for (const name of ['a', 'b', 'c']) change(name);
    const seen = await has(first, 4);
    const second = await listen(String(idOf(seen[1])));
    assert.deepEqual((await has(second, 2)).slice(0, 2), seen.slice(2, 4));
  });

  it('resumes a client that has missed all that is kept, however much that is', async () => {
    const first = await listen();
    const [start] = await has(first, 1);
    for (let count = 0; count < KEPT; count += 1) change('waits');
    for (const socket of [rig.host, rig.socketOf('web')]) {
      const second = await listen(String(idOf(start)), socket);
      const ids = (await has(second, KEPT)).map(idOf);
      assert.deepEqual(
        ids,
        Array.from({ length: KEPT }, (_, index) => idOf(start) + 1 + index),
      );
    }
  });

  it('tells a client that reads all of a burst', async () => {
    const stream = await listen();
    const [start] = await has(stream, 1);
    for (let count = 0; count < 400; count += 1) change('web');
    const ids = (await has(stream, 401)).map(idOf);
    assert.deepEqual(
      ids,
      Array.from({ length: 401 }, (_, index) => idOf(start) + index),
    );
  });

  it('keeps nothing for a client that does not read: it is told what it cannot have any more, and goes on', async () => {
    const [slow, other] = [await listen(), await listen()];
    const [start] = await has(slow, 1);
    slow.stop();
    // Several times what the kernel keeps of a connection.
    const count = 6 * KEPT;
    for (let told = 0; told < count; told += 1) {
      change('web');
      if (told % 100 === 0) await has(other, told + 2);
    }
    const [newest] = (await has(other, count + 1)).slice(-1);
    assert.equal(idOf(newest), idOf(start) + count);
    slow.goOn();
    const blocks = await eventually('the loss', PATIENCE_MS, () =>
      slow.blocks().some((block) => block.includes('\nevent: lost\n')) ? slow.blocks() : undefined,
    );
    assert.ok(blocks.length < count / 2, `${blocks.length} blocks of ${count}`);
    assert.equal(idOf(blocks.at(-1)), idOf(newest));
    change('web');
    assert.equal(idOf((await has(slow, blocks.length + 1)).at(-1)), idOf(newest) + 1);
  });

  it('says that events are lost to a client that comes from before its time', async () => {
    for (const id of ['5', 'no-number', '99999999999999999']) {
      const [block] = await has(await listen(id), 1);
      assert.match(block ?? '', /\nevent: lost\n/);
    }
  });

  it('refuses a container without role mgmt', async () => {
    const answer = await curl(rig.socketOf('waits'), '/events');
    assert.equal(answer.status, 403);
  });
});

describe('ctl.event-log', () => {
  it('keeps a bounded past and knows where it ends', () => {
    const log = createEventLog(100);
    log.keep();
    assert.deepEqual(log.since(100), []);
    for (let count = 0; count < 2_000; count += 1) log.append('x', count);
    assert.equal(log.lastId, 2_100);
    assert.equal(log.since(100), undefined);
    assert.equal(log.since(2_098)?.length, 2);
    assert.equal(log.since(2_101), undefined);
  });

  it('keeps nothing from before the first client, and all from then on', () => {
    const log = createEventLog(100);
    assert.equal(log.append('x', 1), undefined);
    log.keep();
    assert.equal(log.since(100), undefined);
    assert.deepEqual(log.since(101), []);
    const event = log.append('x', 2);
    log.keep();
    assert.deepEqual(log.since(101), [event]);
  });
});
