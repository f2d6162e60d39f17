// A storage on a disk that fails: read-only, as ext4 makes it on an error (errors=remount-ro), or with damaged files. What can be read runs all the same.
import assert from 'node:assert/strict';
import { chownSync, readdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import * as z from 'zod/mini';
import { STORAGE_INSIDE } from '../../scripts/sandbox/sandbox.ts';
import type { ContainerRow } from '../../shared/schema/api.ts';
import { resolveUid } from '../../shared/service/users.ts';
import { curl } from '../ctl-svc/rig.ts';
import { ask, get, healthAnswer, serviceRows } from '../kit/api.ts';
import { CANNOT_DAMAGE, makeDamagedDisk, mountArguments } from '../kit/damaged-disk.ts';
import { openTree, packExample, type Tree } from '../kit/tree.ts';

describe('integration.failing-storage', () => {
  let tree: Tree | undefined;
  afterEach(async () => {
    await tree?.close();
    tree = undefined;
  });

  it('boots what it has, tells its metadata, and says what cannot be written', async () => {
    const it = await openTree(packExample('01-basic'));
    tree = it;
    it.start();
    await it.up();
    const put = (value: string) => curl(it.socket, '/user-meta/key', ['-X', 'PUT', '-d', value]);
    assert.equal((await put('value')).status, 200);
    assert.equal(await it.endSupervisor('SIGINT'), 0);
    // What a cut left behind in the middle of a write cannot be tidied up either.
    for (const kind of ['usrmeta', 'devmeta']) {
      const half = join(it.storage, 'cache', kind, '.new');
      writeFileSync(half, 'half a va');
      chownSync(half, resolveUid('berth-state'), resolveUid('berth-state'));
    }
    // As of another boot.
    writeFileSync(join(it.storage, 'supervisor/rundir.json'), '{}');
    assert.equal(it.inside(['mount', '-o', 'remount,bind,ro', STORAGE_INSIDE]).status, 0);
    it.start();
    await it.up();
    const services = await get(it.socket, '/services', serviceRows);
    assert.deepEqual(
      services.filter(({ state }) => state !== 'ready'),
      [],
    );
    assert.deepEqual(await get(it.socket, '/user-meta', z.looseObject({})), { key: 'value' });
    assert.match((await put('other')).body, /EROFS/);
    const health = await ask(it.socket, 'GET', '/health');
    const told = healthAnswer.parse(JSON.parse(health.body)).reasons.find(({ code }) => code === 'BOOT_UNWRITABLE');
    assert.equal(health.status, 503);
    assert.match(told?.message ?? health.body, /EROFS.*mount it for writing/);
  });

  it('starts beside damaged files, and says which', { skip: CANNOT_DAMAGE }, async () => {
    const it = await openTree(packExample('01-basic'));
    tree = it;
    it.start();
    await it.up();
    assert.equal((await curl(it.socket, '/user-meta/bad', ['-X', 'PUT', '-d', 'value'])).status, 200);
    assert.equal(await it.endSupervisor('SIGINT'), 0);
    // All that it has written itself.
    const given = /^(trails\/0\/(?!\.pv\/)|objects\/[0-9a-f]{64}$)/;
    const damaged = readdirSync(it.storage, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(it.storage, join(entry.parentPath, entry.name)))
      .filter((path) => !given.test(path));
    for (const path of ['boot/current.json', 'ipam/leases.journal', 'supervisor/lock', 'cache/usrmeta/bad'])
      assert.ok(damaged.includes(path), path);
    const image = join(it.sandbox.shared, 'image');
    makeDamagedDisk(image, it.storage, damaged);
    assert.equal(it.inside(['mount', ...mountArguments(image, STORAGE_INSIDE)]).status, 0);
    it.start();
    await it.up();
    const services = await get(it.socket, '/services', serviceRows);
    assert.deepEqual(
      services.filter(({ state, restarts }) => state !== 'ready' || restarts > 0),
      [],
    );
    const { body } = await ask(it.socket, 'GET', '/health');
    const codes = new Set(healthAnswer.parse(JSON.parse(body)).reasons.map(({ code }) => code));
    assert.deepEqual(
      [...codes].sort(),
      ['BOOT_UNREADABLE', 'JOURNAL_UNREADABLE', 'LOG_UNWRITABLE', 'ORDERS_UNWRITABLE', 'STORAGE_UNPREPARED'],
      body,
    );
  });

  it('leaves running containers their addresses over a restart beside a damaged journal', {
    skip: CANNOT_DAMAGE,
  }, async () => {
    const it = await openTree(packExample('01-basic'));
    tree = it;
    it.start();
    const before = await it.up();
    assert.equal(await it.endSupervisor('SIGTERM'), 0);
    const image = join(it.sandbox.shared, 'image');
    makeDamagedDisk(image, it.storage, ['ipam/leases.journal']);
    assert.equal(it.inside(['mount', ...mountArguments(image, STORAGE_INSIDE)]).status, 0);
    it.start();
    const after = await it.up();
    const known = (rows: readonly ContainerRow[]) => rows.map(({ name, pid, network }) => ({ name, pid, network }));
    assert.deepEqual(known(after), known(before));
    const { body } = await ask(it.socket, 'GET', '/health');
    assert.match(body, /JOURNAL_UNREADABLE.*no lease is lost/);
  });
});
