// A storage with a boot partition mounted over boot/, as Pantavisor has it for some boards: FAT, which no service can own or write into.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { STORAGE_INSIDE } from '../../scripts/sandbox/sandbox.ts';
import { containerRows, get } from '../kit/api.ts';
import { command, installRevision, progressReaches, writeSource } from '../kit/step.ts';
import { openTree, packExample, type Tree } from '../kit/tree.ts';

const QUICK = ['--set', 'PV_UPDATER_COMMIT_DELAY=1', '--set', 'PV_UPDATER_GOALS_TIMEOUT=20'];

describe('integration.boot-partition', () => {
  let tree: Tree | undefined;
  let folder = '';
  afterEach(async () => {
    await tree?.close();
    tree = undefined;
    rmSync(folder, { recursive: true, force: true });
  });

  it('runs a revision, takes an update, and knows of it when it starts again', async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-boot-'));
    const source = (...names: readonly string[]): string =>
      writeSource(join(folder, 'source'), Object.fromEntries(names.map((name) => [name, {}])), {});
    const it = await openTree(packExample(source('a')));
    tree = it;
    const { storage, socket } = it;
    const [boot, inside] = [join(storage, 'boot'), join(STORAGE_INSIDE, 'boot')];
    rmSync(join(boot, 'current.json'));
    // Read-only here, as such a partition may be, too: not every machine has FAT.
    assert.equal(it.inside(['mount', '-t', 'tmpfs', '-o', 'ro,mode=755', 'berth-boot', inside]).status, 0);
    it.start(QUICK);
    await it.up();
    await installRevision(socket, source('a', 'b'), 'next');
    await command(socket, 'LOCAL_RUN', 'locals/next');
    await progressReaches(socket, 'locals/next', 'UPDATED');
    assert.equal(existsSync(join(boot, 'current.json')), false);
    const written = JSON.parse(readFileSync(join(storage, 'trails/.current.json'), 'utf8'));
    assert.deepEqual(written.updated, { revision: 'locals/next', once: false });
    await it.killSupervisor();
    it.start(QUICK);
    await it.up();
    const names = (await get(socket, '/containers', containerRows)).map(({ name }) => name);
    assert.deepEqual(names, ['a', 'b']);
  });
});
