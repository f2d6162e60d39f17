// What a sandbox has only stand-ins for: an encrypted disk under the kernel's device mapper, and drivers that are modules.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { STAYS, type StateDocument } from '../test/kit/step.ts';
import { command, packed, settled, stepName, until } from './device.ts';
import { needs, openTarget, targetName } from './open-target.ts';
import { bootId, output, type Target } from './target.ts';

/** In a folder of its own: beside the key of somebody else's disk a new one would be taken for one that was lost. */
const FOLDER = 'hw-crypt';
const DISK = { name: 'secret', type: 'dm-crypt-versatile', path: `/storage/${FOLDER}/secret.img,16,key1` };
const DRIVERS = { '#spec': 'driver-aliases@1', all: { links: ['dummy numdummies=2'] } };
const WORDS = 'nobody-reads-this-on-the-disk';
/** A board keeps the disk, with what earlier runs wrote. */
const NOTE = stepName('note');
const VOLUME = '/volumes/keeper/docker--kept mnt/kept none bind,create=dir 0 0';

function device(): string {
  const keeper = {
    args: {
      PV_DRIVERS_REQUIRED: ['links'],
      PV_LXC_EXTRA_CONF: `lxc.signal.halt = SIGTERM\nlxc.mount.entry = ${VOLUME}`,
    },
    init: `echo ${WORDS} >>/mnt/kept/${NOTE}\n${STAYS}`,
  };
  const store = (state: StateDocument): void => {
    const run = state['keeper/run.json'];
    if (typeof run !== 'object' || run === null) throw new Error('the packed state has no run.json');
    state['keeper/run.json'] = { ...run, storage: { 'docker--kept': { persistence: 'permanent', disk: DISK.name } } };
  };
  return packed({ keeper }, { disks: [DISK] }, store, { 'bsp/drivers.json': JSON.stringify(DRIVERS) });
}

describe(`hw.devices on ${targetName()}`, () => {
  let target: Target;
  const lacks = (): boolean =>
    ['device-mapper', 'modules'].some(
      (name) => target.lacks(name === 'modules' ? name : 'device-mapper') !== undefined,
    );
  before(async () => {
    target = await openTarget(device());
    if (lacks()) return;
    await target.powerOn();
    await settled(target);
  });
  after(() => target?.close());

  const note = () => output(target, ['cat', `${target.rundir}/lxc/keeper/volumes/docker--kept/${NOTE}`]);

  /** The container writes its line when it has started, which is a moment after Berth says so. */
  const lines = (count: number) =>
    until(`${count} lines on the encrypted disk`, async () =>
      (await note()) === `${WORDS}\n`.repeat(count) ? true : undefined,
    );

  it('loads the modules of a driver that a container requires, with their options', async (test) => {
    if (!needs(test, target, 'modules', 'device-mapper')) return;
    assert.match(await output(target, ['cat', '/proc/modules']), /^dummy /m);
    await output(target, ['ip', 'link', 'show', 'dummy1']);
  });

  it('keeps a volume on an encrypted disk, and nothing of it in the clear', async (test) => {
    if (!needs(test, target, 'device-mapper', 'modules')) return;
    await lines(1);
    assert.match(await output(target, ['dmsetup', 'table']), / crypt aes-cbc-essiv:sha256 /);
    await output(target, ['sync']);
    const clear = await target.run(['grep', '-c', WORDS, `${target.storage}/${FOLDER}/secret.img`]);
    assert.equal(clear.stdout.trim(), '0');
  });

  it('opens it again after a reboot, and after a power cut', async (test) => {
    if (!needs(test, target, 'device-mapper', 'modules', 'reboot')) return;
    const boot = await bootId(target);
    await command(target, 'REBOOT_DEVICE');
    await target.rebooted(boot);
    await settled(target);
    await lines(2);
    if (target.lacks('cut') !== undefined) return;
    await output(target, ['sync']);
    await target.cut();
    await target.powerOn();
    await settled(target);
    await lines(3);
  });
});
