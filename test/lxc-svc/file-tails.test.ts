import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { createFileTails, type FileTails } from '../../services/lxc-svc/file-tails.ts';
import { silentLogger } from '../../shared/log/logger.ts';

describe('lxc-svc.fileTails', () => {
  let base: string;
  let init: ChildProcess;
  let tails: FileTails;
  let said: string[];

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'file-tails-'));
    mkdirSync(join(base, 'lxc/app/logs'), { recursive: true });
    init = spawn('sleep', ['1000'], { stdio: 'ignore' });
    said = [];
    const hear = (text: string): void => void said.push(text);
    tails = createFileTails({
      places: { rundir: base, storage: base, tree: 'test' },
      readerGid: undefined,
      log: { ...silentLogger, warn: hear, error: hear },
      filesOf: () => [{ path: '/berth-no-such-file' }],
    });
    mock.timers.enable({ apis: ['setTimeout'] });
  });
  afterEach(() => {
    mock.timers.reset();
    tails.finish('app');
    init.kill('SIGKILL');
    rmSync(base, { recursive: true });
  });

  it('says nothing of a container whose init has ended before a look', async () => {
    tails.follow('app', init.pid ?? 0, Date.now());
    mock.timers.tick(1_000);
    init.kill('SIGKILL');
    await once(init, 'exit');
    mock.timers.tick(1_000);
    assert.deepEqual(said, []);
  });
});
