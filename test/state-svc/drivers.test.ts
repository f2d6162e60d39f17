// Drivers of containers that start, and of whoever asks for them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { APP, callsOf, health, POOLED, useDevices } from './kit.ts';

const open = useDevices();
const DRIVERS = {
  all: {
    wifi: ['cfg80211', 'brcmfmac power=$' + '{user-meta:power} fixed=1'],
    usb: ['usb-storage'],
    can: ['can', 'vcan'],
    'on-demand': ['zram'],
  },
  'dtb:Fine Board': { usb: ['fine_usb'] },
};
const BSP = { 'bsp/drivers.json': DRIVERS };
const needs = (drivers: object) => ({ ...APP, ...POOLED, drivers });
const moduleCalls = (calls: readonly string[]) =>
  calls.filter((call) => /odule /.test(call)).map((call) => call.slice(4));

describe('drivers of a container that starts', () => {
  it('are loaded after its mount and before its network, required ones first, with their options', async () => {
    const it = await open(
      { web: needs({ optional: ['usb'], required: ['wifi'], manual: ['on-demand'] }) },
      undefined,
      BSP,
    );
    it.userMeta.set('power', 'low max=3');
    it.world.board = { deviceTrees: ['Fine Board'], overlays: [] };
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    const order = it.world.calls.filter((call) => /mount|odule |allocate|lxc\.start /.test(call));
    assert.deepEqual(order, [
      'lxc.mount web',
      'lxc.loadModule cfg80211',
      'lxc.loadModule brcmfmac power=low max=3 fixed=1',
      'lxc.loadModule fine_usb',
      'ipam.allocate web',
      'lxc.start web',
    ]);
    await it.state.controlContainer({ container: 'web', action: 'stop' });
    await it.untilStatus('web', 'STOPPED');
    assert.ok(it.world.loadedModules.has('cfg80211'), 'they stay loaded when it stops');
  });

  it('fail it when a required one cannot be loaded, and leave nothing of the start', async () => {
    const it = await open({ web: needs({ required: ['wifi'] }) }, undefined, BSP);
    it.world.troubles.set('lxc.loadModule brcmfmac fixed=1', 'refuse');
    await it.boot();
    await it.untilStatus('web', 'STOPPED');
    const [reason] = await health(it);
    assert.match(reason?.message ?? '', /lxc\.loadModules: required driver 'wifi': modprobe brcmfmac: told to fail/);
    assert.deepEqual(callsOf(it, 'web'), ['lxc.mount', 'lxc.unmount']);
  });

  it('fail it when this board has no such driver', async () => {
    const only = { 'bsp/drivers.json': { 'dtb:Other': { wifi: ['x'] } } };
    const it = await open({ web: needs({ required: ['wifi'] }) }, undefined, only);
    await it.boot();
    await it.untilStatus('web', 'STOPPED');
    assert.match(
      (await health(it))[0]?.message ?? '',
      /'wifi': bsp\/drivers\.json has none of that name for this board/,
    );
  });

  it('do not fail it when an optional one cannot be loaded: that is logged', async () => {
    const it = await open({ web: needs({ optional: ['usb', 'can', 'nosuch'] }) }, undefined, BSP);
    it.world.troubles.set('lxc.loadModule usb-storage', 'refuse');
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    assert.deepEqual(moduleCalls(it.world.calls), ['loadModule usb-storage', 'loadModule can', 'loadModule vcan']);
    assert.ok(
      it.lines.some((line) => line.includes("starts without driver 'usb': modprobe usb-storage: told to fail")),
    );
    assert.ok(it.lines.some((line) => line.includes("starts without driver 'nosuch'")));
  });

  it('are loaded although lxc-svc was restarted under it', async () => {
    const it = await open({ web: needs({ required: ['can'] }) }, undefined, BSP);
    it.world.troubles.set('lxc.loadModule vcan', 'die');
    await it.boot();
    await it.untilStatus('web', 'STARTED');
  });

  it('refuse options that are none, and load nothing of that driver', async () => {
    const it = await open({ web: needs({ optional: ['wifi'] }) }, undefined, BSP);
    it.userMeta.set('power', 'x --remove');
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    assert.deepEqual(moduleCalls(it.world.calls), []);
    assert.ok(it.lines.some((line) => /starts without driver 'wifi': modprobe brcmfmac: its options/.test(line)));
  });
});

