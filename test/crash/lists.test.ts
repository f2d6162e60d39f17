// Between a restart and lxc-svc's word on what lives nobody is told that what runs does not: the lists are a 503 until they are true,
// and what containers see of the revision's status stays as it was.
import assert from 'node:assert/strict';
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, afterEach, before, describe, it } from 'node:test';
import * as z from 'zod/mini';
import { STORAGE_INSIDE } from '../../scripts/sandbox/sandbox.ts';
import { ask, containerRows, get, groupRows } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { writeSource } from '../kit/step.ts';
import { openTree, PATIENCE_MS, PROGRAM, packExample, type Tree } from '../kit/tree.ts';

const metadata = z.record(z.string(), z.unknown());

const HELD = ['lxc', 'net'] as const;
type Held = (typeof HELD)[number];
/** While it is there, that service comes no further than its first line. */
const holdOf = (service: Held): string => `hold-${service}-svc`;
const waits = (service: Held): string => `while (require('node:fs').existsSync('${STORAGE_INSIDE}/${holdOf(service)}'))
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);\n`;

describe('crash.lists', () => {
  let program: string;
  let tree: Tree;
  before(async () => {
    program = mkdtempSync(join(tmpdir(), 'berth-program-'));
    cpSync(PROGRAM, program, { recursive: true });
    chmodSync(program, 0o755);
    for (const service of HELD) {
      const bundle = join(program, `${service}-svc.js`);
      writeFileSync(bundle, `${waits(service)}${readFileSync(bundle, 'utf8')}`);
    }
    tree = await openTree(packed(), program);
    tree.start();
    await tree.up();
  });
  const hold = (service: Held): void => writeFileSync(join(tree.storage, holdOf(service)), '');
  const letGo = (): void => {
    for (const service of HELD) rmSync(join(tree.storage, holdOf(service)), { force: true });
  };
  afterEach(letGo);
  after(async () => {
    await tree.close();
    rmSync(program, { recursive: true });
  });

  /** What runs, and as whom, as both lists say. */
  const standing = async () => ({
    containers: (await get(tree.socket, '/containers', containerRows)).map(({ name, status, pid }) => [
      name,
      status,
      pid,
    ]),
    groups: (await get(tree.socket, '/groups', groupRows)).map(({ name, status }) => [name, status]),
  });

  /** What a container of role mgmt finds under /pantavisor/device-meta. */
  const seen = (key: string): string => join(tree.rundir, 'meta/boss/device-meta', key);
  const told = async () => (await get(tree.socket, '/device-meta', metadata))['pantavisor.status'];

  const holdsWhileUnknown = async (restart: () => Promise<void>): Promise<void> => {
    const truth = await standing();
    hold('lxc');
    await restart();
    for (const path of ['/containers', '/groups', '/containers/worker']) {
      const answer = await eventually(`an answer to ${path}`, PATIENCE_MS, () =>
        // ctl-svc restarts as well, which ends the connections that it had taken.
        ask(tree.socket, 'GET', path).catch(() => undefined),
      );
      const error = 'state-svc has not said yet which containers there are; try again';
      assert.deepEqual(answer, { status: 503, body: JSON.stringify({ Error: error }) });
    }
    letGo();
    await eventually('lists', PATIENCE_MS, async () => (await ask(tree.socket, 'GET', '/containers')).status === 200);
    assert.deepEqual(await standing(), truth);
  };

  it('are held after a restart of the whole tree', () =>
    holdsWhileUnknown(async () => {
      await tree.killSupervisor();
      tree.start();
    }));

  it('are held after a restart of ctl-svc and state-svc while lxc-svc is away', () =>
    holdsWhileUnknown(async () => void killServices(tree, ['lxc', 'state', 'ctl'])));

  it('are told of the first tree since the machine started before lxc-svc is there, and of no later state-svc', async () => {
    const first = await openTree(packed(), program);
    const held = join(first.storage, holdOf('lxc'));
    try {
      writeFileSync(held, '');
      first.start();
      // A machine that takes its time has ctl-svc wait for state-svc, and answer 503; without lxc-svc all the same.
      const rows = await eventually('a list', PATIENCE_MS, () =>
        get(first.socket, '/containers', containerRows).catch(() => undefined),
      );
      assert.deepEqual(
        rows.map(({ name, status }) => [name, status]),
        [
          ['boss', 'INSTALLED'],
          ['worker', 'INSTALLED'],
        ],
      );
      assert.match(launchOf(first, 'state'), /"nothingRuns":true/);
      const [pid] = killServices(first, ['state']);
      await eventually('another state-svc', PATIENCE_MS, () => first.output().split('state-svc ready').length > 2);
      assert.notEqual(pidsOf(first, ['state'])[0], pid);
      assert.doesNotMatch(launchOf(first, 'state'), /nothingRuns/);
      rmSync(held);
      await first.up();
    } finally {
      await first.close();
    }
  });

  it('stay in device-meta what they were, and are not told, after a restart of state-svc while net-svc is away', async () => {
    const status = await eventually('a status', PATIENCE_MS, () => told());
    assert.notEqual(status, 'INSTALLED');
    await eventually(
      'containers see it',
      PATIENCE_MS,
      () => readFileSync(seen('pantavisor.status'), 'utf8') === status,
    );
    const { ino } = statSync(seen('pantavisor.status'));
    // Its containers see it before it has heard of all that runs.
    hold('net');
    killServices(tree, ['net', 'state']);
    let count = 0;
    await eventually('containers see what is new', PATIENCE_MS, async () => {
      count += 1;
      await ask(tree.socket, 'PUT', '/device-meta/count', count);
      return existsSync(seen('count')) && readFileSync(seen('count'), 'utf8') === String(count);
    });
    assert.equal(readFileSync(seen('pantavisor.status'), 'utf8'), status);
    assert.equal(await told(), undefined);
    letGo();
    await eventually('it is told', PATIENCE_MS, async () => (await told()) === status);
    assert.equal(statSync(seen('pantavisor.status')).ino, ino, 'it was written meanwhile');
  });
});

/** One that sees device-meta and one that does not, with addresses. */
function packed(): string {
  const folder = mkdtempSync(join(tmpdir(), 'berth-lists-'));
  const pool = { type: 'bridge', bridge: 'pvbr0', subnet: '10.0.5.0/24', gateway: '10.0.5.1', nat: true };
  const containers = {
    boss: { args: { PV_NETWORK_POOL: 'internal', PV_ROLES: ['mgmt'] } },
    worker: { args: { PV_NETWORK_POOL: 'internal' } },
  };
  try {
    return packExample(writeSource(join(folder, 'source'), containers, { network: { pools: { internal: pool } } }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function pidsOf(tree: Tree, names: readonly string[]): readonly number[] {
  const pattern = new RegExp(`(?:${names.join('|')})-svc[.]js`);
  return tree.processes().filter((pid) => pattern.test(factOf(pid, 'cmdline')));
}

function killServices(tree: Tree, names: readonly string[]): readonly number[] {
  const services = pidsOf(tree, names);
  assert.equal(services.length, names.length);
  for (const pid of services) process.kill(pid, 'SIGKILL');
  return services;
}

/** What the supervisor told it. */
const launchOf = (tree: Tree, name: string): string =>
  pidsOf(tree, [name])
    .map((pid) => factOf(pid, 'environ'))
    .join();

function factOf(pid: number, fact: 'cmdline' | 'environ'): string {
  try {
    return readFileSync(`/proc/${pid}/${fact}`, 'utf8');
  } catch {
    return '';
  }
}
