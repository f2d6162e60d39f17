// A storage of thousands of objects and hundreds of revisions: looking at all of them keeps nobody else waiting, and takes no more at a time than few do.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { openObjectStore } from '../../services/state-svc/object-store.ts';
import { openStepStore } from '../../services/state-svc/step-store.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { sha256 } from './device.ts';

describe('a storage with much in it', () => {
  let storage = '';
  beforeEach(() => {
    storage = mkdtempSync(join(tmpdir(), 'berth-many-'));
  });
  afterEach(() => rmSync(storage, { recursive: true }));

  it('has its objects looked at a few at a time', async () => {
    mkdirSync(join(storage, 'objects'));
    const digests = Array.from({ length: 1000 }, (_, at) => sha256(String(at)));
    for (const digest of digests) writeFileSync(join(storage, 'objects', digest), '');
    let underWay = 0;
    let most = 0;
    const objects = openObjectStore(storage, silentLogger, {
      async take() {
        underWay += 1;
        most = Math.max(most, underWay);
        await nextTurn();
        underWay -= 1;
      },
    });
    const found = await objects.findAll(digests);
    assert.deepEqual(
      found.map((each) => each.sha256),
      digests,
    );
    assert.ok(most <= 64, `${most} at once`);
  });

  it('has the states of its revisions read in turns with all else', async () => {
    const names = Array.from({ length: 20 }, (_, at) => `locals/r${at}`);
    for (const name of names) {
      mkdirSync(join(storage, 'trails', name, '.pvr'), { recursive: true });
      writeFileSync(join(storage, 'trails', name, '.pvr/json'), '{}');
    }
    const steps = openStepStore(storage, silentLogger);
    let turns = 0;
    let isDone = false;
    const turn = (): void => {
      turns += 1;
      if (!isDone) setImmediate(turn);
    };
    setImmediate(turn);
    for (const name of names) assert.equal(await steps.stateText(name), '{}');
    isDone = true;
    assert.ok(turns >= names.length, `${turns} turns`);
    assert.equal(await steps.stateText('locals/gone'), undefined);
  });
});
