// pvcontrol show: everything about one container.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { stateContract } from '../../services/state-svc/contract.ts';
import { type Rig, startRig } from '../ctl-svc/rig.ts';
import { containerRow } from '../ctl-svc/rows.ts';
import { eventually } from '../kit/eventually.ts';
import { bundleProgram, type Program } from './program.ts';

let program: Program;
let rig: Rig;
before(async () => {
  program = await bundleProgram();
  rig = await startRig();
});
after(() => {
  rig.stop();
  program.remove();
});

describe('pvcontrol show', () => {
  it('tells addresses, namespace, mounts, goal and restarts on a terminal', async () => {
    const { exitCode, stdout } = await program.onTerminal(80, {}, '-s', rig.host, 'show', 'web');
    assert.equal(exitCode, 0);
    for (const line of [
      /^name +web/m,
      /^status +STARTED for .*, goal STARTED/m,
      /^eth0 +10\.0\.5\.2\/24 of pool internal, gateway 10\.0\.5\.1, MAC /m,
      /^ +host side \S+ in pvbr0/m,
      /^netns +\/run\/netns\/web/m,
      /^mount +\/run\/lxc\/web\/rootfs \(overlay, overlay\)/m,
    ]) {
      assert.match(stdout, line);
    }
  });

  it('says what health says of it, and of it alone', async () => {
    rig.world.reasons.set('state-svc', [
      { code: 'CONTAINER_FAILED', subject: 'web', message: "/sbin/init: not in 'web'" },
      { code: 'CONTAINER_FAILED', subject: 'waits', message: 'another one' },
    ]);
    rig.world.reasons.set('net-svc', [{ code: 'NETWORK_CONTESTED', subject: 'container web', message: 'undone' }]);
    const { stdout } = await program.onTerminal(80, {}, '-s', rig.host, 'show', 'web');
    rig.world.reasons.clear();
    assert.deepEqual(
      stdout
        .match(/^why .*$/gm)
        ?.map((line) => line.trim())
        .sort(),
      ["why         /sbin/init: not in 'web'", 'why         undone'],
    );
  });

  it('names mounts that were busy at the stop', async () => {
    const row = containerRow('busy', { status: 'STOPPED', pid: null, detached_mounts: ['/run/lxc/busy/rootfs'] });
    rig.world.containers.push(row);
    rig.state.publish(stateContract, 'containerChanged', { container: row });
    const text = await eventually('it is listed', 20_000, async () => {
      const { exitCode, stdout } = await program.onTerminal(80, {}, '-s', rig.host, 'show', 'busy');
      return exitCode === 0 ? stdout : undefined;
    });
    assert.match(text, /^detached +\/run\/lxc\/busy\/rootfs: busy, ends with its last user/m);
    rig.world.containers.pop();
    rig.state.publish(stateContract, 'revisionChanged', { revision: '0' });
    await eventually('it is listed no longer', 20_000, async () => {
      const { stdout } = await program.run('-s', rig.host, 'ls');
      return !stdout.includes('"busy"');
    });
  });

  it('gives a pipe the JSON', async () => {
    assert.equal(JSON.parse((await program.run('-s', rig.host, 'show', 'web')).stdout).name, 'web');
  });

  it('says which containers there are', async () => {
    const { exitCode, stderr } = await program.run('-s', rig.host, '--table', 'show', 'wbe');
    assert.deepEqual(
      [exitCode, stderr],
      [255, "pvcontrol: Container not found: 'wbe'. There are: web, base, waits.\n"],
    );
  });
});
