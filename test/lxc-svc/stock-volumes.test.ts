// Volumes that a device had under Pantavisor: whose they are after Berth has mounted them, and what is never touched.
import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { stockVolumePath, volumePath } from '../../services/lxc-svc/places.ts';
import { volumeFolder } from '../../services/lxc-svc/stock-volumes.ts';

let folder: string;
let root: string;
let told: string[];
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-stock-volumes-'));
});
beforeEach(() => {
  root = mkdtempSync(join(folder, 'disk-'));
  told = [];
});
after(() => rmSync(folder, { recursive: true }));

const tell = { info: (text: string) => told.push(text), warn: (text: string) => told.push(`warning: ${text}`) };
const paths = (persistence: 'permanent' | 'revision', revision = '0') => {
  const owner = { container: 'box', revision };
  const volume = { name: 'data', persistence };
  return { own: volumePath(owner, volume), stock: stockVolumePath(owner, volume) };
};
const DATA = paths('permanent');
const find = (wanted = DATA): string => volumeFolder(root, wanted, tell);

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

describe('a volume that Pantavisor kept', () => {
  it('is Berth’s from then on, permanent or of a revision, and found by Pantavisor where it was', () => {
    for (const wanted of [DATA, paths('revision', '4'), paths('revision', 'locals/x')]) {
      write(join(wanted.stock, 'data/rows'), 'kept');
      assert.equal(find(wanted), wanted.own);
      assert.equal(read(join(wanted.own, 'data/rows')), 'kept');
      assert.ok(lstatSync(join(root, wanted.stock)).isSymbolicLink());
      write(join(wanted.own, 'data/new'), 'by Berth');
      assert.equal(read(join(wanted.stock, 'data/new')), 'by Berth');
      assert.equal(find(wanted), wanted.own);
    }
    assert.equal(told.length, 3);
    assert.match(told[0] ?? '', /perm\/box\/data .* is permanent\/box\/data now/);
  });

  it('takes the place of folders that nobody wrote to', () => {
    write(join(DATA.stock, 'upper/etc/conf'), 'kept');
    for (const each of ['upper', 'work/work']) mkdirSync(join(root, DATA.own, each), { recursive: true });
    assert.equal(find(), DATA.own);
    assert.equal(read(join(DATA.own, 'upper/etc/conf')), 'kept');
    assert.deepEqual(readdirSync(join(root, DATA.own)), ['upper']);
  });

  it('takes the place of folders that it lacks only with a file', () => {
    mkdirSync(join(root, DATA.stock, 'data/old'), { recursive: true });
    mkdirSync(join(root, DATA.own, 'data/spool'), { recursive: true });
    assert.equal(find(), DATA.own);
    assert.deepEqual([readdirSync(join(root, DATA.own, 'data')), told], [['spool'], []]);
    assert.deepEqual(readdirSync(join(root, DATA.stock, 'data')), ['old']);
    // Those that it has itself are not missed.
    rmSync(join(root, DATA.own, 'data/spool'), { recursive: true });
    assert.equal(find(), DATA.own);
    assert.deepEqual(readdirSync(join(root, DATA.own, 'data')), ['old']);
  });

  it('stays where it is when Berth’s own holds anything, and that is told', () => {
    write(join(DATA.stock, 'rows'), 'old');
    write(join(DATA.own, 'deep/rows'), 'new');
    assert.equal(find(), DATA.own);
    assert.deepEqual([read(join(DATA.stock, 'rows')), read(join(DATA.own, 'deep/rows'))], ['old', 'new']);
    // Whatever that is.
    rmSync(join(root, DATA.own, 'deep/rows'));
    symlinkSync('/etc', join(root, DATA.own, 'deep/link'));
    assert.equal(find(), DATA.own);
    assert.deepEqual(readdirSync(join(root, DATA.own, 'deep')), ['link']);
    assert.match(told.join(), /^warning: .*perm\/box\/data .* is not used, .*permanent\/box\/data/);
  });

  it('is used once what a start wrote to Berth’s overlay is moved away, as is told', () => {
    const overlay = { own: 'permanent/box/lxc-overlay', stock: 'perm/box/lxc-overlay' };
    write(join(overlay.stock, 'upper/etc/conf'), 'old');
    write(join(overlay.own, 'upper/etc/hostname'), 'box\n');
    assert.equal(find(overlay), overlay.own);
    assert.ok(existsSync(join(root, overlay.own, 'upper/etc/hostname')));
    assert.match(told.join(), /^warning: .* is not used, .*lxc-overlay holds files: .* once that is moved away /);
    renameSync(join(root, overlay.own), join(root, 'away'));
    assert.equal(find(overlay), overlay.own);
    assert.equal(read(join(overlay.own, 'upper/etc/conf')), 'old');
  });

  it('is not looked for behind links', () => {
    write('elsewhere/box/data/rows', 'theirs');
    symlinkSync('elsewhere', join(root, 'perm'));
    assert.throws(() => find(), /perm is a symbolic link.* to be moved to .*permanent\/box\/data/);
    rmSync(join(root, 'perm'));
    mkdirSync(join(root, 'perm/box'), { recursive: true });
    symlinkSync('../../elsewhere/box/data', join(root, DATA.stock));
    assert.throws(() => find(), /perm\/box\/data is a symbolic link/);
    // What works stays at work.
    write(join(DATA.own, 'rows'), 'own');
    assert.equal(find(), DATA.own);
    assert.equal(read('elsewhere/box/data/rows'), 'theirs');
  });
});

describe('a volume that Pantavisor did not have', () => {
  it('has Berth’s place, and nothing of Pantavisor’s is made', () => {
    assert.equal(find(), DATA.own);
    write('perm/other/data/rows', 'another’s');
    assert.equal(find(), DATA.own);
    assert.ok(!existsSync(join(root, 'perm/box')) && !existsSync(join(root, DATA.own)));
    assert.deepEqual(told, []);
  });

  it('has it also where Pantavisor’s folders lie behind links', () => {
    write('elsewhere/other/data/rows', 'another’s');
    symlinkSync('elsewhere', join(root, 'perm'));
    assert.equal(find(), DATA.own);
    mkdirSync(join(root, DATA.own), { recursive: true });
    assert.equal(find(), DATA.own);
    // Nor has it one in a file.
    write('elsewhere/box', '');
    assert.equal(find(), DATA.own);
    assert.deepEqual(told, []);
    rmSync(join(root, 'perm'));
    symlinkSync(join(root, 'elsewhere'), join(root, 'rev'));
    const { own, stock } = paths('revision');
    assert.equal(find({ own, stock }), own);
  });

  it('has it, as far as can be told where a link leads nowhere, and that is told', () => {
    for (const target of ['not-mounted', 'perm']) {
      symlinkSync(target, join(root, 'perm'));
      assert.equal(find(), DATA.own);
      rmSync(join(root, 'perm'));
    }
    assert.equal(told.length, 2);
    for (const line of told)
      assert.match(line, /^warning: .*perm\/box\/data .* is not looked for: .*\/perm leads nowhere/);
  });
});
