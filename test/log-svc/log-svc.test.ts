import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { logContract } from '../../services/log-svc/contract.ts';
import { lxcContract } from '../../services/lxc-svc/contract.ts';
import { type Channel, ok } from '../../shared/ipc/contract.ts';
import { createLogger } from '../../shared/log/logger.ts';
import { resolveUid } from '../../shared/service/users.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { patient } from '../kit/patient.ts';
import {
  type LogTree,
  lxcHandlers,
  makeLogTree,
  makePlace,
  type Place,
  readGenerations,
  whenFiles,
} from './log-rig.ts';

const UID = resolveUid('berth-log');
/** At least this long is a message of those below, and a read is at most as large as a pipe (pipe(7)). */
const MESSAGES_OF_A_READ = (64 * 1024) / 60;
const KILLS = 8;

describe('log-svc as a process', () => {
  let place: Place;
  let tree: LogTree;
  let state: Channel;
  let consolePath: string;
  let pantavisorLog: string;
  const read = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');
  const open = async (revision: string) => await state.client(patient(logContract)).openRevision({ revision });
  const when = (path: string, text: string) => whenFiles(place.log(), () => readGenerations(path).includes(text));

  beforeEach(async () => {
    place = makePlace(UID);
    tree = await makeLogTree(place);
    state = tree.connect('state-svc');
    state.ready();
    consolePath = join(place.rundir, 'lxc', 'web', 'console');
    mkdirSync(dirname(consolePath));
    pantavisorLog = place.log('0/pantavisor/pantavisor.log');
  });
  afterEach(async () => {
    await tree.close();
    place.remove();
  });

  const serveLxc = (): Channel => {
    const lxc = tree.connect('lxc-svc');
    const web = {
      container: 'web',
      revision: '0',
      mounted: true,
      logs: [{ source: 'console', path: consolePath }],
    } as const;
    lxc.serve(
      lxcContract,
      lxcHandlers(() => ok({ containers: [{ ...web, logs: [...web.logs] }] })),
    );
    lxc.ready();
    return lxc;
  };

  it('is ready without lxc-svc, keeps lines until the revision is known, and links it', async () => {
    createLogger('ipam', tree.writeFd('ipam-svc')).info('allocated 10.0.5.2/24 to my-app from pool internal');
    await tree.start();
    assert.ok(!existsSync(place.log('current')));
    assert.deepEqual(await open('0'), { ok: true, value: {} });
    await when(pantavisorLog, '\n');
    assert.match(
      read(pantavisorLog),
      /^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] INFO {2}\[ipam\] allocated 10\.0\.5\.2\/24 to my-app from pool internal\n$/,
    );
    assert.equal(readlinkSync(place.log('current')), '0');
  });

  it('goes on in the revision of before, without being told, after it was killed', async () => {
    const first = await tree.start();
    await open('locals/x');
    await first.kill();
    createLogger('ipam', tree.writeFd('ipam-svc')).info('while nobody reads');
    await tree.start();
    await when(place.log('locals/x/pantavisor/pantavisor.log'), 'while nobody reads');
  });

  it('follows the consoles that lxc-svc names, at its start and later', async () => {
    await tree.start();
    await open('0');
    appendFileSync(consolePath, 'before\n');
    const lxc = serveLxc();
    await when(place.log('0/web/lxc/console.log'), 'before\n');
    appendFileSync(consolePath, 'after\n');
    await when(place.log('0/web/lxc/console.log'), 'after\n');
    const lxcLog = join(dirname(consolePath), 'log');
    appendFileSync(lxcLog, 'lxc web 20261121 INFO start\n');
    lxc.publish(lxcContract, 'containerMounted', {
      container: 'web',
      revision: '0',
      logs: [{ source: 'lxc', path: lxcLog }],
    });
    await when(place.log('0/web/lxc/lxc.log'), 'lxc web 20261121 INFO start\n');
    assert.equal(read(place.log('0/web/lxc/console.log')), 'before\nafter\n');
  });

  it('keeps of LXC’s own log what is asked for', async () => {
    await tree.start({ PV_LXC_LOG_LEVEL: '4' });
    await open('0');
    const lxcLog = join(dirname(consolePath), 'log');
    const lines = ['DEBUG', 'WARN', 'INFO', 'ERROR'].map(
      (level) => `lxc-start web 20261121142550.811 ${level} start - ${level}\n`,
    );
    appendFileSync(lxcLog, lines.join(''));
    const logs = [{ source: 'lxc' as const, path: lxcLog }];
    serveLxc().publish(lxcContract, 'containerMounted', { container: 'web', revision: '0', logs });
    await when(place.log('0/web/lxc/lxc.log'), 'ERROR');
    assert.equal(read(place.log('0/web/lxc/lxc.log')), `${lines[1]}${lines[3]}`);
  });

  it('reads no file outside of the folder of lxc-svc', async () => {
    await tree.start();
    await open('0');
    serveLxc().publish(lxcContract, 'containerMounted', {
      container: 'evil',
      revision: '0',
      logs: [{ source: 'console', path: '/etc/passwd' }],
    });
    await when(pantavisorLog, 'console of evil is not followed: /etc/passwd');
    assert.ok(!existsSync(place.log('0/evil')));
  });

  it('hands on the last words of a stop', async () => {
    const log = await tree.start();
    await open('0');
    createLogger('net', tree.writeFd('net-svc')).info('last words');
    await turn();
    assert.equal(await log.stop(), 0);
    assert.match(read(pantavisorLog), /last words/);
  });

  it('repeats no console line when it is killed at rest', async () => {
    const log = await tree.start();
    await open('0');
    serveLxc();
    const out = place.log('0/web/lxc/console.log');
    appendFileSync(consolePath, 'one\ntwo\n');
    await when(out, 'two\n');
    await whenFiles(place.rundir, () => read(join(place.rundir, 'log', 'cursors.json')).includes('"offset":8'));
    await log.kill();
    appendFileSync(consolePath, 'three\n');
    await tree.start();
    await when(out, 'three\n');
    assert.equal(read(out), 'one\ntwo\nthree\n');
  });

  it('goes on where a kill tore a write, in whole lines and in what is carried as it is', async () => {
    const settings = { PV_LOG_SERVER_OUTPUTS: 'filetree,singlefile' } as const;
    const log = await tree.start(settings);
    await open('0');
    serveLxc();
    const ipam = createLogger('ipam', tree.writeFd('ipam-svc'));
    const [out, single] = [place.log('0/web/lxc/console.log'), place.log('0/pv.log')];
    ipam.info('a message');
    appendFileSync(consolePath, 'one\ntw');
    await when(out, 'tw');
    await when(single, 'a message');
    await whenFiles(place.rundir, () => read(join(place.rundir, 'log', 'cursors.json')).includes('"offset":6'));
    await log.kill();
    // As SIGKILL leaves a write(2) of several pages: what was read last, up to the end of one of them.
    appendFileSync(consolePath, 'o\nthree\n');
    appendFileSync(out, 'o\nthr');
    appendFileSync(single, '{"tsec":1,"tnano":0,"plat":"web","lvl":"IN');
    appendFileSync(pantavisorLog, '[2026-11-22T00:00');
    await tree.start(settings);
    ipam.info('another message');
    await when(single, 'three');
    await when(single, 'another message');
    assert.equal(read(out), 'one\ntwo\nthree\n');
    const said = read(single)
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).msg);
    for (const text of ['a message', 'one', 'two', 'three', 'another message']) assert.ok(said.includes(text), text);
    for (const line of read(pantavisorLog).trimEnd().split('\n')) assert.match(line, /^\[\S+Z\] [A-Z]+ +\[/);
  });

  it('goes on with the logs of a build that had them elsewhere, with nothing lost or twice', async () => {
    const log = await tree.start();
    await open('0');
    serveLxc();
    const [out, former] = [place.log('0/web/lxc/console.log'), place.log('0/web/console.log')];
    const cursors = join(place.rundir, 'log', 'cursors.json');
    appendFileSync(consolePath, 'one\ntw');
    await when(out, 'tw');
    await whenFiles(place.rundir, () => read(cursors).includes('"offset":6'));
    await log.kill();
    appendFileSync(consolePath, 'o\nthree\n');
    appendFileSync(out, 'o\nth');
    renameSync(out, former);
    rmdirSync(dirname(out));
    writeFileSync(cursors, read(cursors).replace('0/web/lxc/console.log', '0/web/console.log'));
    await tree.start();
    await when(out, 'three\n');
    assert.equal(read(out), 'one\ntwo\nthree\n');
    assert.ok(!existsSync(former));
  });

  it('loses no console line when it is killed under load, over rotations', async () => {
    let log = await tree.start();
    await open('0');
    serveLxc();
    const out = place.log('0/web/lxc/console.log');
    let written = 0;
    const write = (lines: number): void => {
      for (let line = 0; line < lines; line++) appendFileSync(consolePath, `line ${++written} of the console\n`);
    };
    for (let kill = 0; kill < KILLS; kill++) {
      write(1);
      await when(out, `line ${written} `);
      const mark = written;
      for (let burst = 0; burst < 20; burst++) {
        write(25);
        await turn();
      }
      if (kill % 2 === 1) renameSync(consolePath, `${consolePath}.1`);
      write(5);
      await when(out, `line ${mark + 25 * (1 + kill)} `);
      const killed = log.kill();
      write(50);
      await killed;
      write(50);
      log = await tree.start();
    }
    write(1);
    await when(out, `line ${written} `);
    const seen = new Set(
      [...readGenerations(out).matchAll(/^line (\d+) of the console$/gm)].map(([, id]) => Number(id)),
    );
    assert.equal(seen.size, written);
  });

  it('loses no message that it has written down when it is killed under load', async (test) => {
    let log = await tree.start();
    await open('0');
    const ipam = createLogger('ipam', tree.writeFd('ipam-svc'));
    let written = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const mark = written + 40 * (1 + kill);
      const load = setInterval(() => {
        // A restart on a busy machine takes seconds; what a writer keeps for that long is bounded.
        if (written < mark + 5_000) for (let line = 0; line < 10; line++) ipam.info(`message ${++written}.`, { kill });
      }, 2);
      try {
        await when(pantavisorLog, `message ${mark}.`);
        await log.kill();
        log = await tree.start();
      } finally {
        clearInterval(load);
      }
    }
    ipam.info(`message ${++written}.`);
    await when(pantavisorLog, `message ${written}.`);
    const ids = [...readGenerations(pantavisorLog).matchAll(/INFO {2}\[ipam\] message (\d+)\./g)].map(([, id]) =>
      Number(id),
    );
    const seen = new Set(ids);
    assert.doesNotMatch(readGenerations(pantavisorLog), /WARN .*lost \d+ lines here/);
    const lost = Array.from({ length: written }, (_, index) => index + 1).filter((id) => !seen.has(id));
    const gaps = lost.filter((id) => !lost.includes(id - 1)).length;
    test.diagnostic(`${lost.length} of ${written} lost`);
    // One read of the pipe is lost by a kill in the microseconds before it is written down; on a busy machine one kill in many comes
    // just then. Where reads are not written down, every kill loses some.
    assert.ok(
      gaps <= KILLS / 2 && lost.length <= gaps * MESSAGES_OF_A_READ,
      `${lost.length} of ${written} lost, in ${gaps} places`,
    );
  });

  it('answers LOG_UNWRITABLE where it may not write, lives on, and recovers', async () => {
    await tree.start();
    chownSync(place.log(), 0, 0);
    chmodSync(place.log(), 0o755);
    const answer = await open('0');
    assert.ok(!answer.ok && answer.error.code === 'LOG_UNWRITABLE' && answer.error.path === place.log('0'));
    const health = tree.connect('ctl-svc');
    const reasons = async () => {
      const asked = await health.client(patient(logContract)).health({});
      return asked.ok ? asked.value.reasons : [];
    };
    assert.deepEqual(
      (await reasons()).map(({ code, subject }) => [code, subject]),
      [['LOG_UNWRITABLE', place.log('0')]],
    );
    const ipam = createLogger('ipam', tree.writeFd('ipam-svc'));
    ipam.info('nowhere to go');
    await eventually('it is told', PATIENCE_MS, async () =>
      (await reasons()).some(({ subject }) => subject === pantavisorLog),
    );
    chownSync(place.log(), UID, UID);
    assert.equal((await open('0')).ok, true);
    const again = setInterval(() => ipam.info('and now?'), 100);
    try {
      await when(pantavisorLog, 'WARN  [log] dropped');
    } finally {
      clearInterval(again);
    }
    assert.deepEqual(await reasons(), []);
  });
});
