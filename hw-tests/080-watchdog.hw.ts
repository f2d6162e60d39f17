// The hardware watchdog: a supervisor that hangs is not the end, the machine is reset and comes back by itself.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { packed, settled, until } from './device.ts';
import { needs, openTarget, targetName } from './open-target.ts';
import { bootId, output, type Target } from './target.ts';

const CONFIG = '/etc/pantavisor/pantavisor.config';
const SETTINGS = 'PV_WDT_MODE=always\nPV_WDT_TIMEOUT=20\n';

describe(`hw.watchdog on ${targetName()}`, () => {
  let target: Target;
  before(async () => {
    target = await openTarget(packed({ one: {} }, {}));
    if (target.lacks('watchdog') !== undefined) return;
    await target.powerOn();
    await settled(target);
  });
  after(async () => {
    try {
      // A board keeps its configuration over the reset.
      if (target?.lacks('watchdog') === undefined) await target.run(['sed', '-i', '/^PV_WDT_/d', CONFIG]);
    } finally {
      await target?.close();
    }
  });

  const supervisor = async () => (await output(target, ['cat', '/run/berth.pid'])).trim();
  const feeds = async (pid: string) =>
    (await output(target, ['ls', '-l', `/proc/${pid}/fd`])).includes('/dev/watchdog');

  it('resets the machine when the supervisor was stopped by a signal, and everything comes back', async (test) => {
    if (!needs(test, target, 'watchdog', 'init')) return;
    assert.equal(await feeds(await supervisor()), false);
    await output(target, ['sh', '-c', 'printf "$1" >>"$2"', 'sh', SETTINGS, CONFIG]);
    await output(target, ['kill', '-TERM', await supervisor()]);
    const fed = await until('a supervisor that feeds the watchdog', async () => {
      const pid = await supervisor();
      return (await feeds(pid)) ? pid : undefined;
    });
    await settled(target);
    const boot = await bootId(target);
    await output(target, ['kill', '-STOP', fed]);
    await target.rebooted(boot);
    await settled(target);
  });
});
