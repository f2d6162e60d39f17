// Files that are always written beside and renamed, on a disk that does not give what has the name beside: they are written all the same.
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createJournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { readCurrent, writeCurrent } from '../../services/log-svc/current-link.ts';
import { makeKeyFile } from '../../services/lxc-svc/disk-files.ts';
import { writeAtomically } from '../../services/state-svc/atomic-file.ts';
import { openMetadataStore } from '../../services/state-svc/metadata-store.ts';
import { openRevisionStore } from '../../services/state-svc/revision-store.ts';
import { openStepStore } from '../../services/state-svc/step-store.ts';
import { readReboots, writeReboots } from '../../services/supervisor/reboot-store.ts';
import { noteRundir } from '../../services/supervisor/rundir-note.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { CANNOT_DAMAGE, makeDamagedDisk, mountArguments } from '../kit/damaged-disk.ts';
import { unmount } from '../kit/unmount.ts';
import { sha256 } from '../state-svc/device.ts';

describe('a damaged file beside the one that is written', { skip: CANNOT_DAMAGE }, () => {
  const damaged = [
    'state/note.new',
    // More than one of the same.
    'state/note.new.1',
    'cache/usrmeta/.new',
    'trails/0/.pv/link.new',
    'trails/locals/.x.making/root',
    'trails/locals/.x.replaced/root',
    'ipam/leases.journal.new',
    'supervisor/reboots.json.new',
    'supervisor/rundir.json.new',
    'logs/current.new',
    'disks/key.new',
  ];
  const object = sha256('object');
  let folder = '';
  let storage = '';
  const at = (path: string): string => join(storage, path);
  before(() => {
    folder = mkdtempSync('/run/berth-spare-');
    storage = join(folder, 'storage');
    mkdirSync(storage);
    for (const path of [...damaged, 'trails/locals/x/.pvr/json', `objects/${object}`]) {
      const packed = join(folder, 'packed', path);
      mkdirSync(dirname(packed), { recursive: true });
      writeFileSync(packed, 'object');
    }
    makeDamagedDisk(join(folder, 'image'), join(folder, 'packed'), damaged);
    execFileSync('mount', mountArguments(join(folder, 'image'), storage));
    for (const path of damaged) assert.throws(() => lstatSync(at(path)), path);
  });
  after(async () => {
    await unmount(storage);
    rmSync(folder, { recursive: true });
  });

  it('hinders no small file', async () => {
    await writeAtomically(at('state/note'), 'one');
    await writeAtomically(at('state/note'), 'two');
    assert.equal(readFileSync(at('state/note'), 'utf8'), 'two');
  });

  it('hinders no metadata, and what stands in for it is no key', async () => {
    const open = () => openMetadataStore(at('cache/usrmeta'), silentLogger, () => undefined);
    assert.equal(await open().set('key', 'value'), undefined);
    writeFileSync(at('cache/usrmeta/.new.1'), 'half');
    assert.deepEqual([...open().entries], [['key', 'value']]);
    assert.throws(() => readFileSync(at('cache/usrmeta/.new.1')), { code: 'ENOENT' });
  });

  it('hinders no link of a revision', async () => {
    const store = openRevisionStore(storage, {
      checksum: () => Promise.reject(new Error('nothing is hashed')),
      close: () => Promise.resolve(),
    });
    assert.deepEqual(await store.checkOut('0', new Map([['root', object]])), []);
    assert.equal(readFileSync(at('trails/0/root'), 'utf8'), 'object');
  });

  it('hinders no revision of that name from coming, being replaced, and going', async () => {
    const steps = openStepStore(storage, silentLogger);
    await steps.open();
    for (const text of ['{"a":1}', '{"b":2}']) {
      assert.equal(await steps.put('locals/x', text, new Map([['root', object]])), true);
      assert.equal(await steps.stateText('locals/x'), text);
    }
    await steps.remove('locals/x');
    assert.deepEqual(await steps.list(), []);
  });

  it('hinders no journal of leases', async () => {
    const disk = createJournalDisk(at('ipam'));
    await disk.prepare(Buffer.from('line\n'));
    await disk.adopt();
    await disk.close();
    assert.equal(readFileSync(at('ipam/leases.journal'), 'utf8'), 'line\n');
  });

  it('hinders neither the count of reboots nor the note of the rundir', () => {
    const reboots = [{ code: 'TEST', message: 'test', atMs: 1 }];
    writeReboots(at('supervisor/reboots.json'), reboots);
    assert.deepEqual(readReboots(at('supervisor/reboots.json')), reboots);
    noteRundir(storage, '/run/x');
    assert.match(readFileSync(at('supervisor/rundir.json'), 'utf8'), /\/run\/x/);
  });

  it('hinders neither the link to current logs nor the key of a disk', async () => {
    writeCurrent(at('logs'), 'locals/x');
    assert.equal(readCurrent(at('logs')), 'locals/x');
    await makeKeyFile(at('disks/key'));
    assert.equal(readFileSync(at('disks/key')).length, 32);
  });
});
