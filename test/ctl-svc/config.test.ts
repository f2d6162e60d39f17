// The configuration as a client sees it: real curl, real sockets, fake services.
import assert from 'node:assert/strict';
import { after, beforeEach, describe, it } from 'node:test';
import * as z from 'zod/mini';
import { KEYS } from '../../shared/config/keys.ts';
import { curl, type Rig, startRig } from './rig.ts';

const rig: Rig = await startRig(['waits']);
after(() => rig.stop());

const value = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const config = async () => z.record(z.string(), value).parse(JSON.parse((await curl(rig.host, '/config')).body));
const config2 = async () => {
  const rows = z.array(z.strictObject({ key: z.string(), value: z.string(), modified: z.string() }));
  return new Map(rows.parse(JSON.parse((await curl(rig.host, '/config2')).body)).map((row) => [row.key, row]));
};

describe('ctl.config', () => {
  beforeEach(() => {
    rig.world.overrides = [];
  });

  it('shows the older names with typed values, null for what is not set', async () => {
    const shown = await config();
    const { 'log.level': level, 'log.capture': capture, 'creds.id': id, 'updater.commit.delay': delay } = shown;
    assert.deepEqual([level, capture, id, delay], [2, true, null, 25]);
    assert.equal(shown['log.server.outputs'], 132);
    for (const key of Object.keys(shown)) assert.match(key, /^([a-z0-9_.]+|PV_SECUREBOOT_OEM_TRUSTORE)$/);
  });

  it('shows every key with its value, a text always, and who set it', async () => {
    const rows = await config2();
    assert.deepEqual([...rows.keys()], Object.keys(KEYS));
    assert.deepEqual(rows.get('PV_LOG_LEVEL'), { key: 'PV_LOG_LEVEL', value: 'warn', modified: 'pv conf file' });
    assert.deepEqual(rows.get('PV_LXC_LOG_LEVEL'), { key: 'PV_LXC_LOG_LEVEL', value: 'warn', modified: 'env' });
    assert.deepEqual(rows.get('PV_LOG_CAPTURE'), { key: 'PV_LOG_CAPTURE', value: '1', modified: 'default' });
    assert.deepEqual(rows.get('PH_CREDS_ID'), { key: 'PH_CREDS_ID', value: '(null)', modified: 'default' });
    assert.equal(rows.get('PV_LOG_SERVER_OUTPUTS')?.value, 'filetree');
    assert.equal(rows.get('PV_UPDATER_COMMIT_DELAY')?.value, '25');
    assert.equal(rows.get('PV_LOG_CAPTURE_DMESG')?.value, '0');
    assert.equal(rows.get('PV_LOG_DIR_MAXSIZE')?.value, '0');
  });

  it('shows what user-meta says over that', async () => {
    rig.world.overrides = [
      { key: 'PV_LOG_LEVEL', value: 'debug' },
      { key: 'PV_STORAGE_GC_RESERVED', value: '7' },
    ];
    const rows = await config2();
    assert.deepEqual(rows.get('PV_LOG_LEVEL'), { key: 'PV_LOG_LEVEL', value: 'debug', modified: 'user meta' });
    assert.deepEqual(rows.get('PV_STORAGE_GC_RESERVED')?.value, '7');
    assert.equal((await config())['storage.gc.reserved'], 7);
  });

  it('is for mgmt, and for reading', async () => {
    for (const path of ['/config', '/config2']) {
      assert.equal((await curl(rig.socketOf('waits'), path)).status, 403);
      assert.equal((await curl(rig.host, path, ['-X', 'PUT', '-d', '{}'])).status, 400);
    }
  });
});
