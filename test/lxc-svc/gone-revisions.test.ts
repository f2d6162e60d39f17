// What is collected on disks that are not this storage's alone, and what never is: others write to them, and other trees count as we do.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { markRevision, removeGoneRevisions } from '../../services/lxc-svc/gone-revisions.ts';
import { mount, unmount } from '../../shared/kernel/mount.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-gone-'));
});
after(() => rmSync(folder, { recursive: true }));

/** A tree with trails of these revisions. */
function treeOf(name: string, ...revisions: readonly string[]) {
  const storage = join(folder, name);
  for (const revision of revisions) mkdirSync(join(storage, 'trails', revision), { recursive: true });
  return { rundir: join(folder, `${name}.run`), storage, tree: name };
}

/** A disk with volumes of these revisions that nobody has marked. */
function diskOf(name: string, ...revisions: readonly string[]): string {
  const root = join(folder, name);
  for (const revision of revisions) {
    mkdirSync(join(root, 'revision', revision, 'app/rows'), { recursive: true });
    writeFileSync(join(root, 'revision', revision, 'app/rows/1'), 'kept');
  }
  return root;
}

const has = (root: string, revision: string): boolean => existsSync(join(root, 'revision', revision, 'app/rows/1'));
const remove = (places: ReturnType<typeof treeOf>, root: string, isOurs: boolean, used: readonly string[] = []) =>
  removeGoneRevisions(
    { root, isOurs },
    { places, used: () => new Set(used), onStuck: (_, error) => assert.fail(String(error)) },
  );
const collect = (tree: ReturnType<typeof treeOf>, root: string, ...used: readonly string[]) =>
  remove(tree, root, false, used);

describe('volumes of revisions that are gone', () => {
  it('stay on a disk where nobody knows whose they are, and go on one of this storage', async () => {
    const tree = treeOf('alone', '3');
    const root = diskOf('unknown', '2', '3', 'locals/x');
    writeFileSync(join(root, 'revision/4'), 'a file of its owner’s');
    assert.deepEqual(await collect(tree, root), []);
    assert.deepEqual(readdirSync(join(root, 'revision')).sort(), ['2', '3', '4', 'locals']);
    rmSync(join(root, 'revision/4'));
    assert.deepEqual(await remove(tree, root, true), ['2', 'locals/x']);
    assert.deepEqual(
      ['2', '3', 'locals/x'].map((revision) => has(root, revision)),
      [false, true, false],
    );
  });

  it('go with what Pantavisor kept for them, which stays on a disk that others use, too', async () => {
    const tree = treeOf('stock', '3');
    const keep = (root: string): void => {
      for (const revision of ['2', '3', 'locals/x'])
        mkdirSync(join(root, 'rev', revision, 'app/rows'), { recursive: true });
    };
    const [root, shared] = [diskOf('own', '2'), diskOf('theirs')];
    for (const each of [root, shared]) keep(each);
    assert.deepEqual(await remove(tree, root, true, ['locals/x']), ['2']);
    assert.deepEqual(readdirSync(join(root, 'rev')).sort(), ['3', 'locals']);
    assert.deepEqual(await remove(tree, root, true), ['locals/x']);
    assert.deepEqual(readdirSync(join(root, 'rev/locals')), []);
    assert.deepEqual(await collect(tree, shared), []);
    assert.deepEqual(readdirSync(join(shared, 'rev')).sort(), ['2', '3', 'locals']);
  });

  it('stay where only a link leads to them', async () => {
    const tree = treeOf('linked');
    for (const [link, revision] of [
      ['revision', '2'],
      ['revision', 'locals/x'],
      ['revision/locals', 'locals/x'],
    ] as const) {
      const what = `${link}-${revision}`.replaceAll('/', '-');
      const elsewhere = diskOf(`behind-${what}`, revision);
      const root = join(folder, `with-${what}`);
      mkdirSync(dirname(join(root, link)), { recursive: true });
      symlinkSync(join(elsewhere, link), join(root, link));
      assert.deepEqual(await remove(tree, root, true), []);
      assert.ok(has(elsewhere, revision));
    }
  });

  it('go from a shared disk when this tree alone had them', async () => {
    const tree = treeOf('marks', '3');
    const root = diskOf('usb', '2', '3', '5', 'locals/x', 'locals/y');
    for (const revision of ['2', '3', '5', 'locals/x']) markRevision(tree, root, revision);
    // As at each mount.
    markRevision(tree, root, '2');
    assert.deepEqual(await collect(tree, root, '5'), ['2', 'locals/x']);
    assert.deepEqual(
      ['2', '3', '5', 'locals/x', 'locals/y'].map((revision) => has(root, revision)),
      [false, true, true, false, true],
    );
    assert.deepEqual(await collect(tree, root), ['5']);
  });

  it('stay as long as another tree has mounted of them, whichever of the two made them, and go with the last', async () => {
    const [first, second] = [treeOf('first', '7'), treeOf('second')];
    const root = diskOf('shared', '7', '8');
    for (const tree of [first, second]) for (const revision of ['7', '8']) markRevision(tree, root, revision);
    assert.deepEqual(await collect(second, root), []);
    assert.deepEqual([has(root, '7'), has(root, '8')], [true, true]);
    assert.deepEqual(await collect(first, root), ['8']);
    assert.deepEqual(await collect(second, root), []);
    assert.deepEqual([has(root, '7'), has(root, '8')], [true, false]);
  });

  it('stay where it cannot be told whether their revision is gone', async () => {
    const tree = treeOf('unread', '1');
    const root = diskOf('unsure', '9');
    markRevision(tree, root, '9');
    symlinkSync('9', join(tree.storage, 'trails/9'));
    await assert.rejects(collect(tree, root), /ELOOP/);
    assert.ok(has(root, '9'));
  });

  it('go in the end, also when their removal was interrupted and they were made once more', async () => {
    const tree = treeOf('twice', '1');
    const root = diskOf('again', '.gone.6', '6');
    markRevision(tree, root, '6');
    assert.deepEqual(await collect(tree, root), ['6']);
    assert.deepEqual(readdirSync(join(root, 'revision')), []);
  });

  it('go beside one that cannot be moved away, and that one when it can be', async () => {
    const tree = treeOf('busy');
    const root = diskOf('in-use', '2', '3', '4');
    const said: string[] = [];
    const removal = { places: tree, used: () => new Set<string>(), onStuck: (path: string) => void said.push(path) };
    for (const revision of ['2', '4']) mount('test', join(root, 'revision', revision), 'tmpfs', 0);
    try {
      assert.deepEqual(await removeGoneRevisions({ root, isOurs: true }, removal), ['3']);
      assert.deepEqual(said, [join(root, 'revision/2'), join(root, 'revision/4')]);
    } finally {
      for (const revision of ['2', '4']) unmount(join(root, 'revision', revision));
    }
    assert.deepEqual(await remove(tree, root, true), ['2', '4']);
  });
});
