// Whatever is killed, whenever: the tree is healthy again, everybody has met what was asked of them, nobody else was touched,
// and nothing is left over. BERTH_SEED repeats a run, BERTH_KILLS makes it longer.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { STORAGE_INSIDE } from '../../scripts/sandbox/sandbox.ts';
import { SERVICE_CONTRACTS } from '../../services/supervisor/contracts.ts';
import type { ContainerRow } from '../../shared/schema/api.ts';
import { ask, containerRows, get, leaseRows, serviceRows } from '../kit/api.ts';
import { type Dice, dice } from '../kit/dice.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

const SEED = Number(process.env.BERTH_SEED ?? Math.floor(Math.random() * 2 ** 31));
const KILLS = Number(process.env.BERTH_KILLS ?? 20);
const CONTAINERS = ['net-client', 'net-server'] as const;
type Name = (typeof CONTAINERS)[number];

type Act =
  | { readonly kind: 'nothing' }
  /** Stop, or start when it is stopped. */
  | { readonly kind: 'toggle' | 'restart'; readonly container: Name }
  /** The supervisor ends, one way or the other, and a new one starts. `under fire`: what is killed is killed while it ends. */
  | { readonly kind: 'SIGINT' | 'SIGTERM' | 'SIGINT under fire' };

interface Round {
  readonly act: Act;
  /** Between the act and the kill, milliseconds. */
  readonly afterMs: number;
  readonly victims: readonly string[];
  readonly signal: 'SIGKILL' | 'SIGSTOP';
}

/** Acts under way take about this long; a boot takes longer. */
const ACT_MS = 200;
const BOOT_MS = 700;
/** Of the log and of the supervisor's output, when something did not come back. */
const EVIDENCE_LINES = 60;

function plan(chance: Dice): Round {
  const services = SERVICE_CONTRACTS.map(({ service }) => service);
  const container = chance.pick(CONTAINERS);
  const act = chance.pick<Act>([
    { kind: 'nothing' },
    { kind: 'toggle', container },
    { kind: 'toggle', container },
    { kind: 'toggle', container },
    { kind: 'restart', container },
    { kind: 'restart', container },
    { kind: 'SIGINT' },
    { kind: 'SIGINT under fire' },
    { kind: 'SIGTERM' },
  ]);
  const isBoot = act.kind === 'SIGINT' || act.kind === 'SIGTERM';
  const afterMs = chance.below(isBoot ? BOOT_MS : ACT_MS);
  const one = (): string => services[chance.below(services.length)] ?? 'state-svc';
  const draw = chance.draw();
  if (draw < 0.15) return { act, afterMs, victims: ['supervisor'], signal: 'SIGKILL' };
  if (draw < 0.35) return { act, afterMs, victims: [one(), one()], signal: 'SIGKILL' };
  return { act, afterMs, victims: [one()], signal: draw < 0.45 ? 'SIGSTOP' : 'SIGKILL' };
}

function titleOf({ act, afterMs, victims, signal }: Round, number: number): string {
  const what = 'container' in act ? `${act.kind} of ${act.container}` : act.kind;
  return `${number}: ${signal} of ${victims.join(' and ')} ${afterMs} ms into ${what}`;
}

