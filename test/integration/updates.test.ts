// Updates on real containers, over the control socket.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, describe, it } from 'node:test';
import { type ApiAnswer, ask, containerRows, get, leaseRows, serviceRows } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import {
  command,
  installRevision,
  progressReaches,
  putBytes,
  putRevision,
  type SourceContainer,
  STAYS,
  writeSource,
} from '../kit/step.ts';
import { openTree, PATIENCE_MS, packExample, packInto, type Tree } from '../kit/tree.ts';

const QUICK = ['--set', 'PV_UPDATER_COMMIT_DELAY=1', '--set', 'PV_UPDATER_GOALS_TIMEOUT=20'];
const LONG = ['--set', 'PV_UPDATER_COMMIT_DELAY=600'];
const POOL = {
  network: { pools: { internal: { bridge: 'pvbr0', subnet: '10.0.5.0/24', gateway: '10.0.5.1', nat: false } } },
};
const POOLED: SourceContainer = { args: { PV_NETWORK_POOL: 'internal' } };
const SYSTEM: SourceContainer = { args: { PV_GROUP: 'platform', PV_RESTART_POLICY: 'system' } };
const OTHER = `# another one\n${STAYS}`;

let tree: Tree | undefined;
let folder = '';
afterEach(async () => {
  await tree?.close();
  tree = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function boot(
  containers: Readonly<Record<string, SourceContainer>>,
  options = QUICK,
  device: object = POOL,
): Promise<Tree> {
  folder = mkdtempSync(join(tmpdir(), 'berth-update-'));
  tree = await openTree(packExample(writeSource(join(folder, 'source'), containers, device)));
  tree.start(options);
  await tree.up();
  return tree;
}

const next = (containers: Readonly<Record<string, SourceContainer>>, device: object = POOL): string =>
  writeSource(join(folder, 'source'), containers, device);

const rows = ({ socket }: Tree) => get(socket, '/containers', containerRows);
const pids = async (it: Tree) => Object.fromEntries((await rows(it)).map(({ name, pid }) => [name, pid]));
const addresses = async (it: Tree) =>
  Object.fromEntries((await get(it.socket, '/ipam/leases', leaseRows)).map(({ owner, address }) => [owner, address]));

const bootState = ({ storage }: Tree) => JSON.parse(readFileSync(join(storage, 'boot/current.json'), 'utf8'));

async function fill({ socket }: Tree, size: number) {
  const bytes = Buffer.alloc(size, 'x');
  const digest = createHash('sha256').update(bytes).digest('hex');
  return { digest, ...(await putBytes(socket, `/objects/${digest}`, bytes)) };
}

/** The head of a request and nothing behind it. */
function announce({ socket }: Tree, path: string, length: number): Promise<ApiAnswer> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-length': length, expect: '100-continue' };
    const outgoing = request({ socketPath: socket, method: 'PUT', path, headers, agent: false }, async (response) => {
      resolve({ status: response.statusCode ?? 0, body: await text(response) });
      outgoing.destroy();
    });
    outgoing.on('error', reject);
    outgoing.flushHeaders();
  });
}

