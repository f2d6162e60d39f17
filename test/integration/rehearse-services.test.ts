// The build has each service start once: it gets ready without any right, ends as it was told, and leaves compiled code and nothing else.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { contractsHash, SERVICES } from '../../scripts/bundles.ts';
import { rehearseServices } from '../../scripts/rehearse-services.ts';
import { eventually } from '../kit/eventually.ts';
import { PATIENCE_MS, PROGRAM } from '../kit/tree.ts';

/** lxc-svc mounts, which needs a user namespace: some machines keep those to root. */
const ALWAYS = SERVICES.filter((service) => service !== 'lxc-svc');
const rehearsals = (): readonly string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('berth-rehearsal-'));

/** To nobody, who the services are when root builds. */
function mayHaveNamespaces(): boolean {
  const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const args = ['--user', '--map-root-user', '--mount', '--net', '--pid', '--fork', 'true'];
  return spawnSync('unshare', args, nobody).status === 0;
}

function monitors(): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /lxc-start.*berth-rehearsal-/s.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
    } catch {
      return false;
    }
  });
}

describe('build.rehearse-services', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-caches-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('gets every service ready, and leaves what each of them compiled', async () => {
    const before = rehearsals();
    const { ready } = await rehearseServices(PROGRAM, await contractsHash(), folder);
    assert.deepEqual(
      ALWAYS.filter((service) => !new Set<string>(ready).has(service)),
      [],
    );
    for (const service of ready) assert.ok(statSync(join(folder, `${service}.cache`)).size > 50_000, service);
    assert.deepEqual(rehearsals(), before);
  });

  it('starts a container and reads its log for what that compiles, and leaves no process of it', async (context) => {
    if (!mayHaveNamespaces()) return context.skip('the kernel keeps namespaces to root here');
    const { isContainerStarted, isLogged } = await rehearseServices(PROGRAM, await contractsHash(), folder);
    assert.deepEqual({ isContainerStarted, isLogged }, { isContainerStarted: true, isLogged: true });
    await eventually('the end of what stood for its monitor', PATIENCE_MS, () => monitors().length === 0);
  });

  it('names nobody of a build that cannot be started', async () => {
    const program = mkdtempSync(join(tmpdir(), 'berth-program-'));
    try {
      chmodSync(program, 0o755);
      cpSync(join(PROGRAM, 'boot.js'), join(program, 'boot.js'));
      assert.deepEqual(await rehearseServices(program, 'another', folder), {
        ready: [],
        isContainerStarted: false,
        isLogged: false,
      });
    } finally {
      rmSync(program, { recursive: true, force: true });
    }
  });
});
