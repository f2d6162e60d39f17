// Revisions that are refused: by berth pack, and by a device that gets one all the same.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { containerRows, get } from '../kit/api.ts';
import { EXAMPLES, packInto } from '../kit/tree.ts';
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
  return 'refused: unknown pool; net-server does not run either, no bridge was made; rebooted 3 times, then stays up and says why';
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
