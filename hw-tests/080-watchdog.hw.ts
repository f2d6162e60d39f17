// The hardware watchdog: a supervisor that hangs is not the end, the machine is reset and comes back by itself.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { command, killSupervisor, packed, settled, supervisorOf, until } from './device.ts';
import { needs, openTarget, targetName } from './open-target.ts';
import { ANY_BOOT, bootId, output, type Target } from './target.ts';

const CONFIG = '/etc/pantavisor/pantavisor.config';
/** As it was, for as long as the test lasts. */
const KEPT_CONFIG = `${CONFIG}.before-hw`;
/** Its time is the default, the longest that drivers of a Raspberry Pi take, and over before systemd ends a supervisor that hangs. */
const SETTING = 'PV_WDT_MODE=always\n';
/** On the disk when the machine is reset. What an earlier run could not give back is not overwritten. */
const CHANGE = '{ [ -e "$1" ] || cp -p "$2" "$1"; } && printf "$0" >>"$2" && sync';
const GIVE_BACK = '[ ! -e "$0" ] || { mv "$0" "$1" && sync && echo given back; }';

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
      if (target !== undefined && !target.isNew && target.lacks('watchdog') === undefined) await giveBack(target);
    } finally {
      await target?.close();
    }
  });

  const feeds = async (pid: string) =>
    (await output(target, ['ls', '-l', `/proc/${pid}/fd`])).includes('/dev/watchdog');

  it('resets the machine when the supervisor was stopped by a signal, and everything comes back', async (test) => {
    if (!needs(test, target, 'watchdog', 'init')) return;
    // The owner of a board may have it so.
    if (target.isNew) assert.equal(await feeds(await supervisorOf(target)), false);
    await output(target, ['sh', '-c', CHANGE, SETTING, KEPT_CONFIG, CONFIG]);
    await killSupervisor(target);
    const fed = await until('a supervisor that feeds the watchdog', async () => {
      const pid = await supervisorOf(target);
      return (await feeds(pid)) ? pid : undefined;
    });
    await settled(target);
    const boot = await bootId(target);
    await output(target, ['kill', '-STOP', fed]);
    await target.rebooted(boot);
    await settled(target);
  });
});

/** A board keeps its configuration over the reset, and a guard that is on until it is rebooted. */
async function giveBack(target: Target): Promise<void> {
  await target.rebooted(ANY_BOOT);
  if ((await output(target, ['sh', '-c', GIVE_BACK, KEPT_CONFIG, CONFIG])) === '') return;
  const boot = await bootId(target);
  await command(target, 'REBOOT_DEVICE');
  await target.rebooted(boot);
}
