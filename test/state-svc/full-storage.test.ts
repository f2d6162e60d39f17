// An update that a full storage keeps from being installed or begun: what is told of it, and that it works once there is room.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, statfsSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openRevisionStore } from '../../services/state-svc/revision-store.ts';
import { openStepStore } from '../../services/state-svc/step-store.ts';
import { stageOf } from '../../services/state-svc/update-install.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { type Device, sha256, stateOf, uploadId } from './device.ts';
import {
  CHANGED_B,
  command,
  deviceForEach,
  install,
  onDisk,
  pids,
  progressOf,
  THREE,
  updateLive,
} from './updates-kit.ts';
import { codeOf, putState } from './uploading.ts';

reexecInNamespaces(import.meta.filename);

const open = deviceForEach();

/** It cannot be written down that a revision is tried. */
function fill(it: Device): void {
  it.onBootWrite = ({ trying }) => {
    if (trying === undefined) return;
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  };
}

async function refused(it: Device): Promise<void> {
  const before = await pids(it);
  assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
  const told = await eventually('it has ended', PATIENCE_MS, async () => {
    const progress = await progressOf(it, 'locals/x');
    return progress.progress === 100 ? progress : undefined;
  });
  assert.equal(told.status, 'WONTGO');
  assert.match(told['status-msg'], /^Space required [1-9]\d* B, available \d+ B$/);
  assert.match(told.logs ?? '', /ENOSPC/);
  await eventually('it is not asked for any more', PATIENCE_MS, () => onDisk(it).asked === undefined);
  assert.deepEqual(await pids(it), before);
}

describe('an update on a full storage', () => {
  it('is given up with the room there is, and made when there is more', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    fill(it);
    await refused(it);
    it.onBootWrite = () => undefined;
    await updateLive(it, 'locals/x');
  });

  it('is told of also where that itself cannot be written down', async () => {
    const it = await open(THREE);
    await install(it, 'locals/x', CHANGED_B);
    const beside = join(it.storage, 'trails/locals/x/.pv/progress.new');
    mkdirSync(beside, { recursive: true });
    fill(it);
    await refused(it);
    rmdirSync(beside);
    it.onBootWrite = () => undefined;
    await updateLive(it, 'locals/x');
  });
});

describe('a storage without room', () => {
  it('says in the log how many bytes are missing of an object, and what a revision takes', async () => {
    const it = await open(THREE);
    const { bsize, bavail } = statfsSync(it.storage);
    const bytes = 2 * bsize * bavail;
    const began = await it.state.beginUpload({ id: uploadId(), sha256: sha256('huge'), bytes });
    assert.ok(!began.ok && began.error.code === 'NO_SPACE');
    const { availableBytes } = began.error;
    const missing = bytes - availableBytes;
    const line = `warn there is no room for object ${sha256('huge')}: ${bytes} B are required, ${availableBytes} B available, ${missing} B missing at least`;
    assert.ok(it.lines.includes(line), it.lines.join('\n'));

    const room = '/run/berth-full';
    mkdirSync(room);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=3', 'full', room]);
    rmSync(join(it.storage, 'trails/locals'), { recursive: true, force: true });
    symlinkSync(room, join(it.storage, 'trails/locals'));
    const put = putState(it, 'locals/x', JSON.stringify(stateOf({}, {}).document));
    assert.equal(await codeOf(put), 'NO_SPACE');
    const told = it.lines.find((each) => each.includes('revision locals/x'));
    assert.match(
      told ?? '',
      /^warn there is no room for revision locals\/x: Space required \d+ B, available 0 B \(ENOSPC/,
    );
  });
});

describe('the checkout of a revision', () => {
  it('tells where there is no room for it', async () => {
    const storage = mkdtempSync('/run/full-');
    // The folder itself, and what is made here.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=8', 'full', storage]);
    const digest = sha256('x');
    for (const folder of ['objects', 'trails', 'trails/0', 'trails/0/.pvr']) mkdirSync(join(storage, folder));
    writeFileSync(join(storage, 'objects', digest), 'x');
    writeFileSync(join(storage, 'trails/0/.pvr/json'), JSON.stringify({ 'web/a': digest, 'web/b': digest }));
    const store = openRevisionStore(storage, { checksum: () => assert.fail(), close: async () => undefined });
    const paths = ['web/a', 'web/b'];
    const problems = await store.checkOut('0', new Map(paths.map((path) => [path, digest])));
    assert.deepEqual(
      problems.map(({ path, code }) => [path, code]),
      paths.map((path) => [path, 'NO_SPACE']),
    );
    assert.equal(stageOf(problems), 'noSpace');
    const steps = openStepStore(storage, silentLogger);
    assert.match(await steps.shortage('0'), /^Space required 12288 B, available 0 B$/);
    await assert.rejects(steps.put('locals/x', '{}', new Map()), { code: 'ENOSPC' });
  });
});
