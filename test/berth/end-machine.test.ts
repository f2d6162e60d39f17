// Who is asked to reboot the machine or to power it off.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { endSteps } from '../../scripts/berth/end-machine.ts';

const init = { isSelf: false, isSystemd: false };

describe('berth run, the end of the machine', () => {
  it('asks systemd where it runs, and any other init by its own command', () => {
    const byName = [{ command: ['poweroff'] }, { command: ['busybox', 'poweroff'] }];
    assert.deepEqual(endSteps('poweroff', '', init), byName);
    assert.deepEqual(endSteps('poweroff', '', { ...init, isSystemd: true }), [
      { command: ['systemctl', 'poweroff'] },
      ...byName,
    ]);
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
