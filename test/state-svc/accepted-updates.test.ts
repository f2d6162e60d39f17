// Updates that were accepted by a state-svc that ended before it began them.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Device } from './device.ts';
import { CHANGED_B, deviceForEach, install, onDisk, pids, reaches, TESTING_LIVE, THREE } from './updates-kit.ts';

const open = deviceForEach();

/** As a state-svc leaves it that ends right after its answer. */
function accepted(it: Device, revision: string): void {
  const asked = { revision, once: false, commit: false };
  writeFileSync(join(it.storage, 'boot/current.json'), JSON.stringify({ ...onDisk(it), asked }));
}

describe('an update that was accepted', () => {
  for (const [what, tree] of [
    ['of the same tree', false],
    ['of another tree that finds what ran', true],
  ] as const) {
    it(`is begun by the next state-svc ${what}`, async () => {
      const it = await open(THREE);
      await install(it, 'locals/x', CHANGED_B);
      const { a } = await pids(it);
      accepted(it, 'locals/x');
      await it.boot({ tree });
      await reaches(it, 'locals/x', TESTING_LIVE);
      assert.equal((await pids(it)).a, a);
      assert.equal(onDisk(it).asked, undefined);
    });
  }
});
