// A journal that the disk does not give, on a real file system: what is known of leases is used, and nothing of it is overwritten.
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { withCopy } from '../../services/ipam-svc/journal-copy.ts';
import { createJournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { readJournal } from '../../services/ipam-svc/journal-read.ts';
import { parseIpv4 } from '../../shared/ipv4/address.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { CANNOT_DAMAGE, cutDisk, makeDamagedDisk, mountArguments, repairDisk } from '../kit/damaged-disk.ts';
import { unmount } from '../kit/unmount.ts';
import { ask, INTERNAL, type Running, reserve, startIpam } from './kit.ts';

/** With room for what a few thousand lost bytes may have given away. */
const POOL = { ...INTERNAL, subnet: '10.0.0.0/16', gateway: '10.0.0.1' };
const JOURNAL = 'leases.journal';

describe('ipam-svc on a damaged disk', { skip: CANNOT_DAMAGE }, () => {
  let folder = '';
  let before = '';
  let disk = '';
  let image = '';
  let running: Running | undefined;
  beforeEach(() => {
    folder = mkdtempSync('/run/berth-ipam-');
    [before = '', disk = '', image = ''] = ['before', 'disk', 'image'].map((name) => join(folder, name));
    for (const each of [before, disk, join(folder, 'run')]) mkdirSync(each);
  });
  afterEach(async () => {
    await running?.stop();
    running = undefined;
    await unmount(disk);
    rmSync(folder, { recursive: true });
  });

  const start = async (place: string, pool = POOL, fixed = ['fixed']): Promise<Running> => {
    await running?.stop();
    running = await startIpam(withCopy(createJournalDisk(place), join(folder, 'run'), silentLogger));
    const reservations = fixed.map((container) => reserve(pool, container, '10.0.0.3'));
    assert.equal((await running.client.configure({ pools: [pool], reservations })).ok, true);
    return running;
  };
  /** As on the disk that gets damaged. */
  const lease = async (...containers: readonly string[]): Promise<void> => {
    const ipam = await start(before);
    for (const container of containers) assert.match(await ask(ipam, POOL, container), /^10\./);
    await ipam.stop();
    running = undefined;
  };
  const damage = (...names: readonly string[]): void => {
    makeDamagedDisk(image, before, names);
    execFileSync('mount', mountArguments(image, disk));
  };
  const powerCut = (): void => rmSync(join(folder, 'run', JOURNAL));
  const codes = async (ipam: Running) => (await ipam.health()).map(({ code }) => code);

  it('gives running containers their addresses back, and new ones to nobody who has none', async () => {
    await lease('one', 'two', 'three');
    damage(JOURNAL);
    const ipam = await start(disk);
    assert.equal(await ask(ipam, POOL, 'new'), '10.0.0.6');
    assert.equal(await ask(ipam, POOL, 'three'), '10.0.0.5');
    assert.equal(await ask(ipam, POOL, 'one'), '10.0.0.2');
    const [reason] = await ipam.health();
    assert.equal(reason?.code, 'JOURNAL_UNREADABLE');
    assert.match(reason.message, /leases\.journal cannot be read .*(-74|EBADMSG).*no lease is lost.*fsck/);

    powerCut();
    const again = await start(disk);
    assert.equal(await ask(again, POOL, 'new'), '10.0.0.6');
    assert.equal(await ask(again, POOL, 'two'), '10.0.0.4');
    assert.deepEqual(await codes(again), ['JOURNAL_UNREADABLE']);
  });

  it('writes down at once what it rescued', async () => {
    await lease('one', 'two');
    damage(JOURNAL);
    await start(disk);
    powerCut();
    assert.equal(await ask(await start(disk), POOL, 'two'), '10.0.0.4');
  });

  it('starts afresh after a power cut, but for what the revision fixes', async () => {
    await lease('one', 'two');
    powerCut();
    damage(JOURNAL);
    const ipam = await start(disk);
    assert.equal(await ask(ipam, POOL, 'two'), '10.0.0.2');
    assert.equal(await ask(ipam, POOL, 'one'), '10.0.0.4');
    assert.equal(await ask(ipam, POOL, 'fixed', '10.0.0.3'), '10.0.0.3');
    assert.match((await ipam.health())[0]?.message ?? '', /its leases are lost/);
    // What it has in memory now is what it has written since, and no reason to say that nothing is lost.
    assert.match((await (await start(disk)).health())[0]?.message ?? '', /leases\.journal\.later since/);
  });

  it('keeps what was written since, too, where that is damaged and made anew', async () => {
    await lease('one', 'two');
    powerCut();
    const text = `damaged\n${readFileSync(join(before, JOURNAL), 'latin1')}`;
    writeFileSync(join(before, `${JOURNAL}.later`), text);
    damage(JOURNAL);
    await ask(await start(disk), POOL, 'new');
    assert.equal(readFileSync(join(disk, `${JOURNAL}.later.damaged`), 'latin1'), text);
    assert.notEqual(readFileSync(join(disk, `${JOURNAL}.later`), 'latin1'), text);
  });

  it('takes up what a check of the file system gives back, below what was given since', async () => {
    await lease('one', 'two', 'three');
    powerCut();
    damage(JOURNAL);
    assert.equal(await ask(await start(disk), POOL, 'new'), '10.0.0.2');
    await running?.stop();
    await unmount(disk);
    repairDisk(image);
    execFileSync('mount', mountArguments(image, disk));
    powerCut();
    const ipam = await start(disk);
    assert.equal(await ask(ipam, POOL, 'new'), '10.0.0.2');
    assert.equal(await ask(ipam, POOL, 'three'), '10.0.0.5');
    assert.equal(await ask(ipam, POOL, 'one'), '10.0.0.6');
    assert.deepEqual(await codes(ipam), []);
    assert.ok(!existsSync(join(disk, `${JOURNAL}.later`)));
    assert.equal(await ask(await start(disk), POOL, 'one'), '10.0.0.6');
  });

  const repair = async (): Promise<void> => {
    await running?.stop();
    running = undefined;
    await unmount(disk);
    repairDisk(image);
    execFileSync('mount', mountArguments(image, disk));
  };

  it('gives leases where what stands for it is damaged, too, and keeps them over power cuts', async () => {
    await lease('one');
    powerCut();
    for (const name of ['later', 'later.1']) writeFileSync(join(before, `${JOURNAL}.${name}`), 'lost\n');
    damage(JOURNAL, `${JOURNAL}.later`, `${JOURNAL}.later.1`);
    assert.equal(await ask(await start(disk), POOL, 'new'), '10.0.0.2');
    powerCut();
    const ipam = await start(disk);
    assert.equal(await ask(ipam, POOL, 'other'), '10.0.0.4');
    assert.equal(await ask(ipam, POOL, 'new'), '10.0.0.2');
    assert.match(
      (await ipam.health())[0]?.message ?? '',
      /leases\.journal cannot be read .*leases\.journal\.later\.2 since/,
    );
    await repair();
    powerCut();
    const whole = await start(disk);
    assert.equal(await ask(whole, POOL, 'new'), '10.0.0.2');
    await ask(whole, POOL, 'last');
    for (const name of ['later', 'later.1', 'later.2']) assert.ok(!existsSync(join(disk, `${JOURNAL}.${name}`)), name);
  });

  it('goes by what was written last also where what was written before is given back later', async () => {
    const tight = { ...POOL, subnet: '10.0.0.0/29' };
    const open = (place: string): Promise<Running> => start(place, tight, []);
    const all = ['.2', '.3', '.4', '.5', '.6'].map((last) => `10.0.0${last}`);
    const first = await open(before);
    for (const address of all) assert.equal(await ask(first, tight, `old-${address}`), address);
    const later = readFileSync(join(before, JOURNAL));
    for (const address of all)
      await first.client.release({ pool: tight.name, container: `old-${address}`, interface: 'eth0' });
    await running?.stop();
    running = undefined;
    writeFileSync(join(before, `${JOURNAL}.later`), later);
    powerCut();
    damage(`${JOURNAL}.later`);
    const then = await open(disk);
    for (const address of all) assert.equal(await ask(then, tight, `new-${address}`), address);
    await repair();
    powerCut();
    const now = await open(disk);
    const answer = await now.client.listLeases({ limit: 100 });
    assert.ok(answer.ok);
    assert.deepEqual(
      answer.value.leases.map(({ container, address }) => [container, address]),
      all.map((address) => [`new-${address}`, address]),
    );
  });

  it('makes one file of several at once, as damage may come before the next request', async () => {
    await lease('one', 'two');
    copyFileSync(join(before, JOURNAL), join(before, `${JOURNAL}.later`));
    powerCut();
    damage();
    const alone = await startIpam(createJournalDisk(disk));
    await alone.stop();
    assert.ok(!existsSync(join(disk, `${JOURNAL}.later`)));
    assert.equal(await ask(await start(disk), POOL, 'two'), '10.0.0.4');
  });

  it('takes from its copy what bad sectors have of what was written since', async () => {
    const many = Array.from({ length: 120 }, (_, at) => `app-${at}`);
    await lease(...many);
    copyFileSync(join(before, JOURNAL), join(before, `${JOURNAL}.later`));
    damage(JOURNAL);
    cutDisk(image, `${JOURNAL}.later`, 4);
    const ipam = await start(disk);
    assert.equal(await ask(ipam, POOL, 'app-119'), '10.0.0.122');
    assert.match((await ipam.health())[0]?.message ?? '', /no lease is lost/);
  });

  it('believes no size that is not there', async () => {
    await lease('one', 'two');
    powerCut();
    damage();
    const size = 2 ** 33;
    truncateSync(join(disk, JOURNAL), size);
    const ipam = await start(disk);
    assert.equal(await ask(ipam, POOL, 'two'), '10.0.0.4');
    assert.equal(await ask(ipam, POOL, 'new'), '10.0.0.5');
    assert.match((await ipam.health())[0]?.message ?? '', new RegExp(`its size is ${size}`));
    assert.ok(statSync(join(disk, JOURNAL)).size < 4096);
    assert.equal(statSync(join(disk, `${JOURNAL}.damaged`)).size, size);
    assert.deepEqual(await codes(await start(disk)), []);
  });

  it('has one time for all of its files: after that nothing more is read behind damage', async () => {
    await lease(...Array.from({ length: 180 }, (_, at) => `app-${at}`));
    damage();
    const { size } = statSync(join(disk, JOURNAL));
    const journal = openSync(join(disk, JOURNAL), 'r');
    readSync(journal, Buffer.alloc(16), 0, 16, size - (size % 4096));
    closeSync(journal);
    cutDisk(image, JOURNAL, 4);
    const lengths: number[] = [];
    for (const untilMs of [Number.POSITIVE_INFINITY, 0]) {
      const read = await readJournal(join(disk, JOURNAL), untilMs);
      assert.ok(read.kind === 'read');
      await read.handle.close();
      assert.equal(read.bytes.length, size);
      lengths.push(read.bytes.toString('latin1').trimEnd().length);
    }
    const [patient = 0, hurried = 0] = lengths;
    assert.ok(patient > size - 16, `${patient} of ${size}`);
    assert.ok(hurried > 0 && hurried <= 4096, `${hurried} of ${size}`);
  });

  it('reads what it can of a journal with bad sectors, and keeps the file', async () => {
    const many = Array.from({ length: 120 }, (_, at) => `app-${at}`);
    await lease(...many);
    powerCut();
    damage();
    const { size } = statSync(join(disk, JOURNAL));
    assert.ok(size > 8192);
    cutDisk(image, JOURNAL, 4);
    const ipam = await start(disk);
    assert.equal(await ask(ipam, POOL, 'app-0'), '10.0.0.2');
    assert.deepEqual(await codes(ipam), ['JOURNAL_UNREADABLE', 'JOURNAL_DAMAGED']);
    // The last one that was given out before is in the part that is lost.
    const address = await ask(ipam, POOL, 'new');
    assert.ok((parseIpv4(address) ?? 0) > (parseIpv4('10.0.0.122') ?? 0), address);
    assert.equal(statSync(join(disk, `${JOURNAL}.damaged`)).size, size);
  });

  it('reads what lies behind a bad sector', async () => {
    const many = Array.from({ length: 180 }, (_, at) => `app-${at}`);
    await lease(...many);
    powerCut();
    damage();
    const { size } = statSync(join(disk, JOURNAL));
    assert.ok(size > 12_288);
    // What the kernel has read before it goes on giving: the last page alone, as nobody reads on from there.
    const journal = openSync(join(disk, JOURNAL), 'r');
    readSync(journal, Buffer.alloc(16), 0, 16, size - (size % 4096));
    closeSync(journal);
    cutDisk(image, JOURNAL, 4);
    const ipam = await start(disk);
    assert.equal(await ask(ipam, POOL, 'app-0'), '10.0.0.2');
    assert.equal(await ask(ipam, POOL, 'app-179'), '10.0.0.182');
    assert.notEqual(await ask(ipam, POOL, 'app-60'), '10.0.0.63');
  });

  it('keeps a journal with bad sectors also where nothing of it is lost', async () => {
    await lease(...Array.from({ length: 120 }, (_, at) => `app-${at}`));
    damage();
    const { size } = statSync(join(disk, JOURNAL));
    cutDisk(image, JOURNAL, 4);
    const ipam = await start(disk);
    assert.equal(await ask(ipam, POOL, 'app-119'), '10.0.0.122');
    assert.match((await ipam.health())[0]?.message ?? '', /no lease is lost/);
    assert.equal(statSync(join(disk, `${JOURNAL}.damaged`)).size, size);
  });

  it('keeps its copy as the journal is', async () => {
    await lease('one', 'two');
    damage();
    const ipam = await start(disk);
    await ask(ipam, POOL, 'three');
    await ipam.client.release({ pool: POOL.name, container: 'one', interface: 'eth0' });
    assert.deepEqual(readFileSync(join(folder, 'run', JOURNAL)), readFileSync(join(disk, JOURNAL)));
  });
});
