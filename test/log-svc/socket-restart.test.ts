// The real process, killed while containers log: their sockets outlive it, and what it has taken is not lost.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { logContract } from '../../services/log-svc/contract.ts';
import { sendDatagram } from '../../shared/kernel/send-datagram.ts';
import { resolveUid } from '../../shared/service/users.ts';
import { handOver, handoverBytes } from '../kit/handover.ts';
import { openLingering } from '../kit/lingering.ts';
import { patient } from '../kit/patient.ts';
import { type LogTree, makeLogTree, makePlace, type Place, readMessages, whenFiles } from './log-rig.ts';

const LINGER_SECONDS = 60;

describe('log-svc and the sockets of containers', () => {
  let place: Place;
  let tree: LogTree;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    place = makePlace(resolveUid('berth-log'));
    tree = await makeLogTree(place);
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await tree.close();
    place.remove();
  });

  const openRevision = async (): Promise<void> => {
    const state = tree.connect('state-svc');
    state.ready();
    await state.client(patient(logContract)).openRevision({ revision: '0' });
  };
  const logOf = (container: string): string => readMessages(place.log('0', container));
  const when = (container: string, text: string): Promise<void> =>
    whenFiles(place.log(), () => logOf(container).includes(text));
  /** As many lines, from a real logger that waits while nobody reads. */
  const logger = (folder: string, lines: number): ChildProcess => {
    const file = join(place.root, `${lines}.txt`);
    // Once: another logger may be reading it.
    if (!existsSync(file))
      writeFileSync(file, Array.from({ length: lines }, (_, index) => `line-${index}.\n`).join(''));
    const child = spawn('logger', ['--socket', join(folder, 'dev-log'), '--tag', 'app', '--file', file], {
      stdio: 'ignore',
    });
    children.push(child);
    return child;
  };

  it('reads sockets that were there before it, and those that come later', async () => {
    const web = tree.openSockets('web');
    sendDatagram(join(web, 'dev-log'), '<11>Nov 21 14:00:00 sshd[7]: before');
    await tree.start();
    await openRevision();
    await when('web', 'ERROR [sshd] before pid=7\n');
    const db = tree.openSockets('db');
    sendDatagram(join(db, 'pv-ctrl-log'), '{"version":"0","level":"WARN","src":"app","message":"later"}');
    await when('db', 'WARN  [app] later\n');
    tree.closeSockets('web');
    tree.openSockets('web');
    sendDatagram(join(web, 'dev-log'), '<14>again: opened');
    await when('web', 'INFO  [again] opened\n');
  });

  it('loses no line of a container over SIGKILL, repeats one turn a kill at most, and nobody notices', async () => {
    const web = tree.openSockets('web');
    const inode = statSync(join(web, 'dev-log')).ino;
    let log = await tree.start();
    await openRevision();
    const lines = 6_000;
    const done = once(logger(web, lines), 'exit');
    const kills = 6;
    for (let kill = 1; kill <= kills; kill += 1) {
      await when('web', `line-${Math.floor((lines * kill) / (kills + 2))}.`);
      await log.kill();
      log = await tree.start();
    }
    const [code] = await done;
    assert.equal(code, 0, 'the logger was never refused');
    await when('web', `line-${lines - 1}.`);
    const found = logOf('web').match(/line-\d+\./g) ?? [];
    assert.deepEqual(
      [...new Set(found)],
      Array.from({ length: lines }, (_, index) => `line-${index}.`),
    );
    assert.ok(found.length <= lines + kills * 65, `${found.length - lines} lines came twice`);
    assert.equal(statSync(join(web, 'dev-log')).ino, inode);
  });

  it('lives through a flood without growing, and lays down what others say meanwhile', async () => {
    const [loud, quiet] = [tree.openSockets('loud'), tree.openSockets('quiet')];
    const { pid } = await tree.start();
    await openRevision();
    const peakKib = (): number => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    sendDatagram(join(quiet, 'dev-log'), '<13>first: hello');
    await when('quiet', '[first] hello');
    const before = peakKib();
    const ended = Array.from({ length: 4 }, () => once(logger(loud, 5_000), 'exit'));
    await once(logger(quiet, 300), 'exit');
    await when('quiet', 'line-299.');
    await Promise.all(ended);
    const total = (): number => {
      const said = logOf('loud');
      const drops = [...said.matchAll(/(\d+) messages dropped in \d+ ms/g)].map(([, count]) => Number(count));
      return (said.match(/line-\d+\./g)?.length ?? 0) + drops.reduce((sum, one) => sum + one, 0);
    };
    await whenFiles(place.log(), () => total() >= 20_000);
    assert.equal(total(), 20_000);
    assert.equal(logOf('quiet').match(/line-\d+\./g)?.length, 300);
    assert.ok(peakKib() - before < 48 * 1024, `${peakKib() - before} KiB more`);
  });

  it('reads the sockets of more containers than the bank had at first, after a start with the larger one', async () => {
    const log = await tree.start();
    await openRevision();
    const names = Array.from({ length: 40 }, (_, index) => `c${index}`);
    const folders = names.map((name) => tree.openSockets(name));
    sendDatagram(join(folders[0] ?? '', 'dev-log'), '<13>a: before');
    await when('c0', 'before');
    await log.kill();
    await tree.start();
    for (const [index, folder] of folders.entries()) {
      sendDatagram(join(folder, 'dev-log'), `<13>a: syslog ${names[index]}`);
      sendDatagram(join(folder, 'pv-ctrl-log'), `src=b message="control ${names[index]}"`);
    }
    for (const name of names) {
      await when(name, `control ${name}\n`);
      await when(name, `syslog ${name}\n`);
      // That of the killed one may have its first line twice.
      if (name !== 'c0') assert.equal(logOf(name).split('\n').length, 3, logOf(name));
    }
  });

  it('ends at once, whatever of a container is being closed', async () => {
    const path = join(tree.openSockets('web'), 'pv-fd-log');
    const log = await tree.start();
    await openRevision();
    const lingering = openLingering(LINGER_SECONDS);
    handOver(path, handoverBytes({ src: 'slow' }), [lingering.fd]);
    closeSync(lingering.fd);
    await when('web', 'pv-fd-log: slow is not read');
    const sinceMs = performance.now();
    const code = await log.stop();
    const tookMs = performance.now() - sinceMs;
    lingering.release();
    assert.equal(code, 0);
    assert.ok(tookMs < (LINGER_SECONDS * 1000) / 2, `it ended after ${tookMs} ms`);
  });

  it('loads no native code while there is no container', async () => {
    const log = await tree.start();
    await openRevision();
    const isLoaded = (): boolean => readFileSync(`/proc/${log.pid}/maps`, 'utf8').includes('koffi');
    assert.equal(isLoaded(), false);
    sendDatagram(join(tree.openSockets('web'), 'dev-log'), 'x');
    await when('web', '[unknown-app] x');
    assert.equal(isLoaded(), true);
    assert.ok(existsSync(join(place.rundir, 'log/sockets.accepted')));
  });
});
