// Configuration from user-meta on a whole tree: it reaches the service that uses it, and what cannot be used harms nobody.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import * as z from 'zod/mini';
import { STORAGE_INSIDE } from '../../scripts/sandbox/sandbox.ts';
import { curl } from '../ctl-svc/rig.ts';
import { get, serviceRows } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

describe('configuration from user-meta', () => {
  let tree: Tree;
  before(async () => {
    const storage = packExample('01-basic');
    writeFileSync(
      join(storage, 'pantavisor.config'),
      'PV_STORAGE_OPTS=\nwdt.enabled=0\nsysctl.net.ipv4.ip_default_ttl=77\n',
    );
    tree = await openTree(storage);
    tree.start(['--config', `${STORAGE_INSIDE}/pantavisor.config`]);
    await tree.up();
  });
  after(() => tree.close());

  const save = async (key: string, value: string): Promise<void> => {
    assert.equal((await curl(tree.socket, `/user-meta/${key}`, ['-X', 'PUT', '-d', value])).status, 200);
  };
  const forget = async (key: string): Promise<void> => {
    assert.equal((await curl(tree.socket, `/user-meta/${key}`, ['-X', 'DELETE'])).status, 200);
  };
  const log = (): string => tree.readLog('pantavisor/pantavisor.log');
  const modified = async (key: string): Promise<string | undefined> => {
    const rows = await get(tree.socket, '/config2', z.array(z.looseObject({ key: z.string(), modified: z.string() })));
    return rows.find((row) => row.key === key)?.modified;
  };

  it('is no matter of health where the file has a key that Pantavisor once had; the log tells it', async () => {
    assert.equal((await curl(tree.socket, '/health')).status, 200);
    await eventually('it is told', PATIENCE_MS, () => log().includes("there is no key 'wdt.enabled'; it is ignored"));
    assert.ok(!log().includes('PV_STORAGE_OPTS'));
  });

  it('sets the parameters of the kernel that the file names', () => {
    assert.equal(tree.inside(['cat', '/proc/sys/net/ipv4/ip_default_ttl']).stdout, '77\n');
  });

  it('takes effect at once, and ends with its key', async () => {
    assert.ok(!/ DEBUG\b/.test(log()));
    await save('log.level', 'debug');
    assert.equal(await modified('PV_LOG_LEVEL'), 'user meta');
    await eventually('log-svc follows', PATIENCE_MS, () =>
      log().includes('log settings of user-meta: PV_LOG_LEVEL=debug'),
    );
    await save('k1', 'v1');
    await eventually('a debug line', PATIENCE_MS, () => log().includes('user-meta k1 changed'));
    await forget('log.level');
    assert.equal(await modified('PV_LOG_LEVEL'), 'default');
    await eventually('log-svc follows again', PATIENCE_MS, () => log().includes('log settings of user-meta: none'));
  });

  it('is known again to a log-svc that was killed', async () => {
    await save('log.level', 'debug');
    await eventually(
      'log-svc follows',
      PATIENCE_MS,
      () => (log().match(/settings of user-meta: PV_LOG_LEVEL=debug/g)?.length ?? 0) >= 2,
    );
    const before = (await get(tree.socket, '/services', serviceRows)).find(({ name }) => name === 'log-svc');
    tree.inside(['kill', '-9', String(before?.pid)]);
    await eventually(
      'the new log-svc follows',
      PATIENCE_MS,
      () => (log().match(/settings of user-meta: PV_LOG_LEVEL=debug/g)?.length ?? 0) >= 3,
    );
    await forget('log.level');
  });

  it('is told where it cannot be used, and the value below it holds', async () => {
    await save('log.level', 'loud');
    const { status, body } = await curl(tree.socket, '/health');
    assert.equal(status, 503);
    assert.match(body, /"CONFIG_INVALID".*PV_LOG_LEVEL is 'loud'; it must be one of fatal/);
    assert.equal(await modified('PV_LOG_LEVEL'), 'default');
    await save('log.level', 'info');
    assert.equal((await curl(tree.socket, '/health')).status, 200);
    for (const { restarts, name } of await get(tree.socket, '/services', serviceRows)) {
      assert.ok(restarts === 0 || name === 'log-svc', `${name} was restarted`);
    }
  });
});
