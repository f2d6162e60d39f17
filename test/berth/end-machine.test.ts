// Who is asked to reboot the machine or to power it off.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { endSteps, takeSteps } from '../../scripts/berth/end-machine.ts';

const init = { isSelf: false, isSystemd: false };

describe('berth run, the end of the machine', () => {
  it('asks an init by its own command', () => {
    assert.deepEqual(endSteps('poweroff', '', init), [{ command: ['poweroff'] }, { command: ['busybox', 'poweroff'] }]);
  });

  const systemd = { ...init, isSystemd: true };
  const start = 'systemctl start --no-block --job-mode=replace-irreversibly reboot.target';

  /** A systemd that refuses so many reboots, and any start of a target if `isDeaf`. `state`: what it says of itself. */
  const asked = async (refusals: number, patienceMs: number, { isDeaf = false, state = 'running' } = {}) => {
    const commands: string[] = [];
    const told: number[] = [];
    let waitedMs = 0;
    const exitCode = await takeSteps(endSteps('reboot', '', systemd), 'reboot', patienceMs, {
      async run(words) {
        const command = words.join(' ');
        if (command === 'systemctl is-system-running') return { exitCode: 1, stdout: `${state}\n`, stderr: '' };
        commands.push(command);
        const isRefused = command === start ? isDeaf : commands.length <= refusals;
        return { exitCode: isRefused ? 1 : 0, stdout: '', stderr: isRefused ? 'blocked by apt' : '' };
      },
      async wait(ms) {
        waitedMs += ms;
      },
      extend: (ms) => told.push(ms),
    });
    return { exitCode, commands, waitedMs, told };
  };

  it('asks systemd again while somebody holds a lock, and has whoever started Berth wait for it', async () => {
    const { exitCode, commands, waitedMs, told } = await asked(2, 60_000);
    assert.deepEqual([exitCode, commands, waitedMs], [0, Array(3).fill('systemctl reboot'), 10_000]);
    assert.equal(told.length, 2);
    assert.ok(told.every((ms) => ms > 5_000));
  });

  it('starts the target of a lock that stays, at once where a watchdog counts, and never asks busybox', async () => {
    const long = await asked(1_000, 60_000);
    assert.deepEqual([long.exitCode, long.waitedMs, long.commands.at(-1)], [0, 60_000, start]);
    const guarded = await asked(1_000, 0);
    assert.deepEqual(guarded, { exitCode: 0, commands: ['systemctl reboot', start], waitedMs: 0, told: [] });
  });

  it('fails where the machine stays, so that Berth is started again', async () => {
    const { exitCode, commands } = await asked(1_000, 0, { isDeaf: true });
    assert.deepEqual([exitCode, commands], [1, ['systemctl reboot', start]]);
  });

  it('is no longer in the way of an end that somebody else has begun', async () => {
    const { exitCode, commands, waitedMs } = await asked(1_000, 60_000, { state: 'stopping' });
    assert.deepEqual([exitCode, commands, waitedMs], [0, ['systemctl reboot'], 0]);
  });

  it('asks the kernel only where it is the init itself', () => {
    assert.deepEqual(endSteps('reboot', '', { isSelf: true, isSystemd: false }), ['kernel']);
  });

  it('tries nothing but the command that somebody configured', () => {
    for (const isSelf of [true, false]) {
      assert.deepEqual(endSteps('reboot', '/sbin/ask  now ', { isSelf, isSystemd: true }), [
        { command: ['/sbin/ask', 'now'] },
      ]);
    }
  });
});
