// The folder of logs on a disk that is damaged or read-only: what can be read and written is, and log-svc lives on.
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type LogFolder, openLogFolder } from '../../services/log-svc/log-folder.ts';
import { CANNOT_DAMAGE, makeDamagedDisk, mountArguments } from '../kit/damaged-disk.ts';
import { unmount } from '../kit/unmount.ts';
import { makePlace, type Place, retentionOf } from './log-rig.ts';

describe('log-svc.damagedLogs', () => {
  let place: Place;
  let folder: LogFolder | undefined;
  let notes: string[];
  let lost: string[];
  beforeEach(() => {
    place = makePlace();
    [notes, lost] = [[], []];
  });
  afterEach(async () => {
    folder?.close();
    folder = undefined;
    await unmount(place.log());
    place.remove();
  });

  const open = (): LogFolder => {
    folder = openLogFolder({
      root: place.log(),
      retention: retentionOf(256 * 1024),
      compressWorker: undefined,
      written: {},
      listener: {
        onLoss: (path) => void lost.push(path),
        onRecovered: () => undefined,
        onNote: (line) => void notes.push(line),
        onBegin: () => undefined,
      },
    });
    return folder;
  };
  const write = (...paths: readonly string[]): void => {
    for (const path of paths) {
      mkdirSync(dirname(place.log(path)), { recursive: true });
      writeFileSync(place.log(path), `${path}\n`);
    }
  };
  const damage = (...paths: readonly string[]): void => {
    makeDamagedDisk(`${place.log()}.image`, place.log(), paths);
    execFileSync('mount', mountArguments(`${place.log()}.image`, place.log()));
  };

  it('moves and writes what is whole beside a damaged log, and tells that this one is not written', {
    skip: CANNOT_DAMAGE,
  }, () => {
    write(
      '1/web/lxc/console.log',
      '1/web/lxc/console.log.000001',
      '1/db/console.log',
      '1/old/console.log',
      '0/a/syslog/b',
    );
    damage('1/web/lxc/console.log', '1/web/lxc/console.log.000001', '1/old/console.log', '0/a');
    const logs = open();
    assert.deepEqual(logs.openRevision('1'), { ok: true });
    logs.append('web/lxc/console.log', Buffer.from('lost\n'));
    logs.append('db/lxc/console.log', Buffer.from('more\n'));
    logs.refresh();
    assert.equal(readFileSync(place.log('1/db/lxc/console.log'), 'utf8'), '1/db/console.log\nmore\n');
    assert.deepEqual(lost, [place.log('1/web/lxc/console.log')]);
  });

  it('opens on a read-only disk, where nothing is tidied up', () => {
    const left = ['1/web/lxc/.console.log.000001.gz.part', '1/web/lxc/console.log.000002'];
    write(...left, '1/web/lxc/console.log.000002.gz', '1/db/console.log');
    execFileSync('mount', ['--bind', '-o', 'ro', place.log(), place.log()]);
    open().refresh();
    for (const path of left) {
      assert.ok(existsSync(place.log(path)));
      assert.ok(
        notes.some((line) => line.startsWith(`${place.log(path)} stays`) && line.includes('EROFS')),
        notes.join('\n'),
      );
    }
  });
});
