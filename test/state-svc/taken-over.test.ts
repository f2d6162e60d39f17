// What is taken over where root may have put it, before it is used: each way to it by itself, as whoever gives one thing gives all that there is then.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createChecksums } from '../../services/state-svc/checksum-pool.ts';
import { openRevisionStore } from '../../services/state-svc/revision-store.ts';
import { UNCHECKED } from '../../services/state-svc/signature-check.ts';
import { openStepStore } from '../../services/state-svc/step-store.ts';
import { installRevision } from '../../services/state-svc/update-install.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { sha256, stateOf, writeRevision } from './device.ts';

describe('what root has put into the storage', () => {
  let storage = '';
  let taken: string[] = [];
  beforeEach(async () => {
    storage = mkdtempSync(join(tmpdir(), 'berth-taken-'));
    taken = [];
    await writeRevision(storage, 'locals/x', stateOf({ a: {} }, {}));
  });
  afterEach(() => rmSync(storage, { recursive: true }));

  const ownership = { take: async (path: string) => void taken.push(relative(storage, path)) };

  it('is taken over with a revision that is looked at', async () => {
    await openStepStore(storage, silentLogger, ownership).arrivedMs('locals/x');
    assert.deepEqual(taken, ['trails/locals', 'trails/locals/x']);
  });

  it('is taken over with a list of revisions', async () => {
    assert.deepEqual(await openStepStore(storage, silentLogger, ownership).list(), ['locals/x']);
    assert.ok(taken.includes('trails/locals'));
  });

  it('is taken over with the objects of a revision that is to be run', async () => {
    const verification = { signatures: UNCHECKED, rehash: true, ownership };
    const store = openRevisionStore(storage, createChecksums('none is started'), verification);
    assert.ok((await installRevision(store, 'locals/x')).ok);
    assert.ok(taken.includes(`objects/${sha256('root of a')}`), taken.join());
  });
});
