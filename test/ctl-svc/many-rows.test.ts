// Lists that no single message of the broker could carry.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { MAX_FRAME_BYTES } from '../../shared/ipc/envelope.ts';
import { newWorld } from './fake-peers.ts';
import { curl, type Rig, startRig } from './rig.ts';
import { containerRow, groupRow } from './rows.ts';

const MANY = 300;

describe('ctl.lists', () => {
  let rig: Rig | undefined;
  afterEach(() => rig?.stop());

  it(`have all of ${MANY} containers and as many groups`, async () => {
    const names = Array.from({ length: MANY }, (_, index) => `container-${index}`);
    const recovery = { max_retries: 5, stable_timeout: 30, backoff_policy: 'reboot' };
    const world = newWorld();
    world.containers = names.map((name) => containerRow(name));
    world.groups = names.map((name) => groupRow(`group-of-${'x'.repeat(80)}-${name}`, { auto_recovery: recovery }));
    rig = await startRig([], world);
    for (const list of ['containers', 'groups'] as const) {
      assert.ok(JSON.stringify(world[list]).length > MAX_FRAME_BYTES);
      assert.deepEqual(JSON.parse((await curl(rig.host, `/${list}`)).body), world[list]);
    }
  });
});
