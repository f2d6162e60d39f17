// The build has each service start once: it gets ready without any right, ends as it was told, and leaves compiled code and nothing else.
import assert from 'node:assert/strict';
import { chmodSync, cpSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { contractsHash, SERVICES } from '../../scripts/bundles.ts';
import { rehearseServices } from '../../scripts/rehearse-services.ts';
import { PROGRAM } from '../kit/tree.ts';

/** lxc-svc mounts, which needs a user namespace: some machines keep those to root. */
const ALWAYS = SERVICES.filter((service) => service !== 'lxc-svc');
const rehearsals = (): readonly string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('berth-rehearsal-'));

describe('build.rehearse-services', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-caches-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('gets every service ready, and leaves what each of them compiled', async () => {
    const before = rehearsals();
    const ready = await rehearseServices(PROGRAM, await contractsHash(), folder);
    assert.deepEqual(
      ALWAYS.filter((service) => !new Set<string>(ready).has(service)),
      [],
    );
    for (const service of ready) assert.ok(statSync(join(folder, `${service}.cache`)).size > 50_000, service);
    assert.deepEqual(rehearsals(), before);
  });

  it('names nobody of a build that cannot be started', async () => {
    const program = mkdtempSync(join(tmpdir(), 'berth-program-'));
    try {
      chmodSync(program, 0o755);
      cpSync(join(PROGRAM, 'boot.js'), join(program, 'boot.js'));
      assert.deepEqual(await rehearseServices(program, 'another', folder), []);
    } finally {
      rmSync(program, { recursive: true, force: true });
    }
  });
});
