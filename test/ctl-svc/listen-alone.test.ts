import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, rmSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { listenAlone } from '../../services/ctl-svc/listen-alone.ts';
import { listenUnix } from '../../shared/kernel/unix-sockets.ts';
import { bundled } from '../kit/bundled.ts';

describe('ctl-svc.listenAlone', () => {
  it('answers on an inherited socket, without node:cluster in memory', async () => {
    const program = await bundled('test/ctl-svc/listen-alone.fixture.ts');
    const folder = mkdtempSync(join(tmpdir(), 'berth-listen-'));
    const path = join(folder, 'socket');
    const fd = listenUnix(path, { mode: 0o600, backlog: 8 });
    const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit', fd] });
    try {
      closeSync(fd);
      const ended = once(child, 'exit');
      assert.ok(child.stdout !== null);
      const [said] = await once(child.stdout, 'data');
      assert.equal(String(said), 'true false true\n');
      const [response]: IncomingMessage[] = await once(get({ socketPath: path, agent: false }), 'response');
      assert.ok(response !== undefined);
      assert.equal(await text(response), 'answered');
      assert.deepEqual(await ended, [0, null]);
    } finally {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('tells of a descriptor that is no socket as listen() does', async () => {
    const server = createServer();
    const failed = once(server, 'error');
    listenAlone(server, 999_999);
    const [error] = await failed;
    assert.equal(error.syscall, 'listen');
  });
});
