import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Intent, NO_INTENT } from '../../services/state-svc/intent-store.ts';
import { resync } from '../../services/state-svc/reconcile.ts';
import { type Actual, standingOf, strangers } from '../../services/state-svc/standing.ts';
import { ok } from '../../shared/ipc/contract.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import type { ContainerPlan } from '../../shared/revision/revision.ts';

const plan: ContainerPlan = {
  name: 'web',
  group: 'app',
  statusGoal: 'STARTED',
  restartPolicy: 'container',
  roles: ['nobody'],
  rootVolume: 'root.squashfs',
  bases: [],
  config: 'lxc.container.conf',
  storage: { squashfs: [], volumes: [{ name: 'lxc-overlay', persistence: 'boot' }], disks: [], exports: [] },
  hostname: 'web',
  devLog: true,
  automodfw: true,
  drivers: { required: [], optional: [], manual: [] },
  network: { mode: 'none' },
  deviceRules: undefined,
  remounts: [],
  logFiles: [],
  autoRecovery: undefined,
};
const run = { pid: 10, startedMs: 1, upMs: 1 };
const exit = { pid: 10, status: { kind: 'code', code: 1 }, atMs: 2 } as const;

const actual = fc.option(
  fc.record({
    container: fc.constant('web'),
    revision: fc.constant('0'),
    mounted: fc.boolean(),
    running: fc.option(fc.constant(run), { nil: undefined }),
    exit: fc.option(fc.constant(exit), { nil: undefined }),
  }),
  { nil: undefined },
);
const intent: fc.Arbitrary<Intent> = fc.record({
  userStopped: fc.boolean(),
  pendingStart: fc.option(fc.record({ replacesPid: fc.constantFrom(0, 10, 11) })),
  recoveryDelayMs: fc.option(fc.nat()),
  readyPid: fc.option(fc.constantFrom(0, 10, 11)),
  retries: fc.nat(5),
  restarts: fc.nat(5),
});

describe('standing', () => {
  it('leaves running what runs, unless the user wants it otherwise', () => {
    fc.assert(
      fc.property(intent, actual, fc.boolean(), (meant, found, attached) => {
        const { kind } = standingOf(plan, meant, found, attached);
        const runs = found?.running !== undefined;
        const replaced = meant.pendingStart?.replacesPid === found?.running?.pid;
        assert.equal(kind === 'running', runs && !meant.userStopped && !replaced);
        assert.equal(kind === 'userStopped', meant.userStopped);
        if (!runs) assert.ok(kind !== 'running' && kind !== 'restarting');
      }),
    );
  });

  it('ignores a user_stopped that a container of restart policy system cannot have', () => {
    const system: ContainerPlan = { ...plan, restartPolicy: 'system' };
    assert.equal(standingOf(system, { ...NO_INTENT, userStopped: true }, undefined, false).kind, 'fresh');
  });

  it('is READY only for the run that signalled, or the one that was being started', () => {
    const found: Actual = { container: 'web', revision: '0', mounted: true, running: run };
    for (const [readyPid, ready] of [
      [10, true],
      [0, true],
      [11, false],
      [null, false],
    ] as const) {
      const signals: ContainerPlan = { ...plan, statusGoal: 'READY' };
      assert.deepEqual(standingOf(signals, { ...NO_INTENT, readyPid }, found, false), { kind: 'running', run, ready });
      const unasked = standingOf(plan, { ...NO_INTENT, readyPid }, found, false);
      assert.deepEqual(unasked, { kind: 'running', run, ready: false });
    }
  });

  it('makes nothing of the exit record of a container that was stopped and unmounted', () => {
    const found: Actual = { container: 'web', revision: '0', mounted: false, exit };
    assert.equal(standingOf(plan, NO_INTENT, found, false).kind, 'fresh');
    assert.equal(standingOf(plan, NO_INTENT, { ...found, mounted: true }, false).kind, 'ended');
  });

  it('has a recovery go on that has nothing mounted only while the tree lives on', () => {
    const meant = { ...NO_INTENT, recoveryDelayMs: 7, retries: 2 };
    assert.deepEqual(standingOf(plan, meant, undefined, false, true), { kind: 'recovering', delayMs: 7 });
    assert.equal(standingOf(plan, meant, undefined, false, false).kind, 'fresh');
    const taken = { ...meant, pendingStart: { replacesPid: 0 } };
    assert.equal(standingOf(plan, taken, undefined, false, true).kind, 'fresh');
  });

  it('finds strangers by name, by revision and by namespace', () => {
    const of = (container: string, revision: string, mounted = true): Actual => ({ container, revision, mounted });
    const containers = [of('web', '0'), of('old', '0'), of('moved', '1'), of('record', '0', false)];
    const planned = new Set(['web', 'moved']);
    assert.deepEqual(strangers('0', {}, planned, containers, ['web', 'ghost']), ['ghost', 'moved', 'old']);
    // It runs since revision 1, which has it exactly as this one.
    assert.deepEqual(strangers('0', { moved: ['1'] }, planned, containers, []), ['old']);
    assert.deepEqual(strangers('0', { moved: ['2'] }, planned, containers, []), ['moved', 'old']);
    // As many as were written once at most: the true one may have been left out.
    const eight = ['2', '3', '4', '5', '6', '7', '8', '9'];
    assert.deepEqual(strangers('0', { moved: eight }, planned, containers, []), ['old']);
  });
});

describe('resync', () => {
  it('tells exactly the ends that were missed, with their status where lxc-svc knows it', async () => {
    const told: [string, number, string][] = [];
    const believed = (name: string, pid: number | undefined) => ({
      plan: { ...plan, name },
      run: pid === undefined ? undefined : { pid, startedMs: 1, upMs: 1 },
      exited: (event: { pid: number; status: { kind: string } }) => told.push([name, event.pid, event.status.kind]),
    });
    const known = (container: string, over: object) => ({
      container,
      revision: '0',
      mounted: true,
      logs: [],
      ...over,
    });
    const answer = ok({
      containers: [
        known('alive', { running: run }),
        known('ended', { exit }),
        known('anew', { running: { ...run, pid: 99 } }),
      ],
    });
    await resync({
      clock: { nowMs: () => 5 },
      peers: { lxc: { listContainers: async () => answer } },
      ask: (call) => call(),
      log: silentLogger,
      containers: [
        believed('alive', 10),
        believed('ended', 10),
        believed('anew', 10),
        believed('vanished', 10),
        believed('stopped', undefined),
      ],
    });
    assert.deepEqual(told, [
      ['ended', 10, 'code'],
      ['anew', 10, 'unknown'],
      ['vanished', 10, 'unknown'],
    ]);
  });
});
