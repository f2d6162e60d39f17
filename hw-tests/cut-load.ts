// What a device is busy with when its power is cut, and what must be true of it afterwards, whatever the moment.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod/mini';
import { containerRows } from '../test/kit/api.ts';
import type { Dice } from '../test/kit/dice.ts';
import { type SourceContainer, STAYS } from '../test/kit/step.ts';
import { ask, command, get, install, leases, packed, progressOf, settled, until } from './device.ts';
import { output, type Target } from './target.ts';

export const KINDS = ['compaction', 'allocation', 'metadata', 'update', 'rotation', 'commit'] as const;
const BERTH = join(import.meta.dirname, '../dist/berth.js');

export type Kind = (typeof KINDS)[number];

/** What the device has said yes to. What was asked and not answered may be so or not. */
export interface Promised {
  /** Container → address. */
  readonly leases: Map<string, string>;
  /** Key → values that may be there: the last that was acknowledged, and those asked for since. */
  readonly metadata: Map<string, string[]>;
  /** Revisions that may run: the last one that was committed, and the one that is being tried. */
  revisions: string[];
  /** Containers that were asked to stop, and may not have been started again. */
  readonly stopped: Set<string>;
}

export const POOL = {
  network: { pools: { internal: { bridge: 'pvbr0', subnet: '10.0.5.0/24', gateway: '10.0.5.1', nat: true } } },
};
const POOLED: SourceContainer = { args: { PV_NETWORK_POOL: 'internal' } };
/** Logs as fast as the log service takes it, so that files are rotated all the time. */
const TALKS: SourceContainer = {
  args: { PV_NETWORK_POOL: 'internal' },
  init: "trap 'exit 0' TERM PWR\nwhile :; do\n/bin/busybox seq 1 400\n/bin/busybox sleep 1\ndone &\nwait $!\n",
};
/** `round`: of the container `changed`; the others stay as they are. */
export const revision = (round: number): string =>
  packed({ changed: { ...POOLED, init: `# ${round}\n${STAYS}` }, churned: POOLED, talks: TALKS }, POOL);

const LARGEST_PAUSE_MS: Readonly<Record<Kind, number>> = {
  compaction: 1_500,
  allocation: 6_000,
  metadata: 3_000,
  update: 8_000,
  rotation: 8_000,
  commit: 4_000,
};
/** Of a key that was never acknowledged. */
const NOTHING = '(nothing)';
/** User-meta that makes everything happen more often. */
const SETTINGS = { 'updater.commit.delay': '1', PV_LOG_DIR_MAXSIZE: '400000' };

export async function prepare(target: Target): Promise<Promised> {
  const promised: Promised = { leases: new Map(), metadata: new Map(), revisions: ['0'], stopped: new Set() };
  await settled(target);
  for (const [key, value] of Object.entries(SETTINGS)) await put(target, promised, key, value);
  await note(target, promised);
  return promised;
}

async function put(target: Target, { metadata }: Promised, key: string, value: string): Promise<void> {
  metadata.set(key, [...(metadata.get(key) ?? [NOTHING]), value]);
  const { status, body } = await ask(target, 'PUT', `/user-meta/${key}`, value);
  assert.equal(status, 200, body);
  metadata.set(key, [value]);
}

async function note(target: Target, promised: Promised): Promise<void> {
  for (const { owner, address } of await leases(target)) promised.leases.set(owner, address);
}

/** Keeps the device busy and cuts its power at a moment that the dice choose; what it acknowledged until then is in `promised`. */
export async function cutDuring(
  kind: Kind,
  round: number,
  target: Target,
  promised: Promised,
  dice: Dice,
): Promise<string> {
  const pauseMs = dice.below(LARGEST_PAUSE_MS[kind]);
  const end = { isNear: false };
  // Whatever fails from the cut on fails because of it.
  const work = busy(kind, round, target, promised, end).catch((error: unknown) => {
    if (!end.isNear) throw error;
  });
  if (kind === 'commit') await Promise.race([untilTested(target, round), work]);
  await Promise.race([delay(pauseMs), work]);
  end.isNear = true;
  await target.cut();
  await work;
  return `${kind}, ${pauseMs} ms`;
}

async function busy(kind: Kind, round: number, target: Target, promised: Promised, end: { readonly isNear: boolean }) {
  if (kind === 'update' || kind === 'commit') return await update(target, promised, round);
  for (let turn = 0; !end.isNear; turn += 1) {
    if (kind === 'metadata') await put(target, promised, 'hw.turn', `${round}.${turn}`);
    else if (kind === 'rotation') await ask(target, 'GET', '/containers');
    else await churn(target, promised);
  }
}

