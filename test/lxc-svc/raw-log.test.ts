// A raw log that is started anew where there is no room for another file.
import assert from 'node:assert/strict';
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { MAX_RAW_BYTES, openRawLog } from '../../services/lxc-svc/raw-log.ts';
import { MS_REMOUNT, mount, unmount } from '../../shared/kernel/mount.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

const FOLDER = '/run/berth-raw-log';

describe('lxc-svc.rawLog', () => {
  it('goes on in its file where there is no room for the next, and later in that', () => {
    mkdirSync(FOLDER);
    // Its root and one file.
    mount('test', FOLDER, 'tmpfs', 0, 'nr_inodes=2');
    try {
      const path = join(FOLDER, 'file-0.log');
      const raw = openRawLog(path, 1234);
      raw.append(Buffer.alloc(MAX_RAW_BYTES, 'a'));
      assert.throws(() => raw.makeRoom(1), /ENOSPC/);
      // Gets the number of a descriptor that was closed.
      const other = openSync('/dev/null', 'r');
      assert.equal(raw.append(Buffer.from('b')), 1);
      closeSync(other);
      assert.deepEqual(
        [raw.older(), raw.state()],
        [undefined, { inode: statSync(path).ino, bytes: MAX_RAW_BYTES + 1 }],
      );
      mount('test', FOLDER, 'tmpfs', MS_REMOUNT, 'nr_inodes=3');
      assert.equal(raw.makeRoom(1), true);
      raw.append(Buffer.from('c'));
      assert.equal(raw.older()?.bytes, MAX_RAW_BYTES + 1);
      assert.equal(readFileSync(path, 'utf8'), 'c');
      const { mode, gid } = statSync(path);
      assert.deepEqual([mode & 0o777, gid], [0o640, 1234]);
      raw.close();
    } finally {
      unmount(FOLDER, true);
    }
  });
});
