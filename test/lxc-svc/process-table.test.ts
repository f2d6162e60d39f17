import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { it } from 'node:test';
import { childrenOf, commandLine, findProcesses, kill } from '../../services/lxc-svc/process-table.ts';
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
