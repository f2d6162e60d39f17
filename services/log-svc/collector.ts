// Joins sources and outputs: nothing flows before the revision is known, then everything flows to every output.
import { alignedInterval } from '../../shared/ipc/aligned-interval.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { LogOutput, LogSource, Opened } from './log-flow.ts';

export interface Collector {
  openRevision(revision: string): Opened;
  troubles(): readonly HealthReason[];
  stop(): void;
}

const REFRESH_MS = 5_000;

/**
 * Until the first openRevision nothing is taken from any source: lines wait in pipes, raw files and, past that, in their
 * writers' bounded buffers, where the death of this process does not touch them.
 */
export function createCollector(sources: readonly LogSource[], outputs: readonly LogOutput[]): Collector {
  let started = false;
  const stopRefreshing = alignedInterval(REFRESH_MS, () => {
    for (const output of outputs) output.refresh();
  });
  const start = (): void => {
    if (started) return;
    started = true;
    for (const source of sources) {
      source.start({
        messages: (batch) => {
          for (const output of outputs) output.messages(batch);
        },
        bytes: (log, bytes) => {
          for (const output of outputs) output.bytes(log, bytes);
        },
      });
    }
  };
  return {
    openRevision(revision) {
      const answers = outputs.map((output) => output.openRevision(revision));
      start();
      return answers.find((answer) => !answer.ok) ?? { ok: true };
    },
    troubles: () => [...sources, ...outputs].flatMap((part) => part.troubles()),
    stop() {
      stopRefreshing();
      for (const source of sources) source.stop();
      for (const output of outputs) output.close();
    },
  };
}
