// Revisions that are refused: by berth pack, and by a device that gets one all the same.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { containerRows, get } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { command, progressReaches } from '../kit/step.ts';
import { EXAMPLES, openTree, PATIENCE_MS, packExample, packInto } from '../kit/tree.ts';
import { LOG, logged, unhealthy } from './look.ts';
import type { Stage } from './scenario.ts';

/** `pattern`: what is said of it, by each of them. Resolves when nothing of the revision was found to run. */
async function refused(stage: Stage, pattern: RegExp): Promise<void> {
  const storage = join(stage.folder(), 'storage');
  assert.throws(() => packInto(storage, join(EXAMPLES, stage.example)), pattern);
  assert.ok(!existsSync(storage), 'berth pack wrote something');

  const tree = await stage.boot('--unchecked');
  // A steady device reboots for it, a few times; after that it answers, and stays.
  await unhealthy(tree, 'REBOOT_LOOP', /rebooted \d+ times and it did not help, staying up/);
  await unhealthy(tree, 'REVISION_REFUSED', pattern);
  await logged(tree, LOG, pattern);
  assert.doesNotMatch(tree.readLog(LOG), /revision 0 is READY/);
  for (const { name, pid, status } of await get(tree.socket, '/containers', containerRows)) {
    assert.equal(pid, null, `${name} runs`);
    assert.equal(status, 'INSTALLED');
  }
  assert.doesNotMatch(tree.inside(['ps', '-e', '-o', 'args']).stdout, /httpd|lxc-start|lxc monitor/);
  assert.doesNotMatch(tree.inside(['ip', '-o', 'link']).stdout, /pvbr0|lxcbr0|veth/);
  assert.doesNotMatch(tree.inside(['cat', '/proc/self/mounts']).stdout, /root\.squashfs|lxc-overlay/);
}

export async function unknownPool(stage: Stage): Promise<string> {
  await refused(stage, /container 'ipam-nopool' references unknown pool 'does-not-exist', refusing to start/);
  await rolledBack(stage.example);
  return 'refused: unknown pool; net-server does not run either, no bridge was made; rebooted 3 times, then stays up and says why; as an update it is not installed, and when it is tried all the same, rolled back';
}

const BAD = 'locals/nopool';

/** The same revision as an update of one that runs: refused by the command, and by a boot that was to try it. */
async function rolledBack(example: string): Promise<void> {
  const tree = await openTree(packExample('01-basic'));
  try {
    packInto(tree.storage, join(EXAMPLES, example), '--revision', BAD, '--unchecked');
    tree.start();
    const rows = await tree.up();
    await command(tree.socket, 'LOCAL_RUN', BAD);
    const refusal = await progressReaches(tree.socket, BAD, 'WONTGO');
    assert.match(refusal.logs ?? '', /unknown pool 'does-not-exist'/);
    assert.deepEqual(await get(tree.socket, '/containers', containerRows), rows, 'something was touched for it');

    await tree.endSupervisor('SIGINT');
    const trying = { revision: BAD, way: 'reboot', once: false };
    writeFileSync(join(tree.storage, 'boot/current.json'), JSON.stringify({ revision: '0', trying }));
    tree.start();
    const progress = await progressReaches(tree.socket, BAD, 'ERROR');
    assert.match(progress.logs ?? '', /unknown pool 'does-not-exist'/);
    await eventually('it started over', PATIENCE_MS, () => tree.output().includes('berth: starting over'));
    assert.deepEqual(
      (await tree.up()).map(({ name }) => name),
      rows.map(({ name }) => name),
    );
  } finally {
    await tree.close();
  }
}

export async function poolAndBaked(stage: Stage): Promise<string> {
  await refused(stage, /'ipam-both' has a pool and bakes its network too; remove the line "lxc\.net\.0\.type = veth"/);
  return 'refused: remove the line "lxc.net.0.type = veth" or the pool';
}

export async function invalidAddress(stage: Stage): Promise<string> {
  await refused(
    stage,
    /static address 192\.168\.99\.100 of 'ipam-invalid' is outside 10\.0\.5\.0\/24 of pool 'internal'/,
  );
  return 'refused: 192.168.99.100 is outside 10.0.5.0/24';
}

export async function collision(stage: Stage): Promise<string> {
  await refused(stage, /10\.0\.5\.50, static address of 'ipam-second', is the static address of 'ipam-first' already/);
  return 'refused: 10.0.5.50 is asked for by ipam-first and ipam-second';
}
