// pvcontrol show: everything about one container.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stateContract } from '../../services/state-svc/contract.ts';
import { containerRow } from '../ctl-svc/rows.ts';
import { eventually } from '../kit/eventually.ts';
import { usePvcontrol } from './program.ts';

const pv = usePvcontrol();

describe('pvcontrol show', () => {
  it('tells addresses, namespace, mounts, goal and restarts on a terminal', async () => {
    const { exitCode, stdout } = await pv.program.onTerminal(80, {}, '-s', pv.rig.host, 'show', 'web');
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
    pv.rig.world.reasons.set('state-svc', [
      { code: 'CONTAINER_FAILED', subject: 'web', message: "/sbin/init: not in 'web'" },
      { code: 'CONTAINER_FAILED', subject: 'waits', message: 'another one' },
    ]);
    pv.rig.world.reasons.set('net-svc', [{ code: 'NETWORK_CONTESTED', subject: 'container web', message: 'undone' }]);
    const { stdout } = await pv.program.onTerminal(80, {}, '-s', pv.rig.host, 'show', 'web');
    pv.rig.world.reasons.clear();
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
    pv.rig.world.containers.push(row);
    pv.rig.state.publish(stateContract, 'containerChanged', { container: row });
    const text = await eventually('it is listed', 20_000, async () => {
      const { exitCode, stdout } = await pv.program.onTerminal(80, {}, '-s', pv.rig.host, 'show', 'busy');
      return exitCode === 0 ? stdout : undefined;
    });
    assert.match(text, /^detached +\/run\/lxc\/busy\/rootfs: busy, ends with its last user/m);
    pv.rig.world.containers.pop();
    pv.rig.state.publish(stateContract, 'revisionChanged', { revision: '0' });
    await eventually('it is listed no longer', 20_000, async () => {
      const { stdout } = await pv.program.run('-s', pv.rig.host, 'ls');
      return !stdout.includes('"busy"');
    });
  });

  it('gives a pipe the JSON', async () => {
    assert.equal(JSON.parse((await pv.program.run('-s', pv.rig.host, 'show', 'web')).stdout).name, 'web');
  });

  it('says which containers there are', async () => {
    const { exitCode, stderr } = await pv.program.run('-s', pv.rig.host, '--table', 'show', 'wbe');
    assert.deepEqual(
      [exitCode, stderr],
      [255, "pvcontrol: Container not found: 'wbe'. There are: web, base, waits.\n"],
    );
  });
});
