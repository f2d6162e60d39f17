// `berth check --journal` on journals that a real ipam-svc wrote and something else damaged.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createJournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { ask, INTERNAL, startIpam } from '../ipam-svc/kit.ts';
import { berth, createScratch, type Scratch } from './program.ts';

let scratch: Scratch;
let file = '';
let whole: Buffer;

before(async () => {
  scratch = createScratch();
  const ipam = await startIpam(createJournalDisk(scratch.folder));
  await ipam.client.configure({ pools: [INTERNAL], reservations: [] });
  for (const name of ['a', 'b', 'c', 'd']) await ask(ipam, INTERNAL, name);
  await ipam.client.release({ pool: INTERNAL.name, container: 'b', interface: 'eth0' });
  await ipam.stop();
  file = join(scratch.folder, 'leases.journal');
  whole = readFileSync(file);
});
after(() => scratch.remove());

/** Where the line that names the container begins. */
const lineOf = (container: string): number => whole.lastIndexOf('\n', whole.indexOf(` ${container} eth0 `)) + 1;

describe('berth check --journal', () => {
  it('counts what a sound journal holds', async () => {
    const { exitCode, stdout } = await berth('check', '--journal', file);
    assert.equal(exitCode, 0);
    assert.match(
      stdout,
      /^3 leases, 1 pool, 1 released, 0 never to be issued; 7 records \(1 superseded\) in \d+ bytes\nok: /,
    );
    const json = JSON.parse((await berth('check', '--journal', file, '--json')).stdout);
    assert.deepEqual(
      { ...json, journal: { ...json.journal, bytes: 0 } },
      {
        ok: true,
        journal: { bytes: 0, records: 7, leases: 3, pools: 1, released: 1, quarantined: 0, superseded: 1 },
        problems: [],
        warnings: [],
      },
    );
  });

  it('names damage by its byte offset and exits with 1, and leaves the file as it is', async () => {
    const damaged = Buffer.from(whole);
    damaged.fill('#', lineOf('c') + 4, lineOf('c') + 20);
    writeFileSync(file, damaged);
    const { exitCode, stdout } = await berth('check', '--journal', file, '--json');
    assert.equal(exitCode, 1);
    const { problems, journal } = JSON.parse(stdout);
    assert.deepEqual(
      problems.map(({ path, code }: { path: string; code: string }) => `${path} ${code}`),
      [`${file}@${lineOf('c')} DAMAGED`],
    );
    assert.ok(journal.quarantined > 0);
    assert.deepEqual(readFileSync(file), damaged);
    assert.match(
      (await berth('check', '--journal', file)).stdout,
      new RegExp(`leases.journal@${lineOf('c')}: .* lost`),
    );
  });

  it('names a lost line, a flipped bit, and both at once', async () => {
    const without = Buffer.concat([whole.subarray(0, lineOf('a')), whole.subarray(lineOf('b'))]);
    const bit = without.indexOf(' c eth0 ') + 1;
    without[bit] = (without[bit] ?? 0) ^ 1;
    writeFileSync(file, without);
    const { problems } = JSON.parse((await berth('check', '--journal', file, '--json')).stdout);
    assert.deepEqual(
      problems.map(({ path, code }: { path: string; code: string }) => `${path} ${code}`),
      [`${file}@${lineOf('a')} DAMAGED`, `${file}@${without.lastIndexOf('\n', bit) + 1} BIT_FLIPPED`],
    );
  });

  it('calls a torn tail no damage', async () => {
    writeFileSync(file, Buffer.concat([whole, Buffer.from('8 lease internal e et')]));
    const { exitCode, stdout, stderr } = await berth('check', '--journal', file);
    assert.equal(exitCode, 0);
    assert.match(stderr, new RegExp(`@${whole.length}: the last 21 bytes are a write that was cut short`));
    assert.match(stdout, /^3 leases/);
  });

  it('refuses a journal of another version, and a file that is not there', async () => {
    writeFileSync(file, '1 journal 9 ');
    assert.equal((await berth('check', '--journal', join(scratch.folder, 'none'))).exitCode, 2);
    assert.equal((await berth('check', '--journal')).exitCode, 2);
    const crc = (text: string): string => `${text} ${CRC_OF_VERSION_9}\n`;
    writeFileSync(file, crc('1 journal 9'));
    const { exitCode, stdout } = await berth('check', '--journal', file);
    assert.equal(exitCode, 1);
    assert.match(stdout, /lease journal of version 9; this program reads version 1/);
  });
});

/** CRC-32 of `1 journal 9`. */
const CRC_OF_VERSION_9 = 'dbd60b2f';
