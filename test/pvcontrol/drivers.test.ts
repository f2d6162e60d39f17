// pvcontrol drivers against the real ctl-svc.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Rig, startRig } from '../ctl-svc/rig.ts';
import { bundleProgram, type Program } from './program.ts';

describe('pvcontrol drivers', () => {
  let program: Program;
  let rig: Rig;
  before(async () => {
    program = await bundleProgram();
    rig = await startRig([]);
  });
  after(async () => {
    await rig.stop();
    program.remove();
  });
  const run = (...args: string[]) => program.run('-s', rig.host, ...args);

  it('lists them, as the API’s JSON and as a table', async () => {
    assert.equal((await run('drivers', 'ls')).stdout, '{}\n');
    assert.equal((await run('--table', 'drivers', 'ls')).stdout, 'no drivers\n');
    rig.world.drivers.set('', [{ name: 'wifi', type: 'REQUIRED', status: 'LOADED' }]);
    assert.equal((await run('drivers', 'ls')).stdout, '[{"name":"wifi","type":"REQUIRED","status":"LOADED"}]\n');
    assert.match((await run('--table', 'drivers', 'ls')).stdout, /^NAME +TYPE +STATUS\nwifi +REQUIRED +LOADED\n$/);
  });

  it('loads and unloads one, or all', async () => {
    rig.world.asked.length = 0;
    for (const args of [['load'], ['load', 'a b'], ['unload', 'wifi']]) {
      assert.deepEqual(await run('drivers', ...args), { exitCode: 0, stdout: '', stderr: '' });
    }
    assert.deepEqual(rig.world.asked, ['host load all', 'host load a b', 'host unload wifi']);
  });

  it('says what went wrong, on the device and on the command line', async () => {
    rig.world.driverRefusal = { code: 'MODPROBE_FAILED', driver: 'wifi', module: 'm', reason: 'no firmware' };
    const failed = await run('drivers', 'load', 'wifi');
    assert.deepEqual([failed.exitCode, /modprobe m: no firmware/.test(failed.stderr)], [255, true]);
    for (const [args, words] of [
      [[], /drivers: expected ls, load \[NAME\] or unload \[NAME\]/],
      [['lod'], /not 'lod'/],
      [['load', 'a', 'b'], /got 'b' as well/],
      [['load', ''], /NAME is empty/],
      [['ls', 'x'], /takes nothing more/],
    ] as const) {
      const { exitCode, stderr } = await run('drivers', ...args);
      assert.equal(exitCode, 1);
      assert.match(stderr, words);
    }
  });
});
