// Sockets outlive the service that serves them: a client that connects or sends meanwhile waits, and is served.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createContainerSockets } from '../../services/supervisor/container-sockets.ts';
import { createSocketBank, type SocketBank } from '../../services/supervisor/socket-bank.ts';
import { KernelError, setsockopt } from '../../shared/kernel/libc.ts';
import { unboundUnixSocket } from '../../shared/kernel/unix-sockets.ts';
import { connectUnix, handOver, sendWithDescriptors } from '../kit/handover.ts';
import { openLingering } from '../kit/lingering.ts';

const LINGER_SECONDS = 60;

/** Serves its third descriptor: answers every connection with its own pid. */
const SERVER = `require('node:net').createServer((c) => c.end(String(process.pid))).listen({ fd: 3 })`;

describe('supervisor.socketBank', () => {
  let folder = '';
  const banks: SocketBank[] = [];
  const streams = (firstFd: number): SocketBank => {
    const bank = createSocketBank([{ kind: 'stream', pathOf: (name) => join(folder, name, 'pv-ctrl') }], firstFd);
    banks.push(bank);
    bank.inherit();
    return bank;
  };
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-sockets-'));
  });
  after(() => {
    for (const { fds } of banks) for (const fd of fds) closeSync(fd);
    rmSync(folder, { recursive: true, force: true });
  });

  it('gives a container one socket that anybody inside may write to', () => {
    const sockets = streams(6);
    assert.deepEqual(sockets.open('web'), { row: { container: 'web', fds: [6] }, isNew: true });
    assert.deepEqual(sockets.open('web'), { row: { container: 'web', fds: [6] }, isNew: false });
    assert.deepEqual(sockets.open('db')?.row, { container: 'db', fds: [7] });
    assert.equal(statSync(join(folder, 'web/pv-ctrl')).mode & 0o777, 0o666);
    assert.equal(statSync(join(folder, 'web')).mode & 0o777, 0o755);
  });

  it('keeps the place of a closed one, and its inode, until the next start of its service', () => {
    const sockets = streams(6);
    sockets.open('web');
    const inode = statSync(join(folder, 'web/pv-ctrl')).ino;
    assert.equal(sockets.close('web'), true);
    assert.equal(sockets.close('web'), false);
    assert.deepEqual(sockets.list(), []);
    assert.deepEqual(sockets.open('web'), { row: { container: 'web', fds: [6] }, isNew: true });
    assert.equal(statSync(join(folder, 'web/pv-ctrl')).ino, inode);
    sockets.close('web');
    sockets.renew();
    assert.deepEqual(sockets.open('other')?.row, { container: 'other', fds: [6] });
  });

  it('has room for more containers after a renewal when the bank is used up', () => {
    const sockets = streams(6);
    const size = sockets.fds.length;
    for (let count = 0; count < size; count += 1) assert.ok(sockets.open(`c${count}`));
    assert.equal(sockets.open('one-more'), undefined);
    sockets.renew();
    assert.deepEqual(sockets.open('one-more')?.row, { container: 'one-more', fds: [6 + size] });
  });

  it('has its service start anew less often the more containers there are', () => {
    const sockets = streams(6);
    let renewals = 0;
    for (let count = 0; count < 300; count += 1) {
      if (sockets.open(`m${count}`) !== undefined) continue;
      sockets.renew();
      renewals += 1;
      assert.ok(sockets.open(`m${count}`));
    }
    assert.ok(renewals <= 4, `${renewals} renewals`);
  });

  it('never gives a row away that could be bound only in part', () => {
    const bank = createSocketBank(
      [
        { kind: 'datagram', pathOf: (name) => join(folder, name, 'log') },
        { kind: 'stream', pathOf: (name) => join(folder, name, 'blocked') },
      ],
      10,
    );
    banks.push(bank);
    mkdirSync(join(folder, 'half/blocked'), { recursive: true });
    assert.throws(() => bank.open('half'));
    assert.deepEqual(bank.list(), []);
    assert.equal(bank.close('half'), false);
    rmSync(join(folder, 'half/blocked'), { recursive: true });
    assert.deepEqual(bank.open('half')?.row.fds, [12, 13]);
    bank.renew();
    assert.deepEqual(bank.open('next')?.row.fds, [10, 11]);
  });

  it('lets a client that connects while nobody serves wait for the next server', async () => {
    const sockets = streams(3);
    sockets.open('waiting');
    const client = connect(join(folder, 'waiting/pv-ctrl'));
    await once(client, 'connect');
    const [fd = -1] = sockets.fds;
    const server = spawn(process.execPath, ['-e', SERVER], { stdio: ['ignore', 'ignore', 'inherit', fd] });
    const ended = once(server, 'exit');
    try {
      const [answer] = await once(client, 'data');
      assert.equal(String(answer), String(server.pid));
    } finally {
      client.destroy();
      server.kill();
      await ended;
    }
  });

  it('lets nobody but root get to containers’ sockets, also where the folder was open', () => {
    const open = join(folder, 'open');
    mkdirSync(open, { mode: 0o755 });
    const sockets = createContainerSockets(open, { control: 5, log: 100 });
    banks.push(sockets.control, sockets.log);
    assert.equal(statSync(open).mode & 0o777, 0o700);
  });

  const SOCK_DGRAM = 2;
  const SOCK_STREAM = 1;
  const kernelRefuses = (): boolean => {
    const fd = unboundUnixSocket();
    try {
      setsockopt(fd, 1, 83, Buffer.alloc(4));
      return true;
    } catch {
      return false;
    } finally {
      closeSync(fd);
    }
  };

  it('takes descriptors on pv-fd-log only, where the kernel can refuse them', (test) => {
    if (!kernelRefuses()) return test.skip('Linux 6.16 is the first that can');
    const sockets = createContainerSockets(folder, { control: 5, log: 100 });
    banks.push(sockets.control, sockets.log);
    sockets.open('sender');
    const outcomes = Object.entries({
      'pv-ctrl': SOCK_STREAM,
      'dev-log': SOCK_DGRAM,
      'pv-ctrl-log': SOCK_DGRAM,
      'pv-fd-log': SOCK_STREAM,
    }).map(([name, type]) => {
      const fd = connectUnix(join(folder, 'sender', name), type);
      try {
        sendWithDescriptors(fd, Buffer.from('x'), [fd]);
        return `${name} took it`;
      } catch (error) {
        return `${name}: ${error instanceof KernelError ? error.errno : error}`;
      } finally {
        closeSync(fd);
      }
    });
    assert.deepEqual(outcomes, ['pv-ctrl: EPERM', 'dev-log: EPERM', 'pv-ctrl-log: EPERM', 'pv-fd-log took it']);
  });

  it('waits on no thread for what is in the queues of sockets that it gives up', async () => {
    const names = ['one', 'two', 'three', 'four'];
    const made = names.map((name) => {
      const pathOf = (container: string): string => join(folder, container, name);
      const sockets = createSocketBank([{ kind: 'stream', takesDescriptors: true, pathOf }], 10);
      banks.push(sockets);
      sockets.open('slow');
      const lingering = openLingering(LINGER_SECONDS);
      handOver(pathOf('slow'), Buffer.from('x'), [lingering.fd]);
      closeSync(lingering.fd);
      sockets.close('slow');
      return { sockets, lingering };
    });
    const sinceMs = performance.now();
    for (const { sockets } of made) sockets.renew();
    // On one of the threads of Node's pool, of which there are four.
    await stat(folder);
    const tookMs = performance.now() - sinceMs;
    for (const { lingering } of made) lingering.release();
    assert.ok(tookMs < (LINGER_SECONDS * 1000) / 2, `${tookMs} ms`);
  });

  it('tells each service of its own sockets, and asks for a restart of whose bank is used up', () => {
    const sockets = createContainerSockets(folder, { control: 5, log: 100 });
    banks.push(sockets.control, sockets.log);
    for (const bank of [sockets.control, sockets.log]) bank.inherit();
    const told: string[] = [];
    sockets.listen({
      controlOpened: ({ container, fd }) => told.push(`control ${container} ${fd}`),
      logOpened: ({ container, devLog, ctrlLog, fdLog }) => told.push(`log ${container} ${devLog} ${ctrlLog} ${fdLog}`),
      closed: (container) => told.push(`closed ${container}`),
      usedUp: (service) => told.push(`used up ${service}`),
    });
    sockets.open('web');
    sockets.open('web');
    sockets.close('web');
    sockets.close('web');
    assert.deepEqual(told.splice(0), ['log web 100 101 102', 'control web 5', 'closed web']);
    const size = sockets.control.fds.length;
    for (let count = 1; count < size; count += 1) sockets.open(`c${count}`);
    assert.deepEqual(
      sockets.controlSockets().map(({ fd }) => fd - 4),
      Array.from({ length: size - 1 }, (_, index) => index + 2),
    );
    told.length = 0;
    sockets.open('one-more');
    assert.deepEqual(told.splice(0), ['used up log-svc', 'used up ctl-svc']);
    sockets.open('and-another');
    assert.deepEqual(told.splice(0), [], 'it has no such descriptors yet, and asks when it has them');
    for (const bank of [sockets.control, sockets.log]) bank.inherit();
    sockets.open('later');
    assert.deepEqual(
      told.map((line) => line.replace(/ \d+/g, '')),
      ['log later', 'control later'],
    );
    assert.deepEqual(sockets.logSockets().at(0), { container: 'one-more', devLog: 100, ctrlLog: 101, fdLog: 102 });
  });
});
