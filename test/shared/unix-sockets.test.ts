import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, mkdtempSync, readFileSync, readlinkSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { KernelError } from '../../shared/kernel/libc.ts';
import {
  bindAndListen,
  listenUnix,
  pipe2NonBlocking,
  unboundUnixSocket,
  unixSocketPair,
} from '../../shared/kernel/unix-sockets.ts';

const folder = mkdtempSync(join(tmpdir(), 'unix-sockets-'));
after(() => rmSync(folder, { recursive: true }));

const failsWith = (errno: string) => (error: unknown) => error instanceof KernelError && error.errno === errno;
const flagsOf = (fd: number): number => {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
  return Number.parseInt(/flags:\s+(\d+)/.exec(text)?.[1] ?? '', 8);
};

describe('pipe2NonBlocking', () => {
  it('gives two ends that close on exec and do not block', () => {
    const { readFd, writeFd } = pipe2NonBlocking();
    for (const fd of [readFd, writeFd]) assert.equal(flagsOf(fd) & 0o2004000, 0o2004000);
    assert.throws(() => readSync(readFd, Buffer.alloc(1)), { code: 'EAGAIN' });
    writeSync(writeFd, 'x');
    assert.equal(readSync(readFd, Buffer.alloc(4)), 1);
    closeSync(readFd);
    closeSync(writeFd);
  });
});

describe('unixSocketPair', () => {
  it('gives two ends of one connection that close on exec and do not block', () => {
    const [near, far] = unixSocketPair();
    for (const fd of [near, far]) assert.equal(flagsOf(fd) & 0o2004000, 0o2004000);
    assert.throws(() => readSync(near, Buffer.alloc(1)), { code: 'EAGAIN' });
    writeSync(near, 'x');
    writeSync(far, 'yz');
    assert.deepEqual([readSync(far, Buffer.alloc(4)), readSync(near, Buffer.alloc(4))], [1, 2]);
    closeSync(far);
    assert.equal(readSync(near, Buffer.alloc(4)), 0);
    closeSync(near);
  });
});

describe('listenUnix', () => {
  it('accepts connections through a net.Server on its descriptor', async () => {
    const path = join(folder, 'a');
    const fd = listenUnix(path, { mode: 0o660, backlog: 8 });
    assert.equal(statSync(path).mode & 0o777, 0o660);
    assert.equal(flagsOf(fd) & 0o2004000, 0o2004000);
    const server = createServer((peer) => peer.end('hello')).listen({ fd });
    const client = connect(path);
    const [chunk] = await once(client, 'data');
    assert.equal(String(chunk), 'hello');
    client.destroy();
    server.close();
  });

  it('replaces the socket that a predecessor left', () => {
    const path = join(folder, 'b');
    closeSync(listenUnix(path, { mode: 0o600, backlog: 1 }));
    closeSync(listenUnix(path, { mode: 0o600, backlog: 1 }));
  });

  it('names the errno and leaves no descriptor open when it fails', () => {
    const next = unboundUnixSocket();
    closeSync(next);
    assert.throws(() => listenUnix(join(folder, 'none', 'x'), { mode: 0o600, backlog: 1 }), failsWith('ENOENT'));
    assert.throws(() => readlinkSync(`/proc/self/fd/${next}`), { code: 'ENOENT' });
  });

  it('refuses a path that struct sockaddr_un cannot hold', () => {
    const fd = unboundUnixSocket();
    assert.throws(
      () => bindAndListen(fd, `/${'x'.repeat(107)}`, { mode: 0o600, backlog: 1 }),
      failsWith('ENAMETOOLONG'),
    );
    closeSync(fd);
  });
});
