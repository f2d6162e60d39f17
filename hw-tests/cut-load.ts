// What a device is busy with when its power is cut, and what must be true of it afterwards, whatever the moment.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod/mini';
import { bootState, runningOf } from '../services/state-svc/boot-state.ts';
import { containerRows } from '../test/kit/api.ts';
import type { Dice } from '../test/kit/dice.ts';
import type { SourceContainer } from '../test/kit/step.ts';
import type { Kind } from './cut-kinds.ts';
import {
  ask,
  command,
  get,
  install,
  leases,
  packed,
  progressOf,
  progressReaches,
  settled,
  stepName,
  until,
} from './device.ts';
import { freezeRewrite } from './frozen-rewrite.ts';
import { output, type Target } from './target.ts';

const CHURNED = 'churned';
const TALKER = 'talks';
const BERTH = join(import.meta.dirname, '../dist/berth.js');

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
  network: {
    pools: {
      internal: {
        bridge: 'pvbr0',
        subnet: '10.0.5.0/24',
        gateway: '10.0.5.1',
        nat: true,
      },
    },
  },
};
const POOLED: SourceContainer = { args: { PV_NETWORK_POOL: 'internal' } };
const LOGS_MS = 6_000;
/** Some kilobytes of log a second, of which LOG_BYTES makes a file that is rotated every other second. */
const TALKS = "trap 'exit 0' TERM PWR\nwhile :; do\n/bin/busybox seq 1 2000\n/bin/busybox sleep 1\ndone &\nwait $!\n";
const LOG_BYTES = '320000';
/** `round`: of the container that an update changes; the other one stays as it is. */
export const revision = (round: number): string =>
  packed({ [CHURNED]: POOLED, [TALKER]: { ...POOLED, init: `# ${round}\n${TALKS}` } }, POOL);

/** Of a key that was never acknowledged. */
const NOTHING = '(nothing)';
/** User-meta that makes everything happen more often. */
const SETTINGS = { 'updater.commit.delay': '1', PV_LOG_DIR_MAXSIZE: LOG_BYTES };

