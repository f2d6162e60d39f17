// What a soak does over and over: containers are stopped and started, revisions come, run, or are rolled back, and garbage goes.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { stepProgress } from '../../shared/schema/steps.ts';
import { ask, containerRows, get, serviceRows } from '../../test/kit/api.ts';
import { type Dice, dice } from '../../test/kit/dice.ts';
import { eventually } from '../../test/kit/eventually.ts';
import { command, putBytes, STAYS, writeSource } from '../../test/kit/step.ts';
import { openTree, packExample, type Tree } from '../../test/kit/tree.ts';
import { collectAll, copyCollectingProgram } from './collecting-program.ts';

export interface Churn {
  readonly tree: Tree;
  /** One cycle; `number` counts from 0. Resolves when everything stands still. */
  cycle(number: number): Promise<CycleKind>;
  close(): Promise<void>;
}

export type CycleKind = 'restarts' | 'update' | 'rollback';

const CONTAINERS = Array.from({ length: 10 }, (_, index) => `c${index}`);
const PATIENCE_MS = 120_000;
/** Of so many cycles, one has an update, and one of so many updates is of a container that fails. */
const UPDATE_EVERY = 4;
const FAILS_EVERY = 3;
const DEVICE = {
  network: { pools: { internal: { bridge: 'pvbr0', subnet: '10.0.5.0/24', gateway: '10.0.5.1', nat: true } } },
};
const SETTINGS: Readonly<Record<string, string>> = {
  PV_UPDATER_COMMIT_DELAY: '1',
  PV_UPDATER_GOALS_TIMEOUT: '60',
  PV_STORAGE_GC_THRESHOLD_DEFERTIME: '0',
  PV_STORAGE_GC_RESERVED: '0',
  // Logs are rotated and go within the run, and not after days of it.
  PV_LOG_DIR_MAXSIZE: '2M',
};
const FAILING = 'exit 3\n';
const stateDocument = z.record(z.string(), z.unknown());

export async function openChurn(seed: number): Promise<Churn> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-soak-'));
  let tree: Tree | undefined;
  let program: string | undefined;
  try {
    const source = join(folder, 'source');
    const pooled = { args: { PV_NETWORK_POOL: 'internal' } };
    const containers = Object.fromEntries(CONTAINERS.map((name) => [name, { ...pooled, init: STAYS }]));
    const failing = packExample(writeSource(source, { c0: { ...pooled, init: FAILING } }, DEVICE));
    const bad = readFileSync(join(failing, 'trails/0/c0/root.squashfs'));
    rmSync(failing, { recursive: true });
    program = copyCollectingProgram();
    tree = await openTree(packExample(writeSource(source, containers, DEVICE)), program);
    tree.start(Object.entries(SETTINGS).flatMap(([key, value]) => ['--set', `${key}=${value}`]));
    await tree.up();
    return churnOf(tree, program, bad, dice(seed));
  } catch (error) {
    await tree?.close();
    if (program !== undefined) rmSync(program, { recursive: true, force: true });
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function churnOf(tree: Tree, program: string, bad: Buffer, chance: Dice): Churn {
  const { socket } = tree;
  const rows = () => get(socket, '/containers', containerRows);
  const untilAll = (status: 'STOPPED' | 'STARTED') =>
    eventually(`all containers ${status}`, PATIENCE_MS, async () =>
      (await rows()).every((row) => row.status === status),
    );
  const order = async (action: 'stop' | 'start'): Promise<void> => {
    for (const name of [...CONTAINERS].sort(() => chance.draw() - 0.5)) {
      const { status, body } = await ask(socket, 'PUT', `/containers/${name}`, { action });
      assert.equal(status, 200, `${action} of ${name}: ${body}`);
    }
  };
  const store = async (bytes: Buffer): Promise<string> => {
    const digest = createHash('sha256').update(bytes).digest('hex');
    const { status, body } = await putBytes(socket, `/objects/${digest}`, bytes);
    assert.equal(status, 200, body);
    return digest;
  };
  const update = async (number: number, fails: boolean): Promise<void> => {
    const container = CONTAINERS[chance.below(CONTAINERS.length)] ?? 'c0';
    const state = stateDocument.parse(JSON.parse((await ask(socket, 'GET', '/steps/current')).body));
    state[`_config/${container}/etc/churn`] = await store(Buffer.from(`cycle ${number}\n`));
    if (fails) state[`${container}/root.squashfs`] = await store(bad);
    const { status, body } = await putBytes(socket, `/steps/locals/n${number}`, Buffer.from(JSON.stringify(state)));
    assert.equal(status, 200, body);
    await command(socket, 'LOCAL_RUN', `locals/n${number}`);
    const wanted: readonly string[] = fails ? ['ERROR'] : ['UPDATED', 'DONE'];
    let last = '';
    await eventually(`revision ${number} ${wanted}`, PATIENCE_MS, async () => {
      const progress = await get(socket, `/steps/locals/n${number}/progress`, stepProgress);
      last = progress.status;
      if (last === 'ERROR' && !fails) throw new Error(`update ${number} failed: ${JSON.stringify(progress)}`);
      return wanted.includes(last);
    });
    await untilAll('STARTED');
    assert.equal((await ask(socket, 'POST', '/storage/gc')).status, 200);
  };
  /** Nobody died for it. */
  const allLive = async (): Promise<void> => {
    const services = await get(socket, '/services', serviceRows);
    const ended = services.filter(({ restarts }) => restarts > 0);
    assert.deepEqual(ended, [], 'services that ended in the soak');
  };
  return {
    tree,
    async cycle(number) {
      await order('stop');
      await untilAll('STOPPED');
      await order('start');
      await untilAll('STARTED');
      const updates = number % UPDATE_EVERY === UPDATE_EVERY - 1;
      const fails = updates && Math.floor(number / UPDATE_EVERY) % FAILS_EVERY === 1;
      if (updates) await update(number, fails);
      collectAll(tree);
      await allLive();
      return fails ? 'rollback' : updates ? 'update' : 'restarts';
    },
    async close() {
      await tree.close();
      rmSync(program, { recursive: true, force: true });
    },
  };
}
