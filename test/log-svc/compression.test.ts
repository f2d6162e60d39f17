// Which thread compresses: not the one that reads pipes and answers.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type Compression, createCompression } from '../../services/log-svc/compression.ts';
import { logContract } from '../../services/log-svc/contract.ts';
import { partName, rotatedName } from '../../services/log-svc/rotated-name.ts';
import { resolveUid } from '../../shared/service/users.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { patient } from '../kit/patient.ts';
import { COMPRESS_WORKER, type LogTree, makeLogTree, makePlace, type Place } from './log-rig.ts';

const UID = resolveUid('berth-log');
/** Takes zlib half a second, much longer than a look or a request. */
const MANY_BYTES = 16 * 1024 * 1024;
const noise = Buffer.alloc(MANY_BYTES);

describe('log-svc.compression', () => {
  let place: Place;
  let compression: Compression | undefined;
  let tree: LogTree | undefined;
  beforeEach(() => {
    place = makePlace(UID);
    randomFillSync(noise);
  });
  afterEach(async () => {
    await compression?.close();
    await tree?.close();
    place.remove();
  });
  /** A rotated file that does not compress well. */
  const rotated = (number: number): string => {
    const path = rotatedName(place.log('0/web/lxc/console.log'), number);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, noise);
    for (const owned of [place.log('0'), dirname(path), path]) chownSync(owned, UID, UID);
    return path;
  };
  const isUnderWay = (path: string): boolean => existsSync(join(dirname(path), partName(basename(path))));

  it('goes on to its end while the main thread does nothing at all', async () => {
    const path = rotated(1);
    const outcomes: string[] = [];
    compression = createCompression(COMPRESS_WORKER, {
      onDone: (done) => outcomes.push(done),
      onFailed: (_, reason) => outcomes.push(reason),
    });
    compression.add(path);
    await eventually('it has begun', PATIENCE_MS, () => isUnderWay(path));
    // Until another process has seen the result, this thread, which asked for it, runs no callback.
    const SEE = 'for look in $(seq 2000); do [ -e "$1" ] || exit 0; sleep 0.01; done; exit 1';
    execFileSync('sh', ['-c', SEE, 'sh', path]);
    assert.deepEqual(readdirSync(dirname(path)), [`${basename(path)}.gz`]);
    assert.deepEqual(outcomes, [], 'this thread had its turn in between');
    await eventually('it is told', PATIENCE_MS, () => outcomes.length > 0);
    assert.deepEqual(outcomes, [path]);
  });

  it('tells of a file for which no thread comes up, and compresses the next one once there are threads', async () => {
    const worker = join(dirname(place.log('0')), 'none-yet.cjs');
    const [first, second] = [rotated(1), rotated(2)];
    const failures: string[] = [];
    const done: string[] = [];
    compression = createCompression(worker, {
      onDone: (path) => done.push(path),
      onFailed: (path, reason) => failures.push(`${path}: ${reason}`),
    });
    compression.add(first);
    await eventually('it is told', PATIENCE_MS, () => failures.length > 0);
    assert.match(failures.join(), /none-yet\.cjs/);
    writeFileSync(worker, 'exports.compressFile = () => ({ ok: true });');
    compression.add(second);
    await eventually('it is done', PATIENCE_MS, () => done.length > 0);
    assert.deepEqual([failures.length, done], [1, [second]]);
  });

  it('has in the real process a thread that goes with the work, and requests are answered meanwhile', async () => {
    const paths = [1, 2, 3, 4, 5].map(rotated);
    tree = await makeLogTree(place);
    const state = tree.connect('state-svc');
    state.ready();
    const health = tree.connect('ctl-svc').client(patient(logContract));
    const { pid } = await tree.start({ PV_LOG_DIR_MAXSIZE: '1G' });
    const threads = (): number => readdirSync(`/proc/${pid}/task`).length;
    assert.ok((await state.client(patient(logContract)).openRevision({ revision: '0' })).ok);
    const threadsAtWork = await eventually('an answer in the middle of it', PATIENCE_MS, async () => {
      const path = paths.find(isUnderWay);
      if (path === undefined) return undefined;
      const answer = await health.health({});
      const count = threads();
      return answer.ok && isUnderWay(path) && count;
    });
    await eventually('all compressed', PATIENCE_MS, () => paths.every((path) => !existsSync(path)));
    // Those of Node itself stay once they are there.
    await eventually('a thread less', PATIENCE_MS, () => threads() < threadsAtWork);
  });
});