export async function prepare(target: Target): Promise<Promised> {
  const promised: Promised = {
    leases: new Map(),
    metadata: new Map(),
    revisions: [target.revision],
    stopped: new Set(),
  };
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

const held = (target: Target) => leases(target, [CHURNED, TALKER]);

async function note(target: Target, promised: Promised): Promise<void> {
  for (const { owner, address } of await held(target)) promised.leases.set(owner, address);
}

/** What keeps a device busy until the cut is near, and when that may come. */
interface Load {
  /** Brings it to where the load begins; none of its time is drawn. */
  readonly lead?: () => Promise<unknown>;
  readonly work: (near: AbortSignal) => Promise<void>;
  /** Of the target's work (`Target.worked`). */
  readonly longestMs: number;
  /** Where the cut falls instead of at a moment that is drawn; resolves with what is seen there. */
  readonly moment?: () => Promise<string>;
}

/** Keeps the device busy and cuts its power at a moment that the dice choose; what it acknowledged until then is in `promised`. */
export async function cutDuring(
  kind: Kind,
  round: number,
  target: Target,
  promised: Promised,
  dice: Dice,
): Promise<string> {
  const { lead, work, longestMs, moment } = loadOf(kind, round, target, promised, dice);
  const pauseMs = dice.below(longestMs);
  await lead?.();
  const end = new AbortController();
  // Whatever fails from the cut on fails because of it.
  const working = work(end.signal).catch((error: unknown) => {
    if (!end.signal.aborted) throw error;
  });
  const atDrawn = () => target.worked(pauseMs).then(() => `${pauseMs} ms`);
  const where = await Promise.race([(moment ?? atDrawn)(), working.then(() => 'all was done')]);
  end.abort();
  await target.cut();
  await working;
  return `${kind}, ${where}`;
}

function loadOf(kind: Kind, round: number, target: Target, promised: Promised, dice: Dice): Load {
  const ofWork = (emulatedMs: number, realMs: number): number => (target.isEmulated ? emulatedMs : realMs);
  switch (kind) {
    case 'compaction': {
      // The journal is as long as it may become: this one more line has it written anew.
      const anyMoment = {
        lead: () => stop(target, promised),
        work: () => release(target, promised),
        longestMs: ofWork(600, 60),
      };
      // A board's journal is as long as it happens to be.
      if (!target.isNew || (round > 1 && dice.below(2) === 0)) return anyMoment;
      let stopped: Promise<string> | undefined;
      return {
        ...anyMoment,
        lead: async () => {
          await anyMoment.lead();
          ({ stopped } = await freezeRewrite(target));
        },
        moment: async () => (await stopped) ?? assert.fail('nobody watches'),
      };
    }
    case 'allocation':
      return {
        work: (near) => untilNear(near, () => churn(target, promised, near)),
        longestMs: ofWork(12_000, 1_000),
      };
    case 'metadata':
      return {
        work: (near) => untilNear(near, (turn) => put(target, promised, 'hw.turn', `${round}.${turn}`)),
        longestMs: ofWork(3_000, 300),
      };
    case 'update': {
      // Half of them while it arrives, half while it begins to run.
      if (dice.below(2) === 0) {
        // Here it takes longer than all the rest does there.
        const storage = revision(round);
        return { work: () => bring(target, round, storage), longestMs: ofWork(3_000, 200) };
      }
      return {
        lead: () => bring(target, round),
        work: async (near) => {
          await run(target, promised, round);
          await untilCommitted(target, promised, round, near);
        },
        longestMs: ofWork(8_000, 1_500),
      };
    }
    case 'rotation':
      // It logs by itself, and the faster the less it is asked.
      return { work: (near) => delay(LOGS_MS, undefined, { signal: near }), longestMs: LOGS_MS };
    case 'commit':
      return {
        lead: async () => {
          await bring(target, round);
          await run(target, promised, round);
          await untilTested(target, round);
        },
        work: (near) => untilCommitted(target, promised, round, near),
        longestMs: ofWork(4_000, 1_500),
      };
  }
}

async function untilNear(near: AbortSignal, act: (turn: number) => Promise<unknown>): Promise<void> {
  for (let turn = 0; !near.aborted; turn += 1) await act(turn);
}

/** Gives the lease of a container back and has it allocated again. */
async function churn(target: Target, promised: Promised, near: AbortSignal): Promise<void> {
  await stop(target, promised, near);
  await release(target, promised);
  await act(target, 'start');
  promised.stopped.delete(CHURNED);
  await note(target, promised);
}

async function act(target: Target, action: 'start' | 'stop'): Promise<void> {
  const { status, body } = await ask(target, 'PUT', `/containers/${CHURNED}`, JSON.stringify({ action }));
  assert.equal(status, 200, `${action}: ${body}`);
}

async function stop(target: Target, promised: Promised, near?: AbortSignal): Promise<void> {
  promised.stopped.add(CHURNED);
  await act(target, 'stop');
  const look = async () => {
    const row = (await get(target, '/containers', containerRows)).find(({ name }) => name === CHURNED);
    return row?.status === 'STOPPED' ? true : undefined;
  };
  await until(`${CHURNED} is stopped`, look, { near });
}

async function release(target: Target, promised: Promised): Promise<void> {
  promised.leases.delete(CHURNED);
  const { status, body } = await ask(target, 'DELETE', `/ipam/leases/internal/${CHURNED}`);
  assert.equal(status, 200, body);
}

const cutName = (round: number): string => stepName(`cut-${round}`);
const nameOf = (round: number): string => `locals/${cutName(round)}`;

async function bring(target: Target, round: number, storage = revision(round)): Promise<void> {
  try {
    await install(target, storage, cutName(round));
  } finally {
    rmSync(storage, { recursive: true, force: true });
  }
}

async function run(target: Target, promised: Promised, round: number): Promise<void> {
  promised.revisions = [...promised.revisions, nameOf(round)];
  await command(target, 'LOCAL_RUN', nameOf(round));
}

const isCommitted = (status: string): boolean => status === 'DONE' || status === 'UPDATED';

/** Or beyond that. */
function untilTested(target: Target, round: number): Promise<unknown> {
  return until(`${nameOf(round)} is tested`, async () => {
    const { status } = await progressOf(target, nameOf(round));
    return status === 'TESTING' || isCommitted(status) ? status : undefined;
  });
}

async function untilCommitted(target: Target, promised: Promised, round: number, near: AbortSignal): Promise<void> {
  const look = async () => {
    const { status } = await progressOf(target, nameOf(round));
    return isCommitted(status) ? status : undefined;
  };
  await until(`${nameOf(round)} is committed`, look, { near });
  promised.revisions = [nameOf(round)];
}

const userMeta = z.record(z.string(), z.string());

export interface Kept {
  /** When every goal was met (performance.now). */
  readonly settledMs: number;
  /** How it came out of the cut, for people. */
  readonly told: string;
}

/** After the power is back: resolves when all is as promised, and rejects with what is not. */
export async function keepsItsWord(target: Target, promised: Promised, folder: string): Promise<Kept> {
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
  const settledMs = performance.now();

  const rows = new Map((await held(target)).map(({ owner, address }) => [owner, address]));
  for (const [owner, address] of promised.leases) {
    assert.equal(rows.get(owner), address, `the lease of ${owner} was acknowledged`);
  }
  assert.equal(new Set(rows.values()).size, rows.size, `an address was given out twice: ${[...rows].join(' ')}`);
  assert.equal(await target.damage(), undefined, 'the file system was damaged');
  // One that was committed without a reboot is tried once more by the boot.
  const { status } = await progressReaches(target, 'current', 'DONE', 'UPDATED', 'ERROR');
  const [journal = '', boot = ''] = await look(target, [
    join(target.storage, 'ipam/leases.journal'),
    join(target.storage, 'boot/current.json'),
  ]);
  checkJournal(journal, folder);
  const running = runningOf(bootState.parse(JSON.parse(boot)));
  assert.ok(promised.revisions.includes(running), `${running} runs, and not ${promised.revisions.join(' or ')}`);
  assert.ok(isCommitted(status), `the running revision ${running} is ${status}`);
  promised.revisions = [running];

  const meta = await get(target, '/user-meta', userMeta);
  for (const [key, values] of promised.metadata) {
    const value = meta[key] ?? NOTHING;
    assert.ok(values.includes(value), `user-meta ${key} is ${value}, not ${values.join(' or ')}`);
    promised.metadata.set(key, [value]);
  }
  await note(target, promised);
  return {
    settledMs,
    told: `${running} ${status}, a journal of ${journal.split('\n').length} lines`,
  };
}

/** Not in any of the files. */
const BETWEEN = '-- berth-hw --';

/** What files of the target hold, in one go. */
async function look(target: Target, files: readonly string[]): Promise<readonly string[]> {
  const script = 'for file; do cat "$file"; printf "\\n%s\\n" "$0"; done';
  return (await output(target, ['sh', '-c', script, BETWEEN, ...files])).split(`\n${BETWEEN}\n`);
}

function checkJournal(journal: string, folder: string): void {
  const file = join(folder, 'leases.journal');
  writeFileSync(file, journal);
  const { status, stdout, stderr } = spawnSync(process.execPath, [BERTH, 'check', '--journal', file], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, `${stdout}${stderr}`);
}
