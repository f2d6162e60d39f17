// A whole tree that runs signed revisions only.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { STORAGE_INSIDE } from '../../scripts/sandbox/sandbox.ts';
import { signState } from '../../shared/revision/sign-state.ts';
import { ask } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import {
  command,
  installRevision,
  progressReaches,
  putRevision,
  STAYS,
  type StateDocument,
  writeSource,
} from '../kit/step.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

const { privateKey: KEY, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const STRICT = [
  '--set',
  'PV_SECUREBOOT_MODE=strict',
  '--set',
  `PV_SYSTEM_ETCDIR=${STORAGE_INSIDE}/etc`,
  '--set',
  'PV_UPDATER_COMMIT_DELAY=1',
];
const ONE = { a: {} };
const OTHER = { a: { init: `# another one\n${STAYS}` } };

let tree: Tree | undefined;
let folder = '';
afterEach(async () => {
  await tree?.close();
  tree = undefined;
  rmSync(folder, { recursive: true, force: true });
});

function signed(state: StateDocument): StateDocument {
  return { ...signState(state, { key: KEY, name: 'all', include: ['**'], exclude: ['_sigs/**'] }) };
}

function write(path: string, text: string | Buffer): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writeFileSync(path, text);
}

/** Revision 0 is signed by `berth pack`. */
async function boot(): Promise<Tree> {
  folder = mkdtempSync(join(tmpdir(), 'berth-signed-'));
  chmodSync(folder, 0o755);
  const key = join(folder, 'key.pem');
  write(key, KEY.export({ type: 'pkcs8', format: 'pem' }));
  const storage = packExample(writeSource(join(folder, 'source'), ONE), '--sign', key);
  write(join(storage, 'etc/pantavisor/pvs/trust/pub.pem'), publicKey.export({ type: 'spki', format: 'pem' }));
  tree = await openTree(storage);
  tree.start(STRICT);
  return tree;
}

const stateOf = ({ storage }: Tree, revision: string) => join(storage, 'trails', revision, '.pvr/json');

describe('integration.signatures', () => {
  it('runs and updates to what is signed, and takes nothing else', async () => {
    const it = await boot();
    await it.up();
    const source = writeSource(join(folder, 'source'), OTHER);
    const changed = (state: StateDocument): StateDocument => ({ ...signed(state), 'b/src.json': {} });
    for (const [name, change] of Object.entries({ unsigned: undefined, changed })) {
      assert.equal((await putRevision(it.socket, source, name, change)).status, 422);
      assert.equal((await ask(it.socket, 'GET', `/steps/locals/${name}`)).status, 404);
    }
    await installRevision(it.socket, source, 'next', signed);
    await command(it.socket, 'LOCAL_RUN', 'locals/next');
    await progressReaches(it.socket, 'locals/next', 'UPDATED');
  });

  it('does not run what was changed after it had come', async () => {
    const it = await boot();
    await it.up();
    for (const name of ['changed', 'open'])
      await installRevision(it.socket, writeSource(join(folder, 'source'), OTHER), name, signed);
    const state = JSON.parse(readFileSync(stateOf(it, 'locals/changed'), 'utf8'));
    state['a/run.json'].roles = ['mgmt'];
    writeFileSync(stateOf(it, 'locals/changed'), JSON.stringify(state));
    await command(it.socket, 'LOCAL_RUN', 'locals/changed');
    const refused = await progressReaches(it.socket, 'locals/changed', 'WONTGO');
    assert.equal(refused['status-msg'], 'Signature validation failed');
    assert.match(refused.logs ?? '', /_sigs\/all\.json: does not hold/);
    const { '_sigs/all.json': _gone, ...open } = JSON.parse(readFileSync(stateOf(it, 'locals/open'), 'utf8'));
    writeFileSync(stateOf(it, 'locals/open'), JSON.stringify(open));
    await command(it.socket, 'LOCAL_RUN', 'locals/open');
    const uncovered = await progressReaches(it.socket, 'locals/open', 'WONTGO');
    assert.equal(uncovered['status-msg'], 'State not fully covered by signatures');
    assert.equal((await ask(it.socket, 'GET', '/steps/current/progress')).status, 200);
  });

  it('starts nothing of a revision that was changed while the device was off', async () => {
    const it = await boot();
    await it.up();
    await it.endSupervisor('SIGINT');
    const state = JSON.parse(readFileSync(stateOf(it, '0'), 'utf8'));
    state['a/run.json'].roles = ['mgmt'];
    writeFileSync(stateOf(it, '0'), JSON.stringify(state));
    it.start(STRICT);
    const health = await eventually('the refusal', PATIENCE_MS, async () => {
      const { body } = await ask(it.socket, 'GET', '/health').catch(() => ({ body: '' }));
      return body.includes('REVISION_REFUSED') ? body : undefined;
    });
    assert.match(health, /SIGNATURE_INVALID: does not hold/);
    assert.equal(it.inside(['sh', '-c', 'cat /proc/[0-9]*/comm | grep -c busybox']).stdout, '0\n');
  });
});
