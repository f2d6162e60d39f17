// Children that a signal stops, and what their parent hears of it.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { isStopped } from '../../services/supervisor/process-record.ts';
import { watchStops } from '../../services/supervisor/stopped-children.ts';
import { eventually } from '../kit/eventually.ts';

const PATIENCE_MS = 20_000;

describe('supervisor.watchStops', () => {
  let child: ChildProcess;
  beforeEach(() => {
    child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  });
  afterEach(() => child.kill('SIGKILL'));

  it('calls when a child is stopped, by when the kernel says so of it', async () => {
    const seen: boolean[] = [];
    const stop = watchStops(() => seen.push(isStopped(child.pid ?? 0)));
    try {
      child.kill('SIGSTOP');
      await eventually('the call', PATIENCE_MS, () => (seen.includes(true) ? true : undefined));
    } finally {
      stop();
    }
    assert.equal(process.listenerCount('SIGCHLD'), 0);
  });
});
