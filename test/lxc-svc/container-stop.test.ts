// Whom a stop signals. What becomes of real containers is in stop.test.ts.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import type { Run } from '../../services/lxc-svc/container-runs.ts';
import { endRun } from '../../services/lxc-svc/container-stop.ts';
import { childrenOf, kill, startTicksOf } from '../../services/lxc-svc/process-table.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';

const EXIT = { pid: 2, status: { kind: 'code', code: 0 }, atMs: 1 } as const;

/** Nobody is frozen. */
const NONE = (): void => undefined;

/** One that ends when nobody is left who could write to it. */
async function someProcess(): Promise<{ readonly child: ChildProcess; readonly pid: number }> {
  const child = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] });
  await once(child, 'spawn');
  return { child, pid: child.pid ?? 0 };
}

function runOf(pid: number, startTicks: number | undefined, ended: Run['ended']): Run {
  return { pid, startTicks, startedMs: 1, ended };
}

describe('the end of a run', () => {
  for (const [what, ticksOf] of [
    ['whose init’s number is somebody else’s by now', (pid: number) => (startTicksOf(pid) ?? 0) + 1],
    ['whose init had ended before anybody looked', () => undefined],
  ] as const) {
    it(`${what} is waited for, and nobody is signalled`, async () => {
      const { child, pid } = await someProcess();
      const gone = once(child, 'exit');
      const later = new Promise<typeof EXIT>((resolve) => setImmediate(() => resolve(EXIT)));
      assert.deepEqual(await endRun(runOf(pid, ticksOf(pid), later), [], 0, NONE), EXIT);
      assert.deepEqual(await endRun(runOf(pid, ticksOf(pid), later), [], 10_000, NONE), EXIT);
      child.stdin?.end();
      assert.deepEqual(await gone, [0, null]);
    });
  }

  it('is asked for again once an init listens that has only just begun', async () => {
    // The signal is lost on it until it has a trap (pid_namespaces(7)), which it sets when it reads a line.
    const init = 'read line; trap "exit 7" TERM; while :; do read line; done';
    const keeper = spawn('unshare', ['--pid', '--fork', '--kill-child', 'sh', '-c', init]);
    const gone = once(keeper, 'exit');
    try {
      const pid = await eventually('its init', PATIENCE_MS, () => childrenOf(keeper.pid ?? 0)[0]?.pid);
      const ended = gone.then(() => EXIT);
      const halt = { key: 'lxc.signal.halt', value: 'SIGTERM', line: 1, source: 'lxc.conf' };
      const end = endRun(runOf(pid, startTicksOf(pid), ended), [halt], PATIENCE_MS, NONE);
      keeper.stdin.write('\n');
      assert.deepEqual(await end, EXIT);
      assert.deepEqual(await gone, [7, null]);
    } finally {
      kill(keeper.pid ?? 0);
      await gone;
    }
  });

  it('has who is frozen thawed once it was killed, and nobody whose end comes without that', async () => {
    const { child, pid } = await someProcess();
    const gone = once(child, 'exit');
    // Waiting alone keeps no process.
    const other = await someProcess();
    let thaw = NONE;
    const ended = new Promise<typeof EXIT>((resolve) => {
      thaw = () => resolve(EXIT);
    });
    assert.deepEqual(await endRun(runOf(pid, startTicksOf(pid), ended), [], 0, () => thaw()), EXIT);
    assert.deepEqual(await gone, [null, 'SIGKILL']);
    const over = Promise.resolve(EXIT);
    assert.deepEqual(await endRun(runOf(pid, undefined, over), [], 0, () => assert.fail('was thawed')), EXIT);
    other.child.stdin?.end();
    await once(other.child, 'exit');
  });

  it('is brought about by a signal to its init', async () => {
    const { child, pid } = await someProcess();
    const gone = once(child, 'exit').then(() => EXIT);
    assert.deepEqual(await endRun(runOf(pid, startTicksOf(pid), gone), [], 0, NONE), EXIT);
    assert.equal(child.signalCode, 'SIGKILL');
  });
});
