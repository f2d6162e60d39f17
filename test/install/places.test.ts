// What the installer reads in pantavisor.config is what Berth reads there.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { readConfigText } from '../../shared/config/config-file.ts';
import { createSettings } from '../../shared/config/settings.ts';
import { makeImage, ROOT } from './image.ts';

const TEXTS = [
  '',
  '# PV_STORAGE_MNTPOINT=/a\n#PV_SYSTEM_RUNDIR=/a\n',
  'PV_STORAGE_MNTPOINT=/a\nPV_SYSTEM_RUNDIR=/b\n',
  'storage.mntpoint = /data/pv\nsystem.rundir = /run/x\n',
  '\t pv_storage_MNTPOINT\t=\t/a \r\nPv_System_Rundir =/b\r\n',
  'PV_STORAGE_MNTPOINT="/a"\nPV_SYSTEM_RUNDIR=\'/b\'',
  'PV_STORAGE_MNTPOINT="/a\nPV_SYSTEM_RUNDIR=/b\' x"y\n',
  'PV_STORAGE_MNTPOINT=/a # not a comment\nPV_SYSTEM_RUNDIR=/a=b\n',
  'PV_STORAGE_MNTPOINT=/a\nstorage.mntpoint=/b\nPV_SYSTEM_RUNDIR=/a\nSYSTEM.RUNDIR=\n',
  'PV_STORAGE_MNTPOINTS=/a\nXPV_SYSTEM_RUNDIR=/a\nstorage-mntpoint=/b\nPV_STORAGE_MNTPOINT /c\n',
  'PV_STORAGE_MNTPOINT=/ä b\nPV_SYSTEM_RUNDIR=/\\1&/\n',
  'PV_SYSTEM_INIT_MODE = Embedded\nsystem.init.mode=soon\n',
  'PV_SYSTEM_INIT_MODE=embedded\nsystem.init.mode=2\n',
  'system.init.mode=standalone\nPV_SYSTEM_INIT_MODE=0\nPV_SYSTEM_INIT_MODE=\n',
];

describe('the installer’s reading of pantavisor.config', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-places-'));
  after(() => rmSync(folder, { recursive: true }));

  it('finds storage, mode and rundir as Berth does', () => {
    const file = join(folder, 'pantavisor.config');
    const shell = `. scripts/host/places; printf '%s|%s|%s' "$(written_storage "$1")" "$(written_mode "$1")" "$(written_rundir "$1")"`;
    for (const text of TEXTS) {
      writeFileSync(file, text);
      const { stdout } = spawnSync('sh', ['-c', shell, 'sh', file], { cwd: ROOT, encoding: 'utf8' });
      const { settings } = createSettings(readConfigText(text, file).written);
      const [storage, mode, rundir] = stdout.split('|');
      // What is not written has the meaning of the default.
      assert.deepEqual(
        [storage, mode || 'appengine', rundir || '/run/pantavisor/pv'],
        [
          settings.value('PV_STORAGE_MNTPOINT'),
          settings.value('PV_SYSTEM_INIT_MODE'),
          settings.value('PV_SYSTEM_RUNDIR'),
        ],
        text,
      );
    }
  });

  it('has the unit wait for that storage, and makes and purges it', () => {
    const image = makeImage();
    try {
      for (const name of ['berth.js', 'pvcontrol.js', 'state-svc.js']) writeFileSync(join(folder, name), '');
      image.write('etc/pantavisor/pantavisor.config', 'storage.mntpoint = /data/pv/\n');
      assert.equal(image.install([], { BERTH_DIST: folder }).status, 0);
      assert.match(image.read('usr/lib/systemd/system/berth.service'), /^RequiresMountsFor=\/data\/pv$/m);
      image.write('data/pv/trails/0/.pvr/json', '{}');
      assert.equal(image.uninstall(['--purge']).status, 0);
      assert.equal(
        image.list().some((line) => /data|var/.test(line)),
        false,
      );
    } finally {
      image.remove();
    }
  });

  it('refuses one that no unit can name, before anything is touched', () => {
    const image = makeImage();
    try {
      image.write('etc/pantavisor/pantavisor.config', 'storage.mntpoint = "/data/my storage"\n');
      const before = image.list();
      const { status, stderr } = image.install([]);
      assert.equal(status, 2);
      assert.match(stderr, /pantavisor\.config: PV_STORAGE_MNTPOINT \/data\/my storage: use letters/);
      assert.deepEqual(image.list(), before);
    } finally {
      image.remove();
    }
  });
});
