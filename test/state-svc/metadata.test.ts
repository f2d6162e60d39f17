// Metadata as state-svc offers it: to others over its contract, to itself by key.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { OWN_KEYS } from '../../services/state-svc/device-facts.ts';
import { type Metadata, openMetadata } from '../../services/state-svc/metadata.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { createDevice, type Device } from './device.ts';

describe('metadata', () => {
  let cache: string;
  let metadata: Metadata;
  const own = { keys: new Set(['time']), entries: () => new Map([['time', 'now']]) };
  beforeEach(async () => {
    cache = mkdtempSync(join(tmpdir(), 'metadata-'));
    metadata = await openMetadata(cache, own, silentLogger);
  });
  afterEach(() => rmSync(cache, { recursive: true }));

  it('gives a value of user-meta by its key', async () => {
    await metadata.set('user', 'k1', 'v1');
    await metadata.set('device', 'k2', 'v2');
    assert.deepEqual(
      [metadata.user('k1'), metadata.user('k2'), metadata.user('constructor')],
      ['v1', undefined, undefined],
    );
  });

  it('keeps the two kinds apart, and Berth’s own keys to Berth', async () => {
    assert.equal(await metadata.set('user', 'time', 'v'), undefined);
    assert.deepEqual(await metadata.set('device', 'time', 'v'), { code: 'KEPT_BY_BERTH' });
    assert.deepEqual(await metadata.delete('device', 'time'), { code: 'KEPT_BY_BERTH' });
    await metadata.set('device', 'k', 'v');
    assert.deepEqual([...metadata.entries('user')], [['time', 'v']]);
    assert.deepEqual(
      [...metadata.entries('device')],
      [
        ['k', 'v'],
        ['time', 'now'],
      ],
    );
  });

  it('does not repeat what the stock runtime said of itself', async () => {
    mkdirSync(join(cache, 'devmeta'), { recursive: true });
    for (const key of ['time', 'pantahub.state', 'k']) writeFileSync(join(cache, 'devmeta', key), 'as stock left it');
    const told = { keys: new Set([...OWN_KEYS, 'time']), entries: () => new Map<string, string>() };
    const taken = await openMetadata(cache, told, silentLogger);
    assert.deepEqual([...taken.entries('device')], [['k', 'as stock left it']]);
    assert.deepEqual(await taken.set('device', 'pantahub.state', 'v'), { code: 'KEPT_BY_BERTH' });
  });

  it('tells listeners what changed', async () => {
    const told: string[] = [];
    metadata.onChange((kind, key) => told.push(`${kind} ${key} ${metadata.user(key) ?? '-'}`));
    await metadata.set('user', 'k', 'v');
    await metadata.set('user', 'k', 'v');
    await metadata.delete('user', 'k');
    assert.deepEqual(told, ['user k v', 'user k -']);
  });
});

describe('state.metadata', () => {
  let device: Device;
  afterEach(() => device.close());

  it('is set, listed and deleted over the contract, and is there after a restart', async () => {
    device = await createDevice({ web: {} });
    await device.boot();
    const { state } = device;
    assert.deepEqual(await state.setMetadata({ kind: 'user', key: 'k1', value: 'v1' }), { ok: true, value: {} });
    await device.boot();
    assert.deepEqual(await state.listMetadata({ kind: 'user' }), {
      ok: true,
      value: { entries: [{ key: 'k1', value: 'v1' }] },
    });
    assert.deepEqual(await state.deleteMetadata({ kind: 'user', key: 'k1' }), { ok: true, value: {} });
    const again = await state.deleteMetadata({ kind: 'user', key: 'k1' });
    assert.deepEqual(again, { ok: false, error: { code: 'KEY_NOT_FOUND' } });
  });

  it('refuses a key that leads out of its folder at its own door too', async () => {
    device = await createDevice({ web: {} });
    await device.boot();
    await assert.rejects(
      device.state.setMetadata({ kind: 'user', key: '../containers.json', value: 'v' }),
      /BAD_PARAMS/,
    );
  });
});
