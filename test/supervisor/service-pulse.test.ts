// Silence of a service that hangs, and of one that is given no processor.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { describe, it } from 'node:test';
import { waitedForProcessorMs } from '../../services/supervisor/process-record.ts';
import { createServicePulse } from '../../services/supervisor/service-pulse.ts';
import { eventually } from '../kit/eventually.ts';

const watch = { readyMs: 1_000, beatMs: 1_000, missedBeats: 3 };
const PATIENCE_MS = 30_000;

/** Asks after so many seconds without a beat, each with what it has waited by then, milliseconds. */
function silentAfter(asked: readonly (readonly [seconds: number, waitedMs: number])[]): readonly boolean[] {
  const pulse = createServicePulse(watch);
  pulse.beat();
  const beatMs = performance.now();
  return asked.map(([seconds, waitedMs]) => pulse.isSilent(beatMs + seconds * 1_000, () => waitedMs));
}

describe('supervisor.service-pulse', () => {
  it('is silent when it does nothing, however long it has waited before', () => {
    const waited = 100_000;
    assert.deepEqual(
      silentAfter([
        [1, waited],
        [2, waited],
        [3, waited],
        [4, waited],
      ]),
      [false, false, false, true],
    );
  });

  it('is not while it waits for a processor, and is when it has had one for long enough', () => {
    assert.deepEqual(
      silentAfter([
        [2, 0],
        [4, 1_900],
        [10, 7_500],
        [12, 7_600],
      ]),
      [false, false, false, true],
    );
  });

  it('is silent after the most patience that there is, whatever it waits for', () => {
    assert.deepEqual(
      silentAfter([
        [2, 0],
        [48, 45_900],
        [49, 46_900],
      ]),
      [false, false, true],
    );
  });
});

describe('supervisor.waitedForProcessorMs', () => {
  it('grows for a process that others keep from running, and is 0 for one that is gone', async () => {
    // All on one processor.
    const busy = Array.from({ length: 3 }, () => spawn('taskset', ['1', 'sh', '-c', 'while :; do :; done']));
    try {
      const pid = busy[0]?.pid ?? 0;
      await eventually('it waits', PATIENCE_MS, () => waitedForProcessorMs(pid) > 50);
    } finally {
      for (const process of busy) process.kill('SIGKILL');
    }
    assert.equal(waitedForProcessorMs(2 ** 22 + 1), 0);
  });
});
