// Files of others in our storage: asked for once, whoever finds them.
import assert from 'node:assert/strict';
import { chownSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createOwnership } from '../../services/state-svc/ownership.ts';

const OURS = 4321;

describe('state.ownership', () => {
  let folder = '';
  let files: readonly string[] = [];
  let given = 0;
  let warnings: string[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-ownership-'));
    files = ['a', 'b', 'c'].map((name) => join(folder, name));
    for (const file of files) writeFileSync(file, '');
    given = 0;
    warnings = [];
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const log = { info: () => undefined, warn: (message: string) => void warnings.push(message) };
  const opened = (give: () => void) =>
    createOwnership({
      uid: OURS,
      log,
      give: async () => {
        given += 1;
        give();
      },
    });
  const giveAll = (): void => {
    for (const file of files) chownSync(file, OURS, OURS);
  };
  const takeAll = async ({ take }: ReturnType<typeof opened>): Promise<void> => {
    await Promise.all(files.map((file) => take(file, lstatSync(file))));
  };

  it('asks once for all that is there, and for nothing that is ours', async () => {
    const ownership = opened(giveAll);
    await takeAll(ownership);
    assert.deepEqual(
      files.map((file) => lstatSync(file).uid),
      [OURS, OURS, OURS],
    );
    await takeAll(ownership);
    assert.deepEqual([given, warnings], [1, []]);
    const later = join(folder, 'later');
    writeFileSync(later, '');
    files = [later];
    await takeAll(ownership);
    assert.deepEqual([given, lstatSync(later).uid], [2, OURS]);
  });

  it('tells once what is not given, and asks once for all of that', async () => {
    const ownership = opened(() => undefined);
    await takeAll(ownership);
    await takeAll(ownership);
    assert.deepEqual([given, warnings.length], [1, 3]);
    assert.match(warnings[0] ?? '', /\/a belongs to user 0, .*chown -R 4321:4321/);
  });

  it('asks again where nobody answered', async () => {
    let isUp = false;
    const ownership = opened(() => {
      if (!isUp) throw new Error('TIMEOUT');
      giveAll();
    });
    const [file = ''] = files;
    await ownership.take(file, lstatSync(file));
    assert.match(warnings[0] ?? '', /TIMEOUT/);
    isUp = true;
    await ownership.take(file, lstatSync(file));
    assert.equal(lstatSync(file).uid, OURS);
  });

  it('leaves alone what has gone meanwhile', async () => {
    const [file = ''] = files;
    const found = lstatSync(file);
    rmSync(file);
    await opened(giveAll).take(file, found);
    assert.deepEqual([given, warnings], [0, []]);
  });
});