describe(`crash.random-kills (BERTH_SEED=${SEED})`, () => {
  const chance = dice(SEED);
  const rounds = Array.from({ length: KILLS }, () => plan(chance));
  let tree: Tree;
  let broken = false;
  let stopped: ReadonlySet<string> = new Set();
  let first: Awaited<ReturnType<typeof inventory>>;
  before(async () => {
    tree = await openTree(packExample('01-basic'));
    tree.start();
    await tree.up();
    first = await inventory();
  });
  after(() => tree.close());

  const rows = () => get(tree.socket, '/containers', containerRows);
  const leases = () => get(tree.socket, '/ipam/leases', leaseRows);
  const pidsOf = (found: readonly ContainerRow[]) => Object.fromEntries(found.map(({ name, pid }) => [name, pid]));
  const lines = (script: string): readonly string[] =>
    tree
      .inside(['sh', '-c', script])
      .stdout.split('\n')
      .map((line) => line.trim())
      .sort();

  const inventory = async () => {
    const own = (await rows()).flatMap(({ pid }) => lines(`cat /proc/${pid}/cgroup`));
    const trees = own.flatMap((line) => /berth\.[0-9a-f]+\./.exec(line)?.[0] ?? []);
    const prefix = trees[0] ?? 'none';
    const images = lines(`stat -L -c %i ${STORAGE_INSIDE}/trails/*/*/*.squashfs`);
    return {
      leases: await leases(),
      mounts: lines('sed "s,^/dev/loop[0-9]*,loop," /proc/self/mounts'),
      links: lines('ip -o -br link | sed "s/@.*//" | cut -d" " -f1'),
      namespaces: lines(`ls ${tree.rundir}/netns`),
      // Other trees on this machine have loop devices on files of the same names.
      loops: lines('losetup --list --noheadings --output BACK-INO').filter((inode) => images.includes(inode)),
      rules: lines('nft list ruleset'),
      cgroups: lines(`find /sys/fs/cgroup -type d -name '${prefix}*'`),
    };
  };

  /** Of the whole tree; none when it has ended. */
  const running = (): readonly number[] => {
    try {
      return tree.processes();
    } catch {
      return [];
    }
  };

  /** Pids, as this machine counts, of a service or of the supervisor. */
  const processOf = (victim: string): readonly number[] => {
    const [supervisor, ...services] = running();
    if (victim === 'supervisor') return supervisor === undefined ? [] : [supervisor];
    return services.filter((pid) => commandLine(pid).includes(`${victim}.js`));
  };

  const strike = async ({ victims, signal }: Round): Promise<readonly number[]> => {
    const pids = victims.flatMap(processOf);
    for (const pid of pids) signalTo(pid, signal);
    return pids;
  };

  /** What the API says of its fate: undefined, nobody knows whether it was accepted. */
  const order = async (container: Name, action: string): Promise<boolean | undefined> => {
    const answer = await ask(tree.socket, 'PUT', `/containers/${container}`, { action }).catch(() => undefined);
    if (answer === undefined || answer.status >= 500) return undefined;
    assert.equal(answer.status, 200, `${action} of ${container}: ${answer.body}`);
    return true;
  };

  const evidence = async (): Promise<string> => {
    const answers = await Promise.all(
      ['/services', '/containers', '/health'].map((path) => ask(tree.socket, 'GET', path).catch(String)),
    );
    const told = answers.map((answer) => (typeof answer === 'string' ? answer : answer.body));
    const log = tree.readLog('pantavisor/pantavisor.log').split('\n').slice(-EVIDENCE_LINES);
    return [...told, ...tree.output().split('\n').slice(-EVIDENCE_LINES), ...log].join('\n');
  };

  /** Every service ready, every container where it should be. `undecided`: stopped or up, as the tree says itself. */
  const settled = (gone: readonly number[], undecided: string | undefined, old: number | null | undefined) =>
    eventually('the tree is healthy again', PATIENCE_MS, async () => {
      if (gone.some((pid) => existsSync(`/proc/${pid}/cwd`))) return undefined;
      const services = await get(tree.socket, '/services', serviceRows).catch(() => undefined);
      if (services?.length !== SERVICE_CONTRACTS.length || services.some(({ state }) => state !== 'ready')) return;
      const found = await rows().catch(() => undefined);
      const isSettled = found?.every(({ name, status, status_goal, user_stopped, pid }) => {
        const isDown = name === undecided ? user_stopped === 'true' : stopped.has(name);
        if (isDown) return status === 'STOPPED';
        return (status === status_goal || status === 'READY') && (old === undefined || pid !== old);
      });
      return isSettled === true ? found : undefined;
    }).catch(async (error: unknown) => {
      throw new Error(`${String(error)}\n${await evidence()}`);
    });

  const perform = async (round: Round): Promise<void> => {
    const before = { pids: pidsOf(await rows()), leases: await leases() };
    const { act } = round;
    let touched: readonly string[] = [];
    let outcome: Promise<boolean | undefined> = Promise.resolve(true);
    let old: number | null | undefined;
    let next = stopped;
    if ('container' in act) {
      const isDown = stopped.has(act.container);
      const action = act.kind === 'restart' ? 'restart' : isDown ? 'start' : 'stop';
      touched = [act.container];
      next = new Set([...stopped].filter((name) => name !== act.container));
      if (action === 'stop') next = new Set([...next, act.container]);
      if (action === 'restart') old = before.pids[act.container];
      outcome = order(act.container, action);
    } else if (act.kind === 'SIGINT under fire') {
      touched = CONTAINERS;
    } else if (act.kind !== 'nothing') {
      if (act.kind === 'SIGINT') touched = CONTAINERS;
      assert.equal(await tree.endSupervisor(act.kind), 0);
      tree.start();
    }
    const ended = act.kind === 'SIGINT under fire' ? tree.endSupervisor('SIGINT') : undefined;
    await delay(round.afterMs);
    const gone = await strike(round);
    const isKilled = round.victims.includes('supervisor');
    if (ended !== undefined) assert.ok((await ended) === 0 || isKilled, 'the containers could not be stopped');
    if (isKilled && ended === undefined) await tree.killSupervisor();
    if (isKilled || ended !== undefined) tree.start();
    const accepted = await outcome;
    if (accepted === true) stopped = next;
    const undecided = accepted === undefined ? touched[0] : undefined;
    const isOver = accepted === true && 'container' in act && act.kind === 'restart';
    const found = await settled(gone, undecided, isOver ? (old ?? undefined) : undefined);
    stopped = new Set(found.filter(({ user_stopped }) => user_stopped === 'true').map(({ name }) => name));
    const untouched = (pids: Record<string, number | null>) =>
      Object.fromEntries(Object.entries(pids).filter(([name]) => !touched.includes(name)));
    assert.deepEqual(untouched(pidsOf(found)), untouched(before.pids), 'pids of containers that nobody touched');
    assert.deepEqual(await leases(), before.leases);
  };

  for (const [index, round] of rounds.entries()) {
    it(titleOf(round, index + 1), async (test) => {
      if (broken) return test.skip('the tree is not what it should be since an earlier kill');
      broken = true;
      await perform(round);
      broken = false;
    });
  }

  it('leaves counts as they were once everybody is up again', async (test) => {
    if (broken) return test.skip('the tree is not what it should be since an earlier kill');
    for (const name of CONTAINERS) if (stopped.has(name)) await order(name, 'start');
    stopped = new Set();
    await settled([], undefined, undefined);
    const last: Record<string, unknown> = await inventory();
    for (const [kind, before] of Object.entries(first)) assert.deepEqual(last[kind], before, kind);
  });
});

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself.
  }
}
