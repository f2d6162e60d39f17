// Updates that reboot the device for real: one that is committed, and one that fails and is gone back from.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { containerRows } from '../test/kit/api.ts';
import { type SourceContainer, STAYS } from '../test/kit/step.ts';
import { ask, command, get, install, packed, progressOf, progressReaches, settled, stepName, until } from './device.ts';
import { needs, openTarget, targetName } from './open-target.ts';
import { ANY_BOOT, bootId, type Target } from './target.ts';

const SYSTEM: SourceContainer = { args: { PV_GROUP: 'platform', PV_RESTART_POLICY: 'system' } };
const FAILS: SourceContainer = { ...SYSTEM, init: 'exit 3\n' };
const revisionOf = (name: string): string => `locals/${stepName(name)}`;

describe(`hw.update on ${targetName()}`, () => {
  let target: Target;
  before(async () => {
    target = await openTarget(packed({ system: SYSTEM }, {}));
    await target.powerOn();
    await settled(target);
    await ask(target, 'PUT', '/user-meta/updater.commit.delay', '1');
  });
  after(() => target?.close());

  /** Installs and runs a revision; resolves when the device has rebooted for it. */
  const tryOut = async (name: string, system: SourceContainer): Promise<void> => {
    const storage = packed({ system }, {});
    try {
      await install(target, storage, stepName(name));
    } finally {
      rmSync(storage, { recursive: true, force: true });
    }
    const boot = await bootId(target);
    await command(target, 'LOCAL_RUN', revisionOf(name));
    await target.rebooted(boot);
  };

  it('reboots into a revision whose system container changed, and commits it', async (test) => {
    if (!needs(test, target, 'reboot')) return;
    await tryOut('next', { ...SYSTEM, init: `# another one\n${STAYS}` });
    const progress = await progressReaches(target, revisionOf('next'), 'DONE');
    assert.equal(progress['status-msg'], 'Update finished, revision set as rollback point');
    await settled(target);
  });

  it('is back in the last good revision after one that fails, over reboots of its own', async (test) => {
    if (!needs(test, target, 'reboot')) return;
    await tryOut('bad', FAILS);
    await until('the last good revision runs', async () => {
      // The device reboots once more, when it likes; what was connected to it has to be so anew.
      await target.rebooted(ANY_BOOT);
      if ((await progressOf(target, revisionOf('bad'))).status !== 'ERROR') return;
      const rows = await get(target, '/containers', containerRows);
      return rows.some(({ name, status }) => name === 'system' && status === 'STARTED') ? true : undefined;
    });
    await settled(target);
    await progressReaches(target, 'current', 'DONE');
  });
});
