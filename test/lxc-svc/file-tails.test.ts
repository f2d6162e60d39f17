import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { createFileTails, type FileTails } from '../../services/lxc-svc/file-tails.ts';
import { createLookGuard, type LookGuard } from '../../services/lxc-svc/look-guard.ts';
import { startTicksOf } from '../../services/lxc-svc/process-table.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';

/** Within that there is a look, aligned with those of other processes. */
const LOOK_MS = 1_250;

describe('lxc-svc.fileTails', () => {
  let base: string;
  let init: ChildProcess;
  let tails: FileTails;
  let said: string[];
  let guard: LookGuard;

  const running = () => {
    const pid = init.pid ?? 0;
    return { pid, startTicks: startTicksOf(pid), startedMs: Date.now() };
  };

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'file-tails-'));
    mkdirSync(join(base, 'lxc/app/logs'), { recursive: true });
    init = spawn('sleep', ['1000'], { stdio: 'ignore' });
    said = [];
    const hear = (text: string): void => void said.push(text);
    guard = createLookGuard({ rundir: base, storage: base, tree: 'test' });
    tails = createFileTails({
      places: { rundir: base, storage: base, tree: 'test' },
      readerGid: undefined,
      log: { ...silentLogger, warn: hear, error: hear },
      guard,
      // Its root is this machine's.
      filesOf: () => [{ path: '/berth-no-such-file' }, { path: join(base, 'app.log') }],
    });
    mock.timers.enable({ apis: ['setTimeout'] });
  });
  afterEach(() => {
    mock.timers.reset();
    tails.finish('app');
    guard.close();
    init.kill('SIGKILL');
    rmSync(base, { recursive: true });
  });

  it('says nothing of a container whose init has ended before a look', async () => {
    tails.follow('app', running());
    mock.timers.tick(LOOK_MS);
    init.kill('SIGKILL');
    await once(init, 'exit');
    mock.timers.tick(LOOK_MS);
    assert.deepEqual(said, []);
  });

  it('says once that an init with another root is not followed', async () => {
    init.kill('SIGKILL');
    copyFileSync('/bin/busybox', join(base, 'sleep'));
    init = spawn('chroot', [base, '/sleep', '1000'], { stdio: 'ignore' });
    mock.timers.reset();
    await eventually('another root', PATIENCE_MS, () => readlinkSync(`/proc/${init.pid}/root`) === base);
    mock.timers.enable({ apis: ['setTimeout'] });
    tails.follow('app', running());
    mock.timers.tick(LOOK_MS);
    mock.timers.tick(LOOK_MS);
    assert.deepEqual(said, ['app: its log files are not followed: its init has another root than it was given']);
  });

  it('follows a file that appears while the container runs', () => {
    tails.follow('app', running());
    mock.timers.tick(LOOK_MS);
    writeFileSync(join(base, 'app.log'), 'one\n');
    mock.timers.tick(LOOK_MS);
    assert.deepEqual(readdirSync(join(base, 'lxc/app/logs')), ['file-1.log']);
    assert.equal(readFileSync(join(base, 'lxc/app/logs/file-1.log'), 'utf8'), 'one\n');
  });

  it('leaves out what was in a file before the start', () => {
    symlinkSync('/', join(base, 'lxc/app/rootfs'));
    writeFileSync(join(base, 'app.log'), 'before\n');
    tails.prepare('app');
    tails.follow('app', running());
    mock.timers.tick(LOOK_MS);
    appendFileSync(join(base, 'app.log'), 'after\n');
    mock.timers.tick(LOOK_MS);
    assert.equal(readFileSync(join(base, 'lxc/app/logs/file-1.log'), 'utf8'), 'after\n');
  });

  it('reads what a file that nobody had found yet says when its container has ended', () => {
    symlinkSync('/', join(base, 'lxc/app/rootfs'));
    tails.prepare('app');
    const preparedMs = Date.now();
    const file = join(base, 'app.log');
    // Times of files are counted in ticks.
    do {
      rmSync(file, { force: true });
      writeFileSync(file, 'last words\n');
    } while (statSync(file).birthtimeMs < preparedMs);
    tails.finish('app');
    assert.equal(readFileSync(join(base, 'lxc/app/logs/file-1.log'), 'utf8'), 'last words\n');
  });
});