/** Gives the lease of a container back and has it allocated again. */
async function churn(target: Target, promised: Promised): Promise<void> {
  const act = async (action: string): Promise<void> => {
    const { status, body } = await ask(target, 'PUT', '/containers/churned', JSON.stringify({ action }));
    assert.equal(status, 200, `${action}: ${body}`);
  };
  promised.stopped.add('churned');
  await act('stop');
  await until('churned is stopped', async () => {
    const row = (await get(target, '/containers', containerRows)).find(({ name }) => name === 'churned');
    return row?.status === 'STOPPED' ? true : undefined;
  });
  promised.leases.delete('churned');
  const { status, body } = await ask(target, 'DELETE', '/ipam/leases/internal/churned');
  assert.equal(status, 200, body);
  await act('start');
  promised.stopped.delete('churned');
  await note(target, promised);
}

async function update(target: Target, promised: Promised, round: number): Promise<void> {
  const name = `cut-${round}`;
  const storage = revision(round);
  try {
    await install(target, storage, name);
  } finally {
    rmSync(storage, { recursive: true, force: true });
  }
  promised.revisions = [...promised.revisions, `locals/${name}`];
  await command(target, 'LOCAL_RUN', `locals/${name}`);
  await until(`locals/${name} is committed`, async () => {
    const { status } = await progressOf(target, `locals/${name}`);
    return status === 'DONE' || status === 'UPDATED' ? status : undefined;
  });
  promised.revisions = [`locals/${name}`];
}

function untilTested(target: Target, round: number): Promise<unknown> {
  return until(`locals/cut-${round} is tested`, async () => {
    const { status } = await progressOf(target, `locals/cut-${round}`);
    return status === 'TESTING' || status === 'DONE' || status === 'UPDATED' ? status : undefined;
  });
}

const userMeta = z.record(z.string(), z.string());
const bootState = z.object({ revision: z.string() });

/** After the power is back: resolves when all is as promised, and rejects with what is not. */
export async function keepsItsWord(target: Target, promised: Promised, folder: string): Promise<void> {
  const fsck = await target.run(['cat', '/run/berth-vm/fsck.status', '/run/berth-vm/fsck']);
  if (fsck.status === 0) assert.match(fsck.stdout, /^0\n/, `the file system was damaged: ${fsck.stdout}`);
  // A container that a user stopped stays so, over power cuts too; whether it was stopped at the cut is not known.
  for (const name of promised.stopped) {
    await until(`${name} runs`, async () => {
      const row = (await get(target, '/containers', containerRows)).find((each) => each.name === name);
      if (row?.status === 'STOPPED') await ask(target, 'PUT', `/containers/${name}`, '{"action":"start"}');
      return row?.status === 'STARTED' ? true : undefined;
    });
  }
  promised.stopped.clear();
  await settled(target);

  const rows = new Map((await leases(target)).map(({ owner, address }) => [owner, address]));
  for (const [owner, address] of promised.leases) {
    assert.equal(rows.get(owner), address, `the lease of ${owner} was acknowledged`);
  }
  assert.equal(new Set(rows.values()).size, rows.size, `an address was given out twice: ${[...rows].join(' ')}`);
  await output(target, ['sync']);
  await target.copyFrom(join(target.storage, 'ipam/leases.journal'), folder);
  checkJournal(join(folder, 'leases.journal'));

  const { revision: running } = bootState.parse(
    JSON.parse(await output(target, ['cat', join(target.storage, 'boot/current.json')])),
  );
  assert.ok(promised.revisions.includes(running), `${running} runs, and not ${promised.revisions.join(' or ')}`);
  const { status } = await progressOf(target, 'current');
  assert.ok(status === 'DONE' || status === 'UPDATED', `the running revision ${running} is ${status}`);
  promised.revisions = [running];

  const meta = await get(target, '/user-meta', userMeta);
  for (const [key, values] of promised.metadata) {
    const value = meta[key] ?? NOTHING;
    assert.ok(values.includes(value), `user-meta ${key} is ${value}, not ${values.join(' or ')}`);
    promised.metadata.set(key, [value]);
  }
  await note(target, promised);
}

function checkJournal(file: string): void {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BERTH, 'check', '--journal', file], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, `${stdout}${stderr}`);
}