describe('listDrivers and setDrivers', () => {
  const booted = async () => {
    const containers = {
      web: needs({ required: ['can'], manual: ['on-demand', 'usb'] }),
      idle: needs({ manual: ['nosuch'] }),
    };
    const it = await open(containers, undefined, BSP);
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    it.world.calls.length = 0;
    const list = async (container?: string) => {
      const answer = await it.state.listDrivers(container === undefined ? {} : { container });
      return answer.ok ? answer.value.drivers.map(({ name, type, status }) => `${name} ${type} ${status}`) : [];
    };
    const set = async (action: 'load' | 'unload', params: { container?: string; driver?: string } = {}) => {
      it.world.calls.length = 0;
      const answer = await it.state.setDrivers({ action, ...params });
      return answer.ok ? moduleCalls(it.world.calls) : answer.error;
    };
    return { it, list, set };
  };

  it('list those of the container, and all for the host', async () => {
    const { list } = await booted();
    assert.deepEqual(await list('web'), ['can REQUIRED LOADED', 'on-demand MANUAL UNLOADED', 'usb MANUAL UNLOADED']);
    assert.deepEqual(await list('idle'), ['nosuch MANUAL UNKNOWN']);
    assert.deepEqual(await list('stranger'), []);
    assert.deepEqual(await list(), [
      'can REQUIRED LOADED',
      'nosuch MANUAL UNKNOWN',
      'on-demand MANUAL UNLOADED',
      'usb MANUAL UNLOADED',
      'wifi MANUAL UNLOADED',
    ]);
  });

  it('load and unload what a container may: its manual drivers', async () => {
    const { set, list } = await booted();
    assert.deepEqual(await set('load', { container: 'web', driver: 'usb' }), ['loadModule usb-storage']);
    assert.equal((await list('web')).at(-1), 'usb MANUAL LOADED');
    assert.deepEqual(await set('load', { container: 'web' }), ['loadModule zram', 'loadModule usb-storage']);
    assert.deepEqual(await set('unload', { container: 'web' }), ['unloadModule zram', 'unloadModule usb-storage']);
    assert.deepEqual(await set('unload', { container: 'web' }), [], 'nothing to do');
    assert.deepEqual(await set('unload', { container: 'web', driver: 'can' }), [], 'not its own to unload');
    assert.deepEqual(await set('load', { container: 'web', driver: 'wifi' }), [], 'not its own to load');
    assert.deepEqual(await set('load', { container: 'idle' }), [], 'not of this board');
  });

  it('load and unload any driver of the board for the host', async () => {
    const { set } = await booted();
    assert.deepEqual(await set('load', { driver: 'wifi' }), ['loadModule cfg80211', 'loadModule brcmfmac fixed=1']);
    assert.deepEqual(await set('unload', { driver: 'can' }), ['unloadModule vcan', 'unloadModule can']);
    assert.deepEqual(await set('load', { driver: 'gone' }), { code: 'DRIVER_NOT_FOUND' });
  });

  it('name the module that modprobe refused', async () => {
    const { it, set } = await booted();
    it.world.troubles.set('lxc.loadModule brcmfmac fixed=1', 'refuse');
    const refused = { code: 'MODPROBE_FAILED', driver: 'wifi', module: 'brcmfmac', reason: 'told to fail' };
    assert.deepEqual(await set('load', { driver: 'wifi' }), refused);
    it.world.troubles.set('lxc.unloadModule can', 'refuse');
    assert.deepEqual(await set('unload', { driver: 'can' }), { ...refused, driver: 'can', module: 'can' });
  });

  it('load nothing for a refused revision', async () => {
    const refused = await open({ web: needs({ required: ['nosuch'] }) }, undefined, BSP);
    const runner = await refused.boot();
    await runner.settled;
    const answer = await refused.state.setDrivers({ action: 'load', driver: 'wifi' });
    assert.ok(!answer.ok && answer.error.code === 'NOT_NOW');
    assert.deepEqual(moduleCalls(refused.world.calls), []);
  });
});
