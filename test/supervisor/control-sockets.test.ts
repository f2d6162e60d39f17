// Listening sockets outlive the service that serves them: a client that connects meanwhile waits, and is served.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createControlSockets } from '../../services/supervisor/control-sockets.ts';

/** Serves its third descriptor: answers every connection with its own pid. */
const SERVER = `require('node:net').createServer((c) => c.end(String(process.pid))).listen({ fd: 3 })`;

describe('supervisor.control-sockets', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-sockets-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('gives a container one socket that anybody inside may write to', () => {
    const sockets = createControlSockets(folder, 6);
    const first = sockets.open('web');
    assert.deepEqual(first, { socket: { container: 'web', fd: 6 }, isNew: true });
    assert.deepEqual(sockets.open('web'), { socket: { container: 'web', fd: 6 }, isNew: false });
    assert.deepEqual(sockets.open('db')?.socket, { container: 'db', fd: 7 });
    assert.equal(statSync(join(folder, 'web/pv-ctrl')).mode & 0o777, 0o666);
    assert.equal(statSync(join(folder, 'web')).mode & 0o777, 0o755);
  });

  it('keeps the place of a closed one until the next start of its service', () => {
    const sockets = createControlSockets(folder, 6);
    sockets.open('web');
    assert.equal(sockets.close('web'), true);
    assert.equal(sockets.close('web'), false);
    assert.deepEqual(sockets.list(), []);
    assert.deepEqual(sockets.open('web'), { socket: { container: 'web', fd: 6 }, isNew: true });
    sockets.close('web');
    sockets.renew();
    assert.deepEqual(sockets.open('other')?.socket, { container: 'other', fd: 6 });
  });

  it('has room for more containers after a renewal when the bank is used up', () => {
    const sockets = createControlSockets(folder, 6);
    const size = sockets.fds.length;
    for (let count = 0; count < size; count += 1) assert.ok(sockets.open(`c${count}`));
    assert.equal(sockets.open('one-more'), undefined);
    sockets.renew();
    assert.deepEqual(sockets.open('one-more')?.socket, { container: 'one-more', fd: 6 + size });
  });

  it('lets a client that connects while nobody serves wait for the next server', async () => {
    const sockets = createControlSockets(folder, 3);
    sockets.open('waiting');
    const client = connect(join(folder, 'waiting/pv-ctrl'));
    await once(client, 'connect');
    const [fd = -1] = sockets.fds;
    const server = spawn(process.execPath, ['-e', SERVER], { stdio: ['ignore', 'ignore', 'inherit', fd] });
    const [answer] = await once(client, 'data');
    assert.equal(String(answer), String(server.pid));
    server.kill();
    await once(server, 'exit');
  });
});
