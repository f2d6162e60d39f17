// Real datagram sockets, read by the real kernel side; senders are real processes where they have to wait.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type ContainerSockets, createContainerSockets } from '../../services/log-svc/container-sockets.ts';
import type { LogMessage } from '../../services/log-svc/log-flow.ts';
import type { Limits } from '../../services/log-svc/message-budget.ts';
import { socketKernel } from '../../services/log-svc/socket-watch.ts';
import { MAX_WAITING } from '../../shared/kernel/closing-lanes.ts';
import { sendDatagram } from '../../shared/kernel/send-datagram.ts';
import { bindDatagram, unboundDatagramSocket, unixSocketPair } from '../../shared/kernel/unix-sockets.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { connectUnix, sendWithDescriptors } from '../kit/handover.ts';
import { openLingering } from '../kit/lingering.ts';
import { makePlace, type Place } from './log-rig.ts';

const GENEROUS: Limits = { burstBytes: 1e9, bytesPerSecond: 1e9, reportMs: 50 };
const LINGER_SECONDS = 60;
/** linux/net.h */
const SOCK_DGRAM = 2;

describe('log-svc.containerSockets', () => {
  let place: Place;
  let sockets: ContainerSockets;
  let got: LogMessage[];
  const fds: number[] = [];
  const children: ChildProcess[] = [];

  const pathOf = (container: string): string => join(place.root, `${container}.sock`);
  const make = (limits: Limits = GENEROUS): ContainerSockets =>
    createContainerSockets({
      acceptedPath: join(place.rundir, 'log/sockets.accepted'),
      loadKernel: async () => socketKernel,
      limits,
    });
  const start = (): void => sockets.start({ messages: (batch) => got.push(...batch), bytes: () => undefined });
  const bound = (container: string): number => {
    const fd = unboundDatagramSocket();
    fds.push(fd);
    bindDatagram(fd, pathOf(container), 0o666);
    return fd;
  };
  const open = (container: string): void =>
    sockets.open({ container, datagramFds: [bound(container)], intakeFd: undefined });
  /** util-linux, one datagram a line; it waits where the socket is full. */
  const logger = (container: string, ...options: readonly string[]): ChildProcess => {
    const child = spawn('logger', ['--socket', pathOf(container), ...options], { stdio: 'ignore' });
    children.push(child);
    return child;
  };
  const flood = (container: string, tag: string, lines: number): ChildProcess => {
    const file = join(place.root, `${container}.${tag}.txt`);
    writeFileSync(file, Array.from({ length: lines }, (_, index) => `${tag} ${index} ${'x'.repeat(80)}\n`).join(''));
    return logger(container, '--tag', tag, '--file', file);
  };
  const from = (container: string, src: string) =>
    got.filter(({ origin, src: said }) => origin.name === container && said === src);
  const dropped = (container: string): number =>
    from(container, 'log').reduce(
      (sum, { text }) => sum + Number(/^(\d+) messages dropped in \d+ ms/.exec(text)?.[1]),
      0,
    );

  beforeEach(() => {
    place = makePlace();
    got = [];
    sockets = make();
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    sockets.stop();
    for (const fd of fds.splice(0)) closeSync(fd);
    place.remove();
  });

  it('does not stand still for a descriptor that comes with a datagram and is slow to close', async () => {
    open('web');
    open('neighbour');
    start();
    const slow = openLingering(LINGER_SECONDS);
    const sender = connectUnix(pathOf('web'), SOCK_DGRAM);
    sendWithDescriptors(sender, Buffer.from('<14>web: with it'), [slow.fd]);
    sendWithDescriptors(sender, Buffer.from('<14>web: after it'), []);
    closeSync(sender);
    closeSync(slow.fd);
    const sinceMs = performance.now();
    await eventually('both lines', PATIENCE_MS, () => from('web', 'web').length === 2);
    sendDatagram(pathOf('neighbour'), Buffer.from('<14>other: goes on'));
    await eventually('the neighbour', PATIENCE_MS, () => from('neighbour', 'other').length === 1);
    assert.ok(performance.now() - sinceMs < (LINGER_SECONDS * 1000) / 2);
    slow.release();
  });

  it('takes no more datagrams of a turn once too much that came with them waits to be closed', async () => {
    open('web');
    open('neighbour');
    const slow = openLingering(LINGER_SECONDS);
    const sender = connectUnix(pathOf('web'), SOCK_DGRAM);
    const [end, otherEnd] = unixSocketPair();
    fds.push(end, otherEnd);
    sendWithDescriptors(sender, Buffer.from('<14>web: slow'), [slow.fd]);
    const many = Array.from({ length: MAX_WAITING / 2 }, () => end);
    for (let count = 0; count < 8; count += 1) sendWithDescriptors(sender, Buffer.from('<14>web: many'), many);
    closeSync(sender);
    closeSync(slow.fd);
    start();
    sendDatagram(pathOf('neighbour'), Buffer.from('<14>other: goes on'));
    await eventually('the neighbour', PATIENCE_MS, () => from('neighbour', 'other').length === 1);
    assert.equal(from('web', 'web').length, 3);
    slow.release();
    await eventually('all lines', PATIENCE_MS, () => from('web', 'web').length === 9);
  });

  it('reads what logger sends, before and after it is opened, and knows the container by the socket', async () => {
    const fd = bound('web');
    await once(logger('web', '--tag', 'early', 'waits'), 'exit');
    start();
    sockets.open({ container: 'web', datagramFds: [fd], intakeFd: undefined });
    await once(logger('web', '--tag', 'db', '--priority', 'daemon.err', '--id=77', 'late'), 'exit');
    await eventually('two messages', PATIENCE_MS, () => (got.length === 2 ? true : undefined));
    const brief = got.map(({ origin, level, src, text, fields }) => [origin.name, level, src, text, fields]);
    assert.deepEqual(brief, [
      ['web', 'INFO', 'early', 'waits', {}],
      ['web', 'ERROR', 'db', 'late', { pid: 77 }],
    ]);
  });

  it('takes nothing before it is started, and what waits when it is stopped', async () => {
    open('web');
    await once(logger('web', 'one'), 'exit');
    assert.deepEqual(got, []);
    start();
    await eventually('one message', PATIENCE_MS, () => got.at(0));
    await once(logger('web', 'two'), 'exit');
    sockets.stop();
    assert.deepEqual(
      got.map(({ text }) => text),
      ['one', 'two'],
    );
  });

  it('lays down every line of one container while another floods, and counts exactly what it drops', async (test) => {
    sockets = make({ burstBytes: 200_000, bytesPerSecond: 50_000, reportMs: 20 });
    start();
    open('loud');
    open('quiet');
    const before = process.memoryUsage().rss;
    const loud = ['a', 'b', 'c', 'd'].map((tag) => flood('loud', tag, 5_000));
    const quiet = flood('quiet', 'q', 500);
    const floods = loud.map((child) => once(child, 'exit'));
    await once(quiet, 'exit');
    const flooding = loud.filter(({ exitCode }) => exitCode === null).length;
    test.diagnostic(`${flooding} of ${loud.length} still flood when the quiet one has said all`);
    await Promise.all(floods);
    const kept = (): number => ['a', 'b', 'c', 'd'].reduce((sum, tag) => sum + from('loud', tag).length, 0);
    await eventually('every message is there or counted', PATIENCE_MS, () =>
      kept() + dropped('loud') >= 20_000 ? true : undefined,
    );
    assert.equal(kept() + dropped('loud'), 20_000);
    assert.ok(dropped('loud') > 0, 'it was a flood');
    assert.deepEqual(
      from('quiet', 'q').map(({ text }) => text.split(' ')[1]),
      Array.from({ length: 500 }, (_, n) => `${n}`),
    );
    assert.equal(dropped('quiet'), 0);
    assert.ok(process.memoryUsage().rss - before < 64 * 1024 * 1024);
  });

  it('reads the last words of a container that is closed, and nothing of it afterwards', async () => {
    start();
    const fd = bound('web');
    sockets.open({ container: 'web', datagramFds: [fd], intakeFd: undefined });
    await once(logger('web', 'first'), 'exit');
    await eventually('first', PATIENCE_MS, () => got.at(0));
    await once(logger('web', 'last words'), 'exit');
    sockets.close('web');
    assert.equal(got.at(-1)?.text, 'last words');
    await once(logger('web', 'from the grave'), 'exit');
    assert.deepEqual(sockets.containers(), []);
    sockets.open({ container: 'web', datagramFds: [fd], intakeFd: undefined });
    await eventually('opened again', PATIENCE_MS, () => got.find(({ text }) => text === 'from the grave'));
  });

  it('survives datagrams of no length, of any bytes, and longer than any message', async () => {
    start();
    open('web');
    sendDatagram(pathOf('web'), '');
    sendDatagram(pathOf('web'), Buffer.from([0xff, 0xfe, 0]));
    sendDatagram(pathOf('web'), `<13>long: ${'x'.repeat(100_000)}`);
    await eventually('the long one', PATIENCE_MS, () => got.find(({ src }) => src === 'long'));
    assert.equal(got.length, 2);
    assert.match(got.at(-1)?.text ?? '', /^x{16384} … \(83616 bytes cut\)$/);
  });

  it('leaves nothing behind in the store when all is laid down', async () => {
    start();
    open('web');
    await once(logger('web', 'one'), 'exit');
    await eventually('one', PATIENCE_MS, () => got.at(0));
    sockets.stop();
    sockets = make();
    start();
    assert.equal(got.length, 1);
    assert.ok(existsSync(join(place.rundir, 'log/sockets.accepted')));
  });
});
