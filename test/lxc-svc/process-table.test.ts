import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { it } from 'node:test';
import {
  childrenOf,
  commandLine,
  findProcesses,
  kill,
  startedMs,
  startTicksOf,
  upMs,
} from '../../services/lxc-svc/process-table.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';

it('lxc-svc.processTable leaves the arguments of a container’s processes unread', async () => {
  const args = ['sleep', '86399'];
  const beside = spawn('sleep', ['86399'], { stdio: 'ignore' });
  const keeper = spawn('unshare', ['--pid', '--fork', '--kill-child', ...args], { stdio: 'ignore' });
  const inside = await eventually('a process in a namespace', PATIENCE_MS, () => childrenOf(keeper.pid ?? 0)[0]?.pid);
  try {
    assert.deepEqual(commandLine(beside.pid ?? 0), [...args, '']);
    assert.deepEqual(commandLine(inside), []);
    assert.ok(!findProcesses((command) => command.includes('86399')).includes(inside));
  } finally {
    for (const { pid } of [beside, keeper]) kill(pid ?? 0);
    await Promise.all([once(beside, 'exit'), once(keeper, 'exit')]);
  }
});

it('lxc-svc.processTable tells how long a process has run, and that of none that it has not', async () => {
  /** Both are counted in hundredths of a second. */
  const roundingMs = 20;
  const ofThis = performance.now();
  const ticks = startTicksOf(process.pid) ?? Number.NaN;
  assert.ok(upMs(ticks) >= ofThis - roundingMs);
  // By the wall clock as it goes now.
  const nowMs = Date.now();
  assert.ok(startedMs(ticks, nowMs) <= nowMs - ofThis + roundingMs);
  const child = spawn('sleep', ['86399'], { stdio: 'ignore' });
  try {
    const up = upMs(startTicksOf(child.pid ?? 0) ?? Number.NaN);
    assert.ok(up >= 0 && up <= performance.now() - ofThis + roundingMs, String(up));
    assert.equal(upMs((startTicksOf(child.pid ?? 0) ?? 0) + 1_000_000), 0);
  } finally {
    kill(child.pid ?? 0);
    await once(child, 'exit');
  }
});
