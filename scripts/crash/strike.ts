// Strikes: sends the signals of a case to whom they are for, and does with the supervisor what an init or a watchdog would.
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { isStopped } from '../../services/supervisor/process-record.ts';
import { serviceOf } from '../sandbox/inventory.ts';
import type { CrashCase } from './case.ts';
import type { World } from './world.ts';

export interface Blow {
  /** Of those that were there to be struck, as this machine counts; a supervisor that goes on is not among them. */
  readonly pids: readonly number[];
  readonly struck: number;
  /** When the last of it was done. */
  readonly atMs: number;
  /** Resolves with what it took until services that were killed said that they are ready; those that the supervisor was there for. */
  readonly restarts: Promise<readonly number[]>;
}

const LOOK_MS = 5;
const WAKE_LOOKS = 40;
const RESTART_MS = 15_000;

/** Resolves when all is done, and a supervisor that was killed is started again unless `staysDown`: then somebody else does that. */
export async function strike(world: World, { strikes, gapMs, hold }: CrashCase, staysDown = false): Promise<Blow> {
  const { tree } = world;
  const pids: number[] = [];
  const restarts: Promise<number | undefined>[] = [];
  let struck = 0;
  let isDead = false;
  let held: number | undefined;
  for (const [index, { victim, signal }] of strikes.entries()) {
    if (index > 0) await delay(gapMs);
    const found = withoutForks(processesOf(world).filter((pid) => serviceOf(pid) === victim));
    struck += found.length;
    if (victim === 'supervisor' && signal === 'SIGKILL') {
      pids.push(...found);
      await tree.killSupervisor();
      isDead = true;
      continue;
    }
    const offset = tree.output().length;
    for (const pid of found) send(pid, signal);
    if (victim === 'supervisor') held = found[0];
    else {
      pids.push(...found);
      if (signal === 'SIGKILL' && found.length > 0) restarts.push(untilReady(world, victim, offset));
    }
  }
  if (held !== undefined && !isDead) {
    await delay(hold.ms);
    const entrance = parentOf(held);
    send(held, hold.end);
    await wake(entrance);
    if (hold.end === 'SIGKILL') {
      pids.push(held);
      await tree.killSupervisor();
      isDead = true;
    }
  }
  if (isDead && !staysDown) world.start();
  const isAlone = strikes.every(({ victim }) => victim !== 'supervisor');
  const counted = isAlone ? Promise.all(restarts) : Promise.resolve([]);
  return {
    pids,
    struck,
    atMs: performance.now(),
    restarts: counted.then((all) => all.flatMap((ms) => ms ?? [])),
  };
}

/**
 * A process looks like who forked it until it has become another program. Stopped in between it would stay so for ever, as nobody knows of it, and
 * keep what it has inherited: locks, sockets.
 */
function withoutForks(pids: readonly number[]): readonly number[] {
  return pids.filter((pid) => !pids.includes(parentOf(pid)));
}

/** None while there is no tree. */
function processesOf({ tree }: World): readonly number[] {
  try {
    return tree.processes();
  } catch {
    return [];
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself.
  }
}

/** nsenter(1) stands between, and stops itself when what it has started is stopped; for a moment it may be about to. */
async function wake(entrance: number): Promise<void> {
  for (let look = 0; look < WAKE_LOOKS; look += 1) {
    if (entrance > 1 && isStopped(entrance)) send(entrance, 'SIGCONT');
    await delay(LOOK_MS);
  }
}

function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** As the supervisor says it on stdout; undefined when it never does, because the tree ends. */
async function untilReady({ tree }: World, service: string, offset: number): Promise<number | undefined> {
  const began = performance.now();
  while (performance.now() - began < RESTART_MS) {
    if (tree.output().indexOf(`berth: ${service} ready`, offset) >= 0) return performance.now() - began;
    await delay(LOOK_MS);
  }
  return undefined;
}
