// Descriptors handed over through a real pv-fd-log, harmless and hostile ones.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { type ContainerSockets, createContainerSockets } from '../../services/log-svc/container-sockets.ts';
import { MAX_DESCRIPTORS } from '../../services/log-svc/descriptor-intake.ts';
import { parseHandover } from '../../services/log-svc/handover.ts';
import type { LogMessage } from '../../services/log-svc/log-flow.ts';
import { socketKernel } from '../../services/log-svc/socket-watch.ts';
import { MAX_WAITING } from '../../shared/kernel/closing-lanes.ts';
import { setsockopt } from '../../shared/kernel/libc.ts';
import { listenUnix, pipe2NonBlocking, unixSocketPair } from '../../shared/kernel/unix-sockets.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { connectUnix, handOver, handoverBytes, type Said, sendWithDescriptors } from '../kit/handover.ts';
import { type Lingering, openLingering } from '../kit/lingering.ts';
import { makePlace, type Place } from './log-rig.ts';

/** asm-generic/socket.h */
const [SOL_SOCKET, SO_PASSPIDFD] = [1, 76];

/** `anon_inode:[pidfd]`, or `pidfd:[inode]` from Linux 6.9 on. */
function openPidfds(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('pidfd');
    } catch {
      return false;
    }
  }).length;
}

