// What root puts into the storage of a tree that runs, as scripts and Pantavisor's own tools do: files written beside and renamed, links, and
// nothing that others than root may read.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import * as z from 'zod/mini';
import { ask, get } from '../kit/api.ts';
import { command, progressReaches, putBytes, STAYS, writeSource } from '../kit/step.ts';
import { openTree, packExample, packInto, type Tree } from '../kit/tree.ts';

const QUICK = ['--set', 'PV_UPDATER_COMMIT_DELAY=1', '--set', 'PV_UPDATER_GOALS_TIMEOUT=20'];
const stateDocument = z.record(z.string(), z.unknown());

/** As root on the device types it. */
function shell(script: string, ...args: readonly string[]): void {
  execFileSync('sh', ['-ec', `umask 077\n${script}`, 'sh', ...args]);
}

describe('integration.live-storage', () => {
  let tree: Tree;
  let folder = '';
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-live-'));
    tree = await openTree(packExample(writeSource(join(folder, 'source'), { a: {} })));
    tree.start(QUICK);
    await tree.up();
  });
  after(async () => {
    await tree.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A revision that the device does not have: its state, and where its objects are. */
  const packed = (name: string) => {
    const storage = join(folder, name);
    shell('mkdir "$1"; chmod 755 "$1"', storage);
    packInto(storage, writeSource(join(folder, 'source'), { a: {}, [name]: { init: `# ${name}\n${STAYS}` } }));
    const text = readFileSync(join(storage, 'trails/0/.pvr/json'), 'utf8');
    const state = stateDocument.parse(JSON.parse(text));
    const objects = Object.entries(state).flatMap(([path, value]) =>
      typeof value === 'string' && path !== '#spec' ? [[path, value] as const] : [],
    );
    const present = readdirSync(join(tree.storage, 'objects'));
    const fresh = objects.map(([, digest]) => digest).filter((digest) => !present.includes(digest));
    assert.ok(fresh.length > 0);
    return { storage, text, objects, fresh };
  };

  const putObjects = ({ storage, fresh }: ReturnType<typeof packed>): void => {
    for (const digest of fresh) {
      const to = join(tree.storage, 'objects', digest);
      shell('cat "$1" > "$2.tmp"; mv "$2.tmp" "$2"', join(storage, 'objects', digest), to);
    }
  };

  const runs = async (name: string): Promise<void> => {
    await command(tree.socket, 'LOCAL_RUN', name);
    await progressReaches(tree.socket, name, 'UPDATED');
    const told = JSON.parse(readFileSync(join(tree.storage, 'trails', name, '.pv/progress'), 'utf8'));
    assert.equal(told.status, 'UPDATED');
  };

  it('runs a revision that root has deployed, and writes into it', async () => {
    const revision = packed('deployed');
    putObjects(revision);
    const trail = join(tree.storage, 'trails/locals/deployed');
    shell(
      'mkdir -p "$1" "$1.tmp/.pvr"; cat "$2" > "$1.tmp/.pvr/json"',
      trail,
      join(revision.storage, 'trails/0/.pvr/json'),
    );
    for (const [path, digest] of revision.objects) {
      const to = join(`${trail}.tmp`, path);
      shell('mkdir -p "$2"; ln "$1" "$3"', join(tree.storage, 'objects', digest), dirname(to), to);
    }
    shell('mv "$1" "$1.bak"; mv "$1.tmp" "$1"; rm -r "$1.bak"', trail);
    const names = (await get(tree.socket, '/steps', z.array(z.object({ name: z.string() })))).map(({ name }) => name);
    assert.ok(names.includes('locals/deployed'), names.join());
    const shown = await get(tree.socket, '/steps/locals/deployed', stateDocument);
    assert.deepEqual(shown, JSON.parse(revision.text));
    assert.equal((await putBytes(tree.socket, '/steps/locals/deployed/commitmsg', Buffer.from('by hand'))).status, 200);
    await runs('locals/deployed');
  });

  it('has objects of root’s, which a client need not upload, and may, and can read', async () => {
    const { fresh, ...rest } = packed('listed');
    putObjects({ fresh, ...rest });
    for (const digest of fresh) {
      const { status, body } = await putBytes(tree.socket, `/objects/${digest}`, Buffer.from('not looked at'));
      assert.equal(status, 200, body);
      assert.equal((await ask(tree.socket, 'GET', `/objects/${digest}`)).status, 200);
    }
  });

  it('makes a revision of objects that root has put there, and runs it', async () => {
    const revision = packed('of-objects');
    putObjects(revision);
    const { status, body } = await putBytes(tree.socket, '/steps/locals/of-objects', Buffer.from(revision.text));
    assert.equal(status, 200, body);
    await runs('locals/of-objects');
  });

  it('replaces a revision that root has deployed', async () => {
    const trail = join(tree.storage, 'trails/locals/replaced');
    shell('mkdir -p "$1/.pvr" "$1/inner"; echo "{}" > "$1/.pvr/json"; echo x > "$1/inner/file"', trail);
    const state = readFileSync(join(tree.storage, 'trails/0/.pvr/json'));
    const { status, body } = await putBytes(tree.socket, '/steps/locals/replaced', state);
    assert.equal(status, 200, body);
    assert.deepEqual(
      readdirSync(dirname(trail)).filter((name) => name.startsWith('.replaced')),
      [],
    );
    assert.equal(readFileSync(join(trail, '.pvr/json'), 'utf8'), state.toString());
  });
});