describe('integration.updates', () => {
  it('replaces one of three containers, adds one, removes one, and leaves the others alone', async () => {
    const it = await boot({ a: POOLED, b: POOLED, c: POOLED });
    const [before, held] = [await pids(it), await addresses(it)];
    await installRevision(it.socket, next({ a: POOLED, b: { ...POOLED, init: OTHER }, d: POOLED }), 'next');
    await command(it.socket, 'LOCAL_RUN', 'locals/next');
    const progress = await progressReaches(it.socket, 'locals/next', 'UPDATED');
    assert.equal(progress['status-msg'], 'Update finished, revision not set as rollback point');
    const after = await pids(it);
    assert.deepEqual(Object.keys(after), ['a', 'b', 'd']);
    assert.equal(after.a, before.a);
    assert.notEqual(after.b, before.b);
    assert.ok(after.d);
    const now = await addresses(it);
    assert.deepEqual([now.a, now.b, now.c], [held.a, held.b, held.c], 'a lease was given back');
    assert.doesNotMatch(it.inside(['cat', '/proc/self/mounts']).stdout, /lxc\/c\//);
    // A supervisor that comes back takes them over, whatever revision they were started by.
    await it.killSupervisor();
    it.start(QUICK);
    await it.up();
    assert.deepEqual(await pids(it), after);
    assert.equal((await progressReaches(it.socket, 'current', 'UPDATED')).status, 'UPDATED');
  });

  it('gives a container that is renamed the MAC and the address of the old one, and both back', async () => {
    const mac = '02:11:22:33:44:55';
    const named = (address?: string): SourceContainer => ({
      args: { ...POOLED.args, PV_NETWORK_MAC: mac, ...(address === undefined ? {} : { PV_NETWORK_IP: address }) },
    });
    const of = async (owner: string) => {
      const lease = (await get(it.socket, '/ipam/leases', leaseRows)).find((row) => row.owner === owner);
      return lease && [lease.address, lease.mac];
    };
    const it = await boot({ before: named() });
    assert.deepEqual(await of('before'), ['10.0.5.2', mac]);
    for (const [name, container, address] of [
      ['renamed', 'after', '10.0.5.2'],
      ['back', 'before', undefined],
    ] as const) {
      await installRevision(it.socket, next({ [container]: named(address) }), name);
      await command(it.socket, 'LOCAL_RUN', `locals/${name}`);
      await progressReaches(it.socket, `locals/${name}`, 'UPDATED');
      assert.deepEqual(await of(container), ['10.0.5.2', mac]);
    }
  });

  it('reboots for a container of the system, tests, and sets the rollback point', async () => {
    const it = await boot({ s: SYSTEM, a: POOLED });
    await installRevision(it.socket, next({ s: { ...SYSTEM, init: OTHER }, a: POOLED }), 'next');
    await command(it.socket, 'LOCAL_RUN', 'locals/next');
    const progress = await progressReaches(it.socket, 'locals/next', 'DONE');
    assert.equal(progress['status-msg'], 'Update finished, revision set as rollback point');
    assert.equal(it.output().split('berth: starting over').length - 1, 1);
    assert.equal(bootState(it).revision, 'locals/next');
    assert.equal((await ask(it.socket, 'GET', '/steps/current')).status, 200);
  });

  const failing: readonly (readonly [string, SourceContainer, string, string])[] = [
    ['whose init fails', { init: 'exit 3\n' }, 'A container could not be started', '60'],
    ['that never says READY', { args: { PV_STATUS_GOAL: 'READY' } }, 'Status goal not reached', '3'],
  ];
  for (const [what, container, message, goalsSeconds] of failing) {
    it(`goes back from a container ${what}, says why, and costs no other container its pid`, async () => {
      const it = await boot({ a: POOLED, b: POOLED }, ['--set', `PV_UPDATER_GOALS_TIMEOUT=${goalsSeconds}`]);
      const before = await pids(it);
      await installRevision(it.socket, next({ a: POOLED, b: container }), 'bad');
      await command(it.socket, 'LOCAL_RUN', 'locals/bad');
      const progress = await progressReaches(it.socket, 'locals/bad', 'ERROR');
      assert.equal(progress['status-msg'], message);
      assert.match(progress.logs ?? '', /"lvl":"ERROR".*\bb\b/);
      await it.up();
      const after = await pids(it);
      assert.equal(after.a, before.a);
      assert.equal(bootState(it).revision, '0');
      assert.equal((await progressReaches(it.socket, 'current', 'DONE'))['status-msg'], 'Factory revision');
    });
  }

  it('refuses what is wrong when it comes, and what became wrong when it is to run', async () => {
    const it = await boot({ a: POOLED });
    const before = await pids(it);
    const unknown = (state: Readonly<Record<string, unknown>>) =>
      JSON.parse(JSON.stringify(state).replaceAll('"pool":"internal"', '"pool":"does-not-exist"'));
    assert.equal((await putRevision(it.socket, next({ a: POOLED }), 'nopool', unknown)).status, 422);
    assert.equal((await ask(it.socket, 'GET', '/steps/locals/nopool')).status, 404);
    await installRevision(it.socket, next({ a: { ...POOLED, init: OTHER } }), 'rotten');
    const state = JSON.parse((await ask(it.socket, 'GET', '/steps/locals/rotten')).body);
    const object = join(it.storage, 'objects', state['a/root.squashfs']);
    writeFileSync(object, 'rotten');
    await command(it.socket, 'LOCAL_RUN', 'locals/rotten');
    const progress = await progressReaches(it.socket, 'locals/rotten', 'ERROR');
    assert.equal(progress['status-msg'], 'Object validation went wrong');
    assert.deepEqual(await pids(it), before);
  });

  it('goes back after a power cut in the middle of the test, for good, with every address kept', async () => {
    const it = await boot({ a: POOLED, b: POOLED }, LONG);
    const held = await addresses(it);
    await installRevision(it.socket, next({ a: POOLED, b: { ...POOLED, init: OTHER } }), 'next');
    await command(it.socket, 'LOCAL_RUN', 'locals/next');
    await progressReaches(it.socket, 'locals/next', 'TESTING');
    await eventually('the update is being tried', PATIENCE_MS, () => bootState(it).trying?.started !== undefined);
    await it.sandbox.close();
    const again = await openTree(it.storage);
    tree = again;
    again.start(LONG);
    await again.up();
    const progress = await progressReaches(again.socket, 'locals/next', 'ERROR');
    assert.equal(progress['status-msg'], 'Unexpected rollback');
    assert.equal(bootState(again).revision, '0');
    assert.deepEqual(await addresses(again), held);
  });

  it('goes on with its test when state-svc, and when the supervisor is killed', async () => {
    const it = await boot({ a: POOLED, b: POOLED }, LONG);
    await installRevision(it.socket, next({ a: POOLED, b: { ...POOLED, init: OTHER } }), 'next');
    await command(it.socket, 'LOCAL_RUN', 'locals/next');
    await eventually('it holds', PATIENCE_MS, () => bootState(it).trying?.started?.heldSinceMs !== undefined);
    const before = await pids(it);
    const since = bootState(it).trying.started;
    const [state] = (await get(it.socket, '/services', serviceRows)).filter(({ name }) => name === 'state-svc');
    assert.equal(it.inside(['kill', '-KILL', String(state?.pid)]).status, 0);
    await it.up();
    assert.deepEqual(bootState(it).trying.started, since, 'its time began anew');
    await it.killSupervisor();
    it.start(QUICK);
    await progressReaches(it.socket, 'locals/next', 'UPDATED');
    assert.deepEqual(await pids(it), before);
  });

  it('takes objects in only while there is room, and collects garbage before it says that there is none', async () => {
    const it = await boot({ a: POOLED }, ['--set', 'PV_STORAGE_GC_THRESHOLD_DEFERTIME=0']);
    const size = 8 * 1024 * 1024;
    const first = await fill(it, size);
    assert.equal(first.status, 200, first.body);
    const huge = await announce(it, `/objects/${'0'.repeat(64)}`, 2 ** 50);
    assert.deepEqual([huge.status, huge.body], [507, '{"Error":"Not enough disk space available"}']);
    // No revision has it, so the attempt made room for itself, as far as there was any.
    const { status, body } = await ask(it.socket, 'GET', `/objects/${first.digest}`);
    assert.equal(status, 404, body.slice(0, 80));
    assert.equal((await fill(it, size)).status, 200);
    const collected = await ask(it.socket, 'POST', '/storage/gc');
    assert.deepEqual([collected.status, JSON.parse(collected.body)], [200, { reclaimed: size }]);
    assert.deepEqual(readdirSync(join(it.storage, 'objects/incoming')), []);
    await it.up();
  });

  it('runs, names and removes what was packed into its storage as what came over the socket, over and over', async () => {
    const it = await boot({ a: POOLED }, [...QUICK, '--set', 'PV_STORAGE_GC_THRESHOLD_DEFERTIME=0']);
    for (const round of ['first', 'second']) {
      packInto(it.storage, next({ a: { ...POOLED, init: `# ${round}\n${STAYS}` } }), '--revision', 'packed');
      assert.equal((await putBytes(it.socket, '/steps/packed/commitmsg', Buffer.from(round))).status, 200);
      await command(it.socket, 'LOCAL_RUN', 'packed');
      await progressReaches(it.socket, 'packed', 'UPDATED');
      await command(it.socket, 'LOCAL_RUN', '0');
      await eventually('it is removed when nobody needs it any more', PATIENCE_MS, async () => {
        const collected = await ask(it.socket, 'POST', '/storage/gc');
        assert.equal(collected.status, 200, collected.body);
        return `${readdirSync(join(it.storage, 'trails'))}` === '0';
      });
    }
  });
});