describe('log-svc.descriptorIntake', () => {
  let place: Place;
  let sockets: ContainerSockets;
  let got: LogMessage[];
  let path: string;
  const fds: number[] = [];
  const children: ChildProcess[] = [];
  const own = (fd: number): number => {
    fds.push(fd);
    return fd;
  };
  const disown = (fd: number): void => {
    fds.splice(fds.indexOf(fd), 1);
    closeSync(fd);
  };
  const pipe = () => {
    const { readFd, writeFd } = pipe2NonBlocking();
    return { readFd: own(readFd), writeFd: own(writeFd) };
  };
  const hand = (said: Said, ...descriptors: readonly number[]): void =>
    handOver(path, handoverBytes(said), descriptors);
  /** How many descriptors of this process lead there. */
  const openCount = (target: string): number =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === target;
      } catch {
        return false;
      }
    }).length;
  const said = (text: string): Promise<LogMessage> =>
    eventually(text, PATIENCE_MS, () => got.find((message) => message.text.includes(text)));

  beforeEach(async () => {
    place = makePlace();
    path = join(place.root, 'pv-fd-log');
    got = [];
    sockets = createContainerSockets({
      acceptedPath: join(place.rundir, 'log/sockets.accepted'),
      loadKernel: async () => socketKernel,
    });
    sockets.start({ messages: (batch) => got.push(...batch), bytes: () => undefined });
    const intakeFd = own(listenUnix(path, { mode: 0o666, backlog: 64 }));
    sockets.open({ container: 'web', datagramFds: [], intakeFd });
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    sockets.stop();
    for (const fd of fds.splice(0)) closeSync(fd);
    place.remove();
  });

  it('reads lines from a pipe, in the name of its own container, and the last one when it ends', async () => {
    const { readFd, writeFd } = pipe();
    hand({ src: 'stdout', level: 1 }, readFd);
    disown(readFd);
    writeSync(writeFd, 'first\nsecond\nhalf');
    await said('second');
    assert.ok(!got.some(({ text }) => text === 'half'));
    disown(writeFd);
    await said('half');
    const brief = got.map(({ origin, level, src, text }) => [origin.name, level, src, text]);
    assert.deepEqual(
      brief,
      ['first', 'second', 'half'].map((text) => ['web', 'ERROR', 'stdout', text]),
    );
  });

  it('reads from a connected socket as well', async () => {
    const child = spawn('sh', ['-c', 'echo from a socket; read answer'], { stdio: ['pipe', 'pipe', 'ignore'] });
    children.push(child);
    const listening = own(listenUnix(join(place.root, 'peer'), { mode: 0o600, backlog: 1 }));
    const client = own(connectUnix(join(place.root, 'peer')));
    const server = own(socketKernel.acceptConnection(listening) ?? -1);
    hand({ src: 'peer' }, server);
    writeSync(client, 'over a socket\n');
    await said('over a socket');
  });

  it('stops reading a source that is given up or replaced, and has read what was in it', async () => {
    const [one, two] = [pipe(), pipe()];
    hand({ src: 'app' }, one.readFd);
    writeSync(one.writeFd, 'of one\n');
    hand({ src: 'app' }, two.readFd);
    writeSync(two.writeFd, 'of two\n');
    await said('of two');
    assert.deepEqual(
      got.map(({ text }) => text),
      ['of one', 'of two'],
    );
    hand({ src: 'app', action: 0 });
    hand({ src: 'other' }, one.readFd);
    writeSync(one.writeFd, 'of one again\n');
    await said('of one again');
    writeSync(two.writeFd, 'unread\n');
    sockets.close('web');
    assert.ok(!got.some(({ text }) => text === 'unread'));
  });

  it('refuses, with a word in the log, what one could wait for ever for, or that never ends', async () => {
    mkdirSync(join(place.root, 'folder'));
    writeFileSync(join(place.root, 'file'), 'x'.repeat(1_000_000));
    const refused = [join(place.root, 'folder'), join(place.root, 'file'), '/dev/zero', '/dev/tty0', '/proc/self/mem'];
    for (const [index, one] of refused.entries()) {
      let fd: number;
      try {
        fd = openSync(one, 'r');
      } catch {
        continue;
      }
      hand({ src: `bad-${index}` }, fd);
      closeSync(fd);
      await said(`bad-${index} is not read: it is neither a pipe nor a Unix socket`);
    }
    hand({ src: 'nothing' });
    await said('nothing is not read: no descriptor came with it');
    handOver(path, Buffer.from('hello'), []);
    await said('5 bytes are no 108 bytes of a handover');
    // On a thread, which takes its time.
    await eventually('all are closed', PATIENCE_MS, () => refused.every((one) => openCount(one) === 0));
  });

  /** Opens another container, and answers what it says a line with, as soon as that is heard. */
  const neighbour = (): ((line: string) => Promise<LogMessage>) => {
    const itsPath = join(place.root, 'neighbour');
    const intakeFd = own(listenUnix(itsPath, { mode: 0o666, backlog: 64 }));
    sockets.open({ container: 'neighbour', datagramFds: [], intakeFd });
    const { readFd, writeFd } = pipe();
    handOver(itsPath, handoverBytes({ src: 'app' }), [readFd]);
    return (line) => {
      writeSync(writeFd, `${line}\n`);
      return said(line);
    };
  };
  const LINGER_SECONDS = 60;
  /** `hands` has it as the only one who does: our close is the last. */
  const lastOf = (hands: (fd: number) => void): Lingering => {
    const lingering = openLingering(LINGER_SECONDS);
    hands(lingering.fd);
    closeSync(lingering.fd);
    return lingering;
  };

  it('reads others while all that one hands over takes its time to close', async () => {
    const says = neighbour();
    await says('before');
    const handed = Array.from({ length: 8 }, () =>
      lastOf((fd) => handOver(path, handoverBytes({ src: 'slow' }).subarray(1), [fd])),
    );
    const waiting = (): number => handed.filter(({ link }) => openCount(link) > 0).length;
    // The number of the first is free already: its close is under way.
    await eventually('one after the other', PATIENCE_MS, () => waiting() === 7);
    await says('meanwhile');
    const refused = openSync(import.meta.filename, 'r');
    handOver(join(place.root, 'neighbour'), handoverBytes({ src: 'file' }), [refused]);
    closeSync(refused);
    await said('file is not read');
    await eventually('its own is closed', PATIENCE_MS, () => openCount(import.meta.filename) === 0);
    assert.equal(waiting(), 7);
    for (const { release } of handed) release();
    await eventually('all are closed', PATIENCE_MS, () => waiting() === 0);
  });

  it('does not stand still for a descriptor that is slow to close, whichever way it came', async () => {
    const says = neighbour();
    await says('before');
    const [end, sender] = unixSocketPair().map(own);
    const [full, filler] = unixSocketPair().map(own);
    const ways: Readonly<Record<string, (fd: number) => void>> = {
      'handed over': (fd) => hand({ src: 'itself' }, fd),
      'beside another': (fd) => hand({ src: 'beside' }, pipe().readFd, fd),
      'behind the message'(fd) {
        const connection = connectUnix(path);
        sendWithDescriptors(connection, handoverBytes({ src: 'behind' }), []);
        sendWithDescriptors(connection, Buffer.from('more'), [fd]);
        closeSync(connection);
      },
      'out of a socket that is read'(fd) {
        hand({ src: 'socket' }, end ?? -1);
        sendWithDescriptors(sender ?? -1, Buffer.from('a line\n'), [fd]);
      },
      'in the queue of a socket that is not'(fd) {
        sendWithDescriptors(filler ?? -1, Buffer.from('unread'), [fd]);
        hand({ src: 'queue', action: 0 }, full ?? -1);
        disown(full ?? -1);
      },
    };
    for (const [way, hands] of Object.entries(ways)) {
      const handed = lastOf(hands);
      const sinceMs = performance.now();
      hand({ src: `after ${way}` });
      await said(`after ${way} is not read`);
      await says(way);
      assert.ok(performance.now() - sinceMs < (LINGER_SECONDS * 1000) / 2, way);
      handed.release();
      await eventually('it is closed', PATIENCE_MS, () => openCount(handed.link) === 0);
    }
    await said('itself is not read: it is neither a pipe nor a Unix socket');
  });

  it('takes nothing more from a container while too much of its own waits to be closed', async () => {
    const says = neighbour();
    const slow = lastOf((fd) => hand({ src: 'slow', action: 0 }, fd));
    const others = Array.from({ length: MAX_WAITING }, () => pipe().readFd);
    hand({ src: 'many', action: 0 }, ...others);
    const { readFd, writeFd } = pipe();
    hand({ src: 'app' }, readFd);
    writeSync(writeFd, 'heard in the end\n');
    await says('not meant');
    await says('by this');
    assert.ok(!got.some(({ text }) => text === 'heard in the end'));
    slow.release();
    await said('heard in the end');
  });

  it('takes nothing more out of a socket while too much of what came out of it waits to be closed', async () => {
    const says = neighbour();
    const [end, sender] = unixSocketPair().map(own);
    const slow = lastOf((fd) => sendWithDescriptors(sender ?? -1, Buffer.from('slow\n'), [fd]));
    const many = Array.from({ length: MAX_WAITING / 2 }, () => sender ?? -1);
    for (let count = 0; count < 8; count += 1) sendWithDescriptors(sender ?? -1, Buffer.from('many\n'), many);
    hand({ src: 'app' }, end ?? -1);
    const count = (): number => got.filter(({ text }) => text === 'many').length;
    await eventually('as much as there is room for', PATIENCE_MS, () => count() === 2);
    await says('meanwhile');
    await says('and more');
    assert.equal(count(), 2);
    slow.release();
    await eventually('all of it', PATIENCE_MS, () => count() === 8);
  });

  it('closes what a socket adds for the one that it was handed over by', async (test) => {
    const [end, sender] = unixSocketPair().map(own);
    try {
      setsockopt(end ?? -1, SOL_SOCKET, SO_PASSPIDFD, Buffer.from(Int32Array.of(1).buffer));
    } catch {
      return test.skip('before Linux 6.5');
    }
    const before = openPidfds();
    hand({ src: 'app' }, end ?? -1);
    for (const line of ['first', 'second']) sendWithDescriptors(sender ?? -1, Buffer.from(`${line}\n`), []);
    await said('second');
    await eventually('all are closed', PATIENCE_MS, () => openPidfds() === before);
  });

  it('never waits for a pipe that another reader empties, or that is said to block', async () => {
    execFileSync('mkfifo', [join(place.root, 'fifo')]);
    // Without O_NONBLOCK: a read of an empty one would hang this very process.
    const fifo = own(openSync(join(place.root, 'fifo'), constants.O_RDWR));
    hand({ src: 'idle' }, fifo);
    const thief = spawn('cat', { stdio: [fifo, 'ignore', 'ignore'] });
    children.push(thief);
    for (let count = 0; count < 100; count += 1) writeSync(fifo, `somebody reads ${count}\n`);
    const { readFd, writeFd } = pipe();
    hand({ src: 'app' }, readFd);
    writeSync(writeFd, 'goes on\n');
    await said('goes on');
  });

  it('takes one descriptor of many, and so many for one container', async () => {
    const [first, extra] = [pipe(), pipe()];
    const links = [first, extra].map(({ readFd }) => readlinkSync(`/proc/self/fd/${readFd}`));
    hand({ src: 'many' }, first.readFd, extra.readFd, extra.readFd);
    writeSync(first.writeFd, 'the first\n');
    await said('the first');
    await eventually('the other one is closed', PATIENCE_MS, () => openCount(links[1] ?? '') === 2);
    assert.equal(openCount(links[0] ?? ''), 3);
    for (let count = 1; count < MAX_DESCRIPTORS; count += 1) hand({ src: `s${count}` }, first.readFd);
    hand({ src: 'too-much' }, first.readFd);
    await said(`too-much is not read: ${MAX_DESCRIPTORS} descriptors are read already`);
    hand({ src: 's1', action: 0 });
    hand({ src: 'fits' }, extra.readFd);
    writeSync(extra.writeFd, 'fits now\n');
    await said('fits now');
  });

  it('serves who speaks, however many connect and say nothing', async () => {
    const silent = Array.from({ length: 30 }, () => own(connectUnix(path)));
    const { readFd, writeFd } = pipe();
    hand({ src: 'app' }, readFd);
    writeSync(writeFd, 'heard\n');
    await said('heard');
    assert.equal(silent.length, 30);
  });

  it('keeps what a flood through a pipe says within the budget, and counts the rest', async () => {
    execFileSync('mkfifo', [join(place.root, 'fifo')]);
    const fifo = own(openSync(join(place.root, 'fifo'), constants.O_RDWR));
    hand({ src: 'flood' }, fifo);
    const child = spawn('seq', ['1000000', '1299999'], { stdio: ['ignore', fifo, 'ignore'] });
    children.push(child);
    await once(child, 'exit');
    const counted = (): number => {
      const drops = got.filter(({ src }) => src === 'log').map(({ text }) => Number(/^\d+/.exec(text)?.[0] ?? 0));
      return got.filter(({ src }) => src === 'flood').length + drops.reduce((sum, one) => sum + one, 0);
    };
    await eventually('every line is there or counted', PATIENCE_MS, () => (counted() >= 300_000 ? true : undefined));
    assert.equal(counted(), 300_000);
    assert.ok(got.filter(({ src }) => src === 'flood').length < 300_000);
  });
});

describe('log-svc.parseHandover', () => {
  it('knows the levels by number, and leaves the container’s name alone', () => {
    const levels = [-1, 0, 1, 2, 3, 4, 5, 6, 7].map(
      (level) => parseHandover(handoverBytes({ src: 'x', level }))?.level,
    );
    assert.deepEqual(levels, ['INFO', 'FATAL', 'ERROR', 'WARN', 'INFO', 'INFO', 'DEBUG', 'TRACE', 'INFO']);
    assert.equal(parseHandover(handoverBytes({ src: '' }))?.src, 'unknown-src');
    assert.equal(parseHandover(handoverBytes({ src: 'y'.repeat(60) }))?.src, 'y'.repeat(50));
  });

  it('never throws, and takes nothing of another length or with another action', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const said = parseHandover(Buffer.from(bytes));
        assert.equal(said !== undefined, bytes.length === 108 && [0, 1].includes(Buffer.from(bytes).readInt32LE(104)));
      }),
    );
  });
});
