// Folders that are mounted under /pantavisor are made for their owners, and never lead elsewhere.
import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { preparePantavisor } from '../../services/lxc-svc/pantavisor-folders.ts';
import { pantavisorSources } from '../../services/lxc-svc/pantavisor-sources.ts';
import type { Role } from '../../shared/schema/api.ts';

const LOG_UID = 60801;

describe('pantavisor folders', () => {
  let base: string;
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'pantavisor-'));
    for (const kind of ['user-meta', 'device-meta']) mkdirSync(join(base, 'run/meta/web', kind), { recursive: true });
    mkdirSync(join(base, 'storage/logs'), { recursive: true });
    mkdirSync(join(base, 'ctl'));
  });
  afterEach(() => rmSync(base, { recursive: true }));
  const prepare = (revision: string, roles: readonly Role[] = []): void =>
    preparePantavisor(
      pantavisorSources(
        { rundir: join(base, 'run'), storage: join(base, 'storage') },
        { container: 'web', revision, roles },
        join(base, 'ctl'),
      ),
      LOG_UID,
    );

  it('make the mount points, and the folder of the logs for who writes them', () => {
    prepare('locals/first');
    prepare('locals/first');
    for (const name of ['logs', 'user-meta', 'device-meta']) assert.ok(statSync(join(base, 'ctl', name)).isDirectory());
    for (const made of ['locals', 'locals/first', 'locals/first/web']) {
      assert.equal(statSync(join(base, 'storage/logs', made)).uid, LOG_UID);
    }
  });

  it('make nothing for mgmt, and leave owners of what is there alone', () => {
    prepare('0', ['mgmt']);
    assert.ok(!existsSync(join(base, 'storage/logs/0')));
    mkdirSync(join(base, 'storage/logs/0'));
    prepare('0');
    assert.deepEqual(
      [statSync(join(base, 'storage/logs/0')).uid, statSync(join(base, 'storage/logs/0/web')).uid],
      [0, LOG_UID],
    );
  });

  it('refuse a container whose view of the metadata is not there', () => {
    rmSync(join(base, 'run/meta/web'), { recursive: true });
    assert.throws(() => prepare('0'), /\/pantavisor: ENOENT.*web/);
  });

  const links: readonly (readonly [string, string])[] = [
    ['storage/logs/0', 'the revision'],
    ['storage/logs/0/web', 'the container’s logs'],
    ['run/meta/web', 'its metadata'],
    ['run/meta/web/user-meta', 'its user-meta'],
  ];
  for (const [path, what] of links) {
    it(`do not follow a link in place of ${what}`, () => {
      mkdirSync(join(base, 'elsewhere/user-meta'), { recursive: true });
      mkdirSync(join(base, path, '..'), { recursive: true });
      rmSync(join(base, path), { recursive: true, force: true });
      symlinkSync(join(base, 'elsewhere'), join(base, path));
      assert.throws(() => prepare('0'), /\/pantavisor: (ENOTDIR|ELOOP)/);
      assert.equal(lstatSync(join(base, 'elsewhere')).uid, 0);
      assert.ok(!existsSync(join(base, 'elsewhere/web')));
    });
  }
});
